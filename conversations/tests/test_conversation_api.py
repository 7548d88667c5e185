from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from conftest import Character
from conversations import turn
from conversations.models import Conversation, Message
from leads.models import Lead


@pytest.fixture
def conversation(acme_api: APIClient, acme: Character) -> str:
    made = acme_api.post("/api/v1/conversation", {"agent_id": str(acme.agent.id), "title": "Pumps"}).json()
    assert made["id"] == made["conversation"]["id"]
    return str(made["id"])


def chat(client: APIClient, conversation: str, message: Any) -> Any:
    return client.post(f"/api/v1/conversation/{conversation}/chat", {"message": message})


def messages(client: APIClient, conversation: str, **query: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = client.get(f"/api/v1/conversation/{conversation}/messages", query).json()["messages"]
    return listed


def test_a_question_is_accepted_with_all_that_clients_poll(acme_api: APIClient, conversation: str) -> None:
    answer = chat(acme_api, conversation, "How long is the warranty?")

    assert answer.status_code == 202
    body = answer.json()
    assert body["status"] == "queued"
    assert body["status_url"] == f"/api/v1/tasks/{body['task_id']}/status"
    (question,) = messages(acme_api, conversation)
    assert (question["id"], question["role"]) == (body["message_id"], "user")
    assert acme_api.get(body["status_url"]).json()["status"] == "pending"


def test_a_question_brings_what_is_new_of_the_visit(acme_api: APIClient, acme: Character, conversation: str) -> None:
    def known_after(**metadata: Any) -> dict[str, Any]:
        body = {"message": "How long?", "metadata": metadata}
        answer = acme_api.post(f"/api/v1/conversation/{conversation}/chat", body, format="json")
        assert answer.status_code == 202, answer.content
        with tenant_context(acme.company):
            found: dict[str, Any] = Conversation.objects.get(pk=conversation).metadata
            return found

    assert known_after(page_title="Pumps", cart=1) == {"page_title": "Pumps", "cart": 1}
    assert known_after() == {"page_title": "Pumps", "cart": 1}
    assert known_after(page_title="Seals") == {"page_title": "Seals", "cart": 1}
    assert known_after(page_title="x" * 16_384) == {"page_title": "Seals", "cart": 1}  # too long; asked all the same
    refused = acme_api.post(
        f"/api/v1/conversation/{conversation}/chat", {"message": "How?", "metadata": ["x"]}, format="json"
    )
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["metadata"])


def test_an_answer_is_listed_when_it_is_finished(acme_api: APIClient, acme: Character, conversation: str) -> None:
    """A published client that polls takes the first assistant message after its own for the whole answer."""
    body = chat(acme_api, conversation, "How long is the warranty?").json()
    assert [row["role"] for row in messages(acme_api, conversation)] == ["user"]
    assert [row["status"] for row in messages(acme_api, conversation, include_pending="true")] == [
        "completed",
        "pending",
    ]
    with tenant_context(acme.company):
        turn.run(uuid.UUID(body["assistant_message_id"]))

    listed = messages(acme_api, conversation)
    assert [row["role"] for row in listed] == ["user", "assistant"]
    assert acme_api.get(body["status_url"]).json()["content"] == listed[1]["content"]


def test_a_failed_answer_is_never_an_empty_bubble(acme_api: APIClient, acme: Character, conversation: str) -> None:
    chat(acme_api, conversation, "How long?")
    with tenant_context(acme.company):
        Message.objects.filter(role="assistant").update(status="failed", error="The model is down.")
    assert messages(acme_api, conversation)[1]["content"] == "The model is down."


@pytest.mark.parametrize(
    "message", ["", "  \n", "\u200b\ufeff\u2060", "\u3164 \u2800", "x" * 200_000, None, {"a": 1}, ["x"]]
)
def test_a_message_that_is_none(acme_api: APIClient, conversation: str, message: Any) -> None:
    answer = chat(acme_api, conversation, message)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["message"])
    assert messages(acme_api, conversation) == []


def test_the_first_question_becomes_the_title_of_an_unnamed_conversation(acme_api: APIClient, acme: Character) -> None:
    made = acme_api.post("/api/v1/conversation", {"agent_id": str(acme.agent.id)}).json()
    chat(acme_api, made["id"], "How  long\nis it?")
    (row,) = acme_api.get("/api/v1/conversation").json()["conversations"]
    assert row["title"] == "How long is it?"


def test_archive_and_restore(acme_api: APIClient, conversation: str) -> None:
    assert acme_api.delete(f"/api/v1/conversation/{conversation}").status_code == 200
    assert chat(acme_api, conversation, "hello").status_code == 404
    deleted = acme_api.get("/api/v1/conversation/deleted").json()
    assert [row["id"] for row in deleted["deleted_conversations"]] == [conversation]
    assert deleted["conversations"][0]["deleted_at"] is not None
    assert acme_api.patch(f"/api/v1/conversation/{conversation}/restore").status_code == 200
    assert chat(acme_api, conversation, "hello").status_code == 202


def register(client: APIClient, acme: Character, email: str = "ada@example.org", **extra: Any) -> Any:
    body = {"agent_id": str(acme.agent.id), "first_name": "Ada", "last_name": "Byron", "email": email, "phone": ""}
    return client.post("/api/v1/lead/register", {**body, **extra})


def lead_client(registered: Any) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {registered.json()['access_token']}")
    return client


def test_a_lead_talks_in_its_own_conversation(anonymous: APIClient, acme: Character, conversation: str) -> None:
    registered = register(anonymous, acme)
    assert (registered.status_code, registered.json()["success"]) == (201, True)
    lead = lead_client(registered)

    made = lead.post("/api/v1/conversation", {"agent_id": str(acme.agent.id), "title": "Website Chat"})
    assert made.status_code == 201
    assert chat(lead, made.json()["conversation"]["id"], "hello").status_code == 202
    assert chat(lead, conversation, "hello").status_code == 404  # the team's
    assert lead.get("/api/v1/lead/company").status_code == 403


def test_registering_again_is_the_same_lead_and_tells_nothing(anonymous: APIClient, acme: Character) -> None:
    first = register(anonymous, acme, phone="555-1234").json()
    again = register(anonymous, acme, email="ADA@example.org", first_name="Eve")

    assert again.json()["lead"]["id"] == first["lead"]["id"]
    assert "555-1234" not in json.dumps(again.json())
    with tenant_context(acme.company):
        assert Lead.objects.get().first_name == "Ada"


def test_an_archived_lead_or_inactive_agent_is_refused(
    anonymous: APIClient, acme_api: APIClient, acme: Character
) -> None:
    lead = lead_client(register(anonymous, acme))
    acme_api.put(f"/api/v1/agent/{acme.agent.id}", {"status": "inactive"})
    assert lead.post("/api/v1/conversation", {"agent_id": str(acme.agent.id)}).status_code == 409
    with tenant_context(acme.company):
        Lead.objects.update(archived_at="2026-01-01T00:00:00Z")
    assert lead.post("/api/v1/conversation", {"agent_id": str(acme.agent.id)}).status_code == 401


def test_without_consent_nobody_is_registered(anonymous: APIClient, acme: Character) -> None:
    assert register(anonymous, acme, consent_data_processing=False).status_code == 400
    with tenant_context(acme.company):
        assert Lead.objects.count() == 0


@pytest.mark.parametrize("count", [1, 3])
def test_lists_need_the_same_queries_for_any_number(
    acme_api: APIClient,
    acme: Character,
    conversation: str,
    django_assert_num_queries: DjangoAssertNumQueries,
    count: int,
) -> None:
    for number in range(count):
        chat(acme_api, conversation, f"question {number}")
        if number:
            acme_api.post("/api/v1/conversation", {"agent_id": str(acme.agent.id)})
    # session, path, page
    with django_assert_num_queries(3):
        assert len(acme_api.get("/api/v1/conversation").json()["conversations"]) == count
    # session, path, conversation, page, citations
    with django_assert_num_queries(5):
        assert len(messages(acme_api, conversation)) == count


def test_where_streams_are_not_served_it_says_so(acme_api: APIClient, conversation: str) -> None:
    answer = acme_api.get(f"/api/v1/conversation/{conversation}/messages/stream", HTTP_ACCEPT="text/event-stream")
    assert (answer.status_code, answer.json()["code"]) == (503, "STREAMING_UNAVAILABLE")
    body = {"message": "Hello?", "stream": True}
    answer = acme_api.post(f"/api/v1/conversation/{conversation}/chat", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "STREAMING_UNAVAILABLE")
    assert messages(acme_api, conversation) == []  # and has not taken the question
