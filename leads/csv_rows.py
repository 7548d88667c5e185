"""A CSV file of leads, read row by row: never as a whole, whatever its encoding."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from knowrithm.errors import InvalidInputError
from leads.enums import LeadStatus

MAX_ROWS = 200_000
MAX_BYTES = 50 * 1024 * 1024
SHOWN = 120  # characters of a cell in a preview
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
    "consent_marketing": ("consentmarketing", "marketingconsent", "marketing", "newsletter", "optin"),
    "consent_data_processing": ("consentdataprocessing", "consent", "dataprocessing", "gdpr", "dsgvo", "rgpd"),
}
CONSENTS = {"consent_marketing": "marketing", "consent_data_processing": "the processing of data"}
YES, NO = {"yes", "y", "true", "1", "x", "ja", "oui", "si", "sí"}, {"no", "n", "false", "0", "nein", "non"}
_COLUMNS = {alias: name for name, aliases in NAMES.items() for alias in aliases}
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(slots=True)
class Row:
    """`line` of the file, from 1. `values` by the names of a lead's fields; `errors` are sentences."""

    line: int
    values: dict[str, Any]
    consents: dict[str, bool] = field(default_factory=dict)  # by the names of the fields; what is not said is not there
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


@dataclass(frozen=True, slots=True)
class Column:
    """Of the file's first line. `field` is that of a lead which it fills; empty for one that is not read."""

    name: str
    field: str

    @property
    def label(self) -> str:
        return self.field.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Preview:
    """How a file is understood. `rows` are the cells of its first rows, in the order of `columns`."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]

    @property
    def samples(self) -> list[tuple[Column, list[str]]]:
        """What the first rows have in each column."""
        return [(column, [row[place] for row in self.rows]) for place, column in enumerate(self.columns)]

    @property
    def is_partial(self) -> bool:
        return not all(column.field for column in self.columns)


def preview_of(file: IO[bytes], encoding: str, *, rows: int = 5) -> Preview:
    """Raises `InvalidInputError` as `rows_of`."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
    try:
        names, reader = _open(text)
        fields = [_column(name) for name in names]
        # Of two columns with one meaning the last is read.
        read = [field if field not in fields[place + 1 :] else "" for place, field in enumerate(fields)]
        filled = islice((cells for cells in reader if any(cell.strip() for cell in cells)), rows)
        shown = [
            [*(cell[:SHOWN] for cell in cells[: len(names)]), *[""] * (len(names) - len(cells))] for cells in filled
        ]
    finally:
        text.detach()  # the file stays the caller's
    return Preview([Column(name.strip()[:SHOWN], field) for name, field in zip(names, read, strict=True)], shown)


def rows_of(file: IO[bytes], encoding: str) -> Iterator[Row]:
    """Raises `InvalidInputError` when the file as a whole makes no sense: no address column, or too many rows."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
    try:
        yield from _rows(text)
    finally:
        text.detach()  # the file stays the caller's


def _open(text: io.TextIOWrapper) -> tuple[list[str], Any]:
    """The names of the columns, and a reader of what follows."""
    first = text.readline(MAX_FIELD)
    delimiter = max(",;\t", key=first.count)
    names = next(csv.reader([first], delimiter=delimiter), [])
    if "email" not in map(_column, names):
        raise _refused("The first line names the columns; one of them must be email.")
    return names, csv.reader((line.replace("\0", "") for line in text), delimiter=delimiter)


def _rows(text: io.TextIOWrapper) -> Iterator[Row]:
    names, reader = _open(text)
    columns = [_column(name) for name in names]
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
    consents: dict[str, bool] = {}
    for name, what in CONSENTS.items():
        if (said := given.get(name, "").lower()) in YES | NO:
            consents[name] = said in YES
        elif said:
            errors.append(f"The consent to {what} must be yes or no.")
    values["tags"] = list(dict.fromkeys(tag.strip()[:50] for tag in given.get("tags", "").split(",") if tag.strip()))[
        :20
    ]
    return Row(line, values, consents, errors)


def _column(name: str) -> str:
    return _COLUMNS.get(re.sub(r"[^a-z]", "", name.lower()), "")


def _refused(text: str) -> InvalidInputError:
    return InvalidInputError(text, fields={"file": [text]})
