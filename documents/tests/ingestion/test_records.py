"""CSV, JSON and XML: rows and records."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from documents.ingestion.base import DamagedDocumentError, DangerousDocumentError, TooLargeError
from documents.tests.ingestion.builders import chunked, extracted, texts, write

ORDERS: dict[str, Any] = {
    "shop": "Acme",
    "open": True,
    "orders": [
        {"id": number, "customer": {"name": f"Customer {number}", "city": "Oslo"}, "items": ["pen", "a/b~c"]}
        for number in range(30)
    ],
    "a/b~c": {"note": "odd key"},
}
CATALOGUE = """<?xml version="1.0"?>
<catalogue xmlns:p="urn:price" version="2">
  <name>Spring</name><season>2026</season>
  <book id="1"><title>First</title><p:price currency="EUR">10</p:price></book>
  <book id="2"><title>Second</title><p:price currency="EUR">20</p:price></book>
  <note>Read <b>this</b> twice.</note>
</catalogue>"""


def resolve(root: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        root = root[int(key)] if isinstance(root, list) else root[key]
    return root


def values(record: Any) -> list[str]:
    if isinstance(record, dict | list):
        return [text for part in (record.values() if isinstance(record, dict) else record) for text in values(part)]
    return [record if isinstance(record, str) else json.dumps(record)]


def test_rows_have_the_names_of_their_columns_and_a_number(tmp_path: Path) -> None:
    extraction = extracted(write(tmp_path, "a.csv", 'Name,City\nAnn,"Oslo; Bergen"\n\nBob,\n'), "csv")
    header = ["Name", "City"]
    assert [(block.text, dict(block.locator), block.atomic) for block in extraction.blocks] == [
        ("Name: Ann; City: Oslo; Bergen", {"type": "rows", "start": 1, "end": 1, "header": header}, True),
        ("Name: Bob", {"type": "rows", "start": 2, "end": 2, "header": header}, True),
    ]


def test_cutting_a_csv_at_the_rows_gives_the_text(tmp_path: Path) -> None:
    content = "id;name;remark\n" + "".join(f'{n};Customer {n};"first\nsecond {n}"\n' for n in range(1, 60))
    rows = list(csv.reader(io.StringIO(content), delimiter=";"))[1:]
    chunks = chunked(write(tmp_path, "a.csv", content), "csv")
    assert chunks[-1].locator["end"] == 59
    for chunk in chunks:
        cut = rows[chunk.locator["start"] - 1 : chunk.locator["end"]]
        assert chunk.text == "\n".join(f"id: {n}; name: {name}; remark: {remark}" for n, name, remark in cut)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,2,3\n4\n", ["a: 1; b: 2; column 3: 3", "a: 4"]),
        ("1,2\n3,4\n", ["column 1: 1; column 2: 2", "column 1: 3; column 2: 4"]),
        ("Ann,ann@example.com\nBob,bob@example.com\n", ["column 1: Ann; column 2: ann@example.com"]),
        ("a\tb\nx\ty\n", ["a: x; b: y"]),
        ("a|b\nx, and y|z\n", ["a: x, and y; b: z"]),
        ("name,price\n", ["name; price"]),
        ("city\nOslo\nRome\n", ["city: Oslo", "city: Rome"]),
    ],
)
def test_dialects_headers_and_ragged_rows(tmp_path: Path, content: str, expected: list[str]) -> None:
    assert texts(extracted(write(tmp_path, "a.csv", content), "csv").blocks)[: len(expected)] == expected


def test_records_of_json_and_their_pointers(tmp_path: Path) -> None:
    blocks = extracted(write(tmp_path, "a.json", json.dumps(ORDERS)), "json").blocks
    assert [
        (block.text, block.locator["pointer"], block.locator["pointer_end"], block.headings) for block in blocks[:2]
    ] == [
        ("shop: Acme\nopen: true", "/shop", "/open", ()),
        (
            "id: 0\ncustomer.name: Customer 0\ncustomer.city: Oslo\nitems: pen\nitems: a/b~c",
            "/orders/0",
            "/orders/0",
            ("orders",),
        ),
    ]
    assert [block.locator["pointer"] for block in blocks[30:]] == ["/orders/29", "/a~1b~0c"]


def test_cutting_json_at_the_pointers_gives_the_text(tmp_path: Path) -> None:
    chunks = chunked(write(tmp_path, "a.json", json.dumps(ORDERS)), "json")
    assert len(chunks) > 10
    for chunk in chunks:
        first, last = chunk.locator["pointer"], chunk.locator["pointer_end"]
        parent = first.rpartition("/")[0]
        keys = [f"{parent}/{key}" for key in range(30)] if parent else [first, last] if first != last else [first]
        found = keys[keys.index(first) : keys.index(last) + 1]
        expected = [value for pointer in found for value in values(resolve(ORDERS, pointer))]
        assert [line.split(": ", 1)[1] for line in chunk.text.split("\n")] == expected


def test_json_lines(tmp_path: Path) -> None:
    blocks = extracted(write(tmp_path, "a.jsonl", '{"a": 1}\n\n{"a": 2, "b": null}\n'), "json").blocks
    assert [(block.text, block.locator["pointer"]) for block in blocks] == [("a: 1", "/0"), ("a: 2", "/2")]


def test_a_large_record_is_told_in_parts(tmp_path: Path) -> None:
    record = {"head": "x", "parts": [{"text": "word " * 100}, {"text": "other " * 100}]}
    blocks = extracted(write(tmp_path, "a.json", json.dumps([record])), "json").blocks
    assert [block.locator["pointer"] for block in blocks] == ["/0/head", "/0/parts/0", "/0/parts/1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1,\n "b": }', "This is not valid JSON: Expecting value in line 2, column 7."),
        ("[1, 2", "This is not valid JSON: Expecting ',' delimiter in line 1, column 6."),
        ('{"a": 1}\n{"a": }', "Line 2 is not valid JSON: Expecting value, column 7."),
    ],
)
def test_invalid_json_names_the_place(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DamagedDocumentError) as caught:
        extracted(write(tmp_path, "a.json", content), "json")
    assert str(caught.value) == message


def test_deep_json_is_refused_and_less_deep_json_read(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError):
        extracted(write(tmp_path, "a.json", "[" * 100_000 + "]" * 100_000), "json")
    blocks = extracted(write(tmp_path, "b.json", '{"a":' * 400 + '"deep"' + "}" * 400), "json").blocks
    assert [block.text.rpartition(": ")[2] for block in blocks] == ["deep"]


def test_records_of_xml_and_their_places(tmp_path: Path) -> None:
    blocks = extracted(write(tmp_path, "a.xml", CATALOGUE), "xml").blocks
    assert [(block.text, block.locator["xpath"], block.locator["xpath_end"]) for block in blocks] == [
        ("version: 2", "/catalogue", "/catalogue"),
        ("name: Spring\nseason: 2026", "/catalogue/name", "/catalogue/season"),
        ("id: 1\ntitle: First\nprice: 10\nprice.currency: EUR", "/catalogue/book[1]", "/catalogue/book[1]"),
        ("id: 2\ntitle: Second\nprice: 20\nprice.currency: EUR", "/catalogue/book[2]", "/catalogue/book[2]"),
        ("Read this twice.", "/catalogue/note", "/catalogue/note"),
    ]


def test_cutting_xml_at_the_xpath_gives_the_text(tmp_path: Path) -> None:
    content = "<r xmlns='urn:x'>" + "".join(f"<row><n>{n}</n><t>Text {n}</t></row>" for n in range(40)) + "</r>"
    tree: Any = etree.fromstring(content)
    rows = list(tree)
    chunks = chunked(write(tmp_path, "a.xml", content), "xml")
    assert len(chunks) > 3
    for chunk in chunks:
        (first,), (last,) = tree.xpath(chunk.locator["xpath"]), tree.xpath(chunk.locator["xpath_end"])
        cut = rows[rows.index(first) : rows.index(last) + 1]
        assert chunk.text == "\n".join(f"n: {row[0].text}\nt: {row[1].text}" for row in cut)


def test_a_document_type_without_entities_is_no_danger(tmp_path: Path) -> None:
    content = '<!DOCTYPE note SYSTEM "note.dtd"><note><to>Ann</to></note>'
    assert texts(extracted(write(tmp_path, "a.xml", content), "xml").blocks) == ["to: Ann"]


@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE d [<!ENTITY a "boom">]><d>&a;</d>',
        '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/hostname">]><d>&a;</d>',
        '<!DOCTYPE d [<!ENTITY % a SYSTEM "http://127.0.0.1:9/x.dtd"> %a;]><d/>',
    ],
)
def test_entities_are_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(DangerousDocumentError):
        extracted(write(tmp_path, "a.xml", content), "xml")


def test_malformed_xml_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(DamagedDocumentError) as caught:
        extracted(write(tmp_path, "a.xml", "<a>\n  <b></c>\n</a>"), "xml")
    assert str(caught.value) == "This is not well-formed XML: mismatched tag in line 2, column 8."


def test_deep_xml_is_refused_and_less_deep_xml_read(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError):
        extracted(write(tmp_path, "a.xml", "<a>" * 3000 + "deep" + "</a>" * 3000), "xml")
    blocks = extracted(write(tmp_path, "a.xml", "<a>" * 1500 + "deep" + "</a>" * 1500), "xml").blocks
    assert [block.text.rpartition(": ")[2] for block in blocks] == ["deep"]
