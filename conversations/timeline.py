"""All that has happened with a lead: what it said, and what the company did."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from conversations.models import Conversation
from conversations.selectors import with_first_questions
from leads.enums import EventKind
from leads.models import Lead, LeadConsent, LeadEvent

SHOWN = 200  # of each kind, the newest


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a timeline. `text` is what somebody wrote."""

    at: datetime
    symbol: str
    heading: str
    text: str = ""
    who: str = ""
    conversation_id: uuid.UUID | None = None


def timeline_of(lead: Lead, merged: Collection[Lead]) -> list[Moment]:
    """Newest first. Three queries."""
    everybody = [lead, *merged]
    ids = [one.pk for one in everybody]
    events = list(LeadEvent.objects.filter(lead__in=ids).order_by("-created_at")[:SHOWN])
    added = {event.lead_id for event in events if event.kind in {EventKind.CREATED, EventKind.IMPORTED}}
    moments = [_registration(one) for one in everybody if one.pk not in added]
    talks = (
        Conversation.objects.filter(lead__in=ids).select_related("agent", "lead__merged_into").order_by("-created_at")
    )
    conversations = with_first_questions(talks)
    moments += [_conversation(one) for one in conversations[:SHOWN]]
    moments += [_event(one) for one in events]
    moments += [_consent(one) for one in LeadConsent.objects.filter(lead__in=ids).order_by("-created_at")[:SHOWN]]
    return sorted(moments, key=lambda moment: moment.at, reverse=True)


def _registration(lead: Lead) -> Moment:
    where = f"with {lead.agent.name}" if lead.agent else "by your team"
    return Moment(lead.created_at, "user", f"Registered {where}", who=lead.source)


def _conversation(conversation: Conversation) -> Moment:
    heading = f"Talked with {conversation.agent.name}"
    is_gone = conversation.archived_at is not None
    return Moment(
        conversation.created_at,
        "chat",
        f"{heading} (archived)" if is_gone else heading,
        conversation.shown_title,
        f"{conversation.message_count} messages",
        conversation.pk,
    )


def _event(event: LeadEvent) -> Moment:
    who = event.actor_label
    if event.kind == EventKind.STATUS:
        heading = f"{event.from_status.capitalize()} → {event.to_status.capitalize()}"
        return Moment(event.created_at, "arrow-right", heading, event.note, who)
    if event.kind == EventKind.NOTE:
        return Moment(event.created_at, "pencil", "Note", event.note, who)
    headings = {
        EventKind.MERGED.value: f"Merged with a lead {event.note}",
        EventKind.UNMERGED.value: f"A lead {event.note} was taken out",
        EventKind.IMPORTED.value: "Imported",
        EventKind.CREATED.value: "Added",
    }
    return Moment(event.created_at, "users", headings[event.kind], who=who)


def _consent(consent: LeadConsent) -> Moment:
    what = "marketing" if consent.kind == "marketing" else "the processing of their data"
    heading = f"{'Consent' if consent.is_given else 'No consent'} to {what}"
    version = f"Version {consent.text_version} of the text" if consent.text_version else ""
    if consent.is_unproven:
        who = "somebody with this address"
        return Moment(consent.created_at, "shield", f"{heading}, said anew", version, who)
    return Moment(consent.created_at, "shield", heading, version, consent.actor_label or "the visitor")
