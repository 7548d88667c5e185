"""The events of a conversation, in a Redis stream: written by the turn, read by whoever listens.

A listener may come early, late or again: the stream keeps the last turns for an hour. Each write also wakes the
listeners of every web process through a channel of the same name.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from knowrithm.db.redis import sync_redis

KEPT_EVENTS = 4000
KEPT_SECONDS = 3600

BEGINNING = "0"  # a place before all events
STATUS, DELTA, RESPONSE = "chat_status", "chat_delta", "chat_response"


@dataclass(frozen=True, slots=True)
class Event:
    """`id` is the stream's own, rising; `name` is chat_status, chat_delta or chat_response."""

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


def stream_key(schema: str, conversation_id: uuid.UUID | str) -> str:
    return f"conversation:{schema}:{conversation_id}"


def publish(schema: str, conversation_id: uuid.UUID | str, name: str, data: dict[str, Any]) -> None:
    key = stream_key(schema, conversation_id)
    pipe = sync_redis().pipeline(transaction=False)
    fields: Any = {"event": name, "data": json.dumps({"conversation_id": str(conversation_id), **data})}
    pipe.xadd(key, fields, maxlen=KEPT_EVENTS, approximate=True)
    pipe.expire(key, KEPT_SECONDS)
    pipe.publish(key, "")
    pipe.execute()


def newest_id(schema: str, conversation_id: uuid.UUID | str) -> str:
    """The place of what was said last; `BEGINNING` before anything was."""
    entries: Any = sync_redis().xrevrange(stream_key(schema, conversation_id), count=1)
    return str(entries[0][0]) if entries else BEGINNING


def parse(entries: Sequence[tuple[str, dict[str, str]]]) -> list[Event]:
    return [Event(identifier, fields["event"], json.loads(fields["data"])) for identifier, fields in entries]


def unfinished_turns(events: Sequence[Event]) -> set[str]:
    turns = {event.turn for event in events if event.begins_turn}
    return turns - {event.turn for event in events if event.ends_turn}


def replay(events: Sequence[Event]) -> list[Event]:
    """What a new listener is shown of the past: from the oldest unfinished turn on, else the newest turn."""
    open_turns = unfinished_turns(events)
    starts = [place for place, event in enumerate(events) if event.begins_turn]
    if not starts:
        return list(events)
    first = next((place for place in starts if events[place].turn in open_turns), starts[-1])
    shown = {event.turn for event in events[first:] if event.begins_turn}
    return [event for event in events[first:] if event.turn in shown]
