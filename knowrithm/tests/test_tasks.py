from __future__ import annotations

import uuid

import pytest
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from agents.models import Agent
from conftest import Character
from documents.tasks import resume_stalled
from knowrithm.db.redis import sync_redis
from knowrithm.db.schema import schema_name
from knowrithm.jobs import NoCompanyError, company_task, complete_task, create_task, enqueue, fail_task, report_progress


@pytest.fixture
def task_id(in_acme: Character) -> str:
    return create_task()


def status(client: APIClient, task_id: str) -> dict[str, object]:
    answer = client.get(f"/api/v1/tasks/{task_id}/status")
    assert answer.status_code == 200
    body: dict[str, object] = answer.json()
    return body


def test_a_running_task_says_when_to_ask_again(anonymous: APIClient, task_id: str) -> None:
    report_progress(task_id, 40, "Reading")
    answer = anonymous.get(f"/api/v1/tasks/{task_id}/status")
    assert answer.headers["Retry-After"] == "0.5"
    body = answer.json()
    assert (body["status"], body["state"], body["progress"], body["error"]) == ("processing", "PROGRESS", 40, None)


def test_a_result_is_spread_without_words_that_clients_take_for_the_task(anonymous: APIClient, task_id: str) -> None:
    complete_task(task_id, {"content": "hi", "status": "active", "errors": [], "data": [1], "task_id": "other"})
    body = status(anonymous, task_id)
    assert (body["status"], body["state"], body["content"], body["task_id"]) == ("completed", "SUCCESS", "hi", task_id)
    assert "errors" not in body
    assert "data" not in body
    assert body["result"] == {"content": "hi", "status": "active", "errors": [], "data": [1], "task_id": "other"}


def test_a_failure_is_told_as_text(anonymous: APIClient, task_id: str) -> None:
    fail_task(task_id, "It broke.", "X_1")
    body = status(anonymous, task_id)
    assert (body["status"], body["state"]) == ("failed", "FAILURE")
    assert (body["error"], body["message"], body["error_code"]) == ("It broke.", "It broke.", "X_1")


def test_after_a_while_only_its_company_may_read_it(
    anonymous: APIClient, acme_api: APIClient, globex_api: APIClient, task_id: str
) -> None:
    complete_task(task_id, {"content": "secret"})
    sync_redis().hset(f"task:{task_id}", "completed_at", "1.0")

    url = f"/api/v1/tasks/{task_id}/status"
    assert [client.get(url).status_code for client in (anonymous, globex_api, acme_api)] == [404, 404, 200]
    assert anonymous.get(url, HTTP_X_API_KEY="x", HTTP_X_API_SECRET="y").status_code == 404


@pytest.mark.django_db
def test_an_unknown_task_is_404(anonymous: APIClient) -> None:
    assert anonymous.get(f"/api/v1/tasks/{uuid.uuid4()}/status").status_code == 404


@pytest.mark.django_db
def test_work_without_a_company_cannot_be_queued() -> None:
    with pytest.raises(NoCompanyError):
        enqueue(resume_stalled)
    with pytest.raises(NoCompanyError):
        create_task()


seen: list[tuple[str, int]] = []


@company_task(name="tests.note")
def note(agent_id: str) -> None:
    seen.append((schema_name(), Agent.objects.filter(pk=agent_id).count()))


def test_a_task_runs_in_the_company_of_its_message_and_leaves_none_behind(acme: Character, globex: Character) -> None:
    with tenant_context(acme.company):
        assert Agent.objects.filter(pk=acme.agent.pk).exists()
    agent_id = str(acme.agent.pk)
    for who in (acme, globex):  # the right agent, then the wrong company
        note.run(who.company.schema_name, agent_id)
    assert seen == [(acme.company.schema_name, 1), (globex.company.schema_name, 0)]
    assert schema_name() == "public"
