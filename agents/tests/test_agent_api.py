from __future__ import annotations

import gzip
import json
import re
import uuid
from typing import Any

import pytest
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from agents.catalog.models import Provider, ProviderModel
from agents.languages import LANGUAGES
from agents.models import Agent, LLMSettings
from agents.widget import FOLDER
from conftest import Character, key_client
from tenants.models import AgentRoute

NAMES = {
    "llm_provider": "OpenAI",
    "llm_model": "GPT-4o-mini",
    "embedding_provider": "HuggingFace",
    "embedding_model": "all-minilm-l6-v2",
}


def ids() -> dict[str, str]:
    builtin = Provider.objects.get(slug="builtin")
    return {
        "llm_provider_id": str(builtin.id),
        "llm_model_id": str(builtin.models.get(name="extractive").id),
        "embedding_provider_id": str(builtin.id),
        "embedding_model_id": str(builtin.models.get(name="all-MiniLM-L6-v2").id),
    }


def create(client: APIClient, path: str = "/api/v1/agent", **body: Any) -> dict[str, Any]:
    answer = client.post(path, {"name": "Support", **body})
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.parametrize("path", ["/api/v1/agent", "/api/v1/sdk/agent"])
def test_a_name_alone_takes_the_company_default(acme_api: APIClient, path: str) -> None:
    made = create(acme_api, path, description="Helps")

    assert made["id"] == made["agent"]["id"]
    assert made["agent"]["description"] == "Helps"
    assert (made["settings"]["llm_provider"], made["settings"]["is_default"]) == ("builtin", True)


@pytest.mark.parametrize("path", ["/api/v1/agent", "/api/v1/sdk/agent"])
@pytest.mark.parametrize("shape", ["flat ids", "nested names", "nested ids", "llm_settings", "llm_settings_id"])
def test_every_body_shape(acme_api: APIClient, acme: Character, path: str, shape: str) -> None:
    with tenant_context(acme.company):
        default = LLMSettings.objects.get(is_default=True)
    bodies: dict[str, dict[str, Any]] = {
        "flat ids": {**ids(), "llm_temperature": 0.1},
        "nested names": {"settings": {**NAMES, "llm_temperature": 0.1}},
        "nested ids": {"settings": {**ids(), "llm_temperature": 0.1}},
        "llm_settings": {"llm_settings": {**NAMES, "llm_temperature": 0.1}},
        "llm_settings_id": {"llm_settings_id": str(default.id)},
    }

    made = create(acme_api, path, **bodies[shape])

    expected = {"nested names": "openai", "llm_settings": "openai"}.get(shape, "builtin")
    assert made["settings"]["llm_provider"] == expected
    assert made["settings"]["llm_temperature"] == (0.7 if shape == "llm_settings_id" else 0.1)
    assert (made["settings"]["id"] == str(default.id)) == (shape == "llm_settings_id")
    assert made["settings"]["embedding_model_name"] == "all-MiniLM-L6-v2"
    assert made["agent"]["model_name"] == made["settings"]["llm_model_name"]


@pytest.mark.parametrize(
    ("choices", "field"),
    [
        ({**NAMES, "llm_model": "gpt-99"}, "llm_model"),
        ({**NAMES, "llm_provider": "nobody"}, "llm_provider"),
        ({**NAMES, "embedding_model": "gpt-4o"}, "embedding_model"),
        ({**NAMES, "llm_temperature": 7}, "settings"),
    ],
)
def test_an_unknown_model_is_named(acme_api: APIClient, choices: dict[str, Any], field: str) -> None:
    answer = acme_api.post("/api/v1/sdk/agent", {"name": "x", "settings": choices})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_a_provider_key_is_encrypted_and_never_shown(acme_api: APIClient, acme: Character) -> None:
    made = create(acme_api, settings={**NAMES, "llm_api_key": "sk-very-secret"})

    assert made["settings"]["llm_api_key"] == "********"
    settings_url = f"/api/v1/settings/{made['settings']['id']}"
    assert b"sk-very-secret" not in acme_api.get(settings_url).content
    with tenant_context(acme.company):
        row = LLMSettings.objects.get(pk=made["settings"]["id"])
        stored = LLMSettings.objects.filter(pk=row.pk).extra(select={"raw": "llm_api_key"}).values_list("raw")[0][0]
    assert row.llm_api_key == "sk-very-secret"
    assert "sk-very-secret" not in stored


def test_another_provider_does_not_inherit_the_key(acme_api: APIClient, acme: Character) -> None:
    made = create(
        acme_api, settings={**NAMES, "llm_api_key": "sk-openai", "llm_api_base_url": "https://llm.example/v1"}
    )
    url = f"/api/v1/settings/{made['settings']['id']}"

    changed = acme_api.put(url, {"llm_provider": "anthropic", "llm_model": "claude-3-haiku-20240307"}).json()

    assert (changed["settings"]["llm_api_key"], changed["settings"]["llm_api_base_url"]) == (None, "")


def test_an_empty_update_of_settings_changes_nothing(acme_api: APIClient) -> None:
    made = create(acme_api, settings={**NAMES, "llm_api_key": "sk-openai"})
    answer = acme_api.put(f"/api/v1/settings/{made['settings']['id']}")
    assert (answer.status_code, answer.json()["settings"]["llm_api_key"]) == (200, "********")


def test_settings_that_are_used_or_default_are_not_deleted(acme_api: APIClient, acme: Character) -> None:
    made = create(acme_api, settings=NAMES)
    with tenant_context(acme.company):
        default = LLMSettings.objects.get(is_default=True)

    assert acme_api.delete(f"/api/v1/settings/{made['settings']['id']}").status_code == 409
    assert acme_api.delete(f"/api/v1/settings/{default.id}").status_code == 400


def test_the_public_page_of_an_agent_shows_no_settings(anonymous: APIClient, acme: Character) -> None:
    body = anonymous.get(f"/api/v1/agent/{acme.agent.id}").json()

    assert body["agent"]["name"] == acme.agent.name == body["name"]
    assert body["agent"]["company_id"] == str(acme.company.id)
    assert not {"llm_settings_id", "model_name", "personality_traits"} & set(body["agent"])


def test_an_agent_is_found_by_name_whatever_the_case_and_with_a_slash(acme_api: APIClient) -> None:
    made = create(acme_api, name="NaMe with/slash ü")
    answer = acme_api.get("/api/v1/agent/by-name/name%20with%2Fslash%20%C3%BC")
    assert answer.json()["agent"]["id"] == made["id"]
    assert acme_api.get("/api/v1/agent/by-name/nobody").status_code == 404


def test_list_filters_and_pages(acme_api: APIClient) -> None:
    for number in range(3):
        create(acme_api, name=f"Sales {number}", status="inactive" if number else "active")

    found = acme_api.get(
        "/api/v1/agent", {"search": "sales", "status": "inactive", "per_page": "1", "page": "2"}
    ).json()

    assert [agent["name"] for agent in found["agents"]] == ["Sales 1"]
    assert found["agents"] == found["items"] == found["data"]
    pagination = found["pagination"]
    assert (pagination["total"], pagination["pages"], pagination["has_next"], pagination["has_prev"]) == (
        2,
        2,
        False,
        True,
    )
    assert (
        acme_api.get("/api/v1/agent", {"page": "nonsense", "per_page": "1000000000"}).json()["pagination"]["per_page"]
        == 100
    )


@pytest.mark.parametrize("count", [1, 3])
def test_list_needs_the_same_queries_for_any_number(
    acme_api: APIClient, acme: Character, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    for number in range(count - 1):
        create(acme_api, name=f"Agent {number}")
    # path, session, path, page (not full, so it needs no count)
    with django_assert_num_queries(LIST_QUERIES):
        assert len(acme_api.get("/api/v1/agent").json()["agents"]) == count


LIST_QUERIES = 3  # session, path and role, page


def test_update_archive_restore(acme_api: APIClient, acme: Character) -> None:
    url = f"/api/v1/agent/{acme.agent.id}"
    assert acme_api.put(url, {"name": "Renamed", "languages": ["en", "fr"]}).json()["agent"]["languages"] == [
        "en",
        "fr",
    ]
    assert acme_api.delete(url).json()["agent_id"] == str(acme.agent.id)
    assert acme_api.get(url).status_code == 404
    assert acme_api.put(url, {"name": "No"}).status_code == 404
    assert acme_api.get("/api/v1/agent").json()["agents"] == []
    assert acme_api.patch(f"{url}/restore").json()["agent"]["name"] == "Renamed"
    assert acme_api.get(url).status_code == 200


def test_an_agent_with_active_conversations_is_not_archived(acme_api: APIClient, acme: Character) -> None:
    made = acme_api.post("/api/v1/conversation", {"agent_id": str(acme.agent.id)}).json()

    refused = acme_api.delete(f"/api/v1/sdk/agent/{acme.agent.id}")
    assert (refused.status_code, refused.json()["code"]) == (400, "AGENT_HAS_ACTIVE_CONVERSATIONS")

    assert acme_api.delete(f"/api/v1/conversation/{made['id']}").status_code == 200
    assert acme_api.delete(f"/api/v1/sdk/agent/{acme.agent.id}").status_code == 200


def test_changing_the_model_of_one_agent_leaves_the_default_alone(acme_api: APIClient, acme: Character) -> None:
    acme_api.put(f"/api/v1/agent/{acme.agent.id}", {"settings": NAMES})
    with tenant_context(acme.company):
        agent = Agent.objects.with_settings().get(pk=acme.agent.pk)
        default = LLMSettings.objects.with_models().get(is_default=True)
    assert (agent.llm_settings.llm_provider.slug, default.llm_provider.slug) == ("openai", "builtin")


def test_clone(acme_api: APIClient, acme: Character) -> None:
    clone = acme_api.post(f"/api/v1/agent/{acme.agent.id}/clone", {"name": "Twin"}).json()
    unnamed = acme_api.post(f"/api/v1/agent/{acme.agent.id}/clone")

    assert clone["id"] == clone["agent"]["id"] == clone["clone_agent_id"] != str(acme.agent.id)
    assert (clone["agent"]["name"], clone["agent"]["status"]) == ("Twin", "inactive")
    assert clone["agent"]["llm_settings_id"] == str(acme.agent.llm_settings_id)
    assert unnamed.json()["agent"]["name"] == f"{acme.agent.name} (copy)"
    assert AgentRoute.objects.filter(pk=clone["id"], company=acme.company).exists()


def test_embed_code_and_stats(acme_api: APIClient, acme: Character) -> None:
    embed = acme_api.get(f"/api/v1/agent/{acme.agent.id}/embed-code").json()
    for name in ("simple", "advanced", "embed_code"):
        assert f'data-agent-id="{acme.agent.id}"' in embed[name]
        assert "data-api-url=" in embed[name]
    assert acme_api.get(f"/api/v1/agent/{acme.agent.id}/stats").json()["llm_provider"] == "builtin"


def test_a_plain_user_may_not_create_agents_but_an_admins_writing_key_may(acme: Character, acme_api: APIClient) -> None:
    key = key_client(acme, "write")
    assert key.post("/api/v1/agent", {"name": "x"}).status_code == 201
    acme.admin.role = "user"
    acme.admin.save()
    assert acme_api.post("/api/v1/agent", {"name": "x"}).status_code == 403
    assert key.post("/api/v1/agent", {"name": "x"}).status_code == 403


def test_the_catalogue(acme_api: APIClient) -> None:
    providers = acme_api.get("/api/v1/providers").json()["providers"]
    assert [row["value"] for row in providers] == [
        "builtin", "google", "openai", "anthropic", "huggingface", "ollama", "vllm", "groq", "mistral", "deepseek",
        "openrouter", "azure",
    ]  # fmt: skip
    google = next(row for row in providers if row["value"] == "google")
    names = {row["name"] for row in acme_api.get(f"/api/v1/providers/{google['id']}/models").json()["models"]}
    assert "gemini-2.5-flash" in names
    before = ProviderModel.objects.count()
    assert acme_api.post("/api/v1/settings/providers/seed").json()["added"] == 0
    assert ProviderModel.objects.count() == before


def test_the_widget_is_served_under_each_name(anonymous: APIClient) -> None:
    bodies = set()
    for path in ("/widget.js", "/api/widget.js", "/api/v1/widget.js", "/v1/widget.js"):
        answer = anonymous.get(path)
        assert answer.headers["Content-Type"] == "application/javascript; charset=utf-8"
        bodies.add(answer.content)
    (body,) = bodies
    assert body.startswith(b"/*! Knowrithm chat widget. */\n(() => {\n")
    assert re.findall(rb"(?:^|\s)(?://|/\*\*)", body, re.MULTILINE) == []  # comments are for who reads the source
    unchanged = anonymous.get("/widget.js", HTTP_IF_NONE_MATCH=answer.headers["ETag"])
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    packed = anonymous.get("/widget.js", HTTP_ACCEPT_ENCODING="br, gzip")
    assert (packed.headers["Content-Encoding"], gzip.decompress(packed.content)) == ("gzip", body)


def test_the_widget_s_texts_are_served_for_each_language(anonymous: APIClient) -> None:
    names = {path.stem for path in (FOLDER / "widget").glob("*.json")}
    assert names | {"en"} == set(LANGUAGES)
    script = (FOLDER / "widget.js").read_text()
    assert f"const LANGUAGES = {sorted(LANGUAGES)}".replace('"', "'") in script
    english = set(re.findall(r"(\w+): '", script[script.index("const ENGLISH") : script.index("const LANGUAGES")]))
    for language in names:
        answer = anonymous.get(f"/api/v1/widget/{language}.json")
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
        texts = json.loads(answer.content)
        assert set(texts) == english, language
        assert "{name}" in texts["welcome"], language
    for unknown in ("en", "tlh", "widget", "__init__"):
        assert anonymous.get(f"/api/v1/widget/{unknown}.json").status_code == 404


def test_the_test_page_holds_the_snippet_and_is_sandboxed(anonymous: APIClient) -> None:
    answer = anonymous.post("/api/v1/test", {"body": "<script>alert(1)</script>"})
    assert b"<script>alert(1)</script>" in answer.content
    assert answer.headers["Content-Security-Policy"] == "sandbox allow-scripts allow-forms"


def test_unknown_agents_are_404(anonymous: APIClient, acme_api: APIClient, unknown_id: uuid.UUID) -> None:
    assert anonymous.get(f"/api/v1/agent/{unknown_id}").status_code == 404
    assert acme_api.put(f"/api/v1/agent/{unknown_id}", {"name": "x"}).status_code == 404


def test_a_plain_user_may_not_change_models(acme: Character, acme_api: APIClient) -> None:
    acme.admin.role = "user"
    acme.admin.save()
    url = f"/api/v1/agent/{acme.agent.id}"
    assert acme_api.put(url, {"settings": NAMES}).status_code == 403
    assert acme_api.put(url, {"name": "Renamed"}).status_code == 200


@pytest.mark.parametrize("method", ["patch", "trace"])
def test_a_verb_that_a_route_does_not_have_is_405(acme_api: APIClient, method: str) -> None:
    answer = acme_api.generic(method.upper(), "/api/v1/agent")
    assert answer.status_code == 405
