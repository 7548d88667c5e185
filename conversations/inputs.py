"""What an answer was made of, and what has changed since.

Each assistant message keeps the version of the agent, the passages with their text, the model and its parameters, the
instructions, which earlier exchanges were read, and a digest of the whole prompt.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agents.models import Agent, AgentVersion, LLMSettings
from agents.selectors import agent_to_answer, settings_in_order
from agents.versions import LABELS, compare, configuration_of, model_again, model_kept
from conversations.asking import guardrails_kept, visitor_facts
from conversations.brief import brief_of, from_person
from conversations.engine.prompt import instructions_for, template_fingerprint
from conversations.enums import MessageStatus
from conversations.guarding import Guard
from conversations.models import Citation, Message
from conversations.selectors import exchanges_before
from documents.indexes import indexes_that_answer
from documents.models import Document, DocumentChunk
from documents.retrieval import RetrievalSettings
from documents.selectors import get_reranker_of

RETRIEVAL_LABELS = {"top_k": "Passages", "dense_weight": "Share of meaning", "threshold": "Evidence needed"}
MODEL_FIELDS = ("provider", "model", "api_base_url", "temperature", "max_tokens", "additional_params")
SAME = "same"


@dataclass(frozen=True, slots=True)
class Change:
    """An input that is not what it was. `before` and `after` are JSON-ready."""

    input: str
    label: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class PassageState:
    """What became of a passage. `state` is same, edited, replaced, removed, switched_off or out_of_reach."""

    number: int
    document_name: str
    locator_label: str
    is_cited: bool
    state: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`why_not` says why the answer cannot be made again from what it was made of; empty when it can."""

    changes: list[Change]
    passages: list[PassageState]
    why_not: str

    @property
    def changed_passages(self) -> list[PassageState]:
        return [one for one in self.passages if one.state != SAME]

    @property
    def has_changed(self) -> bool:
        return bool(self.changes or self.changed_passages)


def compare_inputs(reply: Message) -> Comparison:
    """Of an answer, with its conversation and question, against what it would be made of now."""
    agent = agent_now(reply)
    changes = [*_version_changes(reply, agent), *_kept_changes(reply, agent)]
    return Comparison(changes, passage_states(reply, agent), why_not(reply))


def why_not(reply: Message) -> str:
    kept = reply.trace
    if reply.status != MessageStatus.COMPLETED:
        return "There is no answer that could be made again. It can be asked with today's inputs."
    if "retrieval" not in kept:
        return "This answer was given without a model, or before inputs were kept. It can be asked with today's inputs."
    if "prompt" in kept and model_again(kept["model"]) is None:
        name = f"{kept['model']['provider']} / {kept['model']['model']}"
        return f"The model {name} cannot be asked any more: it is not offered, or its key is not stored. Use today's."
    return ""


def agent_now(reply: Message) -> Agent:
    """Who answered, as it is now: a question that a supervisor passed on is not passed on anew."""
    if reply.answered_by_id is not None:
        return agent_to_answer(reply.answered_by_id)
    return agent_to_answer(reply.conversation.agent_id, is_draft=reply.is_draft)


def _version_changes(reply: Message, agent: Agent) -> list[Change]:
    if reply.agent_version is None or reply.agent_version == agent.version:
        return []
    found = [Change("version", "Version of the agent", reply.agent_version, agent.version)]
    then = AgentVersion.objects.filter(agent=agent, number=reply.agent_version).first()
    if then is not None:
        differing = compare(then.configuration, configuration_of(Agent.objects.with_settings().get(pk=agent.pk)))
        found += [Change(f"version.{one.field}", one.label, one.before, one.after) for one in differing]
    return found


def _kept_changes(reply: Message, agent: Agent) -> list[Change]:
    kept, found, guard = reply.trace, [], Guard.of(reply.conversation, agent)
    if "retrieval" in kept:
        now = asdict(RetrievalSettings.of(agent))
        found += [
            Change(f"retrieval.{name}", label, kept["retrieval"].get(name), now[name])
            for name, label in RETRIEVAL_LABELS.items()
            if kept["retrieval"].get(name) != now[name]
        ]
        reranker = str(get_reranker_of(agent.pk) or "")
        if kept["passages"] and kept.get("reranker", reranker) != reranker:
            found.append(Change("reranker", "Reranker", kept["reranker"] or None, reranker or None))
        found += _guardrail_changes(kept.get("guardrails", {}), guardrails_kept(guard.rows))
    if "model" in kept:
        found += _model_changes(kept["model"], agent.llm_settings)
    if prompt := kept.get("prompt"):
        found += _prompt_changes(reply, prompt, agent, guard)
    return found


def _prompt_changes(reply: Message, kept: Mapping[str, Any], agent: Agent, guard: Guard) -> list[Change]:
    """Of what the model read beside the passages. What an older answer did not keep is not compared."""
    history, conversation = kept["history"], reply.conversation
    # By name: label, before, after. Models that only quote are not told of the visitor.
    read: dict[str, tuple[str, Any, Any]] = {
        "template": ("The platform's prompt", kept["template"], template_fingerprint()),
        "instructions": ("Instructions to the model", kept["instructions"], instructions_for(brief_of(agent))),
    }
    if "max_context_tokens" in kept:
        label = "Tokens of the conversation that are read"
        read["max_context_tokens"] = label, kept["max_context_tokens"], conversation.max_context_length
    if "told" in kept:
        settled = [one.answer for one in from_person(conversation)]
        read["told"] = "What a person has settled", [said for _, said in kept["told"]], settled
    if kept.get("visitor"):
        facts = visitor_facts(conversation, guard)
        read["visitor"] = "What is known of the visitor", _lines(kept["visitor"]), _lines(facts.items())
    found = [Change(name, label, before, after) for name, (label, before, after) in read.items() if before != after]
    if gone := len(history) - len(_live_exchanges(reply, history)):
        found.append(Change("history", "Earlier exchanges that were read", len(history), len(history) - gone))
    return found


def _lines(facts: Iterable[Sequence[str]]) -> list[str]:
    return [f"{name}: {value}" for name, value in facts]


def _live_exchanges(reply: Message, ids: Sequence[str]) -> set[str]:
    return {exchange.id for exchange in exchanges_before(question_of(reply), limit=len(ids))} & set(ids)


def _model_changes(kept: Mapping[str, Any], now: LLMSettings) -> list[Change]:
    found = []
    if not LLMSettings.objects.filter(pk=kept["settings_id"]).exists():
        found.append(Change("settings", "Settings of the model that answered", kept["settings_id"], None))
    if model_again(kept) is None:
        found.append(Change("model", "Model that answered", f"{kept['provider']} / {kept['model']}", None))
    # Whichever of the agent's models has answered, such as one that it falls back on, is compared with itself.
    current = model_kept(next((row for row in settings_in_order(now) if str(row.pk) == kept["settings_id"]), now))
    found += [
        Change(f"settings.{name}", LABELS.get(f"llm_{name}", name), kept[name], current[name])
        for name in MODEL_FIELDS
        if kept[name] != current[name]
    ]
    return found


def _guardrail_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    found = []
    for key in sorted({*then, *now}):
        before, after = then.get(key), now.get(key)
        if (before or {}).get("digest") != (after or {}).get("digest"):
            found.append(
                Change(f"guardrail.{key}", "Guardrail", _named(before, "as it was"), _named(after, "as it is"))
            )
    return found


def _named(kept: Mapping[str, str] | None, how: str) -> str | None:
    return f"{kept['name']}, {how}" if kept else None


def passage_states(reply: Message, agent: Agent) -> list[PassageState]:
    """A handful of queries, however many passages there are."""
    citations = list(reply.citations.select_related("document").order_by("number"))
    document_ids = [one.document_id for one in citations if one.document_id]
    reachable = {index.pk for index, _ in indexes_that_answer(agent)}
    chunks = {
        row.pk: row
        for row in DocumentChunk.objects.filter(pk__in=[one.chunk_id for one in citations if one.chunk_id]).defer(
            "embedding", "lexical"
        )
    }
    # The same text may have been read again since, as another row.
    texts = {
        (row.document_id, row.content): row
        for row in DocumentChunk.objects.filter(
            document__in=document_ids, content__in=[one.content for one in citations]
        ).defer("embedding", "lexical")
    }
    newer = set(Document.objects.filter(replaces__in=document_ids).values_list("replaces_id", flat=True))
    states = []
    for one in citations:
        chunk = chunks.get(one.chunk_id) if one.chunk_id else None
        chunk = chunk or (texts.get((one.document_id, one.content)) if one.document_id else None)
        state, sentence = _state(one, chunk, has_newer=one.document_id in newer, reachable=reachable)
        states.append(PassageState(one.number, one.document_name, one.locator_label, one.is_cited, state, sentence))
    return states


def _state(
    citation: Citation, chunk: DocumentChunk | None, *, has_newer: bool, reachable: set[uuid.UUID]
) -> tuple[str, str]:
    document = citation.document
    if document is None:
        return "removed", "Its document is not there any more."
    if document.archived_at is not None:
        if has_newer:
            return "replaced", "A newer version of its document has taken its place."
        return "removed", "Its document is archived."
    if chunk is None:
        return "replaced", "Its document was read anew, and this text is not in it as it was."
    if chunk.archived_at is not None:
        return "switched_off", "The passage is switched off."
    # Neighbours that were offered as one hold the chunk's text and more.
    if chunk.content not in citation.content:
        return "edited", "Its text was edited by hand." if chunk.is_edited else "Its text is another one now."
    if chunk.search_index_id not in reachable:
        return "out_of_reach", "The agent does not search there any more."
    return SAME, "As it was."


def question_of(reply: Message) -> Message:
    assert reply.reply_to is not None  # noqa: S101  # get_answer finds no others
    return reply.reply_to
