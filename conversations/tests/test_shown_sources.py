"""How the pages show what an agent said: the marks of its sources, counted from 1 as the answer names them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django_tenants.utils import tenant_context
from playwright.sync_api import Page, Route, expect, sync_playwright

from agents.tests.widget_visit import CHROMIUM, FLAGS, IN_BROWSER
from conftest import Character
from conversations.enums import EntityType, Owner, ReplayInputs
from conversations.models import Citation, Conversation, Message
from conversations.replays import answer_again
from conversations.tests.test_pages import conversation_of, exchange, lead_of
from knowrithm.jobs import complete_task, create_task

pytestmark = IN_BROWSER
HOST = "http://pages.test"


@pytest.fixture
def conversation(acme: Character) -> Conversation:
    found = conversation_of(acme, entity_type=EntityType.LEAD, lead=lead_of(acme), owner=Owner.WAITING)
    with tenant_context(acme.company):
        reply = exchange(
            found, content="Yes. [Source 3]\n\n- Or **no**. [Source 2, 3]\n- In [2024]. <b>", status="completed"
        )
        for number, name in ((1, "Read only"), (2, "Second"), (3, "Third")):
            Citation.objects.create(
                message=reply, number=number, document_name=name, content="x", headings=[], locator={}, score=1,
                evidence=1, is_cited=number > 1,
            )  # fmt: skip
    return found


@contextmanager
def shown(path: str, html: bytes, *, width: int = 1280) -> Iterator[Page]:
    """The page in a browser that gets the files beside it and nothing else. It was rendered before: within Playwright's
    loop Django refuses the database.
    """

    def answer(route: Route) -> None:
        asked = route.request.url.removeprefix(HOST)
        if asked == path:
            route.fulfill(body=html, headers={"content-type": "text/html; charset=utf-8"})
        elif asked.startswith("/static/") and (file := finders.find(asked.removeprefix("/static/"))):
            route.fulfill(path=Path(str(file)))
        else:
            route.fulfill(status=403)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.route("**/*", answer)
        page.goto(HOST + path)
        yield page
        browser.close()


@pytest.mark.parametrize("path", ["/inbox?conversation={}", "/conversations/{}"])
def test_marks_are_counted_from_1_and_lead_to_their_passages(
    conversation: Conversation, acme_client: Client, acme: Character, path: str
) -> None:
    path = path.format(conversation.pk)
    with tenant_context(acme.company):
        passages = {citation.number: f"/conversations/passage/{citation.pk}" for citation in Citation.objects.all()}
    with shown(path, acme_client.get(path).content) as page:
        text = page.locator("[data-answer] [data-message-text], .message-assistant [data-message-text]").first
        expect(text).to_have_text("Yes. 1Or no. 21In [2024]. <b>")
        expect(page.locator(".source")).to_have_text(["1Third", "2Second"])
        marks = [mark.get_attribute("data-passage") for mark in text.locator(".cite").all()]
        listed = [source.get_attribute("data-passage") for source in page.locator(".sources .source").all()]
    assert marks == [passages[3], passages[2], passages[3]]
    assert listed == [passages[3], passages[2]]


def test_the_name_of_a_document_is_not_said_again_as_its_first_heading(
    conversation: Conversation, acme_client: Client, acme: Character
) -> None:
    paths = {"Third": ["Third", "Returns", "EU"], "Second": ["Second"]}
    with tenant_context(acme.company):
        for name, headings in paths.items():
            locator = {"type": "section", "headings": headings, "start": 1, "end": 2}
            Citation.objects.filter(document_name=name).update(locator=locator, headings=headings)
        reply = Message.objects.get(conversation=conversation, role="assistant")
        passages = {
            citation.document_name: f"/conversations/passage/{citation.pk}" for citation in reply.citations.all()
        }
    path = f"/conversations/{conversation.pk}"
    with shown(path, acme_client.get(path).content) as page:
        expect(page.locator(".source")).to_have_text(["1ThirdReturns › EU", "2Second"])
        expect(page.locator(".cite").first).to_have_attribute("title", "Third, Returns › EU")
    for place in (passages["Third"], f"/conversations/messages/{reply.pk}"):
        assert '<span class="locator">Returns › EU</span>' in acme_client.get(place).content.decode()
    for place in (passages["Second"], f"/conversations/messages/{reply.pk}"):
        assert '<span class="locator">Second</span>' not in acme_client.get(place).content.decode()


def test_what_is_to_be_checked_names_the_sources_as_they_are_counted(
    conversation: Conversation, acme_client: Client, acme: Character
) -> None:
    told = "The answer puts words in quotation marks that do not stand in source 3 or 2."
    with tenant_context(acme.company):
        Message.objects.filter(conversation=conversation, role="assistant").update(warnings=[told])
    path = f"/conversations/{conversation.pk}"
    with shown(path, acme_client.get(path).content) as page:
        expect(page.locator(".message-warnings li")).to_have_text([told.replace("3 or 2", "1 or 2")])


def test_a_replays_two_answers_are_shown_as_the_chat_shows_them(
    conversation: Conversation, acme_client: Client, acme: Character
) -> None:
    with tenant_context(acme.company):
        reply = Message.objects.get(conversation=conversation, role="assistant")
        reply.warnings = ["Nothing of source 3 is quoted."]
        result = answer_again(reply, ReplayInputs.NOW)
        result["replayed"] |= {"content": "It is `off`.", "sources": []}
        task_id = create_task()
        complete_task(task_id, result)
    path = f"/conversations/messages/{reply.pk}?task={task_id}"
    with shown(path, acme_client.get(path).content) as page:
        texts = page.locator("#replay [data-message-text]")
        expect(texts).to_have_text(["Yes. 1Or no. 21In [2024]. <b>", "It is off."])
        expect(texts.nth(1).locator("code")).to_have_text("off")
        expect(page.locator("#replay .source")).to_have_text(["1Third", "2Second"])
        expect(page.locator("#replay .message-warnings li")).to_have_text("Nothing of source 1 is quoted.")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_stages_of_an_answer_have_bars_that_can_be_compared(
    conversation: Conversation, acme_client: Client, acme: Character, width: int
) -> None:
    timings = {"routing": 0.1, "retrieval": 0.2, "first_token": 1.5, "generation": 12.0}
    with tenant_context(acme.company):
        replies = Message.objects.filter(conversation=conversation, role="assistant")
        replies.update(timings=timings, processing_time=13.8)
        path = f"/conversations/messages/{replies.get().pk}"
    with shown(path, acme_client.get(path).content, width=width) as page:
        table = page.locator(".stages").bounding_box()
        bars = [bar.bounding_box() for bar in page.locator(".stages progress").all()]
        card = page.locator(".card-body", has=page.locator(".stages")).bounding_box()
        hidden = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert table
    assert card
    assert [bool(bar and bar["width"] > table["width"] * 0.4) for bar in bars] == [True] * 4
    assert (table["x"] + table["width"] <= card["x"] + card["width"], hidden) == (True, 0)


@pytest.mark.parametrize("width", [390, 1280])
def test_what_one_needs_most_in_the_inbox_is_in_sight(
    conversation: Conversation, acme_client: Client, width: int
) -> None:
    path = f"/inbox?conversation={conversation.pk}"
    with shown(path, acme_client.get(path).content, width=width) as page:
        for name in ("Take", "Hand back", "Close"):
            button = page.locator(".inbox-acts > form").get_by_role("button", name=name)
            expect(button).to_be_in_viewport(ratio=1)
        expect(page.locator(".inbox-last")).to_have_text("Yes. - Or no. - In [2024]. <b>")
