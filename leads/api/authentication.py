"""A visitor's token: good for one agent and the conversations that were begun with it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import F
from django_tenants.utils import tenant_context
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.request import Request

from agents.widget_settings import require_allowed
from knowrithm.db.compiled import ANY_ID, OTHER_ID, CompiledQuery
from knowrithm.principal import Principal, PrincipalKind
from leads.models import Lead
from tenants import tokens
from tenants.api.authentication import HeaderAuthentication, bearer_token
from tenants.credentials import company_of_token

_LEAD_AND_DOMAINS: CompiledQuery[Any] = CompiledQuery(
    lambda: (
        Lead.objects.live()
        .annotate(allowed_domains=F("agent__allowed_domains"))
        .filter(pk=ANY_ID, agent_id=OTHER_ID)
        .order_by()
    )
)


def lead_from_token(token: str, headers: Mapping[str, str]) -> Principal | None:
    """The lead of a token, sent with these headers; None when it is another kind's.

    Raises `AuthenticationFailedError`, also on a page of another origin than the one that the token was given to, and
    `OriginNotAllowedError` on one that may not show the agent any more.
    """
    payload = tokens.read_access(token)
    if payload.get(tokens.KIND) != tokens.LEAD_KIND:
        return None
    company = company_of_token(payload["company_id"])
    if company is None or not company.is_usable:
        raise tokens.InvalidTokenError("This chat is not available any more.")
    given_to, origin = payload.get(tokens.ORIGIN, ""), headers.get("Origin", "")
    if given_to and origin and origin != given_to:
        raise tokens.InvalidTokenError("This token was given to another page. Register anew on this one.")
    with tenant_context(company):
        found = _LEAD_AND_DOMAINS.of(uuid.UUID(payload["lead_id"]), uuid.UUID(payload["agent_id"]))
    if not found:
        raise tokens.InvalidTokenError("This chat is not available any more.")
    [lead] = found
    require_allowed(lead.allowed_domains, origin or given_to, headers.get("Host", ""))
    return Principal(
        kind=PrincipalKind.LEAD, id=lead.id, company=company, agent_id=uuid.UUID(payload["agent_id"]), label=str(lead)
    )


class LeadAuthentication(HeaderAuthentication):
    def principal(self, request: Request) -> Principal | None:
        token = bearer_token(request.headers)
        return lead_from_token(token, request.headers) if token else None


class LeadScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = LeadAuthentication
    name = "lead"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
