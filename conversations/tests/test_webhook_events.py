"""What webhooks are told of leads, conversations, answers and documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.base import ContentFile

from conftest import Character
from conversations import turn
from conversations.models import Message
from conversations.services import archive_conversation, create_conversation, start_test, start_turn
from documents import jobs, tasks
from documents.models import Document
from integrations.models import Webhook, WebhookDelivery
from leads.services import register_lead


@pytest.fixture
def told(in_acme: Character) -> Character:
    Webhook.objects.create(name="All", url="https://example.com/", secret="s")
    return in_acme


def heard() -> list[tuple[str, dict[str, Any]]]:
    rows = WebhookDelivery.objects.order_by("created_at")
    return [(row.event_type, json.loads(row.payload)) for row in rows]


def test_a_lead_is_told_of_once(told: Character) -> None:
    for first_name in ("Vic", "Typed anew"):
        register_lead(
            agent=told.agent, company_id=told.company.id, email="vic@example.org", first_name=first_name, phone="+49 1"
        )
    [(event, data)] = heard()
    assert event == "lead.created"
    assert (data["first_name"], data["email"], data["phone"]) == ("Vic", "vic@example.org", "+49 1")
    assert data["agent_id"] == str(told.agent.pk)
    assert {name for name in data if "token" in name or "hash" in name} == set()


def test_a_conversation_its_question_and_its_answer(told: Character) -> None:
    conversation = create_conversation(actor=told.principal, agent=told.agent)
    asked = start_turn(actor=told.principal, conversation_id=conversation.pk, text="How long is the warranty?")
    turn.run(asked.reply.pk)
    archive_conversation(actor=told.principal, conversation=conversation)
    assert [event for event, _ in heard()] == [
        "conversation.started", "message.received", "message.answered", "conversation.ended",
    ]  # fmt: skip
    _, (_, question), (_, answer), (_, ended) = heard()
    assert (question["content"], question["role"]) == ("How long is the warranty?", "user")
    assert answer["reply_to"] == question["message_id"] == str(asked.question.pk)
    assert answer["content"] == Message.objects.get(pk=asked.reply.pk).content
    assert (answer["is_refusal"], answer["sources"]) == (True, [])
    assert ended["conversation_id"] == str(conversation.pk)


def test_an_answer_that_fails(told: Character) -> None:
    conversation = create_conversation(actor=told.principal, agent=told.agent)
    asked = start_turn(actor=told.principal, conversation_id=conversation.pk, text="How long is the warranty?")
    Message.objects.filter(pk=asked.reply.pk).update(
        attempts=turn.MAX_ATTEMPTS, status="processing", lease_until="2020-01-01T00:00Z"
    )
    turn.resume_abandoned(tasks.ingest)
    event, data = heard()[-1]
    assert (event, data["error_code"], data["message_id"]) == ("message.failed", "TURN_ABANDONED", str(asked.reply.pk))


def test_a_test_of_an_agent_is_nobodys_business(told: Character) -> None:
    start_test(actor=told.principal, agent=told.agent, query="Hello?")
    turn.run(Message.objects.get(role="assistant").pk)
    assert heard() == []


def test_documents_that_were_read_and_that_could_not_be(told: Character) -> None:
    for name, content in (("good.txt", b"The pump is made in Lyon."), ("bad.pdf", b"%PDF-1.4 nothing")):
        document = Document(agent=told.agent, original_filename=name, document_type=name[-3:], file_size=len(content))
        document.file.save("original", ContentFile(content), save=False)
        document.save()
        jobs.run(jobs.queue_job(document, tasks.ingest).pk, tasks.ingest)
    (first, good), (second, bad) = heard()
    assert (first, good["name"], good["chunk_count"], good["status"]) == (
        "document.processed",
        "good.txt",
        1,
        "processed",
    )
    assert (second, bad["name"], bad["status"]) == ("document.failed", "bad.pdf", "failed")
    assert bad["error"] == Document.objects.get(original_filename="bad.pdf").processing_error
