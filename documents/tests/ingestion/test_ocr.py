"""Scanned pages, read by the real tesseract."""

from __future__ import annotations

import io
import threading
from collections import Counter
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from documents.ingestion import ocr
from documents.ingestion.base import Extraction, OcrUnavailableError
from documents.ingestion.extract import extract
from documents.ingestion.ocr import OcrOptions, OcrPage, PageImage, _orientations
from documents.ingestion.upright import skew_of
from documents.tests.ingestion.builders import (
    extracted,
    grid_at,
    lines_down,
    outlined,
    pdf_of,
    picture_of,
    saved,
    scan_of,
    stamped,
    texts,
    write,
)

LINES = ["Orders are shipped within two days of payment", "Returns are free within thirty days of delivery"]
PAGE = pdf_of(lines_down(LINES, leading=40))


def joined(*pdfs: bytes) -> bytes:
    document = pypdfium2.PdfDocument.new()
    for data in pdfs:
        document.import_pages(pypdfium2.PdfDocument(data))
    out = io.BytesIO()
    document.save(out)
    document.close()
    return out.getvalue()


@pytest.mark.usefixtures("tesseract")
def test_only_pages_without_a_text_layer_are_recognised(tmp_path: Path) -> None:
    path = write(tmp_path, "a.pdf", joined(pdf_of(lines_down(["A page with a text layer."])), scan_of(PAGE)))
    extraction = extracted(path, "pdf")

    assert [(block.locator["page"], block.locator["ocr"]) for block in extraction.blocks] == [
        (1, False),
        (2, True),
        (2, True),
    ]
    assert texts(extraction.blocks)[1:] == LINES
    assert [page["page"] for page in extraction.metadata["pages"]] == [2]
    assert extraction.metadata["pages"][0]["confidence"] > 80
    assert extraction.warnings == ()


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_boxes_of_recognised_lines_are_where_the_print_is(tmp_path: Path, turned: int) -> None:
    many = [f"{line} number {number}" for number in range(8) for line in LINES]
    path = write(tmp_path, "a.pdf", scan_of(pdf_of(lines_down(many, leading=40)), turned=turned))
    extraction = extracted(path, "pdf")

    assert texts(extraction.blocks)[0].startswith(many[0])
    _, x0, y0, x1, y1 = extraction.blocks[0].locator["boxes"][0]
    # The first line begins at 72, 720 of an upright page of 612 by 792 points.
    expected = {0: (72, 728), 90: (792 - 728, 72), 180: (612 - 72, 792 - 728), 270: (728, 612 - 72)}[turned]
    corner = {0: (x0, y1), 90: (x0, y0), 180: (x1, y0), 270: (x1, y1)}[turned]
    assert corner == pytest.approx(expected, abs=6)


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize("skew", [-9.0, -2.5, 4.0, 12.0])
def test_a_page_askew_is_levelled_and_its_boxes_stay_on_the_print(tmp_path: Path, skew: float) -> None:
    lines = [f"Paragraph {number} tells how the pump is kept clean" for number in range(16)]
    image = picture_of(*lines, turned=skew)
    assert skew_of(image) == pytest.approx(skew, abs=0.3)

    extraction = extracted(saved(image, tmp_path, "a.png"), "image")
    assert recall(lines, extraction) >= 0.95
    for block in extraction.blocks:
        _, left, top, right, bottom = block.locator["boxes"][0]
        outside = image.copy()
        outside.paste(255, (left, top, right, bottom))
        # What was told is no longer there once its box is painted over.
        assert ink(outside) < ink(image)
    blank = image.copy()
    for block in extraction.blocks:
        _, left, top, right, bottom = block.locator["boxes"][0]
        blank.paste(255, (left - 3, top - 3, right + 3, bottom + 3))
    assert ink(blank) == 0


def recall(lines: list[str], extraction: Extraction) -> float:
    wanted = Counter(" ".join(lines).split())
    return (wanted & Counter(" ".join(texts(extraction.blocks)).split())).total() / wanted.total()


def ink(image: Image.Image) -> int:
    return sum(image.convert("L").histogram()[:100])


@pytest.mark.parametrize("picture", [Image.new("L", (400, 400), 255), Image.effect_noise((400, 400), 90)])
def test_a_picture_without_lines_is_not_turned(picture: Image.Image) -> None:
    assert skew_of(picture) == 0.0


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_picture_on_its_side_is_read(tmp_path: Path, turned: int) -> None:
    lines = [f"Paragraph {number} tells how the pump is kept clean" for number in range(16)]
    extraction = extracted(saved(picture_of(*lines, turned=turned), tmp_path, "a.jpg"), "image")
    assert recall(lines, extraction) >= 0.95
    assert extraction.metadata["pages"][0]["is_doubtful"] is False


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize("turned", [90, 180, 270])
def test_the_side_on_which_a_sheet_larger_than_a3_lies_is_found(turned: int) -> None:
    page = picture_of(*[f"Paragraph {number} tells how the pump is kept clean" for number in range(16)], turned=turned)
    sheet = page.resize((3 * page.width, 3 * page.height))  # 17 million pixels
    assert _orientations(PageImage(1, sheet, lambda box: box), has_words=False) == [turned]


@pytest.mark.usefixtures("tesseract")
def test_a_text_layer_without_a_map_of_its_characters_is_not_believed(tmp_path: Path) -> None:
    garbage = "".join(f"\\{code:03o}" for code in (3, 36, 4, 5, 6, 38, 17, 18, 3, 40, 7, 8) * 6)
    layer = pdf_of(lines_down([garbage]))
    path = write(tmp_path, "a.pdf", with_layer(scan_of(PAGE), layer))
    extraction = extracted(path, "pdf")
    assert texts(extraction.blocks) == LINES
    assert extraction.metadata["pages"][0]["how"] == "ocr"
    assert extraction.warnings == (
        "The fonts of page 1 do not say which characters they draw, "
        "so the text was taken from the picture of the page instead.",
    )


def with_layer(scan: bytes, layer: bytes) -> bytes:
    """The first page of `scan` with the text of the first page of `layer`, as large as nothing, on it."""
    document = pypdfium2.PdfDocument(scan)
    page = document[0]
    placed = pypdfium2.PdfDocument(layer).page_as_xobject(0, document).as_pageobject()
    placed.set_matrix(pypdfium2.PdfMatrix().scale(0.02, 0.02))
    page.insert_obj(placed)
    page.gen_content()
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


@pytest.mark.usefixtures("tesseract")
def test_a_missing_language_falls_back_and_says_so(tmp_path: Path) -> None:
    options = OcrOptions(languages=("tlh",))
    extraction = extract(write(tmp_path, "a.pdf", scan_of(PAGE)), "pdf", ocr=options, progress=lambda share, what: None)
    assert texts(extraction.blocks) == LINES
    assert extraction.warnings == (
        "Text recognition lacks the language tlh (package tesseract-ocr-tlh): English was used instead.",
    )


@pytest.mark.usefixtures("tesseract")
def test_progress_is_told_page_by_page(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    path = write(tmp_path, "a.pdf", scan_of(PAGE, PAGE))
    extract(path, "pdf", ocr=OcrOptions(), progress=lambda share, what: told.append((share, what)))
    assert told == [(0.5, "ocr"), (1.0, "ocr")]


@pytest.mark.usefixtures("tesseract")
def test_a_stamped_scan_is_recognised_and_keeps_the_stamp(tmp_path: Path) -> None:
    stamp = "Received on 12 March 2026 by the office in Lyon, number 4711"
    extraction = extracted(write(tmp_path, "a.pdf", stamped(scan_of(PAGE), (72, 760, stamp))), "pdf")
    assert [(block.text, block.locator["ocr"]) for block in extraction.blocks] == [
        (stamp, False),
        *((line, True) for line in LINES),
    ]
    assert [page["how"] for page in extraction.metadata["pages"]] == ["ocr"]


@pytest.mark.usefixtures("tesseract")
def test_a_page_drawn_as_curves_is_recognised(tmp_path: Path) -> None:
    extraction = extracted(write(tmp_path, "a.pdf", pdf_of([], drawn=outlined(*LINES))), "pdf")
    assert " ".join(texts(extraction.blocks)).split() == " ".join(LINES).split()
    assert [page["how"] for page in extraction.metadata["pages"]] == ["ocr"]


def test_a_page_of_rules_alone_is_no_picture(tmp_path: Path) -> None:
    extraction = extracted(write(tmp_path, "a.pdf", pdf_of([], lines_down(["Text"]), drawn=grid_at(40))), "pdf")
    assert (texts(extraction.blocks), extraction.metadata) == (["Text"], {})


@pytest.mark.usefixtures("tesseract")
def test_a_page_that_takes_too_long_is_left_out_and_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("documents.ingestion.ocr.PAGE_SECONDS", 0.001)
    pages = joined(pdf_of(lines_down(["A page with a text layer."])), scan_of(PAGE))
    extraction = extracted(write(tmp_path, "a.pdf", pages), "pdf")
    assert texts(extraction.blocks) == ["A page with a text layer."]
    assert extraction.warnings == ("Page 2 took too much time or memory to recognise and is left out.",)
    assert [page["how"] for page in extraction.metadata["pages"]] == ["left_out"]


def test_switched_off_it_warns(tmp_path: Path) -> None:
    extraction = extracted(write(tmp_path, "a.pdf", scan_of(PAGE, PAGE)), "pdf", ocr=False)
    assert extraction.blocks == ()
    assert extraction.warnings == ("Pages 1, 2 are scanned, and text recognition is switched off.",)


def test_without_tesseract_a_scan_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OcrUnavailableError) as caught:
        extracted(write(tmp_path, "a.pdf", scan_of(PAGE)), "pdf")
    assert str(caught.value) == (
        "Scanned pages need tesseract, which is not installed on the server (package tesseract-ocr)."
    )


def test_without_tesseract_the_other_pages_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = write(tmp_path, "a.pdf", joined(pdf_of(lines_down(["A page with a text layer."])), scan_of(PAGE)))
    extraction = extracted(path, "pdf")
    assert texts(extraction.blocks) == ["A page with a text layer."]
    assert extraction.warnings == (
        "Page 2 is scanned and left out. "
        "Scanned pages need tesseract, which is not installed on the server (package tesseract-ocr).",
    )


def test_a_sentence_is_not_torn_apart_where_its_lines_stand_further_apart() -> None:
    def lines(*texts: str, top: int, left: int = 0) -> list[tuple[str, tuple[int, int, int, int]]]:
        return [(text, (left, top + 30 * row, left + 400, top + 30 * row + 20)) for row, text in enumerate(texts)]

    first, second = lines("The disk holds", "over 110,000 notes", top=0), lines("per disk. It is", top=70)
    assert ocr.whole_sentences([first, second]) == [[*first, *second]]
    for other in (
        lines("Per disk.", top=70),  # a new sentence
        lines("per disk.", top=200),  # far below
        lines("per disk.", top=70, left=500),  # in another column
        lines("per disk.", top=-100),  # above, where a column begins
    ):
        assert ocr.whole_sentences([first, other]) == [first, other]
    ended = lines("The disk is full.", top=0)
    assert ocr.whole_sentences([ended, lines("per disk.", top=40)]) == [ended, lines("per disk.", top=40)]


@pytest.mark.usefixtures("tesseract")
def test_a_page_that_takes_long_holds_up_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    others_are_read = threading.Event()

    def read(page: PageImage, languages: str) -> OcrPage:
        if page.number == 1:
            assert others_are_read.wait(30), "the others wait for the first page"
        elif page.number == 6:
            others_are_read.set()
        return OcrPage(page.number, (), 0.0)

    monkeypatch.setattr(ocr, "_read", read)
    images = (PageImage(number, Image.new("L", (10, 10)), lambda box: box) for number in range(1, 7))
    assert [page.page for page in ocr.recognise(images, ocr=OcrOptions(), warnings=[])] == [1, 2, 3, 4, 5, 6]
