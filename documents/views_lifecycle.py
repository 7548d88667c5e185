"""The dashboard's pages and fragments about a document's life: its versions, its passages, how it is cut."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from documents import downloads, selectors, services
from documents.ingestion.sandbox import Chunking
from documents.models import Document, DocumentChunk, Home
from documents.views import upload_context
from knowrithm.api.throttling import check_rate
from knowrithm.errors import ServiceError
from tenants.pages import PageRequest, company_page, errors_as_messages, errors_in, post_data, toast
from tenants.services import principal_of


class DetailsForm(forms.Form):
    title = forms.CharField(max_length=300, required=False, help_text="Shown instead of the file's name.")
    tags = forms.CharField(
        required=False, max_length=3000, help_text="Separated by commas. Lists and searches can be narrowed to them."
    )

    metadata = forms.CharField(
        required=False, max_length=30_000, widget=forms.Textarea({"rows": 4, "placeholder": "team: sales"}),
        help_text="A name, a colon and a value, one pair a line. Lists and searches can be narrowed to them.",
    )  # fmt: skip

    def __init__(self, data: Any = None, *, document: Document) -> None:
        initial = {
            "title": document.title, "tags": ", ".join(document.tags),
            "metadata": services.metadata_as_text(document.metadata),
        }  # fmt: skip
        super().__init__(data, initial=initial)

    def changes(self) -> dict[str, Any]:
        data = self.cleaned_data
        metadata = services.metadata_of_text(data["metadata"])
        return {"title": data["title"], "tags": data["tags"].split(","), "metadata": metadata}


@company_page
def edit(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_document(pk)
    form = DetailsForm(post_data(request), document=found)
    if form.is_valid():
        with errors_in(form):
            services.update_document(actor=principal_of(request.user), document=found, changes=form.changes())
            messages.success(request, "The changes were saved.")
            return redirect("document", pk=pk)
    return render(request, "documents/edit.html", {"form": form, "document": found})


@require_safe
@company_page
def download(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    response: Any = downloads.download(request, selectors.get_document(pk, include_archived=True))
    return cast(HttpResponse, response)  # or one that streams: as good to Django


@require_POST
@company_page
def replace(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    shown = found = selectors.get_document(pk)
    with errors_as_messages(request):
        check_rate("upload", str(request.user.company_id))
        shown = services.replace_document(
            actor=principal_of(request.user),
            document=found,
            file=request.FILES.get("file"),
            url=request.POST.get("url", "").strip(),
            takes_name=bool(request.POST.get("takes_name")),
            allow_duplicate=bool(request.POST.get("allow_duplicate")),
        )
        # True also when it has been read before anybody sees this.
        messages.success(request, "The new version was taken. It answers once it has been read.")
    return redirect("document", pk=shown.pk)


# --- Passages -----------------------------------------------------------------------------------------------------


def _chunk(request: PageRequest, chunk: DocumentChunk, **context: Any) -> HttpResponse:
    return render(request, "documents/_chunk.html", {"chunk": chunk, "document": chunk.document, **context})


@company_page
def chunk(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _chunk(request, selectors.get_chunk(pk))


@company_page
def chunk_edit(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_chunk(pk)
    if request.method != "POST":
        return _chunk(request, found, is_open=True, text=found.content)
    text = request.POST.get("content", "").replace("\0", "")
    try:
        return _chunk(request, services.edit_chunk(actor=principal_of(request.user), chunk=found, content=text))
    except ServiceError as error:
        return _chunk(request, found, is_open=True, text=text, error=str(error))


@require_POST
@company_page
def chunk_undo(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    found = selectors.get_chunk(pk)
    try:
        found = services.undo_chunk_edit(actor=principal_of(request.user), chunk=found)
    except ServiceError as error:
        return toast(_chunk(request, found), str(error), level="error")
    return _chunk(request, found)


@require_POST
@company_page
def chunk_switch(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Off where it is on, on where it is off."""
    found = selectors.get_chunk(pk)
    switch = services.restore_chunks if found.is_archived else services.archive_chunks
    try:
        switch(actor=principal_of(request.user), chunks=[found])
    except ServiceError as error:
        return toast(_chunk(request, found), str(error), level="error")
    return _chunk(request, selectors.get_chunk(pk))


@require_POST
@company_page
def switch(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """All passages of a document on, or off."""
    found, is_on = selectors.get_document(pk), bool(request.POST.get("on"))
    chunks = list(selectors.chunks_of(found, include_archived=True).select_related("document"))
    change = services.restore_chunks if is_on else services.archive_chunks
    with errors_as_messages(request):
        count = change(actor=principal_of(request.user), chunks=chunks)
        done = f"{count} passage{' was' if count == 1 else 's were'} switched {'on' if is_on else 'off'}."
        messages.success(request, done)
    return redirect("document", pk=pk)


# --- Splitting ----------------------------------------------------------------------------------------------------


class SplittingForm(forms.Form):
    chunk_size = forms.IntegerField(label="Words in a passage", help_text="At most so many. 220 suits most documents.")
    chunk_overlap = forms.IntegerField(
        label="Words shared with the one before", help_text="So that a sentence at the edge is not torn from its sense."
    )
    text = forms.CharField(label="Text to try", required=False, max_length=200_000, widget=forms.Textarea({"rows": 6}))
    file = forms.FileField(label="Or a file to try", required=False, help_text="It is read and shown, not stored.")


@company_page
def splitting(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """How the documents of an agent or dataset are cut: tried on a text or a file, then saved."""
    home = selectors.get_home(pk)
    initial = {"chunk_size": home.chunk_size, "chunk_overlap": home.chunk_overlap}
    form = SplittingForm(post_data(request), request.FILES or None, initial=initial)
    context: dict[str, Any] = {"form": form, "home": home, "count": home.documents_count, **upload_context()}
    if form.is_valid():
        with errors_in(form):
            chunking = services.check_chunking(form.cleaned_data["chunk_size"], form.cleaned_data["chunk_overlap"])
            if request.POST.get("action") == "preview":
                context["preview"] = _preview(request, form, chunking)
            else:
                return _save(request, home, chunking)
    return render(request, "documents/splitting.html", context)


def _preview(request: PageRequest, form: SplittingForm, chunking: Chunking) -> services.SplitPreview:
    check_rate("upload", str(request.user.company_id))
    data = form.cleaned_data
    return services.preview_split(chunking=chunking, file=data["file"], text="" if data["file"] else data["text"])


def _save(request: PageRequest, home: Home, chunking: Chunking) -> HttpResponse:
    queued = services.set_chunking(
        actor=principal_of(request.user),
        home=home,
        chunk_size=chunking.chunk_size,
        chunk_overlap=chunking.chunk_overlap,
        is_read_again=request.POST.get("action") == "read_again",
    )
    again = f" {queued} document{' is' if queued == 1 else 's are'} split again in the background." if queued else ""
    messages.success(request, f"Saved.{again}")
    return redirect("document-splitting", pk=home.pk)
