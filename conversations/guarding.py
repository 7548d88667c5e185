"""What guardrails do in a turn: which ones hold, what they make of question and answer, and the log of it."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from agents.models import Agent
from conversations.engine.citations import CheckedAnswer, check_citations
from conversations.engine.guardrails import (
    REMOVED,
    Decision,
    Kind,
    Outflow,
    Rule,
    Secrecy,
    Stage,
    Verdict,
    check_text,
    check_topics,
    leak,
    parse_rules,
    secrecy_of,
)
from conversations.engine.prompt import instructions_of
from conversations.engine.safety import host_of, make_safe
from conversations.enums import TopicEmbedder
from conversations.models import Conversation, Guardrail, GuardrailDecision, Message
from conversations.wording import sentence
from documents.embeddings import Vector, embed, release_before
from documents.retrieval import NO_FILTERS, Filters, Passage
from knowrithm.db.compiled import CompiledQuery
from knowrithm.llm.base import ChatDelta, ChatRequest, ProviderConfig
from knowrithm.llm.fallback import with_retry
from knowrithm.llm.registry import embedder

BUILTIN_EMBEDDER = ProviderConfig(provider="builtin", model="all-MiniLM-L6-v2")


_ACTIVE: CompiledQuery[Guardrail] = CompiledQuery(lambda: Guardrail.objects.filter(is_active=True))


def guardrails_of(conversation: Conversation, agent_id: uuid.UUID) -> list[Guardrail]:
    """The ones that hold in it: of all, of its agent and the specialist that answers, and of the key that began it."""
    return [row for row in _ACTIVE[:] if row.holds_in(conversation, agent_id)]


def rules_of(rows: Iterable[Guardrail], language: str = "") -> tuple[Rule, ...]:
    return tuple(
        rule
        for row in rows
        for rule in parse_rules(
            row.rules, guardrail=str(row.id), refusal=row.refusal_text or sentence("refused", language)
        )
    )


def reach_of(rows: Iterable[Guardrail]) -> Filters:
    """What all of them let through."""
    allowed: frozenset[uuid.UUID] | None = None
    has_own = True
    for row in rows:
        has_own = has_own and row.allows_own_documents
        if row.dataset_ids is not None:
            allowed = frozenset(row.dataset_ids) if allowed is None else allowed & frozenset(row.dataset_ids)
    return (
        NO_FILTERS
        if allowed is None and has_own
        else replace(NO_FILTERS, allowed_datasets=allowed, own_documents=has_own)
    )


def _left_of(verdict: Verdict) -> str:
    return REMOVED if verdict.refusal else verdict.text


@dataclass
class Guard:
    """The guardrails of one turn. Made anew for each attempt; its decisions are saved with the answer."""

    rows: Sequence[Guardrail]
    agent: Agent
    language: str = ""  # of the platform's own refusals
    decisions: list[Decision] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    is_refused: bool = False
    _outflow: Outflow | None = None
    _secrecy: Secrecy = field(default_factory=Secrecy)
    _passages: Sequence[Passage] = ()
    _checked: CheckedAnswer | None = None

    @classmethod
    def of(cls, conversation: Conversation, agent: Agent) -> Guard:
        return cls(guardrails_of(conversation, agent.pk), agent, conversation.language)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        return rules_of(self.rows, self.language)

    @cached_property
    def filters(self) -> Filters:
        return reach_of(self.rows)

    # --- The question

    def take_question(self, text: str) -> Verdict:
        """When it is sent: what is masked is never stored, and what is refused by its words is known at once."""
        return self._note(check_text(text, Stage.INPUT, self.rules))

    def refusal_of(self, question: str) -> str:
        """When it is to be answered: whether it is about something that is refused. Empty if it may be answered."""
        return self._note(check_topics(question, Stage.INPUT, self.rules, self.similarity)).refusal

    def similarity(self, rule: Rule, text: str) -> float:
        """Of the text to the nearest of the rule's examples, whose vectors are kept. Raises `ProviderError`."""
        row = next((row for row in self.rows if str(row.id) == rule.guardrail), None)
        is_own = row is not None and row.topic_embedder == TopicEmbedder.COMPANY
        config = self.agent.llm_settings.embedding_config() if is_own else BUILTIN_EMBEDDER
        model = embedder(config)

        def vectors() -> tuple[list[Vector], list[float]]:
            examples, _ = embed(model, config, rule.values, on_progress=lambda _: None)
            release_before(config)
            return examples, model.embed_documents([text])[0]

        examples, asked = with_retry(vectors)
        return float(max(np.asarray(examples) @ np.asarray(asked)))

    def fact(self, text: str) -> str:
        """What is known of who asks, as a question with it would go on; empty where that is refused."""
        verdict = check_text(text, Stage.INPUT, self.rules)
        return "" if verdict.refusal else verdict.text

    # --- The answer

    def begin_answer(self, request: ChatRequest, passages: Sequence[Passage]) -> None:
        self._secrecy, self._passages = secrecy_of(instructions_of(request)), passages
        hosts = self._hosts(passages)

        def clean(text: str, in_code: bool) -> str:
            return make_safe(text, link_hosts=hosts, image_hosts=self._own_hosts, in_code=in_code).text

        self._outflow = Outflow(self.rules, clean, self._secrecy, sentence("refused", self.language))

    def filtered(self, deltas: Generator[ChatDelta, None, None]) -> Generator[ChatDelta, None, None]:
        """The model's stream as it may go out: a delta for each, so that whoever listens keeps its beat."""
        outflow = self._outflow
        assert outflow is not None  # noqa: S101  # begin_answer comes first
        with closing(deltas):
            for delta in deltas:
                yield replace(delta, text=outflow.push(delta.text))
                if outflow.refusal:
                    break  # what more it would say is not wanted
            yield ChatDelta(outflow.close())
            if outflow.is_withheld and outflow.raw.strip():
                yield ChatDelta(self.check_answer("", self._passages).text)
            elif outflow.refusal:
                yield ChatDelta(f"\n\n{outflow.refusal}" if outflow.has_spoken else outflow.refusal)

    def check_answer(self, said: str, passages: Sequence[Passage]) -> CheckedAnswer:
        """The whole answer: its citations checked, then its rules kept, then made safe to show."""
        if self._checked is None:
            self._checked = self._check_answer(self._outflow.raw if self._outflow else said, passages)
        return self._checked

    def _check_answer(self, raw: str, passages: Sequence[Passage]) -> CheckedAnswer:
        contents = {number: passage.content for number, passage in enumerate(passages, 1)}
        checked = check_citations(raw, contents)
        verdict = (
            leak(checked.text, sentence("refused", self.language))
            if self._secrecy.is_told_in(raw)
            else self._check_output(checked.text)
        )
        self._note(verdict)
        if verdict.refusal:
            self.is_refused = True
            return CheckedAnswer(verdict.refusal, (), {}, ())
        cited = [passages[number - 1] for number in checked.cited]
        safe = make_safe(verdict.text, link_hosts=self._hosts(cited), image_hosts=self._own_hosts)
        return replace(checked, text=safe.text, warnings=(*checked.warnings, *safe.removed))

    def masked_in(self, passage: Passage, quote: str) -> dict[str, Any]:
        """What may be shown of a source where that is not what stands there: by the names of a citation's fields.

        A rule that refuses leaves nothing of a field. Raises `ProviderError`.
        """
        if not any(Stage.OUTPUT in rule.stages for rule in self.rules):
            return {}
        told = {"content": self._shown(passage.content), "quote": self._shown(quote) if quote else ""}
        named = {
            "document_name": passage.document_name,
            "source_url": passage.source_url,
            "headings": list(passage.headings),
            "locator": dict(passage.locator),
        }
        shown = told | {name: self._relabelled(value) for name, value in named.items()}
        if shown["source_url"] != passage.source_url:
            shown["source_url"] = ""  # what is left of it leads nowhere
        raw = named | {"content": passage.content, "quote": quote}
        return {name: value for name, value in shown.items() if value != raw[name]}

    def _shown(self, text: str) -> str:
        return _left_of(self._check_output(text))

    def _relabelled(self, value: Any) -> Any:
        """The texts in it by words, patterns and what is found in them: a name is not about a topic."""
        if isinstance(value, str):
            return _left_of(check_text(value, Stage.OUTPUT, self.rules))
        if isinstance(value, list):
            return [self._relabelled(one) for one in value]
        if isinstance(value, dict):
            return {name: self._relabelled(one) for name, one in value.items()}
        return value

    def may_be_said(self, text: str) -> bool:
        """Whether a text beside the answer goes out as it is: no rule refuses or masks it, and it links nowhere."""
        is_kept = not check_text(text, Stage.OUTPUT, self.rules).decisions
        return is_kept and make_safe(text, image_hosts=(), link_hosts=()).text == text

    def _check_output(self, text: str) -> Verdict:
        verdict = check_text(text, Stage.OUTPUT, self.rules)
        if verdict.refusal or not any(rule.kind == Kind.TOPIC and Stage.OUTPUT in rule.stages for rule in self.rules):
            return verdict
        topics = check_topics(verdict.text, Stage.OUTPUT, self.rules, self.similarity)
        return replace(topics, decisions=(*verdict.decisions, *topics.decisions))

    @cached_property
    def _own_hosts(self) -> frozenset[str]:
        return frozenset(host for row in self.rows for host in row.link_hosts)

    def _hosts(self, passages: Iterable[Passage]) -> frozenset[str]:
        return self._own_hosts | {host for passage in passages if (host := host_of(passage.source_url))}

    # --- The log

    def _note(self, verdict: Verdict) -> Verdict:
        self.decisions += verdict.decisions
        return verdict

    def save_decisions(self, reply: Message) -> None:
        names: Mapping[str, str] = {str(row.id): row.name for row in self.rows}
        if not self.decisions:
            return
        still_there = Guardrail.objects.select_for_update(no_key=True).filter(pk__in=[row.pk for row in self.rows])
        known = {str(pk) for pk in still_there.values_list("pk", flat=True)}
        GuardrailDecision.objects.bulk_create(
            GuardrailDecision(
                guardrail_id=uuid.UUID(made.guardrail) if made.guardrail in known else None,
                guardrail_name=names.get(made.guardrail, ""),
                message=reply,
                stage=made.stage,
                action=made.action,
                rule=made.rule[:200],
                kind=made.kind,
                count=made.count,
                similarity=made.similarity,
                excerpt=made.excerpt[:300],
            )
            for made in self.decisions
        )
        self.decisions = []
