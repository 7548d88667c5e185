from __future__ import annotations

from typing import Any

from django.dispatch import receiver
from django_tenants.utils import schema_context

from agents.services import create_default_settings
from tenants.models import Company
from tenants.signals import company_created


@receiver(company_created)
def give_default_settings(*, company: Company, **_: Any) -> None:
    """A new company can create an agent at once: the built-in models need no key."""
    with schema_context(company.schema_name):
        create_default_settings()
