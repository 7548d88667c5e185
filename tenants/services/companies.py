"""What happens to companies."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction

from tenants import provisioning
from tenants.audit.models import RiskLevel
from tenants.audit.services import log_of, open_log, record_event
from tenants.exceptions import AlreadyRegisteredError
from tenants.models import AgentRoute, Company
from tenants.signals import company_created


@transaction.atomic
def create_company(*, name: str, email: str, **fields: Any) -> Company:
    """A company with its own schema, ready to use when this returns.

    Raises `AlreadyRegisteredError` when a company with this e-mail address exists.
    """
    company = open_company(name=name, email=email, **fields)
    with log_of(company):
        record_event(actor=None, event_type="company.created", entity=company, risk_level=RiskLevel.MEDIUM)
    return company


@transaction.atomic
def open_company(*, name: str, email: str, **fields: Any) -> Company:
    """What `create_company` does, for services that record what they make of it."""
    if Company.objects.live().filter(email__iexact=email).exists():
        raise AlreadyRegisteredError("A company with this e-mail address exists already.")
    company = Company(name=name, email=email, **fields)
    company.schema_name = provisioning.new_schema_name(company.id)
    company.save()
    provisioning.create_schema(company.schema_name)
    with log_of(company):
        open_log()
    company_created.send(sender=Company, company=company)
    Company.objects.filter(pk=company.pk).update(is_ready=True)
    company.is_ready = True
    return company


def add_agent_route(*, agent_id: uuid.UUID, company_id: uuid.UUID) -> None:
    AgentRoute.objects.create(agent_id=agent_id, company_id=company_id)
