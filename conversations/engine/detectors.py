"""Finding personal data and secrets in a text. Every expression is RE2's, which takes linear time, and what a form
cannot tell alone a checksum does: a card's number is no order number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import re2

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Detector:
    """`label` is what stands in the place of what was found: `[e-mail address removed]`."""

    label: str
    expression: Any
    real: Callable[[str], bool | int] = len  # how many of the found characters are one, or whether all are

    def spans(self, text: str) -> Iterator[Span]:
        for match in self.expression.finditer(text):
            start, end = match.span()
            if length := self.real(match.group()):
                yield start, end if length is True else start + length


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def has_luhn(text: str) -> bool:
    """A payment card's number: 13 to 19 digits whose check digit is right, and not all the same."""
    digits = [int(digit) for digit in _digits(text)]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = (2 * digit - 9 if digit > 4 else 2 * digit for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """ISO 13616: moved by four, its letters as numbers, it leaves 1 when divided by 97."""
    compact = re.sub(r"[ -]", "", text).upper()
    moved = compact[4:] + compact[:4]
    return 15 <= len(compact) <= 34 and int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def iban_within(text: str) -> int:
    """How much of a text that begins like an IBAN is one: words may follow it without a sign between."""
    ends = [
        place
        for place in range(len(text), 14, -1)
        if text[place - 1].isalnum() and text[place : place + 1] in {"", " ", "-"}
    ]
    return next((end for end in ends if is_iban(text[:end])), 0)


def is_phone(text: str) -> bool:
    """International, or with a leading zero or an area code and separators. Dates, prices and versions are none."""
    count = len(_digits(text))
    compact = text.replace(" ", "")
    if compact.startswith(("+", "00")):
        return 8 <= count <= 15
    if re.fullmatch(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}", compact):
        return False  # a date
    if compact.startswith(("0", "(0")):
        return 9 <= count <= 12 and len(compact) + text.count(" ") > count
    return re.fullmatch(r"\(\d{3}\) ?\d{3}[ .-]?\d{4}|\d{3}([ .-])\d{3}\1\d{4}", text) is not None


def _is_dni(text: str) -> bool:
    """Spain: the letter is that of the number's remainder by 23."""
    compact = re.sub(r"[ -]", "", text).upper()
    number = compact[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == compact[-1]


def _is_nir(text: str) -> bool:
    """France: the last two digits complete the first thirteen to a multiple of 97."""
    compact = text.replace(" ", "").upper().replace("2A", "19").replace("2B", "18")
    return int(compact[:13]) % 97 == 97 - int(compact[13:])


def _is_steuer_id(text: str) -> bool:
    """Germany: ISO 7064 MOD 11,10; one digit stands twice or thrice among the first ten."""
    digits = _digits(text)
    counts = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    if counts[-1] not in (2, 3) or len(counts) < 8 or digits[0] == "0":
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def _is_ssn(text: str) -> bool:
    """The United States: areas that are given out."""
    area, group, serial = text.split("-")
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


_ID = "identity number"
_KEY = "secret"

DETECTORS: Mapping[str, tuple[Detector, ...]] = {
    "email": (Detector("e-mail address", re2.compile(r"[\pL\pN._%+-]+@(?:[\pL\pN-]+\.)+\pL\pL+")),),
    "phone": (Detector("telephone number", re2.compile(r"(?:\+|\b|\()\d[\d ().\-/]{6,22}\d\b"), is_phone),),
    "iban": (Detector("IBAN", re2.compile(r"(?i)\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}\b"), iban_within),),
    "card": (Detector("card number", re2.compile(r"\b\d(?:[ -]?\d){12,18}\b"), has_luhn),),
    "national_id": (
        Detector(_ID, re2.compile(r"\b\d{3}-\d{2}-\d{4}\b"), _is_ssn),
        Detector(_ID, re2.compile(r"(?i)\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b")),
        Detector(_ID, re2.compile(r"(?i)\b(?:\d{8}|[XYZ][ -]?\d{7})[ -]?[A-Z]\b"), _is_dni),
        Detector(_ID, re2.compile(r"(?i)\b[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b"), _is_nir),
        Detector(_ID, re2.compile(r"\b\d{2} ?\d{3} ?\d{3} ?\d{3}\b"), _is_steuer_id),
        Detector(_ID, re2.compile(r"(?i)\b[A-Z]{6}\d{2}[A-EHLMPR-T]\d{2}[A-Z]\d{3}[A-Z]\b")),
    ),
    "api_key": (
        Detector(
            _KEY,
            re2.compile(
                r"\b(?:sk-[\w-]{16,}|sk_[\w-]{16,}|ak_[\w-]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_\w{20,}"
                r"|github_pat_\w{20,}|glpat-[\w-]{16,}|AIza[\w-]{30,}|xox[abeprs]-[\w-]{10,}|hf_\w{20,}"
                r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
            ),
        ),
        Detector(
            _KEY,
            re2.compile(r"(?i)\b(?:api[ _-]?key|secret|password|passwd|token)\b[\"']?\s*[:=]\s*[\"']?[^\s\"']{8,}"),
        ),
        Detector(_KEY, re2.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s/@:]*:[^\s/@]+@[^\s\"']+")),
    ),
    "private_key": (
        Detector(
            "private key",
            re2.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)"),
        ),
    ),
}
PERSONAL = ("email", "phone", "iban", "card", "national_id")
SECRETS = ("api_key", "private_key")
