"""The ASGI handler, driven as a server drives it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from knowrithm.handler import SyncHandler

seen = contextvars.ContextVar("seen", default="nothing")
ended: list[str] = []


def plain(request: HttpRequest) -> HttpResponse:
    was = seen.get()
    seen.set(request.path)
    response = HttpResponse(f"{threading.get_ident()} {was} {request.read().decode()}")
    response._resource_closers.append(lambda: ended.append(request.path))  # type: ignore[attr-defined]  # not in the stubs
    return response


def fail(**_: Any) -> None:
    raise OSError("the database is gone")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    response = StreamingHttpResponse(endless())
    response._resource_closers.append(lambda: ended.append(request.path))  # type: ignore[attr-defined]  # not in the stubs
    return response


async def endless() -> AsyncIterator[bytes]:
    try:
        while True:
            yield b"more"
            await asyncio.sleep(0.01)
    finally:
        ended.append("pieces")


urlpatterns = [path("plain", plain), path("stream", stream)]


@pytest.fixture
def handler(settings: Any) -> SyncHandler:
    settings.ROOT_URLCONF, settings.MIDDLEWARE = __name__, []
    ended.clear()
    return SyncHandler()


async def call(handler: SyncHandler, address: str, *, body: bytes = b"", leaves_after: int | None = None) -> Any:
    """Status and body. The reader goes after so many messages, if that is given."""
    sent: list[Any] = []
    has_left = asyncio.Event()
    asked = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        if (message := next(asked, None)) is None:
            await has_left.wait()
            return {"type": "http.disconnect"}
        return message

    async def send(message: Any) -> None:
        sent.append(message)
        if leaves_after is not None and len(sent) >= leaves_after:
            has_left.set()

    scope = {"type": "http", "method": "POST", "path": address, "headers": [], "query_string": b""}
    await handler(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_requests_share_a_thread_and_nothing_that_they_set_there(handler: SyncHandler) -> None:
    async def both() -> list[Any]:
        answers = []
        for word in (b"one", b"two"):
            answers.append(await call(handler, "/plain", body=word))
            while len(ended) < len(answers):  # the thread is free again
                await asyncio.sleep(0.001)
        return answers

    (_, first), (_, second) = asyncio.run(both())
    thread, *rest = first.decode().split()
    assert rest == ["nothing", "one"]
    assert second.decode().split() == [thread, "nothing", "two"]


def test_an_end_that_fails_is_logged_and_the_answer_has_gone_out(
    handler: SyncHandler, caplog: pytest.LogCaptureFixture
) -> None:
    request_finished.connect(fail)
    try:
        status, _ = asyncio.run(call(handler, "/plain"))
        handler._threads.shutdown()
    finally:
        request_finished.disconnect(fail)
    assert status == 200
    assert "request_not_ended" in caplog.text


def test_a_stream_ends_when_its_reader_goes(handler: SyncHandler) -> None:
    status, body = asyncio.run(call(handler, "/stream", leaves_after=4))
    assert (status, body[:8]) == (200, b"moremore")
    assert ended == ["pieces", "/stream"]


def test_what_cannot_be_read_as_a_request_is_refused(handler: SyncHandler) -> None:
    async def ask() -> Any:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/plain", "headers": [], "query_string": b"\xff\xfe"}
        await handler(scope, receive, send)
        return sent[0]["status"]

    assert asyncio.run(ask()) == 400
