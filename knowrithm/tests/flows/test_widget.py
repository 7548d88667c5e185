"""The chat widget on a customer's page, against the whole platform: from the form to a cited answer, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from agents.tests.widget_stub import running_site
from agents.tests.widget_visit import CHROMIUM, FLAGS, IN_BROWSER, PAGE
from knowrithm.tests.flows.files import WARRANTY, WARRANTY_QUESTION, library, write_files
from knowrithm.tests.platform import FLOW, Owner

pytestmark = [FLOW, *IN_BROWSER]


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
        context.set_default_timeout(20_000)
        yield context.new_page()
        browser.close()


def answers(page: Page) -> Locator:
    """The bubbles of the agent; the first one is the welcome."""
    return page.locator(".message.assistant .bubble")


def test_visitor_asks_about_an_uploaded_document_and_resumes_after_a_reload(
    owner: Owner, page: Page, tmp_path: Path
) -> None:
    agent_id = owner.create_agent("Pump support")
    owner.learn(agent_id, *write_files(tmp_path, {"pump.txt": library()["pump.txt"]}))
    complaints: list[str] = []
    streams: list[int] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # The other stream, which follows the conversation, tells of people.
    page.on("response", lambda response: streams.append(response.status) if response.url.endswith("/stream") else None)
    platform = owner.platform.url
    with running_site() as site:
        site.policy = f"default-src 'none'; script-src {platform}; connect-src {platform}; style-src 'none'"
        site.html = PAGE.format(
            scripts=f'<script async src="{platform}/api/widget.js" data-agent-id="{agent_id}" '
            f'data-api-url="{platform}/api"></script>'
        )
        page.goto(site.url)
        page.locator("button.launcher").click()
        page.get_by_label("First name").fill("Ada")
        page.get_by_label("Last name").fill("Lovelace")
        page.get_by_label("E-mail").fill("ada@visitor.example")
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Start chat").click()
        composer = page.get_by_role("textbox", name="Your message")
        composer.fill(WARRANTY_QUESTION)
        composer.press("Enter")

        expect(page.locator(".source .name")).to_have_text(["pump.txtLines 1–5"])
        expect(answers(page).nth(1)).to_have_text(f"{WARRANTY}1")
        page.locator(".ref").first.click()
        expect(page.locator(".excerpt")).to_have_text(WARRANTY)
        assert streams == [200]  # it was streamed, not polled

        page.reload()
        page.locator("button.launcher").click()
        expect(page.locator(".message.user .bubble")).to_have_text([WARRANTY_QUESTION])
        expect(answers(page).last).to_have_text(f"{WARRANTY}1")
        expect(page.locator(".source")).to_have_count(1)
        composer.fill("Where is the X200 pump made?")
        composer.press("Enter")
        expect(answers(page).last).to_contain_text("Lyon")
    assert complaints == []
    leads = owner.client.leads.list_company_leads(search="ada@visitor.example")["leads"]
    assert [(lead["first_name"], lead["agent_id"]) for lead in leads] == [("Ada", agent_id)]
