"""Pages as pictures: decoded where the page is one picture, drawn where it is more, and the same either way."""

from __future__ import annotations

import pypdfium2
import pytest

from documents.ingestion.formats.pdf_scans import _picture, page_image
from documents.ingestion.ocr import DPI
from documents.tests.ingestion.builders import assembled

WIDTH, HEIGHT = 100, 50  # pixels
POINTS = (WIDTH * 72 // DPI, HEIGHT * 72 // DPI)
SCALE = DPI / 72
FILLS = f"{POINTS[0]} 0 0 {POINTS[1]} 0 0 cm /I Do"
GREY = "".join(f"{10 * row % 256:02x}" * WIDTH for row in range(HEIGHT))
HALF = ("00" * (WIDTH // 2) + "ff" * (WIDTH // 2)) * HEIGHT


def picture(samples: str = GREY, *, more: str = "", colours: str = "/DeviceGray", bits: int = 8) -> str:
    size = f"/Width {WIDTH} /Height {HEIGHT} /BitsPerComponent {bits}"
    head = f"/Type /XObject /Subtype /Image {size} /ColorSpace {colours}"
    return f"<< {head} {more} /Filter /ASCIIHexDecode /Length {len(samples) + 1} >> stream\n{samples}>\nendstream"


def page_of(*pictures: str, drawn: str = FILLS, more: str = "", left: int = 0) -> bytes:
    resources = "<< /XObject << /I 5 0 R >> >>"
    box = f"[{left} 0 {left + POINTS[0]} {POINTS[1]}]"
    return assembled(
        [
            "<< /Type /Catalog /Pages 2 0 R >>",
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Resources {resources} /Contents 4 0 R {more} >>",
            f"<< /Length {len(drawn)} >> stream\n{drawn}\nendstream",
            *pictures,
        ]
    )


def is_decoded(data: bytes) -> bool:
    page = pypdfium2.PdfDocument(data)[0]
    page.set_rotation(0)
    return _picture(page, SCALE) is not None


def assert_looks_as_drawn(data: bytes) -> None:
    document = pypdfium2.PdfDocument(data)
    drawn = document[0].render(scale=SCALE, grayscale=True).to_pil()
    image = page_image(document, 1).image
    assert (image.size, image.tobytes()) == (drawn.size, drawn.tobytes())
    document.close()


@pytest.mark.parametrize("more", ["", "/Rotate 90"])
@pytest.mark.parametrize("decode", ["", "/Decode [1 0]"])
def test_a_page_that_is_one_picture_looks_as_it_is_drawn(decode: str, more: str) -> None:
    data = page_of(picture(more=decode), more=more)
    assert is_decoded(data)
    assert_looks_as_drawn(data)


def test_so_does_one_in_black_and_white_and_one_that_begins_elsewhere() -> None:
    black_and_white = page_of(picture("aa" * 13 * HEIGHT, bits=1))
    elsewhere = page_of(picture(), drawn=FILLS.replace("0 0 cm", "7 0 cm"), left=7)
    for data in (black_and_white, elsewhere):
        assert is_decoded(data)
        assert_looks_as_drawn(data)


SQUARE = "/Annots [<< /Type /Annot /Subtype /Square /Rect [5 5 15 12] /C [1 0 0] /IC [0 0 0] >>]"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(page_of(picture("00" * WIDTH * HEIGHT, more="/SMask 6 0 R"), picture(HALF)), id="a soft mask"),
        pytest.param(page_of(picture(HALF, more="/Mask [0 0]")), id="a colour that is left out"),
        pytest.param(page_of(picture(), drawn=f"0 0 9 9 re W n {FILLS}"), id="a clip"),
        pytest.param(page_of(picture(), drawn=f"{FILLS} 0 0 9 9 re f"), id="something drawn above it"),
        pytest.param(page_of(picture(), drawn="18 0 0 18 0 0 cm /I Do"), id="half of the page is empty"),
        pytest.param(page_of(picture(), drawn=f"-{FILLS.replace('0 0 cm', f'{POINTS[0]} 0 cm')}"), id="mirrored"),
        pytest.param(page_of(picture(), more=SQUARE), id="an annotation"),
        pytest.param(page_of(picture(GREY * 3, colours="/DeviceRGB")), id="in colour"),
    ],
)
def test_a_page_that_is_more_than_a_grey_picture_is_drawn(data: bytes) -> None:
    assert not is_decoded(data)
    assert_looks_as_drawn(data)
