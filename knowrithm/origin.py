"""Where the current request came from, for records that outlive it. Set by the first middleware, read by services."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    ip_address: str | None = None
    user_agent: str = ""
    request_id: str = ""


NOWHERE = Origin()  # a command or a worker
_origin: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)


def current_origin() -> Origin:
    return _origin.get()


def set_origin(origin: Origin) -> None:
    _origin.set(origin)
