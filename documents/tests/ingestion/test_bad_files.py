"""Files made to harm their reader: each ends in bounded time and memory, with a cause in words."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from django.conf import settings
from PIL import Image

from documents.ingestion.base import (
    DamagedDocumentError,
    EmptyDocumentError,
    IngestionError,
    TooLargeError,
)
from documents.ingestion.ocr import OcrOptions
from documents.ingestion.sandbox import IngestionResult, extract_limited, limits_for
from documents.tests.ingestion.builders import compressed, grid_at, lines_down, pdf_of, picture_of, table_at, write


def read(path: Path, kind: str) -> IngestionResult:
    """As a worker does."""
    limits = limits_for(kind, path.stat().st_size, memory_mb=settings.INGESTION_MEMORY_MB)
    return extract_limited(path, kind, ocr=OcrOptions(), limits=limits)


def png_that_says(width: int, height: int) -> bytes:
    """A small file whose header names this size."""

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(bytes(10**6))) + part(b"IEND", b"")
    )


@pytest.mark.usefixtures("tesseract")
def test_a_picture_of_fifty_thousand_pixels_a_side(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError) as caught:
        read(write(tmp_path, "a.png", png_that_says(50_000, 50_000)), "image")
    assert str(caught.value).startswith("This picture has ")


@pytest.mark.usefixtures("tesseract")
def test_a_picture_just_too_large_is_told_its_size(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError) as caught:
        read(write(tmp_path, "a.png", png_that_says(9_000, 8_000)), "image")
    assert str(caught.value) == (
        "This picture has 9,000 × 8,000 pixels; at most 62,000,000 can be read. Make it smaller."
    )


def test_a_tiff_of_a_thousand_pages(tmp_path: Path) -> None:
    out = io.BytesIO()
    pages = [Image.new("1", (8, 8)) for _ in range(1000)]
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(TooLargeError) as caught:
        read(write(tmp_path, "a.tif", out.getvalue()), "image")
    assert str(caught.value) == "This picture has more than 300 pages. Split it into parts."


def test_a_tiff_whose_pages_follow_each_other_in_a_circle(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("L", (8, 8), 255).save(out, "TIFF")
    data = bytearray(out.getvalue())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    with pytest.raises(IngestionError):
        read(write(tmp_path, "a.tif", bytes(data)), "image")


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_truncated_pictures(tmp_path: Path, kind: str) -> None:
    out = io.BytesIO()
    picture_of("Returns are free").save(out, kind)
    with pytest.raises(DamagedDocumentError) as caught:
        read(write(tmp_path, "a", out.getvalue()[: len(out.getvalue()) // 3]), "image")
    assert str(caught.value) == "This picture is damaged and cannot be opened. Save it again."


@pytest.mark.usefixtures("tesseract")
def test_a_picture_without_text(tmp_path: Path) -> None:
    out = io.BytesIO()
    picture_of().save(out, "PNG")
    with pytest.raises(EmptyDocumentError):
        read(write(tmp_path, "a.png", out.getvalue()), "image")


def test_a_pdf_of_ten_thousand_pages(tmp_path: Path) -> None:
    page = lines_down(["Orders are shipped within two days"])
    result = read(write(tmp_path, "a.pdf", pdf_of(*[page] * 10_000)), "pdf")
    assert result.page_count == 10_000
    assert result.chunks[-1].locator["page_end"] == 10_000


def test_a_pdf_whose_pages_lead_back_to_themselves(tmp_path: Path) -> None:
    data = pdf_of(lines_down(["Text"])).replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]")
    with pytest.raises(IngestionError):
        read(write(tmp_path, "a.pdf", data), "pdf")


def test_a_pdf_that_says_it_has_a_thousand_million_pages(tmp_path: Path) -> None:
    data = pdf_of(lines_down(["Text"])).replace(b"/Count 1", b"/Count 1000000000")
    assert [chunk.text for chunk in read(write(tmp_path, "a.pdf", data), "pdf").chunks] == ["Text"]


def with_stream(content: bytes, *, more: str = "") -> bytes:
    """A PDF of one page whose drawing is this compressed stream; `more` are further resources of the page."""
    return with_packed(zlib.compress(content, 9), more=more)


def with_packed(packed: bytes, *, more: str = "") -> bytes:
    head = pdf_of([]).replace(b"/Font <<", f"{more} /Font <<".encode())
    start = head.index(b"5 0 obj")
    stream = (
        b"5 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(packed) + packed + b"\nendstream\nendobj\n"
    )
    return head[:start] + stream + b"trailer << /Size 6 /Root 1 0 R >>\n%%EOF\n"  # pdfium finds the objects by itself


def test_pieces_are_compressed_as_the_whole() -> None:
    assert zlib.decompress(compressed(b"head", b"piece", times=3)) == b"headpiecepiecepiece"


def test_a_pdf_page_that_unpacks_to_a_gigabyte(tmp_path: Path) -> None:
    data = with_packed(compressed(b"BT /F1 11 Tf 72 700 Td (Text) Tj ET\n", b" " * 2**20, times=2**10))
    assert len(data) < 2 * 2**20
    with pytest.raises(IngestionError):
        read(write(tmp_path, "a.pdf", data), "pdf")


def test_a_pdf_page_of_cells_without_end(tmp_path: Path) -> None:
    """Rules and words without end, which look like tables on every line."""
    cell = b"BT /F1 2 Tf %d %d Td (12) Tj ET %d %d 40 2 re S\n"
    drawn = b"".join(
        cell % (column * 60, row % 790, column * 60, row % 790) for row in range(5_000) for column in range(9)
    )
    try:
        result = read(write(tmp_path, "a.pdf", with_stream(drawn)), "pdf")
    except IngestionError as error:
        assert isinstance(error, TooLargeError)  # noqa: PT017  # either end is good, another one is not
    else:
        assert result.page_count == 1


def test_ten_thousand_pages_with_a_table_each(tmp_path: Path) -> None:
    rows = [("Product", "Price", "Stock"), ("Pump", "490", "3"), ("Hose", "9", "40")]
    result = read(write(tmp_path, "a.pdf", pdf_of(*[table_at(rows)] * 10_000, drawn=grid_at(3))), "pdf")
    assert result.page_count == 10_000
    assert result.chunks[-1].text.endswith("Product: Hose; Price: 9; Stock: 40")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_truncated_pdfs(tmp_path: Path, share: float) -> None:
    data = pdf_of(*[lines_down(["Orders are shipped within two days"])] * 20)
    with pytest.raises(DamagedDocumentError) as caught:
        read(write(tmp_path, "a.pdf", data[: int(len(data) * share)]), "pdf")
    assert str(caught.value) == "This PDF is damaged and cannot be opened. Export it again and retry."


def test_a_csv_of_two_hundred_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    line = b"name,city,price,remark that makes the line long enough to fill the file\n" * 1000
    with path.open("wb") as file:
        for _ in range(200 * 2**20 // len(line) + 1):
            file.write(line)
    with pytest.raises(TooLargeError) as caught:
        read(path, "csv")
    assert str(caught.value) == "The file holds more than 20,000,000 characters. Split it into parts."
