"""What a worker does around handovers: summaries, visitors whom nobody answers, and mails to those who have left."""

from __future__ import annotations

import time
import uuid
from contextlib import closing
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from agents.handover import read_handover
from agents.hours import read_hours
from agents.languages import direction_of
from agents.selectors import agent_to_answer, settings_in_order
from conversations import handing, streams
from conversations.enums import HandoverEnd, HandoverReason, Owner
from conversations.models import Conversation, Handover, Message
from conversations.reply_links import reply_link
from conversations.selectors_inbox import taken_conversations
from conversations.summary import LONGEST, spoken, summary_request
from conversations.wording import notice, sentence, texts
from integrations.notifications.enums import Kind
from integrations.notifications.selectors import active_people
from integrations.notifications.services import notify
from knowrithm.circuits import Circuits
from knowrithm.db.compiled import ANY_ID, CompiledQuery
from knowrithm.db.schema import release_connection
from knowrithm.jobs import current_schema
from knowrithm.llm.base import ProviderError
from knowrithm.llm.fallback import AnswerStream
from leads.enums import EventKind
from leads.models import Lead, LeadEvent
from tenants import mail
from tenants.audit.services import record_event
from tenants.enums import Letter

log = structlog.get_logger(__name__)

UNSEEN_SECONDS = 10  # after which who has the conversation would have seen the message in an open inbox
SUMMARY_SECONDS = 60.0
DEMO = "demo"  # the source of the demo page's nameless visitors


# --- Summaries ----------------------------------------------------------------------------------------------------


def summarise(handover_id: uuid.UUID) -> None:
    """By the agent's model. Where it has none, or that fails, what was taken from the messages stays."""
    rows = Handover.objects.select_related("conversation")
    handover = rows.filter(pk=handover_id).exclude(ended_at=None).first()
    if handover is None:
        return
    conversation = handover.conversation
    in_order = settings_in_order(agent_to_answer(conversation.agent_id).llm_settings)
    models = [row for row in in_order if not row.only_quotes]
    messages = spoken(conversation, handover)
    if not models or not messages:
        return
    stream = AnswerStream(
        [row.candidate() for row in models], summary_request(messages), breaker=Circuits(current_schema()),
        deadline=time.monotonic() + SUMMARY_SECONDS, is_wanted=lambda: True,
    )  # fmt: skip
    release_connection()
    said = ""
    try:
        with closing(stream.deltas()) as deltas:
            for delta in deltas:
                said += delta.text
    except ProviderError as error:
        log.warning("handover_not_summarised", handover=str(handover_id), error=str(error))
        return
    if text := said.strip()[:LONGEST]:
        # Where somebody has handed over once more meanwhile, theirs stays.
        rows_now = Conversation.objects.filter(pk=conversation.pk, handover_summary=handover.summary)
        rows_now.update(handover_summary=text)
        Handover.objects.filter(pk=handover.pk).update(summary=text)


# --- Visitors whom nobody answers ---------------------------------------------------------------------------------


@transaction.atomic
def tell_person(message_id: uuid.UUID) -> None:
    """That a visitor wrote to who has the conversation, unless they have seen it meanwhile.

    Once, until they look; by mail too where they are not online.
    """
    rows = Message.objects.live().select_related("conversation__agent")
    message = rows.filter(pk=message_id, conversation__archived_at=None).first()
    conversation = message.conversation if message else None
    if message is None or conversation is None or conversation.read_position >= message.position:
        return
    if conversation.owner != Owner.PERSON or conversation.person_id is None:
        return
    is_here = _is_online(conversation.person_id)
    notify(
        kind=Kind.MESSAGE, key=f"{conversation.pk}:{conversation.read_position}:{'here' if is_here else 'gone'}",
        user_ids=[conversation.person_id], path=handing.inbox_path(conversation), is_mailed=not is_here,
        text=f"A visitor of {conversation.agent.name} wrote to you",
    )  # fmt: skip


def return_unanswered() -> list[uuid.UUID]:
    """Conversations whose person does not answer wait again, so that the agent and other people can. Returns the
    agent's replies to what is open, which are to be made.

    Also those of people who may not sign in any more: who was suspended at the instant of taking one has kept it. The
    others after the agent's `wait_minutes`, and twice as many while the person is online. Whatever the hours: outside
    of them the visitor hears when people are there, and is not left alone until then.
    """
    now = timezone.now()
    taken: list[Any] = list(taken_conversations())
    active = set(active_people(current_schema(), among={row.person_id for row in taken if row.person_id}))
    replies: list[Message | None] = []
    for conversation in taken:
        if conversation.person_id is None or conversation.person_id not in active:
            replies.append(_return(conversation, reason=HandoverReason.LEFT, end=HandoverEnd.LEFT))
            continue
        since = conversation.taken_at or conversation.asked_at
        if since is None:
            continue
        patience = timedelta(minutes=read_handover(conversation.agent.handover).wait_minutes)
        if since < now - patience * (2 if _is_online(conversation.person_id) else 1):
            replies.append(_return(conversation, reason=HandoverReason.SILENT, end=HandoverEnd.SILENT))
    return [reply.pk for reply in replies if reply is not None]


@transaction.atomic
def _return(found: Conversation, *, reason: HandoverReason, end: HandoverEnd) -> Message | None:
    rows = Conversation.objects.live().select_related("agent", "lead__merged_into").select_for_update(of=("self",))
    as_it_was = {"owner": Owner.PERSON, "person_id": found.person_id, "last_position": found.last_position}
    conversation = rows.filter(pk=found.pk, **as_it_was).first()
    if conversation is None:
        return None  # answered, handed on or asked once more meanwhile
    handover = handing.leave(conversation, reason=reason, end=end)
    record_event(
        actor=None, event_type="handover.returned", entity=handover, entity_label=f"with {conversation.agent.name}",
        changes={"owner": (Owner.PERSON, Owner.WAITING), "person_id": (found.person_id, None)},
    )  # fmt: skip
    return handing.take_up_question(conversation)


def _is_online(user_id: uuid.UUID) -> bool:
    return streams.presence_of(current_schema(), [user_id])[user_id] == "online"


def alert_unanswered() -> None:
    """Of handovers that have waited for longer than the agent allows, within the hours of the company's people."""
    waiting = Handover.objects.filter(ended_at=None, assigned_at=None, alerted_at=None)
    now = timezone.now()
    for handover in waiting.select_related("conversation__agent"):
        agent = handover.conversation.agent
        hours, rules = read_hours(agent.operating_hours), read_handover(agent.handover)
        is_late = handover.created_at < now - timedelta(minutes=rules.wait_minutes)
        if is_late and (hours is None or hours.is_open(now)):
            _alert(handover)


@transaction.atomic
def _alert(handover: Handover) -> None:
    rows = Conversation.objects.live().select_related("agent").select_for_update(of=("self",))
    conversation = rows.filter(pk=handover.conversation_id).first()
    still = Handover.objects.filter(pk=handover.pk, ended_at=None, assigned_at=None, alerted_at=None)
    if not still.update(alerted_at=timezone.now()) or conversation is None:
        return  # taken meanwhile
    is_reachable = handing.is_reachable_by_mail(conversation, handover)
    rest = "answer_by_mail" if is_reachable else "leave_address_for_mail"
    handing.tell(conversation, notice("unanswered"), notice(rest))
    handing.save(conversation)
    handing.announce_owner(conversation)
    notify(
        kind=Kind.HANDOVER, key=f"{handover.pk}:late", path=handing.inbox_path(conversation),
        text=f"A visitor of {conversation.agent.name} waits for a person and nobody has answered",
    )  # fmt: skip
    record_event(
        actor=None, event_type="handover.unanswered", entity=handover, entity_label=f"with {conversation.agent.name}"
    )


# --- Mails to visitors who have left ------------------------------------------------------------------------------


def mail_visitor(conversation_id: uuid.UUID) -> None:
    """What people have said since the visitor was here last, with a link to answer. Raises `MailNotSentError`.

    To a visitor who still listens nothing is mailed: they have read it.
    """
    rows = Conversation.objects.live().select_related("agent", "lead__merged_into")
    conversation = rows.filter(pk=conversation_id).exclude(lead=None).first()
    if conversation is None:
        return
    said = list(
        Message.objects.live()
        .filter(conversation=conversation, author_id__isnull=False, position__gt=conversation.mailed_position)
        .order_by("position")
    )
    handover = Handover.objects.filter(conversation=conversation).first()
    address = handing.mail_address_of(conversation, handover)
    is_here = streams.is_present(streams.visitor_key(current_schema(), conversation.pk))
    if not said or not (address or is_here):
        return
    mine = Conversation.objects.filter(pk=conversation.pk, mailed_position=conversation.mailed_position)
    if not mine.update(mailed_position=said[-1].position) or is_here:
        return  # another worker's, or read
    language = conversation.language
    person = conversation.lead.person if conversation.lead else None
    name = person.first_name if person and not person.is_nameless else ""
    try:
        mail.send(
            Letter.REPLY, to=address, subject=sentence("mail_subject", language, name=said[-1].author_name),
            context={
                "said": said, "link": reply_link(current_schema(), conversation.pk), "texts": texts(language),
                "language": language or "en", "direction": direction_of(language),
                "hello": sentence("mail_hello" if name else "mail_hello_nameless", language, name=name),
                "note": sentence("mail_note", language, agent=conversation.agent.name),
                "footer": sentence("mail_footer", language, site=settings.BASE_URL),
            },
        )  # fmt: skip
    except mail.MailNotSentError:
        Conversation.objects.filter(pk=conversation.pk, mailed_position=said[-1].position).update(
            mailed_position=conversation.mailed_position
        )
        raise
    record_event(
        actor=None, event_type="handover.visitor_mailed", entity=conversation,
        entity_label=f"with {conversation.agent.name}",
    )  # fmt: skip


# --- Leads --------------------------------------------------------------------------------------------------------


_LEAD_AND_AGENT: CompiledQuery[Any] = CompiledQuery(
    lambda: Lead.objects.live().exclude(source=DEMO).annotate(agent_name=F("agent__name")).filter(pk=ANY_ID).order_by()
)
_ADDITION: CompiledQuery[LeadEvent] = CompiledQuery(
    lambda: LeadEvent.objects.filter(lead=ANY_ID, kind=EventKind.CREATED).order_by()
)


@transaction.atomic
def tell_of_lead(lead_id: uuid.UUID) -> None:
    lead = _LEAD_AND_AGENT.get(lead_id)
    if lead is None:
        return
    added = next(iter(_ADDITION.of(lead_id)), None)
    who, people = lead.full_name or "A visitor", None
    if added is None:
        text = f"{who} registered" + (f" with {lead.agent_name}" if lead.agent_name else "")
    else:
        text = f"{who} was added by {added.actor_label or 'your team'}"
        people = [one for one in active_people(current_schema()) if one != added.actor_id]  # who did it knows it
    notify(kind=Kind.LEAD, key=str(lead.pk), text=text, user_ids=people, path=reverse("lead", args=[lead.pk]))
