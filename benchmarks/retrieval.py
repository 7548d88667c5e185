"""Retrieval quality on public sets: nDCG@10 of the product against each of its two halves, computed plainly."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from agents.models import Agent
from benchmarks import corpora
from benchmarks.companies import company_with
from benchmarks.corpora import Corpus
from benchmarks.report import Row, at_least
from documents.ingestion.lexical import K1, B, terms
from documents.retrieval import CANDIDATES, Passage, RetrievalSettings, retrieve
from knowrithm.llm.providers.builtin import MiniLMEmbedder

DEPTH = 10
# Share of the better half that the fused ranking must reach. The second set is one where words help little.
GOALS = {"scifact": 1.06, "msmarco": 0.98}

Ranking = Sequence[str]


def run() -> list[Row]:
    rows: list[Row] = []
    for name, goal in GOALS.items():
        corpus = corpora.load(name)
        rows += _measure(corpus, goal) if corpus else [Row(name, corpora.ABSENT)]
    return rows


def _measure(corpus: Corpus, goal: float) -> list[Row]:
    with company_with(corpus.entries, corpus.vectors) as agent:
        found = {query: _search(agent, text) for query, text in corpus.queries.items()}
    fused = _quality(corpus, {query: _documents(passages, _fused) for query, passages in found.items()})
    dense = _quality(corpus, {query: _documents(passages, _dense) for query, passages in found.items()})
    lexical = _quality(corpus, {query: _documents(passages, _lexical) for query, passages in found.items()})
    plain_dense, plain_lexical = _quality(corpus, _plain_dense(corpus)), _quality(corpus, _plain_bm25(corpus))
    name = f"{corpus.name} ({len(corpus.entries):,} documents, {len(corpus.queries)} queries)"
    return [
        Row(f"{name}: plain cosine", f"{plain_dense:.4f}"),
        Row(f"{corpus.name}: plain BM25", f"{plain_lexical:.4f}"),
        at_least(f"{corpus.name}: dense half / plain cosine", dense / plain_dense, 0.97, "×"),
        at_least(f"{corpus.name}: lexical half / plain BM25", lexical / plain_lexical, 0.97, "×"),
        Row(f"{corpus.name}: the product", f"{fused:.4f}"),
        at_least(
            f"{corpus.name}: the product / the better plain one", fused / max(plain_dense, plain_lexical), goal, "×"
        ),
    ]


def _search(agent: Agent, query: str) -> list[Passage]:
    """Every candidate of either half."""
    return retrieve(agent, query, question=query, settings=RetrievalSettings(top_k=2 * CANDIDATES))


def _fused(passage: Passage) -> float:
    return passage.score


def _dense(passage: Passage) -> float:
    return passage.dense


def _lexical(passage: Passage) -> float:
    return passage.lexical


def _documents(passages: Iterable[Passage], score: Callable[[Passage], float]) -> Ranking:
    """Documents by their best passage."""
    ordered = sorted(passages, key=score, reverse=True)
    return list(dict.fromkeys(passage.document_name for passage in ordered))[:DEPTH]


def _quality(corpus: Corpus, rankings: Mapping[str, Ranking]) -> float:
    return statistics.fmean(ndcg(rankings[query], corpus.judged[query]) for query in corpus.queries)


def ndcg(ranking: Ranking, relevance: Mapping[str, int]) -> float:
    """nDCG@10 with the grade itself as gain, as trec_eval has it."""
    best = sorted(relevance.values(), reverse=True)[:DEPTH]
    gained = [relevance.get(document, 0) for document in ranking[:DEPTH]]
    return _discounted(gained) / _discounted(best)


def _discounted(gains: Iterable[int]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))


def _plain_dense(corpus: Corpus) -> dict[str, Ranking]:
    owners = [item.id for item in corpus.entries for _ in item.chunks]
    model = MiniLMEmbedder()
    found: dict[str, Ranking] = {}
    for query, text in corpus.queries.items():
        order = np.argsort(-(corpus.vectors @ np.array(model.embed_query(text), dtype=np.float32)))
        found[query] = list(dict.fromkeys(owners[index] for index in order[: 5 * DEPTH]))[:DEPTH]
    return found


def _plain_bm25(corpus: Corpus) -> dict[str, Ranking]:
    """Over whole documents, with the product's terms and Lucene's formula."""
    lengths: dict[str, int] = {}
    postings: dict[str, dict[str, int]] = {}
    for item in corpus.entries:
        counts = Counter(terms(f"{item.title} {item.text}"))
        lengths[item.id] = counts.total()
        for term, count in counts.items():
            postings.setdefault(term, {})[item.id] = count
    average, total = statistics.fmean(lengths.values()), len(lengths)
    found: dict[str, Ranking] = {}
    for query, text in corpus.queries.items():
        scores: dict[str, float] = defaultdict(float)
        for term in set(terms(text)):
            documents = postings.get(term, {})
            weight = math.log(1 + (total - len(documents) + 0.5) / (len(documents) + 0.5))
            for document, count in documents.items():
                norm = K1 * (1 - B + B * lengths[document] / average)
                scores[document] += weight * count / (count + norm)
        found[query] = sorted(scores, key=scores.__getitem__, reverse=True)[:DEPTH]
    return found
