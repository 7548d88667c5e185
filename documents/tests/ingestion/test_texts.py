"""Plain text, Markdown and HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import html

from documents.ingestion import limits
from documents.ingestion.base import TooLargeError
from documents.tests.ingestion.builders import chunked, extracted, one_line, texts, write

TEXT = "First paragraph\nin two lines.\n\n\nSecond paragraph, which is longer than the first one was.\n\nThird."

MARKDOWN = """---
title: 'The handbook'
---
Before any heading.

# Returns

Goods may be returned
within thirty days.

## Refunds ##

- paid in a week
- to the same card

```sh
# not a heading
curl -X POST /refund
```

| Country | Days |
|---------|-----:|
| France  | 14   |
| Norway  | 30   |

Shipping
========
By bicycle.
"""

PAGE = """<!doctype html><html><head><title>Help</title><style>p {color: red}</style></head><body>
<nav><a href="/">Home</a></nav><header>Logo and slogan</header>
<main><h1 id="returns">Returns</h1><p>Goods may be returned<br>within <b>thirty</b> days.</p>
<div>Loose text <p>A paragraph inside.</p> and a tail.</div>
<h2>Refunds</h2><a name="refunds"></a><ul><li>paid in a week</li><li>to the same card</li></ul>
<table><thead><tr><th>Country</th><th>Days</th></tr></thead><tr><td>France</td><td>14</td></tr>
<tr><td>Norway</td><td>30</td></tr></table><script>var x = "not text";</script>
<p hidden>Nobody sees this.</p><pre>  two
    lines</pre></main><footer>Imprint</footer></body></html>"""


def test_paragraphs_of_a_text_know_their_lines(tmp_path: Path) -> None:
    blocks = extracted(write(tmp_path, "a.txt", TEXT), "txt").blocks
    assert [(block.text, dict(block.locator)) for block in blocks] == [
        ("First paragraph\nin two lines.", {"type": "lines", "start": 1, "end": 2}),
        ("Second paragraph, which is longer than the first one was.", {"type": "lines", "start": 5, "end": 5}),
        ("Third.", {"type": "lines", "start": 7, "end": 7}),
    ]


def test_cutting_a_text_at_the_lines_gives_the_text(tmp_path: Path) -> None:
    text = "\n".join(f"Line {number} says something of its own." + "\n" * (number % 3 == 0) for number in range(60))
    lines = text.split("\n")
    chunks = chunked(write(tmp_path, "a.txt", text), "txt")
    assert len(chunks) > 10
    for chunk in chunks:
        assert one_line(chunk.text) in one_line(" ".join(lines[chunk.locator["start"] - 1 : chunk.locator["end"]]))
    assert chunks[-1].locator["end"] == 80


def test_a_long_run_of_lines_is_cut_into_precise_places(tmp_path: Path) -> None:
    log = "\n".join(f"2026-01-01 12:00:{number % 60:02} event {number}" for number in range(200))
    blocks = extracted(write(tmp_path, "a.txt", log), "txt").blocks
    assert max(block.locator["end"] - block.locator["start"] for block in blocks) < 40
    assert "\n".join(texts(blocks)) == log


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Grüße aus Köln, schöne Straße"),
        ("utf-8-sig", "Grüße aus Köln"),
        ("utf-16", "Grüße aus Köln"),
        ("utf-16-le", "\ufeffGrüße aus Köln"),
        ("utf-32", "Grüße aus Köln"),
        ("cp1252", "Die Größe der Straße überrascht die Bürger in München, so schön ist sie für die Gäste."),
        ("cp1251", "Съешь же ещё этих мягких французских булок, да выпей чаю. Доставка занимает два дня."),
        ("shift_jis", "返品は三十日以内であれば無料です。商品は未使用で、箱に入っている必要があります。"),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, text: str) -> None:
    blocks = extracted(write(tmp_path, "a.txt", text.encode(encoding)), "txt").blocks
    assert texts(blocks) == [text.lstrip("\ufeff")]


def test_a_few_broken_bytes_do_not_change_the_encoding(tmp_path: Path) -> None:
    text = ("Grüße aus Köln an die Bürger. " * 50).encode() + b"\xff" + "Schöne Straße".encode()
    (block,) = extracted(write(tmp_path, "a.txt", text), "txt").blocks
    assert block.text.endswith("Bürger. \ufffdSchöne Straße")


def test_one_endless_line_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.truncate(2**30)  # sparse: a gigabyte that takes no room
    with pytest.raises(TooLargeError) as caught:
        extracted(path, "txt")
    assert str(caught.value) == (f"The file holds more than {limits.MAX_CHARACTERS:,} characters. Split it into parts.")


def test_markdown_headings_code_and_tables(tmp_path: Path) -> None:
    extraction = extracted(write(tmp_path, "a.md", MARKDOWN), "md")
    assert extraction.title == "The handbook"
    assert [
        (block.text, block.headings, block.locator["start"], block.locator["end"]) for block in extraction.blocks
    ] == [
        ("Before any heading.", (), 4, 4),
        ("Goods may be returned\nwithin thirty days.", ("Returns",), 8, 9),
        ("- paid in a week\n- to the same card", ("Returns", "Refunds"), 13, 14),
        ("```sh\n# not a heading\ncurl -X POST /refund\n```", ("Returns", "Refunds"), 16, 19),
        (
            "| Country | Days |\n|---------|-----:|\n| France  | 14   |\n| Norway  | 30   |",
            ("Returns", "Refunds"),
            21,
            24,
        ),
        ("By bicycle.", ("Shipping",), 28, 28),
    ]


def test_cutting_markdown_at_the_lines_gives_the_text(tmp_path: Path) -> None:
    lines = MARKDOWN.split("\n")
    chunks = chunked(write(tmp_path, "a.md", MARKDOWN), "md")
    assert len(chunks) == 5
    for chunk in chunks:
        assert one_line(chunk.text) in one_line(" ".join(lines[chunk.locator["start"] - 1 : chunk.locator["end"]]))


def test_every_part_of_a_long_table_has_its_header(tmp_path: Path) -> None:
    table = "| Item | Price |\n|---|---|\n" + "".join(f"| Item {number} | {number}.50 |\n" for number in range(20))
    blocks = extracted(write(tmp_path, "a.md", table), "md").blocks
    assert [block.text.split("\n")[0] for block in blocks] == ["| Item | Price |"] * 3
    assert [(block.locator["start"], block.locator["end"]) for block in blocks] == [(1, 10), (11, 18), (19, 22)]


def test_an_open_fence_ends_with_the_file(tmp_path: Path) -> None:
    blocks = extracted(write(tmp_path, "a.md", "Text\n\n```\n# code\n"), "md").blocks
    assert texts(blocks) == ["Text", "```\n# code\n"]


def test_html_content_without_its_frame(tmp_path: Path) -> None:
    extraction = extracted(write(tmp_path, "a.html", PAGE), "html")
    assert extraction.title == "Help"
    assert [(block.text, block.headings, block.locator["fragment"]) for block in extraction.blocks] == [
        ("Goods may be returned\nwithin thirty days.", ("Returns",), "returns"),
        ("Loose text", ("Returns",), "returns"),
        ("A paragraph inside.", ("Returns",), "returns"),
        ("and a tail.", ("Returns",), "returns"),
        ("- paid in a week", ("Returns", "Refunds"), "refunds"),
        ("- to the same card", ("Returns", "Refunds"), "refunds"),
        ("Country: France; Days: 14", ("Returns", "Refunds"), "refunds"),
        ("Country: Norway; Days: 30", ("Returns", "Refunds"), "refunds"),
        ("  two\n    lines", ("Returns", "Refunds"), "refunds"),
    ]


def test_cutting_html_at_the_xpath_gives_the_text(tmp_path: Path) -> None:
    tree: Any = html.document_fromstring(PAGE)
    for block in extracted(write(tmp_path, "a.html", PAGE), "html").blocks:
        (element,) = tree.xpath(block.locator["xpath"])
        told = block.text.removeprefix("- ").replace("Country: ", "").replace("; Days: ", "")
        assert "".join(told.split()) in "".join(element.text_content().split())


def test_broken_and_deep_html_is_read(tmp_path: Path) -> None:
    page = "<p>top</p>" + "<div>" * 1000 + "<p>deep down" + "</div>" * 10
    assert texts(extracted(write(tmp_path, "a.html", page), "html").blocks) == ["top", "deep down"]


def test_html_without_text_is_empty(tmp_path: Path) -> None:
    assert extracted(write(tmp_path, "a.html", "<html><body><script>1</script></body></html>"), "html").blocks == ()
    assert extracted(write(tmp_path, "b.html", "<!-- nothing -->"), "html").blocks == ()


def test_html_in_the_encoding_it_declares(tmp_path: Path) -> None:
    page = '<html><head><meta charset="iso-8859-1"></head><body><p>Die Größe der Straße überrascht</p></body></html>'
    assert texts(extracted(write(tmp_path, "a.html", page.encode("latin-1")), "html").blocks) == [
        "Die Größe der Straße überrascht"
    ]
