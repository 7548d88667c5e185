"""Which company's schema this thread's connection is in. Everything else that needs to know asks here.

Entering a company for a block is django-tenants' `tenant_context(company)`, as a context manager: `with company:`
keeps the previous company in a list that all threads share.
"""

from __future__ import annotations

import re
from typing import Any, cast

from django.db import connection
from django_tenants.utils import get_public_schema_name

COMPANY_SCHEMA = re.compile(r"c_[0-9a-f]{32}")

# What django-tenants adds to the connection has no types.
_connection = cast(Any, connection)


def enter_company(company: Any) -> None:
    """Until `leave_company`: for middleware and authentication, where no block spans the request."""
    _connection.set_tenant(company)


def leave_company() -> None:
    _connection.set_schema_to_public()


def schema_name() -> str:
    return str(_connection.schema_name)


def is_in_company() -> bool:
    return schema_name() != str(get_public_schema_name())


def role_of(schema: str) -> str | None:
    """The PostgreSQL role that work in this schema runs as: a company's own has the schema's name."""
    return schema if COMPANY_SCHEMA.fullmatch(schema) else None


def shared_row(query: str, *parameters: Any) -> tuple[Any, ...] | None:
    """The first row of shared tables, named in full (`public.…`), before it is known whose request this is."""
    row: tuple[Any, ...] | None = _connection.shared_row(query, parameters)
    return row


def release_connection() -> None:
    """Give the connection back to the pool before a long wait; the next query takes one again, in the same schema.

    Inside a transaction nothing happens: it would be lost.
    """
    if not connection.in_atomic_block:
        connection.close()
