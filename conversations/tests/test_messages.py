"""Single messages, and the directory of conversations: what people delete, rate, put anew and look for."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from conftest import Character
from conversations import turn
from conversations.models import Conversation, Message
from conversations.tests.test_conversation_api import chat, lead_client, messages, register


@pytest.fixture
def conversation(acme_api: APIClient, acme: Character) -> str:
    made = acme_api.post("/api/v1/conversation", {"agent_id": str(acme.agent.id)}).json()
    return str(made["id"])


def ask(api: APIClient, who: Character, conversation: str, text: str = "How long is the warranty?") -> dict[str, Any]:
    """A question that has been answered: the 202 of its chat."""
    body: dict[str, Any] = chat(api, conversation, text).json()
    answer(who, body)
    return body


def answer(who: Character, accepted: dict[str, Any]) -> None:
    with tenant_context(who.company):
        turn.run(uuid.UUID(accepted["assistant_message_id"]))


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def counted(api: APIClient) -> int:
    (row,) = api.get("/api/v1/conversation").json()["conversations"]
    return int(row["message_count"])


def test_a_message_is_archived_and_restored(acme_api: APIClient, acme: Character, conversation: str) -> None:
    asked = ask(acme_api, acme, conversation)
    question, reply = asked["message_id"], asked["assistant_message_id"]
    deleted = acme_api.delete(f"/api/v1/message/{question}")
    assert (deleted.status_code, deleted.json()["message_id"]) == (200, question)
    assert (ids(messages(acme_api, conversation)), counted(acme_api)) == ([reply], 1)
    (row,) = acme_api.get("/api/v1/message/deleted").json()["deleted_messages"]
    assert row["id"] == question
    assert row["deleted_at"] is not None
    assert acme_api.delete(f"/api/v1/message/{question}").status_code == 404
    assert acme_api.patch(f"/api/v1/message/{question}/restore").status_code == 200
    assert (ids(messages(acme_api, conversation)), counted(acme_api)) == ([question, reply], 2)


def test_all_messages_of_a_conversation(acme_api: APIClient, acme: Character, conversation: str) -> None:
    ask(acme_api, acme, conversation)
    ask(acme_api, acme, conversation, "And the price?")
    path = f"/api/v1/conversation/{conversation}"
    assert acme_api.delete(f"{path}/messages").json()["deleted_messages_count"] == 4
    assert (messages(acme_api, conversation), counted(acme_api)) == ([], 0)
    assert acme_api.patch(f"{path}/message/restore-all").json()["restored_messages_count"] == 4
    assert (len(messages(acme_api, conversation)), counted(acme_api)) == (4, 4)
    ask(acme_api, acme, conversation, "Where?")  # positions go on
    assert counted(acme_api) == 6


def test_a_message_of_an_archived_conversation_stays(acme_api: APIClient, acme: Character, conversation: str) -> None:
    question = ask(acme_api, acme, conversation)["message_id"]
    acme_api.delete(f"/api/v1/message/{question}")
    acme_api.delete(f"/api/v1/conversation/{conversation}")
    refused = acme_api.patch(f"/api/v1/message/{question}/restore")
    assert (refused.status_code, refused.json()["code"]) == (400, "CONVERSATION_ARCHIVED")
    assert acme_api.get("/api/v1/message/deleted").json()["deleted_messages"] == []


def test_an_answer_is_made_again(acme_api: APIClient, acme: Character, conversation: str) -> None:
    asked = ask(acme_api, acme, conversation)
    again = acme_api.post(f"/api/v1/message/{asked['assistant_message_id']}/regenerate")
    assert (again.status_code, again.json()["message_id"]) == (202, asked["message_id"])
    early = acme_api.post(f"/api/v1/message/{asked['message_id']}/regenerate")
    assert (early.status_code, early.json()["code"]) == (409, "STILL_ANSWERING")
    assert early.json()["message"] == "The answer is still being made. Wait for it, or stop it."
    answer(acme, again.json())
    question, reply = messages(acme_api, conversation)
    assert (question["id"], reply["id"]) == (asked["message_id"], again.json()["assistant_message_id"])
    assert reply["replaces"] == asked["assistant_message_id"]
    assert counted(acme_api) == 2
    # The old one is kept, and stays where it is.
    refused = acme_api.patch(f"/api/v1/message/{asked['assistant_message_id']}/restore")
    assert (refused.status_code, refused.json()["code"]) == (409, "MESSAGE_REPLACED")
    assert (
        acme_api.patch(f"/api/v1/conversation/{conversation}/message/restore-all").json()["restored_messages_count"]
        == 0
    )


def test_what_a_newer_one_has_replaced_is_told_from_what_is_not_there(
    acme_api: APIClient, globex_api: APIClient, acme: Character, conversation: str
) -> None:
    asked = ask(acme_api, acme, conversation)
    answer(acme, acme_api.patch(f"/api/v1/message/{asked['message_id']}", {"message": "How long?"}).json())
    question, reply = asked["message_id"], asked["assistant_message_id"]
    for call in (
        acme_api.post(f"/api/v1/message/{reply}/regenerate"),
        acme_api.post(f"/api/v1/message/{question}/regenerate"),
        acme_api.patch(f"/api/v1/message/{question}", {"message": "How long now?"}),
    ):
        assert (call.status_code, call.json()["code"]) == (409, "MESSAGE_REPLACED")
    assert globex_api.post(f"/api/v1/message/{reply}/regenerate").status_code == 404
    newest = messages(acme_api, conversation)[1]["id"]
    acme_api.delete(f"/api/v1/message/{newest}")
    assert acme_api.post(f"/api/v1/message/{newest}/regenerate").status_code == 404, "archived, and not replaced"
    acme_api.delete(f"/api/v1/conversation/{conversation}")
    assert acme_api.post(f"/api/v1/message/{reply}/regenerate").status_code == 404


def test_a_question_is_put_anew(acme_api: APIClient, acme: Character, conversation: str) -> None:
    first = ask(acme_api, acme, conversation, "What?")
    ask(acme_api, acme, conversation, "How lnog?")
    late = acme_api.patch(f"/api/v1/message/{first['message_id']}", {"message": "Who?"})
    assert (late.status_code, late.json()["code"]) == (409, "NOT_THE_NEWEST_MESSAGE")
    wrong = messages(acme_api, conversation)[2]["id"]
    assert acme_api.patch(f"/api/v1/message/{wrong}", {"message": " "}).status_code == 400
    changed = acme_api.patch(f"/api/v1/message/{wrong}", {"message": "How long?"})
    assert changed.status_code == 202
    answer(acme, changed.json())
    assert [row["content"] for row in messages(acme_api, conversation)[::2]] == ["What?", "How long?"]
    assert messages(acme_api, conversation)[2]["replaces"] == wrong
    assert counted(acme_api) == 4


def stars(api: APIClient, owner: Character) -> tuple[float, float]:
    """What the list of agents and the agent's statistics say."""
    [listed] = api.get("/api/v1/agent").json()["agents"]
    one = f"/api/v1/agent/{owner.agent.pk}"
    assert listed["embed_code"] == api.get(f"{one}/embed-code").json()["embed_code"]
    return listed["average_rating"], api.get(f"{one}/stats").json()["average_rating"]


def test_an_answer_is_rated(acme_api: APIClient, acme: Character, conversation: str) -> None:
    asked = ask(acme_api, acme, conversation)
    path = f"/api/v1/message/{asked['assistant_message_id']}/feedback"
    rated = acme_api.post(path, {"rating": -1, "comment": " Not what I asked. "}).json()
    assert (rated["data"]["user_feedback"], rated["data"]["feedback_comment"]) == (-1, "Not what I asked.")
    assert messages(acme_api, conversation)[1]["user_feedback"] == -1
    assert stars(acme_api, acme) == (1.0, 1.0)
    acme_api.post(path, {"rating": 1})
    acme_api.post(path, {"rating": 1})  # the same again
    assert stars(acme_api, acme) == (5.0, 5.0)
    assert acme_api.post(path, {"rating": None}, format="json").json()["data"]["user_feedback"] is None
    assert stars(acme_api, acme) == (0.0, 0.0)
    for rating in (5, "good", {"a": 1}):
        assert acme_api.post(path, {"rating": rating}, format="json").status_code == 400
    assert acme_api.post(f"/api/v1/message/{asked['message_id']}/feedback", {"rating": 1}).status_code == 400


def test_a_visitor_rates_and_asks_again_in_its_own_conversation_only(
    anonymous: APIClient, acme_api: APIClient, acme: Character, conversation: str
) -> None:
    lead = lead_client(register(anonymous, acme))
    own = lead.post("/api/v1/conversation", {"agent_id": str(acme.agent.id)}).json()["id"]
    asked, teams = ask(lead, acme, own), ask(acme_api, acme, conversation)
    rated = lead.post(f"/api/v1/message/{asked['assistant_message_id']}/feedback", {"rating": 1})
    assert rated.json()["data"] == messages(lead, own)[1], "what it cost and why it failed is the company's"
    assert "cost" not in rated.json()["data"]
    assert lead.post(f"/api/v1/message/{asked['assistant_message_id']}/regenerate").status_code == 202
    assert lead.delete(f"/api/v1/message/{asked['message_id']}").status_code == 403
    assert lead.post(f"/api/v1/message/{teams['assistant_message_id']}/feedback", {"rating": 1}).status_code == 404
    assert lead.post(f"/api/v1/message/{teams['assistant_message_id']}/regenerate").status_code == 404
    assert lead.patch(f"/api/v1/message/{teams['message_id']}", {"message": "x"}).status_code == 404


# --- The directory ------------------------------------------------------------------------------------------------


def test_what_visitors_do_besides_asking_is_limited(
    anonymous: APIClient, acme_api: APIClient, acme: Character, settings: Settings
) -> None:
    lead = lead_client(register(anonymous, acme))
    own = lead.post("/api/v1/conversation", {"agent_id": str(acme.agent.id)}).json()["id"]
    message = f"/api/v1/message/{ask(lead, acme, own)['assistant_message_id']}"
    handover = f"/api/v1/conversation/{own}/handover"

    def statuses(api: APIClient) -> list[int]:
        calls = [
            api.post(f"{message}/feedback", {"rating": 1}),
            api.post(f"{message}/stop"),
            api.post(f"/api/v1/conversation/{own}/typing", {"is_typing": True}),
            api.get(handover),
        ]
        return [call.status_code for call in calls]

    settings.RATE_LIMIT_ENABLED = True
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "chat": "4/minute", "visit": "3/minute"}
    assert statuses(lead) == [200, 202, 200, 200]
    assert statuses(lead) == [429, 429, 429, 429]
    assert statuses(acme_api) == [200, 202, 200, 200]
    assert statuses(acme_api) == [200, 202, 200, 200]

    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "chat": "100/minute", "visit": "2/minute"}
    assert statuses(lead) == [200, 202, 200, 200]
    assert statuses(lead) == [429, 429, 200, 200]
    assert lead.post(handover, {}).status_code == 429


def found(api: APIClient, path: str = "", **query: str) -> list[str]:
    return ids(api.get(f"/api/v1/conversation{path}", query).json()["conversations"])


def test_conversations_by_whom_they_are_with(
    anonymous: APIClient, acme_api: APIClient, acme: Character, conversation: str
) -> None:
    registered = register(anonymous, acme)
    lead = lead_client(registered)
    theirs = lead.post("/api/v1/conversation", {"agent_id": str(acme.agent.id)}).json()["id"]
    lead_id, person = registered.json()["lead"]["id"], str(acme.admin.id)
    assert found(acme_api) == [theirs, conversation]
    assert found(acme_api, "/entity") == [conversation]
    assert found(acme_api, f"/entity/{lead_id}") == [theirs]
    assert found(acme_api, f"/entity/{lead_id}", entity_type="user") == []
    assert found(acme_api, f"/entity/{person}", entity_type="user") == [conversation]
    assert acme_api.get(f"/api/v1/conversation/entity/{person}?entity_type=x").status_code == 400


def test_conversations_by_state(acme_api: APIClient, acme: Character, conversation: str) -> None:
    gone, closed = (
        acme_api.post("/api/v1/conversation", {"agent_id": str(acme.agent.id)}).json()["id"] for _ in range(2)
    )
    acme_api.delete(f"/api/v1/conversation/{gone}")
    changed = acme_api.patch(f"/api/v1/conversation/{closed}", {"status": "archived"})
    assert changed.json()["conversation"]["status"] == "archived"
    agent = f"/agent/{acme.agent.id}"
    assert found(acme_api, agent) == [conversation]
    assert found(acme_api, agent, status="archived") == [closed]
    assert found(acme_api, agent, status="deleted") == [gone]
    assert set(found(acme_api, agent, status="all")) == {conversation, gone, closed}
    statuses = {row["id"]: row["status"] for row in acme_api.get("/api/v1/conversation?status=all").json()["items"]}
    assert statuses == {conversation: "active", gone: "deleted", closed: "archived"}
    assert acme_api.get("/api/v1/conversation?status=lost").status_code == 400
    assert acme_api.patch(f"/api/v1/conversation/{closed}", {"status": "deleted"}).status_code == 400


def test_conversations_by_what_was_said(acme_api: APIClient, acme: Character, conversation: str) -> None:
    other = acme_api.post("/api/v1/conversation", {"agent_id": str(acme.agent.id), "title": "Prices"}).json()["id"]
    ask(acme_api, acme, conversation, "Is there a 100% refund?")
    assert found(acme_api, search="REFUND") == [conversation]
    assert found(acme_api, search="100% r") == [conversation]
    assert found(acme_api, search="price") == [other]
    body = {"title": "Tariffs", "tags": ["vip", " vip", "new"], "metadata": {"a": 1}}
    named = acme_api.patch(f"/api/v1/conversation/{other}", body, format="json").json()["conversation"]
    assert (named["title"], named["tags"], named["metadata"]) == ("Tariffs", ["vip", "new"], {"a": 1})
    assert found(acme_api, tag="vip") == [other]
    assert found(acme_api, created_after="2999-01-01T00:00:00Z") == []
    assert len(found(acme_api, created_before="2999-01-01T00:00:00Z")) == 2
    assert acme_api.get("/api/v1/conversation?created_after=soon").status_code == 400


@pytest.mark.parametrize("count", [1, 3])
def test_deleted_messages_cost_the_same_however_many(
    acme_api: APIClient,
    acme: Character,
    conversation: str,
    count: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with tenant_context(acme.company):
        row = Conversation.objects.get(pk=conversation)
        for position in range(1, count + 1):
            Message.objects.create(
                conversation=row, position=position, role="user", content="x", archived_at=row.created_at
            )
    # session, path, page, citations
    with django_assert_num_queries(4):
        assert len(acme_api.get("/api/v1/message/deleted").json()["deleted_messages"]) == count
