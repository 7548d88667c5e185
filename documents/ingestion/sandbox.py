"""Extraction in a child process with limits: whatever a file does to its reader, the worker lives on."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from documents.ingestion.base import Chunk, DamagedDocumentError, IngestionError, TooLargeError
from documents.ingestion.extract import RECOGNISED
from documents.ingestion.ocr import PAGE_SECONDS, OcrOptions

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
# The child gets what its libraries need and none of the platform's secrets.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TESSDATA_PREFIX", "LD_LIBRARY_PATH", "SYSTEMROOT")
LONGEST = 3600  # seconds that any document may take
# Of files of up to two megabytes. With the programs and libraries that are mapped, up to 30 MB, less than 512 MB.
SMALL_FILE_MB = 480
_POLL_SECONDS = 0.5
_MAX_STDERR = 64 * 1024
# Every character of MAX_CHARACTERS as \uXXXX would be 120 MB; locators and overlap come on top.
_MAX_OUTPUT = 400 * 2**20


@dataclass(frozen=True, slots=True)
class Chunking:
    chunk_size: int = 220
    chunk_overlap: int = 40


@dataclass(frozen=True, slots=True)
class Limits:
    """`memory_mb` is memory that a process may write to, and holds for each process: the reader, and each tesseract
    that it starts. `cpu_seconds` too. `wall_seconds` holds for all.

    Each page that has been recognised gives both of the latter `page_seconds` from then, up to `longest` in all.
    """

    memory_mb: int = 2048
    cpu_seconds: int = 3600
    wall_seconds: float = 600.0
    page_seconds: int = 0
    longest: int = 3600


def limits_for(document_type: str, size: int, *, memory_mb: int) -> Limits:
    """What a worker grants a file of so many bytes, at most `memory_mb`. A bomb is small: what is small gets little.

    Only what may have to be recognised gets time by its pages.
    """
    megabytes = size / 2**20
    is_recognised = document_type in RECOGNISED
    return Limits(
        memory_mb=min(memory_mb, SMALL_FILE_MB + int(32 * max(megabytes - 2, 0))),
        cpu_seconds=min(30 + int(20 * megabytes), LONGEST),
        wall_seconds=min(120 + 120 * megabytes, LONGEST),
        page_seconds=2 * PAGE_SECONDS if is_recognised else 0,
        longest=LONGEST,
    )


@dataclass(frozen=True, slots=True)
class IngestionResult:
    """`warnings` are sentences for the user; `ocr_seconds` is None where nothing was to be recognised."""

    chunks: list[Chunk]
    page_count: int | None = None
    title: str = ""
    warnings: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    ocr_seconds: float | None = None


class ExtractionCancelledError(Exception):
    """The caller did not want the result any more."""


def extract_limited(
    path: Path,
    document_type: str,
    *,
    ocr: OcrOptions | None = None,
    chunking: Chunking | None = None,
    limits: Limits | None = None,
    on_progress: Callable[[float, str], None] = lambda share, what: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> IngestionResult:
    """Read a document in a child process.

    `on_progress(share, what)` is called here, in this thread, with a share from 0 to 1 and `text` or `ocr`;
    `cancelled` is asked twice a second. Raises an IngestionError for whatever is wrong with the document,
    ExtractionCancelledError, and what the callbacks raise; the child and its own children are dead in any case.
    """
    limits = limits or Limits()
    order = {
        "path": str(path.resolve()),
        "document_type": document_type,
        "ocr": asdict(ocr or OcrOptions()),
        "chunking": asdict(chunking or Chunking()),
        "memory_mb": limits.memory_mb,
        "cpu_seconds": limits.cpu_seconds,
        "page_seconds": limits.page_seconds,
        "longest": limits.longest,
    }
    with tempfile.TemporaryDirectory(prefix="ingestion-") as scratch, open(f"{scratch}/stderr", "w+b") as stderr:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module, the order is one argument
            [sys.executable, "-P", "-m", "documents.ingestion", json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=scratch,
            env=_environment(scratch),
            process_group=0,  # no session of its own, or the worker's nice value would not hold for it
        )
        try:
            result = _listen(child, limits, on_progress, cancelled)
        finally:
            _kill(child)
        if result is not None:
            return result
        stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - _MAX_STDERR))
        raise _death(child.returncode, stderr.read().decode(errors="replace"))


def _environment(scratch: str) -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed, "PYTHONPATH": str(ROOT), "TMPDIR": scratch, "OMP_THREAD_LIMIT": "1", "OPENBLAS_NUM_THREADS": "1"}


def _listen(
    child: subprocess.Popen[bytes],
    limits: Limits,
    on_progress: Callable[[float, str], None],
    cancelled: Callable[[], bool],
) -> IngestionResult | None:
    """Follow the child's lines to its result; None when it ended without one."""
    deadline = _Deadline(limits)
    for line in _lines(child, deadline, cancelled):
        try:
            message = json.loads(line)
            kind = message["kind"]
            if kind == "progress":
                share, what = float(message["share"]), str(message["what"])
                if what == "ocr":
                    deadline.extend()
            elif kind == "result":
                return _result(message)
            elif kind == "error":
                raise _error(message)
            else:
                return None
        except (ValueError, KeyError, TypeError):
            log.warning("the extraction process wrote a line that is not of the protocol: %.200r", line)
            return None
        on_progress(share, what)
    _await_exit(child)
    return None


class _Deadline:
    def __init__(self, limits: Limits) -> None:
        now = time.monotonic()
        self.at, self._last, self._page_seconds = now + limits.wall_seconds, now + limits.longest, limits.page_seconds

    def extend(self) -> None:
        """A page has been recognised."""
        self.at = max(self.at, min(time.monotonic() + self._page_seconds, self._last))


def _lines(child: subprocess.Popen[bytes], deadline: _Deadline, cancelled: Callable[[], bool]) -> Iterator[bytes]:
    if child.stdout is None:
        raise ValueError("the child's output is not a pipe")
    pending: list[bytes] = []
    received = 0
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        last_asked = time.monotonic()
        while True:
            now = time.monotonic()
            if now > deadline.at:
                raise TooLargeError("Reading this document took too long. Split it into smaller parts.")
            if now - last_asked >= _POLL_SECONDS:
                last_asked = now
                if cancelled():
                    raise ExtractionCancelledError
            if not selector.select(timeout=min(_POLL_SECONDS, max(deadline.at - now, 0.01))):
                continue
            data = os.read(child.stdout.fileno(), 1 << 16)
            if not data:
                return
            received += len(data)
            if received > _MAX_OUTPUT:
                raise TooLargeError("This document says more than one document may. Split it into smaller parts.")
            *complete, rest = data.split(b"\n")
            for line in complete:
                yield b"".join([*pending, line])
                pending = []
            pending.append(rest)


def _result(message: Mapping[str, Any]) -> IngestionResult:
    chunks = [
        Chunk(index, text, locator, tuple(headings), word_count)
        for index, (text, locator, headings, word_count) in enumerate(message["chunks"])
    ]
    return IngestionResult(
        chunks=chunks,
        page_count=message["page_count"],
        title=message["title"],
        warnings=tuple(message["warnings"]),
        metadata=message["metadata"],
        ocr_seconds=message["ocr_seconds"],
    )


def _error(message: Mapping[str, Any]) -> IngestionError:
    known = {error.code: error for error in (IngestionError, *IngestionError.__subclasses__())}
    return known.get(message["code"], IngestionError)(message["message"])


def _death(code: int, stderr: str) -> IngestionError:
    """Why a child ended without a word."""
    log.warning("the extraction process ended with code %s: %s", code, stderr[-2000:])
    if code == -signal.SIGXCPU:
        return TooLargeError("Reading this document took too much computing time. Split it into smaller parts.")
    if code == -signal.SIGKILL or "MemoryError" in stderr or "bad_alloc" in stderr:
        return TooLargeError("Reading this document took too much memory. Split it into smaller parts.")
    if code < 0:
        return DamagedDocumentError(
            "The document made its reader crash: it is damaged, or needs more memory than one document may take. "
            "Export it again and retry."
        )
    return IngestionError("The document could not be read. Export it again, or save it in another format.")


def _await_exit(child: subprocess.Popen[bytes]) -> None:
    """Give a child that has said its last a moment to end by itself; its exit status stays for `_kill` to collect."""
    for _ in range(200):
        if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.02)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and everything that it started."""
    # Before the child is waited for, its number cannot belong to another process group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()
