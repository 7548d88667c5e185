"""The catalogue through the API, in both vocabularies: everybody reads it, super admins alone change it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from agents.catalog.models import Provider, ProviderModel
from agents.catalog.seed import CATALOGUE, seed_catalogue
from agents.catalog.selectors import find_model, find_provider
from agents.services import create_settings
from conftest import PASSWORD, Character, key_client
from tenants.models import User
from tenants.services import start_session

PROVIDERS = "/api/v1/providers"


@pytest.fixture
def root(db: None) -> APIClient:
    user = User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=user).tokens.access}")
    return client


def made(root: APIClient, **fields: Any) -> dict[str, Any]:
    answer = root.post(PROVIDERS, {"name": "Acme AI", "type": "both", **fields}, format="json")
    assert answer.status_code == 201, answer.json()
    record: dict[str, Any] = answer.json()
    return record


def test_a_provider_in_the_words_of_the_python_client(root: APIClient) -> None:
    record = made(
        root, description="Ours", api_base_url="https://ai.acme.example/v1", pricing={"note": "free"}, status="active"
    )
    assert record["id"] == record["provider"]["id"]
    expected = {
        "value": "acme-ai", "name": "acme-ai", "label": "Acme AI", "provider_type": "both", "type": "both",
        "default_base_url": "https://ai.acme.example/v1", "api_base_url": "https://ai.acme.example/v1",
        "pricing": {"note": "free"}, "status": "active", "protocol": "openai", "models": [],
    }  # fmt: skip
    assert {name: record[name] for name in expected} == expected


def test_a_provider_in_the_words_of_the_other_vocabulary(root: APIClient) -> None:
    body = {
        "value": "acme", "label": "Acme AI", "provider_type": "embedding", "default_base_url": None,
        "api_key_env_var": "ACME_KEY", "requires_api_key": False, "pricing_tier": "premium", "tags": ["fast"],
        "is_featured": True, "sort_order": 3,
    }  # fmt: skip
    record = root.post(PROVIDERS, body, format="json").json()
    assert (record["value"], record["label"], record["type"]) == ("acme", "Acme AI", "embedding")
    assert (record["pricing_tier"], record["tags"], record["requires_api_key"]) == ("premium", ["fast"], False)
    assert "ACME_KEY" not in str(record)


def test_the_life_of_a_provider(root: APIClient, acme_api: APIClient) -> None:
    path = f"{PROVIDERS}/{made(root)['id']}"
    assert root.put(path, {"name": "Acme 2", "status": "active"}, format="json").json()["label"] == "Acme 2"
    assert acme_api.get(path).json()["value"] == "acme-ai"
    assert root.post(PROVIDERS, {"name": "ACME AI"}, format="json").status_code == 409
    assert root.delete(path).status_code == 200
    assert acme_api.get(path).status_code == 404
    assert [row["value"] for row in root.get(PROVIDERS, {"status": "inactive"}).json()["providers"]] == ["acme-ai"]
    assert made(root)["id"] in path, "made again it comes back"


def test_the_life_of_a_model_and_prices_in_both_units(root: APIClient, acme_api: APIClient) -> None:
    models = f"{PROVIDERS}/{made(root)['id']}/models"
    body = {"name": "M 1", "provider_model_id": "m-1", "type": "llm", "context_window": 8000, "input_price": 2.5}
    record = root.post(models, {**body, "output_price": 10, "currency": "eur"}, format="json").json()
    assert (record["name"], record["display_name"], record["context"]) == ("m-1", "M 1", 8000)
    assert (record["input_price"], record["pricing"], record["currency"]) == (
        2.5,
        {"input": 0.0025, "output": 0.01},
        "EUR",
    )
    other = {"name": "e-1", "model_type": "embedding", "embedding_dimension": 64, "cost_per_1k_tokens_input": "0.0001"}
    assert root.post(models, other, format="json").json()["input_price"] == 0.1
    assert root.post(models, {"name": "M-1", "model_type": "chat"}, format="json").status_code == 409
    one = f"{models}/{record['id']}"
    assert root.put(one, {"context_length": 16000}, format="json").json()["context_window"] == 16000
    assert ProviderModel.objects.get(pk=record["id"]).input_price == Decimal("2.5")
    assert acme_api.get(one).json()["dimension"] is None
    assert [row["name"] for row in acme_api.get(models, {"type": "embedding"}).json()["models"]] == ["e-1"]
    assert root.delete(one).status_code == 200
    assert acme_api.get(one).status_code == 404


def test_import_adds_and_brings_in_date_all_or_nothing(root: APIClient) -> None:
    body = {
        "providers": [
            {"value": "acme", "label": "Acme", "models": [{"name": "m-1"}, {"name": "m-2", "type": "embedding"}]},
            {"value": "OpenAI", "models": [{"name": "GPT-4o", "input_price": 9}, {"name": "gpt-x"}]},
        ]
    }
    answer = root.post(f"{PROVIDERS}/bulk-import", body, format="json").json()
    counts = {name: answer[name] for name in answer if name != "message"}
    assert counts == {"providers_created": 1, "providers_updated": 1, "models_created": 3, "models_updated": 1}
    assert ProviderModel.objects.get(name="gpt-4o", provider__slug="openai").input_price == 9
    bad = {"providers": [{"value": "fine"}, {"value": "bad", "models": [{"name": "m", "input_price": -1}]}]}
    refused = root.post(f"{PROVIDERS}/bulk-import", bad, format="json")
    assert refused.status_code == 400
    assert not Provider.objects.filter(slug="fine").exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "💥"},
        {"name": "x" * 101},
        {"name": "x", "type": "other"},
        {"name": "x", "api_base_url": "ftp:// nothing"},
        {"name": "x", "pricing": [1]},
        {"name": "x", "sort_order": 10**9},
        [],
        "text",
    ],
)
def test_bad_input_to_a_provider(root: APIClient, body: Any) -> None:
    assert root.post(PROVIDERS, body, format="json").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "m", "type": "image"},
        {"name": "m", "input_price": -1},
        {"name": "m", "input_price": 10**12},
        {"name": "m", "input_price": "NaN"},
        {"name": "m", "cost_per_1k_tokens_input": 999_999},
        {"name": "m", "currency": "dollars"},
        {"name": "m", "context_window": 2**40},
        {"name": "m", "embedding_dimension": 0},
    ],
)
def test_bad_input_to_a_model(root: APIClient, body: Any) -> None:
    provider = Provider.objects.get(slug="openai")
    assert root.post(f"{PROVIDERS}/{provider.id}/models", body, format="json").status_code == 400


def test_a_company_changes_nothing_in_the_catalogue(acme: Character, acme_api: APIClient) -> None:
    model = ProviderModel.objects.get(name="gpt-4o", provider__slug="openai")
    one = f"{PROVIDERS}/{model.provider_id}"
    key = key_client(acme, "read", "write", "update", "delete", "admin", "full_access")
    for client, expected in ((acme_api, 403), (key, 403), (APIClient(), 401)):
        calls = [
            client.post(PROVIDERS, {"name": "x"}),
            client.post(f"{PROVIDERS}/bulk-import", {"providers": [{"name": "x"}]}, format="json"),
            client.put(one, {"label": "taken"}),
            client.delete(one),
            client.post(f"{one}/models", {"name": "x"}),
            client.put(f"{one}/models/{model.id}", {"input_price": 0}),
            client.delete(f"{one}/models/{model.id}"),
        ]
        assert [answer.status_code for answer in calls] == [expected] * 7
    model.refresh_from_db()
    assert (model.provider.label, model.input_price, model.is_active) == ("OpenAI", Decimal("2.5"), True)


def test_the_built_in_models_stay(root: APIClient) -> None:
    model = ProviderModel.objects.get(name="extractive")
    one = f"{PROVIDERS}/{model.provider_id}"
    assert [
        root.delete(one).status_code,
        root.put(one, {"status": "inactive"}, format="json").status_code,
        root.delete(f"{one}/models/{model.id}").status_code,
        root.put(f"{one}/models/{model.id}", {"name": "other"}, format="json").status_code,
        root.post(
            f"{PROVIDERS}/bulk-import",
            {"providers": [{"value": "builtin", "models": [{"name": "extractive", "is_active": False}]}]},
            format="json",
        ).status_code,
    ] == [409] * 5


def test_settings_go_on_with_a_deleted_model(root: APIClient, acme: Character) -> None:
    model = ProviderModel.objects.get(name="gpt-4o", provider__slug="openai")
    with tenant_context(acme.company):
        settings = create_settings(actor=acme.principal, choices={"llm_model_id": model.id, "llm_provider": "openai"})
    root.delete(f"{PROVIDERS}/{model.provider_id}/models/{model.id}")
    with tenant_context(acme.company):
        settings.refresh_from_db()
        assert settings.chat_config().model == "gpt-4o"
    assert find_model(model.provider, "gpt-4o", model.kind) is None  # type: ignore[arg-type]  # a choice's value


def test_every_seeded_model_is_found_by_its_name_whatever_the_case(db: None) -> None:
    for seed in CATALOGUE:
        provider = find_provider(seed.slug.upper())
        assert provider is not None
        assert find_provider(seed.label.lower()) == provider
        for model in seed.models:
            found = find_model(provider, model.name.upper(), model.kind)
            assert found is not None, model.name
            assert found.name == model.name


def test_seeding_fills_in_prices_and_leaves_what_an_admin_changed(db: None) -> None:
    models = ProviderModel.objects.filter(provider__slug="openai")
    models.filter(name="gpt-4o").update(input_price=None, output_price=None)
    models.filter(name="gpt-4.1").update(input_price=1, output_price=1)
    assert seed_catalogue() == 0
    assert models.get(name="gpt-4o").input_price == Decimal("2.5")
    assert models.get(name="gpt-4.1").input_price == 1
