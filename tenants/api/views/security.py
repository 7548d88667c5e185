"""How a company's people sign in, and what an admin mends of one of them; how long the audit log is kept."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from knowrithm.api.permissions import ADMIN, SIGNED_IN_ADMIN
from knowrithm.api.responses import single
from knowrithm.api.schema import SentenceSerializer, answer
from knowrithm.api.throttling import limit
from knowrithm.api.views import ApiViewSet
from knowrithm.errors import NotFoundError
from knowrithm.principal import Role
from tenants import services
from tenants.api.serializers import UserSerializer
from tenants.audit.retention import set_audit_retention
from tenants.enums import COMPANY_ROLE_CHOICES
from tenants.models import Company, SingleSignOn, User
from tenants.selectors import get_person, single_sign_on_for

# Not by a key, nor by a super admin who acts as the person: this is the way into the company.
ADMIN_ONESELF = replace(SIGNED_IN_ADMIN, is_oneself=True)
CHANGED = answer("SecurityOfPersonChanged", message=serializers.CharField(), user=UserSerializer())


class PersonSecurityViewSet(ApiViewSet):
    needs_company = False
    access = {"unlock": ADMIN, "reset_two_factor": ADMIN, "unlink": ADMIN}

    @extend_schema(request=None, responses=CHANGED)
    def unlock(self, request: Request, user_id: uuid.UUID) -> Response:
        """Ends the lock-out after wrong passwords before its time."""
        actor = self.principal()
        user = services.unlock_user(actor=actor, user=get_person(actor, user_id))
        return _changed(user, f"{user} is unlocked.")

    @extend_schema(responses=CHANGED)
    def reset_two_factor(self, request: Request, user_id: uuid.UUID) -> Response:
        """For who has lost app and recovery codes. Signs the person out everywhere."""
        user = services.reset_two_factor(actor=self.principal(), user_id=user_id)
        return _changed(user, f"{user} is signed out and has no second factor any more.")

    @extend_schema(responses=CHANGED)
    def unlink(self, request: Request, user_id: uuid.UUID) -> Response:
        """The next sign-in through the company's provider links the account anew, by its confirmed address."""
        user = services.unlink_single_sign_on(actor=self.principal(), user_id=user_id)
        return _changed(user, f"{user} is linked anew at the next sign-in through your provider.")


def _changed(user: User, message: str) -> Response:
    return Response({"message": message, "user": UserSerializer(user).data})


class SingleSignOnSerializer(serializers.ModelSerializer[SingleSignOn]):
    """The client secret is never shown: `has_client_secret` says that there is one."""

    has_client_secret = serializers.SerializerMethodField()
    email_domains = serializers.SerializerMethodField()
    requires_sso = serializers.BooleanField(source="company.requires_sso", read_only=True)
    redirect_uri = serializers.SerializerMethodField(help_text="To be registered with the provider.")

    class Meta:
        model = SingleSignOn
        fields = (
            "issuer", "client_id", "has_client_secret", "email_domains", "default_role", "is_enabled", "creates_users",
            "confirms_addresses", "requires_sso", "redirect_uri", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_has_client_secret(self, row: SingleSignOn) -> bool:
        return bool(row.client_secret)

    def get_email_domains(self, row: SingleSignOn) -> list[str]:
        return list(row.email_domains.values_list("domain", flat=True))

    def get_redirect_uri(self, row: SingleSignOn) -> str:
        return services.redirect_uri()


class SingleSignOnInput(serializers.Serializer[Any]):
    """All of it; a switch that is not sent is off."""

    issuer = serializers.URLField(max_length=200)
    client_id = serializers.CharField(max_length=300)
    client_secret = serializers.CharField(
        max_length=500, required=False, allow_blank=True, default="", help_text="Empty keeps the stored one."
    )
    email_domains = serializers.ListField(child=serializers.CharField(max_length=253), max_length=50)
    default_role = serializers.ChoiceField(choices=COMPANY_ROLE_CHOICES, required=False, default=Role.USER.value)
    is_enabled = serializers.BooleanField(required=False, default=False)
    creates_users = serializers.BooleanField(required=False, default=False)
    confirms_addresses = serializers.BooleanField(required=False, default=False)
    requires_sso = serializers.BooleanField(required=False, default=False)


class TwoFactorPolicy(serializers.Serializer[Any]):
    is_required = serializers.BooleanField()


class Retention(serializers.Serializer[Any]):
    days = serializers.IntegerField(allow_null=True, help_text="Null keeps the log for ever.")


SSO = answer("SingleSignOnAnswer", single_sign_on=SingleSignOnSerializer())
POLICY = answer("TwoFactorPolicyAnswer", two_factor_policy=TwoFactorPolicy())
RETENTION = answer("AuditRetentionAnswer", audit_retention=Retention())


class CompanySecurityViewSet(ApiViewSet):
    access = {
        "two_factor_policy": SIGNED_IN_ADMIN,
        "set_two_factor_policy": ADMIN_ONESELF,
        "single_sign_on": SIGNED_IN_ADMIN,
        "save_single_sign_on": ADMIN_ONESELF,
        "remove_single_sign_on": ADMIN_ONESELF,
        "check_single_sign_on": ADMIN_ONESELF,
        "audit_retention": SIGNED_IN_ADMIN,
        "set_audit_retention": SIGNED_IN_ADMIN,
    }

    def get_throttles(self) -> list[BaseThrottle]:
        return [limit("login")()] if self.action == "check_single_sign_on" else []

    def _company(self) -> Company:
        return Company.objects.get(pk=self.principal().company_id)

    @extend_schema(responses=POLICY)
    def two_factor_policy(self, request: Request) -> Response:
        return Response(single("two_factor_policy", {"is_required": self._company().requires_two_factor}))

    @extend_schema(request=TwoFactorPolicy, responses=POLICY)
    def set_two_factor_policy(self, request: Request) -> Response:
        """Whether everybody needs a second factor. Who has none is signed out of the API at once."""
        data = self.validated(TwoFactorPolicy, request)
        company = services.set_two_factor_requirement(actor=self.principal(), **data)
        return Response(single("two_factor_policy", {"is_required": company.requires_two_factor}, message="Saved."))

    @extend_schema(responses=SSO)
    def single_sign_on(self, request: Request) -> Response:
        row = single_sign_on_for(self.principal())
        if row is None:
            raise NotFoundError("Your company has no single sign-on yet.")
        return Response(single("single_sign_on", SingleSignOnSerializer(row).data))

    @extend_schema(request=SingleSignOnInput, responses=SSO)
    def save_single_sign_on(self, request: Request) -> Response:
        row = services.save_single_sign_on(actor=self.principal(), **self.validated(SingleSignOnInput, request))
        row.refresh_from_db()
        return Response(single("single_sign_on", SingleSignOnSerializer(row).data, message="Saved. Now test it."))

    @extend_schema(responses=SentenceSerializer)
    def remove_single_sign_on(self, request: Request) -> Response:
        """Everybody signs in by password again; the e-mail domains are free for others."""
        services.remove_single_sign_on(actor=self.principal())
        return Response({"message": "Single sign-on was removed."})

    @extend_schema(request=None, responses=SentenceSerializer)
    def check_single_sign_on(self, request: Request) -> Response:
        """Asks the saved provider for its documents and says in words what it found."""
        return Response({"message": services.check_single_sign_on(actor=self.principal())})

    @extend_schema(responses=RETENTION)
    def audit_retention(self, request: Request) -> Response:
        return Response(single("audit_retention", {"days": self._company().audit_retention_days}))

    @extend_schema(request=Retention, responses=RETENTION)
    def set_audit_retention(self, request: Request) -> Response:
        """How many days the company's audit log is kept."""
        company = set_audit_retention(actor=self.principal(), **self.validated(Retention, request))
        return Response(single("audit_retention", {"days": company.audit_retention_days}, message="Saved."))
