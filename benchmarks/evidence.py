"""Where to refuse: the evidence found for questions with and without an answer in what the agent has read.

The public sets stand for large collections: a question of one has no answer in the other. The handbook of a small shop
stands for what customers ask; half of its unanswerable questions are about the shop and only the answer is missing.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Collection, Sequence

from agents.models import Agent
from benchmarks import corpora, handbook
from benchmarks.companies import company_with
from benchmarks.corpora import Corpus
from benchmarks.report import Row, at_least, percentile
from documents.retrieval import EVIDENCE_THRESHOLD, retrieve

THRESHOLDS = (0.33, 0.36, 0.39, EVIDENCE_THRESHOLD, 0.43, 0.46, 0.49)
GOAL = 0.9
QUESTIONS = 150  # of each public set at most


def run() -> list[Row]:
    entries = corpora.read_files(handbook.FILES)
    with company_with(entries, corpora.vectors_of(entries)) as agent:
        answerable, unanswerable = _found(agent, handbook.ANSWERABLE), _found(agent, handbook.UNANSWERABLE)
    rows = _rows("handbook", answerable, unanswerable)
    answered, refused = 1 - _refused(answerable, EVIDENCE_THRESHOLD), _refused(unanswerable, EVIDENCE_THRESHOLD)
    rows.append(at_least("handbook: answerable questions answered", answered, GOAL))
    rows.append(at_least("handbook: unanswerable questions refused", refused, GOAL))
    sets = [corpora.load(name) for name in ("scifact", "msmarco")]
    if None in sets:
        return [*rows, Row("public sets", corpora.ABSENT)]
    scifact, msmarco = (corpus for corpus in sets if corpus)
    return [*rows, *_crossed(scifact, msmarco), *_crossed(msmarco, scifact)]


def _crossed(corpus: Corpus, other: Corpus) -> list[Row]:
    with company_with(corpus.entries, corpus.vectors) as agent:
        own, foreign = _found(agent, _sample(corpus)), _found(agent, _sample(other))
    return _rows(corpus.name, own, foreign)


def _sample(corpus: Corpus) -> Sequence[str]:
    questions = list(corpus.queries.values())
    return random.Random(1).sample(questions, min(QUESTIONS, len(questions)))


def _found(agent: Agent, questions: Collection[str]) -> list[float]:
    """The evidence of the best passage for each question."""
    return [
        max((passage.evidence for passage in retrieve(agent, question, question=question)), default=0.0)
        for question in questions
    ]


def _rows(name: str, answerable: Sequence[float], unanswerable: Sequence[float]) -> list[Row]:
    rows = [
        Row(f"{name}: evidence, {len(found)} {kind} (p5 p25 p50 p75 p95)", _percentiles(found))
        for kind, found in (("answerable", answerable), ("unanswerable", unanswerable))
    ]
    for threshold in THRESHOLDS:
        mark = " (in use)" if threshold == EVIDENCE_THRESHOLD else ""
        wrongly_refused = _refused(answerable, threshold)
        wrongly_answered = 1 - _refused(unanswerable, threshold)
        figure = f"{wrongly_refused:.0%} refused wrongly, {wrongly_answered:.0%} answered wrongly"
        rows.append(Row(f"{name}: threshold {threshold}{mark}", figure))
    return rows


def _percentiles(values: Sequence[float]) -> str:
    return " ".join(f"{percentile(values, share):.2f}" for share in (0.05, 0.25, 0.5, 0.75, 0.95))


def _refused(evidence: Sequence[float], threshold: float) -> float:
    return statistics.fmean(found < threshold for found in evidence)
