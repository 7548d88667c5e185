"""Handing over through the API, the inbox's pages, and the page of a mailed link."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import uuid
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from agents.models import Agent
from analytics.selectors.agents import conversation_report
from conftest import Character, bearer, key_client, page_client
from conversations import jobs, sse, streams
from conversations.brief import visitor_of
from conversations.models import CannedReply, Conversation, Handover, Message, PrivateNote
from conversations.reply_links import reply_link
from conversations.services import (
    add_note,
    create_conversation,
    hand_back,
    request_handover,
    send_as_person,
    start_turn,
    take_conversation,
)
from conversations.tests.test_handover import colleague, visitor
from knowrithm.db.redis import sync_redis
from knowrithm.principal import Principal, PrincipalKind
from knowrithm.tests.within import Within
from leads.models import Lead
from leads.services import identify_visitor, register_lead, start_visit

QUERIES_OF_THE_INBOX = 3
QUERIES_OF_THE_PAGE = 7
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def with_token(token: str, who: Character) -> Within:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return Within(client, who)


@pytest.fixture
def talk(in_acme: Character) -> tuple[Principal, Conversation, Within]:
    actor, conversation, token = visitor(in_acme)
    return actor, conversation, with_token(token, in_acme)


@pytest.fixture
def acme_api(in_acme: Character) -> Within:
    return Within(bearer(in_acme), in_acme)


@pytest.fixture
def acme_client(in_acme: Character) -> Within:
    return Within(page_client(in_acme), in_acme)


# --- The API ------------------------------------------------------------------------------------------------------


def test_the_way_of_a_visitor_through_the_api(talk: Any, acme_api: Within, acme: Character) -> None:
    _, conversation, client = talk
    path = f"/api/v1/conversation/{conversation.pk}"
    assert client.get(f"{path}/handover").json()["owner"] == "agent"
    asked = client.post(f"{path}/handover", {"message": "Refund"}).json()
    assert (asked["owner"], asked["person"], asked["agent"]) == ("waiting", None, {"name": "Acme helper"})
    assert asked["needs_email"] is False

    taken = acme_api.post(f"{path}/handover/take").json()
    assert (taken["owner"], taken["person"]) == ("person", {"name": "Acme Admin"})
    accepted = client.post(f"{path}/chat", {"message": "Hello?"}, format="json").json()
    assert (accepted["delivered_to"], accepted["assistant_message_id"]) == ("Acme Admin", None)
    sent = acme_api.post(f"{path}/handover/message", {"message": "I am here."}, format="json")
    assert (sent.status_code, sent.json()["author"]) == (201, {"kind": "person", "name": "Acme Admin"})
    shown = client.get(f"{path}/messages").json()["messages"]
    assert [(row["author"]["kind"], row["content"]) for row in shown if row["author"]["kind"] != "system"] == [
        ("visitor", "Hello?"), ("person", "I am here."),
    ]  # fmt: skip
    assert client.post(f"{path}/handover/take").status_code == 403
    assert client.post(f"{path}/handover/message", {"message": "me"}).status_code == 403
    assert client.post(f"/api/v1/message/{shown[-1]['id']}/feedback", {"rating": 1}).status_code == 400
    question = next(row["id"] for row in shown if row["content"] == "Hello?")
    again = client.post(f"/api/v1/message/{question}/regenerate")
    assert (again.status_code, again.json()["code"]) == (409, "CONVERSATION_TAKEN")

    back = acme_api.post(f"{path}/handover/back", {"summary": "All settled."}, format="json").json()
    assert back["owner"] == "agent"
    [row] = acme_api.get(f"{path}/handover/history").json()["handovers"]
    assert (row["reason"], row["words"], row["end"], row["summary"]) == (
        "visitor",
        "Refund",
        "handed_back",
        "All settled.",
    )
    assert client.get(f"{path}/handover/history").status_code == 403


def test_refusals_say_why(talk: Any, acme_api: Within, acme: Character) -> None:
    _, conversation, client = talk
    path = f"/api/v1/conversation/{conversation.pk}/handover"
    answers = [
        (acme_api.post(f"{path}/message", {"message": "x"}), 409, "CONVERSATION_NOT_TAKEN"),
        (acme_api.post(f"{path}/back", {}), 409, "HANDOVER_STATE"),
        (client.post(f"{path}/address", {"email": "a@b.example"}), 409, "HANDOVER_STATE"),
        (client.post(f"{path}/address", {"email": "no address"}), 400, "VALIDATION_ERROR"),
        (acme_api.post(f"{path}/assign", {"user_id": str(uuid.uuid4())}), 404, "NOT_FOUND"),
        (acme_api.post(f"{path}/assign", {"user_id": "x"}), 400, "VALIDATION_ERROR"),
        (acme_api.get("/api/v1/inbox?show=everything"), 400, "VALIDATION_ERROR"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer, _, _ in answers] == [
        (status, code) for _, status, code in answers
    ]
    grace = colleague(acme)
    take_conversation(actor=grace, conversation_id=conversation.pk)
    taken = acme_api.post(f"{path}/take")
    assert (taken.status_code, taken.json()["code"]) == (409, "CONVERSATION_TAKEN")
    assert taken.json()["message"] == "Grace Hopper has this conversation."


def test_another_visitor_of_the_same_agent_finds_nothing(talk: Any, in_acme: Character) -> None:
    _, conversation, _ = talk
    _, _, token = visitor(in_acme, email="eve@example.org")
    stranger = with_token(token, in_acme)
    path = f"/api/v1/conversation/{conversation.pk}"
    assert stranger.post(f"{path}/handover").status_code == 404
    assert stranger.get(f"{path}/handover").status_code == 404
    assert stranger.post(f"{path}/typing", {"is_typing": True}).status_code == 404
    conversation.refresh_from_db()
    assert conversation.owner == "agent"


def test_a_nameless_visitor_leaves_an_address(in_acme: Character) -> None:
    _actor, conversation, token = visitor(in_acme, email="v1@demo.invalid")
    client = with_token(token, in_acme)
    path = f"/api/v1/conversation/{conversation.pk}/handover"
    assert client.post(path).json()["needs_email"] is True
    assert client.post(f"{path}/address", {"email": "vic@example.org"}).status_code == 200
    assert client.get(path).json()["needs_email"] is False
    assert Handover.objects.get().contact_email == "vic@example.org"


def test_who_listens_hears_that_an_address_is_wanted(
    in_acme: Character, django_capture_on_commit_callbacks: Any
) -> None:
    actor, conversation, token = visitor(in_acme, email="v1@demo.invalid")
    conversation.agent.handover = {"phrases": ["human"]}
    conversation.agent.save()
    client = with_token(token, in_acme)
    with django_capture_on_commit_callbacks(execute=True):
        start_turn(actor=actor, conversation_id=conversation.pk, text="A human please")
        client.post(f"/api/v1/conversation/{conversation.pk}/handover/address", {"email": "vic@example.org"})
        take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    entries: Any = sync_redis().xrange(streams.stream_key(in_acme.company.schema_name, conversation.pk))
    told = [event.data for event in streams.parse(entries) if event.name == "chat_owner"]
    assert [(data["owner"], data["needs_email"]) for data in told] == [
        ("waiting", True), ("waiting", False), ("person", False),
    ]  # fmt: skip


def known_visitor(who: Character, name: str) -> Conversation:
    """Of a visitor who gave the address of a known lead in the midst of it."""
    Agent.objects.filter(pk=who.agent.pk).update(widget={"ask": "none"})
    who.agent.refresh_from_db()
    common: dict[str, Any] = {"agent": who.agent, "company_id": who.company.id}
    address = f"{name.lower()}@example.org"
    known = register_lead(**common, email=address, first_name=name, phone="+49 89 1").lead
    Lead.objects.filter(pk=known.pk).update(status="converted")
    visit = start_visit(**common).lead
    actor = Principal(kind=PrincipalKind.LEAD, id=visit.pk, company=who.company, agent_id=who.agent.pk, label="")
    conversation = create_conversation(actor=actor, agent=who.agent)
    identify_visitor(actor=actor, email=address, first_name="Mallory")
    return Conversation.objects.get(pk=conversation.pk)


def test_a_visitor_who_gives_a_known_address_is_that_lead_for_people_and_nobody_for_the_model(
    in_acme: Character, acme_api: Within, acme_client: Within
) -> None:
    conversation = known_visitor(in_acme, "Ada")
    assert (conversation.who, visitor_of(conversation)) == ("Ada", {})
    request_handover(actor=in_acme.principal, conversation_id=conversation.pk)
    said = Message.objects.get(conversation=conversation)
    assert [one["code"] for one in said.notices] == ["waiting", "agent_goes_on"]  # and no wish for an address
    assert acme_api.get(f"/api/v1/conversation/{conversation.pk}/handover").json()["needs_email"] is False
    [row] = acme_api.get("/api/v1/inbox").json()["conversations"]
    assert row["visitor"] == "Ada"
    page = acme_client.get(f"/inbox?conversation={conversation.pk}").content.decode()
    facts = dict(re.findall(r"<dt>([^<]*)</dt><dd[^>]*>(?:<[^>]*>)*([^<]*)", page))
    assert (facts["E-mail"], facts["Telephone"], facts["Status"]) == ("ada@example.org", "+49 89 1", "Converted")
    report = conversation_report(conversation)
    assert [(one["lead_name"], one["lead_email"]) for one in report["top_conversations"]] == [
        ("Ada", "ada@example.org")
    ]

    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    send_as_person(actor=in_acme.principal, conversation_id=conversation.pk, text="It comes on Monday.")
    jobs.mail_visitor(conversation.pk)
    [letter] = mail.outbox
    assert (letter.to, "Ada" in letter.body, "Visitor" in letter.body) == (["ada@example.org"], True, False)


@pytest.mark.parametrize("count", [1, 3])
def test_who_visitors_are_costs_no_query_each(
    acme_api: Within, in_acme: Character, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        request_handover(actor=in_acme.principal, conversation_id=known_visitor(in_acme, f"Ada{number}").pk)
    acme_api.get("/api/v1/inbox")
    with django_assert_num_queries(QUERIES_OF_THE_INBOX):
        rows = acme_api.get("/api/v1/inbox").json()["conversations"]
    assert sorted(row["visitor"] for row in rows) == [f"Ada{number}" for number in range(count)]


@pytest.mark.parametrize("count", [1, 3])
def test_the_inbox_costs_the_same_however_long(
    acme_api: Within, in_acme: Character, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        actor, conversation, _ = visitor(in_acme, email=f"v{number}@example.org")
        request_handover(actor=actor, conversation_id=conversation.pk)
    acme_api.get("/api/v1/inbox")
    with django_assert_num_queries(QUERIES_OF_THE_INBOX):
        answer = acme_api.get("/api/v1/inbox")
    assert len(answer.json()["conversations"]) == count


def test_the_inbox_by_state(acme_api: Within, in_acme: Character) -> None:
    made = {}
    for name in ("waiting", "mine", "closed", "agent"):
        actor, conversation, _ = visitor(in_acme, email=f"{name}@example.org")
        made[name] = conversation.pk
        if name != "agent":
            request_handover(actor=actor, conversation_id=conversation.pk, words=name)
    acme_api.post(f"/api/v1/conversation/{made['mine']}/handover/take")
    acme_api.post(f"/api/v1/conversation/{made['closed']}/handover/close")
    found = {
        show: {row["words"] for row in acme_api.get(f"/api/v1/inbox?show={show}").json()["conversations"]}
        for show in ("open", "waiting", "mine", "closed", "all")
    }
    assert found == {
        "open": {"waiting", "mine"}, "waiting": {"waiting"}, "mine": {"mine"}, "closed": {"closed"},
        "all": {"waiting", "mine", "closed"},
    }  # fmt: skip
    [row] = acme_api.get("/api/v1/inbox?show=waiting").json()["conversations"]
    assert (row["is_unread"], row["visitor"], row["reason"]) == (True, "Vic", "visitor")
    acme_api.post(f"/api/v1/conversation/{made['waiting']}/read")
    [row] = acme_api.get("/api/v1/inbox?show=waiting").json()["conversations"]
    assert row["is_unread"] is False


def test_an_api_key_acts_for_who_made_it(talk: Any, acme: Character) -> None:
    _, conversation, _ = talk
    key = key_client(acme, "read", "write")
    taken = key.post(f"/api/v1/conversation/{conversation.pk}/handover/take").json()
    assert taken["person"] == {"name": "Acme Admin"}
    assert key_client(acme, "read").post(f"/api/v1/conversation/{conversation.pk}/handover/close").status_code == 403


def test_the_direct_chat_is_answered_at_once_when_a_person_has_it(acme: Character, acme_api: Within) -> None:
    asked = {"bot_id": str(acme.agent.pk), "messages": [{"role": "user", "content": "Hello?"}]}
    session = acme_api.post("/api/v1/chat", asked, format="json").json()["session_id"]
    acme_api.post(f"/api/v1/conversation/{session}/handover/take")
    answer = acme_api.post("/api/v1/chat", {**asked, "session_id": session}, format="json")
    assert (answer.status_code, answer.json()["message"]["content"]) == (
        200, "Acme Admin has your message and answers here.",
    )  # fmt: skip


def test_rules_of_an_agent_are_checked_kept_and_versioned(acme_api: Within, acme: Character) -> None:
    path = f"/api/v1/agent/{acme.agent.pk}"
    rules = {"phrases": ["human please"], "unanswered": 2}
    assert acme_api.put(path, {"handover": rules}, format="json").status_code == 200
    with tenant_context(acme.company):
        acme.agent.refresh_from_db()
        assert acme.agent.handover == rules
        frozen = acme.agent.versions.order_by("-number").values_list("configuration", flat=True)[0]
    assert frozen["handover"] == rules
    for wrong in ({"unanswered": -1}, {"phrases": [""]}, {"wait_minutes": 0}, {"bad_ratings": "often"}):
        assert acme_api.put(path, {"handover": wrong}, format="json").status_code == 400, wrong
    assert APIClient().get(path).json()["agent"]["handover"] is True
    acme_api.put(path, {"handover": {"is_offered": False}}, format="json")
    assert APIClient().get(path).json()["agent"]["handover"] is False


def test_canned_replies(acme_api: Within) -> None:
    made = acme_api.post("/api/v1/canned-reply", {"shortcut": "/hours", "text": "We are open at nine."}, format="json")
    assert (made.status_code, made.json()["shortcut"]) == (201, "hours")
    twice = acme_api.post("/api/v1/canned-reply", {"shortcut": "Hours", "text": "x"}, format="json")
    assert (twice.status_code, twice.json()["code"]) == (409, "CANNED_REPLY_EXISTS")
    path = f"/api/v1/canned-reply/{made.json()['id']}"
    assert acme_api.patch(path, {"text": "At ten."}, format="json").json()["text"] == "At ten."
    for wrong in ({"shortcut": "two words"}, {"shortcut": ""}, {"text": " "}):
        assert acme_api.patch(path, wrong, format="json").status_code == 400, wrong
    assert [row["text"] for row in acme_api.get("/api/v1/canned-reply").json()["canned_replies"]] == ["At ten."]
    assert acme_api.delete(path).status_code == 200
    assert acme_api.delete(path).status_code == 404


def test_presence_is_what_an_open_stream_renews(acme: Character, acme_api: Within) -> None:
    def presence() -> str:
        [row] = acme_api.get("/api/v1/inbox/presence").json()["people"]
        return str(row["presence"])

    key = streams.person_key(acme.company.schema_name, acme.admin.pk)
    assert presence() == "offline"
    streams.note_present(key)
    assert presence() == "online"
    acme_api.post("/api/v1/inbox/presence", {"is_away": True}, format="json")
    assert presence() == "away"
    acme_api.post("/api/v1/inbox/presence", {"is_away": False}, format="json")
    assert presence() == "online"


# --- Streams ------------------------------------------------------------------------------------------------------


def followed(key: str, say: Any, *, wanted: int, last_id: str = "") -> list[streams.Event]:
    """What a listener that follows hears of what `say` does, which runs once it listens."""

    async def listen() -> list[streams.Event]:
        got: list[streams.Event] = []
        events = sse._followed(sse.Subscription(key, [], {}, True), last_id)
        timer = threading.Timer(0.3, say)
        timer.start()
        async with asyncio.timeout(10):
            async for event in events:
                if event is not None:
                    got.append(event)
                if len(got) == wanted:
                    break
        await events.aclose()
        timer.join()
        return got

    return asyncio.run(listen())


def test_who_follows_hears_people_and_typing_and_no_answer_that_was_withdrawn(talk: Any, acme: Character) -> None:
    _, conversation, _ = talk
    schema, turn = acme.company.schema_name, {"task_id": "t1"}
    streams.publish(schema, conversation.pk, "chat_status", {"task_id": "t0", "status": "queued"})
    streams.publish(schema, conversation.pk, "chat_response", {"task_id": "t0"})  # over: not told again
    streams.publish(schema, conversation.pk, "chat_status", {**turn, "status": "queued"})

    def say() -> None:
        streams.publish(schema, conversation.pk, "chat_delta", {**turn, "text": "It la"})
        streams.publish(schema, conversation.pk, "chat_response", turn)
        streams.publish(schema, conversation.pk, "chat_delta", {**turn, "text": "sts"})
        time.sleep(0.2)
        streams.say_typing(schema, conversation.pk, {"author": {"kind": "person", "name": "Ada"}, "is_typing": True})
        time.sleep(0.2)
        streams.publish(schema, conversation.pk, "chat_message", {"message": {"content": "Hello"}})

    heard = followed(streams.stream_key(schema, conversation.pk), say, wanted=5)
    assert [event.name for event in heard] == [
        "chat_status", "chat_delta", "chat_response", "chat_typing", "chat_message",
    ]  # fmt: skip
    assert heard[3].id == ""
    assert heard[4].data["message"] == {"content": "Hello"}
    later = followed(
        streams.stream_key(schema, conversation.pk),
        lambda: streams.publish(schema, conversation.pk, "chat_owner", {}), wanted=2, last_id=heard[2].id,
    )  # fmt: skip
    assert [event.name for event in later] == ["chat_delta", "chat_message"]


def test_the_inbox_is_told_that_there_is_something_and_not_what(
    in_acme: Character, django_capture_on_commit_callbacks: Any
) -> None:
    actor, conversation, _ = visitor(in_acme)
    with django_capture_on_commit_callbacks(execute=True):
        take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
        start_turn(actor=actor, conversation_id=conversation.pk, text="A secret")
    entries: Any = sync_redis().xrange(streams.inbox_key(in_acme.company.schema_name))
    told = [event.data for event in streams.parse(entries) if event.data["conversation_id"] == str(conversation.pk)]
    assert [sorted(data) for data in told] == [["conversation_id", "what"]] * 3
    assert [data["what"] for data in told] == ["message", "owner", "message"]

    def say() -> None:
        streams.tell_inbox(in_acme.company.schema_name, conversation.pk, "message")

    [event] = followed(streams.inbox_key(in_acme.company.schema_name), say, wanted=1)
    assert (event.name, event.data) == ("inbox", {"conversation_id": str(conversation.pk), "what": "message"})


def test_only_the_visitor_and_who_has_it_are_shown_as_writing(talk: Any, acme: Character, acme_api: Within) -> None:
    _, conversation, client = talk
    path = f"/api/v1/conversation/{conversation.pk}/typing"

    with sync_redis().pubsub() as channel:  # type: ignore[no-untyped-call]  # of redis
        channel.subscribe(streams.inbox_key(acme.company.schema_name))
        channel.get_message(timeout=2)
        assert acme_api.post(path, {"is_typing": True}, format="json").status_code == 200  # does not have it
        assert client.post(path, {"is_typing": True}, format="json").status_code == 200
        acme_api.post(f"/api/v1/conversation/{conversation.pk}/handover/take")
        assert acme_api.post(path, {"is_typing": False}, format="json").status_code == 200
        said = [channel.get_message(timeout=2) for _ in range(2)]
    heard = [event.data for message in said if message and (event := streams.parse_told(message["data"]))]
    assert [(data["author"], data["is_typing"]) for data in heard] == [
        ({"kind": "visitor", "name": None}, True), ({"kind": "person", "name": "Acme Admin"}, False),
    ]  # fmt: skip
    assert client.post(path, {"is_typing": "perhaps"}, format="json").status_code == 400


# --- Pages --------------------------------------------------------------------------------------------------------


def test_the_inbox_page_from_empty_to_handed_back(talk: Any, acme: Character, acme_client: Within) -> None:
    actor, conversation, _ = talk
    assert "Nobody waits" in acme_client.get("/inbox").content.decode()
    request_handover(actor=actor, conversation_id=conversation.pk)
    page = acme_client.get(f"/inbox?conversation={conversation.pk}").content.decode()
    assert "Waits for a person" in page
    assert "vic@example.org" in page
    assert "of 100" in page
    acme_client.post(f"/inbox/{conversation.pk}/take")
    acme_client.post(f"/inbox/{conversation.pk}/write", {"message": "I am here."})
    acme_client.post(f"/inbox/{conversation.pk}/write", {"message": "A bit rude", "is_note": "1"})
    with tenant_context(acme.company):
        assert Message.objects.get(author_id=acme.admin.pk).content == "I am here."
        assert PrivateNote.objects.get().text == "A bit rude"
    part = acme_client.get(f"/inbox?part=thread&conversation={conversation.pk}").content.decode()
    assert ("You answer" in part, "Private note" in part, "<html" in part) == (True, True, False)
    acme_client.post(f"/inbox/{conversation.pk}/back", {"summary": "Done"})
    conversation.refresh_from_db()
    assert (conversation.owner, conversation.handover_summary) == ("agent", "Done")


def test_the_renewed_list_stays_on_its_page(
    in_acme: Character, acme_client: Within, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.views_inbox.PER_PAGE", 1)
    for email in ("a@example.org", "b@example.org"):
        actor, conversation, _ = visitor(in_acme, email=email)
        request_handover(actor=actor, conversation_id=conversation.pk)
    part = acme_client.get("/inbox?part=list&show=open&page=2").content.decode()
    assert f'href="/inbox?show=open&amp;conversation={conversation.pk}&amp;page=2"' in part
    assert 'href="?show=open&amp;page=1"' in part  # of the page, and not of the part


def test_whatever_a_visitor_types_is_text(in_acme: Character, acme_client: Within) -> None:
    actor, conversation, _ = visitor(in_acme)
    Lead.objects.update(first_name=SCRIPT[:90])
    Conversation.objects.update(metadata={SCRIPT[:40]: SCRIPT}, title=SCRIPT)
    request_handover(actor=actor, conversation_id=conversation.pk, words=SCRIPT)
    take_conversation(actor=in_acme.principal, conversation_id=conversation.pk)
    start_turn(actor=actor, conversation_id=conversation.pk, text=SCRIPT)
    add_note(actor=in_acme.principal, conversation_id=conversation.pk, text=SCRIPT)
    CannedReply.objects.create(shortcut="x", text=SCRIPT)
    for path in (f"/inbox?conversation={conversation.pk}", "/inbox/replies"):
        page = acme_client.get(path).content.decode()
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page


@pytest.mark.parametrize("count", [1, 3])
def test_the_inbox_page_costs_the_same_however_long(
    in_acme: Character, acme_client: Within, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        actor, conversation, _ = visitor(in_acme, email=f"v{number}@example.org")
        request_handover(actor=actor, conversation_id=conversation.pk)
    acme_client.get("/inbox")
    with django_assert_num_queries(QUERIES_OF_THE_PAGE):
        acme_client.get("/inbox")


def test_the_marks_count_what_waits(talk: Any, acme_client: Within) -> None:
    actor, conversation, _ = talk
    assert 'id="inbox-count" hx-swap-oob="true" hidden' in acme_client.get("/inbox/marks").content.decode()
    request_handover(actor=actor, conversation_id=conversation.pk)
    page = acme_client.get("/inbox/marks").content.decode()
    assert 'id="inbox-count" hx-swap-oob="true">1<' in page
    assert "Notifications, 1 not read" in page


# --- Visitors who have left ---------------------------------------------------------------------------------------


@pytest.fixture
def answered(talk: Any, acme: Character) -> tuple[Conversation, EmailMessage, str]:
    """A visitor has left, a person has answered, and a worker has mailed that."""
    _, conversation, _ = talk
    with tenant_context(acme.company):
        take_conversation(actor=acme.principal, conversation_id=conversation.pk)
        send_as_person(actor=acme.principal, conversation_id=conversation.pk, text="It comes on Monday.")
        jobs.mail_visitor(conversation.pk)
    [sent] = mail.outbox
    [link] = set(re.findall(r"http://\S+/continue\?token=\S+", str(sent.body)))
    return conversation, sent, "/" + link.split("/", 3)[3]


def test_who_has_left_is_mailed_what_was_said_once(answered: Any, acme: Character) -> None:
    conversation, sent, _ = answered
    assert (sent.to, sent.subject) == (["vic@example.org"], "Acme Admin has answered you")
    assert "It comes on Monday." in sent.body
    with tenant_context(acme.company):
        jobs.mail_visitor(conversation.pk)
    assert len(mail.outbox) == 1


def test_who_is_there_is_not_mailed(talk: Any, acme: Character) -> None:
    _, conversation, client = talk
    take_conversation(actor=acme.principal, conversation_id=conversation.pk)
    client.get(f"/api/v1/conversation/{conversation.pk}/messages")  # polls: a sign of life
    send_as_person(actor=acme.principal, conversation_id=conversation.pk, text="It comes on Monday.")
    jobs.mail_visitor(conversation.pk)
    assert mail.outbox == []


def test_the_link_goes_on_with_this_conversation(answered: Any, acme: Character) -> None:
    conversation, _, link = answered
    browser = Client()
    opened = browser.get(link)
    assert (opened.status_code, opened.headers["Location"]) == (302, "/continue")  # the token stays nowhere
    page = browser.get("/continue")
    assert "It comes on Monday." in page.content.decode()
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert browser.post("/continue", {"message": SCRIPT}).status_code == 302
    shown = browser.get("/continue").content.decode()
    assert ("&lt;script&gt;" in shown, "<script>alert" in shown) == (True, False)
    with tenant_context(acme.company):
        written = Message.objects.get(content=SCRIPT)
        assert (written.conversation_id, written.role) == (conversation.pk, "user")
        assert not Message.objects.filter(reply_to=written).exists()  # a person has it
    assert Client().get("/continue").status_code == 404  # another browser has not opened the link
    assert browser.get("/home").status_code == 302  # and this one is signed in nowhere


def test_the_page_tells_the_person_that_the_visitor_writes(answered: Any, acme: Character) -> None:
    conversation, _, link = answered
    browser = Client()
    assert browser.post("/continue/typing").status_code == 404
    browser.get(link)
    assert 'data-typing="/continue/typing"' in browser.get("/continue").content.decode()
    key = streams.inbox_key(acme.company.schema_name)
    with sync_redis().pubsub() as channel:  # type: ignore[no-untyped-call]  # of redis
        channel.subscribe(key)
        channel.get_message(timeout=2)
        assert (browser.post("/continue/typing").status_code, browser.get("/continue/typing").status_code) == (204, 405)
        said = channel.get_message(timeout=5)
    writing = {"conversation_id": str(conversation.pk), "author": {"kind": "visitor", "name": None}, "is_typing": True}
    assert streams.parse_told(said["data"]) == streams.Event("", "chat_typing", writing)
    with tenant_context(acme.company):
        hand_back(actor=acme.principal, conversation_id=conversation.pk)
    assert "data-typing" not in browser.get("/continue").content.decode()
    with tenant_context(acme.company):
        Lead.objects.update(archived_at="2026-01-01T00:00Z")
    assert browser.post("/continue/typing").status_code == 404


@pytest.mark.parametrize("fault", ["forged", "old", "archived lead", "archived conversation", "foreign schema"])
def test_a_link_that_is_no_good(
    answered: Any, acme: Character, globex: Character, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation, _, link = answered
    if fault == "forged":
        link = link[:-4] + "AAAA"
    if fault == "old":
        monkeypatch.setattr("conversations.reply_links.SECONDS", -1)
    if fault == "foreign schema":
        link = reply_link(globex.company.schema_name, conversation.pk)
    with tenant_context(acme.company):
        if fault == "archived lead":
            Lead.objects.update(archived_at="2026-01-01T00:00Z")
        if fault == "archived conversation":
            Conversation.objects.update(archived_at="2026-01-01T00:00Z")
    answer = Client().get(link, follow=True)
    assert answer.status_code == 404
    assert b"It comes on Monday" not in answer.content


def test_notes_are_on_no_page_of_the_visitor(answered: Any, acme: Character) -> None:
    conversation, _, link = answered
    with tenant_context(acme.company):
        add_note(actor=acme.principal, conversation_id=conversation.pk, text="Canary")
    browser = Client()
    assert b"Canary" not in browser.get(link, follow=True).content
    assert bearer(acme).get(f"/api/v1/conversation/{conversation.pk}/notes").json()["notes"][0]["text"] == "Canary"
    assert "Canary" not in json.dumps(bearer(acme).get(f"/api/v1/conversation/{conversation.pk}/messages").json())


def test_the_rules_are_edited_on_the_agents_page(acme: Character, acme_client: Within) -> None:
    path = f"/agents/{acme.agent.pk}/edit"
    form = dict(re.findall(r'name="([\w-]+)"[^>]*value="([^"]*)"', acme_client.get(path).content.decode()))
    form |= {"name": "Acme helper", "status": "active", "provider": "builtin", "answer_length": "balanced"}
    form |= {"model": str(acme.agent.llm_settings.llm_model_id), "timezone": "UTC", "outside": "answer"}
    form.pop("has_hours", None)
    form |= {"handover_phrases": "human please\n\n agent \n", "handover_unanswered": "2", "handover_wait": "9"}
    for name in ("no_handover", "handover_on_guardrail", "then"):
        form.pop(name, None)
    assert acme_client.post(path, form).status_code == 302
    acme.agent.refresh_from_db()
    assert acme.agent.draft is not None
    assert acme.agent.draft["handover"] == {
        "is_offered": True, "on_guardrail": False, "phrases": ["human please", "agent"], "unanswered": 2,
        "bad_ratings": 0, "wait_minutes": 9,
    }  # fmt: skip
    shown = acme_client.get(path).content.decode()
    assert "human please\nagent</textarea>" in shown
    assert acme_client.post(path, {**form, "handover_wait": "0"}).status_code == 200
