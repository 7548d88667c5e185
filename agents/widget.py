"""The widget's files, read and packed once: the script without its comments, and its texts in each language."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agents.languages import LANGUAGES

FOLDER = Path(__file__).parent / "static" / "agents"


@dataclass(frozen=True, slots=True)
class WidgetFile:
    body: bytes
    packed: bytes  # gzip
    etag: str
    content_type: str


@cache
def widget_script_file() -> WidgetFile:
    text = (FOLDER / "widget.js").read_text(encoding="utf-8")
    return _file(without_comments(text).encode(), "application/javascript; charset=utf-8")


@cache
def widget_texts_file(language: str) -> WidgetFile | None:
    """None for a language that the widget does not speak; English is in the script."""
    if language not in LANGUAGES or language == "en":
        return None
    return _file((FOLDER / "widget" / f"{language}.json").read_bytes(), "application/json; charset=utf-8")


def without_comments(script: str) -> str:
    """Without comments, empty lines and indentation, which are a quarter of what is sent.

    The first line, which says what this is, stays. No text of the script may have a space before two slashes and one
    behind: the rest of its line would be taken for a comment.
    """
    code = re.sub(r"^ */\*\*.*?\*/\n", "", script, flags=re.MULTILINE | re.DOTALL)
    code = re.sub(r"(^| +)// .*", "", code, flags=re.MULTILINE)
    return re.sub(r"\n\s*", "\n", code)


def _file(body: bytes, content_type: str) -> WidgetFile:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return WidgetFile(body, gzip.compress(body, 9, mtime=0), etag, content_type)
