from __future__ import annotations

import uuid

from celery import shared_task

from conversations import jobs, replays, scores, trial, turn
from knowrithm.jobs import company_task, current_schema, enqueue, for_each_company
from knowrithm.room import ROOM
from tenants.mail import MailNotSentError


@company_task(name="conversations.answer")
def answer(reply_id: str) -> None:
    with ROOM.place_for(current_schema(), reply_id) as is_free:
        if is_free:
            turn.run(uuid.UUID(reply_id))
        elif (seconds := ROOM.pause_before(reply_id)) is not None:
            enqueue(answer, reply_id, countdown=seconds, expires=3600)


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


@company_task(name="conversations.summarise")
def summarise(handover_id: str) -> None:
    jobs.summarise(uuid.UUID(handover_id))


@company_task(
    name="conversations.mail_visitor",
    autoretry_for=(MailNotSentError,),
    max_retries=6,
    retry_backoff=15,
    retry_backoff_max=1800,
)
def mail_visitor(conversation_id: str) -> None:
    jobs.mail_visitor(uuid.UUID(conversation_id))


@company_task(name="conversations.tell_person")
def tell_person(message_id: str) -> None:
    jobs.tell_person(uuid.UUID(message_id))


@company_task(name="conversations.tell_of_lead")
def tell_of_lead(lead_id: str) -> None:
    jobs.tell_of_lead(uuid.UUID(lead_id))


@company_task(name="conversations.alert_unanswered")
def alert_unanswered() -> None:
    for reply_id in jobs.return_unanswered():  # those of a killed worker are found by resume_abandoned
        enqueue(answer, str(reply_id), expires=3600)
    jobs.alert_unanswered()


@shared_task(name="conversations.alert_unanswered_everywhere")
def alert_unanswered_everywhere() -> None:
    for_each_company(alert_unanswered, expires=29)


@company_task(name="conversations.score_leads")
def score_leads() -> None:
    if not scores.score_leads():
        enqueue(score_leads, expires=290)


@shared_task(name="conversations.score_leads_everywhere")
def score_leads_everywhere() -> None:
    """What was said since, and what a killed worker has left."""
    for_each_company(score_leads, expires=290)


@company_task(name="conversations.learn_scores")
def learn_scores() -> None:
    scores.learn_from_outcomes()


@shared_task(name="conversations.learn_scores_everywhere")
def learn_scores_everywhere() -> None:
    for_each_company(learn_scores, expires=3600)
