"""Django admin asks for a second factor, always: it is the door to every company."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from unfold.sites import UnfoldAdminSite

from tenants.models import User
from tenants.sign_in import continue_sign_in


class AdminLogin(LoginView):
    """A right password leads to the page for the code, or, the first time, to setting up the second factor."""

    def form_valid(self, form: AuthenticationForm) -> Any:
        user = form.get_user()
        assert isinstance(user, User)  # noqa: S101  # the only kind there is
        return continue_sign_in(self.request, user, next_url=self.get_success_url())


class AdminSite(UnfoldAdminSite):  # type: ignore[misc]  # unfold has no types
    def has_permission(self, request: HttpRequest) -> bool:
        """A browser session of who has a second factor has passed it: see `User.get_session_auth_hash`."""
        return bool(super().has_permission(request)) and request.user.two_factor_enabled  # type: ignore[union-attr]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        if super().has_permission(request) and not self.has_permission(request):
            return redirect("two-factor")
        if request.method == "GET" and self.has_permission(request):
            return redirect("admin:index")
        context = {
            **self.each_context(request),
            "title": "Log in",
            "app_path": request.get_full_path(),
            **(extra_context or {}),
        }
        if "next" not in request.GET and "next" not in request.POST:
            context["next"] = "/admin/"
        return AdminLogin.as_view(
            extra_context=context, authentication_form=self.login_form, template_name="admin/login.html"
        )(request)
