"""From the upload of a text to the search that finds it."""

from __future__ import annotations

import random
import statistics
import time

from benchmarks.platform import Customer, new_customer, running_platform
from benchmarks.report import Row, at_least, at_most, percentile
from benchmarks.words import prose
from documents.ingestion.base import Block
from documents.ingestion.split import embedding_text, split
from knowrithm.llm.providers.builtin import MiniLMEmbedder

ROUNDS = 12
CHARACTERS = 80_000


def run() -> list[Row]:
    whole: list[float] = []
    embedding: list[float] = []
    with running_platform() as address, new_customer(address) as customer:
        customer.await_processed(customer.upload("warm-up.txt", "A first text loads the model."))
        _embed("A first text loads the model.")
        for number in range(ROUNDS):
            text = f"{prose(CHARACTERS, random.Random(number))}\n\nThe codeword of file {number} is kestrel{number}."
            whole.append(_upload_and_find(customer, number, text))
            embedding.append(_embed(text))
    return [
        Row("upload → found, median", f"{statistics.median(whole):.2f} s"),
        at_most("upload → found, 95th percentile", percentile(whole, 0.95), 3, "s"),
        Row("embedding the same chunks, nothing else", f"{statistics.median(embedding):.2f} s"),
        at_least("of what embedding alone allows", statistics.median(embedding) / statistics.median(whole), 0.8),
    ]


def _upload_and_find(customer: Customer, number: int, text: str) -> float:
    started = time.perf_counter()
    document_id = customer.await_processed(customer.upload(f"file-{number}.txt", text))
    query = {"agent_id": customer.agent_id, "query": f"What is the codeword kestrel{number}?", "limit": 3}
    found = customer.post("/search/document", json=query)["results"]
    took = time.perf_counter() - started
    if document_id not in [result["document_id"] for result in found]:
        raise RuntimeError(f"The search does not find document {number}.")
    return took


def _embed(text: str) -> float:
    started = time.perf_counter()
    chunks = split([Block(text, {"type": "lines", "start": 1, "end": 1})])
    MiniLMEmbedder().embed_documents([embedding_text(chunk, "") for chunk in chunks])
    return time.perf_counter() - started
