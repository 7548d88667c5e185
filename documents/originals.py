"""The original of a document, for the platform's own work."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from documents.models import Document


@contextmanager
def local_copy(document: Document) -> Iterator[Path]:
    """As a file on this machine, whatever the storage. Raises `ValueError` or `OSError` where there is none."""
    try:
        path = Path(document.file.path)
    except NotImplementedError:
        path = None
    if path is not None:
        path.stat()
        yield path
        return
    with document.file.open() as original, tempfile.NamedTemporaryFile(suffix=f".{document.document_type}") as copy:
        for piece in original.chunks():
            copy.write(piece)
        copy.flush()
        yield Path(copy.name)
