"""Every page of the dashboard by WCAG 2.2 AA: axe-core finds nothing, in light on a desktop and in dark on a phone.

The pages are rendered first, of a company with a row of every kind; then a browser is given what was rendered, with the
style sheets and scripts beside it, and nothing else.
"""

from __future__ import annotations

import mimetypes
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django_tenants.utils import tenant_context
from playwright.sync_api import Page, sync_playwright

from agents.models import Agent
from agents.tests.test_widget_accessibility import RUN, STANDARD, axe_source
from agents.tests.widget_stub import serving
from agents.tests.widget_visit import CHROMIUM, FLAGS, IN_BROWSER
from conftest import Character, page_client
from conversations.models import Message
from conversations.reply_links import reply_link
from knowrithm.routes import Route as PageRoute
from knowrithm.tests.isolation import CANARY, Treasure, bury
from knowrithm.tests.test_isolation import PAGES, page_ids
from tenants.models import TwoFactor

pytestmark = [*IN_BROWSER, pytest.mark.timeout(600)]

WAYS: list[tuple[Literal["light", "dark"], int]] = [("light", 1280), ("dark", 390)]
PUBLIC_PAGES = (
    "/",
    "/login",
    "/signup",
    "/sso/login",
    "/password/forgot",
    "/password/reset",
    "/invitation",
    "/continue",
)
AS_WELL = (  # what else stands behind an address
    "/agents/{agent_id}?tab=documents", "/agents/{agent_id}?tab=websites", "/agents/{agent_id}?tab=conversations",
    "/agents/{agent_id}/chat?conversation={conversation_id}", "/inbox?conversation={conversation_id}&show=closed",
    "/no-such-page",
)  # fmt: skip
STYLED = "document.styleSheets.length > 0 && [...document.styleSheets].every((sheet) => sheet.cssRules.length > 0)"
FEWEST = 70  # pages: so that nothing has been left out by accident


@dataclass(frozen=True)
class Rendered:
    status: int
    body: bytes
    headers: dict[str, str]


def address(route: PageRoute, treasure: Treasure) -> str:
    if "<" not in route.path:
        return route.path
    return route.path.split("<")[0] + str(treasure.ids[page_ids(route)]) + route.path.split(">")[1]


@pytest.fixture
def rendered(acme: Character) -> dict[str, Rendered]:
    treasure = bury(acme)
    TwoFactor.objects.all().delete()  # or each page would ask for a code first
    with tenant_context(acme.company):
        Agent.objects.filter(pk=str(treasure.ids["agent_id"])).update(starter_questions=["One?"], total_messages=2)
        Message.objects.filter(pk=str(treasure.ids["message_id"])).update(
            status="completed",
            error="",
            suggestions=["What is it made of?"],
            content="The recipe is secret [Source 1].",
        )
        link = reply_link(acme.company.schema_name, uuid.UUID(str(treasure.ids["conversation_id"])))
    rows = [route for route in PAGES if "company-logo" not in route.path]
    paths = {address(route, treasure) for route in rows}
    paths |= {path.format(**treasure.ids) for path in AS_WELL}
    pages: dict[str, Rendered] = {}
    signed_in = page_client(acme)
    for path in sorted(paths):
        keep(pages, path, path, signed_in)
    for path in PUBLIC_PAGES:
        keep(pages, f"{path}?public", path, Client())
    visitor = Client()
    visitor.get(link[link.index("/continue") :])
    keep(pages, "/continue?visitor", "/continue", visitor)
    return pages


def keep(pages: dict[str, Rendered], name: str, path: str, client: Client) -> None:
    """If it is a page: neither a redirect nor a download, nor something that is only sent to."""
    answer = client.get(path)
    if answer.streaming:
        answer.getvalue()  # a download is read to its end
    elif answer.status_code in {200, 404} and answer.headers["Content-Type"].startswith("text/html"):
        headers = {key: value for key, value in answer.headers.items() if key.lower() != "content-length"}
        pages[name] = Rendered(answer.status_code, answer.content, headers)


class _Handler(BaseHTTPRequestHandler):
    """The pages, and what they load of ours. The browser keeps that; answers that Playwright makes it would not."""

    protocol_version = "HTTP/1.1"
    pages: dict[str, Rendered]

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))  # of a POST; the connection is used again
        path = urlsplit(self.path).path
        if found := self.pages.get(self.path):
            self._send(found.status, found.headers, found.body)
        elif path.startswith("/static/") and (file := finders.find(path.removeprefix("/static/"))):
            kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
            self._send(200, {"Content-Type": kind, "Cache-Control": "max-age=600"}, Path(str(file)).read_bytes())
        else:
            self._send(204, {}, b"")

    do_POST = do_GET

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test output quiet."""


@pytest.fixture
def browser_page(rendered: dict[str, Rendered]) -> Iterator[Page]:
    """At the address where the pages are, with axe-core in each of them."""
    with serving(type("Handler", (_Handler,), {"pages": rendered})) as url, sync_playwright() as playwright:
        nowhere_else = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, nowhere_else])
        context = browser.new_context(base_url=url, locale="en-GB", reduced_motion="reduce")
        context.add_init_script(axe_source())
        yield context.new_page()
        browser.close()


def test_no_page_has_a_violation(rendered: dict[str, Rendered], browser_page: Page) -> None:
    whole = [name for name, page in rendered.items() if b"<html" in page.body]
    assert len(whole) >= FEWEST, sorted(whole)
    found: dict[str, list[str]] = {}
    for scheme, width in WAYS:
        browser_page.set_viewport_size({"width": width, "height": 900})
        browser_page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for name in whole:
            browser_page.goto(name)
            assert browser_page.evaluate(STYLED), name  # or there would be little to complain about
            if faults := browser_page.evaluate(RUN, STANDARD):
                found[f"{name} {scheme}"] = faults
    assert found == {}


# What stands over the edge of the page, whose own boxes that scroll hide what they hold.
WIDE = """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
    [...document.querySelectorAll("body *")]
        .filter((node) => node.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
        .slice(0, 5).map((node) => `${node.tagName.toLowerCase()}.${node.className}`)"""
LONG_NAME = b"Donaudampfschifffahrtsgesellschaftskapitaensmuetzenfabrikant"


def test_long_names_make_no_page_wider_than_a_phone(rendered: dict[str, Rendered], browser_page: Page) -> None:
    """320 pixels is as narrow as WCAG's criterion 1.4.10 (reflow) goes."""
    browser_page.set_viewport_size({"width": 320, "height": 900})
    found: dict[str, list[str]] = {}
    for name, page in list(rendered.items()):
        if b"<html" not in page.body:
            continue
        rendered[name] = Rendered(page.status, page.body.replace(CANARY.encode(), LONG_NAME), page.headers)
        browser_page.goto(name)
        if wide := browser_page.evaluate(WIDE):
            found[name] = wide
    assert not found, found
