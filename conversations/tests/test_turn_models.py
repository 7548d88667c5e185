"""Models that fail, each in its own way, and the ones that answer instead; all through the providers' own SDKs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from agents.models import LLMSettings
from agents.services import create_settings, update_agent
from conftest import Character
from conversations import turn
from conversations.models import Conversation, Message
from conversations.records import message_record, task_result
from conversations.services import create_conversation, start_turn
from conversations.tests.test_turn import TEXTS
from conversations.wording import ENGLISH
from documents.chunks import replace_chunks
from documents.ingestion.base import Chunk
from documents.models import Document
from documents.services import set_reranker
from knowrithm import circuits
from knowrithm.db.redis import sync_redis
from knowrithm.jobs import read_task
from knowrithm.llm import fallback
from knowrithm.llm.base import ChatMessage, ChatRequest, ProviderConfig, ProviderError
from knowrithm.llm.registry import embedder
from knowrithm.tests.providers import AnthropicServer, GoogleServer, OpenAIServer, RerankServer
from leads.models import Lead

Server = OpenAIServer | AnthropicServer | GoogleServer
KEY = "sk-secret-0123456789"
QUESTION = "How long does the warranty of the X200 pump last?"
REPLY = "It lasts 37 months [Source 1]."
KINDS: dict[str, tuple[type[Server], str]] = {
    "openai": (OpenAIServer, "gpt-4o-mini"),
    "anthropic": (AnthropicServer, "claude-haiku-4-5"),
    "google": (GoogleServer, "gemini-2.5-flash"),
}


@pytest.fixture
def taught(in_acme: Character, monkeypatch: pytest.MonkeyPatch) -> Character:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    document = Document.objects.create(
        agent=in_acme.agent, original_filename="manual.txt", document_type="txt", status="processed"
    )
    model = embedder(ProviderConfig(provider="builtin", model="all-MiniLM-L6-v2"))
    chunk = Chunk(0, TEXTS[0], {"type": "lines", "start": 1, "end": 1}, word_count=14)
    replace_chunks(document, [chunk], model.embed_documents(TEXTS[:1]), model.name)
    return in_acme


@pytest.fixture(scope="module", autouse=True)
def loaded_sdks() -> None:
    """On a busy machine loading them takes longer than a test's lease, whose row no other connection sees."""
    for name in ("openai", "anthropic", "google.genai"):
        import_module(name)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries, where the provider asks for none: no test here is about their length."""
    monkeypatch.setattr(fallback, "FIRST_PAUSE", 0.02)


@pytest.fixture(autouse=True)
def no_circuits(request: pytest.FixtureRequest) -> Iterator[None]:
    """Are left in the company: those of tests beside this one, which share the server, stay."""
    acme = request.getfixturevalue("acme") if "acme" in request.fixturenames else None
    yield
    if acme:
        for key in sync_redis().scan_iter(f"circuit:{acme.company.schema_name}:*"):
            sync_redis().delete(key)


def let_the_pause_pass(schema: str) -> None:
    for key in sync_redis().scan_iter(f"circuit:{schema}:*"):
        sync_redis().hset(key, "open_until", "1")


def choices(kind: str, server: Server, **more: Any) -> dict[str, Any]:
    return {
        "llm_provider": kind,
        "llm_model": KINDS[kind][1],
        "llm_api_key": KEY,
        "llm_api_base_url": server.base_url,
        **more,
    }


@dataclass(frozen=True)
class First:
    """The agent's own model, on a server that a test spoils."""

    kind: str
    server: Server
    conversation: Conversation
    who: Character

    def ask(self) -> Message:
        started = start_turn(actor=self.who.principal, conversation_id=self.conversation.id, text=QUESTION)
        turn.run(started.reply.id)
        return Message.objects.get(pk=started.reply.pk)

    def configure(self, **more: Any) -> LLMSettings:
        return update_agent(
            actor=self.who.principal, agent=self.who.agent, changes={}, choices=choices(self.kind, self.server, **more)
        ).llm_settings


@pytest.fixture(params=sorted(KINDS))
def first(request: pytest.FixtureRequest, taught: Character) -> Iterator[First]:
    with KINDS[request.param][0](reply=REPLY) as server:
        conversation = create_conversation(actor=taught.principal, agent=taught.agent)
        made = First(request.param, server, conversation, taught)
        made.configure()
        yield made


@pytest.fixture
def openai(taught: Character) -> Iterator[First]:
    with OpenAIServer(reply=REPLY) as server:
        conversation = create_conversation(actor=taught.principal, agent=taught.agent)
        made = First("openai", server, conversation, taught)
        made.configure()
        yield made


@pytest.fixture
def second(taught: Character) -> Iterator[tuple[AnthropicServer, LLMSettings]]:
    """Another model of the company's, which works."""
    with AnthropicServer(reply=REPLY) as server:
        yield server, create_settings(actor=taught.principal, choices=choices("anthropic", server, name="Second"))


def failure_of(reply: Message) -> tuple[str, str]:
    assert message_record(reply)["content"] == reply.error
    assert KEY not in reply.error
    return reply.status, reply.error_code


# --- Bad input from a provider ------------------------------------------------------------------------------------


def test_a_provider_that_hangs(first: First, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "LONGEST_SILENCE", 0.3)
    first.server.first_delay = 3.0
    reply = first.ask()
    assert failure_of(reply) == ("failed", "LLM_UNAVAILABLE")
    assert reply.error.endswith("did not answer in time.")
    assert reply.timings["retrieval"] > 0


def test_a_provider_that_hangs_in_the_middle(first: First, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "BETWEEN_WORDS", 0.3)
    first.server.token_delay = 3.0
    reply = first.ask()
    assert failure_of(reply) == ("failed", "LLM_UNAVAILABLE")
    assert len(first.server.requests) == 1, "something was said: no other try"


def test_a_provider_that_sends_signs_of_life_and_no_word(first: First, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "LONGEST_SILENCE", 0.5)

    def drip(handler: Any) -> None:
        handler.begin_stream()
        for _ in range(200):
            handler.send_chunk(": still here\n\n")
            time.sleep(0.05)

    first.server.by_hand = drip
    assert failure_of(first.ask()) == ("failed", "LLM_UNAVAILABLE")
    assert first.server.disconnected.wait(10)


def html(handler: Any) -> None:
    content = b"<html><body>Welcome to the hotel's network</body></html>"
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def stream_of(*chunks: str) -> Callable[[Any], None]:
    def write(handler: Any) -> None:
        handler.begin_stream()
        for chunk in chunks:
            handler.send_chunk(chunk)
        handler.end_stream()

    return write


GARBAGE: dict[str, Callable[[Any], None]] = {
    "a page of HTML": html,
    "nothing": stream_of(),
    "half a JSON": stream_of('data: {"id": "1", "choices": [{"index": 0, "del'),
    "half a JSON, ended": stream_of('event: message_start\ndata: {"type": "message_start", "mess\n\n'),
    "a list": stream_of("data: [1, 2]\n\n"),
    "a number": stream_of("data: 5\n\n"),
    "null": stream_of("data: null\n\n"),
    "other types": stream_of(
        'event: message_start\ndata: {"type": "message_start", "message": 5, "choices": 7, "candidates": 3}\n\n'
    ),
    "text instead of objects": stream_of(
        'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": "x", "choices": ["x"], '
        '"candidates": ["x"]}\n\n'
    ),
    "no UTF-8": lambda handler: (
        handler.begin_stream(),
        handler.wfile.write(b"8\r\n\xff\xfe\xfd\xff\xfe\xfd\n\n\r\n0\r\n\r\n"),
    )[0],
}


def test_a_provider_that_sends_garbage(first: First, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "TRIES", 1)
    monkeypatch.setattr(circuits, "FAILURES", 100)
    outcomes = {}
    for name, write in GARBAGE.items():
        first.server.by_hand = write
        reply = first.ask()
        outcomes[name] = (*failure_of(reply), reply.error.endswith("broke off."))
    assert outcomes == dict.fromkeys(GARBAGE, ("failed", "LLM_UNAVAILABLE", True))


def test_a_wrong_key(first: First) -> None:
    first.server.required_key = "another"
    reply = first.ask()
    assert failure_of(reply) == ("failed", "LLM_AUTHENTICATION")
    assert "refused the API key" in reply.error
    assert len(first.server.requests) == 1


def test_a_wrong_model_name(first: First) -> None:
    first.server.fail(404, "The model does not exist")
    reply = first.ask()
    assert failure_of(reply) == ("failed", "LLM_BAD_REQUEST")
    assert reply.error.endswith("refused the request: The model does not exist.")
    assert len(first.server.requests) == 1


def test_too_many_requests_are_waited_for_as_asked(first: First) -> None:
    first.server.fail(429, "Slow down", times=1, headers={"Retry-After": "1"})
    began = time.monotonic()
    assert first.ask().content == REPLY
    assert time.monotonic() - began >= 1
    assert len(first.server.requests) == 2


def test_nobody_waits_for_as_long_as_a_provider_likes(first: First) -> None:
    first.server.fail(429, "Come back tomorrow", headers={"Retry-After": "86400"})
    reply = first.ask()
    assert failure_of(reply) == ("failed", "LLM_RATE_LIMITED")
    assert len(first.server.requests) == 1
    again = first.ask()
    assert failure_of(again) == ("failed", "LLM_PAUSED")
    assert again.error.startswith(f"The model {KINDS[first.kind][1]} is paused and will be asked again in 60 sec")
    assert again.error.endswith(f"Its last error was LLM_RATE_LIMITED: “{reply.error}”")
    assert reply.error.endswith("asks to send fewer requests and to wait 24 hours: Come back tomorrow.")
    failures = [one["code"] for one in (*reply.model_failures, *again.model_failures)]
    assert failures == ["LLM_RATE_LIMITED", "LLM_PAUSED"]
    assert [one["last_code"] for one in (*reply.model_failures, *again.model_failures)] == ["", "LLM_RATE_LIMITED"]
    waits = [one["retry_after"] for one in (*reply.model_failures, *again.model_failures)]
    assert waits[0] == 86400
    assert 86300 < waits[1] <= 86400, "what is left of it, of which the pause is a part"
    assert len(first.server.requests) == 1, "the circuit is open: the provider is left alone"


def test_too_many_requests_without_a_word_on_when(first: First) -> None:
    first.server.fail(429, "Slow down", times=2)
    assert first.ask().content == REPLY
    assert len(first.server.requests) == 3


def test_an_error_half_way_through_the_answer(first: First) -> None:
    first.server.stream_error_after = 2
    reply = first.ask()
    assert failure_of(reply) == ("failed", "LLM_UNAVAILABLE")
    assert len(first.server.requests) == 1
    # The company keeps what was said, and by whom; whoever asked is told that there is no answer.
    assert reply.content
    assert REPLY.startswith(reply.content)
    assert (reply.model_used, reply.agent_version) == (first.configure().llm_model.name, first.who.agent.version)
    assert reply.processing_time
    assert set(reply.timings) == {"retrieval", "first_token", "generation"}
    for_company, for_visitor = message_record(reply), message_record(reply, for_visitor=True)
    assert (for_company["content"], for_company["partial_content"]) == (reply.error, reply.content)
    assert reply.content not in json.dumps(for_visitor)
    first.server.stream_error_after = None
    assert first.ask().content == REPLY, "asked again it answers"


def test_an_answer_without_end_is_cut(first: First) -> None:
    first.server.reply = "endless " * 200_000
    first.configure(llm_max_tokens=100)
    reply = first.ask()
    assert (reply.status, len(reply.content) <= fallback.FEWEST_CHARACTERS) == ("completed", True)
    assert reply.warnings == ["The answer was longer than allowed and ends early."]
    assert first.server.disconnected.wait(10)


LIMIT = {"openai": "length", "anthropic": "max_tokens", "google": "MAX_TOKENS"}
FILTER = {"openai": "content_filter", "anthropic": "refusal", "google": "SAFETY"}
OTHER = {"openai": "tool_calls", "anthropic": "pause_turn", "google": "OTHER"}


def test_why_an_answer_ended_early_is_told(first: First) -> None:
    told = {}
    for reasons in (LIMIT, FILTER, OTHER):
        reason = first.server.finish_reason = reasons[first.kind]
        reply = first.ask()
        assert reply.content == REPLY
        told[reason] = reply.warnings
    limit, held_back, other = (reasons[first.kind] for reasons in (LIMIT, FILTER, OTHER))
    assert told == {
        limit: ["The answer was longer than allowed and ends early."],
        held_back: [f"The provider's own filter has ended the answer early ({held_back.lower()})."],
        other: [f"The model may have ended the answer early ({other.lower()})."],
    }


def test_why_an_answer_is_empty_is_told(first: First) -> None:
    first.server.reply = " "
    first.configure(llm_max_tokens=100)
    told = []
    for reasons in (LIMIT, FILTER, {}):
        first.server.finish_reason = reasons.get(first.kind)
        reply = first.ask()
        assert failure_of(reply) == ("failed", "LLM_EMPTY")
        told.append(reply.error)
    assert told == [
        "The model used up its limit of 100 tokens before it said anything. Raise the limit in its settings "
        "(max_tokens): models that think before they answer need more.",
        f"The provider's own filter has held the answer back ({FILTER[first.kind].lower()}).",
        "The model returned an empty answer. Please try again.",
    ]
    assert len(first.server.requests) == 3, "no other try: it would most likely end the same, and be paid for"


def test_when_the_first_model_says_nothing_the_next_answers(
    first: First, second: tuple[AnthropicServer, LLMSettings]
) -> None:
    first.configure(fallback_models=[second[1].id])
    first.server.reply, first.server.finish_reason = "", FILTER[first.kind]
    reply = first.ask()
    assert (reply.content, reply.model_used) == (REPLY, "claude-haiku-4-5")
    assert [failure["code"] for failure in reply.model_failures] == ["LLM_EMPTY"]


def test_one_endless_line_is_cut(first: First, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "FEWEST_BYTES", 300_000)

    def endless(handler: Any) -> None:
        handler.begin_stream()
        handler.send_chunk("data: ")
        while True:
            handler.send_chunk("x" * 10_000)

    first.server.by_hand = endless
    reply = first.ask()
    assert failure_of(reply) == ("failed", "LLM_UNAVAILABLE")
    assert reply.error.endswith("was cut off: The answer is far longer than was asked for.")


def test_a_provider_in_trouble_slows_nothing_else_down(
    openai: First, second: tuple[AnthropicServer, LLMSettings]
) -> None:
    """Another agent's turn runs while the first one hangs: neither holds a lock of the other's."""
    from concurrent.futures import ThreadPoolExecutor

    openai.server.first_delay = 2.0
    config = openai.configure().candidate()
    began = time.monotonic()

    def hang() -> None:
        stream = fallback.AnswerStream([config], REQUEST, breaker=circuits.Circuits("c"), deadline=began + 5)
        list(stream.deltas())

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(hang)
        other = fallback.AnswerStream(
            [second[1].candidate()], REQUEST, breaker=circuits.Circuits("c"), deadline=began + 5
        )
        assert "".join(delta.text for delta in other.deltas()) == REPLY
        assert not hanging.done()


REQUEST = ChatRequest(messages=[ChatMessage("user", QUESTION)])


# --- Fallback -----------------------------------------------------------------------------------------------------


def test_when_the_first_model_is_down_the_next_answers(
    first: First, second: tuple[AnthropicServer, LLMSettings]
) -> None:
    first.configure(fallback_models=[second[1].id])
    first.server.fail(503, "overloaded")
    reply = first.ask()
    assert (reply.content, reply.model_used) == (REPLY, "claude-haiku-4-5")
    assert len(first.server.requests) == 1, "with another model at hand nobody waits for another try"
    (failure,) = reply.model_failures
    assert (failure["model"], failure["code"]) == (KINDS[first.kind][1], "LLM_UNAVAILABLE")
    assert failure["error"].endswith("(status 503): overloaded.")


@pytest.mark.parametrize("trouble", ["hangs", "refuses connections", "wrong key", "unknown host"])
def test_the_next_answers_within_three_seconds(
    openai: First, second: tuple[AnthropicServer, LLMSettings], trouble: str
) -> None:
    openai.configure(fallback_models=[second[1].id])
    if trouble == "hangs":
        openai.server.first_delay = 10.0
    elif trouble == "wrong key":
        openai.server.required_key = "another"
    elif trouble == "unknown host":
        openai.configure(llm_api_base_url="http://does-not-exist.invalid/v1")
    else:
        with OpenAIServer() as gone:
            pass
        openai.configure(llm_api_base_url=gone.base_url)
    reply = openai.ask()
    assert (reply.content, reply.model_used) == (REPLY, "claude-haiku-4-5")
    assert reply.processing_time is not None
    assert reply.processing_time - reply.timings["retrieval"] < 3


def test_each_model_is_asked_as_its_own_settings_say(
    openai: First, second: tuple[AnthropicServer, LLMSettings]
) -> None:
    server, settings = second
    LLMSettings.objects.filter(pk=settings.pk).update(llm_temperature=0.25, llm_max_tokens=123)
    openai.configure(fallback_models=[settings.id], llm_temperature=0.5, llm_max_tokens=456)
    openai.server.fail(500)
    openai.ask()
    (asked,), (then,) = openai.server.requests, server.requests
    assert (asked.json["temperature"], asked.json["max_tokens"]) == (0.5, 456)
    assert (then.json["temperature"], then.json["max_tokens"]) == (0.25, 123)


def test_once_something_was_said_there_is_no_other_model(
    openai: First, second: tuple[AnthropicServer, LLMSettings]
) -> None:
    openai.configure(fallback_models=[second[1].id])
    openai.server.cut_after = 2
    assert failure_of(openai.ask()) == ("failed", "LLM_UNAVAILABLE")
    assert second[0].requests == []


def test_when_all_fail_the_message_tells_of_each(openai: First, second: tuple[AnthropicServer, LLMSettings]) -> None:
    openai.configure(fallback_models=[second[1].id])
    openai.server.fail(500, "first down")
    second[0].fail(400, "second refuses")
    reply = openai.ask()
    assert failure_of(reply) == ("failed", "LLM_BAD_REQUEST")
    assert [failure["code"] for failure in reply.model_failures] == ["LLM_UNAVAILABLE", "LLM_BAD_REQUEST"]


def test_inactive_and_deleted_settings_are_passed_over(
    openai: First, second: tuple[AnthropicServer, LLMSettings]
) -> None:
    openai.configure(fallback_models=[second[1].id])
    LLMSettings.objects.filter(pk=second[1].pk).update(is_active=False)
    openai.server.fail(500, "down")
    assert failure_of(openai.ask()) == ("failed", "LLM_UNAVAILABLE")
    assert len(openai.server.requests) == 3, "it is the last one now, and tried again"


# --- Circuits -----------------------------------------------------------------------------------------------------


def test_a_model_that_keeps_failing_is_left_alone_until_a_probe_succeeds(
    openai: First, second: tuple[AnthropicServer, LLMSettings]
) -> None:
    openai.configure(fallback_models=[second[1].id])
    openai.server.fail(500, "down")
    for _ in range(circuits.FAILURES + 2):
        assert openai.ask().model_used == "claude-haiku-4-5"
    assert len(openai.server.requests) == circuits.FAILURES

    let_the_pause_pass(openai.who.company.schema_name)
    openai.ask()
    assert len(openai.server.requests) == circuits.FAILURES + 1, "one probe"
    assert openai.ask().model_failures[0]["code"] == "LLM_PAUSED"

    openai.server._failure = None
    let_the_pause_pass(openai.who.company.schema_name)
    assert [openai.ask().model_used for _ in range(2)] == ["gpt-4o-mini", "gpt-4o-mini"]


def test_only_one_caller_probes(taught: Character) -> None:
    schema = taught.company.schema_name
    breaker, config = circuits.Circuits(schema), ProviderConfig("openai", "m", api_key="k")
    for _ in range(circuits.FAILURES):
        assert breaker.refusal(config) is None
        breaker.failed(config, ProviderError("It is down."))
    refusal = breaker.refusal(config)
    assert refusal is not None
    assert str(refusal).endswith("Its last error was LLM_ERROR: “It is down.”")
    assert (refusal.last_code, refusal.retry_after) == ("LLM_ERROR", None)
    assert breaker.paused([config, ProviderConfig("openai", "other")]) == [True, False]
    let_the_pause_pass(schema)
    assert [breaker.refusal(config) is None for _ in range(3)] == [True, False, False]
    breaker.succeeded(config)
    assert breaker.refusal(config) is None


def test_a_probe_that_takes_long_to_fail_opens_the_circuit_again(
    taught: Character, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"WINDOW": 1, "PAUSE": 3, "LONGEST_SILENCE": 6}.items():
        monkeypatch.setattr(circuits, name, seconds)
    schema = taught.company.schema_name
    breaker, config = circuits.Circuits(schema), ProviderConfig("openai", "m", api_key="k")
    for _ in range(circuits.FAILURES):
        breaker.failed(config, ProviderError("It hangs."))
    let_the_pause_pass(schema)
    assert breaker.refusal(config) is None
    time.sleep(4.5)  # longer than window and pause together
    breaker.failed(config, ProviderError("It hangs."))
    assert breaker.refusal(config) is not None


@pytest.mark.parametrize("change", ["schema", "api_key", "model", "base_url"])
def test_a_circuit_is_of_one_company_key_model_and_address(taught: Character, change: str) -> None:
    schema = taught.company.schema_name
    config = ProviderConfig("openai", "m", api_key="k", base_url="http://a.example")
    for _ in range(circuits.FAILURES):
        circuits.Circuits(schema).failed(config, ProviderError("It is down."))
    if change == "schema":
        assert circuits.Circuits("c_2").refusal(config) is None
    else:
        changes: dict[str, Any] = {change: "other"}
        other = replace(config, **changes)
        assert circuits.Circuits(schema).refusal(other) is None
    assert circuits.Circuits(schema).refusal(config) is not None


def test_no_key_stands_in_redis(taught: Character) -> None:
    schema = taught.company.schema_name
    circuits.Circuits(schema).failed(ProviderConfig("openai", "m", api_key=KEY), ProviderError("Down."))
    [name] = list(sync_redis().scan_iter(f"circuit:{schema}:*"))
    stored: Any = sync_redis().hgetall(name)
    assert KEY not in name + str(stored)


# --- Cost and who is told what ------------------------------------------------------------------------------------


def test_the_cost_of_an_answer_is_that_of_its_tokens(openai: First) -> None:
    reply = openai.ask()
    expected = (reply.input_tokens * Decimal("0.15") + reply.output_tokens * Decimal("0.6")) / 1_000_000
    assert (reply.cost, reply.cost_currency) == (expected.quantize(Decimal("1e-8")), "USD")
    assert message_record(reply)["cost"] == format(reply.cost or 0, "f")


def test_the_companys_own_price_counts(openai: First) -> None:
    openai.configure(llm_input_price=Decimal(1000), llm_output_price=Decimal(0), llm_price_currency="EUR")
    reply = openai.ask()
    assert (reply.cost, reply.cost_currency) == (Decimal(reply.input_tokens) / 1000, "EUR")


def test_the_cost_is_that_of_the_model_that_answered(
    openai: First, second: tuple[AnthropicServer, LLMSettings]
) -> None:
    openai.configure(fallback_models=[second[1].id])
    openai.server.fail(500)
    reply = openai.ask()
    assert reply.cost == (Decimal(reply.input_tokens) * 1 + Decimal(reply.output_tokens) * 5) / 1_000_000


def test_a_visitor_reads_a_friendly_sentence_and_the_company_the_cause(openai: First, acme_api: APIClient) -> None:
    lead = Lead.objects.create(first_name="Ada", last_name="Byron", email="ada@example.org", agent=openai.who.agent)
    Conversation.objects.filter(pk=openai.conversation.pk).update(entity_type="lead", lead=lead, user_id=None)
    openai.server.fail(401, "No credit")
    reply = openai.ask()

    record = message_record(reply, for_visitor=True)
    assert (record["content"], record["error"]) == (ENGLISH["failed"], ENGLISH["failed"])
    assert "No credit" not in str(record)
    task = read_task(str(reply.task_id))
    assert task is not None
    assert (task.error, task.error_code) == (ENGLISH["failed"], "NO_ANSWER")
    listed = acme_api.get(f"/api/v1/conversation/{openai.conversation.id}/messages").json()["messages"]
    assert listed[1]["error"] == "The model server 127.0.0.1 refused the API key: No credit."
    assert listed[1]["error_code"] == "LLM_AUTHENTICATION"
    with tenant_context(openai.who.company):
        assert Message.objects.get(pk=reply.pk).model_failures[0]["code"] == "LLM_AUTHENTICATION"


def test_why_a_reranker_failed_is_told_to_the_company_alone(taught: Character) -> None:
    conversation = create_conversation(actor=taught.principal, agent=taught.agent)
    with RerankServer() as server:
        set_reranker(
            actor=taught.principal, agent=taught.agent,
            choices={"provider": "vllm", "model": "m", "base_url": server.base_url},
        )  # fmt: skip
        server.fail(503, "node-7 is down")
        reply = First("builtin", server, conversation, taught).ask()

    assert (reply.status, reply.warnings) == ("completed", [])
    [failure] = reply.model_failures
    assert (failure["model"], failure["code"], "node-7 is down" in failure["error"]) == ("m", "LLM_UNAVAILABLE", True)
    assert message_record(reply)["model_failures"] == [failure]
    assert "node-7" not in str([message_record(reply, for_visitor=True), task_result(reply)])
