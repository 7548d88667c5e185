"""The languages that text recognition can read on this server, by tesseract's names of its packs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

import pycountry

DEFAULT = "eng"
_NOT_LANGUAGES = {"osd", "equ", "snum"}


def default_languages() -> list[str]:
    return [DEFAULT]


def installed() -> list[str]:
    """Empty where tesseract is not installed."""
    try:
        listed = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, timeout=10)  # noqa: S607  # found by PATH, as the readers find it
    except (OSError, subprocess.TimeoutExpired):
        return []
    # The first line is a heading; names with a slash are scripts, not languages.
    names = [line.strip() for line in listed.stdout.splitlines()[1:]]
    return sorted(name for name in names if name and "/" not in name and name not in _NOT_LANGUAGES)


def label(name: str) -> str:
    """`German (deu)`; the name alone where ISO 639 does not know it."""
    language = pycountry.languages.get(alpha_3=name.partition("_")[0])
    return f"{language.name} ({name})" if language else name


def packages(names: Iterable[str]) -> str:
    """The Debian packages of these packs."""
    return ", ".join(f"tesseract-ocr-{name.replace('_', '-').lower()}" for name in names)
