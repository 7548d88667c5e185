"""What a worker does with an ingestion job: claim, read, embed, replace the document's chunks, finish.

A message in the queue says only that a company has work. Which company a worker then works for is decided by turns
(`knowrithm.turns`), and which of its jobs by the jobs themselves. Where a company has nothing else to be read, its
document may be read out of turn.

Every step may be the last: a job whose worker died is claimed again when its lease has run out, starts over, and
writes in one transaction, so nothing is lost or doubled. A document always ends `processed`, `cancelled`, or `failed`
with its cause in words.
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from celery import Task
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from redis.exceptions import RedisError

from agents.models import Agent
from documents import embeddings
from documents.chunks import replace_chunks, with_edits
from documents.enums import UNFINISHED_JOBS, DocumentStatus, JobStatus, Stage
from documents.indexes import hold_or_make_index, writing_embedder
from documents.ingestion.base import Chunk, IngestionError, TooLargeError
from documents.ingestion.detect import detect_type
from documents.ingestion.extract import OcrOptions
from documents.ingestion.language import detect_language
from documents.ingestion.sandbox import (
    Chunking,
    ExtractionCancelledError,
    IngestionResult,
    extract_limited,
    limits_for,
)
from documents.ingestion.split import embedding_text
from documents.models import Document, IngestionJob
from documents.originals import local_copy
from documents.selectors import documents_with_content
from documents.signals import document_failed, document_processed
from documents.versions import settle
from knowrithm import jobs as task_records
from knowrithm.db.lease import LostLeaseError
from knowrithm.db.schema import release_connection
from knowrithm.jobs import current_schema, enqueue, is_usable
from knowrithm.llm.base import ProviderError
from knowrithm.llm.registry import embedder
from knowrithm.net.outbound import OutboundError, fetch
from knowrithm.turns import ask_for_turn, next_in_turn
from tenants.selectors import ocr_languages

log = structlog.get_logger(__name__)

RELATED = ("document__agent", "document__dataset")
TURNS = "documents"
MAX_ATTEMPTS = 4
# Progress shares of the stages: reading the first part, embedding most of the rest.
EXTRACTED, EMBEDDED = 40, 95
# The longest that a document may take to be embedded. With that of reading (`sandbox.LONGEST`), and a minute for
# fetching and saving, it is less than Celery's time limit for processes, and that less than the time after which Redis
# hands a message out again.
LONGEST_EMBEDDING = 3000.0
LATER_STATUSES = frozenset({408, 425, 429})  # of an address that is to be asked again
FIRST_SECONDS = 60.0  # after which a job need not be done out of turn any more
_out_of_turn = threading.Lock()  # one document at a time, in a process
HISTORY = 20  # finished jobs from which the speed of the stages is known


Identity = tuple[object, ...]  # LLMSettings.embedding_identity


class EmbedderChangedError(Exception):
    """The vectors just made cannot be compared with those of the index that answers now."""


def ask_for_worker(task: Task[Any, Any], *, countdown: float = 0) -> None:
    """Say that the current company has work, once the transaction commits. `countdown`: not before so many seconds."""
    if not countdown:
        transaction.on_commit(partial(ask_for_turn, TURNS, current_schema()), robust=True)
    enqueue(task, countdown=countdown)


def queue_job(
    document: Document,
    task: Task[Any, Any],
    *,
    first: Task[Any, Any] | None = None,
    is_bulk: bool = False,
    fetches: bool = False,
) -> IngestionJob:
    """Have the document read, instead of whatever reads it now. `is_bulk` lets others of the company go first.

    `first` is queued besides where the company has nothing else to be read. `fetches`: its address is asked for the
    file again.
    """
    stop_jobs([document])
    if first is not None and not IngestionJob.objects.filter(status__in=UNFINISHED_JOBS).exists():
        enqueue(first, expires=FIRST_SECONDS)
    job = IngestionJob.objects.create(
        document=document, task_id=task_records.create_task(), is_bulk=is_bulk, fetches=fetches
    )
    ask_for_worker(task)
    return job


def stop_jobs(documents: Sequence[Document]) -> None:
    """Cancel the jobs that would read them or do. Call inside the transaction that says what comes instead."""
    rows = IngestionJob.objects.filter(document__in=documents, status__in=UNFINISHED_JOBS)
    stopped = list(rows.order_by("pk").select_for_update())
    now, cause = timezone.now(), "Reading this document was cancelled."
    if stopped:
        rows = IngestionJob.objects.filter(pk__in=[job.pk for job in stopped])
        rows.update(status=JobStatus.CANCELLED, finished_at=now, lease_until=None, seconds_left=None, updated_at=now)
    for job in stopped:
        tell = partial(task_records.fail_task, str(job.task_id), cause, "DOC_CANCELLED")
        transaction.on_commit(tell, robust=True)


def work_in_turn(schema: str, task: Task[Any, Any]) -> bool:
    """Do one job of the company whose turn it is; `schema` has asked. False: there was none, of any company."""
    ask_for_turn(TURNS, schema)  # Redis may have forgotten, or the job was not due when it asked
    with next_in_turn(TURNS, _claim_next) as job:
        if job is not None:
            _work_on(job, task)
    return job is not None


def work_out_of_turn(task: Task[Any, Any]) -> None:
    """Do the next job of the current company, if none of its jobs is under way: those who work in turn may all be at
    long documents of others.

    Nothing is done where another document is being read out of turn: its own turn comes.
    """
    if not _out_of_turn.acquire(blocking=False):
        return
    try:
        is_at_work = IngestionJob.objects.filter(status=JobStatus.PROCESSING, lease_until__gt=timezone.now()).exists()
        if not is_at_work and (job := _claim_next()) is not None:
            _work_on(job, task)
    finally:
        _out_of_turn.release()


def _claim_next() -> IngestionJob | None:
    """The job of the current company that is to be done next: first what a dead worker has left behind."""
    while is_usable(current_schema()):
        found: uuid.UUID | None = None
        for jobs in (IngestionJob.abandoned().order_by("lease_until"), IngestionJob.in_line()):
            found = found or jobs.values_list("pk", flat=True).first()
        if found is None:
            return None
        if (job := IngestionJob.claim(found, *RELATED)) is not None:
            return job
    return None


def run(job_id: uuid.UUID, task: Task[Any, Any]) -> None:
    """Work on this job if it is free."""
    job = IngestionJob.claim(job_id, *RELATED)
    if job is not None:  # else it is finished, cancelled, or another worker's
        _work_on(job, task)


def _work_on(job: IngestionJob, task: Task[Any, Any]) -> None:
    """`task` is queued again when the job may succeed later."""
    document = job.document
    if job.attempts > MAX_ATTEMPTS:  # it took its worker down with it every time
        _fail(job, "Reading this document failed several times. Try a smaller or repaired file.", "DOC_UNREADABLE")
        return
    with transaction.atomic():
        # Whoever cancels waits for this, and has the last word on the document's status.
        if not job.update_if_held(started_at=timezone.now(), seconds_left=None, progress=0):
            return
        Document.objects.filter(pk=document.pk).update(status=DocumentStatus.PROCESSING)
    _tell(task_records.report_progress, job, 1, Stage.EXTRACTING.label)
    try:
        with job.kept_alive() as held:
            _ingest(job, document, held)
    except (LostLeaseError, ExtractionCancelledError):
        log.info("ingestion_stopped", job=str(job.id))  # cancelled, or another worker's by now
    except EmbedderChangedError:
        _retry_or_fail(job, task, "The agent's embedding model was changed meanwhile.", "DOC_EMBEDDER_CHANGED")
    except IngestionError as error:
        _fail(job, str(error), error.code)
    except (OutboundError, ProviderError) as error:
        code = getattr(error, "code", "DOC_FETCH_FAILED")
        _retry_or_fail(job, task, str(error), code, is_permanent=error.permanent)
    except (OperationalError, InterfaceError) as error:
        log.warning("ingestion_database_unavailable", job=str(job.id), error=str(error))
        raise  # the lease runs out and the job is resumed
    except Exception:
        log.exception("ingestion_failed", job=str(job.id))
        cause = "The document could not be read because of a fault on our side."
        _retry_or_fail(job, task, cause, "DOC_INTERNAL_ERROR")


def _tell(report: Callable[..., None], job: IngestionJob, *values: Any) -> None:
    """Write the record that a client polls. Redis may be away: what counts is in the database."""
    with suppress(RedisError):
        report(str(job.task_id), *values)


class _Clock:
    """Seconds spent in each stage, and the progress and time left that the owner sees (written twice a second)."""

    def __init__(self, job: IngestionJob) -> None:
        self.job = job
        waited = (job.started_at or timezone.now()) - max(job.created_at, job.due_at or job.created_at)
        self.timings: dict[str, float] = {Stage.WAITING: round(max(waited.total_seconds(), 0.0), 3)}
        self.expected: dict[str, float] = {}
        self._stage_began = self._last_write = 0.0

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        self._stage_began = time.monotonic()
        self.report(self.job.progress, stage, is_urgent=True)
        yield
        self.timings[stage] = round(time.monotonic() - self._stage_began, 3)

    def part(self, stage: Stage, part: Stage, seconds: float) -> None:
        """So much of a stage that is over belongs to another one."""
        self.timings[part] = round(min(seconds, self.timings[stage]), 3)
        self.timings[stage] = round(self.timings[stage] - self.timings[part], 3)

    def report(self, progress: int, stage: Stage, *, share: float = 0.0, is_urgent: bool = False) -> None:
        """`share` of the stage is done, from 0 to 1."""
        now = time.monotonic()
        if not is_urgent and now - self._last_write < 0.5:
            return
        self._last_write = now
        self.job.progress = progress
        if not self.job.update_if_held(progress=progress, stage=stage, seconds_left=self._seconds_left(stage, share)):
            raise LostLeaseError
        _tell(task_records.report_progress, self.job, progress, stage.label)

    def _seconds_left(self, stage: Stage, share: float) -> int | None:
        """Of this stage as fast as it has gone so far, else as such documents went; of the later ones like those."""
        spent = time.monotonic() - self._stage_began
        # Recognition has no beginning of its own that is told: its first page is done when it is heard of.
        running = (Stage.EXTRACTING, Stage.OCR) if stage == Stage.OCR else (stage,)
        if share >= 0.02:
            left = spent * (1 - share) / share
        elif all(name in self.expected for name in running):
            left = max(sum(self.expected[name] for name in running) - spent, 0.0)
        else:
            return None
        later = LATER.get(stage, ())
        # Embedding the text of scans takes next to nothing beside recognising it.
        if any(name not in self.expected for name in later) and stage != Stage.OCR:
            return None
        return round(left + sum(self.expected.get(name, 0.0) for name in later))


LATER = {
    Stage.EXTRACTING: (Stage.OCR, Stage.EMBEDDING, Stage.SAVING),
    Stage.OCR: (Stage.EMBEDDING, Stage.SAVING),
}


def _expected(document: Document) -> dict[str, float]:
    """Seconds by stage that the document should take, by its size and the company's last ones of its type."""
    rows = IngestionJob.objects.filter(status=JobStatus.COMPLETED, document__document_type=document.document_type)
    last = list(rows.order_by("-finished_at").values_list("timings", "document__file_size")[:HISTORY])
    total = sum(size for _, size in last)
    if not total:
        return {}
    stages = (Stage.EXTRACTING, Stage.OCR, Stage.EMBEDDING, Stage.SAVING)
    return {
        stage.value: document.file_size * sum(timings.get(stage, 0.0) for timings, _ in last) / total
        for stage in stages
    }


def _ingest(job: IngestionJob, document: Document, held: threading.Event) -> None:
    clock = _Clock(job)
    if document.source_url and (job.fetches or not document.file):
        with clock.stage(Stage.FETCHING):
            _fetch(document)
            IngestionJob.objects.filter(pk=job.pk).update(fetches=False)  # a retry reads what is there now
    clock.expected = _expected(document)
    with clock.stage(Stage.EXTRACTING), local_copy(document) as path:
        result = _extract(path, document, clock, held)
    if result.ocr_seconds is not None:
        clock.part(Stage.EXTRACTING, Stage.OCR, result.ocr_seconds)
    remarks = _remarks(document) if document.source_url and document.sha256 else []
    result = replace(result, chunks=with_edits(document, result.chunks), warnings=(*result.warnings, *remarks))
    with clock.stage(Stage.EMBEDDING):
        vectors, model_name, identity = _embed(result, document, clock)
    with clock.stage(Stage.SAVING):
        _save(job, document, result, vectors, model_name, identity, clock)
    IngestionJob.objects.filter(pk=job.pk).update(timings=clock.timings)  # now with that of saving
    _tell_end(job)
    embeddings.forget_oldest()


def _tell_end(job: IngestionJob) -> None:
    document = Document.objects.only("chunk_count").get(pk=job.document_id)
    result = {"document_id": str(document.pk), "chunk_count": document.chunk_count, "message": "Processed."}
    _tell(task_records.complete_task, job, result)


def _fetch(document: Document) -> None:
    page = fetch(document.source_url, max_bytes=settings.MAX_FILE_SIZE, timeout=30)
    if page.status >= 400:
        is_permanent = page.status < 500 and page.status not in LATER_STATUSES
        raise OutboundError(f"The address answered with status {page.status}.", permanent=is_permanent)
    name = page.filename or document.original_filename
    if "html" in page.content_type and not name.lower().endswith((".html", ".htm")):
        name = f"{name}.html"
    document.original_filename = name[-300:]
    document.document_type = detect_type(filename=name, head=page.body, size=len(page.body))
    document.file_size, document.sha256 = len(page.body), hashlib.sha256(page.body).hexdigest()
    old = document.file.name
    document.file.save("original", ContentFile(page.body), save=False)
    document.save(update_fields=["original_filename", "document_type", "file_size", "sha256", "file", "updated_at"])
    if old and old != document.file.name:
        document.file.storage.delete(old)


def _remarks(document: Document) -> list[str]:
    """Of what an address has: whether it is a duplicate was not to be known when the address was taken."""
    others = documents_with_content(document.home, document.sha256).exclude(pk=document.pk)
    if document.lineage:
        others = others.exclude(lineage=document.lineage)
    twin = others.first()
    return [f"The document {twin.name} has the same content."] if twin else []


def _extract(path: Path, document: Document, clock: _Clock, held: threading.Event) -> IngestionResult:
    def on_progress(share: float, what: str) -> None:
        clock.report(int(share * EXTRACTED), Stage.OCR if what == "ocr" else Stage.EXTRACTING, share=share)

    return extract_limited(
        path,
        document.document_type,
        ocr=OcrOptions(languages=ocr_languages()),
        chunking=Chunking(document.home.chunk_size, document.home.chunk_overlap),
        limits=limits_for(document.document_type, document.file_size, memory_mb=settings.INGESTION_MEMORY_MB),
        on_progress=on_progress,
        cancelled=lambda: not held.is_set() or not clock.job.is_held(),
    )


def _embed(result: IngestionResult, document: Document, clock: _Clock) -> tuple[list[embeddings.Vector], str, Identity]:
    config, identity = writing_embedder(document.home)
    model = embedder(config)
    title = result.title or document.original_filename
    texts = [embedding_text(chunk, title) for chunk in result.chunks]
    # Five minutes for the model's worst moments, and a second for every chunk: the built-in one makes thirty.
    deadline = time.monotonic() + min(300.0 + len(texts), LONGEST_EMBEDDING)

    def on_progress(share: float) -> None:
        if time.monotonic() > deadline:
            raise TooLargeError("Making this document searchable took too long. Split it into smaller parts.")
        clock.report(int(EXTRACTED + share * (EMBEDDED - EXTRACTED)), Stage.EMBEDDING, share=share)
        release_connection()  # a remote model may take long

    vectors, known = embeddings.embed(model, config, texts, on_progress=on_progress)
    clock.timings["from_cache"] = known
    return vectors, model.name, identity


def _save(
    job: IngestionJob,
    document: Document,
    result: IngestionResult,
    vectors: Sequence[embeddings.Vector],
    model_name: str,
    identity: Identity,
    clock: _Clock,
) -> None:
    now = timezone.now()
    language = detect_language(result.chunks)
    with transaction.atomic():
        held = job.update_if_held(
            status=JobStatus.COMPLETED, stage=Stage.DONE, progress=100, finished_at=now, timings=clock.timings,
            seconds_left=None,
        )  # fmt: skip
        if not held:
            raise LostLeaseError
        if hold_or_make_index(document.home).embedding_identity != identity:
            raise EmbedderChangedError
        replace_chunks(document, result.chunks, vectors, model_name)
        document.status = DocumentStatus.PROCESSED
        document.page_count = result.page_count
        document.pages = list(result.metadata.get("pages", ()))
        document.language = language
        document.word_count = _words(result.chunks)
        document.chunk_count = len(result.chunks)
        document.warnings = list(result.warnings)
        document.processing_error = document.error_code = ""
        document.save(
            update_fields=[
                "status", "page_count", "pages", "language", "word_count", "chunk_count", "warnings",
                "processing_error", "error_code", "updated_at",
            ]
        )  # fmt: skip
        # A title that somebody has given it stays.
        Document.objects.filter(pk=document.pk, title="").update(title=(result.title or "")[:300])
        settle(document)
        if document.agent_id:
            Agent.objects.filter(pk=document.agent_id).update(last_trained=now)
        document_processed.send(sender=Document, document=document)


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
        document_failed.send(sender=Document, document=job.document, error=cause, error_code=code)
    _tell(task_records.fail_task, job, cause, code)


def _retry_or_fail(
    job: IngestionJob, task: Task[Any, Any], cause: str, code: str, *, is_permanent: bool = False
) -> None:
    """Try again, later each time, what may succeed then."""
    if is_permanent or job.attempts >= MAX_ATTEMPTS:
        _fail(job, cause, code)
        return
    wait = 5.0 * 3**job.attempts
    due_at = timezone.now() + timedelta(seconds=wait)
    with transaction.atomic():
        if job.update_if_held(
            status=JobStatus.PENDING, stage=Stage.WAITING, error=cause, lease_until=None, due_at=due_at,
            seconds_left=None,
        ):  # fmt: skip
            ask_for_worker(task, countdown=wait)


def tell_ends() -> None:
    """Complete the records of jobs whose worker has died, or Redis was away, between their last commit and telling."""
    ended = IngestionJob.objects.filter(finished_at__gt=timezone.now() - timedelta(minutes=2))
    for job in ended.exclude(status=JobStatus.CANCELLED).order_by("-finished_at")[:200]:
        record = task_records.read_task(str(job.task_id))
        if record is not None and record.is_over:
            continue
        if job.status == JobStatus.COMPLETED:
            _tell_end(job)
        else:
            _tell(task_records.fail_task, job, job.error, job.error_code)


def has_work() -> bool:
    """Whether a job of the current company waits for a worker: one of a dead worker, or one that is due."""
    return IngestionJob.abandoned().exists() or IngestionJob.in_line().exists()
