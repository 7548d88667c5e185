"""Which index of an agent or dataset answers, and what each of them holds.

Whoever changes chunks holds the index that answers, by a lock on its row, before the document: so a switch sees every
change, and nothing changes while it takes place. A change counts up the document's `revision`; an index holds the
document as it is while its own record of it says the same number.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from agents.catalog.models import ProviderModel
from agents.models import MODEL_RELATIONS, Agent, EmbedderChoice, LLMSettings
from documents.enums import UNFINISHED_JOBS, DocumentStatus, IndexState, JobStatus
from documents.ingestion.sandbox import Chunking
from documents.models import Document, Home, IndexBuild, IndexedDocument, SearchIndex, owned_by
from knowrithm.db.compiled import ANY_ID, CompiledQuery
from knowrithm.errors import ConflictError
from knowrithm.llm.base import ProviderConfig

_MODELS = tuple(name for name in MODEL_RELATIONS if name.startswith("embedding"))
_ANSWERING: CompiledQuery[SearchIndex] = CompiledQuery(
    lambda: (
        SearchIndex.objects.filter(
            Q(agent_id=ANY_ID) | Q(dataset__archived_at=None, dataset__grants__agent_id=ANY_ID),
            state=IndexState.ANSWERING,
        )
        .select_related("dataset__llm_settings")
        .order_by(F("agent_id").asc(nulls_last=True), "dataset_id")
    )
)


def indexes_that_answer(agent: Agent) -> list[tuple[SearchIndex, ProviderConfig]]:
    """The agent's own and those of the datasets granted to it, each with what its questions are embedded by.

    Read at once: a switch lies before all of them, or after.
    """
    found = _ANSWERING.of(agent.id)
    settings = [row.dataset.llm_settings if row.dataset else agent.llm_settings for row in found]
    _fill_in_models([*found, *settings], agent.llm_settings)
    return [(row, row.config(of_home)) for row, of_home in zip(found, settings, strict=True)]


def _fill_in_models(rows: Sequence[EmbedderChoice], known: LLMSettings) -> None:
    """Mostly all are of the agent's own model: joined to each row, it would take longer than all the rest."""
    models = {known.embedding_model_id: known.embedding_model}
    if other := {row.embedding_model_id for row in rows} - models.keys():
        models |= ProviderModel.objects.select_related("provider").in_bulk(other)
    for row in rows:
        row.embedding_model = models[row.embedding_model_id]
        row.embedding_provider = row.embedding_model.provider


def index_of(home: Home, state: IndexState = IndexState.ANSWERING) -> SearchIndex | None:
    return _rows(home).filter(state=state).select_related(*_MODELS).first()


def writing_embedder(home: Home) -> tuple[ProviderConfig, tuple[object, ...]]:
    """What a document that is read now is embedded by, and its identity."""
    settings: LLMSettings = LLMSettings.objects.with_models().get(pk=home.llm_settings_id)
    index = index_of(home)
    if index is None:
        return settings.embedding_config(), settings.embedding_identity
    return index.config(settings), index.embedding_identity


def hold_index(home: Home) -> SearchIndex | None:
    """The index that answers, locked until the transaction ends; None while nothing has been read."""
    while True:
        rows = _rows(home).filter(state=IndexState.ANSWERING)
        index = rows.select_for_update(of=("self",), no_key=True).first()
        if index is not None or not rows.exists():  # else another one has begun to answer while this one waited
            return index


def hold_or_make_index(home: Home) -> SearchIndex:
    index = hold_index(home)
    if index is not None:
        return index
    settings = LLMSettings.objects.get(pk=home.llm_settings_id)
    made = SearchIndex(chunk_size=home.chunk_size, chunk_overlap=home.chunk_overlap, state_at=timezone.now())
    made.copy_embedder(settings)
    fields = {
        field.attname: getattr(made, field.attname)
        for field in SearchIndex._meta.concrete_fields
        if field.attname not in ("agent_id", "dataset_id", "state")
    }
    SearchIndex.objects.get_or_create(**owned_by(home), state=IndexState.ANSWERING, defaults=fields)
    index = hold_index(home)
    assert index is not None  # noqa: S101  # it has just been made
    return index


def count_change(document: Document) -> int:
    """The document's revision from now on. Hold the index first."""
    Document.objects.filter(pk=document.pk).update(revision=F("revision") + 1)
    document.revision = Document.objects.values_list("revision", flat=True).get(pk=document.pk)
    return document.revision


def count_edit(document: Document) -> None:
    """Say that a person changes chunks of the document that answer. Call at the start of the transaction.

    Raises `ConflictError` while what answers is not up to date, as just after a way back: the edit would be lost.
    """
    index = hold_or_make_index(document.home)
    now = count_change(document)
    held = IndexedDocument.objects.filter(search_index=index, document=document, revision=now - 1)
    if not held.update(revision=now):
        raise ConflictError(
            "This document is being brought into the index that answers now. Try again in a moment.", code="DOC_BUSY"
        )


def record(index: SearchIndex, document: Document, revision: int, chunking: Chunking, note: str = "") -> None:
    IndexedDocument.objects.update_or_create(
        search_index=index,
        document=document,
        defaults={
            "revision": revision,
            "chunk_size": chunking.chunk_size,
            "chunk_overlap": chunking.chunk_overlap,
            "note": note[:500],
        },
    )


def documents_for(home: Home) -> QuerySet[Document]:
    """All that an index of this home has to hold: what has been read, archived documents too."""
    return Document.objects.filter(**owned_by(home), status=DocumentStatus.PROCESSED)


def outstanding(index: SearchIndex) -> QuerySet[Document]:
    """Those of them that the index does not hold as they are."""
    held = IndexedDocument.objects.filter(search_index=index, document=OuterRef("pk"), revision=OuterRef("revision"))
    return documents_for(index.home).exclude(Exists(held))


def source_of(document: Document, target: SearchIndex) -> IndexedDocument | None:
    """The record of an index that has the document as it is: of the one that answers, or the one before it."""
    rows = IndexedDocument.objects.filter(document=document, revision=document.revision)
    rows = rows.filter(search_index__state__in=(IndexState.ANSWERING, IndexState.PREVIOUS))
    return rows.exclude(search_index=target).order_by("search_index__state").first()


def is_catching_up(index: SearchIndex) -> bool:
    """It answers, but does not yet hold all that has been changed since it last did."""
    return index.builds.filter(status__in=UNFINISHED_JOBS).exists() or outstanding(index).exists()


def switch(*, old: SearchIndex, new: SearchIndex) -> None:
    """Let `new` answer and keep `old`. Hold `old`. What was kept before is to be deleted, unless it is `new`."""
    now = timezone.now()
    stop_builds(old, now)
    home = _rows(old.home)
    home.filter(state=IndexState.PREVIOUS).update(state=IndexState.RETIRED, state_at=now)
    home.filter(pk=old.pk).update(state=IndexState.PREVIOUS, state_at=now)
    home.filter(pk=new.pk).update(state=IndexState.ANSWERING, state_at=now)
    _count_chunks(new.pk)


def retire(index: SearchIndex) -> None:
    """Have it deleted. Hold the index that answers."""
    now = timezone.now()
    stop_builds(index, now)
    _rows(index.home).filter(pk=index.pk).update(state=IndexState.RETIRED, state_at=now)


def stop_builds(index: SearchIndex, now: datetime) -> None:
    unfinished = IndexBuild.objects.filter(search_index=index, status__in=(*UNFINISHED_JOBS, JobStatus.FAILED))
    unfinished.update(status=JobStatus.CANCELLED, finished_at=now, lease_until=None)


def _rows(home: Home) -> QuerySet[SearchIndex]:
    return SearchIndex.objects.filter(**owned_by(home))


def _count_chunks(index_id: uuid.UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE documents_document AS document SET chunk_count = found.chunks, word_count = found.words
            FROM (
                SELECT document_id, count(*) AS chunks, sum(word_count) AS words
                FROM documents_documentchunk WHERE search_index_id = %s GROUP BY document_id
            ) AS found
            WHERE found.document_id = document.id
              AND (document.chunk_count, document.word_count) <> (found.chunks, found.words)
            """,
            [index_id],
        )
