from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from knowrithm.api.permissions import PUBLIC, declare
from tenants import (
    views,
    views_api_keys,
    views_company,
    views_configuration,
    views_invitations,
    views_links,
    views_people,
    views_sso,
    views_two_factor,
)
from tenants.audit import views as audit

urlpatterns = [
    path("", views.landing, name="landing"),
    path("signup", views.signup, name="signup"),
    path("login", views.login, name="login"),
    path("login/code", views_two_factor.login_code, name="login-code"),
    path("two-factor", views_two_factor.two_factor, name="two-factor"),
    path("sso/login", views_sso.sso_login, name="sso-login"),
    path("sso/callback", views_sso.sso_callback, name="sso-callback"),
    path("security", views_sso.security, name="security"),
    path("logout", declare(PUBLIC)(LogoutView.as_view()), name="logout"),
    path("api-keys", views.api_keys, name="api-keys"),
    path("api-keys/<uuid:pk>", views_api_keys.api_key, name="api-key"),
    path("api-keys/<uuid:pk>/rotate", views_api_keys.rotate, name="api-key-rotate"),
    path("api-keys/<uuid:pk>/revoke", views.revoke_api_key, name="api-key-revoke"),
    path("people", views_people.people, name="people"),
    path("people/<uuid:pk>", views_people.person, name="person"),
    path("people/<uuid:pk>/status", views_people.change_status, name="person-status"),
    path("people/<uuid:pk>/archive", views_people.archive, name="person-archive"),
    path("people/<uuid:pk>/role", views_people.change_role, name="person-role"),
    path("people/<uuid:pk>/unlock", views_people.unlock, name="person-unlock"),
    path("people/<uuid:pk>/force-password-reset", views_people.force_password_reset, name="person-force-reset"),
    path("people/<uuid:pk>/unlink", views_people.unlink, name="person-unlink"),
    path("people/<uuid:pk>/reset-two-factor", views_people.reset_two_factor, name="person-reset-two-factor"),
    path("acting/stop", views_people.stop, name="stop-acting"),
    path("company", views_company.company, name="company"),
    path("company/archive", views_company.archive, name="company-archive"),
    path("company/archived", views_company.archived, name="company-archived"),
    path("configuration", views_configuration.configuration, name="configuration"),
    path("configuration/<uuid:pk>/remove", views_configuration.remove, name="configuration-remove"),
    path("company-logo/<uuid:company_id>/<slug:digest>.png", views_company.logo, name="company-logo"),
    path("account", views.account, name="account"),
    path("account/sessions/<uuid:pk>/revoke", views.revoke_session, name="session-revoke"),
    path("account/sessions/revoke-others", views.revoke_other_sessions, name="sessions-revoke-others"),
    path("verify-email", views_links.verify_email, name="verify-email"),
    path("verify-email/send", views_links.send_verification, name="verify-email-send"),
    path("password/forgot", views_links.forgot_password, name="password-forgot"),
    path("password/reset", views_links.reset_password, name="password-reset"),
    path("invitation", views_links.invitation, name="invitation"),
    path("invitations", views_invitations.invitations, name="invitations"),
    path("invitations/<uuid:pk>/resend", views_invitations.resend, name="invitation-resend"),
    path("invitations/<uuid:pk>/revoke", views_invitations.revoke, name="invitation-revoke"),
    path("audit-log", audit.audit_log, name="audit-log"),
    path("audit-log/export", audit.export, name="audit-log-export"),
]
