"""An answer shows and says again what it cited, whatever has been purged since."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from conftest import Character
from conversations import replays
from conversations.enums import ReplayInputs
from conversations.models import Citation, Conversation
from conversations.records import message_record
from conversations.selectors import get_answer
from conversations.tests.test_replays import ask, conversation, read, server, taught
from conversations.tests.test_turn import TEXTS
from documents import purging
from documents.models import Document
from documents.versions import next_version, settle
from knowrithm.tests.providers import OpenAIServer
from tenants.models import Company

__all__ = ["conversation", "server", "taught"]
pytestmark = pytest.mark.django_db


def replaced_long_ago(old: Document) -> Document:
    new = Document.objects.create(
        agent=old.agent, original_filename="manual.txt", document_type="txt", status="processed", **next_version(old)
    )
    read(new, TEXTS)
    settle(new)
    Document.objects.filter(pk=old.pk).update(archived_at=timezone.now() - timedelta(days=400))
    return new


def test_a_version_that_an_answer_cites_stays(
    taught: Character, server: OpenAIServer, conversation: Conversation
) -> None:
    reply = ask(taught, conversation)
    old = Document.objects.get()
    replaced_long_ago(old)
    assert purging.purge_some(None) is None
    assert Document.objects.filter(pk=old.pk).exists()
    Citation.objects.filter(message=reply).update(is_cited=False)  # it was offered to the model, no more
    purging.purge_some(None)
    assert not Document.objects.filter(pk=old.pk).exists()


def test_the_answer_stays_as_it_was_and_can_be_made_again(
    taught: Character, server: OpenAIServer, conversation: Conversation
) -> None:
    reply = ask(taught, conversation)
    shown = message_record(reply)["sources"]
    old = Document.objects.get()
    replaced_long_ago(old)
    Company.objects.filter(pk=taught.company.pk).update(archive_retention_days=365)
    purging.purge_some(None)
    assert not Document.objects.filter(pk=old.pk).exists()
    reply = get_answer(taught.principal, reply.pk)
    links = ("document_id", "chunk_id")
    told = [{name: value for name, value in source.items() if name not in links} for source in shown]
    now = message_record(reply)["sources"]
    assert [{name: value for name, value in source.items() if name not in links} for source in now] == told
    assert {source["document_id"] for source in now} == {None}
    again = replays.answer_again(reply, ReplayInputs.THEN)
    assert (again["replayed"]["content"], again["replayed"]["is_same_prompt"]) == (reply.content, True)
