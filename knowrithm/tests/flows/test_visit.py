"""A visitor's whole way by keyboard alone, on a page of another origin with a strict policy, to a person and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from agents.tests.widget_stub import running_site
from agents.tests.widget_visit import CHROMIUM, FLAGS, IN_BROWSER, PAGE
from knowrithm.llm.providers.extractive import NO_ANSWER
from knowrithm.tests.flows.files import WARRANTY, WARRANTY_QUESTION, library, write_files
from knowrithm.tests.platform import FLOW, PASSWORD, Owner

pytestmark = [FLOW, pytest.mark.timeout(600), *IN_BROWSER]

POLICY = (
    "default-src 'none'; script-src {api}; connect-src {api}; style-src 'none'; img-src {api}; form-action 'none'; "
    "base-uri 'none'; require-trusted-types-for 'script'"
)


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        expect.set_options(timeout=20_000)
        yield browser
        expect.set_options(timeout=5_000)
        browser.close()


def new_page(browser: Browser, complaints: list[str]) -> Page:
    """Of a person of their own: nothing is shared with the others' pages."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


def tab_to(page: Page, wanted: Locator, *, key: str = "Tab") -> None:
    """By this key alone, as a person without a mouse goes there."""
    expect(wanted).to_be_visible()
    for _ in range(25):
        if wanted.evaluate("(node) => node.getRootNode().activeElement === node"):
            return
        page.keyboard.press(key)
    pytest.fail(f"{wanted} is not reached by {key}")


def type_and_send(page: Page, text: str) -> None:
    tab_to(page, page.get_by_role("textbox", name="Your message"))
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def test_by_keyboard_from_the_button_to_a_person_and_back(owner: Owner, browser: Browser, tmp_path: Path) -> None:
    platform = owner.platform.url
    agent_id = owner.create_agent("Pump desk")
    owner.learn(agent_id, *write_files(tmp_path, {"pump.txt": library()["pump.txt"]}))
    complaints: list[str] = []
    team = new_page(browser, complaints)
    team.goto(f"{platform}/login")
    team.get_by_label("E-mail").fill(owner.email)
    team.get_by_label("Password", exact=True).fill(PASSWORD)
    team.get_by_role("main").get_by_role("button", name="Log in").click()
    team.wait_for_url("**/home")
    team.goto(f"{platform}/inbox")
    row = team.locator(".inbox-row", has_text="Ada Keys")

    visitor = new_page(browser, complaints)
    answers, subtitle = visitor.locator(".message.assistant .bubble"), visitor.locator(".subtitle")
    with running_site() as site:
        site.policy = POLICY.replace("{api}", platform)
        site.html = PAGE.format(
            scripts=f'<script async src="{platform}/api/widget.js" data-agent-id="{agent_id}" '
            f'data-api-url="{platform}/api"></script>'
        )
        visitor.goto(site.url)
        launcher = visitor.locator("button.launcher")
        tab_to(visitor, launcher)
        visitor.keyboard.press("Enter")

        # Who they are.
        expect(visitor.get_by_label("First name")).to_be_focused()
        visitor.keyboard.type("Ada")
        for label, text in (("Last name", "Keys"), ("E-mail", "ada.keys@visitor.example")):
            tab_to(visitor, visitor.get_by_label(label))
            visitor.keyboard.type(text)
        tab_to(visitor, visitor.get_by_role("checkbox"))
        visitor.keyboard.press("Space")
        tab_to(visitor, visitor.get_by_role("button", name="Start chat"))
        visitor.keyboard.press("Enter")
        expect(visitor.get_by_role("textbox", name="Your message")).to_be_focused()

        # The agent, its source, and a rating.
        type_and_send(visitor, WARRANTY_QUESTION)
        expect(answers.nth(1)).to_have_text(f"{WARRANTY}1")
        tab_to(visitor, visitor.locator(".source summary"), key="Shift+Tab")
        visitor.keyboard.press("Enter")
        expect(visitor.locator(".excerpt")).to_have_text(WARRANTY)
        helpful = visitor.get_by_role("button", name="Helpful", exact=True)
        tab_to(visitor, helpful)
        visitor.keyboard.press("Enter")
        expect(helpful).to_have_attribute("aria-pressed", "true")

        # A person is asked for, and answers in another browser.
        tab_to(visitor, visitor.get_by_role("button", name="Talk to a person"))
        visitor.keyboard.press("Enter")
        expect(visitor.locator(".system")).to_have_count(1)
        row.click()
        team.get_by_role("button", name="Take").click()
        expect(team.locator(".inbox-who")).to_contain_text("You answer")
        expect(subtitle).to_have_text("Ada Lovelace")
        team.locator("#inbox-message").press_sequentially("Hello, this is Ada.")
        expect(visitor.locator(".hint")).to_have_text("Ada Lovelace is writing…")
        team.locator("#inbox-message").press("Enter")
        expect(answers.last).to_have_text("Hello, this is Ada.")
        expect(visitor.locator(".who")).to_have_text(["Ada Lovelace"])
        tab_to(visitor, visitor.get_by_role("textbox", name="Your message"))
        visitor.keyboard.type("My order is lost")
        expect(team.locator("[data-typing]")).to_be_visible()
        visitor.keyboard.press("Enter")
        expect(team.locator(".line-visitor").last).to_contain_text("My order is lost")
        expect(visitor.locator(".message.pending")).to_have_count(0)  # the agent is silent

        # Back to the agent, and out of the widget.
        team.locator(".inbox-thread summary").click()
        team.get_by_label("Summary for Pump desk").fill("The order is looked for.")
        team.get_by_role("button", name="Hand back with this summary").click()
        expect(subtitle).to_have_text("Digital assistant")
        expect(answers.last).to_have_text(NO_ANSWER)  # to what Ada has left open
        type_and_send(visitor, WARRANTY_QUESTION)
        expect(answers.last).to_have_text(f"{WARRANTY}1")
        visitor.keyboard.press("Escape")
        expect(visitor.get_by_role("dialog")).to_have_count(0)
        expect(launcher).to_be_focused()
    assert complaints == []
    said = [
        (message["author"]["kind"], message["author"]["name"])
        for message in owner.messages(conversation_of(owner, agent_id))
        if message["author"]["kind"] != "system"
    ]
    assert said == [
        ("visitor", None), ("agent", "Pump desk"), ("person", "Ada Lovelace"), ("visitor", None),
        ("agent", "Pump desk"), ("visitor", None), ("agent", "Pump desk"),
    ]  # fmt: skip


def conversation_of(owner: Owner, agent_id: str) -> str:
    path = f"/api/v1/conversation/agent/{agent_id}"
    [found] = owner.platform.get(path, headers=owner.headers).json()["conversations"]
    return str(found["id"])
