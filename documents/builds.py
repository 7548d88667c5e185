"""What a worker does with an index in the making: bring one document after the other into it, then let it answer.

Until then the index before it answers. A document is done when the index records it as it is (documents.indexes), so a
build whose worker died goes on where it was, and a document that is read, edited or restored meanwhile is simply one
more to do. A worker gives a long build back now and then, so that others have their turn.
"""

from __future__ import annotations

import threading
import time
import uuid
from datetime import timedelta
from typing import Any

import structlog
from celery import Task
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, F, Sum
from django.utils import timezone

from agents.models import LLMSettings
from documents import embeddings
from documents.chunks import delete_some_chunks, kept_chunks, write_chunks
from documents.enums import UNFINISHED_JOBS, IndexState, JobStatus
from documents.indexes import (
    hold_index,
    index_of,
    is_catching_up,
    outstanding,
    record,
    retire,
    source_of,
    stop_builds,
    switch,
)
from documents.ingestion.base import IngestionError
from documents.ingestion.carry import Kept, carry
from documents.ingestion.extract import OcrOptions
from documents.ingestion.sandbox import Chunking, ExtractionCancelledError, extract_limited, limits_for
from documents.ingestion.split import embedding_text
from documents.models import EMBEDDER_FIELDS, Document, Home, IndexBuild, SearchIndex, owned_by
from documents.originals import local_copy
from knowrithm.db.lease import LostLeaseError
from knowrithm.db.schema import release_connection
from knowrithm.jobs import current_schema, enqueue
from knowrithm.llm.base import ProviderError
from knowrithm.llm.registry import embedder
from knowrithm.net.outbound import OutboundError
from tenants.selectors import ocr_languages

log = structlog.get_logger(__name__)

RELATED = tuple(
    f"search_index__{name}"
    for name in ("agent__llm_settings", "dataset__llm_settings", "embedding_provider", "embedding_model")
)
MAX_ATTEMPTS = 4  # without getting on
SLICE = 20.0  # seconds that one worker works on one build at a stretch, and the document that it is at
KEPT_FOR = timedelta(days=7)  # the index before, for a way back
CHUNKS_AT_ONCE = 500  # that are deleted


class SliceOverError(Exception):
    """The worker has been at the build for long enough."""


# --- Beginning and ending -------------------------------------------------------------------------------------------


def begin(
    home: Home, task: Task[Any, Any], *, before: LLMSettings | None = None, is_cut_anew: bool = False
) -> IndexBuild | None:
    """Have an index made as the home's settings say now, in place of any that is in the making.

    None when the one that answers is so already, or there is nothing that answers. `before` are the settings that its
    embedder came from: they may be changed or gone by now. `is_cut_anew` is for other sizes of chunks.
    """
    answering = hold_index(home)
    if answering is None:
        return None
    if before is not None and before.embedding_identity == answering.embedding_identity:
        answering.copy_embedder(before)
        answering.save(update_fields=[*EMBEDDER_FIELDS, "updated_at"])
    made = index_of(home, IndexState.BUILDING)
    is_cut_anew = is_cut_anew or (made is not None and made.is_cut_anew)
    wanted = LLMSettings.objects.get(pk=home.llm_settings_id)
    identity, cut_as = wanted.embedding_identity, home if is_cut_anew else answering
    sizes = cut_as.chunk_size, cut_as.chunk_overlap
    is_needed = is_cut_anew or identity != answering.embedding_identity
    if made is not None:
        made_as = (made.embedding_identity, (made.chunk_size, made.chunk_overlap), made.is_cut_anew)
        if is_needed and made_as == (identity, sizes, is_cut_anew):
            return _start(made, task)
        retire(made)
    if not is_needed:
        return None
    made = SearchIndex(**owned_by(home), chunk_size=sizes[0], chunk_overlap=sizes[1], is_cut_anew=is_cut_anew)
    made.copy_embedder(wanted)
    made.state_at = timezone.now()
    made.save()
    return _start(made, task)


def _start(index: SearchIndex, task: Task[Any, Any]) -> IndexBuild:
    """Queue the work, unless it is queued. What has been done already stays done."""
    going_on: IndexBuild | None = index.builds.filter(status__in=UNFINISHED_JOBS).first()
    if going_on is not None:
        return going_on
    stop_builds(index, timezone.now())  # one that has failed is tried again
    build = IndexBuild.objects.create(search_index=index, chunks_at_start=work_left(index)[1])
    enqueue(task, str(build.id))
    return build


def cancel(home: Home) -> SearchIndex | None:
    """Give up the index in the making. What answers goes on. None: there was none."""
    hold_index(home)
    made = index_of(home, IndexState.BUILDING)
    if made is not None:
        retire(made)
    return made


def roll_back(home: Home, task: Task[Any, Any]) -> SearchIndex | None:
    """Let the index before answer again, at once, and bring into it what has changed since. None: there is none."""
    answering, previous = hold_index(home), index_of(home, IndexState.PREVIOUS)
    if answering is None or previous is None:
        return None
    # Out of the way, as no two indexes of a home are in one state.
    SearchIndex.objects.filter(pk=previous.pk).update(state=IndexState.RETIRED)
    switch(old=answering, new=previous)
    catch_up(previous, task)
    return previous


def catch_up(index: SearchIndex, task: Task[Any, Any]) -> IndexBuild | None:
    """Bring into an index that answers what it does not hold as it is. None when that is nothing."""
    return _start(index, task) if outstanding(index).exists() else None


def work_left(index: SearchIndex) -> tuple[int, int]:
    """Documents that are still to be brought into the index, and about how many chunks they have."""
    found = outstanding(index).aggregate(documents=Count("pk"), chunks=Sum(F("chunk_count") + 1))
    return found["documents"], found["chunks"] or 0


# --- Working --------------------------------------------------------------------------------------------------------


def run(build_id: uuid.UUID, task: Task[Any, Any]) -> None:
    """Work on this build if it is free. `task` is queued again when there is more to do."""
    build = IndexBuild.claim(build_id, *RELATED)
    if build is None:
        return  # finished, cancelled, or another worker's
    if build.attempts > MAX_ATTEMPTS:  # it took its worker down with it every time
        _fail(build, "Making the index failed several times.", "INDEX_FAILED")
        return
    if build.started_at is None:
        build.started_at = timezone.now()
        build.update_if_held(started_at=build.started_at)
    try:
        with build.kept_alive() as held:
            _work(build, held, time.monotonic() + SLICE)
    except SliceOverError:
        _go_on_later(build, task, 0, attempts=0)
    except (LostLeaseError, ExtractionCancelledError):
        log.info("index_build_stopped", build=str(build.id))
    except (ProviderError, OutboundError) as error:
        _retry_or_fail(build, task, str(error), getattr(error, "code", "INDEX_FAILED"), is_permanent=error.permanent)
    except (OperationalError, InterfaceError) as error:
        log.warning("index_build_database_unavailable", build=str(build.id), error=str(error))
        raise  # the lease runs out and the build is resumed
    except Exception:
        log.exception("index_build_failed", build=str(build.id))
        cause = "The index could not be made because of a fault on our side."
        _retry_or_fail(build, task, cause, "INDEX_INTERNAL_ERROR")


def call_worker(task: Task[Any, Any], *, expires: float) -> None:
    """For what a dead worker left behind, and for what a lost queue never delivered."""
    waiting = IndexBuild.objects.filter(status=JobStatus.PENDING).exclude(due_at__gt=timezone.now())
    for rows in (IndexBuild.abandoned(), waiting):
        for build_id in rows.values_list("pk", flat=True)[:100]:
            task.apply_async(args=(current_schema(), str(build_id)), expires=expires)


def _work(build: IndexBuild, held: threading.Event, until: float) -> None:
    """Bring documents into the index until all are there and it answers. Raises `SliceOverError`."""
    index = build.search_index
    while True:
        document = outstanding(index).select_related("agent", "dataset").order_by(
            F("archived_at").asc(nulls_first=True), "created_at", "pk"
        ).first()  # fmt: skip
        if document is None:
            if _finish(build):
                return
            continue
        _bring(build, document, held)
        if time.monotonic() > until:
            raise SliceOverError


def _bring(build: IndexBuild, document: Document, held: threading.Event) -> None:
    index = build.search_index
    kept, chunking, note = _chunks(build, document, held)
    config = index.config(index.home.llm_settings)
    model = embedder(config)
    texts = [embedding_text(one.chunk, document.name) for one in kept]
    until = time.monotonic() + SLICE  # for itself, however long it took to read

    def on_progress(share: float) -> None:
        if not held.is_set() or not build.is_held():
            raise LostLeaseError
        if len(texts) < settings.EMBEDDING_CACHE_SIZE and share < 1 and time.monotonic() > until:
            raise SliceOverError  # what is embedded is known by then
        release_connection()  # a remote model may take long

    vectors, _ = embeddings.embed(model, config, texts, on_progress=on_progress)
    with transaction.atomic():
        hold_index(index.home)
        if not build.update_if_held(attempts=0, error="", error_code=""):
            raise LostLeaseError
        now = Document.objects.select_for_update().filter(pk=document.pk).first()
        if now is None or now.revision != document.revision:
            return  # changed meanwhile: it is one to do again
        build.attempts = 0
        write_chunks(index, document, kept, vectors, model.name)
        record(index, document, document.revision, chunking, note)
    embeddings.forget_oldest()


def _chunks(build: IndexBuild, document: Document, held: threading.Event) -> tuple[list[Kept], Chunking, str]:
    """What the index shall hold of the document, how that is cut, and why it is not as it should be, in words."""
    index = build.search_index
    source = source_of(document, index)
    now = [] if source is None else kept_chunks(source.search_index, document)
    wanted = Chunking(index.chunk_size, index.chunk_overlap)
    cut = wanted if source is None else Chunking(source.chunk_size, source.chunk_overlap)
    if source is not None and (cut == wanted or not index.is_cut_anew):
        return now, cut, ""
    try:
        with local_copy(document) as path:
            result = extract_limited(
                path,
                document.document_type,
                ocr=OcrOptions(languages=ocr_languages()),
                chunking=wanted,
                limits=limits_for(document.document_type, document.file_size, memory_mb=settings.INGESTION_MEMORY_MB),
                cancelled=lambda: not held.is_set() or not build.is_held(),
            )
    except (IngestionError, OSError, ValueError) as error:
        cause = str(error) if isinstance(error, IngestionError) else "Its original file is not there any more."
        return now, cut, f"It keeps its passages as they were: it could not be read once more. {cause}"
    return carry(now, result.chunks), wanted, ""


def _finish(build: IndexBuild) -> bool:
    """Let the index answer. False: something is to be done once more, as a document was changed meanwhile."""
    index = build.search_index
    with transaction.atomic():
        answering = hold_index(index.home)
        if outstanding(index).exists():
            return False
        if not build.update_if_held(
            status=JobStatus.COMPLETED, finished_at=timezone.now(), lease_until=None, error="", error_code=""
        ):
            raise LostLeaseError
        index.refresh_from_db(fields=["state"])
        if answering is not None and index.state == IndexState.BUILDING:
            switch(old=answering, new=index)
    return True


def _go_on_later(build: IndexBuild, task: Task[Any, Any], wait: float, **values: Any) -> None:
    due_at = timezone.now() + timedelta(seconds=wait) if wait else None
    with transaction.atomic():
        if build.update_if_held(status=JobStatus.PENDING, lease_until=None, due_at=due_at, **values):
            enqueue(task, str(build.id), countdown=wait)


def _retry_or_fail(
    build: IndexBuild, task: Task[Any, Any], cause: str, code: str, *, is_permanent: bool = False
) -> None:
    """Try again, later each time, what may succeed then."""
    if is_permanent or build.attempts >= MAX_ATTEMPTS:
        _fail(build, cause, code)
        return
    _go_on_later(build, task, 5.0 * 3**build.attempts, error=cause.replace("\0", ""), error_code=code)


def _fail(build: IndexBuild, cause: str, code: str) -> None:
    build.update_if_held(
        status=JobStatus.FAILED, error=cause.replace("\0", ""), error_code=code, finished_at=timezone.now(),
        lease_until=None,
    )  # fmt: skip


# --- Deleting what is not needed any more ---------------------------------------------------------------------------


def purge() -> None:
    """Delete the indexes of the current company that were given up, and those kept for long enough."""
    expired = SearchIndex.objects.filter(state=IndexState.PREVIOUS, state_at__lt=timezone.now() - KEPT_FOR)
    for index in expired.select_related("agent", "dataset"):
        _retire_expired(index)
    for index in SearchIndex.objects.filter(state=IndexState.RETIRED).select_related("agent", "dataset"):
        while delete_some_chunks(index, CHUNKS_AT_ONCE):
            pass
        SearchIndex.objects.filter(pk=index.pk, state=IndexState.RETIRED).delete()


@transaction.atomic
def _retire_expired(index: SearchIndex) -> None:
    answering = hold_index(index.home)
    is_previous = SearchIndex.objects.filter(pk=index.pk, state=IndexState.PREVIOUS).exists()
    if is_previous and answering is not None and not is_catching_up(answering):
        retire(index)
