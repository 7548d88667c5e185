"""The dashboard's pages about agents."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries

from agents.catalog.models import ProviderModel
from agents.models import Agent
from agents.selectors import get_agent
from agents.services import create_agent
from conftest import Character

COMPATIBLE = ["ollama", "vllm", "groq", "mistral", "deepseek", "openrouter", "azure"]


def model_id(name: str) -> str:
    return str(ProviderModel.objects.filter(name=name).order_by("provider__sort_order")[0].pk)


def filled(**changes: Any) -> dict[str, Any]:
    """The form as a browser sends it when nothing about the model was touched."""
    return {
        "name": "Support",
        "status": "active",
        "description": "",
        "languages": "",
        "personality": "",
        "answer_length": "balanced",
        "welcome_text": "",
        "starter_questions": "",
        "provider": "builtin",
        "model": model_id("extractive"),
        "api_key": "",
        "base_url": "",
        "temperature": "0.7",
        "max_tokens": "1000",
    } | changes


def openai(**changes: Any) -> dict[str, Any]:
    return filled(provider="openai", model=model_id("gpt-4o"), api_key="sk-1", temperature="0.2") | changes


def made(acme: Character, client: Client, form: dict[str, Any]) -> Agent:
    url = client.post("/agents/new", form).url  # type: ignore[attr-defined]
    with tenant_context(acme.company):
        return get_agent(uuid.UUID(url.removeprefix("/agents/")))


def publish(client: Client, agent: Agent, form: dict[str, Any]) -> None:
    assert client.post(f"/agents/{agent.pk}/edit", {**form, "then": "publish"}).status_code == 302


def reloaded(acme: Character, agent: Agent) -> Agent:
    with tenant_context(acme.company):
        return get_agent(agent.pk, include_archived=True)


def test_create_with_what_the_form_offers(acme: Character, acme_client: Client) -> None:
    agent = made(
        acme,
        acme_client,
        filled(description="Pumps.", languages="English, German,, English", personality="friendly", welcome_text="Hi!"),
    )
    assert (agent.name, agent.description, agent.languages) == ("Support", "Pumps.", ["English", "German"])
    assert (agent.personality_traits, agent.welcome_text, agent.status) == ({"tone": "friendly"}, "Hi!", "active")


def test_an_untouched_model_section_shares_the_company_default(acme: Character, acme_client: Client) -> None:
    assert made(acme, acme_client, filled()).llm_settings.is_default


def test_another_model_gives_the_agent_settings_of_its_own(acme: Character, acme_client: Client) -> None:
    settings = made(acme, acme_client, openai(base_url="https://llm.example/v1")).llm_settings
    assert (settings.is_default, settings.llm_provider.slug, settings.llm_model.name) == (False, "openai", "gpt-4o")
    assert (settings.llm_api_key, settings.llm_api_base_url) == ("sk-1", "https://llm.example/v1")
    assert (settings.llm_temperature, settings.llm_max_tokens) == (0.2, 1000)


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"name": ""}, {"name": ["This field is required."]}),
        ({"temperature": "2.1"}, {"temperature": ["Ensure this value is less than or equal to 2."]}),
        ({"max_tokens": "0"}, {"max_tokens": ["Ensure this value is greater than or equal to 1."]}),
        ({"status": "asleep"}, {"status": ["Select a valid choice. asleep is not one of the available choices."]}),
        ({"provider": "openai"}, {"model": ["OpenAI has no such model."], "api_key": ["OpenAI needs an API key."]}),
        ({"base_url": "javascript:alert(1)"}, {"base_url": ["Enter a valid URL."]}),
    ],
)
def test_what_is_wrong_is_said_at_the_field(
    acme: Character, acme_client: Client, changes: dict[str, Any], errors: dict[str, list[str]]
) -> None:
    assert acme_client.post("/agents/new", filled(**changes)).context["form"].errors == errors
    with tenant_context(acme.company):
        assert Agent.objects.count() == 1


def test_editing_changes_what_was_changed_and_keeps_the_key(acme: Character, acme_client: Client) -> None:
    agent = made(acme, acme_client, openai())
    page = acme_client.get(f"/agents/{agent.pk}/edit")
    assert page.context["form"]["provider"].value() == "openai"
    assert "sk-1" not in page.content.decode()
    publish(acme_client, agent, openai(api_key="", name="Sales", temperature="0.9"))
    changed = reloaded(acme, agent)
    settings = changed.llm_settings
    assert (changed.name, settings.llm_temperature, settings.llm_api_key) == ("Sales", 0.9, "sk-1")


def test_a_key_and_an_address_never_move_to_another_provider(acme: Character, acme_client: Client) -> None:
    agent = made(acme, acme_client, openai(base_url="https://llm.example/v1"))
    publish(acme_client, agent, filled(base_url="https://llm.example/v1"))
    settings = reloaded(acme, agent).llm_settings
    assert (settings.llm_provider.slug, settings.llm_api_key, settings.llm_api_base_url) == ("builtin", "", "")
    gemini = filled(provider="google", model=model_id("gemini-2.5-flash"))
    response = acme_client.post(f"/agents/{agent.pk}/edit", gemini)
    assert response.context["form"].errors == {"api_key": ["Google Gemini needs an API key."]}


def test_traits_of_an_api_client_survive_an_edit_that_does_not_touch_them(acme: Character, acme_client: Client) -> None:
    traits = {"humour": "dry", "patience": "endless"}
    with tenant_context(acme.company):
        agent = create_agent(actor=acme.principal, name="Traits", personality_traits=traits)
    shown = acme_client.get(f"/agents/{agent.pk}/edit").context["form"]["personality"].value()
    publish(acme_client, agent, filled(personality=shown, welcome_text="Hi!"))
    changed = reloaded(acme, agent)
    assert (changed.personality_traits, changed.welcome_text) == (traits, "Hi!")


def test_form_s_script_learns_which_models_belong_to_which_provider(acme_client: Client) -> None:
    catalog = acme_client.get("/agents/new").context["model_catalog"]
    assert list(catalog) == [
        "builtin",
        "google",
        "openai",
        "anthropic",
        *COMPATIBLE,
    ]  # Hugging Face offers no chat model
    assert catalog["builtin"] == {"requires_key": False, "takes_base_url": False, "models": [model_id("extractive")]}
    assert catalog["openai"]["models"][0] == model_id("gpt-4o-mini")  # the recommended one


def test_archive_and_undo(acme: Character, acme_client: Client) -> None:
    pk = acme.agent.pk
    response = acme_client.post(f"/agents/{pk}/archive", {"next": "/agents?q=helper"})
    assert response.url == "/agents?q=helper"  # type: ignore[attr-defined]
    (message,) = get_messages(response.wsgi_request)
    assert (str(message), message.extra_tags) == ("“Acme helper” was archived.", f"/agents/{pk}/restore")
    empty = acme_client.get("/agents")
    assert list(empty.context["page_obj"]) == []
    assert 'href="?archived=1"' in empty.content.decode()  # or nothing would lead to it
    assert list(acme_client.get("/agents?archived=1").context["page_obj"]) == [acme.agent]
    acme_client.post(f"/agents/{pk}/restore")
    assert list(acme_client.get("/agents").context["page_obj"]) == [acme.agent]


def test_the_way_back_never_leads_elsewhere(acme: Character, acme_client: Client) -> None:
    url = f"/agents/{acme.agent.pk}/archive"
    response = acme_client.post(url, {"next": "https://evil.example"}, headers={"Referer": "https://evil.example/"})
    assert response.url == "/agents"  # type: ignore[attr-defined]


def test_list_filters(acme: Character, acme_client: Client) -> None:
    with tenant_context(acme.company):
        create_agent(actor=acme.principal, name="Sales", status="inactive")
    names = {
        query: [agent.name for agent in acme_client.get(f"/agents?{query}").context["page_obj"]]
        for query in ("q=SAL", "status=active", "q=%00helper", "status=inactive&q=helper", "page=99")
    }
    assert names == {
        "q=SAL": ["Sales"],
        "status=active": ["Acme helper"],
        "q=%00helper": ["Acme helper"],
        "status=inactive&q=helper": [],
        "page=99": ["Sales", "Acme helper"],
    }
    assert "Nothing found" in acme_client.get("/agents?q=nobody").content.decode()


def test_an_empty_company_is_invited_to_create_an_agent(acme: Character, acme_client: Client) -> None:
    acme_client.post(f"/agents/{acme.agent.pk}/archive")
    assert "Create your first agent" in acme_client.get("/agents").content.decode()


@pytest.mark.parametrize(
    "path", ["", "/edit", "/embed", "/widget", "/preview", "/chat", "/versions", "?tab=documents", "?tab=conversations"]
)
def test_another_company_s_agent_looks_like_an_unknown_one(
    acme: Character, globex_client: Client, unknown_id: uuid.UUID, path: str
) -> None:
    foreign = globex_client.get(f"/agents/{acme.agent.pk}{path}")
    unknown = globex_client.get(f"/agents/{unknown_id}{path}")
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert "There is no such page" in foreign.content.decode()


@pytest.mark.parametrize("action", ["edit", "archive", "restore"])
def test_another_company_s_agent_cannot_be_changed(acme: Character, globex_client: Client, action: str) -> None:
    assert globex_client.post(f"/agents/{acme.agent.pk}/{action}", filled(name="Mine now")).status_code == 404
    agent = reloaded(acme, acme.agent)
    assert (agent.name, agent.archived_at) == ("Acme helper", None)


@pytest.mark.parametrize("action", ["archive", "restore"])
def test_changes_need_a_post(acme: Character, acme_client: Client, action: str) -> None:
    assert acme_client.get(f"/agents/{acme.agent.pk}/{action}").status_code == 405


def test_embed_shows_the_code_of_this_agent(acme: Character, acme_client: Client) -> None:
    body = acme_client.get(f"/agents/{acme.agent.pk}/embed").content.decode()
    assert f"data-agent-id=&quot;{acme.agent.pk}&quot;" in body


def test_preview_loads_the_widget_from_this_server(acme: Character, acme_client: Client) -> None:
    body = acme_client.get(f"/agents/{acme.agent.pk}/preview").content.decode()
    assert f'<script src="/api/widget.js" data-agent-id="{acme.agent.pk}" data-api-url="/api" defer>' in body


@pytest.mark.parametrize("count", [1, 3])
def test_list_queries(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    with tenant_context(acme.company):
        for number in range(count):
            create_agent(actor=acme.principal, name=f"agent {number}")
    with django_assert_num_queries(6):  # two search paths, session, person with company, count, agents
        assert len(acme_client.get("/agents").context["page_obj"]) == count + 1
