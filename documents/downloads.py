"""The original of a document, for people: never shown by the browser, always saved."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.http import content_disposition_header
from django_tenants.utils import tenant_context

from documents.models import Document
from documents.selectors import get_document
from knowrithm.downloads import file_download
from knowrithm.errors import NotFoundError
from knowrithm.security.signing import sign, signed_value
from tenants.models import Company

LINK_SECONDS = 300
PURPOSE = "document-download"
BINARY = "application/octet-stream"  # whatever it is: what a company uploads must not run in our origin


def download(request: HttpRequest, document: Document) -> HttpResponseBase:
    """The file itself, or a redirect to where it lies. Raises `NotFoundError` when there is none."""
    if settings.S3_BUCKET_NAME:
        return HttpResponseRedirect(_storage_url(document))
    try:
        file = document.file.open() if document.file else None
    except FileNotFoundError:
        file = None
    if file is None:
        raise _missing()
    response = file_download(request, file, name=document.original_filename, content_type=BINARY)
    response["Content-Length"] = str(file.size)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cache-Control"] = "private, no-store"
    return response


def download_url(document: Document, company_id: uuid.UUID) -> str:
    """An address that opens the file for `LINK_SECONDS` without a credential. Raises `NotFoundError`."""
    if not document.file:
        raise _missing()
    if settings.S3_BUCKET_NAME:
        return _storage_url(document)
    token = sign([str(company_id), str(document.pk)], purpose=PURPOSE)
    return f"{settings.BASE_URL}/api/v1/document/file/{token}"


def download_by_link(request: HttpRequest, token: str) -> HttpResponseBase:
    """Raises `NotFoundError` for a link that is too old, or not ours, or of a company that is out of use."""
    signed = signed_value(token, purpose=PURPOSE, max_age=LINK_SECONDS)
    if signed is None:
        raise NotFoundError("This link has expired. Ask for a new one.")
    company_id, document_id = signed
    company = Company.objects.filter(pk=company_id).first()
    if company is None or not company.is_usable:
        raise NotFoundError("This link has expired. Ask for a new one.")
    with tenant_context(company):
        return download(request, get_document(uuid.UUID(document_id), include_archived=True))


def _storage_url(document: Document) -> str:
    if not document.file:
        raise _missing()
    saved_as = content_disposition_header(True, document.original_filename)
    parameters = {"ResponseContentDisposition": saved_as, "ResponseContentType": BINARY}
    storage: Any = document.file.storage
    url: str = storage.url(document.file.name, parameters=parameters, expire=LINK_SECONDS)
    return url


def _missing() -> NotFoundError:
    return NotFoundError("The original of this document is not stored.")
