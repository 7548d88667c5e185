"""Making a search index anew, giving it up, and going back to the one before."""

from __future__ import annotations

from django.db import transaction

from agents.models import LLMSettings
from documents import builds, tasks
from documents.enums import IndexState
from documents.indexes import documents_for, index_of
from documents.models import Home
from knowrithm.errors import ConflictError
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import changed_fields, fields_of, record_event

SIZES = ("chunk_size", "chunk_overlap")


@transaction.atomic
def build_index_for(*, home: Home, before: LLMSettings | None = None, is_cut_anew: bool = False) -> int:
    """For the services that change embedder or sizes, and record it: see `builds.begin`. How many documents it is."""
    made = builds.begin(home, tasks.build_index, before=before, is_cut_anew=is_cut_anew)
    return documents_for(home).count() if made else 0


@transaction.atomic
def start_index_build(*, actor: Principal, home: Home) -> None:
    """Make the index that the settings ask for, or go on with one that failed, or with what follows a way back.

    Raises `ConflictError` when the one that answers is as the settings say.
    """
    answering = index_of(home)
    is_other = answering is not None and (
        (answering.chunk_size, answering.chunk_overlap) != (home.chunk_size, home.chunk_overlap)
    )
    build = builds.begin(home, tasks.build_index, is_cut_anew=is_other)
    if build is None and answering is not None:
        build = builds.catch_up(answering, tasks.build_index)
    if build is None:
        raise ConflictError("The index is as the settings say already.", code="INDEX_CURRENT")
    _record(actor, "index_build_started", home, {"index": (None, str(build.search_index_id))})


@transaction.atomic
def cancel_index_build(*, actor: Principal, home: Home) -> None:
    """What answers goes on answering. Raises `ConflictError` when no index is in the making."""
    given_up = builds.cancel(home)
    if given_up is None:
        raise ConflictError("No index is being made.", code="INDEX_NOT_BUILDING")
    _record(actor, "index_build_cancelled", home, {"index": (str(given_up.pk), None)})


@transaction.atomic
def roll_back_index(*, actor: Principal, home: Home) -> None:
    """Let the index before answer again, at once, and cut new documents as its own are, if that was changed.

    What was read or edited since is brought into it in the background. Raises `ConflictError` when none is kept, or
    while another one is being made.
    """
    if index_of(home, IndexState.BUILDING) is not None:
        raise ConflictError("An index is being made. Cancel that first.", code="INDEX_BUILDING")
    left = index_of(home)
    old = builds.roll_back(home, tasks.build_index)
    if old is None:
        raise ConflictError("There is no index before this one any more.", code="INDEX_NONE_BEFORE")
    before = fields_of(home, SIZES)
    if left is not None and fields_of(left, SIZES) != fields_of(old, SIZES):
        home.chunk_size, home.chunk_overlap = old.chunk_size, old.chunk_overlap
        home.save(update_fields=[*SIZES, "updated_at"])
    after = fields_of(home, SIZES)
    _record(actor, "index_rolled_back", home, {**changed_fields(before, after), "index": (None, str(old.pk))})


def _record(actor: Principal, event: str, home: Home, changes: dict[str, tuple[object, object]]) -> None:
    record_event(
        actor=actor,
        event_type=f"{home._meta.model_name}.{event}",
        entity=home,
        changes=changes,
        risk_level=RiskLevel.MEDIUM,
    )
