"""The envelope of answers: the contract's key for the record, and beside it the names that published clients read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

Record = Mapping[str, Any]
# Words that make a client take a finished answer for a task or for a failure.
NEVER_FLATTENED = {"errors", "error", "task_id", "status_url", "poll_url"}


def single(key: str, record: Record, /, **extra: Any) -> dict[str, Any]:
    """`{"agent": {…}}` with the record's own fields at the top level too, for clients that read `id` there."""
    flat = {name: value for name, value in record.items() if name not in NEVER_FLATTENED}
    return {**flat, key: record, **extra}


def listing(
    keys: Sequence[str], records: Sequence[Any] | Mapping[Any, Any], pagination: Record | None = None
) -> dict[str, Any]:
    """The serialized records under every key that some client reads, `items` and `data` among them."""
    body: dict[str, Any] = dict.fromkeys((*keys, "items", "data"), records)
    if pagination is not None:
        body["pagination"] = pagination
        body |= {name: pagination[name] for name in ("total", "page", "per_page", "total_pages")}
    return body


def task_fields(task_id: Any) -> dict[str, Any]:
    """What to ask for the end of work that a worker does."""
    return {"task_id": task_id, "status_url": f"/api/v1/tasks/{task_id}/status"}


class JsonRenderer(JSONRenderer):
    """DRF's, ten times as fast: a list stands under several keys, and is written each time."""

    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> Any:
        context = renderer_context or {}
        if data is not None and self.get_indent(accepted_media_type or "", context) is None:
            try:
                return orjson.dumps(data, default=_encoder.default, option=orjson.OPT_UTC_Z)
            except orjson.JSONEncodeError:
                pass  # a number of more than 64 bits, or a key that is no text
        return super().render(data, accepted_media_type, context)


_encoder = JSONEncoder()


class LenientNegotiation(DefaultContentNegotiation):
    """Clients ask for `text/event-stream` or `text/csv` and are content with JSON: never 406."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        available = list(renderers)
        if wanted := request.query_params.get("format"):
            available = [renderer for renderer in available if renderer.format == wanted] or available
            return available[0], available[0].media_type
        accept = request.headers.get("Accept", "")
        if "text/html" in accept:
            for renderer in available:
                if renderer.format == "api":
                    return renderer, renderer.media_type
        return available[0], available[0].media_type
