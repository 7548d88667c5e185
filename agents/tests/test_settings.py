"""Model settings: fallbacks, prices, keys, and trying them against local servers of the providers' protocols."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from agents.catalog.models import ProviderModel
from agents.models import LLMSettings, key_hint
from agents.selectors import settings_in_order
from agents.services import create_settings, default_settings
from conftest import Character, page_client
from knowrithm.llm.base import Usage
from knowrithm.llm.prices import Price
from knowrithm.tests.providers import OpenAIServer
from tenants.models import User

SETTINGS = "/api/v1/settings"
KEY = "sk-secret-0123456789"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    with OpenAIServer(reply="I am ready.", required_key=KEY, dimension=1536) as running:
        yield running


def choices(server: OpenAIServer, **more: Any) -> dict[str, Any]:
    return {
        "name": "OpenAI here",
        "llm_provider": "OpenAI",
        "llm_model": "GPT-4o-mini",
        "llm_api_key": KEY,
        "llm_api_base_url": server.base_url,
        "embedding_provider": "openai",
        "embedding_model": "text-embedding-3-small",
        "embedding_api_key": KEY,
        "embedding_api_base_url": server.base_url,
        **more,
    }


def create(client: APIClient, **fields: Any) -> dict[str, Any]:
    answer = client.post(SETTINGS, fields, format="json")
    assert answer.status_code == 201, answer.json()
    record: dict[str, Any] = answer.json()["settings"]
    return record


# --- Trying -------------------------------------------------------------------------------------------------------


def test_a_trial_tells_what_both_models_said_and_how_long_it_took(acme_api: APIClient, server: OpenAIServer) -> None:
    made = create(acme_api, **choices(server))
    tried = acme_api.post(f"{SETTINGS}/test/{made['id']}").json()
    assert (tried["status"], tried["response"], tried["error"]) == ("success", "I am ready.", None)
    assert (tried["llm"]["provider"], tried["llm"]["model"]) == ("OpenAI", "gpt-4o-mini")
    assert (tried["embedding"]["status"], tried["embedding"]["dimension"]) == ("success", 1536)
    assert tried["latency_ms"] >= 0
    assert "task_id" not in tried


def test_a_trial_tells_the_provider_s_own_error(acme_api: APIClient, server: OpenAIServer) -> None:
    made = create(acme_api, **choices(server))
    server.fail(429, "You exceeded your current quota", headers={"Retry-After": "20"})
    answer = acme_api.post(f"{SETTINGS}/test/{made['id']}")
    tried = answer.json()
    assert (answer.status_code, tried["status"], tried["error_code"]) == (200, "failed", "LLM_RATE_LIMITED")
    asks = "The model server 127.0.0.1 asks to send fewer requests and to wait 20 seconds"
    sentence = f"{asks}: You exceeded your current quota."
    assert tried["llm"]["error"] == tried["embedding"]["error"] == sentence
    assert len(server.requests) == 2, "a trial is one try"


def test_a_model_that_says_nothing_fails_the_trial(acme_api: APIClient, server: OpenAIServer) -> None:
    made = create(acme_api, **choices(server, llm_max_tokens=2000))
    server.reply, server.finish_reason = "", "length"
    tried = acme_api.post(f"{SETTINGS}/test/{made['id']}").json()
    assert (tried["status"], tried["error_code"]) == ("failed", "LLM_EMPTY")
    assert tried["error"].startswith("The model used up its limit of 2,000 tokens before it said anything.")


def test_values_are_tried_before_they_are_saved(acme: Character, acme_api: APIClient, server: OpenAIServer) -> None:
    assert acme_api.post(f"{SETTINGS}/test", choices(server), format="json").json()["status"] == "success"
    wrong = acme_api.post(f"{SETTINGS}/test", choices(server, llm_api_key="sk-wrong-1234567890"), format="json")
    assert (wrong.json()["llm"]["error_code"], wrong.json()["embedding"]["status"]) == ("LLM_AUTHENTICATION", "success")
    assert "sk-wrong" not in wrong.content.decode()
    assert acme_api.post(f"{SETTINGS}/test", {"llm_provider": "nobody"}, format="json").status_code == 400
    with tenant_context(acme.company):
        assert list(LLMSettings.objects.values_list("name", flat=True)) == ["Company default"]


def test_the_built_in_models_pass_the_trial(acme_api: APIClient) -> None:
    tried = acme_api.post(f"{SETTINGS}/test").json()
    assert (tried["status"], tried["response"]) == ("success", "The model is ready. [Source 1]")
    assert tried["embedding"]["dimension"] == 384


def test_a_stored_key_is_not_tried_at_another_address(acme_api: APIClient, server: OpenAIServer) -> None:
    made = create(acme_api, **choices(server))
    with OpenAIServer() as thief:
        override = {"llm_api_base_url": thief.base_url, "embedding_api_base_url": thief.base_url}
        acme_api.post(f"{SETTINGS}/test/{made['id']}", override, format="json")
        assert [KEY in str(request.headers) for request in thief.requests] == [False, False]


def test_trials_are_limited(acme_api: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_ENABLED = True
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "model_test": "1/hour"}
    assert [acme_api.post(f"{SETTINGS}/test").status_code for _ in range(2)] == [200, 429]


# --- Fallbacks, prices, keys --------------------------------------------------------------------------------------


def test_fallbacks_keep_their_order_and_keep_their_settings_from_being_deleted(
    acme: Character, acme_api: APIClient
) -> None:
    first, second = (create(acme_api, name=name)["id"] for name in ("first", "second"))
    made = create(acme_api, name="mine", fallback_models=[second, first, second], fallback_after=4)
    assert (made["fallback_models"], made["fallback_after"]) == ([second, first], 4.0)
    with tenant_context(acme.company):
        rows = settings_in_order(LLMSettings.objects.with_models().get(pk=made["id"]))
        assert [str(row) for row in rows] == ["mine", "second", "first"]
    refused = acme_api.delete(f"{SETTINGS}/{first}")
    assert (refused.status_code, refused.json()["code"]) == (409, "SETTINGS_IN_USE")
    changed = acme_api.put(f"{SETTINGS}/{made['id']}", {"fallback_models": []}, format="json").json()
    assert changed["settings"]["fallback_models"] == []
    assert acme_api.delete(f"{SETTINGS}/{first}").status_code == 200


def test_a_fallback_is_another_settings_row_of_the_same_company(
    acme: Character, globex: Character, acme_api: APIClient
) -> None:
    made = create(acme_api, name="mine")
    with tenant_context(globex.company):
        foreign = create_settings(actor=globex.principal, choices={"name": "theirs"})
    for wrong in ([str(foreign.id)], [made["id"]], [str(uuid.uuid4())], ["x"], ["x"] * 9):
        answer = acme_api.put(f"{SETTINGS}/{made['id']}", {"fallback_models": wrong}, format="json")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["fallback_models"])


@pytest.mark.parametrize(
    "fields",
    [
        {"llm_input_price": -1},
        {"llm_input_price": 10**9},
        {"llm_output_price": "NaN"},
        {"llm_price_currency": "EURO"},
        {"fallback_after": 0},
        {"fallback_after": "Infinity"},
        {"fallback_models": {}},
    ],
)
def test_bad_prices_and_fallbacks(acme_api: APIClient, fields: dict[str, Any]) -> None:
    assert acme_api.post(SETTINGS, fields, format="json").status_code == 400


def test_the_companys_own_price_goes_before_the_listed_one_and_can_be_taken_back(
    acme: Character, acme_api: APIClient, server: OpenAIServer
) -> None:
    made = create(acme_api, **choices(server, llm_input_price="0.1"))
    with tenant_context(acme.company):
        row = LLMSettings.objects.with_models().get(pk=made["id"])
        assert row.price == Price(Decimal("0.1"), Decimal("0.6"), "USD")
    acme_api.put(f"{SETTINGS}/{made['id']}", {"llm_input_price": None}, format="json")
    with tenant_context(acme.company):
        row = LLMSettings.objects.with_models().get(pk=made["id"])
        assert row.price == Price(Decimal("0.15"), Decimal("0.6"), "USD")


def test_the_cost_of_tokens() -> None:
    price = Price(Decimal("2.5"), Decimal(10), "USD")
    assert price.of(Usage(1000, 200)) == Decimal("0.00450000")
    assert price.of(Usage()) is None, "a provider that counts nothing leaves the cost unknown"
    assert Price(Decimal(), Decimal()).of(Usage()) == 0


@pytest.mark.parametrize(("key", "hint"), [("", ""), ("short", "…"), (KEY, "…6789")])
def test_a_key_is_known_again_by_its_last_four_characters(key: str, hint: str) -> None:
    assert key_hint(key) == hint


# --- The page -----------------------------------------------------------------------------------------------------


def form(**changes: Any) -> dict[str, Any]:
    builtin = ProviderModel.objects.filter(provider__slug="builtin")
    return {
        "name": "Fast",
        "llm_provider": "builtin",
        "llm_model": str(builtin.get(kind="llm").pk),
        "llm_temperature": "0.7",
        "llm_max_tokens": "1000",
        "embedding_provider": "builtin",
        "embedding_model": str(builtin.get(kind="embedding").pk),
        "embedding_dimension": "384",
        "fallback_after": "2.5",
        **changes,
    }


def openai_form(server: OpenAIServer, **changes: Any) -> dict[str, Any]:
    model = ProviderModel.objects.get(provider__slug="openai", name="gpt-4o-mini")
    own = {
        "llm_provider": "openai",
        "llm_model": str(model.pk),
        "llm_api_key": KEY,
        "llm_api_base_url": server.base_url,
    }
    return form(**own | changes)


def named(acme: Character, name: str) -> LLMSettings:
    with tenant_context(acme.company):
        row: LLMSettings = LLMSettings.objects.with_models().get(name=name)
        return row


def test_settings_are_made_changed_and_deleted_on_the_page(
    acme: Character, acme_client: Client, server: OpenAIServer
) -> None:
    assert acme_client.post("/models/new", openai_form(server, llm_price_currency="eur")).status_code == 302
    made = named(acme, "Fast")
    assert (made.llm_api_key, made.llm_price_currency, made.is_default) == (KEY, "EUR", False)
    page = acme_client.get("/models").content.decode()
    assert "key …6789" in page
    assert KEY not in page + acme_client.get(f"/models/{made.pk}/edit").content.decode()

    with tenant_context(acme.company):
        default = default_settings()
    changed = openai_form(server, name="Faster", llm_api_key="", fallback_1=str(default.pk), llm_input_price="3")
    assert acme_client.post(f"/models/{made.pk}/edit", changed).status_code == 302
    row = named(acme, "Faster")
    assert (row.llm_api_key, row.fallback_ids, row.llm_input_price) == (KEY, [default.pk], Decimal(3))

    acme_client.post(f"/models/{made.pk}/default")
    assert named(acme, "Faster").is_default
    acme_client.post(f"/models/{made.pk}/delete")
    assert named(acme, "Faster"), "the default stays"
    acme_client.post(f"/models/{default.pk}/default")
    acme_client.post(f"/models/{made.pk}/delete")
    with tenant_context(acme.company):
        assert not LLMSettings.objects.filter(pk=made.pk).exists()


def test_the_form_says_what_is_missing(acme_client: Client, server: OpenAIServer) -> None:
    answer = acme_client.post("/models/new", openai_form(server, llm_api_key="", name=""))
    assert answer.status_code == 200
    assert answer.context["form"].errors == {
        "name": ["This field is required."],
        "llm_api_key": ["OpenAI needs an API key."],
    }


def test_the_test_button_shows_the_reply_or_the_provider_s_error(acme_client: Client, server: OpenAIServer) -> None:
    shown = acme_client.post("/models/test", openai_form(server, name="")).content.decode()
    assert "“I am ready.”" in shown
    assert "384 dimensions" in shown
    server.fail(404, "The model gpt-4o-mini does not exist")
    assert "does not exist." in acme_client.post("/models/test", openai_form(server)).content.decode()
    assert "needs an API key" in acme_client.post("/models/test", openai_form(server, llm_api_key="")).content.decode()


def test_the_agent_form_chooses_settings_that_exist(acme: Character, acme_client: Client) -> None:
    acme_client.post("/models/new", form(llm_temperature="0.1"))
    made = named(acme, "Fast")
    own = {name: value for name, value in form().items() if name == "llm_model"}
    agent = {
        "name": "Helper", "status": "active", "provider": "builtin", "model": own["llm_model"], "temperature": "0.7",
        "max_tokens": "1000", "shared_settings": str(made.pk), "answer_length": "balanced", "then": "publish",
    }  # fmt: skip
    path = acme_client.post("/agents/new", agent).url  # type: ignore[attr-defined]
    with tenant_context(acme.company):
        assert made.agents.get().name == "Helper"
    page = acme_client.get(f"{path}/edit")
    assert page.context["form"].initial["shared_settings"] == str(made.pk)
    acme_client.post(f"{path}/edit", {**agent, "temperature": "0.1", "name": "Helper 2"})
    with tenant_context(acme.company):
        assert made.agents.get().name == "Helper 2", "no copy was made"


def test_only_admins_see_the_page(acme: Character) -> None:
    User.objects.filter(pk=acme.admin.pk).update(role="user")
    acme.admin.refresh_from_db()
    client = page_client(acme)
    assert [client.get("/models").status_code, client.post("/models/test", form()).status_code] == [403, 403]


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_takes_the_same_queries_for_any_number(
    acme: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    with tenant_context(acme.company):
        other = default_settings()
        for number in range(count):
            choices = {"name": f"row {number}", "fallback_models": [other.pk]}
            create_settings(actor=acme.principal, choices=choices)
    with django_assert_num_queries(8):
        acme_client.get("/models")
