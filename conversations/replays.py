"""An answer made again, and what has changed since it was given.

Each assistant message keeps what it was made of: the version of the agent, the passages with their text, the model and
its parameters, the instructions, which earlier exchanges were read, and a digest of the whole prompt. Nothing of a
replay becomes part of the conversation.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from agents.models import Agent, AgentVersion, LLMSettings
from agents.selectors import agent_to_answer
from agents.versions import LABELS, compare, configuration_of, model_again, model_kept
from conversations.asking import Asking, as_id, evidence_of, guardrails_kept, prepare
from conversations.brief import brief_of, from_person
from conversations.engine.citations import CheckedAnswer
from conversations.engine.prompt import Exchange, fingerprint, instructions_for, request_with, template_fingerprint
from conversations.enums import MessageStatus, ReplayInputs
from conversations.exceptions import NotReplayableError
from conversations.guarding import Guard
from conversations.models import Citation, Message
from conversations.records import message_record
from conversations.selectors import exchanges_before, exchanges_named
from documents.indexes import indexes_that_answer
from documents.models import Document, DocumentChunk
from documents.retrieval import Passage, RetrievalSettings
from knowrithm.circuits import Circuits
from knowrithm.db.schema import release_connection
from knowrithm.jobs import complete_task, current_schema, fail_task, read_task, report_progress
from knowrithm.llm.base import ProviderError, Usage
from knowrithm.llm.fallback import AnswerStream
from knowrithm.llm.providers.extractive import NO_ANSWER

log = structlog.get_logger(__name__)

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


# --- What has changed ---------------------------------------------------------------------------------------------


def compare_inputs(reply: Message) -> Comparison:
    """Of an answer, with its conversation and question, against what it would be made of now."""
    agent = _agent_now(reply)
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


def _agent_now(reply: Message) -> Agent:
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
    kept, found = reply.trace, []
    if "retrieval" in kept:
        now = asdict(RetrievalSettings.of(agent))
        found += [
            Change(f"retrieval.{name}", label, kept["retrieval"].get(name), now[name])
            for name, label in RETRIEVAL_LABELS.items()
            if kept["retrieval"].get(name) != now[name]
        ]
        found += _guardrail_changes(
            kept.get("guardrails", {}), guardrails_kept(Guard.of(reply.conversation, agent).rows)
        )
    if "model" in kept:
        found += _model_changes(kept["model"], agent.llm_settings)
    if prompt := kept.get("prompt"):
        instructions = instructions_for(brief_of(agent))
        if prompt["template"] != template_fingerprint():
            found.append(Change("template", "The platform's prompt", prompt["template"], template_fingerprint()))
        if prompt["instructions"] != instructions:
            found.append(Change("instructions", "Instructions to the model", prompt["instructions"], instructions))
        gone = len(prompt["history"]) - len(_live_exchanges(reply, prompt["history"]))
        if gone:
            before = len(prompt["history"])
            found.append(Change("history", "Earlier exchanges that were read", before, before - gone))
    return found


def _live_exchanges(reply: Message, ids: Sequence[str]) -> set[str]:
    return {exchange.id for exchange in exchanges_before(_question(reply))} & set(ids)


def _model_changes(kept: Mapping[str, Any], now: LLMSettings) -> list[Change]:
    found = []
    if not LLMSettings.objects.filter(pk=kept["settings_id"]).exists():
        found.append(Change("settings", "Settings of the model that answered", kept["settings_id"], None))
    if model_again(kept) is None:
        found.append(Change("model", "Model that answered", f"{kept['provider']} / {kept['model']}", None))
    current = model_kept(now)
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


# --- Answering again ----------------------------------------------------------------------------------------------


def run(reply_id: uuid.UUID, inputs: str, task_id: str) -> None:
    """What a worker does. Delivered twice it does nothing more."""
    record = read_task(task_id)
    reply = Message.objects.select_related("conversation", "reply_to").filter(pk=reply_id).first()
    if reply is None or record is None or record.is_over:
        return
    report_progress(task_id, 10, "Answering again")
    with structlog.contextvars.bound_contextvars(trace_id=reply.trace_id):
        try:
            complete_task(task_id, answer_again(reply, inputs))
        except (ProviderError, NotReplayableError) as error:
            fail_task(task_id, str(error), error.code)
        except Exception:
            log.exception("replay_failed")
            fail_task(task_id, "The answer could not be made because of a fault on our side.", "INTERNAL_ERROR")


def answer_again(reply: Message, inputs: str) -> dict[str, Any]:
    """Both answers side by side, JSON-ready. Raises `NotReplayableError`, and `ProviderError` as a turn does.

    Guardrails hold as they are today, whatever the inputs: what must not be said is not said by a replay either.
    """
    agent, question = _agent_now(reply), _question(reply)
    guard = Guard.of(reply.conversation, agent)
    started = time.monotonic()
    refusal = guard.take_question(question.content).refusal or guard.refusal_of(question.content)
    if refusal:
        again = _said(refusal, [], started) | {"is_refusal": True, "is_blocked": True}
    else:
        asking = _as_it_was(reply) if inputs == ReplayInputs.THEN else _as_it_is(reply, agent, guard)
        again = _ask(asking, guard, started)
        again["is_same_prompt"] = _is_same_prompt(reply, asking)
    return {"inputs": inputs, "original": _original(reply), "replayed": again}


def _is_same_prompt(reply: Message, asking: Asking) -> bool:
    """Whether the model read the same as then, to the character."""
    then = reply.trace.get("prompt", {}).get("hash")
    return bool(then == (fingerprint(asking.request) if asking.request else None))


def _as_it_is(reply: Message, agent: Agent, guard: Guard) -> Asking:
    question = _question(reply)
    history = exchanges_before(question)
    told, most = from_person(reply.conversation), reply.conversation.max_context_length
    return prepare(agent, question.content, history, guard, told=told, max_context_tokens=most)


def _as_it_was(reply: Message) -> Asking:
    if sentence := why_not(reply):
        raise NotReplayableError(sentence)
    passages = [_passage(citation) for citation in reply.citations.order_by("number")]
    prompt = reply.trace.get("prompt")
    if prompt is None:
        return Asking(passages)  # there was no evidence
    row = model_again(reply.trace["model"])
    assert row is not None  # noqa: S101  # why_not has said so
    request = request_with(
        prompt["instructions"],
        question=_question(reply).content,
        standalone_question=prompt["standalone_question"],
        history=[
            *(Exchange(*one) for one in prompt.get("told", ())),
            *exchanges_named(uuid.UUID(one) for one in prompt["history"]),
        ],
        evidence=evidence_of(passages),
        temperature=row.llm_temperature,
        max_tokens=row.llm_max_tokens,
        max_context_tokens=prompt["max_context_tokens"],
        length=prompt["length"],
    )
    return Asking(passages, [row], request)


def _ask(asking: Asking, guard: Guard, started: float) -> dict[str, Any]:
    if asking.request is None:
        return _said(NO_ANSWER, asking.passages, started) | {"is_refusal": True}
    guard.begin_answer(asking.request, asking.passages)
    stream = AnswerStream(
        [row.candidate() for row in asking.candidates],
        asking.request,
        breaker=Circuits(current_schema()),
        deadline=started + settings.TURN_DEADLINE_SECONDS,
    )
    release_connection()
    text, usage = "", Usage()
    with closing(guard.filtered(stream.deltas())) as deltas:
        for delta in deltas:
            text += delta.text
            usage = delta.usage or usage
    if not text.strip():
        raise ProviderError("The model returned an empty answer. Please try again.")
    checked, row = guard.check_answer(text, asking.passages), asking.candidates[stream.place]
    price = row.price
    return _said(checked.text, asking.passages, started, checked) | {
        "is_refusal": guard.is_refused or checked.text == NO_ANSWER,
        "is_blocked": guard.is_refused,
        "model_used": row.llm_model.name,
        "tokens_used": usage.total_tokens,
        "cost": format(price.of(usage), "f") if price else None,
        "currency": price.currency if price else None,
        "model_failures": [asdict(failure) for failure in stream.failures],
        "warnings": [*asking.warnings, *checked.warnings],
    }


def _said(
    text: str, passages: Sequence[Passage], started: float, checked: CheckedAnswer | None = None
) -> dict[str, Any]:
    """The parts that every replayed answer has."""
    cited = checked.cited if checked else ()
    return {
        "content": text,
        "is_refusal": False,
        "is_blocked": False,
        "model_used": "none",
        "tokens_used": 0,
        "cost": None,
        "currency": None,
        "model_failures": [],
        "warnings": [],
        "processing_time": round(time.monotonic() - started, 3),
        "created_at": timezone.now().isoformat(),
        "sources": [
            {
                "source_number": number,
                "document_name": passage.document_name,
                "locator_label": passage.locator_label,
                "excerpt": (checked.quotes.get(number) if checked else "") or passage.content[:300],
                "cited": number in cited,
            }
            for number, passage in enumerate(passages, 1)
        ],
    }


def _original(reply: Message) -> dict[str, Any]:
    record = message_record(reply)
    names = (
        "content", "is_refusal", "is_blocked", "model_used", "tokens_used", "cost", "currency", "model_failures",
        "processing_time", "created_at",
    )  # fmt: skip
    shown = ("source_number", "document_name", "locator_label", "excerpt", "cited")
    sources = [{name: source[name] for name in shown} for source in record["sources"]]
    return {**{name: record[name] for name in names}, "warnings": reply.warnings, "sources": sources}


def _question(reply: Message) -> Message:
    assert reply.reply_to is not None  # noqa: S101  # every assistant message replies to a question
    return reply.reply_to


def _passage(citation: Citation) -> Passage:
    return replace(
        _EMPTY,
        chunk_id=as_id(citation.chunk_id),
        document_id=as_id(citation.document_id),
        document_name=citation.document_name,
        source_url=citation.source_url,
        content=citation.content,
        headings=tuple(citation.headings),
        locator=citation.locator,
        score=citation.score,
        evidence=citation.evidence,
    )


_EMPTY = Passage(
    chunk_id=as_id(None), document_id=as_id(None), document_name="", source_url="", content="", headings=(),
    locator={}, score=0.0, dense=0.0, lexical=0.0, evidence=0.0, asked=0.0, coverage=0.0,
)  # fmt: skip
