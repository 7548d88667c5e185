"""Small files that would fill the machine: the real memory and the computing time that their readers take."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from documents.ingestion.sandbox import ROOT
from documents.tests.ingestion.builders import compressed, lines_down, pdf_of, picture_of, write

MOST_MB, MOST_SECONDS = 512, 30
# In a process of its own, so that the peak is of this reader alone (and of the programs that it starts).
PAGE_SCRIPT = """
import json, resource, sys
from pathlib import Path
from documents.ingestion.base import IngestionError
from documents.ingestion.web.reader import PageReader
with PageReader() as reader:
    try:
        end = {"text": reader.read_page(Path(sys.argv[1]).read_bytes(), "http://a.example/").html}
    except IngestionError as error:
        end = {"code": error.code, "error": str(error)}
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({**end, "megabytes": used.ru_maxrss / 2**10, "seconds": used.ru_utime + used.ru_stime}))
"""
SCRIPT = """
import json, resource, sys
from pathlib import Path
from documents.ingestion.base import IngestionError
from documents.ingestion.sandbox import extract_limited, limits_for
path, kind = Path(sys.argv[1]), sys.argv[2]
try:
    result = extract_limited(path, kind, limits=limits_for(kind, path.stat().st_size, memory_mb=1536))
    end = {"text": " ".join(chunk.text for chunk in result.chunks), "warnings": result.warnings}
except IngestionError as error:
    end = {"code": error.code, "error": str(error)}
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({**end, "megabytes": used.ru_maxrss / 2**10, "seconds": used.ru_utime + used.ru_stime}))
"""


def read(path: Path, kind: str, *, script: str = SCRIPT) -> dict[str, Any]:
    """What came of it: `text` and `warnings`, or `code` and `error`; the largest process's `megabytes`; `seconds`."""
    command = [sys.executable, "-c", script, str(path), kind]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def pdf_with(*objects: tuple[str, bytes], drawn: str = "", box: str = "0 0 612 792") -> bytes:
    """A PDF of one page that may draw the objects /X0, /X1, … : each is its dictionary's inside and its stream."""
    names = " ".join(f"/X{index} {index + 5} 0 R" for index in range(len(objects)))
    font = "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    resources = f"/Resources << /XObject << {names} >> {font} >>"
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] {resources} /Contents 4 0 R >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn.encode()),
    ]
    parts += [
        f"<< /Type /XObject {inside} {resources if '/Form' in inside else ''} /Length {len(data)} >>\nstream\n".encode()
        + data
        + b"\nendstream"
        for inside, data in objects
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, part) for number, part in enumerate(parts, 1))
    return b"%PDF-1.4\n" + body + b"trailer << /Size %d /Root 1 0 R >>\n%%%%EOF\n" % (len(parts) + 1)


def image_object(side: int, *, filters: str, colours: str = "/DeviceRGB", bits: int = 8) -> str:
    return (
        f"/Subtype /Image /Width {side} /Height {side} /ColorSpace {colours} /BitsPerComponent {bits} "
        f"/Filter [{filters}]"
    )


def endless_stream() -> bytes:
    data = compressed(b"BT /F1 11 Tf 72 700 Td (Text) Tj ET\n", b" " * 2**20, times=2**10)
    twice = zlib.compress(data, 9)
    return pdf_of([]).replace(
        b"5 0 obj\n<< /Length 1 >>\nstream\n\n\nendstream",
        b"5 0 obj\n<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%s\nendstream" % (len(twice), twice),
    )


def giant_image() -> bytes:
    data = zlib.compress(compressed(b"", bytes(2**20), times=2700), 9)
    inside = image_object(30_000, filters="/FlateDecode /FlateDecode")
    return pdf_with((inside, data), drawn="612 0 0 792 0 0 cm /X0 Do")


def giant_box() -> bytes:
    data = zlib.compress(bytes(300), 9)
    inside = image_object(10, filters="/FlateDecode")
    return pdf_with((inside, data), drawn="14400 0 0 14400 0 0 cm /X0 Do", box="0 0 14400 14400")


def many_images() -> bytes:
    """Each of a size that is still read."""
    data = zlib.compress(compressed(b"", b"\xff" * 2**20, times=192), 9)
    inside = image_object(8_000, filters="/FlateDecode /FlateDecode")
    drawn = " ".join(f"q 300 0 0 300 {index} 0 cm /X{index} Do Q" for index in range(8))
    return pdf_with(*[(inside, data)] * 8, drawn=drawn)


def nested_forms() -> bytes:
    """Thirty forms each of which draws the next one twice."""
    inside = "/Subtype /Form /BBox [0 0 612 792]"
    forms = [(inside, f"/X{index + 1} Do /X{index + 1} Do".encode()) for index in range(30)]
    return pdf_with(*forms, (inside, b"BT /F1 11 Tf 72 700 Td (Text) Tj ET"), drawn="/X0 Do")


def circular_forms() -> bytes:
    inside = "/Subtype /Form /BBox [0 0 612 792]"
    forms = [(inside, b"/X1 Do /X1 Do"), (inside, b"/X0 Do /X0 Do")]
    return pdf_with(*forms, drawn="/X0 Do BT /F1 11 Tf 72 700 Td (Text) Tj ET")


def many_pages() -> bytes:
    return pdf_of(*[lines_down(["Orders are shipped within two days"])] * 10_000)


def picture(mode: str, kind: str, **options: Any) -> Callable[[], bytes]:
    def build() -> bytes:
        out = io.BytesIO()
        Image.new(mode, (7_900, 7_800), "white").save(out, kind, **options)
        return out.getvalue()

    return build


CRASH = (
    "The document made its reader crash: it is damaged, or needs more memory than one document may take. "
    "Export it again and retry."
)
EMPTY = "No text was found in this document."


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize(
    ("build", "kind", "end"),
    [
        pytest.param(endless_stream, "pdf", CRASH, id="a stream that unpacks to a gigabyte"),
        pytest.param(giant_image, "pdf", EMPTY, id="an image of 2.7 GB"),
        pytest.param(giant_box, "pdf", EMPTY, id="a page of five metres"),
        pytest.param(many_images, "pdf", EMPTY, id="eight images of 192 MB"),
        pytest.param(nested_forms, "pdf", CRASH, id="a thousand million forms"),
        pytest.param(circular_forms, "pdf", CRASH, id="forms that draw each other"),
        pytest.param(many_pages, "pdf", None, id="ten thousand pages"),
        pytest.param(picture("RGB", "PNG"), "image", EMPTY, id="PNG in colours"),
        pytest.param(picture("RGBA", "PNG"), "image", EMPTY, id="PNG with transparency"),
        pytest.param(picture("RGBA", "TIFF", compression="tiff_adobe_deflate"), "image", EMPTY, id="TIFF"),
        pytest.param(picture("RGB", "JPEG", progressive=True, subsampling=0), "image", EMPTY, id="progressive JPEG"),
    ],
)
def test_a_small_bomb_ends_in_little_memory_and_time(
    tmp_path: Path, build: Callable[[], bytes], kind: str, end: str | None
) -> None:
    told = read(write(tmp_path, "bomb", build()), kind)
    assert told.get("error") == end
    assert told["megabytes"] < MOST_MB
    assert told["seconds"] < MOST_SECONDS


def test_a_page_of_a_website_that_is_a_bomb_ends_in_little_memory_and_time(tmp_path: Path) -> None:
    told = read(write(tmp_path, "bomb", b"<body>" + b"<p>" * 660_000), "html", script=PAGE_SCRIPT)
    assert "memory" in told["error"]
    assert told["megabytes"] < MOST_MB
    assert told["seconds"] < MOST_SECONDS


def large_page(words: str) -> Image.Image:
    """A0 at 200 dpi, white but for one line."""
    page = Image.new("L", (6_622, 9_362), 255)
    page.paste(picture_of(words, size=60), (800, 800))
    return page


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize(("kind", "mode"), [("PDF", "1"), ("PDF", "L"), ("TIFF", "1"), ("TIFF", "RGB")])
def test_the_largest_scans_are_read_within_it(tmp_path: Path, kind: str, mode: str) -> None:
    out = io.BytesIO()
    first, *others = [large_page(f"The pump has number {number}").convert(mode) for number in range(11, 14)]
    packing = {"compression": "group4" if mode == "1" else "tiff_adobe_deflate"} if kind == "TIFF" else {}
    first.save(out, kind, save_all=True, append_images=others, resolution=200, **packing)
    told = read(write(tmp_path, "scan", out.getvalue()), kind.lower() if kind == "PDF" else "image")
    assert told["text"].split("\n\n") == [f"The pump has number {number}" for number in range(11, 14)]
    assert told["megabytes"] < MOST_MB


@pytest.mark.usefixtures("tesseract")
def test_a_scan_with_an_image_of_eighty_million_pixels_is_read(corpus: Path) -> None:
    told = read(corpus / "pdf" / "scans" / "multipage.pdf", "pdf")
    assert told["warnings"] == []
    assert "I thought I would behave a while if I could." in told["text"]
