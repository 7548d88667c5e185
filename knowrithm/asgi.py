"""The web process: Django, and beside it the event streams, which need neither a thread nor a connection each."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "knowrithm.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from conversations import sse  # noqa: E402  # models may be imported once Django is set up


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif sse.matches(scope):
        await sse.application(scope, receive, send)
    else:
        await django_application(scope, receive, send)


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
