"""The chat widget in a real browser, on a page of another origin with a strict content security policy."""

import re
from base64 import b64decode

import pytest
from playwright.sync_api import expect

from agents.tests.widget_stub import AGENT_ID, WIDGET_SOURCE, Refusal
from agents.tests.widget_visit import IN_BROWSER, SOURCES, Visit
from agents.widget import widget_script_file

pytestmark = IN_BROWSER

REGISTERED = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "phone": "",
    "consent_data_processing": True,
    "consent_text_version": "standard-2",
    "agent_id": AGENT_ID,
}


def test_visitor_registers_asks_and_reads_a_streamed_answer_with_sources(visit: Visit) -> None:
    visit.stub.pieces = ["The pump has **two years** [Sour", "ce 1], seals less [1, 2] [Source 9].\n- one\n- two"]
    visit.stub.sources = SOURCES
    visit.stub.stream_gate.clear()
    allowed = f"script-src {visit.stub.url}; connect-src {visit.stub.url}; img-src {visit.stub.url}"
    visit.site.policy = f"default-src 'none'; {allowed}; require-trusted-types-for 'script'"  # as docs/widget.md says
    visit.embed()
    visit.enter()
    visit.say("How long is the warranty?")

    expect(visit.answers.nth(1)).to_have_text("The pump has two years")  # half a citation mark is not shown
    visit.stub.stream_gate.set()

    expect(visit.answers.nth(1).locator("li")).to_have_text(["one", "two"])
    expect(visit.answers.nth(1).locator("p")).to_have_text("The pump has two years1, seals less12.")
    expect(visit.answers.nth(1).locator("strong")).to_have_text("two years")
    expect(visit.page.locator(".source .name")).to_have_text(["Warranty.pdfPage 4", "Handbook.docxChapter 7"])
    visit.page.get_by_role("button", name="Source 1: Warranty.pdf").first.click()
    expect(visit.page.locator(".excerpt")).to_be_visible()
    expect(visit.page.locator(".excerpt")).to_have_text("Twenty-four months from the date of the invoice.")
    link = visit.page.get_by_role("link", name="Open the document")
    expect(link).to_have_attribute("href", "https://acme.example/warranty.pdf")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(link).to_have_attribute("target", "_blank")
    assert visit.complaints == []


def test_the_agent_s_own_welcome_and_starter_questions(visit: Visit) -> None:
    visit.stub.agent |= {"welcome_text": "Ask about pumps.", "starter_questions": ["How long is the <b>warranty</b>?"]}
    visit.embed()
    visit.enter()
    expect(visit.answers.first).to_have_text("Ask about pumps.")
    visit.page.get_by_role("button", name="How long is the <b>warranty</b>?").click()
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    expect(visit.page.locator(".starter")).to_have_count(0)
    assert visit.stub.sent("POST", "/chat")[-1].body == {
        "message": "How long is the <b>warranty</b>?",
        "language": "en",
    }


def test_widget_speaks_the_protocol(visit: Visit) -> None:
    visit.embed()
    visit.page.goto(f"{visit.site.url}/reset?token=secret#private")
    visit.enter()
    visit.say("  Hello there  ")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")

    handshake = visit.stub.sent("POST", "/website/handshake")[-1]
    assert handshake.body == {
        "agent_id": AGENT_ID,
        "url": f"{visit.site.url}/reset",  # neither query nor fragment leave the page
        "title": "Acme pumps",
        "trigger_crawl": False,
    }
    [registration] = visit.stub.sent("POST", "/lead/register")
    assert registration.body == REGISTERED
    [conversation] = visit.stub.sent("POST", "/conversation")
    assert conversation.body["agent_id"] == AGENT_ID
    [chat] = visit.stub.sent("POST", "/chat")
    assert chat.body == {"message": "Hello there", "language": "en"}
    [stream] = visit.stub.answer_streams()
    assert stream.headers["Accept"] == "text/event-stream"
    assert stream.headers["Authorization"].removeprefix("Bearer ") in visit.stub.tokens
    assert len(visit.stub.sent("GET", "/messages")) == 1  # the history; the answer came by stream alone


def test_polls_when_streaming_is_not_available(visit: Visit) -> None:
    visit.stub.stream_available = False
    visit.stub.sources = SOURCES
    visit.embed('data-polling-interval="250"')
    visit.enter()
    visit.say("Hello")

    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    expect(visit.page.locator(".source")).to_have_count(2)
    assert len(visit.stub.answer_streams()) == 1


def test_sources_are_counted_from_1_as_the_answer_names_them(visit: Visit) -> None:
    visit.stub.sources = SOURCES
    visit.stub.pieces = ["Yes [Source 2]. ", "Or no [Source 1, 2]."]
    visit.embed()
    visit.enter()
    visit.say("Is it so?")

    expect(visit.answers.nth(1).locator(".ref")).to_have_text(["1", "2", "1"])
    expect(visit.answers.nth(1).get_by_role("button", name="Source 1: Handbook.docx")).to_have_count(2)
    expect(visit.page.locator(".source .number")).to_have_text(["1", "2"])
    expect(visit.page.locator(".source .name bdi").first).to_have_text("Handbook.docx")


def test_broken_stream_is_taken_up_where_it_ended(visit: Visit) -> None:
    visit.stub.cut_stream_after = 2
    visit.stub.pieces = ["one ", "two ", "three"]
    visit.embed()
    visit.enter()
    visit.say("Count")

    expect(visit.answers.nth(1)).to_have_text("one two three")
    first, second = visit.stub.answer_streams()
    assert "Last-Event-ID" not in first.headers
    assert second.headers["Last-Event-ID"] == "2"


def test_what_a_dead_worker_had_said_gives_way_to_the_answer_made_anew(visit: Visit) -> None:
    visit.stub.lost_piece = "Two mon"
    visit.stub.pieces = ["Two ", "years."]
    visit.stub.gated_after = 3
    visit.stub.stream_gate.clear()
    visit.embed()
    visit.enter()
    visit.say("How long?")

    expect(visit.answers.nth(1)).to_have_text("Two")
    visit.stub.stream_gate.set()
    expect(visit.answers.nth(1)).to_have_text("Two years.")


def test_typing_is_shown_and_the_composer_waits_only_for_the_post(visit: Visit) -> None:
    visit.stub.chat_gate.clear()
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.composer).not_to_be_editable()

    visit.stub.stream_gate.clear()
    visit.stub.pieces = ["", "Hello"]
    visit.stub.chat_gate.set()
    expect(visit.composer).to_be_editable()
    expect(visit.composer).to_be_focused()
    expect(visit.page.locator(".dots")).to_be_visible()
    expect(visit.page.locator(".message.assistant.pending .sr").last).to_have_text("Acme Support is writing…")

    slow = visit.page.locator(".note.slow")  # only when nothing has come for a while
    expect(slow).to_be_hidden()
    slow.evaluate("note => note.getAnimations().forEach(animation => animation.finish())")
    expect(slow).to_have_text("The answer is taking longer than expected.")
    expect(slow).to_be_visible()

    visit.stub.stream_gate.set()
    expect(visit.answers.nth(1)).to_have_text("Hello")
    expect(visit.page.locator(".dots")).to_have_count(0)
    expect(slow).to_have_count(0)
    expect(visit.page.get_by_role("status")).to_have_text("Hello")


def test_two_questions_in_a_row_get_their_own_answers(visit: Visit) -> None:
    visit.stub.stream_available = False
    visit.stub.answering = False
    visit.embed('data-polling-interval="250"')
    visit.enter()
    visit.say("first")
    expect(visit.page.locator(".message")).to_have_count(3)
    visit.say("second")
    expect(visit.page.locator(".message")).to_have_count(5)

    stored = next(iter(visit.stub.conversations.values()))
    question_one, answer_one, question_two, answer_two = stored
    stored[:] = [question_one, question_two, answer_one, answer_two]  # nothing promises the order of answers
    answer_two.update(status="completed", content="answer two")
    expect(visit.answers.nth(2)).to_have_text("answer two")
    answer_one.update(status="completed", content="answer one")
    expect(visit.answers.nth(1)).to_have_text("answer one")


def test_conversation_resumes_after_reload(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    stored = visit.stored()
    assert stored["conversationId"] == next(iter(visit.stub.conversations))
    assert stored["leadPayload"] == REGISTERED
    assert sorted(stored) == [
        "accessToken",
        "answers",
        "conversationId",
        "conversations",
        "leadPayload",
        "refreshToken",
        "skipped",
        "updatedAt",
    ]

    visit.page.reload()
    visit.launcher.click()

    expect(visit.page.locator(".message.user .bubble")).to_have_text(["Hello"])
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    assert len(visit.stub.sent("POST", "/lead/register")) == 1
    assert len(visit.stub.sent("POST", "/conversation")) == 1


def test_answer_pending_at_reload_is_followed(visit: Visit) -> None:
    visit.stub.stream_gate.clear()
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello")
    visit.page.reload()
    visit.launcher.click()
    expect(visit.page.locator(".message.assistant.pending")).to_have_count(1)
    visit.stub.stream_gate.set()
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")


def test_long_history_is_read_to_its_end(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    [conversation_id] = visit.stub.conversations
    for number in range(60):
        _, reply = visit.stub.chat(conversation_id, {"message": f"question {number}"})
        assert reply["conversation_id"] == conversation_id
        visit.stub.finish(visit.stub.conversations[conversation_id][-1])
    visit.page.reload()
    visit.launcher.click()
    expect(visit.page.locator(".message.user")).to_have_count(60)
    visit.say("one more")
    expect(visit.answers).to_have_count(62)


def test_new_conversation_starts_empty(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    visit.page.get_by_role("button", name="New conversation").click()
    expect(visit.page.locator(".message")).to_have_count(1)
    expect(visit.composer).to_be_focused()
    assert visit.stored()["conversationId"] == list(visit.stub.conversations)[1]


def test_deleted_conversation_is_replaced(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    visit.stub.conversations.clear()
    visit.page.reload()
    visit.launcher.click()
    expect(visit.composer).to_be_visible()
    assert visit.stored()["conversationId"] == next(iter(visit.stub.conversations))


HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


def test_hostile_strings_are_shown_as_text(visit: Visit) -> None:
    visit.site.policy = ""  # nothing but the widget itself stands between the string and the page
    visit.stub.agent = {"id": AGENT_ID, "name": HOSTILE, "avatar_url": "javascript:window.hacked=1"}
    visit.stub.pieces = [HOSTILE, f" **{HOSTILE}** `{HOSTILE}`\n- {HOSTILE}\n# {HOSTILE}\n```\n{HOSTILE}\n``` [1]"]
    visit.stub.sources = [
        {
            "source_number": 1,
            "document_name": HOSTILE,
            "url": "javascript:window.hacked=1",
            "excerpt": HOSTILE,
            "locator_label": HOSTILE,
        }
    ]
    visit.embed(f"data-button-text='{HOSTILE}'")
    visit.stub.refusals.append(Refusal("/lead/register", 400, {"error": HOSTILE, "message": HOSTILE}))
    visit.launcher.click()
    for label, value in {"First name": HOSTILE, "Last name": HOSTILE, "E-mail": "ada@example.com"}.items():
        visit.page.get_by_label(label).fill(value)
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Start chat").click()
    expect(visit.page.get_by_role("alert")).to_have_text(HOSTILE)
    visit.page.get_by_role("button", name="Start chat").click()
    visit.say(HOSTILE)

    expect(visit.page.locator(".message.user .bubble")).to_have_text(HOSTILE)
    expect(visit.page.locator(".source .name bdi").first).to_have_text(HOSTILE)
    expect(visit.answers.nth(1).locator("strong").first).to_have_text(HOSTILE)
    expect(visit.page.locator(".title")).to_have_text(HOSTILE)
    assert visit.page.locator("#knowrithm-widget").locator("img, script, iframe, a").count() == 0
    assert visit.page.evaluate("window.hacked") is None


def test_only_addresses_of_sources_become_links(visit: Visit) -> None:
    visit.stub.sources = SOURCES
    visit.stub.pieces = [
        "See https://acme.example/warranty.pdf, [the terms](https://acme.example/warranty.pdf), ",
        "https://evil.example/ and [a trap](https://evil.example/) [run](javascript:alert(1))",
    ]
    visit.embed()
    visit.enter()
    visit.say("Links?")
    links = visit.answers.nth(1).get_by_role("link")
    expect(links).to_have_text(["https://acme.example/warranty.pdf", "the terms"])
    expect(visit.answers.nth(1)).to_contain_text("https://evil.example/ and a trap (https://evil.example/)")


@pytest.mark.parametrize(("status", "sentence"), [(404, "Not found"), (403, "Not on this site")])
def test_host_page_is_unaffected_when_there_is_no_agent_for_it(visit: Visit, status: int, sentence: str) -> None:
    visit.stub.refusals.append(Refusal(f"/agent/{AGENT_ID}", status, {"error": sentence, "message": sentence}))
    with visit.page.expect_console_message(lambda message: message.type == "warning"):
        visit.embed()
    expect(visit.page.get_by_role("heading", name="Acme pumps")).to_be_visible()
    visit.page.get_by_role("link", name="Products").click()
    assert visit.page.locator("#knowrithm-widget").count() == 0
    visit.page.evaluate("KnowrithmWidget.open()")
    # The browser itself notes the failed request; beyond that there is one warning of ours and no error.
    complaints = [text for text in visit.complaints if not text.startswith("Failed to load resource")]
    assert [text.partition(":")[0] for text in complaints] == ["Knowrithm widget"]


def test_lead_form_explains_what_is_missing(visit: Visit) -> None:
    visit.embed()
    visit.launcher.click()
    visit.page.get_by_label("E-mail").fill("not an address")
    visit.page.get_by_role("button", name="Start chat").click()

    first_name = visit.page.get_by_label("First name")
    expect(first_name).to_be_focused()
    expect(first_name).to_have_attribute("aria-invalid", "true")
    expect(first_name).to_have_accessible_description("Please fill in this field.")
    expect(visit.page.get_by_label("E-mail")).to_have_accessible_description("Please enter a valid e-mail address.")
    expect(visit.page.get_by_role("checkbox")).to_have_accessible_description("We need your consent to answer you.")
    first_name.fill("Ada")
    expect(first_name).to_have_attribute("aria-invalid", "false")
    assert visit.stub.sent("POST", "/lead/register") == []


def test_lead_form_shows_the_field_that_the_server_refused(visit: Visit) -> None:
    body = {"error": "Invalid", "message": "Invalid", "errors": {"email": ["We cannot write to this address."]}}
    visit.stub.refusals.append(Refusal("/lead/register", 400, body))
    visit.embed()
    visit.launcher.click()
    for label, value in {"First name": "Ada", "Last name": "Lovelace", "E-mail": "ada@example.com"}.items():
        visit.page.get_by_label(label).fill(value)
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Start chat").click()
    expect(visit.page.get_by_label("E-mail")).to_have_accessible_description("We cannot write to this address.")
    expect(visit.page.get_by_label("E-mail")).to_be_focused()


def test_expired_token_is_renewed_silently(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    visit.stub.tokens.clear()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    assert len(visit.stub.sent("POST", "/lead/register")) == 1  # by the refresh token
    visit.stub.tokens.clear()
    visit.stub.refresh_tokens.clear()
    visit.say("Hello again")
    expect(visit.answers.nth(2)).to_have_text("Hello from the agent.")
    first, second = visit.stub.sent("POST", "/lead/register")
    assert first.body == second.body
    expect(visit.page.locator(".note")).to_have_count(0)


def test_too_many_messages_says_how_long_to_wait(visit: Visit) -> None:
    body = {"error": "Too many requests", "message": "Too many requests"}
    visit.stub.refusals.append(Refusal("/chat", 429, body, {"Retry-After": "12"}))
    visit.embed()
    visit.enter()
    visit.say("Hello")
    note = visit.page.locator(".note")
    expect(note).to_have_text("Not sent. Too many messages at once. Please wait 12 seconds.Try again")
    note.get_by_role("button", name="Try again").click()
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    expect(visit.page.locator(".message.user .bubble")).to_have_text(["Hello"])


def test_message_without_connection_stays_and_can_be_sent_again(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    visit.page.route("**/chat", lambda route: route.abort("internetdisconnected"))
    visit.say("Hello")
    expect(visit.page.locator(".note")).to_have_text("Not sent. No connection. Please try again.Try again")
    expect(visit.page.locator(".message.user .bubble")).to_have_text(["Hello"])
    visit.page.unroute("**/chat")
    visit.page.get_by_role("button", name="Try again").click()
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    expect(visit.page.locator(".note")).to_have_count(0)


def test_failed_answer_can_be_asked_for_again(visit: Visit) -> None:
    visit.stub.answer_status = "failed"
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.page.locator(".note")).to_have_text("Sorry, the answer could not be written.Try again")
    visit.stub.answer_status = "completed"
    visit.page.get_by_role("button", name="Try again").click()
    expect(visit.page.get_by_role("log")).to_be_focused()
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    assert [request.body for request in visit.stub.sent("POST", "/chat")] == [
        {"message": "Hello", "language": "en"}
    ] * 2


def test_gives_up_waiting_after_ninety_seconds_and_can_go_on(visit: Visit) -> None:
    visit.stub.stream_available = False
    visit.stub.answering = False
    visit.page.clock.install()
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.page.locator(".dots")).to_be_visible()
    visit.page.clock.fast_forward(89_000)
    expect(visit.page.locator(".dots")).to_be_visible()
    visit.page.clock.fast_forward(3_000)
    expect(visit.page.locator(".note")).to_have_text("The answer is taking longer than expected.Try again")
    expect(visit.page.locator(".message.user .bubble")).to_have_text(["Hello"])

    visit.stub.answering = True
    visit.page.get_by_role("button", name="Try again").click()
    expect(visit.page.locator(".note:not(.slow)")).to_have_count(0)
    for _ in range(20):  # the clock may have moved before the widget began to wait by it
        visit.page.clock.fast_forward(5_000)
        if visit.answers.nth(1).inner_text() == "Hello from the agent.":
            break
        visit.page.wait_for_timeout(200)
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    assert len(visit.stub.sent("POST", "/chat")) == 1


def test_everything_can_be_done_with_the_keyboard(visit: Visit) -> None:
    visit.stub.sources = SOURCES
    visit.stub.pieces = ["Two years [1]."]
    visit.embed()
    keyboard = visit.page.keyboard
    expect(visit.launcher).to_be_visible()
    keyboard.press("Tab")  # the link of the page
    keyboard.press("Tab")
    expect(visit.launcher).to_be_focused()
    keyboard.press("Enter")
    for value in ("Ada", "Lovelace", "ada@example.com", "+49 30 1234"):
        keyboard.type(value)
        keyboard.press("Tab")
    keyboard.press("Space")
    keyboard.press("Enter")
    expect(visit.composer).to_be_focused()
    keyboard.type("one")
    keyboard.press("Shift+Enter")
    keyboard.type("two")
    keyboard.press("Enter")
    expect(visit.page.locator(".message.user .bubble")).to_have_text("one\ntwo", use_inner_text=True)
    expect(visit.page.locator(".source")).to_have_count(2)

    for _ in ("not helpful", "helpful"):
        keyboard.press("Shift+Tab")
    keyboard.press("Shift+Tab")  # second source has nothing to open: back to the first, then to its reference
    expect(visit.page.locator("summary")).to_be_focused()
    keyboard.press("Shift+Tab")
    expect(visit.page.locator(".ref")).to_be_focused()
    keyboard.press("Enter")
    expect(visit.page.locator(".excerpt")).to_be_visible()
    expect(visit.page.locator("summary")).to_be_focused()
    keyboard.press("Escape")
    expect(visit.panel).to_be_hidden()
    expect(visit.launcher).to_be_focused()


def test_shortcuts_of_the_page_do_not_see_what_is_typed(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    visit.page.evaluate("window.keys = []; addEventListener('keydown', (event) => keys.push(event.key))")
    visit.composer.press("k")
    expect(visit.composer).to_have_value("k")
    assert visit.page.evaluate("window.keys") == []


def test_names_roles_and_states_for_assistive_technology(visit: Visit) -> None:
    visit.stub.sources = SOURCES
    visit.stub.pieces = ["Two years [1]."]
    visit.embed()
    expect(visit.launcher).to_have_accessible_name("Open chat")
    expect(visit.launcher).to_have_attribute("aria-expanded", "false")
    visit.enter()
    visit.say("Hello")
    expect(visit.page.locator(".source")).to_have_count(2)
    expect(visit.launcher).to_have_attribute("aria-expanded", "true")
    expect(visit.panel).to_have_accessible_name("Acme Support")
    expect(visit.page.get_by_role("log", name="Conversation")).to_have_attribute("aria-live", "off")
    unnamed = visit.page.evaluate(
        """() => [...document.getElementById('knowrithm-widget').shadowRoot
            .querySelectorAll('button, input, textarea, a')]
            .filter((node) => !(node.getAttribute('aria-label') || node.textContent.trim() || node.labels?.length))
            .map((node) => node.outerHTML)"""
    )
    assert unnamed == []
    small = visit.page.evaluate(
        """() => [...document.getElementById('knowrithm-widget').shadowRoot.querySelectorAll('button, summary')]
            .filter((node) => node.offsetParent && (node.offsetWidth < 24 || node.offsetHeight < 24))
            .map((node) => node.outerHTML)"""
    )
    assert small == []  # WCAG 2.2, target size


CONTRASTS = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (color) => rgb(color)
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (node) => {
    const color = getComputedStyle(node).backgroundColor;
    return color !== 'rgba(0, 0, 0, 0)' ? color : ground(node.parentElement);
  };
  const root = document.getElementById('knowrithm-widget').shadowRoot;
  const selectors = ['.title', '.subtitle', '.user .bubble', '.assistant .bubble', '.ref span', '.number', '.name',
    '.locator', '.branding', '.sources-title', '.source a', '.excerpt'];
  return selectors.filter((selector) => {
    const node = root.querySelector(selector);
    const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05) < 4.5;
  });
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("color", ["#12634f", "#ffd400", "#777777", "rebeccapurple", "not-a-colour"])
def test_text_is_readable_in_any_colour(visit: Visit, theme: str, color: str) -> None:
    visit.stub.sources = SOURCES
    visit.stub.pieces = ["Two years [1]."]
    visit.embed(f'data-theme="{theme}" data-color="{color}"')
    visit.enter()
    visit.say("Hello")
    visit.page.locator(".ref").click()
    visit.page.mouse.move(0, 0)
    assert visit.page.evaluate(CONTRASTS) == []


def test_phone_shows_a_full_screen_dialog_that_keeps_the_focus(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    visit.embed()
    visit.launcher.click()
    assert visit.panel.bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 844}
    expect(visit.panel).to_have_attribute("aria-modal", "true")
    expect(visit.panel).to_be_focused()
    visit.page.get_by_role("button", name="Start chat").focus()
    visit.page.keyboard.press("Tab")
    expect(visit.page.get_by_role("button", name="Close chat")).to_be_focused()
    visit.page.keyboard.press("Shift+Tab")
    expect(visit.page.get_by_role("button", name="Start chat")).to_be_focused()


def test_styles_of_the_page_do_not_reach_the_widget(visit: Visit) -> None:
    visit.site.policy = ""
    hostile = "div, button { display: none !important; opacity: 0 !important } html { font-size: 40px; color: red }"
    visit.embed()
    visit.page.add_style_tag(content=hostile)
    expect(visit.launcher).to_be_visible()
    visit.launcher.click()
    style = visit.page.locator(".hello").evaluate("(node) => getComputedStyle(node).color")
    assert style == "rgb(23, 26, 33)"
    assert visit.page.locator(".root").evaluate("(node) => getComputedStyle(node).fontSize") == "16px"


def test_tag_attributes_configure_the_widget(visit: Visit) -> None:
    visit.embed(
        f'data-api-url="{visit.stub.url}/api/v1/" data-position="top-left" data-theme="dark" data-color="#ff0000" '
        'data-button-text="Ask us" data-title="Help desk" data-welcome="Welcome aboard" data-show-branding="false" '
        'data-auto-open data-initial-delay="10" data-persist-session="false"'
    )
    expect(visit.panel).to_be_visible()
    assert visit.page.evaluate("document.activeElement === document.body")  # opening by itself takes no focus
    expect(visit.panel).to_have_accessible_name("Help desk")
    expect(visit.launcher).to_have_text("Ask us")
    expect(visit.launcher).to_have_accessible_name("Ask us, Close chat")
    expect(visit.launcher).to_have_css("background-color", "rgb(255, 0, 0)")
    expect(visit.page.locator(".hello")).to_have_text("Welcome aboard")
    expect(visit.page.locator(".branding")).to_have_count(0)
    expect(visit.panel).to_have_css("background-color", "rgb(22, 24, 29)")
    box = visit.launcher.bounding_box()
    assert box is not None
    assert (box["x"], box["y"]) == (20, 20)
    visit.page.get_by_role("button", name="Close chat", exact=True).click()
    visit.enter()
    assert visit.page.evaluate("localStorage.length") == 0


@pytest.mark.parametrize("form", ["object", "function"])
def test_settings_of_the_page_win_over_the_tag(visit: Visit, form: str) -> None:
    settings = "{title: 'From the page', appearance: {theme: 'dark', placement: 'bottom-left'}, language: 'fr'}"
    visit.page.add_init_script(f"window.AIChatWidget = {settings if form == 'object' else f'() => ({settings})'}")
    visit.embed('data-title="From the tag" data-theme="light"')
    expect(visit.launcher).to_have_accessible_name("Ouvrir le chat")
    visit.launcher.click()
    expect(visit.panel).to_have_accessible_name("From the page")
    config = visit.page.evaluate("[AIChatWidgetConfig.theme, AIChatWidgetConfig.position, AIChatWidgetConfig.agentId]")
    assert config == ["dark", "bottom-left", AGENT_ID]


def test_arabic_runs_from_right_to_left(visit: Visit) -> None:
    visit.embed('data-language="ar"')
    visit.launcher.click()
    expect(visit.page.get_by_role("dialog")).to_have_css("direction", "rtl")
    expect(visit.page.get_by_label("الاسم الأول")).to_be_focused()


def test_page_can_drive_and_watch_the_widget(visit: Visit) -> None:
    visit.page.add_init_script(
        """window.seen = [];
        for (const name of ['ready', 'conversation.started', 'message.received', 'widget.opened', 'widget.closed']) {
          addEventListener(`knowrithm:${name}`, (event) => seen.push([name, event.detail.agentId]));
        }
        window.AIChatWidget = { callbacks: { onMessage: () => { throw new Error('bug of the page'); } } };"""
    )
    visit.embed()
    expect(visit.launcher).to_be_visible()
    visit.page.evaluate("KnowrithmWidget.updateMetadata({ plan: 'gold' }); KnowrithmWidget.open()")
    expect(visit.panel).to_be_visible()
    visit.page.evaluate("KnowrithmWidget.toggle()")
    expect(visit.panel).to_be_hidden()
    visit.enter()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    visit.page.evaluate("KnowrithmWidget.close()")
    expect(visit.panel).to_be_hidden()
    names = ["ready", "widget.opened", "widget.closed", "widget.opened", "conversation.started", "message.received"]
    assert visit.page.evaluate("window.seen") == [[name, AGENT_ID] for name in [*names, "widget.closed"]]
    [conversation] = visit.stub.sent("POST", "/conversation")
    assert conversation.body["metadata"] == {
        "plan": "gold", "page_title": "Acme pumps", "page_url": visit.page.url.partition("?")[0].partition("#")[0],
    }  # fmt: skip


def test_answer_that_arrives_while_closed_is_marked_on_the_launcher(visit: Visit) -> None:
    visit.stub.stream_gate.clear()
    visit.embed()
    visit.enter()
    visit.say("Hello")
    visit.page.keyboard.press("Escape")
    visit.stub.stream_gate.set()
    expect(visit.launcher).to_have_accessible_name("Open chat, new answer")
    visit.launcher.click()
    visit.page.keyboard.press("Escape")
    expect(visit.launcher).to_have_accessible_name("Open chat")


def test_works_in_memory_when_storage_is_blocked(visit: Visit) -> None:
    visit.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('blocked'); } })"
    )
    visit.embed()
    visit.enter()
    visit.say("Hello")
    expect(visit.answers.nth(1)).to_have_text("Hello from the agent.")
    assert visit.complaints == []


def test_second_inclusion_is_ignored(visit: Visit) -> None:
    visit.embed(count=2)
    expect(visit.launcher).to_be_visible()
    visit.enter()
    assert visit.page.locator("#knowrithm-widget").count() == 1
    assert len(visit.stub.sent("POST", "/website/handshake")) == 1


def test_avatar_is_shown_when_the_policy_allows_it(visit: Visit) -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    visit.page.route(
        "**/avatar.png",
        lambda route: route.fulfill(body=b64decode(pixel), content_type="image/png"),
    )
    visit.stub.agent = {"id": AGENT_ID, "name": "Acme", "avatar_url": f"{visit.stub.url}/avatar.png"}
    visit.embed()
    visit.launcher.click()
    expect(visit.page.locator(".avatar img")).to_be_visible()


def test_long_message_shows_what_is_left(visit: Visit) -> None:
    visit.embed()
    visit.enter()
    visit.composer.fill("x" * 3599)
    expect(visit.page.locator(".counter")).to_be_hidden()
    visit.composer.fill("x" * 3990)
    expect(visit.page.locator(".counter")).to_have_text("10 characters left")
    visit.page.keyboard.type("y" * 20)
    assert len(visit.composer.input_value()) == 4000


def test_source_is_small_and_free_of_what_policies_forbid() -> None:
    assert len(widget_script_file().packed) < 26_000  # of the 30,000 that the first load may have
    source = WIDGET_SOURCE.read_bytes()
    forbidden = rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\('style'"
    assert re.findall(forbidden, source) == []
