"""A new version of a document. The one before it answers until the new one has been read (documents.versions)."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from documents.models import Document
from documents.services.uploads import clean_filename, create_document, create_document_from_url, sha256_of
from documents.versions import next_version
from knowrithm.errors import ConflictError, InvalidInputError
from knowrithm.principal import Principal
from tenants.audit.services import record_event


@transaction.atomic
def replace_document(
    *,
    actor: Principal,
    document: Document,
    file: UploadedFile[Any] | None = None,
    url: str = "",
    takes_name: bool = False,
) -> Document:
    """Take a file or the address of one as the next version of a live document, with its tags and metadata.

    The document keeps its title, and its name but for the extension, unless it `takes_name` of the new file. What
    comes from an address is always named by it.

    Raises `ConflictError` while another new version is being read, and as `create_document` does.
    """
    if (file is None) == (not url):
        raise InvalidInputError("Send the new version as a file (field `file`) or as an address (field `url`).")
    old = Document.objects.select_for_update(of=("self",)).select_related("agent", "dataset").get(pk=document.pk)
    if file is not None and sha256_of(file) == old.sha256:
        raise InvalidInputError("This is the same file as before. Send one that has changed.", code="DOC_DUPLICATE")
    inherited: dict[str, Any] = {"actor": actor, "home": old.home, "metadata": old.metadata, "tags": old.tags}
    family = Document.objects.live().filter(lineage=old.lineage).exclude(lineage=None)
    if any(one.is_active_job for one in family.filter(version__gt=old.version)):
        raise ConflictError("A new version of this document is being read already. Wait until that is done.")
    inherited["version"] = next_version(old) | ({} if takes_name else {"title": old.title})
    if file is None:
        new = create_document_from_url(url=url, **inherited)
    else:
        given = clean_filename(file.name or "")
        new = create_document(file=file, filename=given if takes_name else _kept_name(old, given), **inherited)
    record_event(
        actor=actor,
        event_type="document.replaced",
        entity=new,
        changes={"replaces": (None, old.pk), "version": (old.version, new.version)},
    )
    return new


def _kept_name(old: Document, given: str) -> str:
    suffix = PurePath(given).suffix
    kept = PurePath(old.original_filename)
    return old.original_filename if kept.suffix.lower() == suffix.lower() else f"{kept.stem[:280]}{suffix}"[-300:]
