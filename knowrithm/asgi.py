"""The web process: Django, and beside it the event streams, which need neither a thread nor a connection each."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "knowrithm.settings")

import django

django.setup(set_prefix=False)

from conversations import direct, sse  # noqa: E402  # models may be imported once Django is set up
from knowrithm import garbage  # noqa: E402  # with what needs the settings
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


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            sse.end_when_signalled()
            garbage.search_for_what_requests_leave()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
