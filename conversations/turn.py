"""One turn: a question becomes a cited answer, or a refusal, and is never lost.

The reply's row is leased like an ingestion job: a turn whose worker died is taken up again by the next one, whose
answer replaces whatever had been streamed. While the model speaks no database connection is held.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog
from celery import Task
from django.conf import settings
from django.db import OperationalError, transaction
from django.utils import timezone
from redis.exceptions import RedisError

from agents.models import Agent, LLMSettings
from agents.selectors import agent_to_answer
from agents.services import count_later
from agents.versions import model_kept
from conversations import streams
from conversations.asking import prepare
from conversations.brief import closed_answer
from conversations.engine.citations import CheckedAnswer
from conversations.engine.prompt import Exchange, most_exchanges
from conversations.engine.suggestions import topics_beside
from conversations.enums import STOPPED, EntityType, MessageStatus, Owner
from conversations.guarding import Guard
from conversations.handing import add_tokens, begin_if_free, rule_after_answer
from conversations.models import Citation, Message
from conversations.outbox import publish_message
from conversations.records import message_record, task_result
from conversations.routing import Asked, route
from conversations.selectors import exchanges_before, is_behind_another, next_in_line
from conversations.wording import Notice, as_question, notice, sentence
from documents.embeddings import expect_query
from documents.models import Document, DocumentChunk
from documents.retrieval import Passage
from integrations.enums import EventType
from knowrithm.circuits import Circuits
from knowrithm.db.lease import LostLeaseError
from knowrithm.db.schema import release_connection
from knowrithm.jobs import complete_task, current_schema, enqueue, fail_task, report_progress
from knowrithm.llm.base import ProviderError, Usage
from knowrithm.llm.fallback import AnswerStream, Failure
from tenants.audit.services import record_event

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 3
FLUSH_SECONDS = 0.02  # pieces of an answer that come closer together go out as one event
RELATED = ("reply_to", "conversation")  # with the agent and its models it would be nine tables: slow to plan


class TurnTimeoutError(ProviderError):
    code = "LLM_TIMEOUT"


class StoppedError(ProviderError):
    code = STOPPED


@dataclass(slots=True)
class _Answer:
    text: str = ""
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    cost: Decimal | None = None
    currency: str = ""
    warnings: list[str] = field(default_factory=list)
    notices: Sequence[Notice] = ()  # where it is in the platform's words, or the platform remarks on it


def run(reply_id: uuid.UUID) -> None:
    """Make the reply, and after it those of its conversation that waited for it.

    Questions of one conversation are answered in order, each with the answers before it: a reply whose turn it is not
    yet is given back, and whoever makes the one before it goes on with it.
    """
    following: uuid.UUID | None = reply_id
    while following is not None:
        with structlog.contextvars.bound_contextvars(trace_id=str(following)):
            following = _run_one(following)


def _run_one(reply_id: uuid.UUID) -> uuid.UUID | None:
    """Returns the reply that is to be made next."""
    reply = Message.claim(reply_id, *RELATED)
    if reply is None:
        return None  # answered, or another worker's
    if is_behind_another(reply):
        reply.give_back()
        # The other one may have ended at this moment, and have found nobody waiting.
        return None if is_behind_another(reply) else reply_id
    return next_in_line(reply) if _make(reply).may_be_followed else None


def _make(reply: Message) -> _Turn:
    turn = _Turn(reply)
    try:
        with reply.kept_alive() as held:
            turn.answer(held.is_set)
        log.info("turn_answered", seconds=round(time.monotonic() - turn.started, 3), **turn.timings)
    except LostLeaseError:
        log.warning("turn_lease_lost")
    except StoppedError as error:
        log.info("turn_stopped")
        turn.fail(str(error), error.code)
    except ProviderError as error:
        log.warning("turn_without_answer", code=error.code)
        turn.fail(str(error), error.code)
    except (OperationalError, RedisError) as error:
        log.warning("turn_interrupted", error=str(error))
        raise  # the lease runs out and the turn is taken up again
    except Exception:
        log.exception("turn_failed")
        turn.fail("The answer could not be made because of a fault on our side. Please try again.", "INTERNAL_ERROR")
    return turn


class _Turn:
    def __init__(self, reply: Message) -> None:
        assert reply.reply_to is not None  # noqa: S101  # only what a turn fills is ever unfinished, and that replies to a question
        self.reply = reply
        self.question = reply.reply_to
        self.conversation = reply.conversation
        self.agent: Agent = agent_to_answer(reply.conversation.agent_id, is_draft=reply.is_draft)
        self.addressed = self.agent  # whose rules for handing over hold, also where it passes the question on
        self.guard = Guard.of(reply.conversation, self.agent)
        self.schema = current_schema()
        self.started = time.monotonic()
        self.timings: dict[str, float] = {}
        self.failures: list[Failure] = []
        self.given = _Answer()  # what a model has said so far: the company reads it also where it broke off
        self.asked_before: Sequence[str] = ()
        self.asked: Asked | None = None  # for a specialist
        self.written: dict[str, Any] = {}  # into the reply, at the end
        self.may_be_followed = True  # by the reply to a question that has come since
        self.is_written = False  # by a model that does more than quote
        self.is_wanted = streams.StopFlag(self.schema, reply.pk).is_wanted
        self.answered_by: Agent | None = None  # the specialist, where the conversation's agent is a supervisor
        self.trace: dict[str, Any] = {"trace_id": reply.trace_id, "attempt": reply.attempts}
        if "asked" in reply.trace:
            self.trace["asked"] = reply.trace["asked"]

    def publish(self, name: str, **data: Any) -> None:
        of = {"task_id": str(self.reply.task_id), "attempt": self.reply.attempts}
        streams.publish(self.schema, self.conversation.id, name, {**of, **data})

    def answer(self, is_held: Any) -> None:
        if not self.reply.is_blocked:
            expect_query(self.agent.llm_settings.embedding_config(), self.reply.asked)
        self.publish(streams.STATUS, status="in_progress", message_id=str(self.question.id))
        report_progress(str(self.reply.task_id), 10, "Searching")
        if closed := closed_answer(self.agent, self.conversation):
            self._say(closed[0], [], notices=closed[1])
            return
        history = exchanges_before(self.question, limit=most_exchanges(self.conversation.max_context_length))
        self.asked_before = [exchange.question for exchange in history]
        question = self.reply.asked
        # The reply holds the refusal where the question was refused by its words, when it was sent.
        refusal = self.reply.content if self.reply.is_blocked else self.guard.refusal_of(question)
        if not refusal and self.agent.specialists is not None:
            question, refusal = self._pass_on(question, history)
        if refusal:
            self.publish(streams.DELTA, message_id=str(self.reply.id), text=refusal)
            self._finish(_Answer(refusal), [], is_blocked=True)
            return
        asking = prepare(self.agent, question, history, self.guard, self.conversation)
        self.failures = [*asking.failures]
        self.trace |= asking.kept
        self._lap("retrieval")
        if asking.request is None:
            self._say(self._own("no_answer"), asking.passages)
            return
        self.guard.begin_answer(asking.request, asking.passages)
        stream = AnswerStream(
            [row.candidate() for row in asking.candidates],
            asking.request,
            breaker=Circuits(self.schema),
            deadline=self.started + settings.TURN_DEADLINE_SECONDS,
            is_wanted=self.is_wanted,
        )
        try:
            self._ask(stream, is_held)
        finally:
            self._lap("generation" if "first_token" in self.timings else "first_token")
            self._account(self.given, asking.candidates[stream.place])
        self._finish(self.given, asking.passages)

    def _pass_on(self, question: str, history: Sequence[Exchange]) -> tuple[str, str]:
        """Let a specialist answer, under its own guardrails too. Returns the question, and a refusal of it if any."""
        chosen = route(self.agent, question, history, is_wanted=self.is_wanted)
        self.trace["route"], self.asked = chosen.kept, chosen.asked
        self._lap("routing")
        if self.asked and self.asked.is_stopped:
            raise StoppedError("The answer was stopped before it began.")
        if chosen.agent_id is None:
            return question, ""
        self.agent = agent_to_answer(chosen.agent_id)
        self.answered_by = self.agent
        self.guard = Guard.of(self.conversation, self.agent)
        taken = self.guard.take_question(question)
        if taken.text != question:
            self.trace["question"] = taken.text  # as the specialist's guardrails have masked it
        return taken.text, taken.refusal or self.guard.refusal_of(taken.text)

    def _own(self, code: str) -> str:
        return sentence(code, self.conversation.language)

    def _say(self, text: str, passages: Sequence[Passage], *, notices: Sequence[Notice] = ()) -> None:
        """Answer in the platform's or the company's words, without a model."""
        self.publish(streams.DELTA, message_id=str(self.reply.id), text=text)
        self._finish(_Answer(text, notices=notices), passages)

    def _lap(self, stage: str) -> None:
        self.timings[stage] = round(time.monotonic() - self.started - sum(self.timings.values()), 4)

    def _ask(self, stream: AnswerStream, is_held: Any) -> None:
        release_connection()  # a model may take a minute, and turns mostly wait for models
        stream.failures[:0] = self.failures
        self.failures = stream.failures
        answer = self.given
        pending, flushed = "", 0.0
        deadline = self.started + settings.TURN_DEADLINE_SECONDS
        with closing(self.guard.filtered(stream.deltas())) as deltas:
            for delta in deltas:
                if "first_token" not in self.timings and delta.text:
                    self._lap("first_token")
                pending += delta.text
                answer.usage = delta.usage or answer.usage
                now = time.monotonic()
                if pending and now - flushed >= FLUSH_SECONDS:
                    self._flush(answer, pending)
                    pending, flushed = "", now
                if now > deadline:
                    raise TurnTimeoutError("The model took too long to answer. Please try again.")
                if not is_held():
                    raise LostLeaseError
        self._flush(answer, pending)
        if stream.is_stopped:
            if not answer.text.strip():
                raise StoppedError("The answer was stopped before it began.")
            answer.warnings.append(self._own("stopped"))
            answer.notices = [notice("stopped")]
        elif not answer.text.strip():
            raise ProviderError("The model returned an empty answer. Please try again.")
        elif stream.ended_early:
            answer.warnings.append(stream.ended_early)

    def _account(self, answer: _Answer, row: LLMSettings) -> None:
        answer.model = row.llm_model.name
        self.trace["model"] = model_kept(row)
        self.is_written = not row.only_quotes
        if price := row.price:
            answer.cost, answer.currency = price.of(answer.usage), price.currency

    def _add_asking(self, answer: _Answer) -> None:
        """What it took to find the specialist. Costs of which one is unknown, or in another currency, are no sum."""
        asked, self.asked = self.asked, None
        if asked is None:
            return
        if not answer.model or answer.cost == 0:  # it was given without a model, or by one that is free
            answer.cost, answer.currency = asked.cost, asked.currency
        elif answer.cost is not None and asked.cost is not None and answer.currency == asked.currency:
            answer.cost += asked.cost
        answer.usage = answer.usage + asked.usage

    def _flush(self, answer: _Answer, text: str) -> None:
        if text:
            answer.text += text
            self.publish(streams.DELTA, message_id=str(self.reply.id), text=text)

    def _finish(self, answer: _Answer, passages: Sequence[Passage], *, is_blocked: bool = False) -> None:
        checked = (
            CheckedAnswer(answer.text, (), {}, ()) if is_blocked else self.guard.check_answer(answer.text, passages)
        )
        self._add_asking(answer)
        answer.model = answer.model or "none"
        is_blocked = is_blocked or self.guard.is_refused
        is_refusal = is_blocked or checked.text == self._own("no_answer")
        own = [notice(code) for code in ("no_answer", "refused") if checked.text == self._own(code)]
        masked = {
            number: self.guard.masked_in(passage, checked.quotes.get(number, ""))
            for number, passage in enumerate(passages, 1)
        }
        suggestions = [] if is_blocked else self._suggestions(checked, passages)
        with transaction.atomic():
            # The conversation's row first, as whoever takes it over locks it: then a person comes before this answer
            # or after it, and never into it.
            if not add_tokens(self.conversation, answer.usage.total_tokens):
                raise LostLeaseError
            self.may_be_followed = self.conversation.last_position > self.reply.position
            held = self._end(
                answer,
                status=MessageStatus.COMPLETED,
                content=checked.text,
                notices=[*answer.notices] or own,
                is_refusal=is_refusal,
                is_blocked=is_blocked,
                confidence_score=max((passage.evidence for passage in passages), default=0.0),
                warnings=[*checked.warnings, *answer.warnings],
                suggestions=suggestions,
            )
            if not held:
                raise LostLeaseError
            citations = self._save_citations(checked, passages, masked)
            self.guard.save_decisions(self.reply)
            if self.conversation.archived_at is None:  # a test's is archived from the start
                count_later(self.conversation.agent_id, messages=2)
                publish_message(EventType.MESSAGE_ANSWERED, self.reply, self.conversation)
            self._hand_over(is_refusal=is_refusal, is_blocked=is_blocked)
        self._tell(citations)

    def _hand_over(self, *, is_refusal: bool, is_blocked: bool) -> None:
        """If a rule of the agent asks for a person after such an answer."""
        reason = rule_after_answer(
            self.addressed, self.conversation, self.reply, is_refusal=is_refusal, is_blocked=is_blocked
        )
        if reason is not None and (
            handover := begin_if_free(self.conversation.pk, reason=reason, words=self.reply.asked)
        ):
            label = f"with {self.addressed.name}"
            record_event(
                actor=None, event_type="handover.requested", entity=handover, entity_label=label,
                changes={"reason": (None, reason)},
            )  # fmt: skip

    def _suggestions(self, checked: CheckedAnswer, passages: Sequence[Passage]) -> list[str]:
        """Made of what was found and not used: no model is asked, so nobody waits for them."""
        wanted = self.agent.suggests_follow_ups
        if wanted is None:
            wanted = self.is_written
        if not wanted or not checked.cited:
            return []
        found = [(passage.headings, passage.content) for passage in passages]
        topics = topics_beside(found, checked.cited, [*self.asked_before, self.reply.asked], checked.text)
        return [as_question(topic, self.guard.language) for topic in topics if self.guard.may_be_said(topic)]

    def _save_citations(
        self, checked: CheckedAnswer, passages: Sequence[Passage], masked: Mapping[int, dict[str, Any]]
    ) -> Sequence[Citation]:
        # A document may have been read anew, or purged, while the model spoke: the passage stays as it was.
        ids = [passage.chunk_id for passage in passages]
        chunks = set(DocumentChunk.everywhere.filter(pk__in=ids).values_list("pk", flat=True))
        documents = {passage.document_id for passage in passages if passage.chunk_id in chunks}
        if rest := {passage.document_id for passage in passages} - documents:
            documents |= set(Document.objects.filter(pk__in=rest).values_list("pk", flat=True))
        rows = [
            Citation(
                message=self.reply,
                number=number,
                document_id=passage.document_id if passage.document_id in documents else None,
                chunk_id=passage.chunk_id if passage.chunk_id in chunks else None,
                document_name=passage.document_name[:300],
                source_url=passage.source_url,
                content=passage.content,
                headings=list(passage.headings),
                quote=checked.quotes.get(number, ""),
                locator=passage.locator,
                score=passage.score,
                evidence=passage.evidence,
                is_cited=number in checked.cited,
                masked=masked[number],
            )
            for number, passage in enumerate(passages, 1)
        ]
        Citation.objects.bulk_create(rows)
        return rows

    def _end(self, answer: _Answer, **values: Any) -> bool:
        """Write these values, and what is kept of every turn. False: the lease is lost."""
        self.written = values | {
            "agent_version": None if self.reply.is_draft and not self.answered_by else self.agent.version or None,
            "answered_by": self.answered_by,
            "model_used": answer.model,
            "processing_time": round(time.monotonic() - self.started, 3),
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
            "cost": answer.cost,
            "cost_currency": answer.currency if answer.cost is not None else "",
            "model_failures": [asdict(failure) for failure in self.failures],
            "timings": self.timings,
            "trace": self.trace,
        }
        return self.reply.update_if_held(**self.written)

    def _tell(self, citations: Sequence[Citation]) -> None:
        """Once it is there for good. Nothing of it is read again."""
        for name, value in self.written.items():
            setattr(self.reply, name, value)
        self.reply._prefetched_objects_cache = {"citations": citations}  # type: ignore[attr-defined]  # Django's own name
        announce(self.reply)

    def fail(self, cause: str, code: str) -> None:
        self.may_be_followed = True
        given = self.given
        given.cost = given.cost or Decimal()  # what breaking off took is seldom told
        self._add_asking(given)
        given.cost = given.cost or None
        with transaction.atomic():
            if not self._end(given, status=MessageStatus.FAILED, content=given.text, error=cause, error_code=code):
                return
            if self.conversation.archived_at is None:
                publish_message(EventType.MESSAGE_FAILED, self.reply, self.conversation)
            self.conversation.refresh_from_db(fields=["owner"])
        self._tell([])


def announce(reply: Message) -> None:
    """Tell the task and the stream how a turn has ended. The lease is given up last: until then beat repeats this.

    Reads the reply's conversation, question, citations and who answered.
    """
    # Whoever holds the task's id, or listens, is not told what is wrong at the company.
    is_visitors = reply.conversation.entity_type == EntityType.LEAD
    record = message_record(reply, for_visitor=is_visitors, language=reply.conversation.language)
    event = {"task_id": str(reply.task_id), "status": reply.status, "message": record}
    if reply.conversation.owner != Owner.AGENT:
        streams.tell_inbox(current_schema(), reply.conversation_id, "message")
    if reply.status == MessageStatus.FAILED:
        event["error"] = record["error"]
        fail_task(str(reply.task_id), record["error"], "NO_ANSWER" if is_visitors else reply.error_code)
    else:
        complete_task(str(reply.task_id), task_result(reply))
    streams.publish(current_schema(), reply.conversation_id, streams.RESPONSE, event)
    if reply.is_taken_up and reply.status == MessageStatus.COMPLETED:
        # Nobody waits for it who has asked: they were told that a person has the question.
        streams.publish(current_schema(), reply.conversation_id, streams.MESSAGE, {"message": record})
    reply.end_lease()


def resume_abandoned(task: Task[Any, Any]) -> None:
    """Take up the turns of dead workers, those whose message was lost, and those whose end nobody was told."""
    ended = [MessageStatus.COMPLETED, MessageStatus.FAILED]
    for reply in Message.objects.filter(status__in=ended, lease_until__lt=timezone.now()).select_related(*RELATED):
        announce(reply)
    lost = Message.objects.filter(status=MessageStatus.PENDING, updated_at__lt=timezone.now() - timedelta(minutes=2))
    for reply in [*Message.abandoned(), *lost]:
        if reply.attempts >= MAX_ATTEMPTS:
            claimed = Message.claim(reply.pk, *RELATED)
            if claimed is not None:
                _Turn(claimed).fail("The answer could not be made. Please try again.", "TURN_ABANDONED")
                if (waiting := next_in_line(claimed)) is not None:
                    enqueue(task, str(waiting), expires=3600)
            continue
        Message.objects.filter(pk=reply.pk).update(updated_at=timezone.now())
        enqueue(task, str(reply.id), expires=3600)
