"""How the documents of an agent or dataset are cut into chunks."""

from __future__ import annotations

from django.db import transaction

from documents.ingestion.sandbox import Chunking
from documents.models import Home
from documents.services.indexes import build_index_for
from knowrithm.errors import InvalidInputError
from knowrithm.principal import Principal
from tenants.audit.services import changed_fields, fields_of, record_event

FIELDS = ("chunk_size", "chunk_overlap")
SMALLEST_CHUNK, LARGEST_CHUNK = 20, 600  # words; longer ones would exceed MAX_CHUNK_CHARACTERS


def check_chunking(chunk_size: int, chunk_overlap: int) -> Chunking:
    """Both in words. Raises `InvalidInputError`."""
    if not SMALLEST_CHUNK <= chunk_size <= LARGEST_CHUNK:
        text = f"A passage has between {SMALLEST_CHUNK} and {LARGEST_CHUNK} words."
        raise InvalidInputError(text, fields={"chunk_size": [text]})
    if not 0 <= chunk_overlap <= chunk_size // 2:
        text = "Passages overlap by at most half of their size."
        raise InvalidInputError(text, fields={"chunk_overlap": [text]})
    return Chunking(chunk_size, chunk_overlap)


@transaction.atomic
def set_chunking(
    *, actor: Principal, home: Home, chunk_size: int, chunk_overlap: int, is_read_again: bool = False
) -> int:
    """For what is read from now on; with `is_read_again` also for what has been read already.

    That is cut anew in the background, while it answers as it is. Returns how many documents these are.
    """
    chunking = check_chunking(chunk_size, chunk_overlap)
    before = fields_of(home, FIELDS)
    home.chunk_size, home.chunk_overlap = chunking.chunk_size, chunking.chunk_overlap
    home.save(update_fields=[*FIELDS, "updated_at"])
    queued = build_index_for(home=home, is_cut_anew=True) if is_read_again else 0
    changes = changed_fields(before, fields_of(home, FIELDS))
    if queued:
        changes["read_again"] = (None, queued)
    record_event(actor=actor, event_type=f"{home._meta.model_name}.chunking_changed", entity=home, changes=changes)
    return queued
