"""The web process: Django, and beside it the event streams, which need neither a thread nor a connection each."""

from __future__ import annotations

import gc
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "knowrithm.settings")

import django

django.setup(set_prefix=False)

from conversations import direct, sse  # noqa: E402  # models may be imported once Django is set up
from knowrithm.handler import SyncHandler  # noqa: E402  # as well as what needs the settings

django_application = SyncHandler()


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif sse.matches(scope):
        await sse.application(scope, receive, send)
    elif direct.matches(scope):
        await direct.application(scope, receive, send, django=django_application)
    else:
        await django_application(scope, receive, send)


def _collect_rarely() -> None:
    """Looking for garbage among all that there is stops every request, with ten thousand streams for more than a
    second. What is there from the start is left out of it, and the rest is looked through rarely: what requests leave
    behind is young, and is found all the same.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            sse.end_when_signalled()
            _collect_rarely()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
