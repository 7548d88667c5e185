"""A visitor in a real browser, on a page of another origin with a strict content security policy."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from agents.tests.widget_stub import running_site, running_stub
from agents.tests.widget_visit import CHROMIUM, FLAGS, STRICT_POLICY, Visit


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def visit(context: BrowserContext) -> Iterator[Visit]:
    with running_stub() as stub, running_site() as site:
        visit = Visit(page=context.new_page(), stub=stub, site=site)
        site.policy = STRICT_POLICY.format(api=stub.url)
        visit.page.on("console", lambda message: visit.complaints.append(message.text))
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        yield visit
        visit.page.close()
