"""The child process of `reader`: JSON orders on standard input, one line each; a JSON line as answer to each."""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from documents.ingestion.base import IngestionError, TooLargeError
from documents.ingestion.formats.text import read_text
from documents.ingestion.limits import hold_memory
from documents.ingestion.web.pages import declared_charset, read_page
from documents.ingestion.web.sitemaps import read_sitemap

MOST_MB = 4096


def main(cpu_seconds: int) -> None:
    # The answers have a stream of their own: what a library prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + cpu_seconds
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        order = json.loads(line)
        hold_memory(order["memory_mb"], most=MOST_MB)
        answers.write(json.dumps(_answer(order)) + "\n")
        answers.flush()


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    path = Path(order["path"])
    try:
        if order["kind"] == "sitemap":
            return {"result": asdict(read_sitemap(path.read_bytes(), order["url"]))}
        charset = declared_charset(order["content_type"], path.read_bytes()[:4096])
        text = path.read_bytes().decode(charset, "replace") if charset else read_text(path)
        return {"result": asdict(read_page(text, order["url"], robots_tag=order["robots_tag"]))}
    except IngestionError as error:
        return {"error": str(error), "code": error.code}
    except (MemoryError, RecursionError):
        return {"error": "Reading this page took too much memory.", "code": TooLargeError.code}
    except Exception:
        traceback.print_exc()  # a fault of ours, or a page that nobody foresaw
        message = "The page could not be read. It is damaged, or needs more memory than one page may."
        return {"error": message, "code": IngestionError.code}


if __name__ == "__main__":
    main(int(sys.argv[1]))
