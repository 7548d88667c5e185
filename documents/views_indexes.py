"""The card that tells of an agent's or dataset's search index, and its buttons."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from documents import selectors, services
from documents.index_status import index_status
from documents.models import Home
from knowrithm.errors import ServiceError
from tenants.pages import PageRequest, company_page, toast
from tenants.services import principal_of


def _card(request: PageRequest, home: Home) -> HttpResponse:
    return render(request, "documents/_index.html", {"home": home, "index": index_status(home)})


def _after(request: PageRequest, pk: uuid.UUID, service: Callable[..., None], done: str) -> HttpResponse:
    home = selectors.get_home(pk)
    try:
        service(actor=principal_of(request.user), home=home)
    except ServiceError as error:
        return toast(_card(request, home), str(error), level="error")
    return toast(_card(request, home), done)


@require_safe
@company_page
def index(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _card(request, selectors.get_home(pk))


@require_POST
@company_page
def build(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _after(request, pk, services.start_index_build, "The index is being made. What is there answers meanwhile.")


@require_POST
@company_page
def cancel(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _after(request, pk, services.cancel_index_build, "The index in the making was given up.")


@require_POST
@company_page
def roll_back(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _after(request, pk, services.roll_back_index, "The index before answers again.")
