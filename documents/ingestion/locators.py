"""Locators in words, for people."""

from __future__ import annotations

from documents.ingestion.base import Locator


def describe(locator: Locator) -> str:
    """`Page 3`, `Rows 4–9`, `/items/4`, `Returns › EU`: short enough for a list, empty for an unknown kind."""
    match locator.get("type"):
        case "page" | "image":
            return _range("Page", "Pages", locator["page"], locator.get("page_end"))
        case "lines":
            return _range("Line", "Lines", locator["start"], locator.get("end"))
        case "slide":
            place = _range("Slide", "Slides", locator["slide"], locator.get("slide_end"))
            return f"{place}, notes" if locator.get("notes") else place
        case "sheet":
            return f"{locator['sheet']}, {_range('row', 'rows', locator['start'], locator.get('end'))}"
        case "rows":
            return _range("Row", "Rows", locator["start"], locator.get("end"))
        case "section":
            return _path(locator) or _range("Line", "Lines", locator["start"], locator.get("end"))
        case "element":
            return _path(locator) or str(locator.get("xpath", ""))
        case "paragraphs":
            return _path(locator) or _range("Paragraph", "Paragraphs", locator["start"], locator.get("end"))
        case "pointer":
            return str(locator["pointer"]) or "/"
        case "xpath":
            return str(locator["xpath"])
        case _:
            return ""


def _range(one: str, many: str, start: int, end: int | None) -> str:
    return f"{one} {start}" if end is None or end == start else f"{many} {start}–{end}"


def _path(locator: Locator) -> str:
    return " › ".join(locator.get("headings") or ())
