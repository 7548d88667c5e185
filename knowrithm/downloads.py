"""Downloads that are sent piece by piece and never stand in memory as a whole."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.core.files import File
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header

CSV = "text/csv; charset=utf-8"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the beginning of one


def file_download(request: HttpRequest, file: File[Any], *, name: str, content_type: str) -> StreamingHttpResponse:
    """An open file, closed when it has been sent."""
    response = _streamed(request, file.chunks(), name=name, content_type=content_type)
    response._resource_closers.append(file.close)  # type: ignore[attr-defined]  # as Django's FileResponse does
    return response


def csv_download(
    request: HttpRequest, batches: Iterable[Iterable[Sequence[Any]]], *, name: str
) -> StreamingHttpResponse:
    """Rows of CSV, of which no value is taken for a formula by a spreadsheet."""
    return _streamed(request, _lines(batches), name=name, content_type=CSV)


def _lines(batches: Iterable[Iterable[Sequence[Any]]]) -> Iterator[str]:
    for batch in batches:
        buffer = io.StringIO()
        csv.writer(buffer).writerows([cell(value) for value in row] for row in batch)
        yield buffer.getvalue()


def cell(value: Any) -> str:
    """A value that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _streamed(request: HttpRequest, pieces: Iterator[Any], *, name: str, content_type: str) -> StreamingHttpResponse:
    # Under ASGI Django would read a plain iterator to its end before it sends the first byte.
    content: Any = _in_threads(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = str(content_disposition_header(True, name))
    return response


async def _in_threads(pieces: Iterator[Any]) -> AsyncIterator[Any]:
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece
