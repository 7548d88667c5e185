"""The test chat and the editor's preview in a browser: what is in sight, and what the script shows of what one does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.test import Client
from django_tenants.utils import tenant_context
from playwright.sync_api import Page, Route, expect

from agents.tests.widget_visit import IN_BROWSER
from conftest import Character
from conversations.models import Message
from conversations.tests.test_pages import conversation_of, exchange
from conversations.tests.test_shown_sources import HOST, shown

pytestmark = IN_BROWSER
EDITING = "You are changing a question. What came after it is replaced."


@pytest.fixture
def reply(acme: Character) -> Message:
    conversation = conversation_of(acme)
    with tenant_context(acme.company):
        return exchange(conversation, content="Yes.", status="completed")


@pytest.fixture
def chat(reply: Message, acme_client: Client) -> Iterator[Page]:
    path = f"/agents/{reply.conversation.agent_id}/chat?conversation={reply.conversation_id}"
    with shown(path, acme_client.get(path).content) as page:
        yield page


@pytest.mark.parametrize("way", ["Cancel", "Escape"])
def test_changing_a_question_is_shown_and_can_be_left(chat: Page, way: str) -> None:
    box, note, asked = chat.get_by_label("Your question"), chat.locator("[data-editing-note]"), chat.locator("#main")
    box.fill("Half a thought")
    expect(note).to_be_hidden()
    chat.locator(".message-user").hover()
    chat.get_by_role("button", name="Change the question").click()
    expect(note.locator("p")).to_have_text(EDITING)
    expect(box).to_have_accessible_description(EDITING)
    expect(box).to_have_value("Question 0?")
    expect(asked.locator(".message-user[data-editing]")).to_have_count(1)
    if way == "Escape":
        box.press("Escape")
    else:
        chat.get_by_role("button", name="Cancel", exact=True).click()
    expect(note).to_be_hidden()
    expect(box).to_be_focused()
    expect(box).to_have_value("Half a thought")
    expect(asked.locator("[data-editing]")).to_have_count(0)


def test_a_changed_question_is_sent_in_the_place_of_the_one_before(chat: Page, reply: Message) -> None:
    sent: list[tuple[str, str, str]] = []

    def refuse(route: Route) -> None:
        request = route.request
        sent.append((request.method, request.url.removeprefix(HOST), json.loads(request.post_data or "{}")["message"]))
        route.fulfill(status=400, json={"message": "Not now."})

    chat.route("**/api/v1/**", refuse)
    chat.locator(".message-user").hover()
    chat.get_by_role("button", name="Change the question").click()
    chat.get_by_label("Your question").fill("Question 1?")
    chat.get_by_label("Your question").press("Enter")
    expect(chat.locator("[data-editing-note]")).to_be_hidden()
    expect(chat.locator(".message-user [data-message-text]")).to_have_text(["Question 1?"])
    expect(chat.locator(".message-assistant [data-message-text]")).to_have_text(["Not now."])
    assert sent == [("PATCH", f"/api/v1/message/{reply.reply_to_id}", "Question 1?")]


def test_an_answer_that_does_not_come_is_called_late(chat: Page) -> None:
    chat.route("**/api/v1/**", lambda route: None)  # no answer at all
    chat.get_by_label("Your question").fill("Question 1?")
    chat.get_by_label("Your question").press("Enter")
    late = chat.locator(".message-assistant:last-of-type .note-slow")
    expect(late).to_be_hidden()
    late.evaluate("note => note.getAnimations().forEach((wait) => wait.finish())")  # ten seconds
    expect(late).to_be_visible()


def test_a_bad_answer_can_be_commented_on(chat: Page, reply: Message) -> None:
    sent: list[dict[str, object]] = []

    def accept(route: Route) -> None:
        assert route.request.url == f"{HOST}/api/v1/message/{reply.pk}/feedback"
        sent.append(json.loads(route.request.post_data or ""))
        route.fulfill(json={"data": {}})

    chat.route("**/api/v1/**", accept)
    bad, box = chat.get_by_role("button", name="A bad answer"), chat.get_by_label("What is bad about it?")
    expect(box).to_be_hidden()
    bad.click()
    expect(box).to_be_focused()
    box.fill("It names the wrong year.")
    chat.locator("[data-comment]").get_by_role("button", name="Send").click()
    expect(box).to_be_hidden()
    expect(bad).to_be_focused()
    bad.click()  # takes it back
    expect(bad).to_have_attribute("aria-pressed", "false")
    expect(box).to_be_hidden()
    chat.get_by_role("button", name="A good answer").click()
    expect(chat.get_by_role("button", name="A good answer")).to_have_attribute("aria-pressed", "true")
    expect(box).to_be_hidden()
    assert sent == [
        {"rating": -1}, {"rating": -1, "comment": "It names the wrong year."}, {"rating": None}, {"rating": 1}
    ]  # fmt: skip


@pytest.mark.parametrize("height", [700, 900])
def test_the_editors_preview_can_be_asked_without_scrolling(acme: Character, acme_client: Client, height: int) -> None:
    path = f"/agents/{acme.agent.pk}/edit"
    with shown(path, acme_client.get(path).content) as page:
        page.set_viewport_size({"width": 1280, "height": height})
        expect(page.locator("[data-agent-preview]")).to_be_in_viewport(ratio=1)
        expect(page.locator("[data-agent-preview] textarea")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("width", [390, 1280])
def test_a_toast_is_read_out_and_covers_nothing_of_the_page(acme: Character, acme_client: Client, width: int) -> None:
    acme_client.post(f"/agents/{acme.agent.pk}/archive")
    path = f"/agents/{acme.agent.pk}"
    html = acme_client.get(path).content
    with shown(path, html, width=width) as page:
        toast = page.get_by_role("status").locator(".toast-success").bounding_box()
        header = page.locator(".page-header").bounding_box()
        undo = page.locator(".toast-undo").bounding_box()
    assert toast
    assert header
    assert undo
    assert toast["y"] + toast["height"] <= header["y"]
    assert undo["height"] < 32  # the word is not broken
