"""Files as people upload them, made by hand so that a test says what is in them."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from docx import Document

WARRANTY = "The warranty of the X200 pump lasts 37 months from the date of purchase."
WARRANTY_QUESTION = "How long is the warranty of the X200 pump?"

_PDF_OBJECTS = (
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
    "<< /Length {length} >>\nstream\n{content}\nendstream",
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
)
# Its owner and user entries belong to no password that a reader could guess.
_ENCRYPTION = f"<< /Filter /Standard /V 1 /R 2 /P -4 /O <{'4f' * 32}> /U <{'55' * 32}> >>"


def pdf(*lines: str, encrypted: bool = False) -> bytes:
    """One page with the lines as its text layer."""
    content = "BT /F1 12 Tf 72 720 Td 16 TL " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
    objects = [text.format(length=len(content), content=content) if "{" in text else text for text in _PDF_OBJECTS]
    objects += [_ENCRYPTION] if encrypted else []
    body, offsets = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    security = f"/Encrypt {len(objects)} 0 R /ID [<00> <00>] " if encrypted else ""
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {security}>>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def docx(*paragraphs: str) -> bytes:
    document = Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def docx_bomb(megabytes: int) -> bytes:
    """A small DOCX whose text unpacks to so many megabytes."""
    file = io.BytesIO()
    whole = io.BytesIO(docx("Bomb."))
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb:
        for name in source.namelist():
            if name != "word/document.xml":
                bomb.writestr(name, source.read(name))
        with bomb.open("word/document.xml", "w", force_zip64=True) as part:
            for _ in range(megabytes):
                part.write(b" " * 2**20)
    return file.getvalue()


def table(rows: Sequence[Sequence[object]]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def library() -> dict[str, bytes]:
    """One file of each format, each with a fact that no other file has."""
    return {
        "pump.txt": f"The X200 pump is made in Lyon.\n\n{WARRANTY}\n\nReturns are accepted within 30 days.".encode(),
        "stock.csv": table([("item", "price"), ("widget", 12), ("spanner", 44)]),
        "office.json": json.dumps({"office": {"city": "Reykjavik", "phone": "555-1234"}}).encode(),
        "valve.pdf": pdf("The Q7 valve withstands a pressure of 90 bar.", "It must be replaced every five years."),
        "holidays.docx": docx("Holidays", "Every employee has 29 days of paid holiday a year."),
        "menu.xml": b"<menu><dish><name>Goulash soup</name><price>7.50</price></dish></menu>",
        "security.md": b"# Security\n\n## Badges\n\nA lost badge is reported to the porter within one hour.\n",
        "parking.html": b"<html><body><h1>Parking</h1><p>Visitors park on level minus three.</p></body></html>",
    }


def write_files(folder: Path, files: dict[str, bytes]) -> list[Path]:
    paths = []
    for name, content in files.items():
        path = folder / name
        path.write_bytes(content)
        paths.append(path)
    return paths
