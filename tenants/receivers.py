"""Every sign-in by cookie has a row: the pages', Django admin's, and whatever else calls Django's `login`.

And so has every task that has failed for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from traceback import extract_tb
from typing import Any

from celery.signals import task_failure
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from knowrithm.errors import ServiceError
from tenants import services, tasks
from tenants.browser import SESSION_KEY, stop_acting
from tenants.mail import MailNotSentError
from tenants.models import User


@receiver(user_logged_in)
def open_browser_session(request: HttpRequest, user: User, **_: Any) -> None:
    replaced = request.session.get(SESSION_KEY)
    session = services.start_browser_session(user=user, replaces=replaced)
    request.session[SESSION_KEY] = str(session.id)


@receiver(user_logged_out)
def close_browser_session(request: HttpRequest, **_: Any) -> None:
    stop_acting(request)
    if session_id := request.session.get(SESSION_KEY):
        services.close_browser_session(session_id=session_id)


@task_failure.connect
def bury(sender: Any, exception: BaseException, args: Sequence[Any], **_: Any) -> None:
    """What is tried again, or taken up again because its worker died, does not come here."""
    if sender.name != tasks.keep_dead_letter.name:
        tasks.keep_dead_letter.delay(sender.name, [str(argument) for argument in args], _cause(exception))


def _cause(exception: BaseException) -> str:
    """In the shared schema no company's data may stand, and what a database or a library complains of quotes them: of
    these the kind and the place; the log has the rest.
    """
    kind = type(exception).__name__
    if isinstance(exception, ServiceError | MailNotSentError):
        return f"{kind}: {exception}"
    frames = extract_tb(exception.__traceback__)
    return f"{kind} in {frames[-1].name}, line {frames[-1].lineno}" if frames else kind
