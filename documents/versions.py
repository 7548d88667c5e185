"""Which documents count, and which version of one answers.

A new version replaces the one before it when it has been read, not sooner; what it replaces is archived, with its
chunks, so that old answers still point to what they quoted.
"""

from __future__ import annotations

from typing import Any

from django.db.models import F, Max, QuerySet
from django.db.models.functions import Greatest
from django.utils import timezone

from agents.models import Agent
from documents.enums import DocumentStatus
from documents.models import Dataset, Document
from tenants.audit.services import record_event


def count_documents(home: Agent | Dataset, difference: int) -> None:
    count = Greatest(F("documents_count") + difference, 0)  # a figure that is off must not keep a document from going
    type(home)._default_manager.filter(pk=home.pk).update(documents_count=count)


def withdraw(document: Document) -> bool:
    """Archive a live document. One UPDATE decides: of two at once only one counts, and is told so."""
    now = timezone.now()
    if not Document.objects.live().filter(pk=document.pk).update(archived_at=now, updated_at=now):
        return False
    count_documents(document.home, -1)
    return True


def versions_of(document: Document) -> QuerySet[Document]:
    """All versions of it, the newest first; itself alone when it was never replaced."""
    rows = Document.objects.with_progress()
    found: QuerySet[Document] = (
        rows.filter(lineage=document.lineage) if document.lineage else rows.filter(pk=document.pk)
    )
    return found.order_by("-version")


def next_version(old: Document) -> dict[str, Any]:
    """The fields that make a document the next version of `old`. Call while nobody else can."""
    if old.lineage is None:
        old.lineage = old.pk
        old.save(update_fields=["lineage"])
    newest = Document.objects.filter(lineage=old.lineage).aggregate(newest=Max("version"))["newest"]
    return {"lineage": old.lineage, "version": newest + 1, "replaces": old}


def settle(document: Document) -> None:
    """Archive every version before the newest one that has been read. Call when a reading has been saved."""
    if document.lineage is None:
        return
    family = Document.objects.live().filter(lineage=document.lineage)
    newest = family.filter(status=DocumentStatus.PROCESSED).aggregate(newest=Max("version"))["newest"]
    if newest is None:
        return
    for old in family.filter(version__lt=newest).select_related("agent", "dataset"):
        if withdraw(old):
            changes = {"version": (old.version, newest)}
            record_event(actor=None, event_type="document.superseded", entity=old, changes=changes)
