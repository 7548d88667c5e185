"""One question to the schemas of many companies: one `UNION ALL` with an arm per company.

A query per company would cost a round trip each. Schema names come from the table of companies and from nowhere else,
and enter the statement as quoted identifiers.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, LiteralString

from django.db import connection, models
from django_tenants.utils import get_public_schema_name
from psycopg import sql

from agents.catalog.models import ProviderModel
from agents.models import Agent, LLMSettings
from conversations.models import Conversation, Message
from documents.models import Dataset, Document, IndexBuild, IngestionJob, SearchIndex
from leads.models import Lead
from tenants.audit.models import AuditEvent
from tenants.models import Company, User, UserSession

# Each arm locks its tables and their indexes until the statement ends, and PostgreSQL's table of locks is finite.
ARMS = 50
OF_COMPANY: dict[str, type[models.Model]] = {
    "agents": Agent,
    "settings": LLMSettings,
    "documents": Document,
    "datasets": Dataset,
    "jobs": IngestionJob,
    "indexes": SearchIndex,
    "builds": IndexBuild,
    "conversations": Conversation,
    "messages": Message,
    "leads": Lead,
    "events": AuditEvent,
}
SHARED: dict[str, type[models.Model]] = {"users": User, "sessions": UserSession, "models": ProviderModel}


def companies_with_schema(company_id: uuid.UUID | None = None) -> list[Company]:
    """Every company whose schema is there, archived ones too: their rows still count. In the order of their ids."""
    rows = Company.objects.filter(is_ready=True).order_by("pk")
    return list(rows.filter(pk=company_id) if company_id else rows)


def select_everywhere(
    companies: Sequence[Company],
    arm: LiteralString,
    parameters: Mapping[str, Any],
    *,
    tail: LiteralString = "",
    with_platform: bool = False,
) -> Iterator[tuple[Any, ...]]:
    """The rows of `arm` in each company's schema, in one statement for every fifty companies.

    In `arm`, `{documents}` and the other names of OF_COMPANY and SHARED stand for tables, `{company}` for the
    company's id; values are `%(name)s`. `tail` (an ORDER BY and a LIMIT) holds for each statement's union. With
    `with_platform` the shared schema is asked too, where `{company}` is null and only `{events}` exists.
    """
    places: list[tuple[str, uuid.UUID | None]] = [(company.schema_name, company.pk) for company in companies]
    if with_platform:
        places.append((str(get_public_schema_name()), None))
    for start in range(0, len(places), ARMS):
        union = sql.SQL(" UNION ALL ").join(
            sql.SQL(arm).format(**_names(schema), company=_id(company))
            for schema, company in places[start : start + ARMS]
        )
        statement = sql.SQL("SELECT * FROM ({}) AS everywhere ").format(union) + sql.SQL(tail)
        with connection.cursor() as cursor:
            cursor.execute(statement.as_string(None), dict(parameters))
            yield from cursor.fetchall()


def _names(schema: str) -> dict[str, sql.Identifier]:
    public = str(get_public_schema_name())
    return {name: sql.Identifier(schema, model._meta.db_table) for name, model in OF_COMPANY.items()} | {
        name: sql.Identifier(public, model._meta.db_table) for name, model in SHARED.items()
    }


def _id(company_id: uuid.UUID | None) -> sql.Composable:
    return sql.SQL("NULL::uuid") if company_id is None else sql.SQL("{}::uuid").format(sql.Literal(str(company_id)))
