"""What an answer says might be asked next."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest

from agents.languages import LANGUAGES
from agents.services import update_agent
from conftest import Character
from conversations import turn
from conversations.engine.suggestions import topics_beside
from conversations.models import Conversation, Guardrail, Message
from conversations.records import direct_answer, message_record
from conversations.services import create_conversation, start_turn
from conversations.tests.test_turn import events
from conversations.wording import as_question, topic_of
from documents.chunks import replace_chunks
from documents.ingestion.base import Chunk
from documents.models import Document
from knowrithm.llm.base import ProviderConfig
from knowrithm.llm.registry import embedder
from knowrithm.tests.providers import OpenAIServer

QUESTION = "How long does the warranty of the X200 pump last?"
REPAIRS, CALL = (f"What can you tell me about “{topic}”?" for topic in ("Repairs of pumps", "Call 555-0199"))
PARTS = {
    "Warranty of pumps": "The warranty of the X200 pump lasts 37 months from the date of purchase.",
    "Repairs of pumps": "A pump is repaired in our workshop, and its owner is told how long that takes.",
    "Call 555-0199": "The telephone number for pumps that leak after their purchase.",
}


@pytest.fixture(scope="module", autouse=True)
def loaded_sdk() -> None:
    """On a busy machine loading it takes longer than a test's lease, whose row no other connection sees."""
    import_module("openai")


@pytest.fixture
def taught(in_acme: Character, monkeypatch: pytest.MonkeyPatch) -> Character:
    monkeypatch.setenv("OUTBOUND_ALLOW", "127.0.0.1")
    document = Document.objects.create(
        agent=in_acme.agent, original_filename="manual.txt", document_type="txt", status="processed"
    )
    model = embedder(ProviderConfig(provider="builtin", model="all-MiniLM-L6-v2"))
    chunks = [
        Chunk(n, text, {"type": "lines", "start": n + 1, "end": n + 1}, headings=("Manual", heading), word_count=14)
        for n, (heading, text) in enumerate(PARTS.items())
    ]
    replace_chunks(document, chunks, model.embed_documents(list(PARTS.values())), model.name)
    return in_acme


@pytest.fixture
def server(taught: Character) -> Iterator[OpenAIServer]:
    with OpenAIServer(reply="It lasts 37 months [Source 1].") as running:
        choices = {
            "llm_provider": "openai",
            "llm_model": "gpt-4o-mini",
            "llm_api_key": "sk-test",
            "llm_api_base_url": running.base_url,
        }
        update_agent(actor=taught.principal, agent=taught.agent, changes={}, choices=choices)
        yield running


def ask(who: Character, text: str = QUESTION, conversation: Conversation | None = None) -> Message:
    conversation = conversation or create_conversation(actor=who.principal, agent=who.agent)
    started = start_turn(actor=who.principal, conversation_id=conversation.id, text=text)
    turn.run(started.reply.id)
    return Message.objects.get(pk=started.reply.pk)


def test_an_answer_of_a_model_asks_about_headings_that_it_did_not_use(taught: Character, server: OpenAIServer) -> None:
    reply = ask(taught)

    assert sorted(reply.suggestions) == [CALL, REPAIRS]
    assert message_record(reply)["suggestions"] == direct_answer(reply)["metadata"]["suggestions"] == reply.suggestions
    assert events(taught, reply.conversation)[-1].data["message"]["suggestions"] == reply.suggestions
    assert len(server.requests) == 1  # nobody is asked for them


def test_the_built_in_model_names_them_only_where_the_agent_says_so(taught: Character) -> None:
    assert ask(taught).suggestions == []
    update_agent(actor=taught.principal, agent=taught.agent, changes={"suggests_follow_ups": True})
    assert REPAIRS in ask(taught).suggestions
    assert ask(taught, "Who won the football world cup in 1998?").suggestions == []


def test_a_model_names_none_where_the_agent_says_so(taught: Character, server: OpenAIServer) -> None:
    update_agent(actor=taught.principal, agent=taught.agent, changes={"suggests_follow_ups": False})
    assert ask(taught).suggestions == []


def test_what_a_guardrail_masks_is_not_suggested(taught: Character, server: OpenAIServer) -> None:
    rule = {"name": "Numbers", "kind": "words", "action": "mask", "on": "output", "values": ["555-0199"]}
    Guardrail.objects.create(name="Of all", applies_to_all=True, rules=[{**rule, "threshold": 1}])
    assert ask(taught).suggestions == [REPAIRS]


def test_a_suggestion_is_sent_as_it_is_and_answered(taught: Character) -> None:
    update_agent(actor=taught.principal, agent=taught.agent, changes={"suggests_follow_ups": True})
    conversation = create_conversation(actor=taught.principal, agent=taught.agent, language="de")
    first = ask(taught, conversation=conversation)
    question = "Was können Sie mir zu „Repairs of pumps“ sagen?"
    assert question in first.suggestions

    second = ask(taught, question, conversation)

    assert second.content.startswith(PARTS["Repairs of pumps"])
    assert second.trace["query"] == "Repairs of pumps"
    assert not [text for text in second.suggestions if "Repairs" in text or "Warranty" in text], "once was enough"


def topics(*paths: list[str], asked: str = "", answered: str = "", cited: tuple[int, ...] = ()) -> list[str]:
    return topics_beside([(path, "It is told here.") for path in paths], cited, [asked], answered)


def test_topics_are_few_new_and_say_enough() -> None:
    paths = [["Manual", "Used"], ["Manual", "used"], ["Orders", "Returns"], [], ["A bell"], ["A BELL"],
             ["Warranties of it"], ["x" * 200], ["Two words"], ["Third one"]]  # fmt: skip
    found = topics(*paths, asked="What is the warranty of it?", cited=(1,))
    assert found == ["Orders: Returns", "A bell", "Two words"]


@pytest.mark.parametrize(
    ("path", "topic"),
    [
        (["Warranty", "Warranty"], "Warranty"),
        (["Warranty of pumps", "Warranty"], "Warranty of pumps"),
        (["2. Unified system", "2.8. The treemagic files"], "The treemagic files"),
        (["Chapter 3: Valves", "Radio"], "Valves: Radio"),
        (["Do you lend tools?"], "Do you lend tools?"),
        (["24 hour service"], "24 hour service"),
        (["保修", "退货"], "保修: 退货"),
    ],
)
def test_a_topic_is_a_heading_without_its_number_and_never_twice_the_same(path: list[str], topic: str) -> None:
    assert topics(path) == [topic]


def test_what_was_just_answered_is_not_suggested() -> None:
    assert topics(["Returned goods"], ["Delivery"], answered="You can return goods within 30 days.") == ["Delivery"]
    assert topics(["Delivery abroad"], ["Deliveries"], cited=(1,)) == []
    assert topics(["Delivery"], ["Delivery abroad"], cited=(1,)) == ["Delivery abroad"]


def test_what_has_no_sentence_is_not_suggested() -> None:
    assert topics_beside([(["Contributors"], "3. Contributors\n\nAda Lovelace")], (), []) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_topic_of_a_suggestion_is_known_again_in_every_language(language: str) -> None:
    question = as_question("Repairs of “pumps”", language)
    assert question != "Repairs of “pumps”"
    assert topic_of(f" {question} ") == "Repairs of “pumps”"
    assert topic_of("What can you tell me?") == ""
    assert as_question("Do you lend tools?", language) == "Do you lend tools?"
