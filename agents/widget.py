"""The widget's files, read and packed once: the script, and its texts in each language."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agents.widget_settings import LANGUAGES

FOLDER = Path(__file__).parent / "static" / "agents"


@dataclass(frozen=True, slots=True)
class WidgetFile:
    body: bytes
    packed: bytes  # gzip
    etag: str
    content_type: str


@cache
def widget_script_file() -> WidgetFile:
    return _read(FOLDER / "widget.js", "application/javascript; charset=utf-8")


@cache
def widget_texts_file(language: str) -> WidgetFile | None:
    """None for a language that the widget does not speak; English is in the script."""
    if language not in LANGUAGES or language == "en":
        return None
    return _read(FOLDER / "widget" / f"{language}.json", "application/json; charset=utf-8")


def _read(path: Path, content_type: str) -> WidgetFile:
    body = path.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return WidgetFile(body, gzip.compress(body, 9, mtime=0), etag, content_type)
