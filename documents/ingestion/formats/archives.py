"""Office documents are archives: what is wrong with one is found before anything of it is unpacked."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from documents.ingestion.base import DamagedDocumentError, DangerousDocumentError

MAX_UNPACKED = 200 * 2**20
MAX_PARTS = 20_000
# Office's XML compresses 10 to 20 times; small files of much repetition more.
MAX_RATIO, RATIO_FROM = 100, 10 * 2**20
_DECLARATION = 4096  # bytes of a part in which it would declare its entities
# What their readers raise for files that are not what they should be.
DAMAGE = (
    KeyError,
    ValueError,
    IndexError,
    AttributeError,
    TypeError,
    AssertionError,
    OSError,
    zipfile.BadZipFile,
    zlib.error,
)


def guard(path: Path, what: str) -> None:
    """Refuse an archive that unpacks to far more than it holds, or whose XML declares entities.

    `what` names the document in the sentences: `Word document`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, what)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError, zlib.error) as error:
        raise DamagedDocumentError(f"This {what} is damaged: it is not a complete archive.") from error


def _check(archive: zipfile.ZipFile, what: str) -> None:
    parts = archive.infolist()
    if any(part.flag_bits & 1 for part in parts):
        raise DamagedDocumentError(f"This {what} is locked inside its archive and cannot be opened.")
    unpacked = sum(part.file_size for part in parts)
    packed = max(sum(part.compress_size for part in parts), 1)
    is_bomb = unpacked > MAX_UNPACKED or (unpacked > RATIO_FROM and unpacked > MAX_RATIO * packed)
    if is_bomb or len(parts) > MAX_PARTS:
        raise DangerousDocumentError(f"This {what} unpacks to far more data than a document needs, and was not opened.")
    for part in parts:
        if part.filename.endswith((".xml", ".rels")):
            with archive.open(part) as file:
                # The standard forbids them, so no program writes them.
                if b"<!DOCTYPE" in file.read(_DECLARATION).replace(b"\0", b""):
                    raise DangerousDocumentError(
                        f"This {what} declares entities in its XML, which can be used for attacks. "
                        "Save it again and upload it again."
                    )
