"""An answer made again, beside its conversation: nothing of a replay becomes part of that."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from agents.models import Agent
from agents.selectors import settings_in_order
from agents.versions import model_again
from conversations.asking import Asking, as_id, evidence_of, prepare
from conversations.engine.citations import CheckedAnswer
from conversations.engine.prompt import Exchange, fingerprint, most_exchanges, request_with
from conversations.enums import ReplayInputs
from conversations.exceptions import NotReplayableError
from conversations.guarding import Guard
from conversations.inputs import agent_now, question_of, why_not
from conversations.models import Citation, Message
from conversations.records import message_record
from conversations.selectors import exchanges_before, exchanges_named
from conversations.wording import sentence
from documents.retrieval import Passage
from knowrithm.circuits import Circuits
from knowrithm.db.schema import release_connection
from knowrithm.jobs import complete_task, current_schema, fail_task, read_task, report_progress
from knowrithm.llm.base import ProviderError, Usage
from knowrithm.llm.fallback import AnswerStream

log = structlog.get_logger(__name__)


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
    agent = agent_now(reply)
    guard = Guard.of(reply.conversation, agent)
    started = time.monotonic()
    taken = guard.take_question(reply.asked)
    refusal = taken.refusal or guard.refusal_of(taken.text)
    if refusal:
        again = _said(refusal, [], started, guard) | {"is_refusal": True, "is_blocked": True}
    else:
        asking = _as_it_was(reply) if inputs == ReplayInputs.THEN else _as_it_is(reply, taken.text, agent, guard)
        again = _ask(asking, guard, started)
        again["is_same_prompt"] = _is_same_prompt(reply, asking)
    return {"inputs": inputs, "original": _original(reply), "replayed": again}


def is_free(reply: Message) -> bool:
    """Whether no model is paid for the answer, whichever inputs it is made from; unknown prices may be some."""
    rows = settings_in_order(agent_now(reply).llm_settings)
    if "prompt" in reply.trace and (then := model_again(reply.trace["model"])) is not None:
        rows = [then, *rows]
    return all(price is not None and not (price.input or price.output) for price in (row.price for row in rows))


def _is_same_prompt(reply: Message, asking: Asking) -> bool:
    """Whether the model read the same as then, to the character."""
    then = reply.trace.get("prompt", {}).get("hash")
    return bool(then == (fingerprint(asking.request) if asking.request else None))


def _as_it_is(reply: Message, question: str, agent: Agent, guard: Guard) -> Asking:
    history = exchanges_before(question_of(reply), limit=most_exchanges(reply.conversation.max_context_length))
    return prepare(agent, question, history, guard, reply.conversation)


def _as_it_was(reply: Message) -> Asking:
    if obstacle := why_not(reply):
        raise NotReplayableError(obstacle)
    passages = [_passage(citation) for citation in reply.citations.order_by("number")]
    prompt = reply.trace.get("prompt")
    if prompt is None:
        return Asking(passages)  # there was no evidence
    row = model_again(reply.trace["model"])
    assert row is not None  # noqa: S101  # why_not has said so
    request = request_with(
        prompt["instructions"],
        question=reply.trace.get("question", reply.asked),
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
        no_answer=sentence("no_answer", reply.conversation.language),
        visitor=dict(prompt.get("visitor", ())),
    )
    return Asking(passages, [row], request)


def _ask(asking: Asking, guard: Guard, started: float) -> dict[str, Any]:
    no_answer = sentence("no_answer", guard.language)
    if asking.request is None:
        return _said(no_answer, asking.passages, started, guard) | {"is_refusal": True}
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
    return _said(checked.text, asking.passages, started, guard, checked) | {
        "is_refusal": guard.is_refused or checked.text == no_answer,
        "is_blocked": guard.is_refused,
        "model_used": row.llm_model.name,
        "tokens_used": usage.total_tokens,
        "cost": format(price.of(usage), "f") if price else None,
        "currency": price.currency if price else None,
        "model_failures": [asdict(failure) for failure in (*asking.failures, *stream.failures)],
        "warnings": [*checked.warnings, *([stream.ended_early] if stream.ended_early else [])],
    }


def _said(
    text: str, passages: Sequence[Passage], started: float, guard: Guard, checked: CheckedAnswer | None = None
) -> dict[str, Any]:
    """The parts that every replayed answer has."""
    cited = checked.cited if checked else ()
    quotes = checked.quotes if checked else {}
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
            _source(number, passage, quotes.get(number, ""), guard) | {"cited": number in cited}
            for number, passage in enumerate(passages, 1)
        ],
    }


def _source(number: int, passage: Passage, quote: str, guard: Guard) -> dict[str, Any]:
    shown = Citation(
        number=number, document_name=passage.document_name, content=passage.content, quote=quote,
        locator=passage.locator, masked=guard.masked_in(passage, quote),
    )  # fmt: skip
    return {
        "source_number": number,
        "document_name": shown.shown("document_name"),
        "locator_label": shown.shown_label,
        "excerpt": shown.shown_excerpt,
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
