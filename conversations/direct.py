"""`POST /v1/chat`: the answer to the very call that asked, whole or as server-sent events.

The question is taken by Django (`conversations.api.direct`), with all of its checks; the turn is the same as any other,
made by a worker. What waits for it is a coroutine beside Django, so that a slow model costs no thread and no database
connection. Without this application in front, the call is answered with a 202 and the address of the task.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections
from django_tenants.utils import schema_context

from conversations import sse, streams
from conversations.enums import MessageStatus
from conversations.models import Message
from conversations.records import direct_answer
from conversations.sse import AsgiScope, Receive, Send
from conversations.streams import Event
from knowrithm.api.errors import envelope
from knowrithm.charset import AsgiRequest
from knowrithm.db.compiled import ANY_ID, CompiledQuery
from knowrithm.errors import ServiceError

PATH = re.compile(r"^/(?:api/v1|v1|api/api/v1)/chat$")
TURN = "knowrithm.direct_turn"  # in the scope: what Django has begun
GRACE_SECONDS = 10.0  # beyond the deadline of a turn

_REPLY: CompiledQuery[Message] = CompiledQuery(
    lambda: Message.objects.filter(pk=ANY_ID).select_related("conversation").prefetch_related("citations").order_by()
)

Application = Callable[[Any, Any, Any], Awaitable[None]]  # of ASGI, as Django types it


@dataclass(frozen=True, slots=True)
class DirectTurn:
    schema: str
    conversation_id: uuid.UUID
    reply_id: uuid.UUID
    task_id: str
    is_streamed: bool
    after: str  # a place in the conversation's stream before it began

    @property
    def events(self) -> AsyncIterator[Event | None]:
        """Of this turn alone. None stands for a heartbeat."""
        return sse.events_of(self.task_id, streams.stream_key(self.schema, self.conversation_id), self.after)


def matches(scope: AsgiScope) -> bool:
    return scope["type"] == "http" and scope["method"] == "POST" and PATH.match(scope["path"]) is not None


async def application(scope: AsgiScope, receive: Receive, send: Send, *, django: Application) -> None:
    held: list[Any] = []

    async def hold(message: Any) -> None:
        if TURN in scope:
            held.append(message)
        else:
            await send(message)

    await django(scope, receive, hold)
    turn: DirectTurn | None = scope.get(TURN)
    if turn is None:
        return  # refused: Django's answer has gone out
    disconnect = asyncio.create_task(sse.wait_for_disconnect(receive))
    answering = asyncio.create_task(_answer(scope, send, turn, held))
    done, pending = await asyncio.wait({disconnect, answering}, return_when=asyncio.FIRST_COMPLETED)
    if answering in pending:
        await sync_to_async(streams.stop_unless_polled, thread_sensitive=False)(
            turn.schema, turn.reply_id, turn.task_id
        )
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        fault = task.exception()
        if fault is not None and not isinstance(fault, OSError):
            raise fault


async def _answer(scope: AsgiScope, send: Send, turn: DirectTurn, held: list[Any]) -> None:
    headers = [
        (name, value)
        for name, value in held[0]["headers"]
        if name.lower() not in {b"content-type", b"content-length", b"content-encoding"}
    ]
    if turn.is_streamed:
        await _stream(scope, send, turn, headers)
        return
    try:
        async with asyncio.timeout(settings.TURN_DEADLINE_SECONDS + GRACE_SECONDS):
            await _until_answered(turn)
    except TimeoutError:
        for message in held:  # 202: it goes on, and the task tells when it is done
            await send(message)
        return
    status, body = await sync_to_async(_result, thread_sensitive=False)(scope, turn)
    content = json.dumps(body).encode()
    headers += [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _until_answered(turn: DirectTurn) -> None:
    async for event in turn.events:
        if event is not None and event.ends_turn:
            return


async def _stream(scope: AsgiScope, send: Send, turn: DirectTurn, headers: list[tuple[bytes, bytes]]) -> None:
    headers = [
        *headers,
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache, no-transform"),
        (b"x-accel-buffering", b"no"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(kind: str, **data: Any) -> None:
        body = f"data: {json.dumps({'type': kind, **data})}\n\n"
        await send({"type": "http.response.body", "body": body.encode(), "more_body": True})

    await write("start", session_id=str(turn.conversation_id), message_id=str(turn.reply_id))
    checked_at = time.monotonic()
    try:
        async with asyncio.timeout(settings.TURN_DEADLINE_SECONDS + GRACE_SECONDS):
            async for event in turn.events:
                if event is None:
                    await send({"type": "http.response.body", "body": b": still there\n\n", "more_body": True})
                    continue
                if event.ends_turn:
                    break
                if time.monotonic() - checked_at > sse.RECHECK_SECONDS:
                    if not await sync_to_async(_is_still_allowed, thread_sensitive=False)(scope):
                        break
                    checked_at = time.monotonic()
                if event.name == streams.DELTA:
                    await write("token", content=event.data["text"], attempt=event.attempt)
    except TimeoutError:
        pass  # said below
    status, body = await sync_to_async(_result, thread_sensitive=False)(scope, turn)
    if status == 200:
        await write("citations", citations=body["citations"])
        await write("done", **{name: body[name] for name in ("session_id", "message", "usage", "metadata")})
    else:
        await write("error", error=body["error"], code=body["code"])
    await send({"type": "http.response.body", "body": b""})


def _result(scope: AsgiScope, turn: DirectTurn) -> tuple[int, dict[str, Any]]:
    """HTTP status and body. Runs in a thread and gives its database connection back."""
    if not _is_still_allowed(scope):
        return 401, envelope("This credential is not valid any more.", "AUTHENTICATION_FAILED")
    try:
        with schema_context(turn.schema):
            reply = _REPLY.get(turn.reply_id)
            if reply is None:
                return 404, envelope("There is no such message.", "NOT_FOUND")
            if reply.status == MessageStatus.COMPLETED:
                return 200, direct_answer(reply)
            cause = reply.error or "The answer is not finished yet. Ask the task's status for it."
            return 502, envelope(cause, reply.error_code or "TURN_UNFINISHED")
    finally:
        connections.close_all()


def _is_still_allowed(scope: AsgiScope) -> bool:
    try:
        return sse.principal_of_request(AsgiRequest(dict(scope), io.BytesIO()), is_new=False) is not None
    except ServiceError:
        return False
    finally:
        connections.close_all()
