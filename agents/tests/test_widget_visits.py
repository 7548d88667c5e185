"""Visits that take another way: without a name, in another language, while the service is down, in two tabs."""

import json
from typing import Any

import pytest
from playwright.sync_api import expect

from agents.tests.test_widget_accessibility import violations
from agents.tests.widget_stub import AGENT_ID, STATIC, Refusal
from agents.tests.widget_visit import IN_BROWSER, OWN_FIELDS, SOURCES, Visit, own_field

pytestmark = IN_BROWSER

OUTBOX = f"knowrithm-outbox::{AGENT_ID}"
DOWN = "**/api/v1/**"


def configure(visit: Visit, **widget: Any) -> None:
    visit.stub.agent |= {"widget": widget}


def go_down(visit: Visit, *, with_error: bool = False) -> None:
    if with_error:
        visit.page.route(DOWN, lambda route: route.fulfill(status=503, body="{}"))
    else:
        visit.page.route(DOWN, lambda route: route.abort("connectionrefused"))


def come_back(visit: Visit) -> None:
    visit.page.unroute(DOWN)
    visit.page.evaluate("dispatchEvent(new Event('online'))")


def leave_message(visit: Visit, text: str) -> None:
    visit.page.get_by_label("E-mail").fill("ada@example.com")
    visit.page.get_by_label("Your question").fill(text)
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Leave a message").click()


def waiting(visit: Visit) -> Any:
    return json.loads(visit.page.evaluate(f"localStorage.getItem('{OUTBOX}')") or "null")


# -- while the service is down


@pytest.mark.parametrize("with_error", [False, True])
def test_a_message_left_while_the_service_is_down_is_sent_when_it_is_back(visit: Visit, with_error: bool) -> None:
    go_down(visit, with_error=with_error)
    visit.embed()
    visit.launcher.click()
    expect(visit.page.locator(".hello")).to_have_text("We cannot be reached at the moment")
    assert violations(visit) == []
    leave_message(visit, "How long is the warranty?")
    expect(visit.page.locator(".info")).to_contain_text("sent as soon as we can be reached")
    assert waiting(visit)["message"] == "How long is the warranty?"
    assert violations(visit) == []

    visit.page.reload()  # nothing is lost
    visit.launcher.click()
    expect(visit.page.locator(".info")).to_be_visible()
    come_back(visit)
    expect(visit.page.locator(".message.user .bubble")).to_have_text(["How long is the warranty?"])
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    assert waiting(visit) is None
    [registration] = visit.stub.sent("POST", "/lead/register")
    assert registration.body == {
        "first_name": "", "last_name": "", "email": "ada@example.com", "phone": "", "agent_id": AGENT_ID,
        "consent_data_processing": True, "consent_text_version": "standard-2",
    }  # fmt: skip
    assert len(visit.stub.sent("POST", "/chat")) == 1


@pytest.mark.parametrize("has_locks", [True, False])
def test_two_tabs_send_a_message_that_was_left_once(visit: Visit, has_locks: bool) -> None:
    if not has_locks:  # as on pages without TLS; the second tab is the slower one
        visit.page.context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
        visit.page.context.add_init_script("Math.random = () => 0")
    other = Visit(page=visit.page.context.new_page(), stub=visit.stub, site=visit.site)
    for one in (visit, other):
        go_down(one)
    visit.embed()
    visit.launcher.click()
    leave_message(visit, "How long is the warranty?")
    expect(visit.page.locator(".info")).to_be_visible()
    other.page.goto(visit.site.url)
    other.launcher.click()
    expect(other.page.locator(".info")).to_be_visible()
    for one in (visit, other):
        one.page.unroute(DOWN)
    if not has_locks:
        other.page.evaluate("Math.random = () => 1")
    visit.stub.chat_gate.clear()
    for one in (visit, other):
        one.page.evaluate("dispatchEvent(new Event('online'))")
    visit.page.wait_for_timeout(1000)
    visit.stub.chat_gate.set()
    for one in (visit, other):
        expect(one.page.locator(".message.user .bubble")).to_have_text(["How long is the warranty?"])
    visit.page.wait_for_timeout(3000 if not has_locks else 300)
    assert len(visit.stub.sent("POST", "/lead/register")) == len(visit.stub.sent("POST", "/chat")) == 1


def test_what_was_typed_stays_when_the_service_comes_back_before_it_was_left(visit: Visit) -> None:
    go_down(visit)
    visit.embed()
    visit.launcher.click()
    visit.page.get_by_label("E-mail").fill("ada@example.com")
    visit.page.get_by_label("Your question").fill("Half a ques")
    come_back(visit)
    expect(visit.page.get_by_role("button", name="Start chat")).to_be_visible()
    expect(visit.page.get_by_label("E-mail")).to_have_value("ada@example.com")
    visit.page.get_by_label("First name").fill("Ada")
    visit.page.get_by_label("Last name").fill("Lovelace")
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Start chat").click()
    expect(visit.composer).to_have_value("Half a ques")


def test_a_registration_that_does_not_get_through_becomes_a_message(visit: Visit) -> None:
    visit.embed()
    visit.launcher.click()
    go_down(visit)
    visit.page.get_by_label("First name").fill("Ada")
    visit.page.get_by_label("Last name").fill("Lovelace")
    visit.page.get_by_label("E-mail").fill("ada@example.com")
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Start chat").click()
    expect(visit.page.get_by_label("E-mail")).to_have_value("ada@example.com")
    leave_message(visit, "Hello?")
    expect(visit.page.locator(".info")).to_be_visible()
    come_back(visit)
    expect(visit.page.locator(".message.user .bubble")).to_have_text(["Hello?"])


def test_a_message_that_is_refused_is_shown_and_can_be_mended(visit: Visit) -> None:
    go_down(visit)
    visit.embed()
    visit.launcher.click()
    leave_message(visit, "Hello?")
    expect(visit.page.locator(".info")).to_be_visible()
    visit.stub.refusals.append(Refusal("/lead/register", 400, {"message": "This address does not exist."}))
    come_back(visit)
    alert = visit.page.get_by_role("alert")
    expect(alert).to_have_text("Your message could not be sent: This address does not exist.")
    expect(visit.page.get_by_label("Your question")).to_have_value("Hello?")
    leave_message(visit, "Hello?")
    expect(visit.page.locator(".message.user .bubble")).to_have_text(["Hello?"])
    assert waiting(visit) is None


def test_a_slow_service_counts_as_down(visit: Visit) -> None:
    visit.page.clock.install()
    visit.page.route(f"**/agent/{AGENT_ID}", lambda route: None)  # never answers
    visit.embed()
    expect(visit.launcher).to_have_count(0)
    visit.page.wait_for_timeout(300)
    visit.page.clock.fast_forward(11_000)
    visit.launcher.click()
    expect(visit.page.locator(".hello")).to_have_text("We cannot be reached at the moment")


@pytest.mark.parametrize("status", ["inactive", "maintenance"])
def test_the_widget_of_an_agent_that_is_not_active_is_not_shown(visit: Visit, status: str) -> None:
    visit.stub.agent |= {"status": status}
    said: list[tuple[str, str]] = []
    visit.page.on("console", lambda message: said.append((message.type, message.text)))
    visit.embed()
    visit.page.wait_for_timeout(500)
    expect(visit.launcher).to_have_count(0)
    assert said == [("info", "Knowrithm widget: not shown, as the agent is not active.")]

    visit.stub.agent |= {"status": "active"}
    go_down(visit)
    visit.page.reload()
    expect(visit.launcher).to_be_visible()
    visit.stub.agent |= {"status": status}
    come_back(visit)
    expect(visit.launcher).to_have_count(0)  # nor the one for bad times


# -- languages


@pytest.mark.parametrize("language", sorted(path.stem for path in (STATIC / "widget").glob("*.json")))
def test_every_language_is_fetched_alone_and_read_in_its_direction(visit: Visit, language: str) -> None:
    texts = json.loads((STATIC / "widget" / f"{language}.json").read_text())
    fetched: list[str] = []
    visit.page.on("request", lambda request: fetched.append(request.url) if "/widget/" in request.url else None)
    visit.embed(f'data-language="{language}-XX"')
    expect(visit.launcher).to_have_accessible_name(texts["open"])
    visit.launcher.click()
    expect(visit.panel).to_have_css("direction", "rtl" if language in {"ar", "he"} else "ltr")
    expect(visit.page.get_by_role("button", name=texts["start"])).to_be_visible()
    assert [url.rpartition("/")[2] for url in fetched] == [f"{language}.json"]
    assert violations(visit) == []
    assert visit.complaints == []


def test_language_of_tag_then_agent_then_page_then_browser(visit: Visit) -> None:
    visit.embed()  # the page says English; so does the browser
    expect(visit.launcher).to_have_accessible_name("Open chat")
    page = visit.site.html
    visit.site.html = page.replace('lang="en"', 'lang="fr-CA"')
    visit.page.reload()
    expect(visit.launcher).to_have_accessible_name("Ouvrir le chat")
    configure(visit, language="nl")
    visit.page.reload()
    expect(visit.launcher).to_have_accessible_name("Chat openen")
    visit.site.html = page.replace("data-agent-id", 'data-language="it" data-agent-id')
    visit.page.reload()
    expect(visit.launcher).to_have_accessible_name("Apri la chat")


def test_without_its_texts_the_widget_speaks_english(visit: Visit) -> None:
    visit.page.route("**/widget/de.json", lambda route: route.abort())
    visit.embed('data-language="de"')
    expect(visit.launcher).to_have_accessible_name("Open chat")


# -- what is asked before, after, or never


def test_a_visitor_who_is_asked_nothing_begins_with_the_question(visit: Visit) -> None:
    configure(visit, ask="none")
    visit.stub.agent |= {"starter_questions": ["How long is the warranty?"]}
    visit.embed()
    visit.launcher.click()
    expect(visit.composer).to_be_focused()
    assert visit.stub.sent("POST", "/lead/visitor") == []  # looking makes nobody a visitor
    assert violations(visit) == []
    visit.page.get_by_role("button", name="How long is the warranty?").click()
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    [begun] = visit.stub.sent("POST", "/lead/visitor")
    assert begun.body == {"agent_id": AGENT_ID}
    assert visit.stub.sent("POST", "/lead/register") == []

    visit.stub.tokens.clear()
    visit.say("And the seal?")
    expect(visit.answers.nth(2)).to_have_text("Hello from the agent.")
    assert list(visit.stub.sent("POST", "/lead/visitor")[1].body) == ["agent_id", "refresh_token"]
    visit.page.reload()
    visit.launcher.click()
    expect(visit.page.locator(".message.user")).to_have_count(2)


def test_a_visitor_is_asked_after_some_answers_and_may_decline(visit: Visit) -> None:
    configure(visit, ask="after", ask_after=1, fields={"last_name": "hidden", "phone": "hidden"})
    visit.embed()
    visit.launcher.click()
    visit.say("Hello")
    expect(visit.page.get_by_label("First name")).to_be_focused()
    expect(visit.composer).to_have_count(0)
    expect(visit.page.get_by_label("Phone")).to_have_count(0)
    assert violations(visit) == []
    visit.page.get_by_label("First name").fill("Ada")
    visit.page.get_by_label("E-mail").fill("ada@example.com")
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Send").click()
    expect(visit.composer).to_be_focused()
    [known] = visit.stub.sent("PATCH", "/lead/visitor")
    assert (known.body["first_name"], known.body["email"]) == ("Ada", "ada@example.com")

    visit.page.evaluate("localStorage.clear()")
    visit.page.reload()
    visit.launcher.click()
    visit.say("Hello")
    visit.page.get_by_role("button", name="Not now").click()
    expect(visit.composer).to_be_focused()
    visit.say("And more")
    expect(visit.answers.nth(2)).to_have_text("Hello from the agent.")
    expect(visit.composer).to_be_visible()


def test_the_agent_s_own_form_and_consents_with_their_version(visit: Visit) -> None:
    configure(
        visit, fields={"first_name": "optional", "last_name": "hidden", "phone": "required"},
        consent_text="I agree to the terms of Acme.", consent_version="2026-11", marketing_text="Send me news.",
    )  # fmt: skip
    visit.embed()
    visit.launcher.click()
    visit.page.get_by_role("button", name="Start chat").click()
    expect(visit.page.get_by_label("E-mail")).to_be_focused()  # the first name may be left out
    expect(visit.page.get_by_label("Phone")).to_have_attribute("aria-invalid", "true")
    visit.page.get_by_label("E-mail").fill("ada@example.com")
    visit.page.get_by_label("Phone").fill("+49 30 1234")
    visit.page.get_by_label("I agree to the terms of Acme.").check()
    visit.page.get_by_label("Send me news.").check()
    visit.page.get_by_role("button", name="Start chat").click()
    expect(visit.composer).to_be_focused()
    [registration] = visit.stub.sent("POST", "/lead/register")
    assert registration.body == {
        "first_name": "", "last_name": "", "email": "ada@example.com", "phone": "+49 30 1234", "agent_id": AGENT_ID,
        "consent_data_processing": True, "consent_text_version": "2026-11", "consent_marketing": True,
    }  # fmt: skip


def test_the_company_s_own_fields_are_asked_and_sent_typed(visit: Visit) -> None:
    configure(visit, custom_fields=OWN_FIELDS)
    visit.embed()
    visit.launcher.click()
    page = visit.page
    for label, text in (("First name", "Ada"), ("Last name", "L"), ("E-mail", "ada@example.com")):
        page.get_by_label(label).fill(text)
    page.get_by_label("I agree").check()
    page.get_by_role("button", name="Start chat").click()
    expect(page.get_by_label("Seats")).to_be_focused()
    expect(page.get_by_label("Plan")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Team")).to_have_attribute("aria-invalid", "false")
    expect(page.get_by_label("Team")).to_have_accessible_description("Where you work.")
    expect(page.get_by_label("I am a customer")).to_have_accessible_description("Of any of our shops.")
    page.get_by_label("Seats").fill("12.5")
    page.get_by_label("Ends").fill("2026-03-31")
    page.get_by_label("Plan").select_option("<b>Pro</b>")
    refused = {"message": "No.", "errors": {"custom_fields.seats": ["Too few."]}}
    visit.stub.refusals.append(Refusal("/lead/register", 400, refused))
    page.get_by_role("button", name="Start chat").click()
    expect(page.get_by_label("Seats")).to_be_focused()
    expect(page.get_by_text("Too few.")).to_be_visible()
    page.get_by_label("Seats").fill("13")
    page.get_by_role("button", name="Start chat").click()
    expect(visit.composer).to_be_focused()
    said = visit.stub.sent("POST", "/lead/register")[-1].body["custom_fields"]
    assert said == {"seats": 13, "ends": "2026-03-31", "plan": "<b>Pro</b>", "customer": False}
    assert "custom_fields" not in str(visit.stored())  # what is sent anew with an expired token


def test_they_are_asked_later_too(visit: Visit) -> None:
    configure(visit, ask="after", ask_after=1, custom_fields=[own_field("customer", "boolean")])
    visit.embed()
    visit.launcher.click()
    visit.say("Hello")
    visit.page.get_by_label("First name").fill("Ada")
    visit.page.get_by_label("Last name").fill("L")
    visit.page.get_by_label("E-mail").fill("ada@example.com")
    visit.page.get_by_label("I agree").check()
    visit.page.get_by_label("Customer").check()
    visit.page.locator(".form").get_by_role("button", name="Send").click()
    expect(visit.composer).to_be_visible()
    [said] = visit.stub.sent("PATCH", "/lead/visitor")
    assert said.body["custom_fields"] == {"customer": True}


def test_looks_are_the_page_s_then_the_tag_s_then_the_agent_s(visit: Visit) -> None:
    looks = {"color": "#ff0000", "position": "top-left", "theme": "dark", "title": "Desk", "button_text": "Ask us"}
    configure(visit, **looks)
    visit.embed()
    expect(visit.launcher).to_have_css("background-color", "rgb(255, 0, 0)")
    expect(visit.launcher).to_have_text("Ask us")
    assert visit.page.locator(".root").get_attribute("data-position") == "top-left"
    visit.embed('data-color="#0000ff" data-position="left"')
    expect(visit.launcher).to_have_css("background-color", "rgb(0, 0, 255)")
    assert visit.page.evaluate("[AIChatWidgetConfig.position, AIChatWidgetConfig.theme]") == ["left", "dark"]


# -- the page and the widget


def test_the_page_asks_in_the_visitor_s_name(visit: Visit) -> None:
    configure(visit, ask="none")
    visit.embed()
    visit.page.evaluate("KnowrithmWidget.ask('  How long is the warranty? ')")
    expect(visit.page.locator(".message.user .bubble")).to_have_text(["How long is the warranty?"])
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    visit.page.keyboard.press("Escape")
    visit.page.evaluate("KnowrithmWidget.ask('And the seal?')")
    expect(visit.page.locator(".message.user .bubble")).to_have_text(["How long is the warranty?", "And the seal?"])
    expect(visit.answers.nth(2)).to_have_text("Hello from the agent.")
    visit.page.evaluate("KnowrithmWidget.ask(''); KnowrithmWidget.ask(7); KnowrithmWidget.updateMetadata(null)")
    assert len(visit.stub.sent("POST", "/chat")) == 2


def test_two_questions_of_the_page_at_once_are_one_visitor_s(visit: Visit) -> None:
    configure(visit, ask="none")
    visit.stub.stream_available = False
    visit.embed('data-polling-interval="250"')
    expect(visit.launcher).to_be_visible()
    visit.page.evaluate("KnowrithmWidget.ask('One?'); KnowrithmWidget.ask('Two?')")
    expect(visit.answers.nth(2)).to_have_text("Hello from the agent.")
    assert len(visit.stub.sent("POST", "/lead/visitor")) == 1
    assert len(visit.stub.conversations) == 1


def test_what_the_page_asks_waits_for_the_form(visit: Visit) -> None:
    visit.page.add_init_script("addEventListener('knowrithm:ready', () => KnowrithmWidget.ask('Hello?'))")
    visit.embed()
    visit.page.get_by_label("First name").fill("Ada")
    visit.page.get_by_label("Last name").fill("Lovelace")
    visit.page.get_by_label("E-mail").fill("ada@example.com")
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Start chat").click()
    expect(visit.page.locator(".message.user .bubble")).to_have_text(["Hello?"])


@pytest.mark.parametrize("is_declined", [True, False])
def test_what_the_page_asks_waits_for_the_form_after_answers_too(visit: Visit, is_declined: bool) -> None:
    configure(visit, ask="after", ask_after=1, fields={"first_name": "hidden", "last_name": "hidden"})
    visit.embed()
    visit.launcher.click()
    visit.say("Hello")
    expect(visit.page.get_by_label("E-mail")).to_be_visible()
    visit.page.evaluate("KnowrithmWidget.ask('And the seal?')")
    if is_declined:
        visit.page.get_by_role("button", name="Not now").click()
    else:
        visit.page.get_by_label("E-mail").fill("ada@example.com")
        visit.page.get_by_role("checkbox").check()
        visit.page.get_by_role("button", name="Send").click()
    expect(visit.page.locator(".message.user .bubble")).to_have_text(["Hello", "And the seal?"])
    expect(visit.answers.nth(2)).to_have_text("Hello from the agent.")


def test_what_is_known_of_the_visit_follows_the_visitor_from_page_to_page(visit: Visit) -> None:
    visit.embed()
    visit.page.evaluate("KnowrithmWidget.updateMetadata({ cart: 1 })")
    visit.enter()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    visit.page.goto(f"{visit.site.url}/seals?token=secret")
    visit.page.evaluate("KnowrithmWidget.updateMetadata({ cart: 2 })")
    visit.launcher.click()
    for count, text in ((2, "And the seal?"), (3, "Is it in stock?")):
        visit.say(text)
        expect(visit.answers.nth(count)).to_have_text("Hello from the agent.")
    visit.page.evaluate("KnowrithmWidget.updateMetadata({ plan: 'gold' })")
    visit.say("And now?")
    expect(visit.answers.nth(4)).to_have_text("Hello from the agent.")
    [begun] = visit.stub.sent("POST", "/conversation")
    page = {"page_title": "Acme pumps", "page_url": f"{visit.site.url}/seals"}
    assert [one.body.get("metadata") for one in [begun, *visit.stub.sent("POST", "/chat")]] == [
        {"cart": 1, **page, "page_url": f"{visit.site.url}/"},
        None,  # what has not changed is not said again
        {"cart": 2, **page},
        None,
        {"cart": 2, "plan": "gold", **page},
    ]


def test_messages_are_obeyed_from_the_page_and_from_named_origins_alone(visit: Visit) -> None:
    visit.embed()
    expect(visit.launcher).to_be_visible()
    visit.page.evaluate("postMessage({ type: 'knowrithm:open' }, '*')")
    expect(visit.panel).to_be_visible()
    visit.page.evaluate("postMessage({ type: 'knowrithm:close' }, '*')")
    expect(visit.panel).to_be_hidden()
    say = "(origin) => dispatchEvent(new MessageEvent('message', { data: { type: 'knowrithm:open' }, origin }))"
    for origin in ("https://evil.example", "null", ""):
        visit.page.evaluate(say, origin)
    visit.page.evaluate("postMessage('knowrithm:open', '*'); postMessage({ type: 'knowrithm:constructor' }, '*')")
    visit.page.wait_for_timeout(100)
    expect(visit.panel).to_be_hidden()

    visit.embed('data-message-origins="https://app.acme.example, https://b.example"')
    expect(visit.launcher).to_be_visible()
    visit.page.evaluate(say, "https://b.example")
    expect(visit.panel).to_be_visible()
    assert visit.complaints == []


# -- answers, conversations, tabs, people


def test_an_answer_is_rated_and_the_rating_taken_back(visit: Visit) -> None:
    visit.stub.sources = SOURCES
    visit.embed()
    visit.enter()
    visit.say("Hello")
    helpful = visit.page.get_by_role("button", name="Helpful", exact=True)
    helpful.click()
    expect(helpful).to_have_attribute("aria-pressed", "true")
    expect(helpful).to_be_focused()
    expect(visit.page.get_by_role("status")).to_have_text("Thank you for your rating.")
    visit.page.get_by_role("button", name="Not helpful").click()
    expect(helpful).to_have_attribute("aria-pressed", "false")
    visit.page.get_by_role("button", name="Not helpful").click()
    visit.page.wait_for_timeout(100)
    assert [one.body for one in visit.stub.sent("POST", "/feedback")] == [
        {"rating": 1},
        {"rating": -1},
        {"rating": None},
    ]
    visit.stub.refusals.append(Refusal("/feedback", 500, {}))
    helpful.click()
    expect(visit.page.get_by_role("status")).to_have_text("Something went wrong. Please try again.")
    expect(helpful).to_have_attribute("aria-pressed", "false")


def test_a_visitor_goes_back_to_an_earlier_conversation(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    visit.say("First question")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    visit.page.get_by_role("button", name="New conversation").click()
    visit.say("Second question")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    visit.page.get_by_role("button", name="Conversations").click()
    items = visit.page.locator(".item span")
    expect(items).to_have_text(["Second question", "First question"])
    expect(visit.page.locator(".item").first).to_be_focused()
    assert violations(visit) == []
    visit.page.locator(".item").nth(1).click()
    expect(visit.page.locator(".message.user .bubble")).to_have_text(["First question"])
    expect(visit.composer).to_be_focused()
    assert visit.stored()["conversationId"] == next(iter(visit.stub.conversations))


def test_another_tab_follows(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    other = Visit(page=visit.page.context.new_page(), stub=visit.stub, site=visit.site)
    other.page.goto(visit.site.url)
    other.launcher.click()
    expect(other.composer).to_be_visible()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    expect(other.page.locator(".message.user .bubble")).to_have_text(["Hello"])
    expect(other.answers.nth(1)).to_have_text("Hello from the agent.")
    other.page.get_by_role("button", name="New conversation").click()
    expect(visit.page.locator(".message.user")).to_have_count(0)
    assert len(visit.stub.conversations) == 2


def tell(visit: Visit, name: str, **data: Any) -> None:
    visit.stub.told.append((name, data))


def test_a_person_is_asked_for_and_the_visitor_always_knows_who_speaks(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    expect(visit.page.get_by_role("button", name="Talk to a person")).to_have_count(0)

    visit.stub.agent |= {"handover": True}
    visit.page.reload()
    visit.launcher.click()
    visit.page.get_by_role("button", name="Talk to a person").click()
    expect(visit.page.locator(".system")).to_have_text("A person has been asked to join. You can go on writing.")
    expect(visit.page.get_by_role("button", name="Talk to a person")).to_have_count(0)
    expect(visit.composer).to_be_focused()
    assert len(visit.stub.sent("POST", "/handover")) == 1
    assert violations(visit) == []

    system = {"id": "s", "role": "system", "content": "Grace has joined.", "status": "completed"}
    grace = {
        "id": "g", "role": "assistant", "content": "Here is **Grace**.", "status": "completed",
        "author": {"kind": "person", "name": "Grace"},
    }  # fmt: skip
    tell(visit, "chat_owner", owner="person", person={"name": "Grace"})
    tell(visit, "chat_message", message=system)
    expect(visit.page.locator(".subtitle")).to_have_text("Grace")
    tell(visit, "chat_typing", author={"kind": "person", "name": "Grace"}, is_typing=True)
    expect(visit.page.locator(".hint")).to_have_text("Grace is writing…")
    for _ in range(2):  # told twice, shown once
        tell(visit, "chat_message", message=grace)
    expect(visit.answers.nth(2)).to_have_text("Here is Grace.")
    expect(visit.page.locator(".who")).to_have_text(["Grace"])
    expect(visit.page.locator(".hint")).to_be_hidden()
    expect(visit.page.locator(".system")).to_have_count(2)
    expect(visit.page.get_by_role("status")).to_have_text("Here is Grace.")
    assert violations(visit) == []

    tell(visit, "chat_owner", owner="agent", person=None)
    expect(visit.page.locator(".subtitle")).to_have_text("Digital assistant")
    expect(visit.page.get_by_role("button", name="Talk to a person")).to_be_visible()


def test_a_person_is_heard_where_nobody_can_be_asked_for(visit: Visit) -> None:
    visit.stub.agent |= {"handover": False}
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    grace = {
        "id": "g", "role": "assistant", "content": "Here is Grace.", "status": "completed",
        "author": {"kind": "person", "name": "Grace"},
    }  # fmt: skip
    tell(visit, "chat_owner", owner="person", person={"name": "Grace"})
    tell(visit, "chat_message", message=grace)
    expect(visit.answers.nth(2)).to_have_text("Here is Grace.")
    expect(visit.page.locator(".subtitle")).to_have_text("Grace")

    visit.stub.owner |= {"owner": "person", "person": {"name": "Grace"}}
    visit.page.reload()
    visit.launcher.click()
    expect(visit.page.locator(".subtitle")).to_have_text("Grace")
    tell(visit, "chat_owner", owner="agent", person=None)
    expect(visit.page.locator(".subtitle")).to_have_text("Digital assistant")
    expect(visit.page.get_by_role("button", name="Talk to a person")).to_have_count(0)


def test_the_page_is_told_of_what_a_person_says(visit: Visit) -> None:
    visit.page.add_init_script(
        """window.seen = [];
        window.AIChatWidget = { callbacks: { onMessage: ({ message }) => seen.push(message.content) } };
        addEventListener('knowrithm:message.received', ({ detail }) => seen.push(detail.conversationId));"""
    )
    visit.embed()
    visit.enter()
    tell(visit, "chat_message", message={"id": "s", "role": "system", "content": "Joined.", "status": "completed"})
    for _ in range(2):  # told twice, said once
        grace = {"id": "g", "role": "assistant", "content": "Here is Grace.", "status": "completed"}
        tell(visit, "chat_message", message=grace)
    expect(visit.answers.nth(1)).to_have_text("Here is Grace.")
    visit.page.wait_for_timeout(100)
    assert visit.page.evaluate("window.seen") == [next(iter(visit.stub.conversations)), "Here is Grace."]


def test_a_person_is_told_that_the_visitor_writes(visit: Visit) -> None:
    visit.page.clock.install()
    visit.embed()
    visit.enter()

    def told() -> list[bool]:
        visit.page.wait_for_timeout(100)
        return [one.body["is_typing"] for one in visit.stub.sent("POST", "/typing")]

    visit.composer.press_sequentially("To the agent")
    visit.composer.fill("")
    assert told() == []
    tell(visit, "chat_owner", owner="person", person={"name": "Grace"})
    visit.page.clock.run_for(1000)
    expect(visit.page.locator(".subtitle")).to_have_text("Grace")
    visit.composer.press_sequentially("Hello")
    assert told() == [True]
    visit.page.clock.run_for(3000)
    visit.composer.press_sequentially(" there")
    assert told() == [True, True]
    visit.composer.fill("")
    visit.composer.fill("")
    assert told() == [True, True, False]
    visit.composer.press_sequentially("Hello")
    assert told() == [True, True, False, True]


def test_a_nameless_visitor_who_waits_for_a_person_is_asked_for_an_address(visit: Visit) -> None:
    configure(visit, ask="none")
    visit.stub.agent |= {"handover": True}
    visit.stub.owner |= {"needs_email": True}
    visit.embed()
    visit.launcher.click()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    visit.page.get_by_role("button", name="Talk to a person").click()
    visit.page.get_by_label("First name").fill("Ada")
    visit.page.get_by_label("Last name").fill("Lovelace")
    visit.page.get_by_label("E-mail").fill("ada@example.com")
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Send").click()
    expect(visit.composer).to_be_focused()
    assert visit.stub.sent("PATCH", "/lead/visitor")[0].body["email"] == "ada@example.com"
    assert [one.body for one in visit.stub.sent("POST", "/address")] == [{"email": "ada@example.com"}]


def said_by_the_platform(visit: Visit, code: str) -> None:
    notice = {"code": code, "values": {}}
    text = {"id": code, "role": "system", "content": "Leave your address.", "status": "completed", "notices": [notice]}
    tell(visit, "chat_message", message=text)
    tell(visit, "chat_owner", owner="waiting", person=None, needs_email=True)


def test_a_nameless_visitor_whom_a_rule_hands_over_can_leave_an_address(visit: Visit) -> None:
    configure(visit, ask="none")
    visit.stub.agent |= {"handover": False}
    visit.embed()
    visit.launcher.click()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    visit.composer.fill("I am just writ")
    said_by_the_platform(visit, "leave_address")
    expect(visit.page.locator(".system")).to_have_count(1)
    expect(visit.composer).to_be_focused()  # nobody is interrupted who writes
    visit.say("I am just writing")
    expect(visit.page.get_by_label("First name")).to_be_focused()
    expect(visit.answers.nth(2)).to_have_text("Hello from the agent.")
    assert violations(visit) == []
    visit.page.get_by_role("button", name="Not now").click()
    expect(visit.composer).to_be_focused()
    tell(visit, "chat_owner", owner="waiting", person=None, needs_email=True)
    visit.page.wait_for_timeout(300)
    expect(visit.composer).to_be_visible()  # who has declined is not asked by the same line again

    said_by_the_platform(visit, "leave_address_for_mail")  # nobody has come
    visit.page.get_by_label("First name").fill("Ada")
    visit.page.get_by_label("Last name").fill("Lovelace")
    visit.page.get_by_label("E-mail").fill("ada@example.com")
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Send").click()
    expect(visit.composer).to_be_focused()
    assert [one.body for one in visit.stub.sent("POST", "/address")] == [{"email": "ada@example.com"}]


def test_the_form_that_comes_by_itself_leaves_the_page_its_focus(visit: Visit) -> None:
    configure(visit, ask="none")
    visit.embed()
    visit.launcher.click()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    products = visit.page.get_by_role("link", name="Products")
    products.focus()
    said_by_the_platform(visit, "leave_address")
    expect(visit.page.get_by_label("First name")).to_be_visible()
    expect(products).to_be_focused()


def test_a_person_who_takes_over_ends_what_the_agent_was_saying(visit: Visit) -> None:
    visit.stub.agent |= {"handover": True}
    visit.stub.stream_gate.clear()
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.page.locator(".message.pending")).to_be_visible()
    tell(visit, "chat_owner", owner="person", person={"name": "Grace"})
    expect(visit.page.locator(".message.pending")).to_have_count(0)
    expect(visit.page.locator(".subtitle")).to_have_text("Grace")


def test_what_a_person_says_is_looked_for_where_nothing_can_be_heard(visit: Visit) -> None:
    visit.stub.agent |= {"handover": True}
    visit.stub.stream_available = False
    visit.embed('data-polling-interval="250"')
    visit.enter()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    [stored] = visit.stub.conversations.values()
    stored.append({**stored[-1], "id": "from-a-person", "content": "Here is Grace."})
    expect(visit.answers.nth(2)).to_have_text("Here is Grace.", timeout=20_000)


def person_says(visit: Visit, text: str) -> None:
    """Stored, and told to nobody."""
    [stored] = visit.stub.conversations.values()
    author = {"kind": "person", "name": "Grace"}
    stored.append({**stored[-1], "id": f"g-{len(stored)}", "content": text, "author": author})


def wait_until_shown(visit: Visit, text: str, *, seconds: int) -> None:
    """Within so many seconds of the visitor's clock."""
    bubble = visit.answers.filter(has_text=text)
    for _ in range(seconds):
        visit.page.clock.run_for(1000)
        visit.page.wait_for_timeout(50)
        if bubble.count():
            break
    expect(bubble).to_have_count(1)


def test_what_a_person_says_is_looked_for_where_streams_are_held_back(visit: Visit) -> None:
    visit.page.clock.install()
    visit.stub.holds_streams_back = True
    visit.embed()
    visit.enter()
    visit.say("Hello")
    wait_until_shown(visit, "Hello from the agent.", seconds=15)
    person_says(visit, "Here is Grace.")
    visit.stub.owner |= {"owner": "person", "person": {"name": "Grace"}}
    wait_until_shown(visit, "Here is Grace.", seconds=30)
    expect(visit.page.locator(".subtitle")).to_have_text("Grace")
    person_says(visit, "Are you still there?")
    wait_until_shown(visit, "Are you still there?", seconds=45)


def test_what_was_said_between_two_connections_is_looked_for(visit: Visit) -> None:
    visit.page.clock.install()
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    visit.stub.holds_streams_back = True  # from the next connection on, which is made after 35 s of silence
    visit.page.clock.run_for(36_000)
    person_says(visit, "Here is Grace.")
    visit.page.wait_for_timeout(100)
    visit.stub.holds_streams_back = False
    expect(visit.answers.nth(2)).to_have_text("Here is Grace.")


def show_tab(visit: Visit, *, is_shown: bool) -> None:
    visit.page.evaluate(
        f"Object.defineProperty(document, 'hidden', {{ value: {str(not is_shown).lower()}, configurable: true }});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )


def listened(visit: Visit) -> int:
    return len([one for one in visit.stub.sent("GET", "/messages/stream") if "follow=true" in one.path])


def wait_until_open(visit: Visit, count: int) -> None:
    """Streams by which visitors follow their conversation, for half a second: one may just be on its way."""
    steady = 0
    for _ in range(200):  # the server hears of who has gone when it writes to them
        steady = steady + 1 if listened(visit) - visit.stub.gone == count else 0
        if steady == 5:
            break
        visit.page.wait_for_timeout(100)
    assert listened(visit) - visit.stub.gone == count


def test_a_tab_that_nobody_looks_at_does_not_listen(visit: Visit) -> None:
    visit.page.clock.install()
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    show_tab(visit, is_shown=False)
    visit.page.clock.run_for(20_000)
    show_tab(visit, is_shown=True)
    visit.page.clock.run_for(61_000)
    wait_until_open(visit, 1)  # a look elsewhere is no absence

    show_tab(visit, is_shown=False)
    visit.page.clock.run_for(61_000)
    wait_until_open(visit, 0)
    count = listened(visit)
    visit.page.clock.run_for(120_000)
    person_says(visit, "Here is Grace.")
    visit.page.wait_for_timeout(300)
    assert listened(visit) == count
    expect(visit.answers).to_have_count(2)

    visit.stub.owner |= {"owner": "person", "person": {"name": "Grace"}}
    show_tab(visit, is_shown=True)
    expect(visit.answers.nth(2)).to_have_text("Here is Grace.")
    expect(visit.page.locator(".subtitle")).to_have_text("Grace")
    wait_until_open(visit, 1)


def test_a_hidden_tab_that_follows_another_one_does_not_listen_for_long(visit: Visit) -> None:
    visit.page.clock.install()
    visit.embed()
    visit.enter()
    other = Visit(page=visit.page.context.new_page(), stub=visit.stub, site=visit.site)
    other.page.goto(visit.site.url)
    other.launcher.click()
    expect(other.composer).to_be_visible()
    show_tab(visit, is_shown=False)
    visit.page.clock.run_for(61_000)
    wait_until_open(visit, 1)  # the other's
    other.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    other.page.close()
    visit.page.clock.run_for(61_000)
    wait_until_open(visit, 0)


def test_who_cannot_be_asked_is_said_so(visit: Visit) -> None:
    visit.stub.agent |= {"handover": True}
    visit.embed()
    visit.enter()
    visit.stub.refusals.append(Refusal("/handover", 404, {"message": "Not found"}))
    visit.page.get_by_role("button", name="Talk to a person").click()
    expect(visit.page.locator(".system")).to_have_text("Nobody can be asked at the moment.")
    expect(visit.page.get_by_role("button", name="Talk to a person")).to_be_visible()
