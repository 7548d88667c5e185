"""Public retrieval sets, read from the folder beside the project, in a company of their own."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from documents.ingestion.base import Block, Chunk
from documents.ingestion.clean import clean_blocks
from documents.ingestion.extract import extract
from documents.ingestion.ocr import OcrOptions
from documents.ingestion.split import embedding_text, split
from knowrithm.llm.providers.builtin import MiniLMEmbedder

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "retrieval"
VECTORS = Path(tempfile.gettempdir()) / "knowrithm-benchmark-vectors"
ABSENT = f"skipped: {FOLDER.name}/ with the public sets is not beside the project"

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Entry:
    """A document of a set, in the product's chunks."""

    id: str
    title: str
    text: str
    chunks: Sequence[Chunk]


@dataclass(frozen=True, slots=True)
class Corpus:
    """`vectors` are those of all entries' chunks, in order; `judged` holds relevance by query and document id."""

    name: str
    entries: Sequence[Entry]
    vectors: Vectors
    queries: dict[str, str]
    judged: dict[str, dict[str, int]]


def load(name: str) -> Corpus | None:
    """The set `scifact` or `msmarco`; None where it is absent. Embedding takes minutes the first time."""
    folder = FOLDER / name
    if not folder.exists():
        return None
    entries = [entry(row["_id"], row["title"], row["text"]) for row in _lines(folder / "corpus.jsonl")]
    known = {item.id for item in entries}
    judged: dict[str, dict[str, int]] = {}
    for query, document, grade in _judgements(folder):
        if document in known and grade > 0:
            judged.setdefault(query, {})[document] = grade
    queries = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl") if row["_id"] in judged}
    return Corpus(name, entries, vectors_of(entries), queries, judged)


def entry(identifier: str, title: str, text: str) -> Entry:
    """As if the document had been uploaded with its title as the heading."""
    headings = (title,) if title else ()
    return Entry(identifier, title, text, split([Block(text, {"type": "lines", "start": 1, "end": 1}, headings)]))


def vectors_of(entries: Sequence[Entry]) -> Vectors:
    """The embeddings of all chunks, kept between runs under the hash of the texts and of how the first is embedded."""
    model = MiniLMEmbedder()
    texts = [embedding_text(chunk, item.title) for item in entries for chunk in item.chunks]
    digest = hashlib.sha256("\0".join([str(model.embed_query(texts[0])), *texts]).encode()).hexdigest()
    kept = VECTORS / f"{digest[:32]}.npy"
    if kept.exists():
        found: Vectors = np.load(kept)
        return found
    vectors = np.array(model.embed_documents(texts), dtype=np.float32)
    VECTORS.mkdir(exist_ok=True)
    np.save(kept, vectors)
    return vectors


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _judgements(folder: Path) -> Iterable[tuple[str, str, int]]:
    for path in folder.glob("*.tsv"):
        with path.open(encoding="utf-8", newline="") as file:
            for query, document, grade in csv.reader(file, delimiter="\t"):
                if grade.isdecimal():  # not the header
                    yield query, document, int(grade)


def read_files(files: Mapping[str, str]) -> list[Entry]:
    """Files by name, read as an upload is."""
    entries = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            kind = path.suffix.removeprefix(".")
            extraction = extract(path, kind, ocr=OcrOptions(enabled=False), progress=lambda share, what: None)
            chunks = split(clean_blocks(extraction.blocks))
            entries.append(Entry(name, extraction.title or name, text, chunks))
    return entries
