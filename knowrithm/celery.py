from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import celeryd_after_setup, heartbeat_sent, setup_logging, worker_ready
from kombu import Exchange, Queue

from knowrithm.queues import NICE, QUEUES, Presence
from knowrithm.room import ROOM

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "knowrithm.settings")

app = Celery("knowrithm")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Each with an exchange and key of its own: queues that share them get a copy of every message.
app.conf.task_queues = [Queue(name, Exchange(name), routing_key=name) for name in QUEUES]
app.autodiscover_tasks()
presence = Presence()


@celeryd_after_setup.connect
def know_how_many_threads_there_are(instance: Any, **_: Any) -> None:
    ROOM.threads = instance.concurrency


@celeryd_after_setup.connect
def leave_the_processor_to_whoever_waits(instance: Any, **_: Any) -> None:
    wanted = min(NICE.get(name, 0) for name in instance.app.amqp.queues.consume_from)
    os.setpriority(os.PRIO_PROCESS, 0, max(wanted, os.getpriority(os.PRIO_PROCESS, 0)))


@worker_ready.connect
def say_that_a_worker_is_there(**_: Any) -> None:
    """/health need not wait for the first beat."""
    from knowrithm.tasks import worker_beat  # Django is set up by now, not when this module is imported

    worker_beat()


@heartbeat_sent.connect
def say_which_queues_are_served(sender: Any, **_: Any) -> None:
    presence.note(sender.eventer.app.amqp.queues.consume_from)


@setup_logging.connect
def use_django_logging(**_: Any) -> None:
    """Celery would set up handlers of its own; Django has already done it."""
