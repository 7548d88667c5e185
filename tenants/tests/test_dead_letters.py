"""What has failed for good is kept for super admins, who run it again or throw it away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_tenants.utils import tenant_context

from agents.models import Agent
from conftest import PASSWORD, Character, super_admin_in_browser
from knowrithm.errors import ConflictError
from knowrithm.jobs import company_task
from tenants.audit.models import AuditEvent
from tenants.jobs import keep_dead_letter
from tenants.models import DeadLetter, User
from tenants.purge import purge
from tenants.tests.conftest import Deliver

LIST = "admin:tenants_deadletter_changelist"


@company_task(name="tenants.tests.archive_agent")
def archive_agent(agent_id: str) -> None:
    """Fails as long as the agent is inactive."""
    agent = Agent.objects.get(pk=agent_id)
    if agent.status == "inactive":
        raise ConflictError("The agent is\0 inactive.")
    if agent.status == "draft":
        raise ValueError("vi@example.com")
    Agent.objects.filter(pk=agent_id).update(archived_at=timezone.now())


@pytest.fixture
def root(db: None) -> Client:
    return super_admin_in_browser(User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD))


@pytest.fixture
def failed(in_acme: Character, deliver: Deliver) -> DeadLetter:
    Agent.objects.update(status="inactive")
    for _ in range(2):
        archive_agent.apply(args=(in_acme.company.schema_name, str(in_acme.agent.pk)))
    return DeadLetter.objects.get()


def test_a_task_that_failed_is_kept_once_with_its_cause(failed: DeadLetter, in_acme: Character) -> None:
    assert (failed.task, failed.error, failed.times) == (
        "tenants.tests.archive_agent", "ConflictError: The agent is inactive.", 2,
    )  # fmt: skip
    assert failed.arguments == [in_acme.company.schema_name, str(in_acme.agent.pk)]


def test_what_others_complain_of_is_left_out(in_acme: Character, deliver: Deliver) -> None:
    """It may quote a visitor's address, and this table is shared."""
    Agent.objects.update(status="draft")
    archive_agent.apply(args=(in_acme.company.schema_name, str(in_acme.agent.pk)))
    assert DeadLetter.objects.get().error.startswith("ValueError in archive_agent, line ")


def test_a_super_admin_runs_it_again(failed: DeadLetter, in_acme: Character, root: Client, deliver: Deliver) -> None:
    page = root.get(reverse(LIST)).content.decode()
    assert "ConflictError: The agent is inactive." in page
    assert in_acme.company.name in page
    with tenant_context(in_acme.company):
        Agent.objects.update(status="active")

    with deliver():
        root.post(reverse(LIST), {"action": "run_again", "_selected_action": [str(failed.pk)]})

    with tenant_context(in_acme.company):
        assert Agent.objects.get().archived_at is not None
        assert not AuditEvent.objects.filter(event_type="dead_letter.repeated").exists()
    assert not DeadLetter.objects.exists()
    assert AuditEvent.objects.filter(event_type="dead_letter.repeated").count() == 1  # it is the platform's to know


def test_what_fails_again_comes_back(failed: DeadLetter, root: Client, deliver: Deliver) -> None:
    with deliver():
        root.post(reverse(LIST), {"action": "run_again", "_selected_action": [str(failed.pk)]})
    assert [(row.task, row.times) for row in DeadLetter.objects.all()] == [(failed.task, 1)]


@pytest.mark.django_db
def test_a_task_of_an_older_version_stays(root: Client) -> None:
    keep_dead_letter("tasks.of.yesterday", [], "ValueError: x")
    rows = [str(row.pk) for row in DeadLetter.objects.all()]
    page = root.post(reverse(LIST), {"action": "run_again", "_selected_action": rows}, follow=True).content.decode()
    assert "There is no task tasks.of.yesterday any more." in page
    assert DeadLetter.objects.count() == 1


@pytest.mark.django_db
def test_it_is_forgotten_after_a_month() -> None:
    keep_dead_letter("old", ["c_1"], "ValueError: x")
    DeadLetter.objects.update(updated_at=timezone.now() - timedelta(days=31))
    keep_dead_letter("new", ["c_1"], "ValueError: x")
    assert [row.task for row in DeadLetter.objects.all()] == ["new"]


def test_a_purged_company_leaves_none(acme: Character) -> None:
    keep_dead_letter("theirs", [acme.company.schema_name], "ValueError: x")
    keep_dead_letter("nobody's", [], "ValueError: x")
    acme.company.purge_started_at = timezone.now()
    acme.company.save()
    purge(str(acme.company.pk))
    assert [row.task for row in DeadLetter.objects.all()] == ["nobody's"]
