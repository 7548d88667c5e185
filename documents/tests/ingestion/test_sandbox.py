"""Extraction in a child process: its limits, and every way that it can die.

A stand-in for the tesseract program, found first on PATH, misbehaves on a scanned page as a real one might.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from documents.ingestion.base import (
    DamagedDocumentError,
    EmptyDocumentError,
    EncryptedDocumentError,
    IngestionError,
    TooLargeError,
)
from documents.ingestion.ocr import OcrOptions
from documents.ingestion.sandbox import (
    ROOT,
    Chunking,
    ExtractionCancelledError,
    Limits,
    _Deadline,
    extract_limited,
    limits_for,
)
from documents.tests.ingestion.builders import lines_down, pdf_of, scan_of, write

PDF = pdf_of(lines_down(["Orders are shipped within two days."]))


def install_tesseract(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = folder / "programs"
    programs.mkdir()
    (programs / "tesseract").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "tesseract").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")


def ends(pid: int) -> bool:
    """Whether it ends within two seconds; a zombie that nobody has waited for yet has ended."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def wait_for(path: Path) -> int:
    for _ in range(500):
        if path.exists() and path.read_text().strip():
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError(f"{path} was not written")


def test_the_result_is_chunks_and_facts(tmp_path: Path) -> None:
    text = "# Returns\n\nGoods may be returned. Within thirty days.\n"
    result = extract_limited(write(tmp_path, "a.md", text), "md", chunking=Chunking(chunk_size=4, chunk_overlap=0))

    assert [(chunk.index, chunk.text, chunk.headings, chunk.word_count) for chunk in result.chunks] == [
        (0, "Goods may be returned.", ("Returns",), 4),
        (1, "Within thirty days.", ("Returns",), 3),
    ]
    assert result.chunks[0].locator == {"type": "section", "headings": ["Returns"], "start": 3, "end": 3}
    assert (result.page_count, result.title, result.warnings) == (None, "Returns", ())
    assert result.ocr_seconds is None


def test_it_works_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "json.py", "raise RuntimeError('the folder of the caller is not searched for modules')")
    write(tmp_path, "a.pdf", PDF)
    monkeypatch.chdir(tmp_path)
    result = extract_limited(Path("a.pdf"), "pdf")
    assert (result.page_count, [chunk.text for chunk in result.chunks]) == (1, ["Orders are shipped within two days."])


def test_errors_come_back_as_they_were(tmp_path: Path) -> None:
    with pytest.raises(DamagedDocumentError) as caught:
        extract_limited(write(tmp_path, "a.json", "[1,"), "json")
    assert str(caught.value) == "This is not valid JSON: Expecting value in line 1, column 4."


def test_a_document_without_text_says_why(tmp_path: Path) -> None:
    with pytest.raises(EmptyDocumentError) as caught:
        extract_limited(write(tmp_path, "a.pdf", scan_of(PDF)), "pdf", ocr=OcrOptions(enabled=False))
    assert str(caught.value) == (
        "No text was found in this document. Page 1 is scanned, and text recognition is switched off."
    )


def test_a_memory_bomb_ends_the_child_only(tmp_path: Path) -> None:
    bomb = write(tmp_path, "a.json", "[" + "[[]]," * 3_000_000 + "0]")
    with pytest.raises(TooLargeError) as caught:
        extract_limited(bomb, "json", limits=Limits(memory_mb=256))
    assert str(caught.value) == "Reading this document took too much memory. Split it into smaller parts."


def test_too_little_memory_to_start_is_no_crash_of_ours(tmp_path: Path) -> None:
    with pytest.raises(IngestionError):
        extract_limited(write(tmp_path, "a.pdf", PDF), "pdf", limits=Limits(memory_mb=8))


def test_the_deadline_kills_the_child_and_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_tesseract(tmp_path, f"echo $PPID > {tmp_path}/parent; echo $$ > {tmp_path}/pid; exec sleep 60", monkeypatch)
    with pytest.raises(TooLargeError) as caught:
        extract_limited(write(tmp_path, "a.pdf", scan_of(PDF)), "pdf", limits=Limits(wall_seconds=3))
    assert str(caught.value) == "Reading this document took too long. Split it into smaller parts."
    pids = [wait_for(tmp_path / name) for name in ("parent", "pid")]
    assert [ends(pid) for pid in pids] == [True, True]


def test_what_is_small_gets_little_and_only_what_may_be_recognised_gets_time_by_its_pages() -> None:
    small, large = 2**16, 40 * 2**20
    assert limits_for("json", small, memory_mb=1536) == Limits(480, 31, 127.5, 0, 3600)
    assert limits_for("pdf", small, memory_mb=1536) == Limits(480, 31, 127.5, 240, 3600)
    assert limits_for("json", large, memory_mb=1536) == Limits(1536, 830, 3600, 0, 3600)
    assert limits_for("xlsx", 200 * 2**20, memory_mb=600) == Limits(600, 3600, 3600, 0, 3600)


def test_each_recognised_page_puts_the_deadline_off_up_to_the_longest() -> None:
    deadline, bound = (
        _Deadline(Limits(wall_seconds=100, page_seconds=seconds, longest=2000)) for seconds in (1000, 9000)
    )
    first, longest = deadline.at, bound.at + 1900
    deadline.extend()
    bound.extend()
    assert deadline.at >= first + 900
    assert bound.at == longest
    unmoved = _Deadline(Limits(wall_seconds=100))
    before = unmoved.at
    unmoved.extend()
    assert unmoved.at == before


def test_each_recognised_page_gives_computing_time_up_to_the_longest() -> None:
    script = (
        "import resource; from documents.ingestion.__main__ import _allow_page, _limit;"
        "_limit(4000, 30, 900); _allow_page(20); print(*resource.getrlimit(resource.RLIMIT_CPU));"
        "_allow_page(1000); print(*resource.getrlimit(resource.RLIMIT_CPU))"
    )
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout == "30 900\n900 900\n"


def test_the_caller_can_cancel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_tesseract(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60", monkeypatch)
    path = write(tmp_path, "a.pdf", scan_of(PDF))
    with pytest.raises(ExtractionCancelledError):
        extract_limited(path, "pdf", cancelled=(tmp_path / "pid").exists)
    assert ends(wait_for(tmp_path / "pid"))


def test_an_error_of_the_callback_kills_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class LostError(Exception):
        pass

    def on_progress(share: float, what: str) -> None:
        raise LostError

    pages = [lines_down([f"Page {number}"]) for number in range(64)]
    with pytest.raises(LostError):
        extract_limited(write(tmp_path, "a.pdf", pdf_of(*pages)), "pdf", on_progress=on_progress)


@pytest.mark.parametrize(
    ("name", "error"),
    [("SEGV", DamagedDocumentError), ("ABRT", DamagedDocumentError), ("KILL", TooLargeError), ("XCPU", TooLargeError)],
)
def test_a_child_killed_by_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: type[IngestionError]
) -> None:
    install_tesseract(tmp_path, f"echo $$ > {tmp_path}/pid; kill -{name} $PPID; exec sleep 60", monkeypatch)
    with pytest.raises(IngestionError) as caught:
        extract_limited(write(tmp_path, "a.pdf", scan_of(PDF)), "pdf")
    assert type(caught.value) is error
    assert ends(wait_for(tmp_path / "pid"))


def test_a_program_that_talks_does_not_disturb_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_tesseract(tmp_path, 'echo \'{"kind": "result"}\' > /proc/$PPID/fd/1; exit 1', monkeypatch)
    with pytest.raises(IngestionError) as caught:
        extract_limited(write(tmp_path, "a.pdf", scan_of(PDF)), "pdf")
    assert caught.value.code != EncryptedDocumentError.code


def test_the_child_knows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "not for a parser")
    install_tesseract(tmp_path, f"env > {tmp_path}/env; kill -SEGV $PPID", monkeypatch)
    with pytest.raises(DamagedDocumentError):
        extract_limited(write(tmp_path, "a.pdf", scan_of(PDF)), "pdf")
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert "OMP_THREAD_LIMIT" in names
    assert names.isdisjoint({"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEY"})


def test_the_child_imports_only_what_a_format_needs() -> None:
    script = (
        "import sys; from documents.ingestion import __main__, clean, extract, ocr, split;"
        "heavy = {'django', 'numpy', 'onnxruntime', 'lxml', 'docx', 'pypdfium2', 'PIL', 'pytesseract'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
