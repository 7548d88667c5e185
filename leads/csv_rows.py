"""A CSV file of leads, read row by row: never as a whole, whatever its encoding."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from agents.models import LeadField
from knowrithm.errors import InvalidInputError
from leads.enums import Encoding, LeadStatus
from leads.field_values import NO, YES, FieldValueError, value_of_text

MAX_ROWS = 200_000
MAX_BYTES = 50 * 1024 * 1024
SHOWN = 120  # characters of a cell in a preview
MAX_FIELD = 20_000  # characters; more is a quotation mark that is never closed
PIECE = 256 * 1024
UNREADABLE = "\N{REPLACEMENT CHARACTER}"  # what bytes become that are no letter in the file's encoding
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
_COLUMNS = {alias: name for name, aliases in NAMES.items() for alias in aliases}
OWN = "custom_fields."  # before the key of a field that the company has defined
BOMS = {
    codecs.BOM_UTF8: Encoding.UTF_8, codecs.BOM_UTF16_LE: Encoding.UTF_16, codecs.BOM_UTF16_BE: Encoding.UTF_16,
}  # fmt: skip
CODECS: dict[str, str] = {  # where Python means less by the name, or does not know it
    Encoding.UTF_8: "utf-8-sig", Encoding.BIG5: "cp950", Encoding.SHIFT_JIS: "cp932", Encoding.EUC_KR: "cp949",
    Encoding.WINDOWS_874: "cp874",
}  # fmt: skip


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


def encoding_of(file: IO[bytes]) -> Encoding:
    """What a byte order mark says, UTF-8 if it is that but for some damage, or else what Western spreadsheets write.

    Letters of an encoding with one byte for each are next to never UTF-8 by chance.
    """
    file.seek(0)
    head = file.read(4)
    for mark, name in BOMS.items():
        if head.startswith(mark):
            return name
    try:
        for _ in _as_utf8(file, "strict"):
            pass
    except UnicodeDecodeError:
        whole = damaged = 0
        for text in _as_utf8(file, "replace"):
            lost = text.count(UNREADABLE)
            whole += len(text) - len(text.encode("ascii", "ignore")) - lost
            damaged += lost
        return Encoding.UTF_8 if damaged <= whole else Encoding.WINDOWS_1252
    return Encoding.UTF_8


def _as_utf8(file: IO[bytes], errors: str) -> Iterator[str]:
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    while piece := file.read(PIECE):
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


@dataclass(frozen=True, slots=True)
class Column:
    """Of the file's first line. `field` is that of a lead which it fills; empty for one that is not read. One of the
    company's own is `custom_fields.` and its key.
    """

    name: str
    field: str
    label: str


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


def preview_of(file: IO[bytes], encoding: str, fields: Sequence[LeadField] = (), *, rows: int = 5) -> Preview:
    """Raises `InvalidInputError` as `rows_of`."""
    own = {OWN + field.key: field.name for field in fields}
    text = _text_of(file, encoding)
    try:
        names, reader = _open(text)
        columns = _columns(names, fields)
        # Of two columns with one meaning the last is read.
        read = [column if column not in columns[place + 1 :] else "" for place, column in enumerate(columns)]
        filled = islice((cells for cells in reader if any(cell.strip() for cell in cells)), rows)
        shown = [
            [*(cell[:SHOWN] for cell in cells[: len(names)]), *[""] * (len(names) - len(cells))] for cells in filled
        ]
    finally:
        text.detach()  # the file stays the caller's
    labels = [own.get(column, column.replace("_", " ").capitalize()) for column in read]
    return Preview(
        [Column(name.strip()[:SHOWN], *rest) for name, *rest in zip(names, read, labels, strict=True)], shown
    )


def rows_of(file: IO[bytes], encoding: str, fields: Sequence[LeadField] = ()) -> Iterator[Row]:
    """`fields`: those that the company has defined. Raises `InvalidInputError` when the file as a whole makes no sense:
    no address column, or too many rows.
    """
    text = _text_of(file, encoding)
    try:
        yield from _rows(text, fields)
    finally:
        text.detach()  # the file stays the caller's


def _text_of(file: IO[bytes], encoding: str) -> io.TextIOWrapper:
    """`encoding`: one of `Encoding`, or what was written of an import before there were these: a name of Python's."""
    file.seek(0)
    head = file.read(2)
    file.seek(0)
    codec = CODECS.get(encoding, encoding)
    if codec == Encoding.UTF_16 and head not in BOMS:  # without the mark Python does not know which byte comes first
        codec = "utf-16-be" if head.startswith(b"\0") else "utf-16-le"
    return io.TextIOWrapper(file, encoding=codec, errors="replace", newline="")


def _open(text: io.TextIOWrapper) -> tuple[list[str], Any]:
    """The names of the columns, and a reader of what follows."""
    first = text.readline(MAX_FIELD)
    delimiter = max(",;\t", key=first.count)
    names = next(csv.reader([first], delimiter=delimiter), [])
    if "email" not in _columns(names, ()):
        raise _refused("The first line names the columns; one of them must be email.")
    return names, csv.reader((line.replace("\0", "") for line in text), delimiter=delimiter)


def _rows(text: io.TextIOWrapper, fields: Sequence[LeadField]) -> Iterator[Row]:
    names, reader = _open(text)
    columns = _columns(names, fields)
    own = {OWN + field.key: field for field in fields}
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
        yield _row(reader.line_num + 1, dict(zip(columns, cells, strict=False)), own)


def _row(line: int, cells: dict[str, str], own: Mapping[str, LeadField]) -> Row:
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
    errors += [
        f"{own[name].name if name in own else name.replace('_', ' ').capitalize()} has a letter that cannot be read."
        for name, text in given.items()
        if UNREADABLE in text
    ]
    values["custom_fields"] = {}
    for name, known in own.items():
        try:
            value = value_of_text(known, given.get(name, ""))
        except FieldValueError as error:
            errors.append(f"{known.name}: {error}")
        else:
            if value is not None:
                values["custom_fields"][known.key] = value
    return Row(line, values, consents, errors)


def plain(name: str) -> str:
    """As names of columns are compared: letters and digits in lower case."""
    return re.sub(r"[\W_]", "", name.casefold())


def _columns(names: Sequence[str], fields: Sequence[LeadField]) -> list[str]:
    """What each of the file's columns fills. A name that every lead's fields have means those; then the company's own
    fields count, by key or name, before the other names that the usual ones go by.
    """
    own = {plain(field.name): OWN + field.key for field in fields}
    own |= {plain(field.key): OWN + field.key for field in fields}
    own = {name: column for name, column in own.items() if name not in {plain(one) for one in NAMES}}
    return [own.get(plain(name)) or _COLUMNS.get(re.sub(r"[^a-z]", "", name.lower()), "") for name in names]


def _refused(text: str) -> InvalidInputError:
    return InvalidInputError(text, fields={"file": [text]})
