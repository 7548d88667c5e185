from __future__ import annotations

import asyncio
import io
import uuid
from typing import Any, cast

import pytest
from django.conf import settings
from django.test import Client

from conftest import Character
from conversations import sse
from conversations.sse import principal_of_request
from conversations.streams import BEGINNING, Event, addition, replay, stream_key, unfinished_turns
from knowrithm.charset import AsgiRequest
from knowrithm.db.redis import sync_redis
from tenants.exceptions import TwoFactorSetupRequiredError
from tenants.models import Company


def turn(number: int, *, ends: bool = True) -> list[Event]:
    common = {"task_id": f"t{number}"}
    events = [
        Event(f"{number}-0", "chat_status", {**common, "status": "queued"}),
        Event(f"{number}-1", "chat_status", {**common, "status": "in_progress"}),
        Event(f"{number}-2", "chat_delta", {**common, "text": "a"}),
    ]
    return [*events, Event(f"{number}-3", "chat_response", {**common, "status": "completed"})] if ends else events


def test_a_new_listener_is_shown_the_newest_turn_from_its_start() -> None:
    assert replay([*turn(1), *turn(2)]) == turn(2)


def test_or_everything_from_the_oldest_unfinished_turn_on() -> None:
    events = [*turn(1), *turn(2, ends=False), *turn(3)]
    assert replay(events) == [*turn(2, ends=False), *turn(3)]
    assert unfinished_turns(events) == {"t2"}


def test_interleaved_turns_are_told_apart() -> None:
    late_end = turn(1)[-1]
    events = [*turn(1, ends=False), *turn(2, ends=False), late_end]
    assert replay(events) == turn(2, ends=False)


def test_what_a_dead_worker_has_said_is_not_shown_again() -> None:
    first = turn(1, ends=False)
    again = [
        Event(f"1-{number}", name, {"task_id": "t1", "attempt": 2, **data})
        for number, name, data in [(4, "chat_status", {"status": "in_progress"}), (5, "chat_delta", {"text": "b"})]
    ]
    shown = replay([*first, *again])
    assert shown == [*first[:2], *again]
    assert "".join(event.data["text"] for event in shown if event.name == "chat_delta") == "b"


def test_nothing_to_show() -> None:
    assert replay([]) == []


def test_a_cookie_is_not_enough_where_the_company_requires_more(acme: Character, acme_client: Client) -> None:
    cookie = f"{settings.SESSION_COOKIE_NAME}={acme_client.cookies[settings.SESSION_COOKIE_NAME].value}"
    scope = {
        "type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"cookie", cookie.encode())],
    }  # fmt: skip
    assert principal_of_request(AsgiRequest(scope, io.BytesIO())) is not None
    Company.objects.filter(pk=acme.company.pk).update(requires_two_factor=True)
    with pytest.raises(TwoFactorSetupRequiredError):
        principal_of_request(AsgiRequest(scope, io.BytesIO()))


def say(key: str, **data: Any) -> None:
    sync_redis().eval(*addition(key, "chat_status", {"task_id": "t1", **data}))


def test_a_listener_hears_each_event_once_and_in_order_however_slow_it_is() -> None:
    key, count = stream_key("c_slow", uuid.uuid4()), 3 * sse.MOST_UNHEARD

    async def heard() -> list[int]:
        numbers: list[int] = []
        events = sse.events_of("t1", key, BEGINNING)

        async def talk() -> None:
            for number in range(count):
                await asyncio.to_thread(say, key, number=number)

        talking = asyncio.ensure_future(talk())
        try:
            async with asyncio.timeout(60):
                async for event in events:
                    if event is not None:
                        numbers.append(event.data["number"])
                        if len(numbers) == 10:
                            await talking  # hears nothing until all has been said
                    if len(numbers) == count:
                        break
        finally:
            await events.aclose()
            await sse._hubs.pop(asyncio.get_running_loop()).client.aclose()
        return numbers

    assert asyncio.run(heard()) == list(range(count))
    sync_redis().delete(key)


def test_an_older_worker_says_only_that_there_is_something() -> None:
    key = stream_key("c_older", uuid.uuid4())

    async def heard() -> Event | None:
        events = sse.events_of("t1", key, BEGINNING)
        listening = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.5)  # what subscribing itself makes it read has been read
        sync_redis().xadd(key, {"event": "chat_status", "data": '{"task_id": "t1"}'})
        sync_redis().publish(key, "")
        try:
            return await asyncio.wait_for(listening, 10)
        finally:
            await events.aclose()
            await sse._hubs.pop(asyncio.get_running_loop()).client.aclose()

    event = asyncio.run(heard())
    assert event is not None
    assert event.turn == "t1"
    sync_redis().delete(key)


def test_listeners_that_come_at_once_all_hear() -> None:
    keys = [stream_key("c_once", uuid.uuid4()) for _ in range(5)]

    async def all_subscribed() -> None:
        while not set(keys) <= {*cast("list[str]", sync_redis().pubsub_channels("*c_once*"))}:
            await asyncio.sleep(0.01)

    async def heard() -> list[Event | None]:
        listeners = [sse.events_of("t1", key, BEGINNING) for key in keys]
        listening = asyncio.gather(*(anext(listener) for listener in listeners))
        await asyncio.wait_for(all_subscribed(), 30)
        await asyncio.sleep(0.2)  # what subscribing itself makes them read has been read
        for key in keys:
            say(key)
        try:
            return await asyncio.wait_for(listening, 30)
        finally:
            for listener in listeners:
                await listener.aclose()
            await sse._hubs.pop(asyncio.get_running_loop()).client.aclose()

    assert [event and event.turn for event in asyncio.run(heard())] == ["t1"] * 5
    sync_redis().delete(*keys)


def test_a_listener_hears_where_the_one_before_it_has_gone_at_once() -> None:
    key = stream_key("c_gone", uuid.uuid4())

    async def heard() -> Event | None:
        first, second = (sse.events_of("t1", key, BEGINNING) for _ in range(2))
        leaving, listening = asyncio.ensure_future(anext(first)), asyncio.ensure_future(anext(second))
        await asyncio.sleep(0)  # both have begun, and none is subscribed yet
        leaving.cancel()
        await asyncio.sleep(0.5)
        say(key)
        try:
            return await asyncio.wait_for(listening, 30)
        finally:
            await second.aclose()
            await sse._hubs.pop(asyncio.get_running_loop()).client.aclose()

    event = asyncio.run(heard())
    assert event is not None
    assert event.turn == "t1"
    sync_redis().delete(key)


def test_what_was_said_while_the_subscription_was_cut_off_is_heard() -> None:
    """The beginning of the next subscription wakes who listens: a heartbeat, which reads nothing, would not."""
    key = stream_key("c_cut", uuid.uuid4())

    async def is_subscribed() -> None:
        while key not in cast("list[str]", sync_redis().pubsub_channels(key)):
            await asyncio.sleep(0.01)

    async def heard() -> Event | None:
        events = sse.events_of("t1", key, BEGINNING)
        listening = asyncio.ensure_future(anext(events))
        await asyncio.wait_for(is_subscribed(), 30)
        await asyncio.sleep(0.2)  # what subscribing itself makes it read has been read
        sync_redis().xadd(key, {"event": "chat_status", "data": '{"task_id": "t1"}'})  # and nobody is told
        connection: Any = sse._hub()._pubsub.connection
        host, port = connection._writer.get_extra_info("sockname")[:2]
        sync_redis().client_kill(f"{host}:{port}")
        try:
            return await asyncio.wait_for(listening, 30)
        finally:
            await events.aclose()
            hub = sse._hubs.pop(asyncio.get_running_loop())
            await hub.client.aclose()

    event = asyncio.run(heard())
    assert event is not None
    assert event.turn == "t1"
    sync_redis().delete(key)
