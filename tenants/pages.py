"""What the dashboard's pages share: who may see them, and how a service's refusal reaches the person."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, resolve_url
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event
from django_htmx.middleware import HtmxDetails

from knowrithm.api.permissions import SIGNED_IN, SIGNED_IN_ADMIN, Access, check_access, declare
from knowrithm.errors import ForbiddenError, NotFoundError, ServiceError
from tenants.browser import archived_admin
from tenants.exceptions import SingleSignOnRequiredError
from tenants.models import User
from tenants.services import principal_of
from tenants.sign_in import missing_step

P = ParamSpec("P")


class PageRequest(HttpRequest):
    """A request that `company_page` has let through: its user belongs to a company, whose schema is set."""

    user: User
    htmx: HtmxDetails


def company_page(
    view: Callable[Concatenate[PageRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A view for a company's people. Others are sent to sign in, super admins to the admin.

    `NotFoundError` becomes the 404 page. No browser or proxy keeps a copy.
    """

    @declare(SIGNED_IN)
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not isinstance(request.user, User):
            return redirect("company-archived") if archived_admin(request) else _to_login(request)
        if request.user.company is None:
            return redirect("admin:index")
        if refused := missing_step(request, request.user):
            return _to_missing_step(request, refused)
        try:
            with timezone.override(_zone_of(request.user)):
                response = view(cast(PageRequest, request), *args, **kwargs)
        except NotFoundError as error:
            raise Http404(str(error)) from None
        add_never_cache_headers(response)
        return response

    return guarded


def admin_page(
    view: Callable[Concatenate[PageRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A `company_page` for the company's admins; its other people get the 403 page."""

    @wraps(view)
    def for_admins(request: PageRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        check_page(SIGNED_IN_ADMIN, request.user)
        return view(request, *args, **kwargs)

    return declare(SIGNED_IN_ADMIN)(company_page(for_admins))


def saved_by_admins(
    view: Callable[Concatenate[PageRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A `company_page` that everybody of the company sees and its admins alone send back; others get the 403 page."""

    @wraps(view)
    def for_admins(request: PageRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method == "POST":
            check_page(SIGNED_IN_ADMIN, request.user)
        return view(request, *args, **kwargs)

    return declare({"GET": SIGNED_IN, "POST": SIGNED_IN_ADMIN})(company_page(for_admins))


def check_page(access: Access, user: User) -> None:
    """A refusal becomes the 403 page."""
    try:
        check_access(access, principal_of(user), None)
    except ForbiddenError as error:
        raise PermissionDenied(str(error)) from None


def _to_login(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return HttpResponseClientRedirect(resolve_url("login"))  # the login page must not land inside a fragment
    return redirect_to_login(request.get_full_path() if request.method == "GET" else resolve_url("home"))


def _to_missing_step(request: HttpRequest, refused: ServiceError) -> HttpResponse:
    """The only page that is left to a person without what the company requires."""
    page = "two-factor"
    if isinstance(refused, SingleSignOnRequiredError):
        page = "sso-login"
        logout(request)
        messages.error(request, str(refused))
    return HttpResponseClientRedirect(resolve_url(page)) if request.headers.get("HX-Request") else redirect(page)


def _zone_of(user: User) -> ZoneInfo:
    try:
        return ZoneInfo(user.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # API clients may have stored any text
        return ZoneInfo("UTC")


# --- What was sent ------------------------------------------------------------------------------------------------


def post_data(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: nothing before it has been sent."""
    return request.POST if request.method == "POST" else None


def query_text(request: HttpRequest, name: str) -> str:
    """A text of the query string, without what PostgreSQL cannot compare."""
    return request.GET.get(name, "").replace("\0", "").strip()


def as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def page_of(request: HttpRequest, rows: QuerySet[Any], *, per_page: int) -> Page[Any]:
    """The page that `?page=` names, in two queries; the nearest one when there is no such page."""
    return Paginator(rows, per_page).get_page(request.GET.get("page"))


def is_our_page(request: HttpRequest, url: str) -> bool:
    return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())


def way_back(request: HttpRequest, default: str) -> HttpResponse:
    """To the page that a form named as `next`, or else was sent from, or else to the route `default`."""
    for url in (request.POST.get("next", ""), request.headers.get("Referer", "")):
        if is_our_page(request, url):
            return redirect(url)
    return redirect(default)


def linked_ids(form: Form, name: str) -> list[uuid.UUID]:
    """What is chosen in a field of many rows, and what was linked before and the field does not offer any more: nobody
    could have taken that away, and should it be restored, its link is there."""
    field: Any = form.fields[name]
    offered = set(field.queryset.values_list("pk", flat=True))
    kept = [pk for pk in form.initial.get(name) or [] if pk not in offered]
    return [*(row.pk for row in form.cleaned_data[name]), *kept]


# --- What a service refused ---------------------------------------------------------------------------------------


@contextmanager
def errors_in(form: Form) -> Iterator[None]:
    """A service's refusal becomes the form's errors, by field where the form has that field."""
    try:
        yield
    except ServiceError as error:
        if error.fields and error.fields.keys() <= form.fields.keys():
            for name, faults in error.fields.items():
                form.add_error(name, list(faults))
        else:
            form.add_error(None, str(error))


@contextmanager
def errors_as_messages(request: HttpRequest) -> Iterator[None]:
    try:
        yield
    except NotFoundError:
        raise
    except ServiceError as error:
        messages.error(request, str(error))


def toast(response: HttpResponse, text: str, *, level: str = "success") -> HttpResponse:
    """Show a message together with a fragment."""
    return trigger_client_event(response, "toast", {"text": text, "level": level})
