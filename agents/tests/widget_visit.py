"""A visitor of a page with the chat widget, in the words of the tests."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from agents.tests.widget_stub import AGENT_ID, HostSite, WidgetStub

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM.exists() and os.environ.get("CI") != "true", reason=f"needs Chromium at {CHROMIUM}"
    ),
]
STRICT_POLICY = "default-src 'none'; script-src {api}; connect-src {api}; style-src 'none'; img-src {api}"
SOURCES = [
    {
        "source_number": 1,
        "document_name": "Warranty.pdf",
        "url": "https://acme.example/warranty.pdf",
        "excerpt": "Twenty-four months from the date of the invoice.",
        "locator_label": "Page 4",
    },
    {"source_number": 2, "document_name": "Handbook.docx", "locator_label": "Chapter 7"},
]
STORAGE_KEY = f"knowrithm-widget::{AGENT_ID}"
PAGE = """<!doctype html><html lang="en"><head><title>Acme pumps</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>Acme pumps</h1><a href="#products">Products</a></main>{scripts}</body></html>"""


def own_field(key: str, kind: str, **fields: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "name": key.capitalize(),
        "type": kind,
        "description": "",
        "options": [],
        "is_required": False,
    }
    return {"key": key, **usual, **fields}


OWN_FIELDS = [
    own_field("team", "text", description="Where you work."),
    own_field("seats", "number", is_required=True),
    own_field("ends", "date"),
    own_field("plan", "choice", options=["Basic", "<b>Pro</b>"], is_required=True),
    own_field("customer", "boolean", name="I am a customer", description="Of any of our shops."),
]


@dataclass
class Visit:
    """One visitor: the page, the API behind the widget, the site around it, and what the browser complained about."""

    page: Page
    stub: WidgetStub
    site: HostSite
    complaints: list[str] = field(default_factory=list)

    def embed(self, attributes: str = "", *, count: int = 1) -> None:
        tag = f'<script async src="{self.stub.url}/api/widget.js" data-agent-id="{AGENT_ID}" {attributes}></script>'
        self.site.html = PAGE.format(scripts=tag * count)
        self.page.goto(self.site.url)

    @property
    def launcher(self) -> Locator:
        return self.page.locator("button.launcher")

    @property
    def panel(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def composer(self) -> Locator:
        return self.page.get_by_role("textbox", name="Your message")

    @property
    def answers(self) -> Locator:
        """The bubbles of the agent; the first one is the welcome."""
        return self.page.locator(".message.assistant .bubble")

    def enter(self) -> None:
        """From the closed launcher to an empty conversation."""
        self.launcher.click()
        self.page.get_by_label("First name").fill("Ada")
        self.page.get_by_label("Last name").fill("Lovelace")
        self.page.get_by_label("E-mail").fill("ada@example.com")
        self.page.get_by_role("checkbox").check()
        self.page.get_by_role("button", name="Start chat").click()
        expect(self.composer).to_be_focused()

    def say(self, text: str) -> None:
        self.composer.fill(text)
        self.composer.press("Enter")

    def stored(self) -> dict[str, object]:
        value: dict[str, object] = json.loads(self.page.evaluate(f"localStorage.getItem('{STORAGE_KEY}')"))
        return value
