from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context

from agents.models import Agent
from agents.services import create_agent
from conftest import Character
from knowrithm.db.compiled import ANY_ID, CompiledQuery

NAMES = ["Ada", "Bea", "Cleo", "Gus"]
BY_NAME: CompiledQuery[Agent] = CompiledQuery(
    lambda: Agent.objects.live().select_related("llm_settings__llm_model").filter(name__in=NAMES).order_by("name")
)
BY_ID: CompiledQuery[Agent] = CompiledQuery(lambda: Agent.objects.select_related("llm_settings").filter(pk=ANY_ID))


@pytest.fixture
def agents(acme: Character) -> list[Agent]:
    with tenant_context(acme.company):
        return [create_agent(actor=acme.principal, name=name) for name in NAMES[:3]]


def test_slices_are_those_of_the_queryset_with_what_it_joins(acme: Character, agents: list[Agent]) -> None:
    with tenant_context(acme.company):
        for _ in range(2):  # compiled, then remembered
            assert [agent.name for agent in BY_NAME[0:2]] == ["Ada", "Bea"]
            assert [agent.name for agent in BY_NAME[1:9]] == ["Bea", "Cleo"]
            with CaptureQueriesContext(connection) as queries:
                assert [agent.llm_settings.llm_model.name for agent in BY_NAME[0:3]] == ["extractive"] * 3
            assert len(queries) == 1
        assert BY_NAME.count() == 3


def test_each_id_finds_its_own_row(acme: Character, agents: list[Agent]) -> None:
    with tenant_context(acme.company):
        found = [BY_ID.get(agent.pk) for agent in agents]
        assert [agent.name for agent in found if agent] == ["Ada", "Bea", "Cleo"]
        assert BY_ID.get(uuid.uuid4()) is None


def test_what_was_compiled_for_one_company_reads_the_rows_of_the_next(
    acme: Character, globex: Character, agents: list[Agent]
) -> None:
    with tenant_context(acme.company):
        assert len(BY_NAME[0:10]) == 3
    with tenant_context(globex.company):
        assert BY_NAME[0:10] == []
        assert BY_ID.get(agents[0].pk) is None
        create_agent(actor=globex.principal, name="Gus")
        assert [agent.name for agent in BY_NAME[0:10]] == ["Gus"]


def test_postgresql_plans_it_once_for_a_connection_and_anew_for_the_next_company(
    acme: Character, globex: Character, agents: list[Agent]
) -> None:
    def planned() -> tuple[int, int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), sum(generic_plans + custom_plans) FROM pg_prepared_statements")
            (row,) = cursor.fetchall()
            return row[0], row[1]

    with tenant_context(acme.company):
        BY_ID.get(agents[0].pk)
        statements, runs = planned()
        assert BY_ID.get(agents[1].pk) == agents[1]
        assert planned() == (statements, runs + 1)
    with tenant_context(globex.company):
        assert BY_ID.get(agents[1].pk) is None
        assert BY_ID.get(globex.agent.pk) == globex.agent
        assert planned() == (statements, runs + 3)
