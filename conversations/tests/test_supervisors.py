"""Supervisors: who answers, why, under whose guardrails; and what cannot be made a specialist."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from agents.drafts import roll_back_agent
from agents.exceptions import VersionUnchangedError
from agents.models import Agent
from agents.services import clone_agent, create_agent, create_settings, update_agent
from agents.versions import get_version
from conftest import Character
from conversations import streams, turn
from conversations.engine.routing import named_in, routing_request
from conversations.models import Conversation, Guardrail, Message
from conversations.replays import answer_again
from conversations.selectors import get_answer
from conversations.services import create_conversation, start_turn
from conversations.tests.test_guarded_turns import teach
from knowrithm.errors import InvalidInputError
from knowrithm.tests.providers import OpenAIServer
from knowrithm.tests.providers.server import count_words

PUMPS, HOTEL = (
    "The warranty of the X200 pump lasts 37 months.",
    "Breakfast in the hotel is served from 7 to 10 o'clock.",
)
ABOUT_PUMPS, ABOUT_HOTEL = "Questions on pumps and their warranty.", "Rooms, breakfast and other matters of the hotel."
ASK_PUMPS, ASK_HOTEL = "How long does the warranty of the X200 pump last?", "When is breakfast served in the hotel?"


@pytest.fixture(scope="module", autouse=True)
def loaded_sdk() -> None:
    """On a busy machine loading it takes longer than a test's lease, whose row no other connection sees."""
    import_module("openai")


@pytest.fixture
def pumps(in_acme: Character) -> Agent:
    agent = create_agent(actor=in_acme.principal, name="Pumps", description=ABOUT_PUMPS)
    teach(agent, PUMPS)
    return agent


@pytest.fixture
def hotel(in_acme: Character) -> Agent:
    agent = create_agent(actor=in_acme.principal, name="Hotel")
    teach(agent, HOTEL)
    return agent


@pytest.fixture
def conversation(in_acme: Character, pumps: Agent, hotel: Agent) -> Conversation:
    """With acme's agent, which has no documents and is a supervisor of the two."""
    supervise(in_acme, pumps, hotel)
    return create_conversation(actor=in_acme.principal, agent=in_acme.agent)


def supervise(who: Character, *specialists: Agent) -> None:
    about = {"Hotel": ABOUT_HOTEL}
    listed = [{"agent_id": str(one.pk), "description": about.get(one.name, "")} for one in specialists]
    update_agent(actor=who.principal, agent=who.agent, changes={"specialists": listed})


def ask(who: Character, conversation: Conversation, text: str) -> Message:
    started = start_turn(actor=who.principal, conversation_id=conversation.id, text=text)
    turn.run(started.reply.id)
    return Message.objects.get(pk=started.reply.pk)


def test_each_question_goes_to_the_agent_that_it_is_for(
    in_acme: Character, conversation: Conversation, pumps: Agent, hotel: Agent
) -> None:
    update_agent(actor=in_acme.principal, agent=pumps, changes={"welcome_text": "Hello."})

    first = ask(in_acme, conversation, ASK_PUMPS)
    other = ask(in_acme, conversation, ASK_HOTEL)

    assert (first.answered_by, first.agent_version, PUMPS in first.content) == (pumps, 2, True)
    assert (other.answered_by, other.agent_version, HOTEL in other.content) == (hotel, 1, True)
    route = first.trace["route"]
    assert (route["agent"], route["how"], len(route["considered"])) == ("Pumps", "similarity", 2)
    assert route["reason"].startswith("The question is nearest to what Pumps is for")
    assert "routing" in first.timings


def test_a_follow_up_stays_where_the_question_before_was_answered(
    in_acme: Character, conversation: Conversation, pumps: Agent
) -> None:
    ask(in_acme, conversation, ASK_PUMPS)
    reply = ask(in_acme, conversation, "And from when?")
    assert (reply.answered_by, reply.trace["route"]["how"]) == (pumps, "follow_up")


@pytest.fixture
def model(in_acme: Character, conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """That of the supervisor. The specialists quote."""
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    with OpenAIServer(reply="2") as running:
        choices = {
            "llm_provider": "openai",
            "llm_model": "gpt-4o-mini",
            "llm_api_key": "sk-test",
            "llm_api_base_url": running.base_url,
        }
        update_agent(actor=in_acme.principal, agent=in_acme.agent, changes={}, choices=choices)
        yield running


def test_a_model_names_one_of_the_list(
    in_acme: Character, conversation: Conversation, hotel: Agent, model: OpenAIServer
) -> None:
    reply = ask(in_acme, conversation, ASK_HOTEL)

    assert (reply.answered_by, reply.trace["route"]["how"]) == (hotel, "model")
    [request] = model.requests
    assert f"2. Hotel: {ABOUT_HOTEL}" in request.json["messages"][0]["content"]
    assert (request.json["temperature"], HOTEL in reply.content) == (0, True)


def test_what_asking_for_a_specialist_took_is_part_of_the_answers_figures(
    in_acme: Character, conversation: Conversation, model: OpenAIServer
) -> None:
    hotel = Agent.objects.get(name="Hotel")
    alone = ask(in_acme, create_conversation(actor=in_acme.principal, agent=hotel), ASK_HOTEL)
    reply = ask(in_acme, conversation, ASK_HOTEL)
    read = count_words(model.requests[0].json["messages"])
    assert (reply.input_tokens - alone.input_tokens, reply.output_tokens - alone.output_tokens) == (read, 1)
    assert alone.cost == 0, "the specialist's model is free"
    cost = ((read * Decimal("0.15") + Decimal("0.6")) / 1_000_000).quantize(Decimal("1e-8"))
    assert (reply.cost, reply.cost_currency) == (cost, "USD")
    assert (reply.trace["route"]["tokens"], Decimal(reply.trace["route"]["cost"])) == (read + 1, cost)
    conversation.refresh_from_db()
    assert conversation.total_tokens == reply.input_tokens + reply.output_tokens

    unanswered = ask(in_acme, conversation, "Who won the football world cup in 1998?")
    assert (unanswered.is_refusal, unanswered.input_tokens > 0, unanswered.cost is None) == (True, True, False)


def test_both_models_are_paid_for(in_acme: Character, conversation: Conversation, model: OpenAIServer) -> None:
    hotel = Agent.objects.get(name="Hotel")
    model.reply = lambda request: "2" if "You decide which agent" in str(request) else "From 7 [Source 1]."
    choices = {
        "llm_provider": "openai", "llm_model": "gpt-4o-mini", "llm_api_key": "sk-test",
        "llm_api_base_url": model.base_url,
    }  # fmt: skip
    update_agent(actor=in_acme.principal, agent=hotel, changes={}, choices=choices)

    reply = ask(in_acme, conversation, ASK_HOTEL)

    asked, answered = (count_words(request.json["messages"]) for request in model.requests)
    assert (reply.content, reply.input_tokens) == ("From 7 [Source 1].", asked + answered)
    tokens = reply.input_tokens * Decimal("0.15") + reply.output_tokens * Decimal("0.6")
    assert reply.cost == (tokens / 1_000_000).quantize(Decimal("1e-8"))


def test_an_answer_that_is_stopped_while_its_specialist_is_looked_for_ends_there(
    in_acme: Character, conversation: Conversation, model: OpenAIServer
) -> None:
    started = start_turn(actor=in_acme.principal, conversation_id=conversation.id, text=ASK_HOTEL)

    def stopped(_: Any) -> str:
        streams.ask_to_stop(in_acme.company.schema_name, started.reply.pk)
        return "2 " * 60

    model.reply, model.token_delay = stopped, 0.05
    turn.run(started.reply.id)
    reply = Message.objects.get(pk=started.reply.pk)
    assert (reply.status, reply.error_code, reply.answered_by) == ("failed", "STOPPED", None)


@pytest.mark.parametrize("said", ["3", "Hotel", "1 or 2", "ffffffff-ffff-4fff-8fff-ffffffffffff", "0"])
def test_a_model_that_names_anything_else_leaves_it_to_similarity(
    in_acme: Character, conversation: Conversation, pumps: Agent, model: OpenAIServer, said: str
) -> None:
    model.reply = said
    reply = ask(in_acme, conversation, ASK_PUMPS)
    assert (reply.answered_by, reply.trace["route"]["how"]) == (pumps, "similarity")
    assert reply.trace["route"]["reason"].endswith("The model named none of the list.")


def test_a_model_that_fails_leaves_it_to_similarity(
    in_acme: Character, conversation: Conversation, pumps: Agent, model: OpenAIServer
) -> None:
    model.fail(401)
    reply = ask(in_acme, conversation, ASK_PUMPS)
    assert (reply.answered_by, reply.trace["route"]["how"]) == (pumps, "similarity")


def test_archived_and_inactive_specialists_are_passed_over(
    in_acme: Character, conversation: Conversation, pumps: Agent, hotel: Agent
) -> None:
    Agent.objects.filter(pk=pumps.pk).update(archived_at=timezone.now())
    only = ask(in_acme, conversation, ASK_PUMPS)
    assert (only.answered_by, only.trace["route"]["how"], only.is_refusal) == (hotel, "only", True)

    Agent.objects.filter(pk=hotel.pk).update(status="inactive")
    alone = ask(in_acme, conversation, ASK_HOTEL)
    assert (alone.answered_by, alone.trace["route"]["how"]) == (None, "none")


def test_the_specialists_guardrails_hold_beside_the_supervisors(
    in_acme: Character, conversation: Conversation, pumps: Agent
) -> None:
    rule = {"kind": "words", "action": "refuse", "on": "input", "threshold": 1}
    Guardrail.objects.create(
        name="Of the pumps",
        agent_ids=[pumps.pk],
        refusal_text="Not about that.",
        rules=[{**rule, "name": "No warranty", "values": ["warranty"]}],
    )
    reply = ask(in_acme, conversation, ASK_PUMPS)
    assert (reply.content, reply.is_blocked, reply.answered_by) == ("Not about that.", True, pumps)
    assert [decision.rule for decision in reply.decisions.all()] == ["No warranty"]


def test_what_a_specialists_guardrail_masks_the_model_never_reads_and_a_replay_neither(
    in_acme: Character, conversation: Conversation, pumps: Agent
) -> None:
    rule = {"name": "Names", "kind": "words", "action": "mask", "on": "input", "values": ["Ada Lovelace"]}
    Guardrail.objects.create(name="Of the pumps", agent_ids=[pumps.pk], rules=[{**rule, "threshold": 1}])
    reply = ask(in_acme, conversation, f"I am Ada Lovelace. {ASK_PUMPS}")

    assert (reply.answered_by, PUMPS in reply.content) == (pumps, True)
    assert "Lovelace" not in str(reply.trace)
    for inputs in ("then", "now"):
        again = answer_again(get_answer(in_acme.principal, reply.pk), inputs)["replayed"]
        assert (again["content"], again["is_same_prompt"]) == (reply.content, True)


def test_nobody_can_be_made_a_specialist_who_would_go_round_in_a_circle_or_is_not_there(
    in_acme: Character, conversation: Conversation, pumps: Agent, unknown_id: uuid.UUID
) -> None:
    boss = in_acme.agent

    def name(agent: Agent, *ids: Any) -> None:
        update_agent(
            actor=in_acme.principal, agent=agent, changes={"specialists": [{"agent_id": str(one)} for one in ids]}
        )

    for agent, ids in (
        (boss, []),
        (boss, [boss.pk]),
        (boss, [unknown_id]),
        (boss, [pumps.pk, pumps.pk]),
        (pumps, [boss.pk]),  # a supervisor
        (pumps, [create_agent(actor=in_acme.principal, name="Other").pk]),  # is a specialist itself
    ):
        with pytest.raises(InvalidInputError):
            name(agent, *ids)
        agent.refresh_from_db()


def test_a_foreign_agent_is_an_unknown_one(globex_api: APIClient, in_acme: Character, globex: Character) -> None:
    listed = [{"agent_id": str(in_acme.agent.pk), "description": "Theirs."}]
    answer = globex_api.put(f"/api/v1/agent/{globex.agent.pk}", {"specialists": listed}, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["specialists"]


def test_the_api_shows_and_takes_specialists(acme_api: APIClient, in_acme: Character, pumps: Agent) -> None:
    path = f"/api/v1/agent/{in_acme.agent.pk}"
    listed = [{"agent_id": str(pumps.pk), "description": "Pumps."}]

    made = acme_api.put(path, {"specialists": listed, "suggests_follow_ups": False}, format="json").json()["agent"]
    assert (made["kind"], made["suggests_follow_ups"]) == ("supervisor", False)
    assert made["specialists"] == [{**listed[0], "name": "Pumps"}]

    back = acme_api.put(path, {"specialists": None, "suggests_follow_ups": None}, format="json").json()["agent"]
    assert (back["kind"], back["specialists"], back["suggests_follow_ups"]) == ("agent", None, None)


def test_specialists_are_drafted_and_rolled_back(
    acme_api: APIClient, in_acme: Character, conversation: Conversation, pumps: Agent, hotel: Agent
) -> None:
    agent = Agent.objects.with_settings().get(pk=in_acme.agent.pk)
    version = agent.version
    update_agent(actor=in_acme.principal, agent=agent, changes={"specialists": None})
    Agent.objects.filter(pk=pumps.pk).update(archived_at=timezone.now())

    roll_back_agent(actor=in_acme.principal, agent=agent, version=get_version(agent, version))

    agent.refresh_from_db()
    assert [one["name"] for one in agent.specialists or []] == ["Hotel"]


def test_the_editor_makes_a_supervisor(acme_client: Client, in_acme: Character, pumps: Agent, hotel: Agent) -> None:
    path = f"/agents/{in_acme.agent.pk}/edit"
    model = in_acme.agent.llm_settings.llm_model_id
    form = {
        "name": "Boss", "status": "active", "provider": "builtin", "model": str(model), "temperature": "0.7",
        "max_tokens": "1000", "answer_length": "balanced", "is_supervisor": "on", "suggests_follow_ups": "on",
        f"specialist_{hotel.pk}": "on", f"about_{hotel.pk}": ABOUT_HOTEL, "then": "publish",
    }  # fmt: skip

    assert acme_client.post(path, {**form, f"specialist_{hotel.pk}": ""}).status_code == 200  # nobody chosen
    assert acme_client.post(path, form).status_code == 302

    with tenant_context(in_acme.company):
        agent = Agent.objects.get(pk=in_acme.agent.pk)
    assert agent.specialists == [{"agent_id": str(hotel.pk), "name": "Hotel", "description": ABOUT_HOTEL}]
    assert agent.suggests_follow_ups is True
    page = acme_client.get(path).content.decode()
    assert page.count(ABOUT_HOTEL) == 1


def test_what_a_routing_model_says_is_read_strictly() -> None:
    assert [named_in(said, 3) for said in ("2", " 3.\n", "[1]", "4", "0", "", "two", "1 2", "²")] == [
        1, 2, 0, None, None, None, None, None, None,
    ]  # fmt: skip
    request = routing_request([("A\nIgnore", "x\ny")], "Q" * 5000)
    assert "1. A Ignore: x y" in request.messages[0].content
    assert request.messages[1].content.count("Q") == 2000


def test_a_copy_with_its_knowledge_is_guarded_like_the_original(in_acme: Character) -> None:
    row = Guardrail.objects.create(name="Of acme", agent_ids=[in_acme.agent.pk])
    bare = clone_agent(actor=in_acme.principal, agent=in_acme.agent, name="Bare")
    full = clone_agent(actor=in_acme.principal, agent=in_acme.agent, name="Full", with_knowledge=True)
    row.refresh_from_db()
    assert (full.pk in row.agent_ids, bare.pk in row.agent_ids) == (True, False)


def test_a_version_brings_the_order_of_fallbacks_back(in_acme: Character) -> None:
    who, agent = in_acme.principal, in_acme.agent
    first, second = (create_settings(actor=who, choices={"name": name}) for name in ("First", "Second"))
    update_agent(actor=who, agent=agent, changes={}, choices={"fallback_models": [first.pk, second.pk]})
    version = agent.version
    update_agent(actor=who, agent=agent, changes={}, choices={"fallback_models": [second.pk], "fallback_after": 9})
    assert agent.version == version + 1

    roll_back_agent(actor=who, agent=agent, version=get_version(agent, version))

    agent = Agent.objects.with_settings().get(pk=agent.pk)
    assert (agent.llm_settings.fallback_ids, agent.llm_settings.fallback_after) == ([first.pk, second.pk], 2.5)
    with pytest.raises(VersionUnchangedError):
        roll_back_agent(actor=who, agent=agent, version=get_version(agent, agent.version))
