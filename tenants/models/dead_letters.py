"""Tasks that nobody will try again."""

from __future__ import annotations

from django.db import models

from knowrithm.db.models import BaseModel


class DeadLetter(BaseModel):
    """A task that failed with these arguments and is not repeated by itself: one row, however often it has failed.

    Arguments are ids, a company's schema before them. `created_at` is the first time, `updated_at` the last.
    """

    task = models.CharField(max_length=200)
    arguments = models.JSONField(default=list)
    error = models.CharField(max_length=500)
    times = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-updated_at"]
        constraints = [models.UniqueConstraint(fields=["task", "arguments"], name="one_dead_letter_for_a_task")]

    def __str__(self) -> str:
        return self.task
