"""What the inbox shows."""

from __future__ import annotations

from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from conversations.enums import MessageRole, Owner
from conversations.models import CannedReply, Conversation, Handover, Message, PrivateNote
from conversations.selectors import conversations_for
from knowrithm.principal import Principal

SHOW = ("open", "waiting", "mine", "closed", "all")


def inbox(actor: Principal, *, show: str = "open") -> QuerySet[Conversation]:
    """What people have, or are waited for in; what has been waiting longest first among those, else newest first.

    Each with `last_text`, `reason`, `words`, `waiting_since` and `is_unread`. One query.
    """
    rows = conversations_for(actor).exclude(owner=Owner.AGENT)
    if show == "waiting":
        rows = rows.filter(owner=Owner.WAITING)
    elif show == "mine":
        rows = rows.filter(owner=Owner.PERSON, person_id=actor.user_id)
    elif show == "closed":
        rows = rows.filter(owner=Owner.CLOSED)
    elif show == "open":
        rows = rows.exclude(owner=Owner.CLOSED)
    said = Message.objects.live().filter(conversation=OuterRef("pk")).exclude(role=MessageRole.SYSTEM)
    newest = Handover.objects.filter(conversation=OuterRef("pk")).order_by("-created_at")
    rows = rows.annotate(
        last_text=Subquery(said.order_by("-position").values("content")[:1]),
        reason=Subquery(newest.values("reason")[:1]),
        words=Subquery(newest.values("words")[:1]),
        waiting_since=Subquery(newest.filter(ended_at=None, assigned_at=None).values("created_at")[:1]),
        is_unread=Q(last_position__gt=F("read_position")),
    )
    return rows.order_by(F("waiting_since").asc(nulls_last=True), "-last_activity", "pk")


def count_waiting(actor: Principal) -> int:
    return conversations_for(actor).filter(owner=Owner.WAITING).count()


def notes_of(conversation: Conversation) -> QuerySet[PrivateNote]:
    return PrivateNote.objects.filter(conversation=conversation).order_by("created_at")


def handovers_of(conversation: Conversation) -> QuerySet[Handover]:
    return Handover.objects.filter(conversation=conversation).order_by("-created_at")


def canned_replies() -> QuerySet[CannedReply]:
    return CannedReply.objects.order_by("shortcut")


def thread_of(conversation: Conversation, *, newest: int) -> list[Any]:
    """The newest messages and the notes between them, oldest first. Two queries."""
    rows = Message.objects.live().filter(conversation=conversation).order_by("-position")[:newest]
    said: list[Any] = list(reversed(rows))
    first = said[0].position if said else 0
    notes = list(notes_of(conversation).filter(after_position__gte=first - 1))
    return sorted(
        [*said, *notes], key=lambda row: (getattr(row, "position", None) or row.after_position, row.created_at)
    )


def get_handover(conversation: Conversation) -> Handover | None:
    return handovers_of(conversation).first()
