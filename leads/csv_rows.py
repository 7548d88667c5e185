"""A CSV file of leads, read row by row: never as a whole, whatever its encoding."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from knowrithm.errors import InvalidInputError
from leads.enums import LeadStatus

MAX_ROWS = 200_000
MAX_BYTES = 50 * 1024 * 1024
MAX_FIELD = 20_000  # characters; more is a quotation mark that is never closed
PIECE = 256 * 1024
LIMITS = {"first_name": 100, "last_name": 100, "email": 254, "phone": 40, "source": 100, "notes": 5000}
NAMES = {
    "first_name": ("firstname", "first", "givenname", "vorname", "prenom", "name", "fullname"),
    "last_name": ("lastname", "last", "surname", "familyname", "nachname", "nom"),
    "email": ("email", "emailaddress", "mail", "emailadresse"),
    "phone": ("phone", "phonenumber", "telephone", "tel", "mobile", "telefon"),
    "source": ("source", "quelle"),
    "status": ("status",),
    "tags": ("tags", "labels"),
    "notes": ("notes", "note", "notizen"),
}
_COLUMNS = {alias: name for name, aliases in NAMES.items() for alias in aliases}
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(slots=True)
class Row:
    """`line` of the file, from 1. `values` by the names of a lead's fields; `errors` are sentences."""

    line: int
    values: dict[str, Any]
    errors: list[str] = field(default_factory=list)

    @property
    def fault(self) -> str:
        return " ".join(self.errors)


def encoding_of(file: IO[bytes]) -> str:
    """UTF-8 if all of it is, what a byte order mark says, or else what Western spreadsheets write."""
    file.seek(0)
    head = file.read(4)
    for mark, name in BOMS.items():
        if head.startswith(mark):
            return name
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := file.read(PIECE):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def rows_of(file: IO[bytes], encoding: str) -> Iterator[Row]:
    """Raises `InvalidInputError` when the file as a whole makes no sense: no address column, or too many rows."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
    try:
        yield from _rows(text)
    finally:
        text.detach()  # the file stays the caller's


def _rows(text: io.TextIOWrapper) -> Iterator[Row]:
    first = text.readline(MAX_FIELD)
    delimiter = max(",;\t", key=first.count)
    columns = [_column(name) for name in next(csv.reader([first], delimiter=delimiter), [])]
    if "email" not in columns:
        raise _refused("The first line names the columns; one of them must be email.")
    reader = csv.reader((line.replace("\0", "") for line in text), delimiter=delimiter)
    count = 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error:
            raise _refused(f"From line {reader.line_num + 1} on this is no CSV file.") from None
        if cells is None:
            return
        if any(len(cell) > MAX_FIELD for cell in cells):  # the reader's own limit is whatever others have set
            raise _refused(f"From line {reader.line_num + 1} on this is no CSV file.")
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > MAX_ROWS:
            raise _refused(f"A file may have at most {MAX_ROWS:,} rows. Split it.")
        yield _row(reader.line_num + 1, dict(zip(columns, cells, strict=False)))


def _row(line: int, cells: dict[str, str]) -> Row:
    # A download puts an apostrophe before what a spreadsheet would take for a formula.
    given = {name: re.sub(r"^\'(?=[=+\-@])", "", cell.strip()) for name, cell in cells.items() if name}
    values: dict[str, Any] = {name: given.get(name, "") for name in LIMITS}
    errors = [
        f"{name.replace('_', ' ').capitalize()} may have at most {limit} characters."
        for name, limit in LIMITS.items()
        if len(values[name]) > limit
    ]
    try:
        validate_email(values["email"])
    except ValidationError:
        errors.append("This is no e-mail address." if values["email"] else "The e-mail address is missing.")
    values["first_name"] = values["first_name"] or values["email"].partition("@")[0][:100]
    values["source"] = values["source"] or "import"
    values["status"] = given.get("status", "").lower() or LeadStatus.NEW.value
    if values["status"] not in LeadStatus.values:
        errors.append(f"The status must be one of {', '.join(LeadStatus.values)}.")
    values["tags"] = list(dict.fromkeys(tag.strip()[:50] for tag in given.get("tags", "").split(",") if tag.strip()))[
        :20
    ]
    return Row(line, values, errors)


def _column(name: str) -> str:
    return _COLUMNS.get(re.sub(r"[^a-z]", "", name.lower()), "")


def _refused(text: str) -> InvalidInputError:
    return InvalidInputError(text, fields={"file": [text]})
