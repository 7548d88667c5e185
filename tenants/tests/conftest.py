"""A worker that runs at once, and the mails that it sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.core.mail import EmailMessage
from pytest_django import DjangoCaptureOnCommitCallbacks

from knowrithm.celery import app

Deliver = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def deliver(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Iterator[Deliver]:
    """`with deliver(): …` runs what the block queued, when the block ends; failed tasks run again at once."""

    @contextmanager
    def delivering() -> Iterator[None]:
        with django_capture_on_commit_callbacks(execute=True):
            yield

    app.conf.task_always_eager = True
    yield delivering
    app.conf.task_always_eager = False


def token_in(mail: EmailMessage, page: str) -> str:
    """The token of the one link to `page` (a path) in the mail's text."""
    [token] = re.findall(rf"^http://localhost:\d+{page}\?token=([\w-]+)$", str(mail.body), re.MULTILINE)
    return str(token)
