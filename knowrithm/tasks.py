from __future__ import annotations

import time

from celery import shared_task

from knowrithm.db.redis import sync_redis
from knowrithm.health import WORKER_BEATS
from knowrithm.queues import PERIOD


@shared_task(name="knowrithm.worker_beat")
def worker_beat() -> None:
    """Beat asks, a worker answers: what /health reports as `celery`."""
    sync_redis().set(WORKER_BEATS, int(time.time()), ex=3 * PERIOD)
