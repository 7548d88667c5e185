from __future__ import annotations

import uuid

from celery import shared_task

from conversations import replays, trial, turn
from knowrithm.jobs import company_task, for_each_company


@company_task(name="conversations.answer")
def answer(reply_id: str) -> None:
    turn.run(uuid.UUID(reply_id))


@company_task(name="conversations.test_agent")
def test_agent(reply_id: str, task_id: str) -> None:
    trial.run(uuid.UUID(reply_id), task_id)


@company_task(name="conversations.replay")
def replay(reply_id: str, inputs: str, task_id: str) -> None:
    replays.run(uuid.UUID(reply_id), inputs, task_id)


@company_task(name="conversations.resume_abandoned")
def resume_abandoned() -> None:
    turn.resume_abandoned(answer)


@shared_task(name="conversations.resume_abandoned_everywhere")
def resume_abandoned_everywhere() -> None:
    for_each_company(resume_abandoned, expires=14)
