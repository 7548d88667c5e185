"""A website for the tests, on loopback: pages by path, and what was asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Respond = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Page:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        etag = self.headers.get("ETag")
        if etag and handler.headers.get("If-None-Match") == etag:
            handler.send_response(304)
            handler.end_headers()
            return
        handler.send_response(self.status)
        for name, value in {"Content-Type": "text/html; charset=utf-8", **self.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(self.body)))
        handler.end_headers()
        handler.wfile.write(self.body)


def html(text: str, *links: str, head: str = "", **headers: str) -> Page:
    """A page with a title, a navigation, a sentence or two, and links in it."""
    anchors = "".join(f'<p><a href="{link}">More about {link}</a></p>' for link in links)
    body = f"""<html lang="en"><head><title>{text.split(".")[0]}</title>{head}</head><body>
        <nav><a href="/">Home of the navigation</a></nav><main><h1 id="top">{text.split(".")[0]}</h1>
        <p>{text}</p>{anchors}</main><footer>Copyright of the footer</footer></body></html>"""
    return Page(body.encode(), headers={name.replace("_", "-"): value for name, value in headers.items()})


def redirect(target: str) -> Page:
    return Page(status=302, headers={"Location": target})


class Website(ThreadingHTTPServer):
    """Answers what `pages` says for a path with its query; 404 for others, unless `otherwise` says more."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, Respond] = {}
        self.otherwise: Callable[[str], Respond] = lambda path: Page(b"nothing here", 404)
        self.asked: list[str] = []
        self.agents: set[str] = set()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def asked_for_pages(self) -> list[str]:
        return [path for path in self.asked if path not in {"/robots.txt", "/sitemap.xml"}]


class _Handler(BaseHTTPRequestHandler):
    server: Website

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.agents.add(self.headers["User-Agent"])
        respond = self.server.pages.get(self.path) or self.server.otherwise(self.path)
        try:
            respond(self)
        except OSError:
            return  # the client has gone

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def serving() -> Iterator[Website]:
    with Website() as site:
        threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield site
        site.shutdown()
