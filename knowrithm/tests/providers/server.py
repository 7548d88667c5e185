"""What the provider servers share: HTTP, streaming by chunks, recording, failing on demand."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """`headers` have lower-case names; `client` is the connection's (address, port)."""

    path: str
    headers: dict[str, str]
    json: Json
    client: tuple[str, int]


@dataclass(slots=True)
class _Failure:
    status: int
    message: str
    times: int | None
    headers: dict[str, str]


class ProviderServer(ABC):
    """See the package's docstring. A subclass says how its protocol looks."""

    def __init__(
        self,
        *,
        reply: str | Callable[[Json], str] = "This is the answer. [Source 1]",
        first_delay: float = 0.0,
        token_delay: float = 0.0,
        required_key: str | None = None,
        dimension: int = 8,
        cut_after: int | None = None,
        stream_error_after: int | None = None,
    ) -> None:
        self.reply = reply
        self.first_delay = first_delay
        self.token_delay = token_delay
        self.required_key = required_key
        self.dimension = dimension
        self.cut_after = cut_after
        self.stream_error_after = stream_error_after
        self.finish_reason: str | None = None
        self.by_hand: Callable[[_Handler], None] | None = None
        self.requests: list[RecordedRequest] = []
        self.disconnected = threading.Event()
        self._failure: _Failure | None = None
        self._lock = threading.Lock()
        self._http = _HTTPServer(self)

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def base_url(self) -> str:
        """In the form that the provider's adapter wants."""
        return self.address

    def fail(
        self,
        status: int,
        message: str = "failed on demand",
        *,
        times: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answer the next `times` calls (None: all) with an error."""
        self._failure = _Failure(status, message, times, headers or {})

    def answer(self, handler: _Handler, request: RecordedRequest) -> None:
        with self._lock:
            self.requests.append(request)
            failure = self._take_failure()
        if failure is not None:
            handler.send_json(failure.status, self.error_body(failure.status, failure.message), failure.headers)
        elif self.by_hand is not None:
            self._by_hand(self.by_hand, handler)
        elif self.required_key is not None and self.sent_key(request) != self.required_key:
            handler.send_json(401, self.error_body(401, f"Incorrect API key provided: {self.sent_key(request)}"))
        elif self.is_embedding(request):
            time.sleep(self.first_delay)
            handler.send_json(200, self.embedding_body(request))
        else:
            self._stream(handler, request)

    def reply_to(self, request: Json) -> str:
        return self.reply if isinstance(self.reply, str) else self.reply(request)

    def embedding_of(self, text: str) -> list[float]:
        """A vector of length other than 1, so that a caller's scaling can be seen."""
        vector = [0.5] * self.dimension
        for word in re.findall(r"\w+", text.lower()):
            vector[hashlib.sha256(word.encode()).digest()[0] % self.dimension] += 1.0
        return vector

    @abstractmethod
    def sent_key(self, request: RecordedRequest) -> str: ...

    @abstractmethod
    def is_embedding(self, request: RecordedRequest) -> bool: ...

    @abstractmethod
    def embedding_body(self, request: RecordedRequest) -> Json: ...

    @abstractmethod
    def error_body(self, status: int, message: str) -> Json: ...

    @abstractmethod
    def opening_events(self, request: RecordedRequest) -> Iterator[str]: ...

    @abstractmethod
    def word_event(self, word: str) -> str: ...

    @abstractmethod
    def error_event(self) -> str: ...

    @abstractmethod
    def closing_events(self, request: RecordedRequest, words: int) -> Iterator[str]: ...

    def _take_failure(self) -> _Failure | None:
        failure = self._failure
        if failure is not None and failure.times is not None:
            failure.times -= 1
            if failure.times <= 0:
                self._failure = None
        return failure

    def _by_hand(self, write: Callable[[_Handler], None], handler: _Handler) -> None:
        try:
            write(handler)
        except OSError:
            self.disconnected.set()
        handler.close_connection = True

    def _stream(self, handler: _Handler, request: RecordedRequest) -> None:
        words = re.findall(r"\s*\S+", self.reply_to(request.json))
        time.sleep(self.first_delay)
        handler.begin_stream()
        try:
            for event in self.opening_events(request):
                handler.send_chunk(event)
            for number, word in enumerate(words):
                if number == self.cut_after:
                    handler.drop()
                    return
                if number == self.stream_error_after:
                    handler.send_chunk(self.error_event())
                    handler.end_stream()
                    return
                if number:
                    time.sleep(self.token_delay)
                handler.send_chunk(self.word_event(word))
            for event in self.closing_events(request, len(words)):
                handler.send_chunk(event)
            handler.end_stream()
        except OSError:
            self.disconnected.set()
            handler.close_connection = True


def count_words(value: object) -> int:
    """The words of a JSON value: what these servers count as tokens."""
    return len(json.dumps(value).split())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HTTPServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = RecordedRequest(
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            json=json.loads(body),
            client=self.client_address,
        )
        self.server.provider.answer(self, request)

    def send_json(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, text: str) -> None:
        content = text.encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def drop(self) -> None:
        """Close the connection in the middle of the body."""
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Requests are recorded, not printed."""


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, provider: ProviderServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.provider = provider

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves between two requests is no error."""
