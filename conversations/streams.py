"""The events of a conversation, in a Redis stream: written by the turn, read by whoever listens.

A listener may come early, late or again: the stream keeps the last turns for an hour. Whoever listens already is told
each event through a channel of the same name, in every web process, and reads the stream only where it missed some.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from knowrithm.db.redis import sync_redis
from knowrithm.jobs import read_task

KEPT_EVENTS = 4000
KEPT_SECONDS = 3600
STOP_SECONDS = 0.4

_ADD = """
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'event', ARGV[3], 'data', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', KEYS[1], id .. '\\n' .. ARGV[3] .. '\\n' .. ARGV[4])
"""

BEGINNING = "0"  # a place before all events
STATUS, DELTA, RESPONSE = "chat_status", "chat_delta", "chat_response"
MESSAGE, OWNER, TYPING = "chat_message", "chat_owner", "chat_typing"  # outside of turns
INBOX = "inbox"
PRESENT_SECONDS = 35  # after the last sign of life of a listener
AWAY_SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class Event:
    """`id` is the stream's own, rising, or empty for what is not kept. `name` is chat_status, chat_delta or
    chat_response of a turn; chat_message, chat_owner or chat_typing of the conversation; inbox of the company's inbox.
    """

    id: str
    name: str
    data: dict[str, Any]

    @property
    def begins_turn(self) -> bool:
        return self.name == STATUS and self.data.get("status") == "queued"

    @property
    def ends_turn(self) -> bool:
        return self.name == RESPONSE

    @property
    def turn(self) -> str:
        return str(self.data.get("task_id", ""))

    @property
    def attempt(self) -> int:
        """Which one at its turn. What an earlier one has said does not count any more."""
        return int(self.data.get("attempt") or 1)


def stream_key(schema: str, conversation_id: uuid.UUID | str) -> str:
    return f"conversation:{schema}:{conversation_id}"


def inbox_key(schema: str) -> str:
    """What is told to the company's people who have the inbox open."""
    return f"inbox:{schema}"


def publish(schema: str, conversation_id: uuid.UUID | str, name: str, data: dict[str, Any]) -> None:
    _add(stream_key(schema, conversation_id), name, {"conversation_id": str(conversation_id), **data})


def tell_inbox(schema: str, conversation_id: uuid.UUID | str, what: str) -> None:
    """That there is something new. What it is, each reader fetches with its own credential."""
    _add(inbox_key(schema), INBOX, {"conversation_id": str(conversation_id), "what": what})


def say_typing(schema: str, conversation_id: uuid.UUID | str, data: dict[str, Any]) -> None:
    """To those who listen now, in the conversation and in the inbox. It is kept nowhere, and has no id."""
    told = f"\n{TYPING}\n" + json.dumps({"conversation_id": str(conversation_id), **data})
    pipe = sync_redis().pipeline(transaction=False)
    pipe.publish(stream_key(schema, conversation_id), told)
    pipe.publish(inbox_key(schema), told)
    pipe.execute()


def parse_told(told: str) -> Event | None:
    """What came through a channel. None: a worker that is older than this said that there is something, not what."""
    identifier, _, rest = told.partition("\n")
    name, _, data = rest.partition("\n")
    return Event(identifier, name, json.loads(data)) if data else None


def _add(key: str, name: str, data: dict[str, Any]) -> None:
    """In one step: what is told comes in the order of the stream."""
    sync_redis().eval(*addition(key, name, data))


def addition(key: str, name: str, data: dict[str, Any]) -> tuple[Any, ...]:
    """What to give to a client's `eval`."""
    return _ADD, 1, key, KEPT_EVENTS, KEPT_SECONDS, name, json.dumps(data)


def newest_id(schema: str, conversation_id: uuid.UUID | str) -> str:
    """The place of what was said last; `BEGINNING` before anything was."""
    entries: Any = sync_redis().xrevrange(stream_key(schema, conversation_id), count=1)
    return str(entries[0][0]) if entries else BEGINNING


def newest_inbox_id(schema: str) -> str:
    entries: Any = sync_redis().xrevrange(inbox_key(schema), count=1)
    return str(entries[0][0]) if entries else "0-0"


def parse(entries: Sequence[tuple[str, dict[str, str]]]) -> list[Event]:
    return [Event(identifier, fields["event"], json.loads(fields["data"])) for identifier, fields in entries]


def unfinished_turns(events: Sequence[Event]) -> set[str]:
    turns = {event.turn for event in events if event.begins_turn}
    return turns - {event.turn for event in events if event.ends_turn}


def without_superseded(events: Sequence[Event]) -> list[Event]:
    """Without the pieces of answers whose workers died: another one has begun them anew."""
    newest: dict[str, int] = {}
    for event in events:
        newest[event.turn] = max(newest.get(event.turn, 1), event.attempt)
    return [event for event in events if event.name != DELTA or event.attempt == newest[event.turn]]


def replay(events: Sequence[Event]) -> list[Event]:
    """What a new listener is shown of the past: from the oldest unfinished turn on, else the newest turn."""
    events = without_superseded(events)
    open_turns = unfinished_turns(events)
    starts = [place for place, event in enumerate(events) if event.begins_turn]
    if not starts:
        return events
    first = next((place for place in starts if events[place].turn in open_turns), starts[-1])
    shown = {event.turn for event in events[first:] if event.begins_turn}
    return [event for event in events[first:] if event.turn in shown]


# --- Stopping -----------------------------------------------------------------------------------------------------


def ask_to_stop(schema: str, reply_id: uuid.UUID) -> None:
    """Whoever makes this reply sees it within a second, wherever that is."""
    sync_redis().set(_stop_key(schema, reply_id), 1, ex=KEPT_SECONDS)


def stop_unless_polled(schema: str, reply_id: uuid.UUID, task_id: str) -> None:
    """Whoever was to hear the answer has gone. It is made all the same where somebody asks for its task."""
    task = read_task(task_id)
    if task is None or not task.is_polled:
        ask_to_stop(schema, reply_id)


class StopFlag:
    """Whether a reply is still wanted. Redis is asked about twice a second, however often this is."""

    def __init__(self, schema: str, reply_id: uuid.UUID) -> None:
        self._key = _stop_key(schema, reply_id)
        self._is_wanted, self._asked = True, 0.0

    def is_wanted(self) -> bool:
        now = time.monotonic()
        if self._is_wanted and now - self._asked > STOP_SECONDS:
            self._asked = now
            self._is_wanted = not sync_redis().exists(self._key)
        return self._is_wanted


def _stop_key(schema: str, reply_id: uuid.UUID) -> str:
    return f"stop:{schema}:{reply_id}"


# --- Presence -----------------------------------------------------------------------------------------------------


def person_key(schema: str, user_id: uuid.UUID | str) -> str:
    return f"present:{schema}:user:{user_id}"


def visitor_key(schema: str, conversation_id: uuid.UUID | str) -> str:
    return f"present:{schema}:visitor:{conversation_id}"


def note_present(key: str) -> None:
    """A sign of life of somebody who does not listen to a stream."""
    sync_redis().set(key, 1, ex=PRESENT_SECONDS)


def is_present(key: str) -> bool:
    return bool(sync_redis().exists(key))


def set_away(schema: str, user_id: uuid.UUID, *, is_away: bool) -> None:
    key = f"{person_key(schema, user_id)}:away"
    if is_away:
        sync_redis().set(key, 1, ex=AWAY_SECONDS)
    else:
        sync_redis().delete(key)


def presence_of(schema: str, user_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, str]:
    """online, away or offline."""
    keys = [person_key(schema, user_id) for user_id in user_ids]
    if not keys:
        return {}
    found: Any = sync_redis().mget([*keys, *(f"{key}:away" for key in keys)])
    here, away = found[: len(keys)], found[len(keys) :]
    states = (
        "offline" if not is_here else "away" if is_away else "online"
        for is_here, is_away in zip(here, away, strict=True)
    )
    return dict(zip(user_ids, states, strict=True))
