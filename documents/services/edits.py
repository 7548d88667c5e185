"""Changes by hand: what a document is called and tagged, and what its chunks say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from documents.chunks import rewrite_chunk
from documents.indexes import count_edit, writing_embedder
from documents.ingestion.base import Chunk
from documents.ingestion.split import MAX_CHUNK_CHARACTERS, embedding_text
from documents.models import Document, DocumentChunk
from documents.services.tags import clean_tags
from knowrithm.errors import ConflictError, InvalidInputError, UnavailableError
from knowrithm.llm.base import ProviderError
from knowrithm.llm.registry import embedder
from knowrithm.principal import Principal
from tenants.audit.services import changed_fields, fields_of, record_event

FIELDS = ("title", "tags", "metadata")


@transaction.atomic
def update_document(*, actor: Principal, document: Document, changes: Mapping[str, Any]) -> Document:
    """Change title, tags or metadata, whichever are given; each replaces what was there."""
    before = fields_of(document, FIELDS)
    for name in FIELDS:
        if name in changes:
            setattr(document, name, clean_tags(changes[name]) if name == "tags" else changes[name])
    document.save(update_fields=[*(name for name in FIELDS if name in changes), "updated_at"])
    changed = changed_fields(before, fields_of(document, FIELDS))
    record_event(actor=actor, event_type="document.updated", entity=document, changes=changed)
    return document


def edit_chunk(*, actor: Principal, chunk: DocumentChunk, content: str) -> DocumentChunk:
    """Give a chunk another text, which is searched and quoted from now on; what was read is kept for an undo.

    Raises `ConflictError` while its document is being read, `UnavailableError` when the text cannot be embedded now.
    """
    content = content.strip()
    if not content or len(content) > MAX_CHUNK_CHARACTERS:
        text = f"Write at least one word and at most {MAX_CHUNK_CHARACTERS} characters, or switch the passage off."
        raise InvalidInputError(text, fields={"content": [text]})
    return _rewrite(actor, chunk, content, "document_chunk.edited")


def undo_chunk_edit(*, actor: Principal, chunk: DocumentChunk) -> DocumentChunk:
    """Back to what was read. Raises as `edit_chunk`, and `InvalidInputError` when nothing was edited."""
    if chunk.original_content is None:
        raise InvalidInputError("This passage was not edited.")
    return _rewrite(actor, chunk, chunk.original_content, "document_chunk.edit_undone")


def _rewrite(actor: Principal, chunk: DocumentChunk, content: str, event_type: str) -> DocumentChunk:
    _check_is_at_rest(chunk.document)
    vector = _embed(chunk, content)  # before the transaction: a remote model may take long
    with transaction.atomic():
        count_edit(chunk.document)
        _check_is_at_rest(Document.objects.select_for_update().get(pk=chunk.document_id))
        fresh = DocumentChunk.objects.select_for_update(of=("self",)).filter(pk=chunk.pk)
        current = fresh.filter(embedding_model=chunk.embedding_model).select_related("document").first()
        if current is None:
            raise ConflictError("The document was read again meanwhile. Look at its passages and edit again.")
        before = current.content
        rewrite_chunk(current, content, vector)
        record_event(
            actor=actor,
            event_type=event_type,
            entity_type="document_chunk",
            entity_id=chunk.pk,
            entity_label=chunk.document.original_filename,
            changes={"content": (before, content)},
        )
    found: DocumentChunk = current
    return found


def _check_is_at_rest(document: Document) -> None:
    if document.is_active_job:
        raise ConflictError("The document is being read. Edit its passages when that is done.", code="DOC_BUSY")


def _embed(chunk: DocumentChunk, content: str) -> list[float]:
    document = chunk.document
    config, _ = writing_embedder(document.home)
    model = embedder(config)
    piece = Chunk(chunk.index, content, chunk.locator, tuple(chunk.headings))
    try:
        vector: list[float] = list(model.embed_documents([embedding_text(piece, document.name)])[0])
    except ProviderError as error:
        raise UnavailableError(str(error), code=error.code) from error
    return vector
