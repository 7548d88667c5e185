"""Replies that are kept ready, for all people of the company."""

from __future__ import annotations

import re
import uuid

from django.db import IntegrityError, transaction

from conversations.exceptions import CannedReplyExistsError
from conversations.models import CannedReply
from conversations.selectors import get_canned_reply
from conversations.services.turns import clean_message
from knowrithm.errors import ConflictError, InvalidInputError
from knowrithm.principal import Principal
from tenants.audit.services import changed_fields, record_event

MOST = 500
SHORTCUT = re.compile(r"[\w-]{1,40}")


@transaction.atomic
def create_canned_reply(*, actor: Principal, shortcut: str, text: str) -> CannedReply:
    """Raises `CannedReplyExistsError` for a shortcut that is taken."""
    if CannedReply.objects.count() >= MOST:
        raise ConflictError(f"A company has at most {MOST} canned replies. Delete one first.")
    reply = CannedReply(shortcut=_clean_shortcut(shortcut), text=clean_message(text))
    _save(reply)
    record_event(actor=actor, event_type="canned_reply.created", entity=reply)
    return reply


@transaction.atomic
def update_canned_reply(
    *, actor: Principal, reply_id: uuid.UUID, shortcut: str | None = None, text: str | None = None
) -> CannedReply:
    reply = get_canned_reply(reply_id)
    before = {"shortcut": reply.shortcut, "text": reply.text}
    if shortcut is not None:
        reply.shortcut = _clean_shortcut(shortcut)
    if text is not None:
        reply.text = clean_message(text)
    _save(reply)
    changes = changed_fields(before, {"shortcut": reply.shortcut, "text": reply.text})
    record_event(actor=actor, event_type="canned_reply.updated", entity=reply, changes=changes)
    return reply


@transaction.atomic
def delete_canned_reply(*, actor: Principal, reply_id: uuid.UUID) -> None:
    reply = get_canned_reply(reply_id)
    CannedReply.objects.filter(pk=reply.pk).delete()
    record_event(actor=actor, event_type="canned_reply.deleted", entity=reply)


def _clean_shortcut(shortcut: str) -> str:
    cleaned = shortcut.strip().removeprefix("/")
    if not SHORTCUT.fullmatch(cleaned):
        raise InvalidInputError(
            "A shortcut has 1 to 40 letters, digits, hyphens or underscores.",
            fields={"shortcut": ["Use letters, digits, hyphens and underscores."]},
        )
    return cleaned


def _save(reply: CannedReply) -> None:
    try:
        with transaction.atomic():
            reply.save()
    except IntegrityError:
        raise CannedReplyExistsError(
            f"There is a canned reply /{reply.shortcut} already.", fields={"shortcut": ["It is taken."]}
        ) from None
