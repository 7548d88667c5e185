"""The dashboard's pages about websites."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from documents import selectors, services
from documents.enums import CrawlMode, PageStatus
from documents.exceptions import CrawlError
from documents.ingestion.web.addresses import canonical
from documents.models import WebsiteSource
from documents.services.websites import FIELDS, MAX_DEPTH, MAX_PAGES
from knowrithm.api.throttling import check_rate
from knowrithm.errors import UnavailableError
from tenants.pages import (
    PageRequest,
    as_uuid,
    company_page,
    errors_as_messages,
    errors_in,
    page_of,
    post_data,
    query_text,
    way_back,
)
from tenants.services import principal_of

PER_PAGE = 25
PAGES_PER_PAGE = 50
FREQUENCIES = [
    (0, "Only when somebody asks"), (60, "Every hour"), (360, "Every six hours"), (1440, "Every day"),
    (10080, "Every week"), (43200, "Every 30 days"),
]  # fmt: skip


class WebsiteForm(forms.Form):
    base_url = forms.CharField(
        label="Address", max_length=2000, widget=forms.TextInput({"placeholder": "https://www.example.com/"}),
        help_text="Where the crawl begins. It stays on this site.",
    )  # fmt: skip
    home = forms.ChoiceField(label="For", help_text="The agent, or the agents of the dataset, answer from its pages.")
    mode = forms.ChoiceField(label="What is read", choices=CrawlMode.choices)
    max_pages = forms.IntegerField(label="Pages at most", initial=100, min_value=1, max_value=MAX_PAGES)
    max_depth = forms.IntegerField(
        label="Depth", initial=3, min_value=0, max_value=MAX_DEPTH,
        help_text="How many links away from the address a page may be.",
    )  # fmt: skip
    crawl_frequency_minutes = forms.TypedChoiceField(
        label="Read again", choices=FREQUENCIES, coerce=int, help_text="Only pages that have changed are learned anew."
    )
    allowed_paths = forms.CharField(
        label="Only these paths", required=False, max_length=10_000, widget=forms.Textarea({"rows": 2}),
        help_text="One a line, such as /docs or /*/help. Without any, the whole site may be read.",
    )  # fmt: skip
    disallowed_paths = forms.CharField(
        label="Not these paths", required=False, max_length=10_000, widget=forms.Textarea({"rows": 2}),
        help_text="One a line. They win over the paths above.",
    )  # fmt: skip
    notes = forms.CharField(required=False, max_length=2000, widget=forms.Textarea({"rows": 2}))

    def __init__(self, data: Any = None, *, source: WebsiteSource | None = None, home: str = "") -> None:
        initial: dict[str, Any] = {"home": home}
        if source is not None:
            initial = {name: getattr(source, name) for name in FIELDS}
            initial |= {"base_url": source.base_url}
            initial |= {name: "\n".join(initial[name]) for name in ("allowed_paths", "disallowed_paths")}
        super().__init__(data, initial=initial)
        homes = self.fields["home"]
        assert isinstance(homes, forms.ChoiceField)  # noqa: S101  # declared above
        if source is not None:
            del self.fields["home"]
            minutes = source.crawl_frequency_minutes
            if minutes not in dict(FREQUENCIES):
                self.fields["crawl_frequency_minutes"].choices = [*FREQUENCIES, (minutes, f"Every {minutes} minutes")]  # type: ignore[attr-defined]  # declared above
        else:
            groups = selectors.homes()
            homes.choices = [(label, [(str(row.pk), row.name) for row in rows]) for label, rows in groups]

    def options(self) -> dict[str, Any]:
        data = self.cleaned_data
        lines = {name: data[name].split("\n") for name in ("allowed_paths", "disallowed_paths")}
        names = ("mode", "max_pages", "max_depth", "crawl_frequency_minutes", "notes")
        return {**{name: data[name] for name in names}, **lines}


@company_page
def websites(request: PageRequest) -> HttpResponse:
    search, home, is_archived = query_text(request, "q"), query_text(request, "home"), bool(request.GET.get("archived"))
    rows = selectors.website_sources_list(search=search, home_id=as_uuid(home), is_archived=is_archived)
    context = {
        "page_obj": page_of(request, rows, per_page=PER_PAGE),
        "homes": selectors.homes(),
        "is_filtered": bool(search or home or is_archived),
    }
    return render(request, "websites/list.html", context)


@company_page
def create(request: PageRequest) -> HttpResponse:
    form = WebsiteForm(post_data(request), home=query_text(request, "home"))
    if form.is_valid():
        with errors_in(form):
            source = services.create_website_source(
                actor=principal_of(request.user),
                home=selectors.get_home(uuid.UUID(form.cleaned_data["home"])),
                base_url=form.cleaned_data["base_url"],
                options=form.options(),
                crawl_now=True,
            )
            messages.success(request, "The website is being read. Its pages appear here.")
            return redirect("website", pk=source.pk)
    return render(request, "websites/form.html", {"form": form, "source": None})


@require_POST
@company_page
def preview(request: PageRequest) -> HttpResponse:
    """What a crawl would begin with: asked of the site itself, within seconds."""
    check_rate("upload", str(request.user.company_id))
    given = request.POST.get("base_url", "").strip()
    url = canonical(given if "://" in given else f"https://{given}") if given else None
    context: dict[str, Any] = {"url": url}
    if url is not None:
        try:
            context["preview"] = services.preview_site(url)
        except (CrawlError, UnavailableError) as error:
            context["error"] = str(error)
    return render(request, "websites/_preview.html", context)


@company_page
def website(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    source = selectors.get_website_source(pk, include_archived=True)
    status = query_text(request, "status")
    rows = selectors.website_pages(source, search=query_text(request, "q"), status=status)
    context = {
        "source": source,
        "crawl": selectors.latest_crawl(source),
        "page_obj": page_of(request, rows, per_page=PAGES_PER_PAGE),
        "page_statuses": PageStatus.choices,
        "frequency": dict(FREQUENCIES).get(
            source.crawl_frequency_minutes, f"Every {source.crawl_frequency_minutes} minutes"
        ),
    }
    return render(request, "websites/detail.html", context)


@company_page
def edit(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    source = selectors.get_website_source(pk)
    form = WebsiteForm(post_data(request), source=source)
    if form.is_valid():
        with errors_in(form):
            changes = {"base_url": form.cleaned_data["base_url"], **form.options()}
            services.update_website_source(actor=principal_of(request.user), source=source, changes=changes)
            messages.success(request, "The changes were saved. They hold from the next crawl on.")
            return redirect("website", pk=pk)
    return render(request, "websites/form.html", {"form": form, "source": source})


@require_POST
@company_page
def crawl(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        services.start_crawl(actor=principal_of(request.user), source=selectors.get_website_source(pk))
    return way_back(request, "websites")


@require_POST
@company_page
def stop(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    with errors_as_messages(request):
        services.cancel_crawl(actor=principal_of(request.user), source=selectors.get_website_source(pk))
        messages.success(request, "The crawl was stopped. What it has read stays.")
    return way_back(request, "websites")


@require_POST
@company_page
def pause(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Pause the schedule, or go on with it."""
    source = selectors.get_website_source(pk)
    changes = {"is_paused": not source.is_paused}
    services.update_website_source(actor=principal_of(request.user), source=source, changes=changes)
    messages.success(request, "The schedule is paused." if source.is_paused else "The schedule goes on.")
    return way_back(request, "websites")


@require_POST
@company_page
def archive(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    source = selectors.get_website_source(pk)
    services.archive_website_source(actor=principal_of(request.user), source=source)
    messages.success(request, f"“{source.domain}” was deleted.", extra_tags=reverse("website-restore", args=[pk]))
    return way_back(request, "websites")


@require_POST
@company_page
def restore(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    source = selectors.get_website_source(pk, include_archived=True)
    with errors_as_messages(request):
        services.restore_website_source(actor=principal_of(request.user), source=source)
        messages.success(request, f"“{source.domain}” was restored.")
    return way_back(request, "websites")
