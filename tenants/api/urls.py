from __future__ import annotations

from django.urls import path

from tenants.api.views import (
    account,
    api_keys,
    auth,
    companies,
    configuration,
    invitations,
    own_account,
    passwords,
    people,
    security,
    two_factor,
    verification,
)
from tenants.audit import api as audit

people_list = people.PeopleViewSet.as_view({"get": "list"})

urlpatterns = [
    path("auth/register", auth.RegisterViewSet.as_view({"post": "create"})),
    path("auth/login", auth.LoginViewSet.as_view({"post": "login"})),
    path("auth/refresh", auth.LoginViewSet.as_view({"post": "refresh"})),
    path("auth/logout", account.AccountViewSet.as_view({"post": "logout"})),
    path("auth/two-factor", two_factor.TwoFactorViewSet.as_view({"get": "show", "post": "begin", "delete": "disable"})),
    path("auth/two-factor/confirm", two_factor.TwoFactorViewSet.as_view({"post": "confirm"})),
    path("auth/two-factor/recovery-codes", two_factor.TwoFactorViewSet.as_view({"post": "renew_recovery_codes"})),
    path("auth/sessions", own_account.OwnAccountViewSet.as_view({"get": "sessions", "delete": "end_other_sessions"})),
    path("auth/sessions/<uuid:session_id>", own_account.OwnAccountViewSet.as_view({"delete": "end_session"})),
    path("auth/password", own_account.OwnAccountViewSet.as_view({"post": "change_password"})),
    path("auth/password/forgot", own_account.ForgottenPasswordViewSet.as_view({"post": "ask"})),
    path("auth/password/reset", own_account.ForgottenPasswordViewSet.as_view({"post": "reset"})),
    path("auth/email", own_account.OwnAccountViewSet.as_view({"post": "change_email"})),
    path("auth/user/me", account.AccountViewSet.as_view({"get": "me"})),
    path("auth/user", account.AccountViewSet.as_view({"post": "create_user"})),
    path("auth/validate", account.AccountViewSet.as_view({"get": "validate"})),
    path("auth/api-keys", api_keys.ApiKeyViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "auth/api-keys/<uuid:api_key_id>",
        api_keys.ApiKeyViewSet.as_view({"delete": "destroy", "patch": "partial_update"}),
    ),
    path("auth/api-keys/<uuid:api_key_id>/rotate", api_keys.ApiKeyViewSet.as_view({"post": "rotate"})),
    path("user/profile", account.AccountViewSet.as_view({"get": "profile", "put": "update_profile"})),
    path("admin/user", people_list),
    path("admin/users", people_list),
    path("users", people_list),
    path("company/users", people_list),
    path("auth/users", people_list),
    path("super-admin/company/<uuid:company_id>/user", people.PeopleViewSet.as_view({"get": "of_company"})),
    path("admin/user/<uuid:user_id>", people.PeopleViewSet.as_view({"get": "retrieve_for_admin"})),
    path(
        "user/<uuid:user_id>",
        people.PeopleViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path("user/<uuid:user_id>/status", people.PeopleViewSet.as_view({"patch": "change_status"})),
    path("user/<uuid:user_id>/role", people.PeopleViewSet.as_view({"patch": "change_role"})),
    path("user/<uuid:user_id>/impersonate", people.PeopleViewSet.as_view({"post": "impersonate"})),
    path("user/<uuid:user_id>/unlock", security.PersonSecurityViewSet.as_view({"post": "unlock"})),
    path("user/<uuid:user_id>/two-factor", security.PersonSecurityViewSet.as_view({"delete": "reset_two_factor"})),
    path("user/<uuid:user_id>/single-sign-on", security.PersonSecurityViewSet.as_view({"delete": "unlink"})),
    path("config", configuration.ConfigViewSet.as_view({"get": "list", "patch": "update"})),
    path("config/<uuid:config_id>", configuration.ConfigViewSet.as_view({"delete": "destroy"})),
    path("company", companies.OwnCompanyViewSet.as_view({"get": "retrieve", "post": "create"})),
    path(
        "company/two-factor-policy",
        security.CompanySecurityViewSet.as_view({"get": "two_factor_policy", "put": "set_two_factor_policy"}),
    ),
    path(
        "company/single-sign-on",
        security.CompanySecurityViewSet.as_view(
            {"get": "single_sign_on", "put": "save_single_sign_on", "delete": "remove_single_sign_on"}
        ),
    ),
    path("company/single-sign-on/test", security.CompanySecurityViewSet.as_view({"post": "check_single_sign_on"})),
    path(
        "company/audit-retention",
        security.CompanySecurityViewSet.as_view({"get": "audit_retention", "put": "set_audit_retention"}),
    ),
    path("company/deleted", companies.CompanyViewSet.as_view({"get": "deleted"})),
    path("company/bulk-delete", companies.CompanyViewSet.as_view({"delete": "bulk_delete"})),
    path("company/bulk-restore", companies.CompanyViewSet.as_view({"patch": "bulk_restore"})),
    path(
        "company/<uuid:company_id>",
        companies.CompanyViewSet.as_view(
            {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
        ),
    ),
    path("company/<uuid:company_id>/restore", companies.CompanyViewSet.as_view({"patch": "restore"})),
    path("company/<uuid:company_id>/cascade-delete", companies.CompanyViewSet.as_view({"delete": "purge"})),
    path("super-admin/company", companies.CompanyViewSet.as_view({"get": "list"})),
    path("send", verification.VerificationViewSet.as_view({"post": "send"})),
    path("verify", verification.VerificationViewSet.as_view({"post": "verify"})),
    path("user/<uuid:user_id>/force-password-reset", passwords.PasswordViewSet.as_view({"post": "force_reset"})),
    path("invitation", invitations.InvitationViewSet.as_view({"get": "list", "post": "create"})),
    path("invitation/accept", invitations.InvitationViewSet.as_view({"post": "accept"})),
    path("invitation/<uuid:invitation_id>", invitations.InvitationViewSet.as_view({"delete": "revoke"})),
    path("invitation/<uuid:invitation_id>/resend", invitations.InvitationViewSet.as_view({"post": "resend"})),
    path("audit-log", audit.AuditLogViewSet.as_view({"get": "list"})),
    path("audit-log/export", audit.AuditLogViewSet.as_view({"get": "export"})),
    path("admin/audit-log", audit.AuditLogViewSet.as_view({"get": "list"})),
    path("admin/audit-log/export", audit.AuditLogViewSet.as_view({"get": "export"})),
]
