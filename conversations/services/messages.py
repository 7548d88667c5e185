"""Single messages: archived, restored, and what their reader thinks of them."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from agents.handover import read_handover
from agents.models import Agent
from conversations import handing
from conversations.enums import EntityType, Feedback, HandoverReason, MessageRole, Owner
from conversations.exceptions import ConversationArchivedError, ReplacedMessageError
from conversations.models import Conversation, Message
from conversations.selectors import get_message, is_open_to, lock_conversation
from conversations.services.records import record
from knowrithm.errors import InvalidInputError, NotFoundError
from knowrithm.principal import Principal


@transaction.atomic
def archive_message(*, actor: Principal, message_id: uuid.UUID) -> Message:
    message = get_message(actor, message_id)
    conversation = lock_conversation(actor, message.conversation_id)
    _archive(conversation, Message.objects.live().filter(pk=message.pk))
    record(actor, "message.archived", message, conversation.agent)
    return message


@transaction.atomic
def archive_messages(*, actor: Principal, conversation_id: uuid.UUID) -> int:
    """All of a conversation. Returns how many there were."""
    conversation = lock_conversation(actor, conversation_id)
    count = _archive(conversation, Message.objects.live().filter(conversation=conversation))
    record(actor, "messages.archived", conversation, conversation.agent, changes={"messages": (count, 0)})
    return count


def _archive(conversation: Conversation, rows: QuerySet[Message]) -> int:
    count = rows.update(archived_at=timezone.now())
    Conversation.objects.filter(pk=conversation.pk).update(message_count=F("message_count") - count)
    return count


@transaction.atomic
def restore_message(*, actor: Principal, message_id: uuid.UUID) -> Message:
    """Raises `ConversationArchivedError`, or `ReplacedMessageError` when it was asked or answered anew since."""
    rows = Message.objects.archived().select_related("conversation")
    message: Message | None = rows.filter(pk=message_id).first()
    if message is None or not is_open_to(actor, message.conversation):
        raise NotFoundError("There is no such archived message.")
    if message.conversation.archived_at is not None:
        raise ConversationArchivedError("Its conversation is archived. Restore the conversation first.")
    if Message.objects.filter(replaces=message).exists():
        raise ReplacedMessageError("This message was replaced by a newer one, which stands in its place.")
    conversation = lock_conversation(actor, message.conversation_id)
    _restore(conversation, Message.objects.archived().filter(pk=message.pk))
    record(actor, "message.restored", message, conversation.agent)
    return message


@transaction.atomic
def restore_messages(*, actor: Principal, conversation_id: uuid.UUID) -> int:
    """All of a conversation, but for those that newer ones stand in place of. Returns how many."""
    conversation = lock_conversation(actor, conversation_id)
    rows = Message.objects.archived().filter(conversation=conversation, replaced_by=None)
    count = _restore(conversation, Message.objects.filter(pk__in=list(rows.values_list("pk", flat=True))))
    record(actor, "messages.restored", conversation, conversation.agent, changes={"messages": (0, count)})
    return count


def _restore(conversation: Conversation, rows: QuerySet[Message]) -> int:
    count = rows.update(archived_at=None)
    Conversation.objects.filter(pk=conversation.pk).update(message_count=F("message_count") + count)
    return count


@transaction.atomic
def rate_message(*, actor: Principal, message_id: uuid.UUID, rating: int | None, comment: str = "") -> Message:
    """What the reader thinks of an answer: 1, -1, or None, which takes a rating back."""
    message = get_message(actor, message_id)
    if message.role != MessageRole.ASSISTANT or message.author_id:
        raise InvalidInputError("Only answers can be rated.")
    if rating is not None and rating not in Feedback.values:
        raise InvalidInputError("A rating is 1, -1 or null.", fields={"rating": ["Use 1, -1 or null."]})
    # Read again under the row's lock: the agent counts each rating once, however many come at the same time.
    before = Message.objects.select_for_update().values_list("user_feedback", flat=True).get(pk=message.pk)
    message.user_feedback = rating
    message.feedback_comment = comment.strip()[:2000] if rating is not None else ""
    message.save(update_fields=["user_feedback", "feedback_comment", "updated_at"])
    if rating != before:
        Agent.objects.filter(pk=message.conversation.agent_id).update(
            ratings=F("ratings") + ((rating is not None) - (before is not None)),
            rating_sum=F("rating_sum") + ((rating or 0) - (before or 0)),
        )
    changes: dict[str, tuple[object, object]] = {"user_feedback": (before, rating)}
    if rating == Feedback.BAD != before and _hand_over_for_ratings(message.conversation):
        changes["owner"] = (Owner.AGENT, Owner.WAITING)
    record(actor, "message.rated", message, message.conversation.agent, changes=changes)
    return message


def _hand_over_for_ratings(conversation: Conversation) -> bool:
    """If the agent's rules ask for a person after so many bad ratings of a visitor."""
    wanted = read_handover(conversation.agent.handover).bad_ratings
    is_visitors = conversation.entity_type == EntityType.LEAD and conversation.owner == Owner.AGENT
    if not (wanted and is_visitors) or handing.count_bad_ratings(conversation) < wanted:
        return False
    times = "once" if wanted == 1 else f"{wanted} times"
    reason, words = HandoverReason.RULE, f"Rated badly {times}"
    return handing.begin_if_free(conversation.pk, reason=reason, words=words) is not None
