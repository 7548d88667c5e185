"""What might be asked next: buttons below the newest answer, until the next question."""

import pytest
from playwright.sync_api import expect

from agents.tests.test_widget_accessibility import violations
from agents.tests.widget_visit import IN_BROWSER, Visit

pytestmark = IN_BROWSER

TOUCH = 44.0  # pixels


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_suggestions_stand_below_the_newest_answer_until_the_next_question(visit: Visit, theme: str) -> None:
    visit.stub.suggestions = ["Repairs of <b>pumps</b>", "Opening hours"]
    visit.embed(f'data-theme="{theme}"')
    visit.enter()
    visit.say("How long is the warranty?")
    offered = visit.page.get_by_role("group", name="Suggested questions").get_by_role("button")
    expect(offered).to_have_text(["Repairs of <b>pumps</b>", "Opening hours"])
    assert violations(visit) == []
    boxes = [one.bounding_box() for one in offered.all()]
    assert [box["height"] >= TOUCH and box["width"] >= TOUCH for box in boxes if box] == [True, True]

    visit.page.reload()  # they are there again for who comes back
    visit.launcher.click()
    expect(offered).to_have_count(2)
    visit.stub.suggestions = []
    offered.nth(1).focus()
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator(".message.user .bubble").nth(1)).to_have_text("Opening hours")
    expect(visit.composer).to_be_focused()
    expect(visit.answers.nth(2)).to_have_text("Hello from the agent.")
    expect(visit.page.locator(".starter")).to_have_count(0)
    assert visit.complaints == []


def test_suggestions_go_when_something_else_is_asked(visit: Visit) -> None:
    visit.stub.suggestions = ["Opening hours"]
    visit.embed()
    visit.enter()
    visit.say("How long is the warranty?")
    expect(visit.page.locator(".starter")).to_have_count(1)
    visit.stub.stream_gate.clear()
    visit.say("And the seal?")
    expect(visit.page.locator(".message.pending")).to_be_visible()
    expect(visit.page.locator(".starter")).to_have_count(0)
    visit.stub.stream_gate.set()
    expect(visit.page.locator(".starter")).to_have_count(1)  # those of the new answer


def test_suggestions_from_right_to_left(visit: Visit) -> None:
    visit.stub.suggestions = ["ساعات العمل", "Repairs of pumps"]
    visit.embed('data-language="ar"')
    visit.launcher.click()
    for place, value in [("first_name", "Ada"), ("last_name", "Lovelace"), ("email", "ada@example.com")]:
        visit.page.locator(f"#field-{place}").fill(value)
    visit.page.get_by_role("checkbox").check()
    visit.page.locator("button.primary").click()
    visit.page.locator("textarea.text").fill("?")
    visit.page.keyboard.press("Enter")
    offered = visit.page.get_by_role("group", name="أسئلة مقترحة").get_by_role("button")
    expect(offered).to_have_count(2)
    expect(offered.nth(0)).to_have_css("direction", "rtl")
    expect(offered.nth(1)).to_have_css("direction", "ltr")
    right = [box["x"] + box["width"] for one in offered.all() if (box := one.bounding_box())]
    assert right[0] >= right[1]
    [begun] = visit.stub.sent("POST", "/conversation")
    [asked] = visit.stub.sent("POST", "/chat")
    assert (begun.body["language"], asked.body["language"]) == ("ar", "ar")
    assert violations(visit) == []
