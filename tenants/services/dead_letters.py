"""Tasks that have failed for good, once somebody has looked into why."""

from __future__ import annotations

from celery import current_app
from django.db import transaction

from knowrithm.errors import ConflictError
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import log_of, record_event
from tenants.models import DeadLetter

EXPIRES = 24 * 3600  # seconds


@transaction.atomic
def repeat_dead_letter(*, actor: Principal, letter: DeadLetter) -> None:
    """Queue the task once more and forget that it failed. Should it fail again, it comes back.

    Raises `ConflictError` for a task that this version does not have any more.
    """
    task, arguments = current_app.tasks.get(letter.task), tuple(letter.arguments)
    if task is None:
        raise ConflictError(f"There is no task {letter.task} any more.")
    transaction.on_commit(lambda: task.apply_async(args=arguments, expires=EXPIRES))
    letter_id = letter.pk
    letter.delete()
    with log_of(None):
        record_event(
            actor=actor,
            event_type="dead_letter.repeated",
            entity_type="dead_letter",
            entity_id=letter_id,
            entity_label=letter.task,
            risk_level=RiskLevel.MEDIUM,
        )
