"""Figures of single companies, counted now."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from agents.models import Agent
from agents.ratings import stars
from analytics.selectors.everywhere import companies_with_schema, select_everywhere
from analytics.selectors.periods import share
from conversations.enums import ConversationStatus
from conversations.models import Conversation
from documents.enums import DocumentStatus
from documents.models import Document
from knowrithm.errors import NotFoundError
from leads.enums import LeadStatus
from leads.models import Lead
from tenants.enums import UserStatus
from tenants.geography.selectors import PRIMARY_ADDRESS
from tenants.models import AgentRoute, Company, User

Report = dict[str, Any]


def company_by_id(company_id: uuid.UUID) -> Company:
    company: Company | None = Company.objects.filter(pk=company_id).first()
    if company is None:
        raise NotFoundError("There is no such company.")
    return company


def companies_list(
    *, search: str = "", is_active: bool | None = None, is_verified: bool | None = None
) -> QuerySet[Company]:
    rows: QuerySet[Company] = Company.objects.prefetch_related(PRIMARY_ADDRESS)
    if search:
        rows = rows.filter(Q(name__icontains=search) | Q(email__icontains=search))
    if is_active is not None:
        rows = rows.filter(is_active=is_active)
    return rows if is_verified is None else rows.filter(is_verified=is_verified)


def users_list(
    *,
    company_id: uuid.UUID | None = None,
    role: str = "",
    status: str = "",
    search: str = "",
    include_deleted: bool | None = None,
) -> QuerySet[User]:
    """People of all companies, super admins among them; archived ones only where they are asked for."""
    rows = User.objects.all() if include_deleted else User.objects.filter(archived_at=None)
    if company_id:
        rows = rows.filter(company=company_id)
    if role:
        rows = rows.filter(role=role)
    if status:
        rows = rows.filter(status=status)
    for word in search.split():
        named = Q(first_name__icontains=word) | Q(last_name__icontains=word)
        rows = rows.filter(named | Q(email__icontains=word) | Q(username__icontains=word))
    return rows


def company_behind_agent(agent_id: uuid.UUID) -> Company:
    """Also of a company that is suspended or archived. Raises `NotFoundError`."""
    route = AgentRoute.objects.select_related("company").filter(pk=agent_id).first()
    if route is None:
        raise NotFoundError("There is no such agent.")
    return route.company


def company_behind_document(document_id: uuid.UUID) -> Company:
    """Found by asking every schema for the id, by its primary key and in one statement: a table of routes would be
    faster and could be wrong. Raises `NotFoundError`."""
    companies = {company.pk: company for company in companies_with_schema()}
    arm = "SELECT {company} FROM {documents} WHERE id = %(id)s"
    found = [company_id for (company_id,) in select_everywhere(list(companies.values()), arm, {"id": document_id})]
    if not found:
        raise NotFoundError("There is no such document.")
    return companies[found[0]]


FIGURES = """
SELECT {company},
  (SELECT jsonb_object_agg(status, n) FROM (
     SELECT status, count(*) AS n FROM {users} WHERE company_id = {company} GROUP BY 1) AS by_status)::text,
  (SELECT count(*) FROM {users} WHERE company_id = {company} AND created_at >= %(since)s),
  (SELECT count(*) FROM {agents} WHERE archived_at IS NULL),
  (SELECT jsonb_object_agg(status, n) FROM (
     SELECT status, count(*) AS n FROM {documents} WHERE archived_at IS NULL GROUP BY 1) AS by_status)::text,
  (SELECT coalesce(sum(file_size), 0)::bigint FROM {documents} WHERE archived_at IS NULL),
  (SELECT count(*) FROM {conversations} WHERE archived_at IS NULL),
  (SELECT coalesce(sum(message_count), 0)::bigint FROM {conversations} WHERE archived_at IS NULL),
  (SELECT coalesce(sum(ratings), 0)::bigint FROM {agents} WHERE archived_at IS NULL),
  (SELECT coalesce(sum(rating_sum), 0)::bigint FROM {agents} WHERE archived_at IS NULL)
"""


def company_figures(companies: Sequence[Company]) -> dict[uuid.UUID, Report]:
    """Of each company what it has now: `/super-admin/companies/{id}/analytics`. Archived rows do not count."""
    ready = [company for company in companies if company.is_ready]
    parameters = {"since": timezone.now() - timedelta(days=30)}
    counted = {row[0]: _figures(*row[1:]) for row in select_everywhere(ready, FIGURES, parameters)}
    return {company.pk: counted.get(company.pk) or _figures(None, 0, 0, None, 0, 0, 0, 0, 0) for company in companies}


def _figures(
    users: str | None,
    new_users: int,
    agents: int,
    documents: str | None,
    size: int,
    conversations: int,
    messages: int,
    ratings: int,
    rating_sum: int,
) -> Report:
    by_status = {status.value: json.loads(users or "{}").get(status.value, 0) for status in UserStatus}
    by_state = {status.value: json.loads(documents or "{}").get(status.value, 0) for status in DocumentStatus}
    return {
        "users": {"total": sum(by_status.values()), "by_status": by_status, "created_last_30_days": new_users},
        "agents": {
            "total": agents,
            "average_rating": stars(rating_sum, ratings),
            "total_conversations": conversations,
        },
        "documents": {"total": sum(by_state.values()), "storage_bytes": size, "status_breakdown": by_state},
        "conversations": {"total": conversations, "total_messages": messages},
    }


# --- Inside the company's schema ----------------------------------------------------------------------------------


def lead_statistics(*, days: int) -> Report:
    """Of the current company: leads registered in the last `days` days, and conversations in which something was said.

    A converted lead was qualified before, so it counts as both. The rate is the percentage of leads converted.
    """
    since = timezone.now() - timedelta(days=days)
    leads = Lead.objects.known().filter(created_at__gte=since).aggregate(
        total=Count("pk"),
        qualified=Count("pk", filter=Q(status__in=[LeadStatus.QUALIFIED, LeadStatus.CONVERTED])),
        converted=Count("pk", filter=Q(status=LeadStatus.CONVERTED)),
    )  # fmt: skip
    active = Conversation.objects.live().filter(status=ConversationStatus.ACTIVE, last_activity__gte=since)
    return {
        "total_leads": leads["total"],
        "qualified_leads": leads["qualified"],
        "conversion_rate": share(leads["converted"] * 100, leads["total"]),
        "active_conversations": active.count(),
        "period_days": days,
    }


def related_data(company: Company) -> Report:
    """How many rows hang on the current company, archived ones too: what deleting it would take along."""
    return {
        "agents": Agent.objects.count(),
        "leads": Lead.objects.count(),
        "documents": Document.objects.count(),
        "users": company.users.count(),
        "conversations": Conversation.objects.count(),
        "connections": 0,  # databases cannot be connected yet
    }
