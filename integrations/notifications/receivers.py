from __future__ import annotations

import uuid
from typing import Any

from django.dispatch import receiver
from django.urls import reverse

from documents.models import Document
from documents.signals import document_failed
from integrations.notifications.enums import Kind
from integrations.notifications.services import notify


@receiver(document_failed)
def tell_of_unreadable_document(*, document: Document, **_: Any) -> None:
    """Sent by a worker, so nobody waits for this."""
    path = reverse("document", args=[document.pk])
    text = f"{document.original_filename} could not be read"
    notify(kind=Kind.DOCUMENT, key=str(uuid.uuid4()), text=text, path=path)
