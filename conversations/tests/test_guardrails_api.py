"""Guardrails and the direct chat through the API, and the pages about them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from agents.services import archive_agent, create_agent
from conftest import Character, key_client, page_client
from conversations.engine.guardrails import THRESHOLD
from conversations.models import Citation, Conversation, Guardrail, GuardrailDecision, Message
from conversations.records import direct_answer
from conversations.services import create_conversation, start_turn
from documents.services import create_dataset
from tenants.models import ApiKey, User
from tenants.services import create_api_key

WORDS = {"name": "No lawsuits", "kind": "words", "action": "refuse", "on": "input", "values": ["lawsuit"]}
MAIL = {"name": "Addresses", "kind": "personal", "action": "mask", "on": "both", "values": ["email"]}


def made(api: APIClient, **fields: Any) -> dict[str, Any]:
    answer = api.post("/api/v1/guardrail", {"name": "Shop", **fields}, format="json")
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()["guardrail"]
    return found


def test_a_guardrail_is_made_changed_tried_and_deleted(acme_api: APIClient, acme: Character) -> None:
    record = made(acme_api, agent_ids=[str(acme.agent.id)], rules=[WORDS, MAIL], refusal_text="Not here.")
    path = f"/api/v1/guardrail/{record['id']}"
    assert [(rule["name"], rule["threshold"]) for rule in record["rules"]] == [
        ("No lawsuits", THRESHOLD),
        ("Addresses", THRESHOLD),
    ]

    trial = acme_api.post(f"{path}/try", {"text": "A lawsuit by bob@example.org"}, format="json").json()["trial"]
    assert (trial["text"], trial["is_refused"]) == ("Not here.", True)
    made_decisions = [(one["rule"], one["action"], one["excerpt"]) for one in trial["decisions"]]
    masked = "A lawsuit by [e-mail address removed]"
    assert made_decisions == [("No lawsuits", "refuse", masked), ("Addresses", "mask", masked)]

    changed = acme_api.patch(path, {"rules": [MAIL]}, format="json").json()["guardrail"]
    assert (changed["refusal_text"], len(changed["rules"])) == ("Not here.", 1)
    body = {"text": "Ask bob@example.org or [us](https://evil.example)", "stage": "output"}
    trial = acme_api.post(f"{path}/try", body, format="json").json()["trial"]
    assert trial["text"] == "Ask [e-mail address removed] or us (`https://evil.example`)"
    assert trial["removed"] == ["A link to evil.example was shown as text."]

    assert acme_api.delete(path).status_code == 200
    assert acme_api.get(path).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rules": [{**WORDS, "values": []}]}, "needs at least one line"),
        ({"rules": [{**WORDS, "kind": "pattern", "values": ["(a"]}]}, "cannot be used"),
        ({"rules": [{**WORDS, "kind": "pattern", "values": ["a*"]}]}, "fits the empty text"),
        ({"rules": [{**WORDS, "kind": "pattern", "values": [r"(a)\1"]}]}, "cannot be used"),
        ({"rules": [{**WORDS, "kind": "personal", "values": ["shoe size"]}]}, "there are email, phone"),
        ({"rules": [{**WORDS, "kind": "topic", "action": "mask"}]}, "not masked"),
        ({"rules": [{**MAIL, "action": "allow", "on": "input"}]}, "allows"),
        ({"rules": [{**WORDS, "values": ["\u200b\u200d"]}]}, "can be seen"),
        ({"rules": [WORDS] * 51}, "50"),
        ({"rules": [{**WORDS, "kind": "jokes"}]}, "not a valid choice"),
        ({"link_hosts": ["https://a.example/x"]}, "not the name of a host"),
        ({"dataset_ids": ["5"]}, "valid UUID"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(acme_api: APIClient, fields: dict[str, Any], said: str) -> None:
    answer = acme_api.post("/api/v1/guardrail", {"name": "Shop", **fields}, format="json")
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert len(answer.json()["errors"]) == 1


def test_only_the_companys_own_can_be_linked(acme_api: APIClient, globex: Character) -> None:
    with tenant_context(globex.company):
        dataset = create_dataset(actor=globex.principal, name="theirs")
    key = create_api_key(actor=globex.principal, name="theirs").row
    foreign = {"agent_ids": globex.agent.id, "dataset_ids": dataset.id, "api_key_ids": key.id}
    for name, value in foreign.items():
        answer = acme_api.post("/api/v1/guardrail", {"name": "Shop", name: [str(value)]}, format="json")
        assert answer.status_code == 404, name


def test_names_are_taken_once(acme_api: APIClient) -> None:
    made(acme_api)
    answer = acme_api.post("/api/v1/guardrail", {"name": " shop "}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "GUARDRAIL_EXISTS")


def test_a_key_that_is_bound_does_not_loosen_its_guardrail(acme: Character, acme_api: APIClient) -> None:
    client = key_client(acme, "read", "write", "admin")
    key = ApiKey.objects.filter(company=acme.company).latest("created_at")
    record = made(acme_api, api_key_ids=[str(key.id)])
    answer = client.patch(f"/api/v1/guardrail/{record['id']}", {"is_active": False}, format="json")
    assert answer.status_code == 403
    assert client.delete(f"/api/v1/guardrail/{record['id']}").status_code == 403
    assert key_client(acme, "read", "write").post("/api/v1/guardrail", {"name": "x"}).status_code == 403


@pytest.mark.parametrize("count", [1, 3])
def test_the_lists_cost_the_same_however_long(
    acme_api: APIClient, acme: Character, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with tenant_context(acme.company):
        conversation = create_conversation(actor=acme.principal, agent=acme.agent)
        reply = Message.objects.create(conversation=conversation, position=1, role="assistant")
        for number in range(count):
            row = Guardrail.objects.create(name=f"rules {number}")
            GuardrailDecision.objects.create(
                guardrail=row,
                guardrail_name=row.name,
                message=reply,
                stage="input",
                action="mask",
                rule="r",
                kind="words",
            )
    for name in ("", "/decisions"):
        with django_assert_num_queries(3):
            answer = acme_api.get(f"/api/v1/guardrail{name}").json()
        assert len(answer["items"]) == count


def test_decisions_are_found_by_filters(acme_api: APIClient, acme: Character) -> None:
    with tenant_context(acme.company):
        conversation = create_conversation(actor=acme.principal, agent=acme.agent)
        row = Guardrail.objects.create(name="Mask", applies_to_all=True, rules=[MAIL])
        started = start_turn(actor=acme.principal, conversation_id=conversation.id, text="I am bob@example.org")
    url = "/api/v1/guardrail/decisions"
    [decision] = acme_api.get(url, {"guardrail_id": str(row.id), "stage": "input", "search": "addr"}).json()[
        "decisions"
    ]
    assert (decision["message_id"], decision["excerpt"]) == (str(started.reply.id), "I am [e-mail address removed]")
    assert acme_api.get(url, {"action": "refuse"}).json()["decisions"] == []
    assert acme_api.get(url, {"agent_id": "x"}).status_code == 400


# --- The direct chat ----------------------------------------------------------------------------------------------


def asked(who: Character, **fields: Any) -> dict[str, Any]:
    return {"bot_id": str(who.agent.id), "messages": [{"role": "user", "content": "Hello?"}], **fields}


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": []},
        {"messages": [{"role": "assistant", "content": "x"}]},
        {"messages": [{"role": "system", "content": "obey"}, {"role": "user", "content": "x"}]},
        {"messages": [{"role": "user", "content": " "}]},
        {"messages": [{"role": "user", "content": "x" * 16_001}]},
        {"messages": "hello"},
        {"bot_id": None},
        {"bot_id": "bot"},
        {"session_id": "my-session"},
        {"metadata": []},
        {"stream": "perhaps"},
    ],
)
def test_a_direct_chat_that_makes_no_sense(acme_api: APIClient, acme: Character, fields: dict[str, Any]) -> None:
    assert acme_api.post("/v1/chat", asked(acme, **fields), format="json").status_code == 400
    with tenant_context(acme.company):
        assert Conversation.objects.count() == 0


def test_a_direct_chat_says_where_instructions_belong(acme_api: APIClient, acme: Character) -> None:
    sent = asked(acme, messages=[{"role": "system", "content": "obey"}, {"role": "user", "content": "x"}])
    said = acme_api.post("/v1/chat", sent, format="json").json()["message"]
    assert said == (
        "messages: 0: role: The role “system” cannot be sent, only “user” and “assistant”. What an agent is to keep to "
        "stands in its own settings."
    )


def test_without_somebody_who_waits_it_is_answered_by_a_task(acme: Character) -> None:
    client = key_client(acme, "write")
    answer = client.post("/v1/chat", asked(acme, metadata={"page": "/x"}), format="json")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    session = answer.json()["session_id"]
    again = client.post("/v1/chat", asked(acme, session_id=session), format="json")
    assert again.json()["session_id"] == session
    assert client.post("/v1/chat", asked(acme, session_id=str(uuid.uuid4())), format="json").status_code == 404
    with tenant_context(acme.company):
        conversation = Conversation.objects.get()
        assert (conversation.metadata, conversation.message_count) == ({"page": "/x"}, 4)
        assert conversation.api_key_id is not None


def test_what_a_direct_chat_answers(acme: Character) -> None:
    """That it is answered: knowrithm/tests/flows/test_direct_chat.py."""
    with tenant_context(acme.company):
        conversation = create_conversation(actor=acme.principal, agent=acme.agent, metadata={"page": "/x"})
        reply = Message.objects.create(
            conversation=conversation, position=2, role="assistant", content="So [Source 1].", model_used="m",
            input_tokens=3, output_tokens=4,
        )  # fmt: skip
        for number, quote in ((1, "So."), (2, "")):
            Citation.objects.create(
                message=reply, number=number, document_name="a.txt", content="So. And so on.", quote=quote, score=0.5,
                evidence=1, is_cited=number == 1,
            )  # fmt: skip
        answer = direct_answer(reply)
    [citation] = answer.pop("citations")
    assert (citation["document_title"], citation["content"], citation["score"]) == ("a.txt", "So.", 0.5)
    assert answer == {
        "session_id": str(conversation.id),
        "message": {"role": "assistant", "content": "So [Source 1]."},
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        "metadata": {
            "page": "/x", "message_id": str(reply.id), "model_used": "m", "is_refusal": False, "is_blocked": False,
            "suggestions": [],
        },
    }  # fmt: skip


def test_health_says_when_and_which_version(db: None) -> None:
    answer = Client().get("/v1/health").json()
    assert {"status", "timestamp", "version", "database", "redis"} <= answer.keys()


# --- Pages --------------------------------------------------------------------------------------------------------

FORM = {"name": "Shop", "is_active": "on", "topic_embedder": "builtin", "rules-INITIAL_FORMS": "0"}


def rule_form(**fields: str) -> dict[str, Any]:
    values = {"name": "r", "kind": "words", "action": "refuse", "on": "input", "values_": "lawsuit\ncourt", **fields}
    return {"rules-TOTAL_FORMS": "1", **{f"rules-0-{name}": value for name, value in values.items()}}


def test_the_editor_saves_rules_and_shows_them_again(acme_client: Client, acme: Character) -> None:
    more = acme_client.post("/guardrails/new", {**FORM, **rule_form(), "add": "1"})
    assert "rules-1-name" in more.content.decode()
    saved = acme_client.post("/guardrails/new", {**FORM, **rule_form(), "agent_ids": [str(acme.agent.id)]})
    assert saved.status_code == 302
    with tenant_context(acme.company):
        row = Guardrail.objects.get()
        assert (row.agent_ids, row.dataset_ids, row.rules[0]["values"]) == ([acme.agent.id], None, ["lawsuit", "court"])
    page = acme_client.get(saved["Location"]).content.decode()
    assert "lawsuit\ncourt</textarea>" in page
    assert f"""method="post" action="{saved["Location"]}/try\"""" in page, "a text goes into no address without scripts"
    tried = acme_client.post(f"{saved['Location']}/try", {"text": "To court!", "stage": "input"}).content.decode()
    assert "<strong>Refused.</strong>" in tried
    assert "Shop" in acme_client.get("/guardrails").content.decode()


def test_the_editor_loses_no_rule_that_has_no_name(acme_client: Client, acme: Character) -> None:
    """Personal data needs no values: such a rule was dropped, and the page said that the guardrail held."""
    nameless = rule_form(name="", kind="personal", action="mask", values_="")
    assert acme_client.post("/guardrails/new", {**FORM, **nameless, "applies_to_all": "on"}).status_code == 302
    left_empty = {**FORM, **rule_form(name="", values_=""), "name": "Empty"}
    assert acme_client.post("/guardrails/new", left_empty).status_code == 302
    with tenant_context(acme.company):
        named = {one.name: [rule["name"] for rule in one.rules] for one in Guardrail.objects.all()}
    assert named == {FORM["name"]: ["Personal data"], "Empty": []}


def test_the_editor_offers_by_name_what_is_looked_for(acme_client: Client, acme: Character) -> None:
    form = {**FORM, **rule_form(kind="personal", action="mask"), "rules-0-personal": ["email", "card"]}
    saved = acme_client.post("/guardrails/new", form)
    with tenant_context(acme.company):
        assert Guardrail.objects.get().rules[0]["values"] == ["email", "card"]  # the lines are of other kinds
    [rule] = acme_client.get(saved["Location"]).context["rules"]
    assert (rule["personal"].value(), rule["values_"].value()) == (["email", "card"], None)
    wrong = acme_client.post("/guardrails/new", {**form, "rules-0-personal": ["shoe_size"]})
    assert list(wrong.context["rules"][0].errors) == ["personal"]


def test_the_editor_removes_only_what_is_there(acme_client: Client, acme: Character) -> None:
    assert "Remove this rule" not in acme_client.get("/guardrails/new").content.decode()
    saved = acme_client.post("/guardrails/new", {**FORM, **rule_form()})
    assert acme_client.get(saved["Location"]).content.decode().count("Remove this rule") == 1
    more = acme_client.post(saved["Location"], {**FORM, **rule_form(), "add": "1"})
    assert more.content.decode().count("Remove this rule") == 1
    acme_client.post(saved["Location"], {**FORM, **rule_form(remove="on")})
    with tenant_context(acme.company):
        assert Guardrail.objects.get().rules == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "It does nothing yet"),
        ({"is_limited": "on"}, "It holds from"),
        ({"allows_own_documents": ""}, "It holds from"),
        ({"link_hosts": "docs.example.com"}, "It holds from"),
        ({"rules-0-name": "r", "rules-0-values_": "court"}, "It holds from"),
    ],
)
def test_the_editor_says_whether_a_guardrail_does_anything(
    acme_client: Client, fields: dict[str, str], told: str
) -> None:
    empty = {**FORM, **rule_form(name="", values_=""), "applies_to_all": "on", "allows_own_documents": "on"}
    form = {name: value for name, value in {**empty, **fields}.items() if value}
    [said] = acme_client.post("/guardrails/new", form, follow=True).context["messages"]
    assert str(said).partition(". ")[2].startswith(told)


def test_the_editor_keeps_what_was_linked_and_is_archived(acme_client: Client, acme: Character) -> None:
    """It does not offer that, so it has not been taken away: the agent that comes back is guarded as before."""
    with tenant_context(acme.company):
        gone = create_agent(actor=acme.principal, name="Gone for now")
    saved = acme_client.post("/guardrails/new", {**FORM, **rule_form(), "agent_ids": [str(gone.id)]})
    with tenant_context(acme.company):
        archive_agent(actor=acme.principal, agent=gone)

    acme_client.post(saved["Location"], {**FORM, **rule_form(), "name": "Store", "agent_ids": [str(acme.agent.id)]})

    with tenant_context(acme.company):
        row = Guardrail.objects.get()
        assert (row.name, set(row.agent_ids)) == ("Store", {gone.id, acme.agent.id})


def test_the_editor_says_what_is_wrong_with_a_rule(acme_client: Client) -> None:
    answer = acme_client.post("/guardrails/new", {**FORM, **rule_form(kind="pattern", values_="(a")})
    assert (answer.status_code, "cannot be used" in answer.content.decode()) == (200, True)


@pytest.mark.parametrize(("where", "told"), [({}, "It holds nowhere yet"), ({"applies_to_all": "on"}, "It holds from")])
def test_the_editor_says_where_a_guardrail_holds(acme_client: Client, where: dict[str, str], told: str) -> None:
    saved = acme_client.post("/guardrails/new", {**FORM, **rule_form(), **where}, follow=True)
    [said] = saved.context["messages"]
    assert str(said).partition(". ")[2].startswith(told)


def test_the_log_shows_a_decision_with_its_rule(acme_client: Client, acme: Character) -> None:
    with tenant_context(acme.company):
        Guardrail.objects.create(name="Law", applies_to_all=True, rules=[WORDS])
        conversation = create_conversation(actor=acme.principal, agent=acme.agent)
        start_turn(actor=acme.principal, conversation_id=conversation.id, text="About a <lawsuit>.")
    page = acme_client.get("/guardrails/decisions", {"stage": "input"}).content.decode()
    assert "No lawsuits" in page
    assert "About a &lt;lawsuit&gt;." in page
    chat = acme_client.get(f"/agents/{acme.agent.id}/chat", {"conversation": str(conversation.id)}).content.decode()
    assert "<strong>No lawsuits</strong> refused the question" in chat


def test_the_pages_are_for_admins(acme: Character) -> None:
    User.objects.filter(pk=acme.admin.pk).update(role="user")
    client = page_client(acme)
    for path in ("/guardrails", "/guardrails/new", "/guardrails/decisions"):
        assert client.get(path).status_code == 403
