"""A small server that speaks the part of the API which the chat widget uses, and the pages that embed the widget.

It lets the widget be driven alone, without a database or workers. Both servers listen on 127.0.0.1, each on its own
port, so that page and API are different origins as they are for a customer.
"""

import json
import re
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from agents.widget import widget_script_file

STATIC = Path(__file__).resolve().parents[1] / "static" / "agents"
WIDGET_SOURCE = STATIC / "widget.js"
AGENT_ID = "6f1f7a52-7a0a-4a44-9d0f-0d9f5a3b2c11"
PAGE_SIZE = 100

Json = dict[str, Any]


@dataclass(frozen=True)
class RecordedRequest:
    method: str
    path: str
    body: Json
    headers: dict[str, str]


@dataclass(frozen=True)
class Refusal:
    """The next request whose path ends in `suffix` is answered with this instead."""

    suffix: str
    status: int
    body: Json
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class WidgetStub:
    """The state of the stub, set and read by a test while the server runs."""

    url: str = ""
    agent: Json = field(default_factory=lambda: {"id": AGENT_ID, "name": "Acme Support", "avatar_url": None})
    pieces: list[str] = field(default_factory=lambda: ["Hello ", "from the **agent**."])
    lost_piece: str = ""  # what a worker had said when it died
    gated_after: int = 2  # events
    sources: list[Json] = field(default_factory=list)
    suggestions: list[str] = field(default_factory=list)
    answer_status: str = "completed"
    stream_available: bool = True
    holds_streams_back: bool = False  # as a proxy does that hands an answer on when it is whole
    cut_stream_after: int | None = None
    answering: bool = True
    requests: list[RecordedRequest] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    refresh_tokens: set[str] = field(default_factory=set)
    conversations: dict[str, list[Json]] = field(default_factory=dict)
    # Who has the conversations, and what those who follow them are told outside of turns: (event, data).
    owner: Json = field(default_factory=lambda: {"owner": "agent", "person": None, "agent": {"name": "Acme Support"}})
    told: list[tuple[str, Json]] = field(default_factory=list)
    gone: int = 0  # of those who followed
    has_ended: bool = False
    # Streaming stops before the second piece, and the answer of a POST …/chat, while these are cleared.
    stream_gate: threading.Event = field(default_factory=threading.Event)
    chat_gate: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.stream_gate.set()
        self.chat_gate.set()

    def sent(self, method: str, suffix: str) -> list[RecordedRequest]:
        return [
            request
            for request in self.requests
            if request.method == method and urlsplit(request.path).path.endswith(suffix)
        ]

    def answer_streams(self) -> list[RecordedRequest]:
        """Those that wait for an answer; besides them one follows the conversation for what people say."""
        return [one for one in self.sent("GET", "/messages/stream") if "follow=true" not in one.path]

    def register(self, body: Json) -> tuple[int, Json]:
        token = f"token-{len(self.tokens) + 1}-{uuid4()}"
        self.tokens.add(token)
        refresh_token = f"refresh-{uuid4()}"
        self.refresh_tokens.add(refresh_token)
        return 201, {"success": True, "lead": body, "access_token": token, "refresh_token": refresh_token}

    def visit(self, body: Json) -> tuple[int, Json]:
        if "refresh_token" in body and body["refresh_token"] not in self.refresh_tokens:
            return 401, {"error": "Expired", "message": "This chat is not available any more."}
        return self.register({"agent_id": body["agent_id"]})

    def create_conversation(self) -> tuple[int, Json]:
        conversation_id = str(uuid4())
        self.conversations[conversation_id] = []
        return 201, {"conversation": {"id": conversation_id}, "id": conversation_id}

    def chat(self, conversation_id: str, body: Json) -> tuple[int, Json]:
        question = _message("user", body["message"], "completed")
        answer = _message("assistant", "", "pending")
        self.conversations[conversation_id] += [question, answer]
        task_id = str(uuid4())
        return 202, {
            "status": "queued",
            "task_id": task_id,
            "status_url": f"/api/v1/tasks/{task_id}/status",
            "conversation_id": conversation_id,
            "message_id": question["id"],
        }

    def messages(self, conversation_id: str, page: int) -> tuple[int, Json]:
        """The stored messages. A pending answer is finished after it has been listed once as pending."""
        stored = self.conversations[conversation_id]
        start = (page - 1) * PAGE_SIZE
        listed = [dict(message) for message in stored[start : start + PAGE_SIZE]]
        if self.answering and (self.holds_streams_back or not self.stream_available):
            for message in stored:
                if message["status"] == "pending":
                    self.finish(message)
        return 200, {"messages": listed, "pagination": {"page": page, "has_next": start + PAGE_SIZE < len(stored)}}

    def finish(self, answer: Json) -> None:
        answer["status"] = self.answer_status
        if self.answer_status == "completed":
            answer["content"] = "".join(self.pieces)
            answer["sources"] = self.sources
            answer["suggestions"] = self.suggestions

    def stream_events(self, conversation_id: str, last_event_id: int) -> Iterator[tuple[int, str, Json]]:
        """Events (id, name, data) of the newest answer after `last_event_id`; may end early, as a connection may."""
        answer = self.conversations[conversation_id][-1]
        base = {"conversation_id": conversation_id, "message_id": answer["id"]}
        events: list[tuple[str, Json]] = [("chat_status", {**base, "status": "in_progress"})]
        if self.lost_piece:
            events += [("chat_delta", {**base, "attempt": 1, "text": self.lost_piece})]
            base["attempt"] = 2
        events += [("chat_delta", {**base, "text": piece}) for piece in self.pieces]
        for number, (name, data) in enumerate(events, start=1):
            if number <= last_event_id:
                continue
            if number > self.gated_after:
                self.stream_gate.wait(timeout=20)
            yield number, name, data
            if number == self.cut_stream_after:
                self.cut_stream_after = None
                return
        self.finish(answer)
        status = {"conversation_id": conversation_id, "status": self.answer_status}
        yield len(events) + 1, "chat_response", {**status, "message": answer}


def _message(role: str, content: str, status: str) -> Json:
    return {"id": str(uuid4()), "role": role, "content": content, "status": status, "sources": [], "metadata": {}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: WidgetStub

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test output quiet."""

    def do_OPTIONS(self) -> None:
        self.send_response(204)
        self._send_cors()
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_PATCH(self) -> None:
        self._handle("PATCH")

    def _handle(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        stub = self.stub
        with stub.lock:
            stub.requests.append(RecordedRequest(method, self.path, body, dict(self.headers)))
            path = urlsplit(self.path).path
            refusal = next((one for one in stub.refusals if path.endswith(one.suffix)), None)
            if refusal:
                stub.refusals.remove(refusal)
        if refusal:
            self._send_json(refusal.status, refusal.body, refusal.headers)
        elif path == "/api/widget.js":
            self._send(200, "application/javascript", widget_script_file().body)
        elif path.startswith("/api/v1/widget/"):
            file = STATIC / "widget" / path.rpartition("/")[2]
            self._send(200, "application/json", file.read_bytes())
        elif path.startswith(("/api/v1/conversation", "/api/v1/message/")) or method == "PATCH":
            self._conversation(method, path.removeprefix("/api/v1"), body)
        else:
            self._public(method, path.removeprefix("/api/v1"), body)

    def _public(self, method: str, path: str, body: Json) -> None:
        if (method, path) == ("POST", "/website/handshake"):
            self._send_json(200, {"website_source": None, "website_page": None, "crawl_task_id": None})
        elif (method, path) == ("GET", f"/agent/{AGENT_ID}"):
            self._send_json(200, {"agent": self.stub.agent})
        elif (method, path) == ("POST", "/lead/register"):
            self._send_json(*self.stub.register(body))
        elif (method, path) == ("POST", "/lead/visitor"):
            self._send_json(*self.stub.visit(body))
        else:
            self._send_json(404, {"error": "Not found", "message": "Not found"})

    def _conversation(self, method: str, path: str, body: Json) -> None:
        stub = self.stub
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in stub.tokens:
            self._send_json(401, {"error": "Authentication required", "message": "Authentication required"})
            return
        if (method, path) == ("POST", "/conversation"):
            self._send_json(*stub.create_conversation())
            return
        if path == "/lead/visitor":
            self._send_json(200, {"success": True, "lead": body})
            return
        if path.startswith("/message/"):
            self._send_json(200, {"data": {}})
            return
        match = re.fullmatch(
            r"/conversation/([^/]+)/(chat|typing|handover|handover/address|messages|messages/stream)", path
        )
        if not match or match[1] not in stub.conversations:
            self._send_json(404, {"error": "Not found", "message": "Not found"})
        elif match[2] == "chat":
            stub.chat_gate.wait(timeout=20)
            self._send_json(*stub.chat(match[1], body))
        elif match[2] in {"handover/address", "typing"}:
            self._send_json(200, {"message": "Thank you."})
        elif match[2] == "handover":
            if method == "POST":
                stub.owner = {**stub.owner, "owner": "waiting"}
            self._send_json(200, stub.owner)
        elif match[2] == "messages":
            page = int(parse_qs(urlsplit(self.path).query)["page"][0])
            self._send_json(*stub.messages(match[1], page))
        elif stub.stream_available:
            self._stream(match[1])
        else:
            self._send_json(503, {"error": "Streaming is not configured", "message": "Streaming is not configured"})

    def _stream(self, conversation_id: str) -> None:
        self.close_connection = True
        try:
            self.send_response(200)
            self._send_cors()
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            while self.stub.holds_streams_back and not self.stub.has_ended:
                time.sleep(0.02)
            last_event_id = int(self.headers.get("Last-Event-ID") or 0)
            self.wfile.write(b": open\n")
            if "follow=true" in self.path:
                self._follow(last_event_id)
                return
            for number, name, data in self.stub.stream_events(conversation_id, last_event_id):
                self.wfile.write(f"event: {name}\nid: {number}\ndata: {json.dumps(data)}\n\n".encode())
        except (BrokenPipeError, ConnectionResetError):
            return  # the visitor has gone
        finally:
            if "follow=true" in self.path:
                with self.stub.lock:
                    self.stub.gone += 1

    def _follow(self, sent: int) -> None:
        """What is told, as it is told, until the visitor goes or the stub ends."""
        while not self.stub.has_ended:
            for number, (name, data) in enumerate(self.stub.told[sent:], start=sent + 1):
                self.wfile.write(f"event: {name}\nid: {number}\ndata: {json.dumps(data)}\n\n".encode())
                sent = number
            if select.select([self.connection], [], [], 0.02)[0]:  # nothing is sent to us but the end
                return

    def _send_json(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
        self._send(status, "application/json", json.dumps(body).encode(), headers)

    def _send(self, status: int, content_type: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self._send_cors()
        for name, value in {"Content-Type": content_type, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_cors(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "Content-Type, Authorization, Accept, Last-Event-ID")
        self.send_header("Access-Control-Expose-Headers", "Retry-After")


@dataclass
class HostSite:
    """A customer's page. `{api}` in `html` and `policy` stands for the API's origin; any path shows the page."""

    url: str = ""
    html: str = ""
    policy: str = ""


class _SiteHandler(BaseHTTPRequestHandler):
    site: HostSite

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test output quiet."""

    def do_GET(self) -> None:
        body = self.site.html.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        if self.site.policy:
            self.send_header("Content-Security-Policy", self.site.policy)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running_stub() -> Iterator[WidgetStub]:
    stub = WidgetStub()
    with serving(type("Handler", (_Handler,), {"stub": stub})) as url:
        stub.url = url
        try:
            yield stub
        finally:
            stub.has_ended = True
            stub.stream_gate.set()
            stub.chat_gate.set()


@contextmanager
def running_site() -> Iterator[HostSite]:
    site = HostSite()
    with serving(type("SiteHandler", (_SiteHandler,), {"site": site})) as url:
        site.url = url
        yield site
