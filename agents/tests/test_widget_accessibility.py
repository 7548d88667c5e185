"""The widget by WCAG 2.2 AA: axe-core finds nothing in any state, and the focus goes where it should."""

from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import expect

from agents.tests.widget_stub import Refusal
from agents.tests.widget_visit import IN_BROWSER, OWN_FIELDS, SOURCES, Visit

pytestmark = IN_BROWSER

AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
# What is right needs no description, and where a violation stands is told by its HTML.
RUN = """async (tags) => (await axe.run(document, { runOnly: tags, resultTypes: ['violations'], selectors: false }))
    .violations.map((found) => `${found.id}: ${found.nodes.map((node) => node.html).join(' ')}`)"""


@cache
def axe_source() -> str:
    return AXE.read_text(encoding="utf-8")


def violations(visit: Visit) -> list[str]:
    """What axe-core complains about on the page, the widget's shadow tree included."""
    visit.page.mouse.move(0, 0)
    visit.page.emulate_media(reduced_motion="reduce")  # what is fading in has less contrast and size than it will have
    if not visit.page.evaluate("'axe' in window"):  # half a megabyte
        visit.page.evaluate(axe_source())
    found: list[str] = visit.page.evaluate(RUN, STANDARD)
    return found  # motion stays off: turned on again, what stands there would rise once more


def test_axe_sees_into_the_widget(visit: Visit) -> None:
    """Or the tests below would prove nothing."""
    visit.embed()
    visit.launcher.click()
    visit.page.get_by_label("Last name").evaluate("(input) => { input.id = 'unlabelled'; }")
    assert [text.partition(":")[0] for text in violations(visit)] == ["label-title-only", "label"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("color", ["#12634f", "#ffd400"])
def test_no_violation_from_the_closed_button_to_the_answer(visit: Visit, theme: str, color: str) -> None:
    visit.stub.agent |= {"starter_questions": ["How long is the warranty?"]}
    visit.stub.sources = SOURCES
    visit.stub.pieces = ["## Two years\n**Two years** [1], `X200`:\n- one\n- two\n```\ncode\n```"]
    visit.embed(f'data-theme="{theme}" data-color="{color}"')
    expect(visit.launcher).to_be_visible()
    assert violations(visit) == []  # closed
    visit.launcher.click()
    assert violations(visit) == []  # pre-chat
    visit.page.get_by_role("button", name="Start chat").click()
    assert violations(visit) == []  # with complaints
    visit.launcher.click()
    visit.enter()
    assert violations(visit) == []  # open, with starter questions
    visit.say("Hello")
    visit.page.locator(".ref").click()
    expect(visit.page.locator(".excerpt")).to_be_visible()
    assert violations(visit) == []  # answered, with a source that is open


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_violation_in_a_form_with_the_company_s_own_fields(visit: Visit, theme: str) -> None:
    visit.stub.agent |= {"widget": {"custom_fields": OWN_FIELDS}}
    visit.embed(f'data-theme="{theme}"')
    visit.launcher.click()
    expect(visit.page.get_by_label("Plan")).to_be_visible()
    assert violations(visit) == []
    visit.page.get_by_role("button", name="Start chat").click()
    expect(visit.page.get_by_label("Plan")).to_have_attribute("aria-invalid", "true")
    assert violations(visit) == []  # with complaints


def test_no_violation_while_an_answer_is_written_and_when_it_fails(visit: Visit) -> None:
    visit.stub.stream_gate.clear()
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.page.locator(".message.pending")).to_be_visible()
    assert violations(visit) == []
    visit.stub.answer_status = "failed"
    visit.stub.stream_gate.set()
    expect(visit.page.locator(".note")).to_be_visible()
    assert violations(visit) == []
    visit.stub.refusals.append(Refusal("/chat", 500, {}))
    visit.say("Hello again")
    expect(visit.page.locator(".note")).to_have_count(2)
    assert violations(visit) == []


def test_no_violation_on_a_phone(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 320, "height": 640})
    visit.embed()
    visit.launcher.click()
    assert violations(visit) == []


def test_tab_stays_in_the_open_panel_and_the_focus_goes_back_to_where_it_was(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    keyboard = visit.page.keyboard
    stops = []
    for _ in range(8):
        keyboard.press("Tab")
        stops.append(visit.page.evaluate("document.activeElement.id"))
    assert set(stops) == {"knowrithm-widget"}
    keyboard.press("Escape")
    expect(visit.launcher).to_be_focused()

    link = visit.page.get_by_role("link", name="Products")
    link.focus()
    visit.page.evaluate("KnowrithmWidget.open()")
    expect(visit.composer).to_be_focused()
    keyboard.press("Escape")
    expect(link).to_be_focused()


def test_an_answer_is_announced_once_and_whole(visit: Visit) -> None:
    visit.stub.pieces = ["One ", "two ", "three."]
    visit.stub.stream_gate.clear()
    visit.embed()
    visit.enter()
    visit.page.evaluate(
        """() => {
          window.said = [];
          const region = document.getElementById('knowrithm-widget').shadowRoot.querySelector('[role=status]');
          new MutationObserver(() => said.push(region.textContent)).observe(region, { childList: true });
        }"""
    )
    visit.say("Count")
    expect(visit.answers.nth(1)).to_have_text("One")
    visit.stub.stream_gate.set()
    expect(visit.answers.nth(1)).to_have_text("One two three.")
    expect(visit.page.get_by_role("status")).to_have_text("One two three.")
    assert visit.page.evaluate("window.said") == ["Acme Support is writing…", "One two three."]


def test_nothing_moves_for_who_wants_less_motion(visit: Visit) -> None:
    visit.page.emulate_media(reduced_motion="reduce")
    visit.stub.stream_gate.clear()
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.page.locator(".message.pending")).to_be_visible()
    moving = visit.page.evaluate(
        """() => [...document.getElementById('knowrithm-widget').shadowRoot.querySelectorAll('*')]
            .filter((node) => !['none', 'shown'].includes(getComputedStyle(node).animationName)
              || getComputedStyle(node).transitionDuration !== '0s').length"""
    )
    assert moving == 0
