"""The widget on a phone with a slow connection: what it loads, how soon it is there, and what it costs its page.

Chromium with a quarter of the processor, 1.6 Mbit/s and 150 ms to every answer. How soon the widget is there is seen on
a page of text, where it has the line for itself; what it costs on a common one: a style sheet, a script and pictures,
a megabyte in all.
"""

from __future__ import annotations

import statistics
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

from playwright.sync_api import Browser, CDPSession, sync_playwright

from benchmarks.platform import free_port, new_customer, running_platform
from benchmarks.report import Row, at_most

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PHONE = {"width": 390, "height": 844}
SLOWER, LATENCY, DOWN, UP = 4, 150, 1_600_000 // 8, 750_000 // 8  # times, ms, bytes a second
ROUNDS = 5
PICTURES = 8

# What the page notes of itself: shifts of its layout, and when the widget's button is there to be pressed.
WATCH = """
window.figures = { shift: 0, ready: 0 };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) figures.shift += entry.value;
}).observe({ type: 'layout-shift', buffered: true });
addEventListener('knowrithm:ready', () => { figures.ready = performance.now(); });
"""
FIGURES = """() => {
  const [page] = performance.getEntriesByType('navigation');
  const script = performance.getEntriesByType('resource').find((entry) => entry.name.endsWith('/widget.js'));
  return { ...figures, load: page.loadEventEnd, begun: script ? script.startTime : 0 };
}"""


@dataclass(frozen=True, slots=True)
class _Visit:
    """Milliseconds since the page was asked for; `bytes` is what the widget's host sent over the wire."""

    load: float
    begun: float  # the script is asked for
    ready: float
    shift: float
    bytes: int


def run() -> list[Row]:
    with (
        running_platform() as address,
        new_customer(address) as customer,
        _host_page() as site,
        sync_playwright() as pw,
    ):
        tag = f'<script async src="{address}/api/widget.js" data-agent-id="{customer.agent_id}"'
        site.tag = f'{tag} data-api-url="{address}/api"></script>'
        browser = pw.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        seen: dict[str, list[_Visit]] = {"text+widget": [], "plain": [], "plain+widget": []}
        for number in range(ROUNDS + 1):
            # In turns, so that whatever else the machine does falls on all.
            for name, visits in seen.items():
                visit = _visit(browser, f"{site.url}/{name}", address)
                if number:
                    visits.append(visit)
        browser.close()
    alone, with_it = seen["text+widget"], seen["plain+widget"]
    load, plain = _median(with_it, "load"), _median(seen["plain"], "load")
    own = statistics.median(visit.ready - visit.begun for visit in alone)
    most = max(visit.bytes for visit in [*alone, *with_it])
    return [
        at_most("first load over the wire, with all headers", most, 30_000, "bytes"),
        at_most("from asking for the script until it can be used", own, 1000, "ms"),
        Row("… from asking for the page of text", f"{_median(alone, 'ready'):.0f} ms"),
        Row("… from asking for the page of 1 MB", f"{_median(with_it, 'ready'):.0f} ms"),
        at_most("layout shift", max(visit.shift for visit in [*alone, *with_it]), 0, ""),
        Row("page of 1 MB loaded, without the widget", f"{plain:.0f} ms"),
        Row("page of 1 MB loaded, with the widget", f"{load:.0f} ms"),
        at_most("… longer by", (load / plain - 1) * 100, 5, "%"),
    ]


def _median(visits: list[_Visit], name: str) -> float:
    return float(statistics.median(getattr(visit, name) for visit in visits))


def _visit(browser: Browser, url: str, address: str) -> _Visit:
    """A first visit: nothing is cached."""
    context = browser.new_context(viewport=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2)  # type: ignore[arg-type]  # a TypedDict
    try:
        page = context.new_page()
        page.add_init_script(WATCH)
        session = context.new_cdp_session(page)
        received = _count_bytes(session, address)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        speed = {"offline": False, "latency": LATENCY, "downloadThroughput": DOWN, "uploadThroughput": UP}
        session.send("Network.emulateNetworkConditions", speed)
        page.goto(url, wait_until="load", timeout=60_000)
        if url.endswith("+widget"):
            page.wait_for_function("figures.ready > 0", timeout=60_000)
        page.wait_for_timeout(1000)  # for shifts that come late, and the handshake
        figures: dict[str, Any] = page.evaluate(FIGURES)
        return _Visit(figures["load"], figures["begun"], figures["ready"], figures["shift"], sum(received.values()))
    finally:
        context.close()


def _count_bytes(session: CDPSession, address: str) -> dict[str, int]:
    """By request what the host at `address` has sent, which goes on being filled."""
    received: dict[str, int] = {}

    def asked(event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith(address):
            received[event["requestId"]] = 0

    def finished(event: dict[str, Any]) -> None:
        if event["requestId"] in received:
            received[event["requestId"]] = int(event["encodedDataLength"])

    session.on("Network.requestWillBeSent", asked)
    session.on("Network.loadingFinished", finished)
    session.send("Network.enable")
    return received


@dataclass
class _Site:
    url: str = ""
    tag: str = ""


@contextmanager
def _host_page() -> Iterator[_Site]:
    site = _Site()
    files = _files()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Keeps the output quiet."""

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            page = _page(site.tag if path.endswith("+widget") else "", is_heavy=path.startswith("plain"))
            kind, body = files.get(path) or ("text/html", page.encode())
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _page(tag: str, *, is_heavy: bool) -> str:
    count = PICTURES if is_heavy else 0
    pictures = "".join(f'<img src="/{number}.png" alt="" width="300" height="200">' for number in range(count))
    files = '<link rel="stylesheet" href="/style.css"><script defer src="/site.js"></script>' if is_heavy else ""
    text = "<p>Pumps move water from where it is to where it is wanted.</p>" * 60
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Acme pumps</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"{files}</head><body><main><h1>Acme pumps</h1>{pictures}{text}</main>{tag}</body></html>"
    )


def _files() -> dict[str, tuple[str, bytes]]:
    chance = Random(1)
    style = "".join(f".c{number} {{ margin: {number}px; }}\n" for number in range(1500))
    script = f"window.site = '{'x' * 150_000}'; for (let i = 0, s = 0; i < 2e6; i += 1) s += i;"
    pictures = {f"{number}.png": ("image/png", _png(chance, 105_000)) for number in range(PICTURES)}
    return {"style.css": ("text/css", style.encode()), "site.js": ("text/javascript", script.encode()), **pictures}


def _png(chance: Random, size: int) -> bytes:
    """Noise, which cannot be packed: about `size` bytes."""
    width, height = 200, size // 601
    rows = b"".join(b"\0" + chance.randbytes(width * 3) for _ in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(rows, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
