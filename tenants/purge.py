"""Deleting a company for good. Every step may be done again: whatever died in between, the next run ends it.

The company's row goes last: as long as it is there, beat starts the work again.
"""

from __future__ import annotations

import structlog
from django.core.files.storage import default_storage
from django.db import transaction
from django_tenants.utils import get_public_schema_name, schema_context

from knowrithm.db.redis import sync_redis
from knowrithm.jobs import forget_tasks
from knowrithm.turns import forget_turns
from tenants.audit.models import RiskLevel
from tenants.audit.services import record_event
from tenants.geography.models import Address, City, Country, State
from tenants.models import ApiKey, Company, DeadLetter, User
from tenants.provisioning import drop_schema

log = structlog.get_logger(__name__)


def unfinished() -> list[str]:
    """The ids of companies that are to be purged."""
    found = Company.objects.exclude(purge_started_at=None).values_list("pk", flat=True)
    return [str(company_id) for company_id in found]


def purge(company_id: str) -> None:
    """Delete schema, files, Redis keys and shared rows of a company whose purge was asked for; no other's."""
    company = Company.objects.exclude(purge_started_at=None).filter(pk=company_id).first()
    if company is None:
        return  # done by another worker
    with transaction.atomic():
        drop_schema(company.schema_name)
    with schema_context(company.schema_name):  # the storage's prefix; no query is sent
        _delete_files(".")
    _delete_keys(company)
    with schema_context(get_public_schema_name()):
        _delete_shared_rows(company)
    log.info("company_purged", company=company_id)


def _delete_files(folder: str) -> None:
    folders, files = default_storage.listdir(folder)
    for name in files:
        default_storage.delete(f"{folder}/{name}")
    for name in folders:
        _delete_files(f"{folder}/{name}")
    default_storage.delete(folder)


def _delete_keys(company: Company) -> None:
    """Event streams, cache entries and rate limits name the company; task records hold it."""
    redis = sync_redis()
    for pattern in (f"*{company.schema_name}*", f"*{company.pk}*"):
        for key in redis.scan_iter(pattern, count=1000):
            redis.delete(key)
    forget_tasks(company.schema_name)
    forget_turns(company.schema_name)


@transaction.atomic
def _delete_shared_rows(company: Company) -> None:
    for places in (Address, City, State, Country):  # each stands on the next
        places.objects.filter(company=company).delete()
    DeadLetter.objects.filter(arguments__0=company.schema_name).delete()
    ApiKey.objects.filter(company=company).delete()
    User.objects.filter(company=company).delete()
    deleted, _ = Company.objects.filter(pk=company.pk).delete()
    if deleted:
        record_event(
            actor=None, event_type="company.purged", entity_type="company", entity_id=company.pk,
            entity_label=company.name, risk_level=RiskLevel.CRITICAL,
        )  # fmt: skip
