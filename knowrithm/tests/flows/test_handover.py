"""A visitor is handed over to a person in a browser and back, against the whole platform."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect, sync_playwright

from agents.tests.widget_visit import CHROMIUM, FLAGS
from knowrithm.tests.platform import FLOW, PASSWORD, Owner, Platform

pytestmark = FLOW
NEEDS_BROWSER = pytest.mark.skipif(
    not CHROMIUM.exists() and os.environ.get("CI") != "true", reason=f"needs Chromium at {CHROMIUM}"
)
SCRIPT = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
CLOSED = (requests.RequestException, AttributeError, ValueError, OSError)  # what reading raises when we hang up


def hang_up(stream: requests.Response) -> None:
    """So that the platform has nobody to wait for when it stops."""
    connection: Any = stream.raw
    with suppress(*CLOSED):
        connection._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)
    with suppress(*CLOSED):
        stream.close()


class Visitor:
    """A lead of an agent in one conversation, who listens to its stream."""

    def __init__(self, owner: Owner, agent_id: str, email: str) -> None:
        lead = {"agent_id": agent_id, "first_name": "Vic", "last_name": "Itor", "email": email}
        base = f"{owner.platform.url}/api/v1"
        token = requests.post(f"{base}/lead/register", json=lead, timeout=30).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        made = requests.post(f"{base}/conversation", json={"agent_id": agent_id}, headers=self.headers, timeout=30)
        self.conversation_id = made.json()["conversation"]["id"]
        self.url = f"{base}/conversation/{self.conversation_id}"
        self.heard: list[tuple[str, dict[str, Any]]] = []

    def say(self, text: str) -> dict[str, Any]:
        answer = requests.post(f"{self.url}/chat", json={"message": text}, headers=self.headers, timeout=30)
        assert answer.status_code == 202, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def listen(self) -> None:
        address = f"{self.url}/messages/stream?follow=true"
        self.stream = requests.get(address, headers=self.headers, stream=True, timeout=120)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        name = ""
        with suppress(*CLOSED):
            for line in self.stream.iter_lines(decode_unicode=True):
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: ") and name != "heartbeat":
                    self.heard.append((name, json.loads(line.removeprefix("data: "))))

    def heard_of(self, name: str, of: Callable[[dict[str, Any]], Any]) -> list[Any]:
        return [of(data) for event, data in self.heard if event == name]


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
        context.set_default_timeout(20_000)
        yield context.new_page()
        browser.close()


@pytest.mark.browser
@NEEDS_BROWSER
def test_handed_over_to_a_person_in_a_browser_and_back(owner: Owner, page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    base = owner.platform.url
    agent_id = owner.create_agent("Desk")
    rules = {"handover": {"phrases": ["talk to a human"]}}
    assert requests.put(f"{base}/api/v1/agent/{agent_id}", json=rules, headers=owner.jwt, timeout=30).ok
    page.goto(f"{base}/login")
    page.get_by_label("E-mail").fill(owner.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.wait_for_url("**/home")
    page.goto(f"{base}/inbox")
    expect(page.get_by_text("Nobody waits")).to_be_visible()

    visitor = Visitor(owner, agent_id, "vic@visitor.example")
    visitor.listen()
    visitor.say(f"I want to talk to a human {SCRIPT}")
    row = page.locator(".inbox-row", has_text="Vic Itor")
    expect(row).to_be_visible()  # the page was not loaded again
    expect(page.locator("#inbox-count")).to_have_text("1 waiting")
    row.click()
    expect(page.locator(".inbox-log")).to_contain_text("talk to a human <script>")
    page.get_by_role("button", name="Take").click()
    expect(page.locator(".inbox-who")).to_contain_text("You answer")

    page.locator("#inbox-message").fill("Hello, how can I help?")
    page.locator("#inbox-message").press("Enter")
    expect(page.locator(".line-person")).to_contain_text("Hello, how can I help?")
    accepted = visitor.say("My order is lost")
    assert (accepted["assistant_message_id"], accepted["delivered_to"] is None) == (None, False)
    expect(page.locator(".line-visitor").last).to_contain_text("My order is lost")
    # That the visitor writes is shown beyond a renewal of the thread; put there by hand, it has no end of its own.
    page.locator("[data-typing]").evaluate("line => { line.hidden = false }")
    page.get_by_label("Private note").check()
    page.locator("#inbox-message").fill("Canary: looks angry")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".line-note")).to_contain_text("Canary: looks angry")
    expect(page.locator("[data-typing]")).to_be_visible()
    page.locator("[data-typing]").evaluate("line => { line.hidden = true }")
    typing = {"is_typing": True}
    requests.post(f"{visitor.url}/typing", json=typing, headers=visitor.headers, timeout=30)
    expect(page.locator("[data-typing]")).to_be_visible()

    page.locator(".inbox-thread summary").click()
    page.get_by_label("Summary for Desk").fill("The order is looked for.")
    page.get_by_role("button", name="Hand back with this summary").click()
    expect(page.get_by_text("The agent answers again.")).to_be_visible()
    accepted = visitor.say("What is your name?")
    assert accepted["assistant_message_id"] is not None

    shown = requests.get(f"{visitor.url}/messages", headers=visitor.headers, timeout=30).json()["messages"]
    people = [row["content"] for row in shown if row["author"]["kind"] == "person"]
    assert people == ["Hello, how can I help?"]
    owners = visitor.heard_of("chat_owner", lambda data: data["owner"])
    assert owners == ["waiting", "person", "agent"]
    assert "Hello, how can I help?" in visitor.heard_of("chat_message", lambda data: data["message"]["content"])
    assert "Canary" not in json.dumps([visitor.heard, shown])
    assert (page.title().startswith("Inbox"), complaints) == (True, [])
    hang_up(visitor.stream)


def test_the_inbox_tells_its_own_people_alone(platform: Platform, owner: Owner) -> None:
    stranger = platform.found_company()
    agent_id = owner.create_agent("Streams")
    visitor = Visitor(owner, agent_id, "eve@visitor.example")
    url = f"{platform.url}/api/v1/inbox/stream"

    def status(headers: dict[str, str]) -> int:
        with requests.get(url, headers=headers, timeout=10, stream=True) as answer:
            return answer.status_code

    assert status(visitor.headers) == 403
    assert status({}) == 401
    assert status({"Authorization": "Bearer nonsense"}) == 401
    told: dict[str, list[str]] = {"own": [], "stranger": []}

    def listen(name: str, answer: requests.Response) -> None:
        with suppress(*CLOSED):
            for line in answer.iter_lines(decode_unicode=True):
                if line.startswith("data: {") and line != "data: {}":
                    told[name].append(line)
                    done.set()

    done = threading.Event()
    streams = {
        name: requests.get(url, headers=dict(who.jwt), timeout=30, stream=True)
        for name, who in (("own", owner), ("stranger", stranger))
    }
    for item in streams.items():
        threading.Thread(target=listen, args=item, daemon=True).start()
    time.sleep(1)  # both have subscribed
    assert requests.post(f"{visitor.url}/handover", headers=visitor.headers, timeout=30).ok
    assert done.wait(15)
    assert (visitor.conversation_id in told["own"][0], told["stranger"]) == (True, [])
    for stream in streams.values():
        hang_up(stream)
