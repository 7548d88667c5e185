"""Plain text, and the decoding that every text format shares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from documents.ingestion.base import Block, Extraction, TooLargeError
from documents.ingestion.limits import MAX_CHARACTERS

_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
# Guessing an encoding costs time that grows with the sample.
_SAMPLE = 64 * 1024
# A paragraph is cut at the end of a line about here, so that its lines stay a precise place.
_SOFT_WORDS, _HARD_WORDS = 60, 150
_SENTENCE_END = re.compile(r"[.!?:;。！？]['\"”’)\]]*\s*$")
_NEWLINE = re.compile(r"\r\n|\r|\n")


def extract(path: Path) -> Extraction:
    lines = read_text(path).split("\n")
    return Extraction(tuple(Block(text, lines_locator(start, end)) for text, start, end in paragraphs(lines)))


def read_text(path: Path) -> str:
    """The file as text, its lines ended by `\\n`. Undecodable bytes become U+FFFD."""
    # Four bytes are the longest character: more cannot be fewer than MAX_CHARACTERS.
    with path.open("rb") as file:
        data = file.read(4 * MAX_CHARACTERS + 1)
    text = "" if len(data) > 4 * MAX_CHARACTERS else _decode(data)
    if len(data) > 4 * MAX_CHARACTERS or len(text) > MAX_CHARACTERS:
        raise TooLargeError(f"The file holds more than {MAX_CHARACTERS:,} characters. Split it into parts.")
    return _NEWLINE.sub("\n", text) if "\r" in text else text


def _decode(data: bytes) -> str:
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start > 0 and len(data) > 1000 and data.count(b"\xef\xbf\xbd") == 0 and _is_mostly_utf8(data):
            return data.decode("utf-8", errors="replace")
    import charset_normalizer

    best = charset_normalizer.from_bytes(data[:_SAMPLE]).best()
    return data.decode(best.encoding if best else "cp1252", errors="replace")


def _is_mostly_utf8(data: bytes) -> bool:
    """A file in UTF-8 with a few broken bytes, not a file in another encoding."""
    sample = data[:_SAMPLE]
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    beyond_ascii = sum(character > "\x7f" for character in text)
    return broken * 10 < beyond_ascii


def paragraphs(lines: list[str], first: int = 1) -> Iterator[tuple[str, int, int]]:
    """(text, start, end) of each run of lines without a blank one; `first` is the number of the first line."""
    run: list[str] = []
    words = 0
    for number, line in enumerate([*lines, ""], first):
        is_blank = not line.strip()
        if not is_blank:
            run.append(line.rstrip())
            words += line.count(" ") + 1
        is_long = words >= _HARD_WORDS or (words >= _SOFT_WORDS and _SENTENCE_END.search(line))
        if run and (is_blank or is_long):
            end = number - 1 if is_blank else number
            yield "\n".join(run), end - len(run) + 1, end
            run, words = [], 0


def lines_locator(start: int, end: int) -> dict[str, object]:
    return {"type": "lines", "start": start, "end": end}
