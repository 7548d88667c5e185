"""Retrieval quality on public sets: nDCG@10 of the product against each of its two halves, computed plainly: BM25 by
the library bm25s, nearness in meaning by the embedder alone.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import bm25s
import numpy as np
import Stemmer
from django.test import override_settings
from rest_framework.test import APIClient

from agents.models import Agent
from benchmarks import corpora
from benchmarks.companies import company_with
from benchmarks.corpora import Corpus
from benchmarks.report import Row, at_least
from documents.retrieval import CANDIDATES, Passage, RetrievalSettings, retrieve
from knowrithm.db.schema import schema_name
from knowrithm.llm.providers.builtin import MiniLMEmbedder
from tenants.models import User
from tenants.services import start_session

DEPTH = 10
BM25S_K1, BM25S_B = 0.9, 0.4  # as the field compares on these sets
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
        fused = _quality(corpus, _by_api(agent, corpus.queries))
    dense = _quality(corpus, {query: _documents(passages, _dense) for query, passages in found.items()})
    lexical = _quality(corpus, {query: _documents(passages, _lexical) for query, passages in found.items()})
    plain_dense, library = _quality(corpus, _plain_dense(corpus)), _quality(corpus, _bm25s(corpus))
    name = f"{corpus.name} ({len(corpus.entries):,} documents, {len(corpus.queries)} queries)"
    return [
        Row(f"{name}: plain cosine", f"{plain_dense:.4f}"),
        Row(f"{corpus.name}: bm25s", f"{library:.4f}"),
        at_least(f"{corpus.name}: dense half / plain cosine", dense / plain_dense, 0.97, "×"),
        at_least(f"{corpus.name}: lexical half / bm25s", lexical / library, 0.97, "×"),
        Row(f"{corpus.name}: the product, by its API", f"{fused:.4f}"),
        at_least(f"{corpus.name}: the product / the better plain one", fused / max(plain_dense, library), goal, "×"),
    ]


def _search(agent: Agent, query: str) -> list[Passage]:
    """Every candidate of either half."""
    return retrieve(agent, query, question=query, settings=RetrievalSettings(top_k=2 * CANDIDATES))


def _by_api(agent: Agent, queries: Mapping[str, str]) -> dict[str, Ranking]:
    """What `POST /search/document` answers an admin of the company."""
    admin = User.objects.get(company__schema_name=schema_name())
    client = APIClient(headers={"Authorization": f"Bearer {start_session(user=admin).tokens.access}"})
    client.defaults["SERVER_NAME"] = "localhost"
    found: dict[str, Ranking] = {}
    with override_settings(RATE_LIMIT_ENABLED=False):
        for query, text in queries.items():
            body = {"agent_id": str(agent.pk), "query": text, "limit": 50, "include_content": False}
            results = client.post("/api/v1/search/document", body, format="json").json()["results"]
            found[query] = list(dict.fromkeys(result["document_name"] for result in results))[:DEPTH]
    return found


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


def _bm25s(corpus: Corpus) -> dict[str, Ranking]:
    """Over whole documents, by the library of that name: Lucene's formula, English stop words and stems."""

    def tokens(texts: Sequence[str]) -> Any:
        return bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False)

    index = bm25s.BM25(method="lucene", k1=BM25S_K1, b=BM25S_B)
    index.index(tokens([f"{item.title} {item.text}" for item in corpus.entries]), show_progress=False)
    names = np.array([item.id for item in corpus.entries])
    found, _ = index.retrieve(tokens(list(corpus.queries.values())), corpus=names, k=DEPTH, show_progress=False)
    return {query: [str(name) for name in ranking] for query, ranking in zip(corpus.queries, found, strict=True)}
