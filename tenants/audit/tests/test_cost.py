"""What a row costs, and that writers wait for each other for no longer than they must."""

from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from conftest import Character
from conversations.services import create_conversation, start_turn
from tenants.audit.services import record_event


def test_a_row_takes_two_statements(in_acme: Character, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    in_acme.company.refresh_from_db()  # the schema is set by now
    with django_assert_num_queries(2):  # the lock with the end of the chain; the row with the new end
        record_event(actor=in_acme.principal, event_type="agent.updated", entity=in_acme.agent)


def test_a_chat_message_writes_its_row_last(in_acme: Character) -> None:
    conversation = create_conversation(actor=in_acme.principal, agent=in_acme.agent)
    with CaptureQueriesContext(connection) as captured:
        start_turn(actor=in_acme.principal, conversation_id=conversation.id, text="Hello?")
    statements = [query["sql"] for query in captured.captured_queries]
    # … the lock, guardrails, messages, the conversation, who is told by webhook, and the log
    words = ["SAVEPOINT", "SELECT", "SELECT", "INSERT", "UPDATE", "SELECT", "SET", "WITH", "RELEASE"]
    assert [sql.split()[0] for sql in statements] == words


def test_foreign_keys_are_checked_before_the_lock(in_acme: Character) -> None:
    """Or the check at the commit would wait for another writer's row with the lock that they wait for in hand."""
    conversation = create_conversation(actor=in_acme.principal, agent=in_acme.agent)
    with transaction.atomic():
        type(conversation).objects.filter(pk=conversation.pk).update(agent_id=uuid.uuid4())
        with CaptureQueriesContext(connection) as captured, pytest.raises(IntegrityError), transaction.atomic():
            record_event(actor=in_acme.principal, event_type="agent.updated", entity=in_acme.agent)
        transaction.set_rollback(True)
    words = ["SAVEPOINT", "SET", "ROLLBACK", "SET", "RELEASE"]  # nothing after the first SET, which locks and fails
    assert [query["sql"].split()[0] for query in captured.captured_queries] == words
