"""The dashboard's pages and fragments about documents."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST
from django_htmx.http import reswap

from documents import selectors, services
from documents.enums import DocumentStatus, DocumentType
from documents.ingestion.detect import EXTENSIONS, SUPPORTED
from documents.models import Document, DocumentChunk
from documents.versions import versions_of
from knowrithm.api.throttling import check_rate
from knowrithm.errors import NotFoundError, RateLimitedError, ServiceError
from tenants.pages import (
    PageRequest,
    as_uuid,
    company_page,
    errors_as_messages,
    page_of,
    query_text,
    toast,
    way_back,
)
from tenants.services import principal_of

PER_PAGE = 25
CHUNKS_PER_PAGE = 50
PAIRS = 200  # of metadata that are proposed


@company_page
def documents(request: PageRequest) -> HttpResponse:
    search, status, home, tag, language, pair, kind = (
        query_text(request, name) for name in ("q", "status", "home", "tag", "language", "metadata", "type")
    )
    is_archived = bool(request.GET.get("archived"))
    rows = selectors.documents_list(
        search=search,
        status=status,
        home_id=as_uuid(home),
        tags=[tag] if tag else [],
        metadata=[services.metadata_condition(pair)] if pair else [],
        language=language,
        document_type=kind,
        is_archived=is_archived,
    )
    context = {
        "page_obj": page_of(request, rows, per_page=PER_PAGE),
        "homes": selectors.homes(),
        "status_choices": DocumentStatus.choices,
        "type_choices": DocumentType.choices,
        "language_choices": selectors.languages_found(),
        "tags": selectors.tags_in_use(),
        "pairs": [services.metadata_as_text({name: value}) for name, value in selectors.metadata_in_use(PAIRS)],
        "is_filtered": bool(search or status or home or tag or language or pair or kind or is_archived),
        **upload_context(),
    }
    return render(request, "documents/list.html", context)


def upload_context() -> dict[str, Any]:
    """What the upload form tells."""
    return {
        "upload_formats": SUPPORTED,
        "upload_accept": ",".join(f".{extension}" for extension in EXTENSIONS),
        "upload_max_bytes": settings.MAX_FILE_SIZE,
    }


@company_page
def document(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_document(pk, include_archived=True)
    chunks = selectors.chunks_of(found, search=query_text(request, "q"), include_archived=True)
    versions = list(versions_of(found)) if found.lineage else [found]
    context = {
        "document": found,
        "page_obj": page_of(request, chunks, per_page=CHUNKS_PER_PAGE),
        "versions": versions,
        "replaced_by": _replaced_by(found, versions),
        **upload_context(),
    }
    return render(request, "documents/detail.html", context)


def _replaced_by(found: Document, versions: Sequence[Document]) -> Document | None:
    """The version that answers instead, or will once it has been read."""
    later = [one for one in versions if one.version > found.version and not one.is_archived]
    return later[0] if later else None


def chunk_url(chunk: DocumentChunk) -> str:
    """Where a chunk is shown: its page of its document, and its place there."""
    before = selectors.chunks_of(chunk.document, include_archived=True).filter(index__lt=chunk.index).count()
    return f"{reverse('document', args=[chunk.document_id])}?page={before // CHUNKS_PER_PAGE + 1}#chunk-{chunk.pk}"


@company_page
def upload(request: PageRequest) -> HttpResponse:
    """Files through htmx answer with what became of each; a web address, or no script, with a redirect."""
    if request.method != "POST":
        return redirect("documents")  # who comes by the address alone finds the form there
    try:
        outcome = _upload(request)
    except (NotFoundError, RateLimitedError):
        raise
    except ServiceError as error:
        outcome = services.UploadOutcome(rejected=[services.RejectedUpload("Upload", str(error), error.code)])
    if request.htmx:
        context = {"accepted": outcome.documents, "rejected": outcome.rejected, "duplicates": outcome.duplicates}
        return render(request, "documents/_upload_results.html", context)
    for rejected in outcome.rejected:
        messages.error(request, f"{rejected.name}: {rejected.error}")
    for known in outcome.duplicates:
        messages.info(request, known.sentence)
    if outcome.documents:
        messages.success(request, "Taken. It is being read now.")
    return way_back(request, "documents")


def _upload(request: PageRequest) -> services.UploadOutcome:
    check_rate("upload", str(request.user.company_id))
    home_id = as_uuid(request.POST.get("home", ""))
    if home_id is None:
        raise NotFoundError("There is no such agent or dataset.")
    url = request.POST.get("url", "").strip()
    return services.upload(
        actor=principal_of(request.user),
        home=selectors.get_home(home_id),
        files=request.FILES.getlist("files"),
        urls=[url] if url else [],
        metadata=services.metadata_of_text(request.POST.get("metadata", "")),
        tags=request.POST.get("tags", "").split(","),
        allow_duplicate=bool(request.POST.get("allow_duplicate")),
    )


@company_page
def row(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _row(request, selectors.get_document(pk, include_archived=True))


def _row(request: PageRequest, found: Document) -> HttpResponse:
    return render(request, "documents/_row.html", {"document": found})


@require_POST
@company_page
def retry(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _changed(request, pk, services.retry_document)


@require_POST
@company_page
def cancel(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _changed(request, pk, services.cancel_document)


def _changed(request: PageRequest, pk: uuid.UUID, change: Callable[..., Document]) -> HttpResponse:
    """The document's new row; without htmx, the way back."""
    found = selectors.get_document(pk)
    if not request.htmx:
        with errors_as_messages(request):
            change(actor=principal_of(request.user), document=found)
        return way_back(request, "documents")
    try:
        change(actor=principal_of(request.user), document=found)
    except ServiceError as error:
        return toast(reswap(HttpResponse(), "none"), str(error), level="error")
    return _row(request, selectors.get_document(pk))


@require_POST
@company_page
def archive(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_document(pk)
    services.archive_document(actor=principal_of(request.user), document=found)
    undo = reverse("document-restore", args=[pk])
    messages.success(request, f"“{found.original_filename}” was archived.", extra_tags=undo)
    return way_back(request, "documents")


@require_POST
@company_page
def restore(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_document(pk, include_archived=True)
    services.restore_document(actor=principal_of(request.user), document=found)
    messages.success(request, f"“{found.original_filename}” was restored.")
    return way_back(request, "documents")


@require_POST
@company_page
def archive_chosen(request: PageRequest) -> HttpResponse:
    ids = {pk for given in request.POST.getlist("document") if (pk := as_uuid(given))}
    if ids:
        count, _ = services.archive_documents(actor=principal_of(request.user), document_ids=list(ids))
        messages.success(request, f"{count} document{' was' if count == 1 else 's were'} archived.")
    else:
        messages.error(request, "Choose the documents that shall be archived.")
    return way_back(request, "documents")
