"""How far an agent's or dataset's search index is: what answers, what is in the making, what it can go back to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from agents.models import LLMSettings
from documents.builds import KEPT_FOR, work_left
from documents.enums import UNFINISHED_JOBS, IndexState, JobStatus
from documents.indexes import documents_for
from documents.models import Home, IndexBuild, IndexedDocument, SearchIndex, owned_by

SHOWN = 20  # documents that could not be brought over as they should


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """`build` is the work that goes on or has failed, on the index `made`; `documents_done` are of all documents.

    `made` is the one in the making, or after a way back the one that answers. `is_current` says that what answers is as
    the settings say.
    """

    home: Home
    answering: SearchIndex | None
    previous: SearchIndex | None
    made: SearchIndex | None
    build: IndexBuild | None
    documents_total: int
    documents_done: int
    seconds_left: int | None
    notes: list[IndexedDocument]
    is_current: bool

    @property
    def is_running(self) -> bool:
        return self.build is not None and self.build.status in UNFINISHED_JOBS

    @property
    def is_catching_up(self) -> bool:
        return self.build is not None and self.made == self.answering

    @property
    def percent(self) -> int:
        return 100 * self.documents_done // self.documents_total if self.documents_total else 0

    @property
    def time_left(self) -> str:
        if self.seconds_left is None:
            return ""
        minutes = round(self.seconds_left / 60)
        if self.seconds_left < 60:
            return "less than a minute left"
        return f"about {minutes} minute{'' if minutes == 1 else 's'} left"

    @property
    def kept_until(self) -> datetime | None:
        if self.previous is None or self.previous.state_at is None:
            return None
        return self.previous.state_at + KEPT_FOR


def index_status(home: Home) -> IndexStatus:
    # First: a change of the settings is then seen together with what it began, or not at all.
    home_settings = LLMSettings.objects.get(pk=home.llm_settings_id)
    rows = SearchIndex.objects.filter(**owned_by(home)).exclude(state=IndexState.RETIRED)
    by_state = {row.state: row for row in rows.select_related("embedding_provider", "embedding_model")}
    answering, made = by_state.get(IndexState.ANSWERING), by_state.get(IndexState.BUILDING)
    made = made or answering
    build: IndexBuild | None = None
    total = done = 0
    seconds_left = None
    if made is not None:
        build = made.builds.filter(status__in=(*UNFINISHED_JOBS, JobStatus.FAILED)).first()
        total = documents_for(home).count()
        left, chunks = work_left(made) if build else (0, 0)
        done = total - left
        seconds_left = _seconds_left(build, chunks) if build else None
    return IndexStatus(
        home=home,
        answering=answering,
        previous=by_state.get(IndexState.PREVIOUS),
        made=made,
        build=build,
        documents_total=total,
        documents_done=done,
        seconds_left=seconds_left,
        notes=list(made.documents.exclude(note="").select_related("document")[:SHOWN]) if made else [],
        is_current=answering is None
        or (answering.embedding_identity, answering.chunk_size, answering.chunk_overlap)
        == (home_settings.embedding_identity, home.chunk_size, home.chunk_overlap),
    )


def _seconds_left(build: IndexBuild, chunks: int) -> int | None:
    """As fast as it has gone since it began. None before something is done, and while nothing goes on."""
    done = build.chunks_at_start - chunks
    if build.started_at is None or done <= 0 or build.status not in UNFINISHED_JOBS:
        return None
    return round((timezone.now() - build.started_at).total_seconds() * chunks / done)
