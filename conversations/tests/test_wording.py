"""What the platform itself says to visitors: in their language, in the agent's, or else in English."""

from __future__ import annotations

import json
from string import Formatter
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client

from agents.languages import LANGUAGES
from agents.models import Agent
from conftest import Character
from conversations import jobs, turn
from conversations.models import Conversation, Guardrail, Message
from conversations.reply_links import reply_link
from conversations.services import hand_back, request_handover, send_as_person, start_turn, take_conversation
from conversations.tests.test_handover import texts as said_by
from conversations.tests.test_handover import visitor
from conversations.tests.test_handover_api import acme_client, with_token
from conversations.tests.test_turn_models import no_circuits, taught
from conversations.wording import ENGLISH, FOLDER, in_words, known_language, notice, sentence, texts
from knowrithm.jobs import read_task
from knowrithm.tests.within import Within

__all__ = ["acme_client", "no_circuits", "taught"]
WEEK = {"timezone": "Europe/Berlin", "monday": [["09:00", "12:00"], ["13:00", "17:30"]]}
NEVER = {"timezone": "UTC", "monday": [["00:00", "00:01"]]}


def speaking(who: Character, language: str) -> tuple[Any, Conversation, Within]:
    """A visitor whose widget declares a language, as the widget does it."""
    actor, begun, token = visitor(who)
    begun.delete()
    client = with_token(token, who)
    body = {"agent_id": str(who.agent.pk), **({"language": language} if language else {})}
    created = client.post("/api/v1/conversation", body, format="json")
    assert created.status_code == 201
    return actor, Conversation.objects.get(pk=created.json()["conversation"]["id"]), client


# --- The sentences ------------------------------------------------------------------------------------------------


def test_every_language_says_all_of_it_with_the_same_values() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} | {"en"} == set(LANGUAGES)
    named = {code: {name for _, name, _, _ in Formatter().parse(text) if name} for code, text in ENGLISH.items()}
    for path in FOLDER.glob("*.json"):
        said = json.loads(path.read_text())
        assert list(said) == list(ENGLISH), path.stem
        found = {code: {name for _, name, _, _ in Formatter().parse(text) if name} for code, text in said.items()}
        assert found == named, path.stem
        assert not [code for code in said if said[code] == ENGLISH[code] and code != "page_messages"], path.stem


@pytest.mark.parametrize(
    ("tag", "language"),
    [("de", "de"), ("de-AT", "de"), ("PT_br", "pt"), ("German", "de"), ("Deutsch", "de"), ("العربية", "ar"),
     ("Chinese", "zh"), ("zh-Hans-CN", "zh"), ("sv", ""), ("", ""), ("x" * 35, "")],
)  # fmt: skip
def test_a_language_is_known_by_its_tag_and_its_names(tag: str, language: str) -> None:
    assert known_language(tag) == language


def test_names_keep_their_direction_where_the_sentence_has_another() -> None:
    assert sentence("taken", "de", name="Ada") == "Ada antwortet jetzt hier."
    assert sentence("taken", "en", name="שרה") == "\u2068שרה\u2069 answers here now."
    assert sentence("taken", "ar", name="Ada") == "يجيبك \u2068Ada\u2069 هنا الآن."


def test_a_remark_is_not_said_in_place_of_the_text() -> None:
    assert in_words([notice("stopped")], "de") == ""


def test_hours_are_told_in_the_language() -> None:
    said = in_words([notice("closed", hours=WEEK)], "de")
    assert said == (
        "Wir haben im Augenblick geschlossen. Unsere Zeiten sind: Montag 09:00–12:00 + 13:00–17:30 (Europe/Berlin)."
    )
    arabic = in_words([notice("closed", hours=WEEK)], "ar")
    assert "الاثنين \u206809:00–12:00\u2069 + \u206813:00–17:30\u2069 (\u2068Europe/Berlin\u2069)" in arabic
    english = in_words([notice("closed", hours=WEEK)])
    assert english.endswith("Our hours are: Monday 09:00 to 12:00 and 13:00 to 17:30 (Europe/Berlin).")


# --- In a conversation --------------------------------------------------------------------------------------------


def test_a_handover_in_the_language_that_the_widget_declares(in_acme: Character, acme_client: Within) -> None:
    actor, conversation, client = speaking(in_acme, "de-AT")
    request_handover(actor=actor, conversation_id=conversation.pk)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    hand_back(actor=in_acme.principal, conversation_id=conversation.pk)
    assert said_by(conversation, "system") == [
        "Wir haben unserem Team Bescheid gegeben. Jemand antwortet hier so bald wie möglich. "
        "Bis dahin antwortet weiter Acme helper.",
        "Acme Admin antwortet jetzt hier.",
        "Acme helper antwortet wieder.",
    ]
    path = f"/api/v1/conversation/{conversation.pk}/messages"
    told = client.get(path).json()["messages"][1]
    assert told["notices"] == [{"code": "taken", "values": {"name": "Acme Admin"}}]
    assert told["content"] == "Acme Admin antwortet jetzt hier."
    again = client.get(path, {"language": "ar"}).json()["messages"][1]  # who reads on in another language
    assert again["content"] == "يجيبك \u2068Acme Admin\u2069 هنا الآن."
    for page in (f"/inbox?conversation={conversation.pk}", f"/conversations/{conversation.pk}"):
        shown = acme_client.get(page).content.decode()  # the team reads English
        assert ("Acme Admin answers here now." in shown, "antwortet" in shown) == (True, False)


@pytest.mark.parametrize(
    ("declared", "of_the_agent", "widget", "expected"),
    [
        ("sv", [], {}, "en"), ("sv", ["Swedish", "German"], {}, "de"), ("", ["Français"], {}, "fr"),
        ("", ["German"], {"language": "he"}, "he"), ("ja", ["German"], {"language": "he"}, "ja"), ("", [], {}, "en"),
    ],
)  # fmt: skip
def test_the_agents_language_where_the_widgets_is_not_spoken_and_english_else(
    in_acme: Character, declared: str, of_the_agent: list[str], widget: dict[str, str], expected: str
) -> None:
    Agent.objects.filter(pk=in_acme.agent.pk).update(languages=of_the_agent, widget=widget)
    actor, conversation, _ = speaking(in_acme, declared)
    assert conversation.language == expected
    request_handover(actor=actor, conversation_id=conversation.pk)
    assert said_by(conversation, "system")[0].startswith(texts(expected)["waiting"])


def test_who_goes_on_in_another_language_is_spoken_to_in_it(in_acme: Character) -> None:
    actor, conversation, client = speaking(in_acme, "de")
    path = f"/api/v1/conversation/{conversation.pk}/chat"
    assert client.post(path, {"message": "Hello?", "language": "fr"}, format="json").status_code == 202
    assert client.post(path, {"message": "And this?"}, format="json").status_code == 202  # says nothing of it
    request_handover(actor=actor, conversation_id=conversation.pk)
    assert said_by(conversation, "system")[0].startswith(texts("fr")["waiting"])
    refused = client.post(path, {"message": "Hello?", "language": "x" * 36}, format="json")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["language"])


def test_what_a_person_is_told_who_writes_to_a_person(in_acme: Character) -> None:
    actor, conversation, _ = speaking(in_acme, "de")
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    asked = start_turn(actor=actor, conversation_id=conversation.pk, text="Und?")
    assert asked.reply.content == "Acme Admin hat Ihre Nachricht und antwortet hier."


# --- Instead of an answer -----------------------------------------------------------------------------------------


def answer_of(actor: Any, conversation: Conversation, question: str) -> Message:
    started = start_turn(actor=actor, conversation_id=conversation.pk, text=question)
    turn.run(started.reply.pk)
    return Message.objects.get(pk=started.reply.pk)


@pytest.mark.parametrize("question", ["Who won the football cup in 1954?", "How long is the moon's warranty on Mars?"])
@pytest.mark.parametrize("language", ["de", "ar", "sv", ""])
def test_a_refusal_is_one_in_every_language(taught: Character, language: str, question: str) -> None:
    actor, conversation, client = speaking(taught, language)
    reply = answer_of(actor, conversation, question)
    assert reply.content == texts(language)["no_answer"]
    record = client.get(f"/api/v1/conversation/{conversation.pk}/messages").json()["messages"][1]
    assert (record["is_refusal"], record["notices"]) == (True, [{"code": "no_answer", "values": {}}])


def test_a_model_of_ours_that_finds_nothing_says_so_in_the_language(taught: Character) -> None:
    Agent.objects.filter(pk=taught.agent.pk).update(retrieval_threshold=0.0)  # so that it is asked
    actor, conversation, _ = speaking(taught, "de")
    reply = answer_of(actor, conversation, "Who won the football cup in 1954?")
    assert (reply.content, reply.is_refusal) == (texts("de")["no_answer"], True)


def test_a_closed_agent_and_a_guardrail_speak_it_too(taught: Character) -> None:
    actor, conversation, _ = speaking(taught, "ar")
    rule = {"name": "Wars", "kind": "words", "action": "refuse", "on": "input", "values": ["war"]}
    guardrail = Guardrail.objects.create(name="No wars", applies_to_all=True, rules=[rule])
    refused = answer_of(actor, conversation, "Tell me of the war")
    assert (refused.content, refused.notices) == (texts("ar")["refused"], [{"code": "refused", "values": {}}])
    Guardrail.objects.filter(pk=guardrail.pk).update(refusal_text="Not here.")  # the company's own words stay
    own = answer_of(actor, conversation, "Tell me of the war")
    assert (own.content, own.notices) == ("Not here.", [])
    Agent.objects.filter(pk=taught.agent.pk).update(operating_hours={**NEVER, "outside": "closed"})
    closed = answer_of(actor, conversation, "How long is the warranty?")
    assert (closed.content, closed.is_refusal) == (in_words(closed.notices, "ar"), False)
    assert closed.notices == [{"code": "closed", "values": {"hours": {**NEVER, "outside": "closed"}}}]


def test_a_failure_is_told_in_the_language(in_acme: Character) -> None:
    actor, conversation, client = speaking(in_acme, "de")
    started = start_turn(actor=actor, conversation_id=conversation.pk, text="Hello?")
    Message.objects.filter(pk=started.reply.pk).update(status="failed", error="No credit", error_code="LLM_ERROR")
    turn.announce(Message.objects.get(pk=started.reply.pk))
    record = client.get(f"/api/v1/conversation/{conversation.pk}/messages").json()["messages"][1]
    assert (record["content"], record["error"]) == (texts("de")["failed"], texts("de")["failed"])
    assert record["notices"] == [{"code": "failed", "values": {}}]
    task = read_task(str(started.reply.task_id))
    assert task is not None
    assert (task.error, task.error_code) == (texts("de")["failed"], "NO_ANSWER")


def test_an_agent_that_is_not_there_says_so_in_the_language(in_acme: Character) -> None:
    _, conversation, client = speaking(in_acme, "de")
    Agent.objects.filter(pk=in_acme.agent.pk).update(status="inactive")
    path, agent_id = f"/api/v1/conversation/{conversation.pk}/chat", str(in_acme.agent.pk)
    begun = client.post("/api/v1/conversation", {"agent_id": agent_id, "language": "ar"}, format="json")
    asked = client.post(path, {"message": "Hallo?"}, format="json")
    assert [begun.json()["message"], asked.json()["message"]] == [
        texts("ar")["unavailable"],
        texts("de")["unavailable"],
    ]


# --- After the visitor has left -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "direction"), [("de", "ltr"), ("ar", "rtl"), ("sv", "ltr")])
def test_the_mail_and_its_page_are_in_the_language(in_acme: Character, language: str, direction: str) -> None:
    _, conversation, _ = speaking(in_acme, language)
    spoken, said = conversation.language, texts(language)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    send_as_person(actor=in_acme.principal, conversation_id=conversation.pk, text="<b>Monday</b>")
    jobs.mail_visitor(conversation.pk)
    [sent] = mail.outbox
    assert isinstance(sent, EmailMultiAlternatives)
    assert sent.subject == sentence("mail_subject", language, name="Acme Admin")
    [(alternative, _)] = sent.alternatives
    html, plain = str(alternative), str(sent.body)
    assert plain.startswith(sentence("mail_hello", language, name="Vic"))
    assert f'<html lang="{spoken}" dir="{direction}">' in html
    assert (said["mail_fallback"] in html, said["mail_action"] in html, "&lt;b&gt;Monday" in html) == (True,) * 3
    assert ("Nobody reads" in html + plain, "Hello" in plain) == (spoken == "en", spoken == "en")

    browser = Within(Client(), in_acme)
    link = "/" + reply_link(in_acme.company.schema_name, conversation.pk).split("/", 3)[3]
    page = browser.get(link, follow=True).content.decode()
    assert f'<html lang="{spoken}" dir="{direction}">' in page
    assert sentence("page_person", language, name="Acme Admin") in page
    assert sentence("taken", language, name="Acme Admin") in page
    assert (said["page_send"] in page, said["page_message"] in page, said["page_skip"] in page) == (True,) * 3
    empty = browser.post("/continue", {"message": ""}).content.decode()
    required = {
        "de": "Dieses Feld ist zwingend erforderlich.",
        "ar": "هذا الحقل مطلوب.",
        "en": "This field is required.",
    }
    assert {code for code, text in required.items() if text in empty} == {spoken}


def test_a_link_that_is_no_good_says_so_in_the_browsers_language(in_acme: Character) -> None:
    page = Client().get("/continue?token=x", headers={"Accept-Language": "ar-EG,en;q=0.5"})
    assert page.status_code == 404
    assert '<html lang="ar" dir="rtl">' in page.content.decode()
    assert texts("ar")["page_gone"] in page.content.decode()
    other = Client().get("/continue?token=x", headers={"Accept-Language": "sv"}).content.decode()
    assert ENGLISH["page_gone"] in other
