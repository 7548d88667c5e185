"""The second wall: each company's schema belongs to a role of its own, and work for the company runs as that role."""

from __future__ import annotations

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import schema_context, tenant_context

from agents.models import Agent
from conftest import Character
from knowrithm.db.schema import leave_company
from tenants.provisioning import drop_schema, prepare_roles
from tenants.services import create_company


def current_role() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT name FROM "{schema}".agents_agent',
        'UPDATE "{schema}".agents_agent SET name = name',
        'DELETE FROM "{schema}".documents_documentchunk',
        'SELECT digest FROM "{schema}".audit_auditevent',
        'CREATE TABLE "{schema}".mine (id integer)',
        'DROP SCHEMA "{schema}" CASCADE',
        "SELECT digest FROM public.audit_auditevent",
        "DELETE FROM public.audit_audithead",
    ],
)
def test_sql_that_names_another_companys_schema_is_refused(acme: Character, globex: Character, statement: str) -> None:
    with tenant_context(globex.company):
        assert current_role() == globex.company.schema_name
        with (
            pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement.format(schema=acme.company.schema_name))


def test_a_rollback_does_not_leave_the_wall_open(acme: Character, globex: Character) -> None:
    with tenant_context(globex.company):
        with transaction.atomic():
            assert Agent.objects.count() == 1  # the role is taken inside the block, so the rollback gives it back
            transaction.set_rollback(True)
        assert current_role() == globex.company.schema_name
    assert current_role() != globex.company.schema_name


def test_a_connection_is_told_of_a_company_only_when_it_is_another_one(acme: Character, globex: Character) -> None:
    def statements(who: Character) -> list[str]:
        with tenant_context(who.company), CaptureQueriesContext(connection) as queries:
            assert list(Agent.objects.values_list("name", flat=True)) == [who.agent.name]
        return [query["sql"].split()[0] for query in queries]

    statements(acme)
    assert statements(acme) == ["SELECT"]
    assert statements(globex) == ["SET", "SELECT"]
    leave_company()
    assert current_role() != globex.company.schema_name
    assert statements(globex) == ["SET", "SELECT"]


def test_a_cursor_of_the_server_runs_as_the_company_too(acme: Character) -> None:
    with tenant_context(acme.company), transaction.atomic():
        assert [agent.name for agent in Agent.objects.iterator(chunk_size=1)] == [acme.agent.name]


def test_a_company_from_before_the_roles_gets_one(db: None) -> None:
    company = create_company(name="Old", email="old@example.org")
    leave_company()
    with connection.cursor() as cursor:
        name = company.schema_name
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # as the commit would
        cursor.execute(f'REASSIGN OWNED BY "{name}" TO CURRENT_USER; DROP OWNED BY "{name}"; DROP ROLE "{name}"')

    prepare_roles()

    with schema_context(company.schema_name):
        assert current_role() == company.schema_name
        assert Agent.objects.count() == 0


def test_a_dropped_schema_leaves_no_role(db: None) -> None:
    company = create_company(name="Gone", email="gone@example.org")
    leave_company()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # as the commit would

    drop_schema(company.schema_name)

    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regrole(%s), to_regnamespace(%s)", [company.schema_name] * 2)
        assert cursor.fetchone() == (None, None)
