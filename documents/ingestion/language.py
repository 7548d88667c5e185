"""Which language a document is written in, by the letters that follow each other in it. Offline, no model of words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from documents.ingestion.base import Chunk

# ISO 639-1 → English name: the languages that are told apart. Fewer are mistaken less.
LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish",
    "fr": "French", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "kn": "Kannada", "ko": "Korean", "lt": "Lithuanian",
    "lv": "Latvian", "ml": "Malayalam", "mr": "Marathi", "nl": "Dutch", "no": "Norwegian", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sv": "Swedish",
    "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
_SAMPLES, _SAMPLE = 12, 600  # pieces from the whole document, characters of each
_LETTERS = re.compile(r"[^\W\d_]+")
# Fewer letters tell nothing; a sign of a script without an alphabet is worth a word.
_MIN_LETTERS, _MIN_SIGNS = 40, 8
_SIGNS = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_MIN_PROBABILITY = 0.9


def detect_language(chunks: Sequence[Chunk]) -> str:
    """The code of `LANGUAGES` of most of the document, or an empty text where that cannot be told."""
    step = max(1, len(chunks) // _SAMPLES)
    sample = " ".join(chunk.text[:_SAMPLE] for chunk in islice(chunks, 0, None, step))
    text = " ".join(_LETTERS.findall(sample))
    if len(text) < _MIN_LETTERS and len(_SIGNS.findall(text)) < _MIN_SIGNS:
        return ""
    language, probability = _identifier().classify(text)
    return str(language) if probability >= _MIN_PROBABILITY else ""


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """Takes half a second and 60 MB once: the reader of one document does not load it, a worker keeps it."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier
