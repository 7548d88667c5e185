"""The child process of `sandbox`: one JSON order as argument, JSON lines as answer on standard output."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import IO, Any

from documents.ingestion.base import EmptyDocumentError, IngestionError, TooLargeError
from documents.ingestion.limits import hold_memory

_PROGRESS_SECONDS = 0.25


def main(order: dict[str, Any]) -> int:
    # The answer has a stream of its own: what a library prints goes to standard error.
    answer = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    _limit(order["memory_mb"], order["cpu_seconds"], order["longest"] if order["page_seconds"] else 0)
    try:
        _write(answer, _ingest(order, answer))
    except IngestionError as error:
        _write(answer, {"kind": "error", "code": error.code, "message": str(error)})
    except MemoryError:
        message = "Reading this document took too much memory. Split it into smaller parts."
        _write(answer, {"kind": "error", "code": TooLargeError.code, "message": message})
    except Exception:
        # A fault of ours, or a file that no reader foresaw: the parent finds the trace on standard error.
        traceback.print_exc()
        return 1
    return 0


def _limit(memory_mb: int, cpu_seconds: int, longest: int) -> None:
    hold_memory(memory_mb)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, max(cpu_seconds + 5, longest)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _allow_page(seconds: int) -> None:
    """Computing time for the next page: recognising the one before has taken some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = min(int(time.process_time()) + seconds, hard)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_CPU, (wanted, hard))


def _ingest(order: dict[str, Any], answer: IO[str]) -> dict[str, Any]:
    from documents.ingestion.clean import clean_blocks
    from documents.ingestion.extract import extract
    from documents.ingestion.ocr import OcrOptions
    from documents.ingestion.split import split

    last_report = 0.0

    def progress(share: float, what: str) -> None:
        nonlocal last_report
        if what == "ocr" and order["page_seconds"]:
            _allow_page(order["page_seconds"])
        now = time.monotonic()
        if now - last_report >= _PROGRESS_SECONDS:
            last_report = now
            _write(answer, {"kind": "progress", "share": round(share, 3), "what": what})

    ocr = OcrOptions(enabled=order["ocr"]["enabled"], languages=tuple(order["ocr"]["languages"]))
    extraction = extract(Path(order["path"]), order["document_type"], ocr=ocr, progress=progress)
    chunks = split(clean_blocks(extraction.blocks), **order["chunking"])
    if not chunks:
        raise EmptyDocumentError(" ".join(["No text was found in this document.", *extraction.warnings]))
    return {
        "kind": "result",
        "chunks": [[chunk.text, chunk.locator, chunk.headings, chunk.word_count] for chunk in chunks],
        "page_count": extraction.page_count,
        "title": extraction.title,
        "warnings": extraction.warnings,
        "metadata": extraction.metadata,
        "ocr_seconds": extraction.ocr_seconds,
    }


def _write(answer: IO[str], message: dict[str, Any]) -> None:
    answer.write(json.dumps(message) + "\n")
    answer.flush()


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
