"""Deleting for good what a company does not want to keep: earlier versions that no answer cites, archived documents.

What answers have cited stays in their citations, which hold the passages themselves, so they can be shown and made
again without the document.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from documents.chunks import remove_chunks
from documents.enums import DocumentStatus
from documents.indexes import hold_index
from documents.models import Document, WebsitePage
from documents.signals import documents_purging
from knowrithm.db.schema import schema_name
from tenants.audit.models import RiskLevel
from tenants.audit.services import record_event
from tenants.models import Company

AT_ONCE = 200  # documents that one message looks at


def purge_some(after: uuid.UUID | None) -> uuid.UUID | None:
    """Look at the next documents of the current company that are old enough, by their ids, and delete those that
    nothing holds. Returns where to go on; None when it has looked at all.
    """
    version_days, archive_days = Company.objects.values_list("version_retention_days", "archive_retention_days").get(
        schema_name=schema_name()
    )
    versions, archived = _due(version_days), _due(archive_days)
    rows = _expired(versions, archived).order_by("pk").select_related("agent", "dataset")
    found = list((rows.filter(pk__gt=after) if after else rows)[:AT_ONCE])
    held = _held([document.pk for document in found if not _is_before(document.archived_at, archived)])
    for document in found:
        if document.pk not in held:
            _purge(document, _expired(versions, archived))
    return found[-1].pk if len(found) == AT_ONCE else None


def _due(days: int | None) -> datetime | None:
    return None if days is None else timezone.now() - timedelta(days=days)


def _is_before(moment: datetime | None, limit: datetime | None) -> bool:
    return moment is not None and limit is not None and moment < limit


def _expired(versions: datetime | None, archived: datetime | None) -> QuerySet[Document]:
    """Archived before these moments: earlier versions, and any document. None of what a page of a website still stands
    for: that a person has archived it must hold for the page's next version too.
    """
    later = Document.objects.filter(
        lineage=OuterRef("lineage"), version__gt=OuterRef("version"), status=DocumentStatus.PROCESSED
    )
    page = WebsitePage.objects.filter(document=OuterRef("pk"), is_document_out=False, source__archived_at=None)
    old = Q(pk__in=[])
    if versions:
        old |= Q(Exists(later), archived_at__lt=versions)
    if archived:
        old |= Q(archived_at__lt=archived)
    rows: QuerySet[Document] = Document.objects.archived().filter(old).exclude(Exists(page))
    return rows


def _held(document_ids: list[uuid.UUID]) -> set[uuid.UUID]:
    if not document_ids:
        return set()
    answers: list[tuple[Any, Any]] = documents_purging.send(sender=Document, document_ids=document_ids)
    return set().union(*(answer for _, answer in answers))


@transaction.atomic
def _purge(document: Document, expired: QuerySet[Document]) -> None:
    hold_index(document.home)
    # Somebody may have restored it meanwhile.
    if not Document.objects.select_for_update(of=("self",)).filter(pk__in=expired.filter(pk=document.pk).values("pk")):
        return
    remove_chunks(document)
    document_id = document.pk
    document.delete()
    document.pk = document_id  # for its row in the log
    record_event(
        actor=None,
        event_type="document.purged",
        entity=document,
        changes={"version": (document.version, None), "archived_at": (document.archived_at, None)},
        risk_level=RiskLevel.MEDIUM,
    )
    _delete_file(document)  # at last: should the transaction fail all the same, the next round finds the document again


def _delete_file(document: Document) -> None:
    name, storage = document.file.name, document.file.storage
    if not name:
        return
    storage.delete(name)
    # The document's own folder, unless there is more in it. Only storages on this machine have one.
    with suppress(NotImplementedError, OSError):
        Path(storage.path(name)).parent.rmdir()
