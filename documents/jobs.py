"""What a worker does with an ingestion job: claim, read, embed, replace the document's chunks, finish.

Every step may be the last: a job whose worker died is claimed again when its lease has run out, starts over, and
writes in one transaction, so nothing is lost or doubled. A document always ends `processed`, or `failed` with its
cause in words.
"""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from celery import Task
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import OperationalError, transaction
from django.utils import timezone

from agents.models import Agent, LLMSettings
from documents.chunks import replace_chunks, with_edits
from documents.enums import DocumentStatus, JobStatus, Stage
from documents.ingestion.base import Chunk, IngestionError
from documents.ingestion.detect import detect_type
from documents.ingestion.extract import OcrOptions
from documents.ingestion.sandbox import (
    Chunking,
    ExtractionCancelledError,
    IngestionResult,
    Limits,
    extract_limited,
)
from documents.ingestion.split import embedding_text
from documents.models import Document, IngestionJob
from documents.versions import settle
from knowrithm import jobs as task_records
from knowrithm.db.schema import release_connection
from knowrithm.jobs import enqueue
from knowrithm.llm.base import ProviderError
from knowrithm.llm.registry import embedder
from knowrithm.net.outbound import OutboundError, fetch

log = structlog.get_logger(__name__)

RELATED = ("document__agent", "document__dataset")
MAX_ATTEMPTS = 4
EMBEDDING_BATCH = 16
# Progress shares of the stages: reading the first part, embedding most of the rest.
EXTRACTED, EMBEDDED = 40, 95


Identity = tuple[object, ...]  # LLMSettings.embedding_identity


class LostLeaseError(Exception):
    """Another worker has taken the job over: this one must not write any more."""


class EmbedderChangedError(Exception):
    """The vectors just made cannot be compared with those of the agent's present model."""


def run(job_id: uuid.UUID, task: Task[Any, Any]) -> None:
    """Work on a job if it is free. `task` is queued again when the job may succeed later."""
    job = IngestionJob.claim(job_id, *RELATED)
    if job is None:
        return  # finished, cancelled, or another worker's
    document = job.document
    IngestionJob.objects.filter(pk=job.pk).update(started_at=timezone.now())
    Document.objects.filter(pk=document.pk).update(status=DocumentStatus.PROCESSING)
    task_records.report_progress(str(job.task_id), 1, Stage.EXTRACTING.label)
    try:
        with job.kept_alive() as held:
            _ingest(job, document, held)
    except (LostLeaseError, ExtractionCancelledError):
        log.warning("ingestion_lease_lost", job=str(job.id))
    except EmbedderChangedError:
        _retry_or_fail(job, task, "The agent's embedding model was changed meanwhile.", "DOC_EMBEDDER_CHANGED")
    except IngestionError as error:
        _fail(job, str(error), error.code)
    except (OutboundError, ProviderError) as error:
        code = getattr(error, "code", "DOC_FETCH_FAILED")
        _retry_or_fail(job, task, str(error), code, is_permanent=error.permanent)
    except OperationalError as error:
        log.warning("ingestion_database_unavailable", job=str(job.id), error=str(error))
        raise  # the lease runs out and the job is resumed
    except Exception:
        log.exception("ingestion_failed", job=str(job.id))
        cause = "The document could not be read because of a fault on our side."
        _retry_or_fail(job, task, cause, "DOC_INTERNAL_ERROR")


class _Clock:
    """Seconds spent in each stage, and the progress that the owner sees (written at most twice a second)."""

    def __init__(self, job: IngestionJob) -> None:
        self.job = job
        self.timings: dict[str, float] = {}
        self._last_write = 0.0

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        started = time.perf_counter()
        self.report(self.job.progress, stage, is_urgent=True)
        yield
        self.timings[stage] = round(time.perf_counter() - started, 3)

    def report(self, progress: int, stage: Stage, *, is_urgent: bool = False) -> None:
        now = time.monotonic()
        if not is_urgent and now - self._last_write < 0.5:
            return
        self._last_write = now
        self.job.progress = progress
        if not self.job.update_if_held(progress=progress, stage=stage):
            raise LostLeaseError
        task_records.report_progress(str(self.job.task_id), progress, stage.label)


def _ingest(job: IngestionJob, document: Document, held: threading.Event) -> None:
    clock = _Clock(job)
    if document.source_url and not document.file:
        with clock.stage(Stage.FETCHING):
            _fetch(document)
    with clock.stage(Stage.EXTRACTING), _local_copy(document) as path:
        result = _extract(path, document, clock, held)
    result = replace(result, chunks=with_edits(document, result.chunks))
    with clock.stage(Stage.EMBEDDING):
        vectors, model_name, identity = _embed(result, document, clock)
    with clock.stage(Stage.SAVING):
        _save(job, document, result, vectors, model_name, identity, clock)
    task_records.complete_task(
        str(job.task_id), {"document_id": str(document.id), "chunk_count": len(result.chunks), "message": "Processed."}
    )


def _fetch(document: Document) -> None:
    page = fetch(document.source_url, max_bytes=settings.MAX_FILE_SIZE, timeout=30)
    if page.status >= 400:
        raise OutboundError(f"The address answered with status {page.status}.", permanent=page.status < 500)
    name = page.filename or document.original_filename
    if "html" in page.content_type and not name.lower().endswith((".html", ".htm")):
        name = f"{name}.html"
    document.original_filename = name[-300:]
    document.document_type = detect_type(filename=name, head=page.body, size=len(page.body))
    document.file_size = len(page.body)
    document.file.save("original", ContentFile(page.body), save=False)
    document.save(update_fields=["original_filename", "document_type", "file_size", "file", "updated_at"])


@contextmanager
def _local_copy(document: Document) -> Iterator[Path]:
    """The document as a file on this machine, whatever the storage."""
    try:
        path = Path(document.file.path)
    except NotImplementedError:
        path = None
    if path is not None:
        yield path
    else:
        with (
            document.file.open() as original,
            tempfile.NamedTemporaryFile(suffix=f".{document.document_type}") as copy,
        ):
            for piece in original.chunks():
                copy.write(piece)
            copy.flush()
            yield Path(copy.name)


def _extract(path: Path, document: Document, clock: _Clock, held: threading.Event) -> IngestionResult:
    def on_progress(share: float, what: str) -> None:
        clock.report(int(share * EXTRACTED), Stage.OCR if what == "ocr" else Stage.EXTRACTING)

    # A minute, and time for every megabyte: a scan of 20 MB has perhaps 200 pages to recognise.
    deadline = 60 + 60 * document.file_size / 2**20
    return extract_limited(
        path,
        document.document_type,
        ocr=OcrOptions(),
        chunking=Chunking(document.home.chunk_size, document.home.chunk_overlap),
        limits=Limits(memory_mb=settings.INGESTION_MEMORY_MB, wall_seconds=min(deadline, 3600)),
        on_progress=on_progress,
        cancelled=lambda: not held.is_set(),
    )


def _embed(result: IngestionResult, document: Document, clock: _Clock) -> tuple[list[list[float]], str, Identity]:
    settings_row: LLMSettings = LLMSettings.objects.with_models().get(pk=document.home.llm_settings_id)
    model = embedder(settings_row.embedding_config())
    title = result.title or document.original_filename
    texts = [embedding_text(chunk, title) for chunk in result.chunks]
    vectors: list[list[float]] = []
    release_connection()  # a remote model may take long
    for start in range(0, len(texts), EMBEDDING_BATCH):
        vectors += model.embed_documents(texts[start : start + EMBEDDING_BATCH])
        share = len(vectors) / len(texts)
        clock.report(int(EXTRACTED + share * (EMBEDDED - EXTRACTED)), Stage.EMBEDDING)
    return vectors, model.name, settings_row.embedding_identity


def _save(
    job: IngestionJob,
    document: Document,
    result: IngestionResult,
    vectors: Sequence[Sequence[float]],
    model_name: str,
    identity: Identity,
    clock: _Clock,
) -> None:
    now = timezone.now()
    with transaction.atomic():
        held = job.update_if_held(
            status=JobStatus.COMPLETED, stage=Stage.DONE, progress=100, finished_at=now, timings=clock.timings
        )
        if not held:
            raise LostLeaseError
        if _current_identity(document) != identity:
            raise EmbedderChangedError
        replace_chunks(document, result.chunks, vectors, model_name)
        document.status = DocumentStatus.PROCESSED
        document.page_count = result.page_count
        document.word_count = _words(result.chunks)
        document.chunk_count = len(result.chunks)
        document.warnings = list(result.warnings)
        document.processing_error = document.error_code = ""
        document.save(
            update_fields=[
                "status", "page_count", "word_count", "chunk_count", "warnings", "processing_error",
                "error_code", "updated_at",
            ]
        )  # fmt: skip
        # A title that somebody has given it stays.
        Document.objects.filter(pk=document.pk, title="").update(title=(result.title or "")[:300])
        settle(document)
        if document.agent_id:
            Agent.objects.filter(pk=document.agent_id).update(last_trained=now)


def _current_identity(document: Document) -> Identity:
    """Of the embedder that the document's home has now; it may have been changed while the document was being read."""
    home = type(document.home)._default_manager.select_related("llm_settings").get(pk=document.home.pk)
    identity: Identity = home.llm_settings.embedding_identity
    return identity


def _words(chunks: Sequence[Chunk]) -> int:
    return sum(chunk.word_count for chunk in chunks)


def _fail(job: IngestionJob, cause: str, code: str) -> None:
    cause = cause.replace("\0", "")
    with transaction.atomic():
        if not job.update_if_held(
            status=JobStatus.FAILED, error=cause, error_code=code, finished_at=timezone.now(), lease_until=None
        ):
            return
        Document.objects.filter(pk=job.document_id).update(
            status=DocumentStatus.FAILED, processing_error=cause, error_code=code, updated_at=timezone.now()
        )
    task_records.fail_task(str(job.task_id), cause, code)


def _retry_or_fail(
    job: IngestionJob, task: Task[Any, Any], cause: str, code: str, *, is_permanent: bool = False
) -> None:
    """Try again, later each time, what may succeed then."""
    if is_permanent or job.attempts >= MAX_ATTEMPTS:
        _fail(job, cause, code)
        return
    with transaction.atomic():
        if job.update_if_held(status=JobStatus.PENDING, stage=Stage.WAITING, error=cause, lease_until=None):
            enqueue(task, str(job.id), countdown=5.0 * 3**job.attempts)


def resume_stalled(task: Task[Any, Any]) -> None:
    """Queue again what a dead worker left behind, and what a lost queue never delivered."""
    now = timezone.now()
    lost = IngestionJob.objects.filter(status=JobStatus.PENDING, updated_at__lt=now - timedelta(minutes=15))
    for job in [*IngestionJob.abandoned(), *lost]:
        if job.attempts >= MAX_ATTEMPTS and job.status == JobStatus.PROCESSING:
            _give_up(job)
            continue
        IngestionJob.objects.filter(pk=job.pk).update(updated_at=now)
        enqueue(task, str(job.id))


def _give_up(job: IngestionJob) -> None:
    """A document that took its worker down with it every time."""
    claimed = IngestionJob.claim(job.pk, *RELATED)
    if claimed is not None:
        _fail(claimed, "Reading this document failed several times. Try a smaller or repaired file.", "DOC_UNREADABLE")
