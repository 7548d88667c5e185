from __future__ import annotations

from celery import shared_task

from analytics.usage import rollups


@shared_task(name="usage.store")
def store() -> None:
    rollups.store_waiting()


@shared_task(name="usage.purge")
def purge() -> None:
    rollups.purge_old()
