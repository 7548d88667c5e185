"""The published Python client, unmodified: providers and models, and settings of models (scenarios 24 and 30)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from knowrithm_py.services.settings import ProviderService

from knowrithm.embedded.__main__ import DEFAULT_SUPER_ADMIN
from knowrithm.embedded.credentials import platform_secrets
from knowrithm.tests.flows.test_sdk import refused
from knowrithm.tests.platform import FLOW, Owner, Platform, bearer
from knowrithm.tests.providers import OpenAIServer

pytestmark = FLOW

KEY = "sk-flow-0123456789"


@pytest.fixture(scope="module")
def sa(platform: Platform) -> dict[str, str]:
    """The headers of the installation's super admin, who alone changes what all companies share."""
    password = platform_secrets(platform.data_dir / "secrets.env")["SUPER_ADMIN_PASSWORD"]
    return bearer(platform.client().auth.login(DEFAULT_SUPER_ADMIN, password)["access_token"])


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(reply="The model is ready.", required_key=KEY, dimension=1536) as running:
        yield running


def test_a_provider_and_its_models_are_made_changed_and_deleted(
    owner: Owner, sa: dict[str, str], server: OpenAIServer
) -> None:
    providers, name = ProviderService(owner.platform.client()), f"Flow {uuid.uuid4().hex[:6]}"
    made = providers.create_provider(name, "both", description="Of a test.", api_base_url=server.base_url, headers=sa)
    provider_id = made["provider"]["id"]
    assert providers.get_provider(provider_id, headers=sa)["label"] == name

    changed = providers.update_provider(provider_id, description="Changed.", headers=sa)
    assert changed["provider"]["description"] == "Changed."

    model = providers.create_model(
        provider_id, "flow-chat", "llm", context_window=8000, input_price=0.5, output_price=1.5, headers=sa
    )["model"]
    assert (model["type"], model["context_window"], model["input_price"]) == ("llm", 8000, 0.5)
    vectors = providers.create_model(provider_id, "flow-embed", "embedding", embedding_dimension=8, headers=sa)["model"]
    assert (
        providers.update_model(provider_id, model["id"], output_price=2.5, headers=sa)["model"]["output_price"] == 2.5
    )
    assert providers.get_model(provider_id, vectors["id"], headers=sa)["embedding_dimension"] == 8
    listed = providers.list_models(provider_id, headers=owner.headers)["models"]  # every company may read them
    assert {row["name"] for row in listed} == {"flow-chat", "flow-embed"}

    providers.delete_model(provider_id, vectors["id"], headers=sa)
    assert [row["id"] for row in providers.list_models(provider_id, headers=sa)["models"]] == [model["id"]]
    providers.delete_provider(provider_id, headers=sa)
    assert refused(providers.get_provider, provider_id, headers=sa).status_code == 404
    assert provider_id not in [row["id"] for row in providers.list_providers(headers=sa)["providers"]]


def test_providers_are_imported_with_their_models(owner: Owner, sa: dict[str, str]) -> None:
    providers, name = ProviderService(owner.platform.client()), f"Import {uuid.uuid4().hex[:6]}"
    models = [{"name": "one", "type": "llm"}, {"name": "two", "type": "embedding", "embedding_dimension": 4}]
    payload = {"providers": [{"name": name, "type": "both", "models": models}]}
    for _ in range(2):  # the second time there is nothing to add
        providers.bulk_import_providers(payload, headers=sa)
    [found] = [row for row in providers.list_providers(headers=sa)["providers"] if row["label"] == name]
    assert len(providers.list_models(found["id"], headers=sa)["models"]) == 2
    providers.delete_provider(found["id"], headers=sa)


def test_seeding_the_catalogue_again_changes_nothing(owner: Owner) -> None:
    settings = owner.client.settings
    before = settings.list_settings_providers()
    assert before["llm_providers"]
    assert before["embedding_providers"]
    for _ in range(2):
        settings.seed_settings_providers()
    assert settings.list_settings_providers() == before


def test_only_a_super_admin_changes_the_catalogue(owner: Owner) -> None:
    providers = ProviderService(owner.client)
    assert refused(providers.create_provider, "Mine", "llm").status_code == 403


def ids_of(owner: Owner, slug: str) -> dict[str, str]:
    """The first four arguments of `create_settings`."""
    offered, found = owner.client.settings.list_settings_providers(), {}
    for part in ("llm", "embedding"):
        [provider] = [row for row in offered[f"{part}_providers"] if row["value"] == slug]
        found[f"{part}_provider_id"] = provider["id"]
        found[f"{part}_model_id"] = next(row["id"] for row in provider["models"] if row["type"] == part)
    return found


def test_settings_are_made_read_tried_changed_and_deleted(owner: Owner, server: OpenAIServer) -> None:
    settings: Any = owner.client.settings
    ids = ids_of(owner, "openai")
    addresses = {f"{part}_api_base_url": server.base_url for part in ("llm", "embedding")}
    keys = {f"{part}_api_key": KEY for part in ("llm", "embedding")}

    made = settings.create_settings(**ids, **keys, **addresses, llm_temperature=0.2, llm_max_tokens=100)["settings"]
    assert {name: made[name] for name in ids} == ids
    assert (made["llm_temperature"], made["llm_max_tokens"], made["is_default"]) == (0.2, 100, False)
    read = settings.get_settings(made["id"])
    assert KEY not in str(read)
    assert read["settings"]["llm_api_key"] == "********"

    tried = settings.test_settings(made["id"])
    assert (tried["llm"]["response"], tried["embedding"]["dimension"]) == ("The model is ready.", 1536)
    wrong = settings.test_settings(made["id"], {"llm_api_key": "sk-wrong"})
    assert (wrong["llm"]["error_code"], KEY in str(wrong)) == ("LLM_AUTHENTICATION", False)

    assert settings.update_settings(made["id"], llm_max_tokens=200)["settings"]["llm_max_tokens"] == 200
    assert settings.update_settings(made["id"])["settings"]["llm_max_tokens"] == 200  # an empty update
    listed = settings.list_company_settings(owner.company_id)["settings"]
    assert made["id"] in [row["id"] for row in listed]
    assert KEY not in str(listed)

    settings.delete_settings(made["id"])
    assert refused(settings.get_settings, made["id"]).status_code == 404


def test_settings_by_names_belong_to_an_agent_and_the_default_stays(owner: Owner) -> None:
    settings, agent_id = owner.client.settings, owner.create_agent("Its own settings")
    made = settings.create_settings_with_provider_names(
        "BuiltIn", "Extractive", "HuggingFace", "all-MiniLM-L6-v2", agent_id=agent_id, llm_temperature=0.1
    )["settings"]
    [own] = settings.list_agent_settings(agent_id)["settings"]
    assert (own["id"], own["llm_model_name"], own["llm_temperature"]) == (made["id"], "extractive", 0.1)

    [default] = [row for row in settings.list_company_settings(owner.company_id)["settings"] if row["is_default"]]
    assert refused(settings.delete_settings, default["id"]).status_code == 400
    assert refused(settings.get_settings, str(uuid.uuid4())).status_code == 404
