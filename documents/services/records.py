"""What the other services share: the audit row of documents."""

from __future__ import annotations

from collections.abc import Sequence

from documents.models import Document
from knowrithm.principal import Principal
from tenants.audit.models import RiskLevel
from tenants.audit.services import record_event


def record_documents(actor: Principal, event_type: str, documents: Sequence[Document]) -> None:
    """One row, however many documents: they are named in it."""
    is_one = len(documents) == 1
    names = [{"id": document.pk, "name": document.original_filename} for document in documents]
    record_event(
        actor=actor,
        event_type=event_type,
        entity_type="document",
        entity_id=documents[0].pk if is_one else "",
        entity_label=documents[0].original_filename if is_one else f"{len(documents)} documents",
        changes={} if is_one else {"documents": (None, names)},
        risk_level=RiskLevel.MEDIUM if event_type == "document.archived" and not is_one else RiskLevel.LOW,
    )
