"""The event stream, as a plain ASGI application beside Django.

Django's ASGI handler would keep a thread for every open stream. Here a stream costs a coroutine: the credential is
checked and the conversation looked up in one synchronous function, which gives its database connection back; after
that only Redis is read, and only when one shared subscription says that there is something to read. What is then sent
on has been checked for again within the last half second: a credential that is no more hears no more.

A question whose answer is to come on the same connection is Django's to take; `answer_to` then follows its one turn.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import redis.asyncio
import structlog
from asgiref.sync import sync_to_async
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import connections
from django_tenants.utils import tenant_context
from redis.exceptions import RedisError

from conversations import streams
from conversations.enums import MessageStatus
from conversations.models import Conversation
from conversations.records import message_record
from conversations.selectors import get_conversation, newest_reply
from conversations.services import Turn
from conversations.streams import Event
from knowrithm.api.errors import envelope
from knowrithm.api.permissions import READ_OR_LEAD, SIGNED_IN, check_access
from knowrithm.charset import AsgiRequest
from knowrithm.db.redis import async_redis
from knowrithm.errors import AuthenticationFailedError, RateLimitedError, ServiceError
from knowrithm.jobs import current_schema
from knowrithm.origin import Origin, set_origin
from knowrithm.principal import Principal, PrincipalKind, Resource
from leads.api.authentication import lead_from_token
from tenants import key_use
from tenants.api.authentication import bearer_token, principal_from_headers
from tenants.browser import person_of
from tenants.models import User
from tenants.services import principal_of
from tenants.sign_in import missing_step

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)

PATH = re.compile(r"^/(?:api/v1|v1|api/api/v1)/conversation/([0-9a-fA-F-]{36})/messages/stream$")
INBOX_PATH = re.compile(r"^/(?:api/v1|v1|api/api/v1)/inbox/stream$")
FOLLOWS = re.compile(rb"(?:^|&)follow=(?:true|1)(?:&|$)")  # to listen on when the last turn has ended
ENDPOINT = "/api/v1/conversation/{conversation_id}/messages/stream"  # as the figures of API keys name it
INBOX_ENDPOINT = "/api/v1/inbox/stream"
HEARTBEAT_SECONDS = 15.0  # a published client gives up after 30 s of silence
RECHECK_SECONDS = 0.5  # what a listener hears has been allowed so lately
RENEW_SECONDS = 10.0  # after which a listener is noted as present anew, with what is sent next
MOST_UNHEARD = 200  # events that wait for a listener who is still busy with others
IDLE_SECONDS = 600.0  # a listener who is asked nothing
HEADER_PAUSE = 0.12  # a published client attaches its listeners after the headers: what comes with them is lost
UNBUFFERED = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
HEARTBEAT = "event: heartbeat\ndata: {}\n\n"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a listener may hear. `fallback` is the newest turn as the database has it, for an expired stream."""

    key: str
    fallback: list[Event]
    headers: dict[str, str]  # of the answer: what is left to an API key
    is_followed: bool = False  # whatever is said, and not one turn
    presence_key: str = ""  # under which the listener is known to be here
    since: str = ""  # the place in the stream when it was asked for, if it is followed


def matches(scope: AsgiScope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return PATH.match(scope["path"]) is not None or INBOX_PATH.match(scope["path"]) is not None


class Wake(asyncio.Event):
    """That there is something to hear: what was told since the last time, and whether some of it was missed."""

    def __init__(self) -> None:
        super().__init__()
        self._told: list[Event] = []
        self._has_missed = True  # what was said before it listened

    def hear(self, event: Event) -> None:
        if len(self._told) == MOST_UNHEARD:  # a slow one finds it in the stream
            self._told.clear()
            self._has_missed = True
        self._told.append(event)
        self.set()

    def miss(self) -> None:
        self._has_missed = True
        self.set()

    def take(self) -> tuple[list[Event], bool]:
        told, has_missed = self._told, self._has_missed
        self._told, self._has_missed = [], False
        self.clear()
        return told, has_missed


class Hub:
    """One Redis subscription for the whole process; tells the coroutines that listen to a key."""

    def __init__(self) -> None:
        self.client: redis.asyncio.Redis = async_redis()
        self._listeners: dict[str, set[Wake]] = defaultdict(set)
        self._open: set[asyncio.Task[Any]] = set()
        self._is_ending = False
        self._pubsub = self.client.pubsub()
        self._subscribed: set[str] = set()
        self._changing = asyncio.Lock()  # two first subscriptions at once would open a connection each, one unread
        self._task: asyncio.Task[None] | None = None

    def add(self, stream: asyncio.Task[Any]) -> None:
        """A stream that is cancelled when the process is to end: it may not hold that up."""
        self._open.add(stream)
        stream.add_done_callback(self._open.discard)
        if self._is_ending:
            stream.cancel()

    def end(self) -> None:
        self._is_ending = True
        for stream in self._open:
            stream.cancel()

    @asynccontextmanager
    async def listening(self, key: str) -> AsyncIterator[Wake]:
        wake = Wake()
        self._listeners[key].add(wake)
        try:
            async with self._changing:
                if key not in self._subscribed:
                    await self._pubsub.subscribe(key)
                    self._subscribed.add(key)
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run())
            yield wake
        finally:
            self._listeners[key].discard(wake)
            async with self._changing:
                if not self._listeners.get(key):
                    self._listeners.pop(key, None)
                    if key in self._subscribed:
                        self._subscribed.discard(key)
                        await self._pubsub.unsubscribe(key)

    async def _run(self) -> None:
        while self._listeners:
            try:
                message = await self._pubsub.get_message(timeout=5.0)
            except (RedisError, OSError):
                log.warning("stream_hub_reconnecting")
                await asyncio.sleep(0.5)
                continue
            if message is None or message["type"] == "unsubscribe":
                continue
            listeners = self._listeners.get(message["channel"], ())
            # Also when a subscription begins, for the first time or anew: until then something may have been said.
            event = streams.parse_told(message["data"]) if message["type"] == "message" else None
            for wake in listeners:
                wake.hear(event) if event else wake.miss()


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def _hub() -> Hub:
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]


def end_when_signalled() -> None:
    """Let the listeners go as soon as the server is asked to end: it waits for them, and they for what never comes.

    Each comes again by itself and goes on after the last event that it saw. Whoever waits for one answer on the
    connection of its question keeps the server's time of grace.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # signals are another's
    loop, hub = asyncio.get_running_loop(), _hub()
    for number in (signal.SIGINT, signal.SIGTERM):
        server = signal.getsignal(number)

        def end(number: int, frame: FrameType | None, server: Any = server) -> None:
            loop.call_soon_threadsafe(hub.end)
            if callable(server):
                server(number, frame)

        signal.signal(number, end)


async def application(scope: AsgiScope, receive: Receive, send: Send) -> None:
    try:
        subscription = await sync_to_async(_authorise, thread_sensitive=False)(scope)
    except ServiceError as error:
        await _send_error(send, error)
        return
    stream = asyncio.current_task()
    assert stream is not None  # noqa: S101  # whatever runs is a task's
    _hub().add(stream)
    disconnect = asyncio.create_task(_end_when_gone(receive, stream))
    try:
        await _stream(scope, send, subscription)
    except asyncio.CancelledError:
        stream.uncancel()  # the reader has gone, or the process ends: either way the stream has come to its end
    except OSError:
        pass  # the connection has gone
    except Exception:
        log.exception("stream_failed")
    finally:
        disconnect.cancel()


async def _end_when_gone(receive: Receive, stream: asyncio.Task[Any]) -> None:
    await wait_for_disconnect(receive)
    stream.cancel()


async def wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream(scope: AsgiScope, send: Send, subscription: Subscription) -> None:
    if subscription.is_followed:  # before it is said that we listen, or what comes before we do would be lost
        newest = await _hub().client.xrevrange(subscription.key, count=1)
        subscription = replace(subscription, since=newest[0][0] if newest else streams.BEGINNING)
    await send({"type": "http.response.start", "status": 200, "headers": _headers(subscription)})

    async def write(text: str) -> None:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    try:
        await write(": connected\n")  # one line: with a blank line after it a client would see an empty event
        await asyncio.sleep(HEADER_PAUSE)
        listen = _followed if subscription.is_followed else _events
        events = listen(subscription, _last_event_id(scope))
        if subscription.presence_key:
            events = _noting_presence(events, subscription.presence_key)
        async for text in _while_allowed(scope, events, _conversation_in(scope)):
            await write(text)
    finally:
        await send({"type": "http.response.body", "body": b""})


def _headers(subscription: Subscription) -> list[tuple[bytes, bytes]]:
    return [
        *((name.lower().encode(), value.encode()) for name, value in subscription.headers.items()),
        *((name.lower().encode(), value.encode()) for name, value in UNBUFFERED.items()),
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"access-control-allow-origin", b"*"),
    ]


def answer_to(turn: Turn, *, scope: Mapping[str, Any], after: str) -> AsyncIterator[str]:
    """What is said of one turn, until it has ended. `after` is a place in the stream before it began.

    When the reader goes before the end, the turn is stopped, unless its task is polled.
    """
    schema, conversation_id = current_schema(), turn.reply.conversation_id
    events = events_of(turn.task_id, streams.stream_key(schema, conversation_id), after)
    return _or_stop(_while_allowed(scope, events, str(conversation_id)), schema, turn)


async def _or_stop(texts: AsyncIterator[str], schema: str, turn: Turn) -> AsyncIterator[str]:
    is_read = False
    try:
        async for text in texts:
            yield text
        is_read = True
    finally:
        if not is_read:  # nothing may be awaited here: this generator is being closed
            asyncio.get_running_loop().run_in_executor(
                None, streams.stop_unless_polled, schema, turn.reply.pk, turn.task_id
            )


async def _while_allowed(
    scope: Mapping[str, Any], events: AsyncGenerator[Event | None], conversation_id: str
) -> AsyncIterator[str]:
    checked_at = time.monotonic()
    async with aclosing(events):
        async for event in events:
            if event and time.monotonic() - checked_at > RECHECK_SECONDS:  # a heartbeat tells nothing
                if not await sync_to_async(_is_still_allowed, thread_sensitive=False)(scope, conversation_id):
                    return
                checked_at = time.monotonic()
            yield _format(event) if event else HEARTBEAT


async def _noting_presence(events: AsyncGenerator[Event | None], key: str) -> AsyncGenerator[Event | None]:
    """Whoever listens is here, as long as they do: nobody has to ask for that."""
    redis = _hub().client
    await redis.set(key, 1, ex=streams.PRESENT_SECONDS)
    noted_at = time.monotonic()
    async with aclosing(events):
        async for event in events:
            if time.monotonic() - noted_at >= RENEW_SECONDS:
                await redis.set(key, 1, ex=streams.PRESENT_SECONDS)
                noted_at = time.monotonic()
            yield event


async def _followed(subscription: Subscription, last_id: str) -> AsyncGenerator[Event | None]:
    """What is said from now on, or after `last_id`, until nothing has been for long; open turns from their start.

    Of a turn that has ended nothing more is told: what its model still says when a person has taken over is nobody's
    to hear.
    """
    hub = _hub()
    async with hub.listening(subscription.key) as wake:
        past = streams.parse(await hub.client.xrange(subscription.key))
        open_turns = set() if last_id else streams.unfinished_turns(past)
        now = past[-1].id if past else streams.BEGINNING
        since = last_id or subscription.since or now
        shown = [
            event
            for event in streams.without_superseded(past)
            if _after(event.id, since) or (event.turn and event.turn in open_turns)
        ]
        ended: set[str] = set()
        for event in shown:
            yield event
        async for batch in _present(hub, wake, subscription.key, now):
            for event in batch:
                if event.ends_turn:
                    ended.add(event.turn)
                if not (event.name == streams.DELTA and event.turn in ended):
                    yield event
            if not batch:
                yield None


async def _events(subscription: Subscription, last_id: str) -> AsyncGenerator[Event | None]:
    """The past that matters, then the present until the last open turn has ended. None stands for a heartbeat."""
    hub = _hub()
    async with hub.listening(subscription.key) as wake:
        past = streams.parse(await hub.client.xrange(subscription.key))
        shown = [event for event in past if _after(event.id, last_id)] if last_id else streams.replay(past)
        if not past:
            shown = subscription.fallback
        open_turns = streams.unfinished_turns(past)
        if subscription.fallback and subscription.fallback[-1].turn in open_turns:
            # The database knows the end that the stream never heard of.
            shown = [*shown, subscription.fallback[-1]]
            open_turns.discard(subscription.fallback[-1].turn)
        has_answered = any(event.ends_turn for event in shown)
        for event in shown:
            yield event
        position = past[-1].id if past else streams.BEGINNING
        if has_answered and not open_turns:
            return
        async for batch in _present(hub, wake, subscription.key, position):
            for event in batch:
                if event.begins_turn:
                    open_turns.add(event.turn)
                if event.ends_turn:
                    open_turns.discard(event.turn)
                    has_answered = True
                yield event
            if has_answered and not open_turns:
                return
            if not batch:
                yield None


async def events_of(turn: str, key: str, position: str) -> AsyncGenerator[Event | None]:
    """What is said of one turn after `position`, until it has ended. None stands for a heartbeat."""
    hub = _hub()
    async with hub.listening(key) as wake:
        wake.set()  # it may have begun before we listened
        told_at = time.monotonic()
        async for batch in _present(hub, wake, key, position):
            for event in batch:
                if event.turn == turn:
                    yield event
                    told_at = time.monotonic()
                    if event.ends_turn:
                        return
            # Also where what is said of others has put the heartbeat off.
            if not batch or time.monotonic() - told_at > HEARTBEAT_SECONDS / 2:
                yield None
                told_at = time.monotonic()


async def _present(hub: Hub, wake: Wake, key: str, position: str) -> AsyncIterator[list[Event]]:
    """What is said after `position`, as it comes, until nothing has been for long. An empty list is a heartbeat."""
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < IDLE_SECONDS:
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await wake.wait()
        except TimeoutError:
            yield []
            continue
        batch, has_missed = wake.take()
        if has_missed:
            kept = streams.parse(await hub.client.xrange(key, min=f"({position}"))
            batch = [*(event for event in batch if not event.id), *kept]
        # What was missed has been told as well, or is told right now.
        batch = [event for event in batch if not event.id or _after(event.id, position)]
        if not batch:
            continue
        if kept_ids := [event.id for event in batch if event.id]:
            position, idle_since = kept_ids[-1], time.monotonic()
        yield batch


def _after(event_id: str, last_id: str) -> bool:
    return _number(event_id) > _number(last_id)


def _number(event_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = event_id.partition("-")
    return (int(milliseconds), int(sequence or 0)) if milliseconds.isdigit() and sequence.isdigit() else (0, 0)


def _last_event_id(scope: AsgiScope) -> str:
    for name, value in scope["headers"]:
        if name == b"last-event-id":
            text = value.decode("latin-1")
            return text if re.fullmatch(r"\d{1,20}-\d{1,20}", text) else ""
    return ""


def _format(event: Event) -> str:
    identifier = f"id: {event.id}\n" if event.id else ""
    return f"event: {event.name}\n{identifier}data: {json.dumps(event.data)}\n\n"


async def _send_error(send: Send, error: ServiceError) -> None:
    body = json.dumps(envelope(str(error), error.code, error.fields)).encode()
    headers = [(b"content-type", b"application/json"), (b"access-control-allow-origin", b"*")]
    if isinstance(error, RateLimitedError):
        headers.append((b"retry-after", str(error.retry_after).encode()))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _authorise(scope: AsgiScope) -> Subscription:
    """Who listens to which conversation. Runs in a thread and gives its database connection back.

    To an API key's figures the call is as long as this takes.
    """
    request, started, status = AsgiRequest(dict(scope), io.BytesIO()), time.perf_counter(), 500
    key_use.begin_request()
    set_origin(Origin(ip_address=request.META.get("REMOTE_ADDR") or None))
    try:
        subscription = _subscription(request, _conversation_in(scope))
        status = 200
        return subscription
    except ServiceError as error:
        status = error.status
        raise
    finally:
        connections.close_all()
        if use := key_use.current_use():
            duration = (time.perf_counter() - started) * 1000
            endpoint = ENDPOINT if _conversation_in(scope) else INBOX_ENDPOINT
            key_use.count_use(use, method="GET", endpoint=endpoint, status=status, milliseconds=duration)


def _conversation_in(scope: AsgiScope) -> str:
    """Empty for the inbox."""
    found = PATH.match(scope["path"])
    return found.group(1) if found else ""


def _is_still_allowed(scope: Mapping[str, Any], conversation_id: str) -> bool:
    """Whether the stream would be opened now. This is no new call of an API key."""
    request = AsgiRequest(dict(scope), io.BytesIO())
    key_use.begin_request()
    try:
        _subscription(request, conversation_id, is_new=False)
    except ServiceError:
        return False
    finally:
        connections.close_all()
    return True


def _subscription(request: AsgiRequest, conversation_id: str, *, is_new: bool = True) -> Subscription:
    principal = principal_of_request(request, is_new=is_new)
    if principal is None or principal.company is None:
        raise AuthenticationFailedError("Authentication credentials were not provided.", code="NOT_AUTHENTICATED")
    company = principal.company
    access = READ_OR_LEAD if conversation_id else SIGNED_IN
    principal = check_access(access, principal, Resource.CONVERSATIONS)
    use = key_use.current_use()
    headers = use.headers if use else {}
    if not conversation_id:
        presence = streams.person_key(company.schema_name, principal.id)
        return Subscription(streams.inbox_key(company.schema_name), [], headers, True, presence)
    with tenant_context(company):
        conversation = get_conversation(principal, _uuid(conversation_id))
        is_visitor = principal.kind == PrincipalKind.LEAD
        return Subscription(
            streams.stream_key(company.schema_name, conversation.id),
            _fallback(conversation, for_visitor=conversation.lead_id is not None),
            headers,
            FOLLOWS.search(request.scope.get("query_string", b"")) is not None,
            streams.visitor_key(company.schema_name, conversation.id) if is_visitor else "",
        )


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.UUID(int=0)


def principal_of_request(request: AsgiRequest, *, is_new: bool = True) -> Principal | None:
    token = bearer_token(request.headers)
    if token and (lead := lead_from_token(token, request.headers)):
        return lead
    if principal := principal_from_headers(request.headers, is_new_call=is_new):
        return principal
    SessionMiddleware(lambda _: None).process_request(request)  # type: ignore[arg-type]  # only the session is wanted
    user = person_of(request)
    if not isinstance(user, User):
        return None
    if refused := missing_step(request, user):
        raise refused
    return principal_of(user)


def _fallback(conversation: Conversation, *, for_visitor: bool) -> list[Event]:
    reply = newest_reply(conversation.pk)
    if reply is None or reply.status not in {MessageStatus.COMPLETED, MessageStatus.FAILED}:
        return []
    common = {"conversation_id": str(conversation.pk), "task_id": str(reply.task_id), "status": reply.status}
    record = message_record(reply, for_visitor=for_visitor, language=conversation.language)
    response = {**common, "message": record}
    if reply.error:
        response["error"] = record["error"]
    status = {**common, "message_id": str(reply.reply_to_id)}
    return [Event("", streams.STATUS, status), Event("", streams.RESPONSE, response)]
