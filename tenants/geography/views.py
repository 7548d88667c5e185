"""The page of a company's addresses. Everybody of the company sees them, its admins change them."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from tenants.geography import services
from tenants.geography.forms import AddressForm
from tenants.geography.selectors import addresses_of
from tenants.pages import (
    PageRequest,
    admin_page,
    company_page,
    errors_as_messages,
    errors_in,
    post_data,
    query_text,
    saved_by_admins,
)
from tenants.services import principal_of


@saved_by_admins
def addresses(request: PageRequest) -> HttpResponse:
    actor = principal_of(request.user)
    rows = list(addresses_of(actor.company_id))
    form = AddressForm(
        post_data(request),
        company_id=actor.company_id,
        country=query_text(request, "country"),
        is_first=not rows,
    )
    if form.is_valid():
        with errors_in(form):
            services.add_address(actor=actor, **form.address())
            messages.success(request, "The address was added.")
            return redirect("company-addresses")
    context = {"tab": "addresses", "addresses": rows, "form": form, "is_admin": actor.is_admin}
    return render(request, "tenants/addresses.html", context)


@company_page
def state_field(request: PageRequest) -> HttpResponse:
    """The form's field for the state, once a country is chosen."""
    form = AddressForm(company_id=principal_of(request.user).company_id, country=query_text(request, "country"))
    return render(request, "tenants/_address_state.html", {"form": form})


@require_POST
@admin_page
def make_primary(request: PageRequest, pk: int) -> HttpResponse:
    with errors_as_messages(request):
        services.make_address_primary(actor=principal_of(request.user), address_id=pk)
        messages.success(request, "This is the primary address now.")
    return redirect("company-addresses")


@require_POST
@admin_page
def delete(request: PageRequest, pk: int) -> HttpResponse:
    with errors_as_messages(request):
        services.delete_address(actor=principal_of(request.user), address_id=pk)
        messages.success(request, "The address was deleted.")
    return redirect("company-addresses")
