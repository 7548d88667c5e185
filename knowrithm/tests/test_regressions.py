"""Each of these was once a leak, a lock-out or a 500."""

from __future__ import annotations

from typing import Any

import pytest
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from agents.models import Agent, LLMSettings
from agents.services import update_agent
from conftest import Character, key_client
from documents.enums import IndexState
from documents.indexes import hold_or_make_index, index_of, outstanding
from documents.models import Document
from knowrithm.db.redis import sync_redis
from knowrithm.jobs import create_task, read_task, report_progress
from tenants.models import User
from tenants.services import ensure_super_admin, start_session

OPENAI = {
    "llm_provider": "openai",
    "llm_model": "gpt-4o-mini",
    "embedding_provider": "builtin",
    "embedding_model": "all-MiniLM-L6-v2",
    "llm_api_key": "sk-secret",
}


def test_a_stored_key_is_not_sent_to_another_address(acme_api: APIClient, acme: Character) -> None:
    made = acme_api.post("/api/v1/sdk/settings", OPENAI).json()
    changed = acme_api.put(f"/api/v1/settings/{made['id']}", {"llm_api_base_url": "https://evil.example/v1"})
    assert changed.json()["settings"]["llm_api_key"] is None
    with tenant_context(acme.company):
        assert LLMSettings.objects.get(pk=made["id"]).llm_api_key == ""


def test_a_key_reaches_no_further_than_the_person_behind_it(acme: Character) -> None:
    key = key_client(acme, "write", "admin")
    assert key.post("/api/v1/sdk/settings", OPENAI).status_code == 201
    User.objects.filter(pk=acme.admin.pk).update(role="user")
    assert key.post("/api/v1/sdk/settings", OPENAI).status_code == 403
    assert key.post("/api/v1/auth/user", {}).status_code == 403


@pytest.mark.parametrize("name", ["America", "Etc", "../etc/passwd", "Nowhere/Land", "x" * 64])
def test_a_time_zone_that_is_none(acme_api: APIClient, acme_client: Any, acme: Character, name: str) -> None:
    assert acme_api.put("/api/v1/user/profile", {"timezone": name}).status_code == 400
    User.objects.filter(pk=acme.admin.pk).update(timezone=name)  # stored before it was checked
    assert acme_client.get("/account").status_code == 200


@pytest.mark.parametrize("path", ["agent", "document", "conversation", "lead/company", "company", "auth/api-keys"])
def test_a_super_admin_without_a_company_is_told_so(anonymous: APIClient, db: None, path: str) -> None:
    admin = ensure_super_admin(email="root@example.org", password="a-long-enough-password")
    anonymous.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=admin).tokens.access}")
    assert anonymous.get(f"/api/v1/{path}").status_code == 403
    assert anonymous.get("/api/v1/auth/user/me").json()["company"] is None


@pytest.mark.parametrize(
    "body", ['{"preferences": {"x": 1e999}}', '{"preferences": {"x": -1e999}}', '{"preferences": {"x": NaN}}']
)
def test_numbers_that_json_does_not_have(acme_api: APIClient, body: str) -> None:
    assert acme_api.put("/api/v1/user/profile", body, content_type="application/json").status_code == 400


@pytest.mark.parametrize("urls", ['["http://a/\\u0000"]', '["http://a/\\ud800"]', "[" * 100_000, "http://[::1"])
def test_addresses_that_are_none(acme_api: APIClient, acme: Character, urls: str) -> None:
    answer = acme_api.post(
        "/api/v1/document/upload", {"agent_id": str(acme.agent.id), "urls": urls}, format="multipart"
    )
    assert answer.status_code == 400


def test_a_provider_that_refuses_is_no_fault_of_ours(acme_api: APIClient, acme: Character) -> None:
    choices = {"embedding_provider": "openai", "embedding_model": "text-embedding-3-small"}  # and no key
    acme_api.put(f"/api/v1/agent/{acme.agent.id}", {"settings": choices})
    with tenant_context(acme.company):
        hold_or_make_index(Agent.objects.get(pk=acme.agent.pk))  # it has something to search
    answer = acme_api.post("/api/v1/search/document", {"agent_id": str(acme.agent.id), "query": "pump"})
    assert (answer.status_code, answer.json()["code"]) == (503, "LLM_AUTHENTICATION")


def test_an_edit_leaves_the_counters_alone(acme_api: APIClient, acme: Character) -> None:
    with tenant_context(acme.company):
        stale = Agent.objects.with_settings().get(pk=acme.agent.pk)
        Agent.objects.filter(pk=stale.pk).update(total_messages=7)
    acme_api.put(f"/api/v1/agent/{acme.agent.id}", {"name": "Renamed"})
    with tenant_context(acme.company):
        update_agent(actor=acme.principal, agent=stale, changes={"name": "Again"})
        assert Agent.objects.get(pk=stale.pk).total_messages == 7


def test_a_visitor_cannot_go_on_with_an_agent_that_was_switched_off(
    anonymous: APIClient, acme_api: APIClient, acme: Character
) -> None:
    lead = {"agent_id": str(acme.agent.id), "first_name": "A", "last_name": "B", "email": "a@b.example"}
    token = anonymous.post("/api/v1/lead/register", lead).json()["access_token"]
    anonymous.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    conversation = anonymous.post("/api/v1/conversation", {"agent_id": str(acme.agent.id)}).json()["id"]
    acme_api.put(f"/api/v1/agent/{acme.agent.id}", {"status": "maintenance"})
    assert anonymous.post(f"/api/v1/conversation/{conversation}/chat", {"message": "hi"}).status_code == 409


def test_half_a_task_record_is_still_one(in_acme: Character) -> None:
    task_id = create_task()
    sync_redis().delete(f"task:{task_id}")  # Redis was emptied
    report_progress(task_id, 50, "Reading")
    record = read_task(task_id)
    assert record is not None
    assert (record.schema, record.progress) == (in_acme.company.schema_name, 50)


def test_a_changed_embedder_reads_archived_documents_anew_as_well(acme_api: APIClient, acme: Character) -> None:
    with tenant_context(acme.company):
        hold_or_make_index(acme.agent)
        for archived_at in (None, "2026-01-01T00:00:00Z"):
            Document.objects.create(
                agent=acme.agent, original_filename="a.txt", document_type="txt", status="processed",
                archived_at=archived_at,
            )  # fmt: skip
    choices = {
        "embedding_provider": "openai",
        "embedding_model": "text-embedding-3-small",
        "embedding_api_key": "sk-test",
    }
    assert acme_api.put(f"/api/v1/agent/{acme.agent.id}", {"settings": choices}).status_code == 200
    with tenant_context(acme.company):
        index = index_of(Agent.objects.get(pk=acme.agent.pk), IndexState.BUILDING)
        assert index is not None
        assert outstanding(index).count() == 2
