"""A new version of a document. The one before it answers until the new one has been read (documents.versions)."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from documents.models import Document
from documents.services.uploads import add_document, clean_filename, document_at, sha256_of, stored_file
from documents.versions import next_version
from knowrithm.errors import ConflictError, InvalidInputError
from knowrithm.principal import Principal
from tenants.audit.services import record_event


def replace_document(
    *,
    actor: Principal,
    document: Document,
    file: UploadedFile[Any] | None = None,
    url: str = "",
    takes_name: bool = False,
    allow_duplicate: bool = False,
) -> Document:
    """Take a file or the address of one as the next version of a live document, with its tags and metadata.

    The file that the document has is not taken again, unless `allow_duplicate`: to have it read anew, such as a scan
    by other languages.

    The document keeps its title, and its name but for the extension, unless it `takes_name` of the new file. What
    comes from an address is always named by it.

    Raises `ConflictError` while another new version is being read, and as `stored_file` and `document_at` do.
    """
    if (file is None) == (not url):
        raise InvalidInputError("Send the new version as a file (field `file`) or as an address (field `url`).")
    if file is None:
        return _replace(actor, document, document_at(url), takes_name=takes_name)
    if sha256_of(file) == document.sha256 and not allow_duplicate:
        text = "This is the same file as before. Send one that has changed, or ask for this one to be read again."
        raise InvalidInputError(text, code="DOC_DUPLICATE")
    with stored_file(file, clean_filename(file.name or "")) as new:
        return _replace(actor, document, new, takes_name=takes_name)


@transaction.atomic
def _replace(actor: Principal, document: Document, new: Document, *, takes_name: bool) -> Document:
    old = Document.objects.select_for_update(of=("self",)).select_related("agent", "dataset").get(pk=document.pk)
    family = Document.objects.live().filter(lineage=old.lineage).exclude(lineage=None)
    if any(one.is_active_job for one in family.filter(version__gt=old.version)):
        raise ConflictError("A new version of this document is being read already. Wait until that is done.")
    version = next_version(old) | ({} if takes_name else {"title": old.title})
    if new.file and not takes_name:
        new.original_filename = _kept_name(old, new.original_filename)
    add_document(new, actor=actor, home=old.home, metadata=old.metadata, tags=old.tags, version=version)
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
