"""What the inbox shows."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, Exists, F, OuterRef, Prefetch, Q, QuerySet, Subquery, When

from conversations.enums import HandoverReason, MessageRole, MessageStatus, Owner
from conversations.models import CannedReply, Citation, Conversation, Handover, Message, PrivateNote
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
    spoken = Message.objects.live().filter(conversation=OuterRef("pk")).exclude(role=MessageRole.SYSTEM)
    said = spoken.exclude(status=MessageStatus.FAILED)  # half an answer is none
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
    """The newest messages with what they cite, and the notes between them, oldest first. Three queries."""
    live = Message.objects.live().filter(conversation=conversation)
    cited = Prefetch("citations", Citation.objects.filter(is_cited=True).order_by("number"))
    rows = live.prefetch_related(cited).order_by("-position")[:newest]
    said: list[Any] = list(reversed(rows))
    first = said[0].position if said else 0
    notes = list(notes_of(conversation).filter(after_position__gte=first - 1))
    return sorted(
        [*said, *notes], key=lambda row: (getattr(row, "position", None) or row.after_position, row.created_at)
    )


def taken_conversations() -> QuerySet[Conversation]:
    """Those that people have, and how long the visitor has waited for them.

    `asked_at`: of the first message of the visitor since the person spoke last or took it. `taken_at`: where the
    visitor waited for somebody, and whoever took it has said nothing yet. One query.
    """
    said = Message.objects.live().filter(conversation=OuterRef("pk"))
    by_person = said.filter(Q(author_id__isnull=False) | Q(notices__contains=[{"code": "taken"}])).order_by("-position")
    asked = said.filter(role=MessageRole.USER, position__gt=OuterRef("spoke_position")).order_by("position")
    awaited = Handover.objects.filter(conversation=OuterRef("pk"), ended_at=None).exclude(reason=HandoverReason.PERSON)
    rows: QuerySet[Conversation] = Conversation.objects.live().filter(owner=Owner.PERSON).select_related("agent")
    newest = by_person[:1]
    rows = rows.annotate(
        spoke_position=Subquery(newest.values("position")), spoke_id=Subquery(newest.values("author_id")),
        spoke_at=Subquery(newest.values("created_at")),
    )  # fmt: skip
    return rows.annotate(
        asked_at=Subquery(asked.values("created_at")[:1]),
        taken_at=Case(When(Exists(awaited), spoke_id=None, then=F("spoke_at")), default=None),
    )


def get_handover(conversation: Conversation) -> Handover | None:
    return handovers_of(conversation).first()
