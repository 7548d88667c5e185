"""A visitor leaves an address and the page; a person answers; the mail's link leads back into the conversation."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from agents.tests.widget_stub import running_site
from agents.tests.widget_visit import CHROMIUM, FLAGS, IN_BROWSER, PAGE
from knowrithm.tests.mailbox import parts
from knowrithm.tests.platform import FLOW, PASSWORD, VISITOR_GONE_SECONDS, Platform, wait_for

pytestmark = [FLOW, pytest.mark.last, *IN_BROWSER]

ADDRESS = "gone@visitor.example"  # no other flow's: they share a mailbox


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def new_page(browser: Browser) -> Page:
    """Of a person of their own: nothing is shared with the others' pages."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    return context.new_page()


def test_a_visitor_who_has_gone_is_mailed_and_goes_on_by_the_link(platform: Platform, browser: Browser) -> None:
    owner = platform.found_company()
    agent_id = owner.create_agent("Desk")
    nothing_else = dict.fromkeys(["first_name", "last_name", "phone"], "hidden")
    widget = {"ask": "none", "fields": nothing_else}
    changed = requests.put(
        f"{platform.url}/api/v1/agent/{agent_id}", json={"widget": widget}, headers=owner.jwt, timeout=30
    )
    assert changed.ok, changed.text

    # The visitor asks for a person, leaves an address, and goes.
    visitor = new_page(browser)
    with running_site() as site:
        site.html = PAGE.format(
            scripts=f'<script async src="{platform.url}/api/widget.js" data-agent-id="{agent_id}" '
            f'data-api-url="{platform.url}/api" data-language="de"></script>'
        )
        visitor.goto(site.url)
        visitor.locator("button.launcher").click()
        visitor.get_by_role("textbox", name="Ihre Nachricht").fill("Wo ist meine Bestellung?")
        visitor.keyboard.press("Enter")
        expect(visitor.locator(".message.assistant .bubble").last).to_contain_text("Das weiß ich nicht")
        visitor.get_by_role("button", name="Mit einem Menschen sprechen").click()
        expect(visitor.locator(".system")).to_contain_text("Wir haben unserem Team Bescheid gegeben.")
        visitor.get_by_label("E-Mail").fill(ADDRESS)
        visitor.get_by_role("checkbox").check()
        visitor.locator(".gate button.primary").click()
        expect(visitor.locator(".gate")).to_have_count(0)
        visitor.context.close()

    # A person answers in the inbox.
    desk = new_page(browser)
    desk.goto(f"{platform.url}/login")
    desk.get_by_label("E-mail").fill(owner.email)
    desk.get_by_label("Password", exact=True).fill(PASSWORD)
    desk.get_by_role("main").get_by_role("button", name="Log in").click()
    desk.wait_for_url("**/home")
    desk.goto(f"{platform.url}/inbox")
    desk.locator(".inbox-row").click()
    desk.get_by_role("button", name="Take").click()
    desk.locator("#inbox-message").fill("Sie kommt am Montag.")
    desk.locator("#inbox-message").press("Enter")
    expect(desk.locator(".line-person")).to_contain_text("Sie kommt am Montag.")
    expect(desk.locator(".line-system").last).to_contain_text(
        "Ada Lovelace answers here now."
    )  # the team reads English

    # The mail, in the visitor's language, and its link in another browser.
    def mailed() -> str | None:
        texts = [parts(mail)[0] for mail in platform.mailbox.taken if mail["To"] == ADDRESS]
        return texts[0] if texts else None

    text = wait_for(mailed, seconds=VISITOR_GONE_SECONDS + 60, pause=1)
    [mail] = [mail for mail in platform.mailbox.taken if mail["To"] == ADDRESS]
    assert mail["Subject"] == "Ada Lovelace hat Ihnen geantwortet"
    assert ("Sie kommt am Montag." in text, "Hello" in text) == (True, False)
    [link] = set(re.findall(r"http://\S+/continue\?token=\S+", text))
    back = new_page(browser)
    back.goto(link)
    assert back.url == f"{platform.url}/continue"  # the token stays in no address
    expect(back.locator("html")).to_have_attribute("lang", "de")
    expect(back.get_by_role("log")).to_contain_text("Sie kommt am Montag.")
    expect(back.locator(".line-system").last).to_have_text("Ada Lovelace antwortet jetzt hier.")
    back.get_by_label("Ihre Nachricht").fill("Danke! Und die Rechnung?")
    back.get_by_role("button", name="Senden").click()
    expect(back.get_by_role("log")).to_contain_text("Danke! Und die Rechnung?")
    expect(desk.locator(".line-visitor").last).to_contain_text("Danke! Und die Rechnung?")

    # It goes on: the person answers once more, and hands back to the agent.
    desk.locator("#inbox-message").fill("Liegt bei.")
    desk.locator("#inbox-message").press("Enter")
    expect(desk.locator(".line-person").last).to_contain_text("Liegt bei.")
    desk.get_by_role("button", name="Hand back", exact=True).click()
    expect(desk.get_by_text("The agent answers again.")).to_be_visible()
    back.get_by_role("link", name="Nach Antworten sehen").click()
    expect(back.get_by_role("log")).to_contain_text("Liegt bei.")
    expect(back.locator(".line-system").last).to_have_text("Desk antwortet wieder.")
    back.get_by_label("Ihre Nachricht").fill("Wer bist du?")
    back.get_by_role("button", name="Senden").click()

    def answered() -> bool:
        back.get_by_role("link", name="Nach Antworten sehen").click()
        return "Das weiß ich nicht" in back.locator(".line").last.inner_text()

    wait_for(answered, seconds=30, pause=1)
