"""Passages taken apart into the pieces that can be quoted: sentences, list items and rows.

Lines of dots, the running heads of chapters and the entries of a bibliography are no pieces of a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

MAX_SENTENCE = 500
WRAPPED_LINE = 45
MAX_HEADING_WORDS = 8
MAX_ITEM_SENTENCES, MIN_ITEM_WORDS = 2, 4

_BULLET = re.compile(r"^(?:[-*•–▪◦·]|\(?\d{1,2}[.)]|[a-z]\))\s+")
_INNER_BULLET = re.compile(r"(?<=\S) (?=[•▪◦] \S)")
_MARKDOWN_HEADING = re.compile(r"^#{1,6}\s+")
_FAQ_LABEL = re.compile(r"^(?:Q|A|Question|Answer)\s?[:.]\s+")
_TABLE_RULE = re.compile(r"^[\s|:+=_-]+$")
_LEADER = re.compile(r"(?:[.·_] ?){5,}+|…{4,}+")
_LEADER_BEGINS = ("..", ". .", "··", "· ·", "__", "_ _", "……")
MAX_LEADER_WORDS = 12  # to each
_NUMBERED = re.compile(r"^\(?\d{1,2}[.)]\s")
# "2.8. Files", and "3. Files" where no other number is near; not "2.5 EUR" and "3.5 litres".
_NUMBERED_TITLE = re.compile(r"^\d{1,2}(?:\.\d{1,3})*\.?\s+(?!(?:EUR|USD|GBP|CHF|KG|Kg|MB|GB|TB)\b)[^\W\d_a-zß-öø-ÿ]")
_RUNNING_HEAD = re.compile(
    r"^(?:chapter|section|part|appendix|kapitel|abschnitt|anhang|chapitre|annexe|capítulo|capitolo|hoofdstuk|rozdział)"
    r" (?:\d{1,3}|[A-Z]|[IVX]{1,5})[:.] \S",
    re.IGNORECASE,
)
# Thai, Lao, Tibetan, Burmese and Khmer have no mark at the end of a sentence.
_UNPUNCTUATED = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]{12}")
_ENDS = re.compile(r"[.!?…。！？．؟۔।॥։។።][\"'”’»)\]」』]*(?:\[[\w, -]{1,12}\])?$")
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s+[\"'“‘«(\[]*[^\W_a-zß-öø-ÿ])|[。！？]")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|vs|cf|incl|excl|mr|mrs|ms|dr|prof|st|inc|ltd|dept|z\.b|bzw)|(?:^|\s|\.)(?-i:[A-ZÀ-Þ]))\.$",
    re.IGNORECASE,
)
_ABBREVIATION_BEFORE_NUMBER = re.compile(
    r"\b(?:no|nr|fig|sec|art|vol|pp?|approx|ca|max|min|tel|ext|est)\.$", re.IGNORECASE
)


# Rows of tables, as ingestion tells them: "name: value; name: value", or "value; value" where there are no names.
_NAMED_ROW = re.compile(r"^[^:;]{1,64}: [^;]+(?:; [^:;]{1,64}: [^;]+)+$")
MAX_ROW_VALUE_WORDS = 6
# "Name: value". Of lines one under another each is a row.
_PAIR = re.compile(r"^(?=[^\W_])[^:]{1,64}(?<!\s): \S")
MAX_PAIR_NAME_WORDS = 4

# Entries of a bibliography, as they begin and by what stands in them.
_REFERENCES = re.compile(
    r"^[\W\d]*(?:references|bibliography|works cited|literature cited|literatur(?:verzeichnis)?|quellenverzeichnis"
    r"|références|bibliographie|referencias|referências|bibliograf[ií]a|riferimenti|literatuurlijst|kaynakça|参考文献)\W*$",
    re.IGNORECASE,
)
_REFERENCE_BEGINS = re.compile(
    r"^(?:\[(?:\d{1,3}|[A-Z][\w+:-]*\d\w*|[A-Z]{2}[\w+:-]*)\]"
    r"|(?:\d{1,3}\. )?[^\W\d_][\w'’-]+,? (?:[^\W\d_]\.[ -]?){1,3}(?:,|;|&| and| \(|\())\s*\S"
)
_REFERENCE_SIGN = re.compile(
    r"https?://|ftp://|www\.|\bdoi\b|\bISBN\b|\bet al\b|\bpp?\. ?\d|\bvol\. ?\d|\beds?\.|\bIn Proc"
    r"|\(\d{4}[a-z]?(?:, [A-Z][a-z]+(?: \d+)?)?\)|, (?:19|20)\d\d\.?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A quotable piece, white space collapsed. `heading` is the one it stands under, `block` its paragraph or list.

    `is_whole`: it says something by itself, as a sentence, a row and a "name: value" do, and a title, a name and what
    is left of a sentence do not.
    """

    text: str
    heading: str = ""
    block: int = 0
    is_item: bool = False
    is_question: bool = False
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class _Unit:
    text: str
    kind: str  # "heading", "item", "row" or "prose"; of lines also "blank" and "rule"
    block: int


def split_sentences(text: str, heading: str = "") -> list[Sentence]:
    """The sentences of a passage in order. Headings are not sentences: they become the `heading` of what follows.

    `heading` is the one above the passage.
    """
    sentences: list[Sentence] = []
    for number, unit in enumerate(_units(text)):
        if unit.kind == "heading":
            heading = unit.text
            continue
        if _is_reference(unit.text, heading):
            continue
        is_row = unit.kind == "row" and ("; " in unit.text or not _ENDS.search(unit.text))
        pieces = list(_pieces(_FAQ_LABEL.sub("", unit.text)))
        # An item of many sentences is a paragraph with a mark before it.
        is_item = unit.kind == "item" and len(pieces) <= MAX_ITEM_SENTENCES
        if is_row or is_item:
            pieces = list(_bounded(unit.text))
        block = unit.block if is_item or unit.kind != "item" else -number
        for piece in pieces:
            sentences.append(
                Sentence(
                    text=piece,
                    heading=heading,
                    block=block,
                    is_item=is_item,
                    is_question=piece.rstrip("\"'”’»)]").endswith(("?", "？", "؟")),
                    is_whole=is_row or _is_whole(piece, is_item=is_item),
                )
            )
    return sentences


def _is_whole(text: str, *, is_item: bool) -> bool:
    if _ENDS.search(text) or _UNPUNCTUATED.search(text):
        return True
    if is_item:
        return text.startswith("|") or (len(text.split()) >= MIN_ITEM_WORDS and not text.endswith(","))
    return _is_pair(text)


def _is_pair(line: str) -> bool:
    name, colon, _ = line.partition(": ")
    return bool(colon) and _PAIR.match(line) is not None and len(name.split()) <= MAX_PAIR_NAME_WORDS


def record_of(text: str) -> str:
    """What a line of a record such as "Harbour Street.phone: 01598 555 010" is about; empty for any other text."""
    return text.partition(": ")[0].rpartition(".")[0] if _is_pair(text) else ""


def _is_reference(text: str, heading: str) -> bool:
    """Whether a paragraph is an entry of a bibliography, which often has ends like a sentence."""
    if not (_REFERENCES.match(heading) or _REFERENCE_BEGINS.match(text)):
        return False
    return _REFERENCE_SIGN.search(text) is not None


def _units(text: str) -> Iterator[_Unit]:
    """Lines joined where one was merely wrapped, told apart by kind."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    if _INNER_BULLET.search(" ".join(lines)):
        lines = [part for line in lines for part in _INNER_BULLET.split(line)]
    block = 0
    pending: _Unit | None = None  # prose or an item that the next line may go on with
    for number, line in enumerate(lines):
        before, after = lines[number - 1] if number else "", lines[number + 1] if number + 1 < len(lines) else ""
        kind = "row" if _is_row(line, before, after) else _kind(line, lines[:number], lines[number + 1 :])
        if pending:
            # A page, a column or a figure may part a sentence, which then goes on in another paragraph.
            if kind == "blank" and _is_parted(pending.text, after):
                continue
            if kind == "prose" and _is_wrapped(pending, line):
                pending = replace(pending, text=f"{pending.text} {line}")
                continue
            yield pending
            pending = None
        if kind == "blank":
            block += 1
        elif kind == "heading":
            block += 1
            yield _Unit(_MARKDOWN_HEADING.sub("", line).strip("* "), "heading", block)
        elif kind == "item":
            pending = _Unit(_BULLET.sub("", line), "item", block)
        elif kind == "row":
            block += 1  # what one row says does not lean on the next
            yield _Unit(line, "row", block)
        elif kind == "prose":
            pending = _Unit(line, "prose", block)
    if pending:
        yield pending


def _is_parted(before: str, after: str) -> bool:
    return len(before) >= WRAPPED_LINE and _is_cut(before) and after[:1].islower() and not _BULLET.match(after)


def _is_cut(text: str) -> bool:
    return not _ENDS.search(text) and not text.endswith((":", ";"))


def _is_row(line: str, before: str, after: str) -> bool:
    is_pair = _is_pair(line) and not _FAQ_LABEL.match(line) and (_is_pair(before) or _is_pair(after))
    if is_pair or _NAMED_ROW.match(line):
        return _is_pair(after) or not after[:1].islower()  # else a sentence that goes on
    count = _values(line)
    return count > 1 and count in (_values(before), _values(after))


def _values(line: str) -> int:
    """How many values a row without names has; 0 for what is none."""
    values = line.split("; ")
    is_row = len(values) > 1 and all(0 < len(value.split()) <= MAX_ROW_VALUE_WORDS for value in values)
    return len(values) if is_row and not line.endswith((".", ";", ",", ":")) else 0


def _kind(line: str, above: list[str], below: list[str]) -> str:
    if not line:
        return "blank"
    if _TABLE_RULE.match(line):
        return "rule"
    if _is_leader(line) or (_RUNNING_HEAD.match(line) and not _ENDS.search(line)):
        return "furniture"
    if _MARKDOWN_HEADING.match(line) or _is_numbered_title(line, above, below):
        return "heading"
    if _BULLET.match(line) or line.startswith("|"):
        return "item"
    has_text_below = any(below)
    looks_like_title = (
        len(line.split()) <= MAX_HEADING_WORDS
        and not line.endswith((".", "!", "?", ":", ";", ",", "…", "。"))
        and not re.search(r"[:;|=,@]|\d\s*[%€$£¥]|[€$£¥₹]\s*\d", line)
        and line[0].isupper()
    )
    if looks_like_title and has_text_below:
        following = below[0]
        if not following or _BULLET.match(following) or (following[0].isupper() and len(following) > len(line)):
            return "heading"
    return "prose"


def _is_leader(line: str) -> bool:
    """Whether dots lead the eye from titles to pages, or stand where something is to be filled in."""
    if not any(begin in line for begin in _LEADER_BEGINS):
        return False  # most lines, and told at once
    titles = _LEADER.split(line)
    leaders = len(titles) - 1
    return leaders > 0 and sum(len(title.split()) for title in titles) <= MAX_LEADER_WORDS * leaders


def _is_numbered_title(line: str, above: list[str], below: list[str]) -> bool:
    """A line such as "2.8. Files", and "3. Files" where it is not one of a list."""
    if not _NUMBERED_TITLE.match(line) or len(line.split()) > MAX_HEADING_WORDS + 2:
        return False
    if _ENDS.search(line) or line.endswith((":", ";", ",")):
        return False
    if not _NUMBERED.match(line):
        return "." in line.split(" ", 1)[0]
    near = next(filter(None, reversed(above)), ""), next(filter(None, below), "")
    return not near[0].endswith(":") and not any(map(_NUMBERED.match, near))


def _is_wrapped(unit: _Unit, line: str) -> bool:
    """Whether `line` carries on the sentence that the one before began."""
    before = unit.text
    if unit.kind == "item":
        return line[0].islower() and _is_cut(before) and not before.startswith("|")
    if before.endswith((":", ";")) and not line[0].islower():
        return False
    if line[0].islower():
        return True
    # Rows of "name: value" are short or end where they end; running text fills its lines.
    last_line = before[-200:]
    return len(last_line) >= WRAPPED_LINE and ":" not in line.split(" ", 3)[0]


def _pieces(text: str) -> Iterator[str]:
    start = 0
    for end in _SENTENCE_END.finditer(text):
        candidate = text[start : end.end()]
        is_before_number = text[end.end() :].lstrip()[:1].isdigit()
        if _ABBREVIATION.search(candidate) or (is_before_number and _ABBREVIATION_BEFORE_NUMBER.search(candidate)):
            continue
        yield from _bounded(candidate.strip())
        start = end.end()
    yield from _bounded(text[start:].strip())


def _bounded(text: str) -> Iterator[str]:
    """The text itself, or its parts where it is too long to be quoted whole."""
    while len(text) > MAX_SENTENCE:
        window = text[:MAX_SENTENCE]
        cut = max(window.rfind("; "), window.rfind(" | ")) + 1 or window.rfind(" ") + 1 or MAX_SENTENCE
        yield text[:cut].strip(" ")
        text = text[cut:].strip(" ")
    if text:
        yield text
