"""Pages and sitemaps read in a child process with limits: whatever a site sends, the worker lives on."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from documents.ingestion.base import DamagedDocumentError, IngestionError, TooLargeError
from documents.ingestion.sandbox import limits_for
from documents.ingestion.web.pages import WebPage
from documents.ingestion.web.sitemaps import Sitemap

ROOT = Path(__file__).resolve().parents[3]
# The child gets what its libraries need and none of the platform's secrets.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
MEMORY_MB = 1024  # for the largest page; a small one gets less
SECONDS = 30
_MAX_ANSWER = 100 * 2**20


class PageReader:
    """One child for many pages; one that dies, or takes too long, is replaced for the next page."""

    def __init__(self, *, seconds: int = SECONDS) -> None:
        self._seconds = seconds  # of computing time for one page, and twice that by the clock
        self._child: subprocess.Popen[bytes] | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix="crawl-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end()
        self._scratch.cleanup()

    def read_page(self, body: bytes, url: str, *, content_type: str = "", robots_tag: str = "") -> WebPage:
        """Raises an `IngestionError` that says what is wrong with the page."""
        result = self._ask(body, kind="page", url=url, content_type=content_type, robots_tag=robots_tag)
        return WebPage(**{**result, "links": tuple(result["links"])})

    def read_sitemap(self, body: bytes, url: str) -> Sitemap:
        """Raises an `IngestionError`."""
        result = self._ask(body, kind="sitemap", url=url)
        return Sitemap(pages=tuple(result["pages"]), sitemaps=tuple(result["sitemaps"]))

    def _ask(self, body: bytes, **order: str) -> dict[str, Any]:
        path = Path(self._scratch.name) / "page"
        path.write_bytes(body)
        child = self._child or self._start()
        self._child = None  # unless it answers well
        try:
            memory_mb = limits_for("html", len(body), memory_mb=MEMORY_MB).memory_mb
            answer = self._exchange(child, {**order, "path": str(path), "memory_mb": memory_mb})
        except (OSError, ValueError):  # it has died, or babbles
            _kill(child)
            raise DamagedDocumentError("The page made its reader crash, or needs more memory than allowed.") from None
        except BaseException:
            _kill(child)
            raise
        self._child = child
        if "error" in answer:
            raise _error(answer)
        result: dict[str, Any] = answer["result"]
        return result

    def _start(self) -> subprocess.Popen[bytes]:
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module, with a number
            [sys.executable, "-P", "-m", "documents.ingestion.web", str(self._seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._scratch.name,
            env={**passed, "PYTHONPATH": str(ROOT), "TMPDIR": self._scratch.name, "OPENBLAS_NUM_THREADS": "1"},
            process_group=0,  # no session of its own, or the worker's nice value would not hold for it
        )

    def _exchange(self, child: subprocess.Popen[bytes], order: dict[str, Any]) -> dict[str, Any]:
        if child.stdin is None or child.stdout is None:
            raise ValueError("the child has no pipes")
        child.stdin.write(json.dumps(order).encode() + b"\n")
        child.stdin.flush()
        deadline = time.monotonic() + 2 * self._seconds  # by the clock: the machine may be busy
        pieces: list[bytes] = []
        size = 0
        while not (pieces and pieces[-1].endswith(b"\n")):
            if not select.select([child.stdout], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TooLargeError("Reading this page took too long.")
            pieces.append(os.read(child.stdout.fileno(), 1 << 16))
            size += len(pieces[-1])
            if not pieces[-1]:
                raise OSError("the child has ended")
            if size > _MAX_ANSWER:
                raise TooLargeError("This page says more than one page may.")
        answer: dict[str, Any] = json.loads(b"".join(pieces))
        return answer

    def _end(self) -> None:
        if self._child is not None:
            _kill(self._child)
            self._child = None


def _error(answer: dict[str, Any]) -> IngestionError:
    known = {error.code: error for error in (IngestionError, *IngestionError.__subclasses__())}
    return known.get(answer["code"], IngestionError)(answer["error"])


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
