from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Case, Exists, Max, OuterRef, Prefetch, Q, QuerySet, Subquery, When
from django.db.models.functions import Left

from conversations.engine.prompt import Exchange
from conversations.enums import STOPPED, ConversationStatus, MessageRole, MessageStatus
from conversations.models import (
    SAID,
    UNANSWERED,
    UNTITLED,
    CannedReply,
    Citation,
    Conversation,
    Guardrail,
    GuardrailDecision,
    Message,
)
from knowrithm.db.compiled import ANY_ID, CompiledQuery
from knowrithm.errors import NotFoundError
from knowrithm.principal import Principal, PrincipalKind


def conversations_for(actor: Principal) -> QuerySet[Conversation]:
    """The live conversations that the caller may open: a lead its own, the company's people and keys all of them.

    A lead's token may have been issued to anybody who typed the lead's address, so it opens a conversation only
    together with that conversation's unguessable id, and no endpoint lists conversations to leads.
    """
    return _open_to(actor, Conversation.objects.live().select_related("agent", "lead__merged_into"))


def _open_to(actor: Principal, rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    if actor.kind == PrincipalKind.LEAD:
        return rows.filter(lead_id=actor.id, agent=actor.agent_id)
    if actor.kind == PrincipalKind.API_KEY:
        return rows.filter(Q(api_key_id=actor.id) | ~Exists(guardrails_of_key(actor.id)))
    return rows


def guardrails_of_key(api_key_id: uuid.UUID) -> QuerySet[Guardrail]:
    """A key that has any opens only the conversations that it began: others may hold what it must not hear."""
    return Guardrail.objects.filter(is_active=True, api_key_ids__contains=[api_key_id])


def get_conversation(actor: Principal, conversation_id: uuid.UUID, *, include_archived: bool = False) -> Conversation:
    """With archived ones, as the dashboard shows them, it has its first question too."""
    rows = (
        with_first_questions(conversations_with(actor, status="all")) if include_archived else conversations_for(actor)
    )
    conversation = rows.filter(pk=conversation_id).first()
    if conversation is None:
        raise NotFoundError("There is no such conversation.")
    return conversation


_LOCKED: CompiledQuery[Conversation] = CompiledQuery(
    lambda: Conversation.objects.live().filter(pk=ANY_ID).select_related("agent").select_for_update(of=("self",))
)


def is_open_to(actor: Principal, conversation: Conversation) -> bool:
    """The rule of `conversations_for`, for a row that has been read."""
    if actor.kind == PrincipalKind.API_KEY:
        return conversation.api_key_id == actor.id or not guardrails_of_key(actor.id).exists()
    whose = conversation.lead_id, conversation.agent_id
    return actor.kind != PrincipalKind.LEAD or whose == (actor.id, actor.agent_id)


def lock_conversation(actor: Principal, conversation_id: uuid.UUID) -> Conversation:
    """The conversation with its agent, its row locked until the transaction ends. Raises `NotFoundError`."""
    conversation = _LOCKED.get(conversation_id)
    if conversation is None or not is_open_to(actor, conversation):
        raise NotFoundError("There is no such conversation.")
    return conversation


def conversations_with(actor: Principal, *, search: str = "", status: str = "active") -> QuerySet[Conversation]:
    """Of `conversations_for`: those whose title or any message holds `search`. `status` may be deleted, or all."""
    rows: QuerySet[Conversation] = _open_to(actor, Conversation.objects.select_related("agent", "lead__merged_into"))
    if status == ConversationStatus.ARCHIVED:
        rows = rows.exclude(archived_at=None)
    elif status != "all":
        rows = rows.filter(archived_at=None, status=status)
    if search:
        # Two lists of ids, as each is found by an index of its own.
        said = Message.objects.filter(SAID, content__icontains=search).values("conversation_id")
        titled = Conversation.objects.order_by().filter(title__icontains=search).values("pk")
        rows = rows.filter(pk__in=titled.union(said.order_by()))
    return rows


def with_first_questions(rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """With the beginning of the `first_question` of those that have no title of their own."""
    asked = Message.objects.live().filter(conversation=OuterRef("pk"), role=MessageRole.USER).order_by("position")
    first = Subquery(asked.values_list(Left("content", 200))[:1])
    return rows.annotate(first_question=Case(When(title__in=UNTITLED, then=first), default=None))


def with_highlights(rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """With what a list shows of the answers: `has_unanswered`, `has_failure`, `best_feedback` and `worst_feedback`."""
    answers = Message.objects.live().filter(conversation=OuterRef("pk"), role=MessageRole.ASSISTANT)
    rated = answers.exclude(user_feedback=None)
    return rows.annotate(
        has_unanswered=Exists(answers.filter(UNANSWERED)),
        has_failure=Exists(answers.filter(status=MessageStatus.FAILED).exclude(error_code=STOPPED)),
        best_feedback=Subquery(rated.order_by("-user_feedback").values("user_feedback")[:1]),
        worst_feedback=Subquery(rated.order_by("user_feedback").values("user_feedback")[:1]),
    )


def get_message(actor: Principal, message_id: uuid.UUID) -> Message:
    """A live message of a conversation that the caller may open, with its conversation and agent."""
    rows = Message.objects.live().select_related("conversation__agent", "reply_to", "answered_by")
    message: Message | None = rows.filter(pk=message_id, conversation__archived_at=None).first()
    if message is None or not is_open_to(actor, message.conversation):
        raise NotFoundError("There is no such message.")
    return message


def get_answer(actor: Principal, message_id: uuid.UUID) -> Message:
    """The live answer of this id, or to the question of this id, with its conversation, agent and question."""
    message = get_message(actor, message_id)
    if message.role == MessageRole.USER:
        reply = live_reply(message)
        if reply is None:
            raise NotFoundError("This question has no answer.")
        reply.conversation, reply.reply_to = message.conversation, message
        return reply
    if message.reply_to is None:
        raise NotFoundError("This message is no answer of an agent: a person or the platform has written it.")
    return message


def archived_messages(actor: Principal) -> QuerySet[Message]:
    """Archived one by one, newest first, with their citations. Those of archived conversations are not listed."""
    rows: QuerySet[Message] = (
        Message.objects.archived()
        .filter(conversation__in=conversations_for(actor), replaced_by=None)
        .select_related("answered_by")
        .prefetch_related(Prefetch("citations", Citation.objects.order_by("number")))
        .order_by("-archived_at", "position")
    )
    return rows


def newest_question(conversation: Conversation) -> Message | None:
    rows = Message.objects.live().filter(conversation=conversation, role=MessageRole.USER)
    question: Message | None = rows.order_by("-position").first()
    return question


def left_open(conversation: Conversation, *, limit: int) -> list[Message]:
    """The newest of what has been asked and nobody has answered since, oldest first."""
    said = Message.objects.live().filter(conversation=conversation)
    answered = said.filter(role=MessageRole.ASSISTANT).aggregate(position=Max("position"))["position"] or 0
    rows = said.filter(role=MessageRole.USER, position__gt=answered).order_by("-position")
    return list(rows[:limit])[::-1]


def live_reply(question: Message) -> Message | None:
    reply: Message | None = Message.objects.live().filter(reply_to=question).first()
    return reply


def archived_conversations(actor: Principal) -> QuerySet[Conversation]:
    return _open_to(actor, Conversation.objects.archived().select_related("agent").order_by("-archived_at"))


def messages_of(conversation: Conversation) -> QuerySet[Message]:
    """Live messages with their citations, oldest first, in two queries."""
    rows: QuerySet[Message] = (
        Message.objects.live()
        .filter(conversation=conversation)
        .prefetch_related(Prefetch("citations", Citation.objects.order_by("number")))
        .select_related("answered_by")
        .defer("trace")
        .order_by("position")
    )
    return rows


def newest_reply(conversation_id: uuid.UUID) -> Message | None:
    reply: Message | None = (
        Message.objects.live()
        .filter(conversation_id=conversation_id, role=MessageRole.ASSISTANT, reply_to__isnull=False)
        .select_related("answered_by")
        .prefetch_related("citations")
        .order_by("-position")
        .first()
    )
    return reply


def _unfinished(conversation_id: uuid.UUID) -> QuerySet[Message]:
    rows: QuerySet[Message] = Message.objects.live().filter(
        conversation_id=conversation_id, status__in=[MessageStatus.PENDING, MessageStatus.PROCESSING]
    )
    return rows


def is_behind_another(reply: Message) -> bool:
    """Whether an earlier question of the conversation is still to be answered."""
    is_first = reply.position <= 2
    return not is_first and _unfinished(reply.conversation_id).filter(position__lt=reply.position).exists()


def next_in_line(reply: Message) -> uuid.UUID | None:
    """The reply of the conversation that waits for this one to end."""
    waiting = _WAITING.of(reply.conversation_id)
    return next((other.pk for other in waiting if other.position > reply.position), None)


_WAITING: CompiledQuery[Message] = CompiledQuery(
    lambda: _unfinished(ANY_ID).filter(status=MessageStatus.PENDING).order_by("position").only("pk", "position")
)


def exchanges_before(message: Message, *, limit: int) -> Sequence[Exchange]:
    """The last answered questions before `message`, oldest first, without those that a guardrail refused."""
    if message.position == 1:
        return []
    replies = (
        Message.objects.live()
        .filter(
            conversation_id=message.conversation_id,
            role=MessageRole.ASSISTANT,
            status=MessageStatus.COMPLETED,
            position__lt=message.position,
            reply_to__isnull=False,
            reply_to__archived_at=None,
            is_blocked=False,
        )
        .select_related("reply_to")
        .defer("trace")
        .order_by("-position")[:limit]
    )
    return [_exchange(reply) for reply in reversed(replies)]


def exchanges_named(reply_ids: Iterable[uuid.UUID]) -> Sequence[Exchange]:
    """Those of these answers that are still there, also archived ones, oldest first."""
    replies = Message.objects.filter(pk__in=list(reply_ids)).exclude(reply_to=None).select_related("reply_to")
    return [_exchange(reply) for reply in replies.defer("trace").order_by("position")]


def _exchange(reply: Message) -> Exchange:
    assert reply.reply_to is not None  # noqa: S101  # both queries leave out what replies to nothing
    return Exchange(reply.reply_to.content, reply.content, str(reply.pk))


def get_citation(citation_id: uuid.UUID) -> Citation:
    found = Citation.objects.select_related("document", "chunk", "message").filter(pk=citation_id).first()
    if found is None:
        raise NotFoundError("There is no such citation.")
    return found


def get_guardrail(guardrail_id: uuid.UUID) -> Guardrail:
    found = Guardrail.objects.filter(pk=guardrail_id).first()
    if found is None:
        raise NotFoundError("There is no such guardrail.")
    return found


def get_canned_reply(reply_id: uuid.UUID) -> CannedReply:
    found = CannedReply.objects.filter(pk=reply_id).first()
    if found is None:
        raise NotFoundError("There is no such canned reply.")
    return found


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """What to look for in the log of decisions; what is left out does not narrow."""

    guardrail_id: uuid.UUID | None = None
    agent_id: uuid.UUID | None = None
    conversation_id: uuid.UUID | None = None
    message_id: uuid.UUID | None = None
    stage: str = ""
    action: str = ""
    search: str = ""


def decisions_list(wanted: DecisionFilter) -> QuerySet[GuardrailDecision]:
    """Newest first, with their messages, conversations and agents."""
    rows = GuardrailDecision.objects.select_related("message__conversation__agent")
    columns = {
        "guardrail": wanted.guardrail_id,
        "message__conversation__agent": wanted.agent_id,
        "message__conversation": wanted.conversation_id,
        "message": wanted.message_id,
        "stage": wanted.stage,
        "action": wanted.action,
    }
    rows = rows.filter(**{name: value for name, value in columns.items() if value})
    if wanted.search:
        rows = rows.filter(Q(rule__icontains=wanted.search) | Q(excerpt__icontains=wanted.search))
    return rows
