"""Pages of Django admin on which super admins read rows of one company's schema, which admin itself cannot list."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django_tenants.utils import tenant_context

from tenants.models import Company, User

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Part:
    """`cells` are what is shown of a row, one for each of the `headers`."""

    label: str
    headers: Sequence[str]
    rows: Callable[[], QuerySet[Any]]
    cells: Callable[[Any], list[Any]]


def rows_of_company(
    request: HttpRequest, company_id: uuid.UUID, *, title: str, parts: Mapping[str, Part]
) -> HttpResponse:
    """One part of them, the first unless `?part=` names another. Nothing can be changed here.

    The company's own people do that, or a super admin who acts as one of them.
    """
    if not (isinstance(request.user, User) and request.user.is_superuser):
        raise Http404
    company = Company.objects.filter(pk=company_id, is_ready=True).first()
    if company is None:
        raise Http404("There is no such company.")
    wanted = request.GET.get("part", "")
    shown = wanted if wanted in parts else next(iter(parts))
    part = parts[shown]
    with tenant_context(company):
        page = Paginator(part.rows(), PER_PAGE).get_page(request.GET.get("page"))
        rows = [part.cells(row) for row in page.object_list]
    context = {
        **admin.site.each_context(request),
        "title": f"{title} of {company.name}",
        "parts": [(name, one.label, name == shown) for name, one in parts.items()],
        "page_obj": page,
        "headers": part.headers,
        "rows": rows,
    }
    return TemplateResponse(request, "admin/rows_of_company.html", context)
