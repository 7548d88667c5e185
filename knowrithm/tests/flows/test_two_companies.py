"""A company's key and everything of another company's: the contract's scenario 45, by the published Python client.

The walk in `knowrithm/tests/test_isolation.py` does the same to every route; here it is the client's own methods.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from knowrithm.tests.flows.files import library, write_files
from knowrithm.tests.flows.test_sdk import refused
from knowrithm.tests.platform import BUILTIN, FLOW, PASSWORD, Owner, Platform

pytestmark = FLOW


@pytest.fixture(scope="module")
def stranger(platform: Platform) -> Owner:
    return platform.found_company()


@pytest.fixture(scope="module")
def ids(owner: Owner, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One of everything that the owner has."""
    agent = owner.client.agents.create_agent({"name": "Mine"}, settings=BUILTIN)
    agent_id = agent["agent"]["id"]
    path = write_files(tmp_path_factory.mktemp("isolation"), {"pump.txt": library()["pump.txt"]})[0]
    [document_id] = owner.upload(agent_id, Path(path))
    owner.await_document(document_id, seconds=240)  # a platform that has just started reads its own documents first
    conversation_id = owner.start_conversation(agent_id)
    owner.client.messages.send_message(conversation_id, "Hello?")
    visitor = {"first_name": "Vi", "last_name": "Sitor", "email": "vi@isolation.example", "agent_id": agent_id}
    person = {"username": "isolated", "password": PASSWORD, "first_name": "I", "last_name": "S"}
    state_id = owner.client.addresses.list_states_by_country(owner.client.addresses.list_countries()[0]["id"])[0]["id"]
    city = owner.client.addresses.create_city("Isolated", state_id)["city"]
    return {
        "agent": agent_id,
        "settings": agent["settings"]["id"],
        "document": document_id,
        "chunk": owner.document(document_id)["chunks"][0]["id"],
        "conversation": conversation_id,
        "lead": owner.platform.client().leads.register_lead(visitor)["lead"]["id"],
        "user": owner.client.auth.create_user({"email": "isolated@acme.example", **person})["user"]["id"],
        "api_key": owner.client.api_keys.list_api_keys(owner.jwt)["api_keys"][0]["id"],
        "company": owner.company_id,
        "city": city["id"],
    }


def attempts(client: Any, ids: dict[str, str], jwt: Any) -> dict[str, Any]:
    """What a key can try with a foreign id, each as the client does it."""
    agent, conversation = ids["agent"], ids["conversation"]
    return {
        "agent update": lambda: client.agents.update_agent(agent, {"name": "Taken"}),
        "agent delete": lambda: client.agents.delete_agent(agent),
        "agent restore": lambda: client.agents.restore_agent(agent),
        "agent clone": lambda: client.agents.clone_agent(agent, name="Stolen"),
        "agent stats": lambda: client.agents.get_agent_stats(agent),
        "settings read": lambda: client.settings.get_settings(ids["settings"]),
        "settings delete": lambda: client.settings.delete_settings(ids["settings"]),
        "settings of agent": lambda: client.settings.list_agent_settings(agent),
        "settings of company": lambda: client.settings.list_company_settings(ids["company"]),
        "upload": lambda: client.documents.upload_documents(agent, urls=["https://example.org/"]),
        "document delete": lambda: client.documents.delete_document(ids["document"]),
        "document restore": lambda: client.documents.restore_document(ids["document"]),
        "chunk delete": lambda: client.documents.delete_document_chunk(ids["chunk"]),
        "chunk restore": lambda: client.documents.restore_document_chunk(ids["chunk"]),
        "chunks delete": lambda: client.documents.delete_document_chunks(ids["document"]),
        "search": lambda: client.analytics.search_documents("warranty", agent),
        "conversation start": lambda: client.conversations.create_conversation(agent),
        "conversation read": lambda: client.conversations.list_conversation_messages(conversation),
        "conversation delete": lambda: client.conversations.delete_conversation(conversation),
        "ask": lambda: client.messages.send_message(conversation, "Hello?"),
        "ask and stream": lambda: list(client.messages.send_message(conversation, "Hello?", stream=True)),
        "stream": lambda: list(client.messages.stream_conversation_messages(conversation)),
        "lead read": lambda: client.leads.get_lead(ids["lead"]),
        "lead update": lambda: client.leads.update_lead(ids["lead"], {"status": "lost"}),
        "lead delete": lambda: client.leads.delete_lead(ids["lead"]),
        "user read": lambda: client.users.get_user(ids["user"], jwt),
        "user govern": lambda: client.admin.get_user(ids["user"]),
        "user suspend": lambda: client.admin.update_user_status(ids["user"], "suspended"),
        "user reset": lambda: client.admin.force_password_reset(ids["user"]),
        "key revoke": lambda: client.api_keys.delete_api_key(ids["api_key"], jwt),
        "key usage": lambda: client.api_keys.get_detailed_usage(ids["api_key"]),
        "company update": lambda: client.companies.update_company(ids["company"], {"name": "Taken"}),
        "company patch": lambda: client.companies.patch_company(ids["company"], {"name": "Taken"}),
        "company delete": lambda: client.companies.delete_company(ids["company"]),
        "company restore": lambda: client.companies.restore_company(ids["company"]),
        "company statistics": lambda: client.companies.get_company_statistics(company_id=ids["company"]),
        "company related": lambda: client.companies.get_related_data_summary(ids["company"]),
        "company purge": lambda: client.companies.cascade_delete_company(ids["company"], delete_related=True),
        "company metrics": lambda: client.admin.get_company_system_metrics(company_id=ids["company"]),
        "people of company": lambda: client.admin.list_users(company_id=ids["company"]),
        "city read": lambda: client.addresses.get_city(ids["city"]),
        "city update": lambda: client.addresses.update_city(int(ids["city"]), name="Taken"),
    }


def test_every_id_of_another_company_is_refused_and_nothing_changes(
    owner: Owner, stranger: Owner, ids: dict[str, str]
) -> None:
    def everything() -> list[Any]:
        return [
            owner.client.agents.get_agent(ids["agent"])["agent"],
            owner.client.settings.get_settings(ids["settings"]),
            owner.document(ids["document"]),
            owner.messages(ids["conversation"]),
            owner.client.leads.list_company_leads(search="vi@isolation.example")["leads"],
            owner.client.admin.get_user(ids["user"])["data"],
            owner.client.companies.get_company()["name"],
            owner.client.addresses.get_city(int(ids["city"])),
        ]

    before = everything()
    calls = attempts(stranger.client, ids, stranger.jwt)
    outcomes = {name: refused(call).status_code for name, call in calls.items()}
    assert {name: status for name, status in outcomes.items() if status not in (403, 404)} == {}
    assert everything() == before
    assert owner.client.api_keys.validate_credentials({})["valid"] is True
    # By name nobody finds it either.
    assert refused(stranger.client.agents.get_agent_by_name, "Mine").status_code == 404


def test_lists_never_hold_what_is_another_company_s(owner: Owner, stranger: Owner, ids: dict[str, str]) -> None:
    def lists(who: Owner) -> dict[str, Any]:
        client = who.client
        return {
            "agents": client.agents.list_agents(per_page=100),
            "settings": client.settings.list_company_settings(who.company_id),
            "documents": client.documents.list_documents(per_page=100),
            "deleted documents": client.documents.list_deleted_documents(),
            "deleted chunks": client.documents.list_deleted_chunks(),
            "conversations": client.conversations.list_conversations(per_page=100),
            "deleted conversations": client.conversations.list_deleted_conversations(),
            "leads": client.leads.list_company_leads(per_page=100),
            "people": client.admin.list_users(per_page=100),
            "keys": client.api_keys.list_api_keys(who.jwt),
            "audit log": client.admin.get_audit_logs(limit=100),
            "configuration": client.admin.get_system_configuration(),
            "metrics": client.admin.get_company_system_metrics(),
            "addresses": client.addresses.get_company_address(),
            "deleted companies": client.companies.list_deleted_companies(),
        }

    secret = {name: value for name, value in ids.items() if name != "city"}.items()
    found = {
        (kind, name) for kind, answer in lists(stranger).items() for name, value in secret if str(value) in str(answer)
    }
    assert found == set()
    # The same search finds them where they belong, so it could have found them.
    own = {(kind, name) for kind, answer in lists(owner).items() for name, value in secret if str(value) in str(answer)}
    assert {name for _, name in own} == {name for name, _ in secret} - {"chunk"}
