"""The demo page's visitors: nameless leads of the demo company, each known by the browser's session."""

from __future__ import annotations

import uuid

from django.http import HttpRequest
from django_tenants.utils import tenant_context

from agents.models import Agent
from conversations.demo import demo_company
from conversations.models import Citation
from conversations.selectors import get_citation
from knowrithm.api.throttling import check_rate, client_address
from knowrithm.errors import NotFoundError
from leads.services import register_lead
from tenants.models import Company

SESSION_KEY = "demo_visitor"


def visitor_token(request: HttpRequest, *, company: Company, agent: Agent) -> str:
    """A token to talk to the demo's agent; the same browser stays the same lead. Raises `RateLimitedError`."""
    check_rate("lead", client_address(request))
    known = request.session.get(SESSION_KEY) or {}
    email = known.get("email") or f"visitor-{uuid.uuid4().hex}@demo.invalid"
    with tenant_context(company):
        registered = register_lead(
            agent=agent, company_id=company.id, email=email, first_name="Visitor", last_name="Demo", source="demo"
        )
    request.session[SESSION_KEY] = {"email": email, "lead_id": str(registered.lead.id)}
    return registered.tokens.access


def visitor_citation(request: HttpRequest, citation_id: uuid.UUID) -> Citation:
    """A citation of the visitor's own conversations. Raises `NotFoundError`."""
    known, company = request.session.get(SESSION_KEY), demo_company()
    if known is None or company is None:
        raise NotFoundError("There is no such citation.")
    with tenant_context(company):
        citation = get_citation(citation_id)
        if str(citation.message.conversation.lead_id) != known["lead_id"]:
            raise NotFoundError("There is no such citation.")
    return citation
