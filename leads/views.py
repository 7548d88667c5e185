"""The page where an admin decides how the personal data of leads are stored."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from leads import services
from leads.selectors import encryption_state
from tenants.pages import PageRequest, errors_as_messages, saved_by_admins
from tenants.services import principal_of


@saved_by_admins
def privacy(request: PageRequest) -> HttpResponse:
    actor = principal_of(request.user)
    if request.method == "POST":
        is_on = request.POST.get("encrypt") == "on"
        with errors_as_messages(request):
            services.set_lead_encryption(actor=actor, is_on=is_on)
            messages.success(request, "Encryption is on." if is_on else "Encryption is off.")
        return redirect("company-privacy")
    context = {"tab": "privacy", "state": encryption_state(), "is_admin": actor.is_admin}
    return render(request, "leads/privacy.html", context)
