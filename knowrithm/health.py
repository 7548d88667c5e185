"""Is everything that a request needs there?"""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from redis.exceptions import RedisError

from knowrithm.api.permissions import PUBLIC, declare
from knowrithm.db.redis import sync_redis
from knowrithm.queues import unserved

WORKER_BEATS = "health:worker"  # written by knowrithm.tasks.worker_beat


@declare(PUBLIC)
def health(request: HttpRequest) -> JsonResponse:
    """200 while the database answers; `status` is degraded when something else is missing."""
    parts = {"database": _database(), **_redis_and_workers()}
    is_whole = parts == {"database": "connected", "redis": "connected", "celery": "running", "unserved_queues": []}
    status = "healthy" if is_whole else "degraded"
    return JsonResponse(
        {
            "status": status,
            "timestamp": timezone.now().isoformat(),
            "version": settings.SPECTACULAR_SETTINGS["VERSION"],
            **parts,
        },
        status=503 if parts["database"] != "connected" else 200,
        headers={"Cache-Control": "no-store"},
    )


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unavailable"
    return "connected"


def _redis_and_workers() -> dict[str, str | list[str]]:
    try:
        is_beating, missing = sync_redis().exists(WORKER_BEATS), unserved()
    except RedisError:
        return {"redis": "unavailable", "celery": "unknown", "unserved_queues": []}
    return {"redis": "connected", "celery": "running" if is_beating else "stopped", "unserved_queues": missing}
