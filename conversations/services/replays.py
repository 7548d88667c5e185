"""Answers that somebody of the company has made again, to look at."""

from __future__ import annotations

import uuid

from django.db import transaction

from conversations import tasks
from conversations.enums import ReplayInputs
from conversations.exceptions import NotReplayableError
from conversations.inputs import why_not
from conversations.models import Message
from conversations.selectors import get_answer
from conversations.services.records import record
from knowrithm.jobs import create_task, enqueue
from knowrithm.principal import Principal


@transaction.atomic
def start_replay(*, actor: Principal, message_id: uuid.UUID, inputs: str) -> tuple[Message, str]:
    """Have an answer made again; `message_id` is its own or its question's. Returns the answer and the task's id.

    The task's result has both answers; nothing is stored in the conversation. Raises `NotReplayableError`.
    """
    reply = get_answer(actor, message_id)
    if inputs == ReplayInputs.THEN and (sentence := why_not(reply)):
        raise NotReplayableError(sentence)
    task_id = create_task()
    enqueue(tasks.replay, str(reply.pk), inputs, task_id, expires=600)
    record(actor, "message.replayed", reply, reply.conversation.agent)
    return reply, task_id
