"""Deleting a company for good: all of it, and nothing of any other."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.core.files.storage import default_storage
from django.db import OperationalError, connection, models
from django_tenants.utils import schema_exists, tenant_context
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, bearer, page_client
from conversations.streams import publish, stream_key
from knowrithm.db.redis import sync_redis
from knowrithm.jobs import create_task
from knowrithm.tests.isolation import bury, fingerprint
from tenants import purge
from tenants.audit.models import AuditEvent
from tenants.models import AgentRoute, ApiKey, Company, User, UserSession
from tenants.provisioning import drop_schema
from tenants.services import ensure_super_admin, principal_of, purge_company, start_session
from tenants.tasks import purge_company as purge_task
from tenants.tasks import resume_purges


@pytest.fixture
def root(db: None) -> User:
    return ensure_super_admin(email="root@knowrithm.example", password=PASSWORD)


@pytest.fixture
def root_api(root: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=root).tokens.access}")
    return client


def folder(company: Company) -> Path:
    with tenant_context(company):
        return Path(default_storage.path("."))


def files(company: Company) -> list[Path]:
    return [path for path in folder(company).rglob("*") if path.is_file()]


def settle_constraints() -> None:
    """A test is one transaction, and PostgreSQL drops no table with checks that wait for the commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def fill(who: Character) -> list[str]:
    """Rows, files, tasks, events, cache entries and a browser session; the keys in Redis."""
    bury(who)
    page_client(who)
    schema, conversation = who.company.schema_name, uuid.uuid4()
    with tenant_context(who.company):
        task = create_task()
        publish(schema, conversation, "chat_status", {})
        cache.set("seen", who.company.name)
        return [f"task:{task}", stream_key(schema, conversation), cache.make_key("seen")]


def test_nothing_is_left_of_it_and_nothing_else_is_touched(root: User, acme: Character, globex: Character) -> None:
    keys, other_keys = fill(acme), fill(globex)
    before, other_files = fingerprint(globex), files(globex.company)
    schema = acme.company.schema_name
    assert (files(acme.company) != [], sync_redis().exists(*keys)) == (True, 3)
    settle_constraints()

    purge_company(actor=principal_of(root), company=acme.company, delete_related=True)
    purge_task(str(acme.company.pk))

    assert (schema_exists(schema), folder(acme.company).exists(), sync_redis().exists(*keys)) == (False, False, 0)
    assert not Company.objects.filter(pk=acme.company.pk).exists()
    assert not User.objects.filter(pk=acme.admin.pk).exists()
    assert not any(model.objects.filter(company_id=acme.company.pk).exists() for model in (ApiKey, AgentRoute))
    assert not UserSession.objects.filter(user_id=acme.admin.pk).exists()
    assert (fingerprint(globex), files(globex.company), sync_redis().exists(*other_keys)) == (before, other_files, 3)
    assert bearer(globex).get("/api/v1/company").status_code == 200


def test_the_platform_s_log_keeps_the_fact(root: User, acme: Character) -> None:
    settle_constraints()
    purge_company(actor=principal_of(root), company=acme.company, delete_related=True)
    purge_task(str(acme.company.pk))
    purge_task(str(acme.company.pk))  # a message that came twice
    rows = AuditEvent.objects.filter(entity_id=str(acme.company.pk)).order_by("position")
    assert [(row.event_type, row.actor_label, row.entity_label, row.risk_level) for row in rows] == [
        ("company.purge_started", "root@knowrithm.example", "Acme", "critical"),
        ("company.purged", "", "Acme", "critical"),
    ]


@pytest.mark.parametrize("step", ["_delete_files", "_delete_keys", "_delete_shared_rows"])
def test_a_purge_that_died_half_way_is_ended_by_the_next(
    root: User, acme: Character, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = fill(acme)
    settle_constraints()
    purge_company(actor=principal_of(root), company=acme.company, delete_related=True)

    def die(*_: object) -> None:
        raise OperationalError

    with monkeypatch.context() as dying:
        dying.setattr(purge, step, die)
        with pytest.raises(OperationalError):
            purge_task(str(acme.company.pk))
    assert purge.unfinished() == [str(acme.company.pk)]
    purge_task(str(acme.company.pk))

    assert (purge.unfinished(), sync_redis().exists(*keys), folder(acme.company).exists()) == ([], 0, False)
    assert not Company.objects.filter(pk=acme.company.pk).exists()


def test_it_is_queued_on_commit_and_again_by_beat(
    root: User,
    acme: Character,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    queued: list[str] = []
    monkeypatch.setattr(purge_task, "delay", queued.append)
    with django_capture_on_commit_callbacks(execute=True):
        purge_company(actor=principal_of(root), company=acme.company, delete_related=True)
    resume_purges()
    assert queued == [str(acme.company.pk)] * 2


def test_a_company_that_nobody_asked_to_purge_is_left_alone(acme: Character) -> None:
    before = fingerprint(acme)
    purge_task(str(acme.company.pk))
    assert fingerprint(acme) == before


@pytest.mark.parametrize("name", ["public", "knowrithm_template", 'c_0"; DROP SCHEMA public', ""])
def test_no_other_schema_can_be_dropped(db: None, name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a company's schema"):
        drop_schema(name)


# --- Through the API ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, {}, {"delete_related": False}])
def test_without_delete_related_it_says_what_is_there(
    root_api: APIClient, acme: Character, body: dict[str, bool] | None
) -> None:
    before = fingerprint(acme)
    answer = root_api.delete(f"/api/v1/company/{acme.company.id}/cascade-delete", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "COMPANY_HAS_DATA")
    assert answer.json()["message"].startswith("Acme still has users (1), ")
    assert " agents (1)" in answer.json()["message"]
    assert fingerprint(acme) == before


def test_with_it_the_company_is_unknown_at_once(root_api: APIClient, acme: Character) -> None:
    url, own = f"/api/v1/company/{acme.company.id}", bearer(acme)
    answer = root_api.delete(f"{url}/cascade-delete", {"delete_related": True})
    assert (answer.status_code, answer.json()["success"], "task_id" in answer.json()) == (200, True, False)
    assert own.get("/api/v1/company").status_code == 401
    gone = [
        root_api.get(url),
        root_api.patch(url, {"is_active": True}),
        root_api.delete(url),
        root_api.patch(f"{url}/restore"),
        root_api.patch("/api/v1/company/bulk-restore", {"company_ids": [str(acme.company.id)]}),
        root_api.delete(f"{url}/cascade-delete", {"delete_related": True}),
    ]
    assert [one.status_code for one in gone] == [404] * 6
    listed = root_api.get("/api/v1/super-admin/company", {"status": "all", "search": "acme"})
    assert listed.json()["companies"] == []


def test_only_a_super_admin_purges(acme_api: APIClient, acme: Character) -> None:
    url = f"/api/v1/company/{acme.company.id}/cascade-delete"
    assert acme_api.delete(url, {"delete_related": True}).status_code == 403
    assert Company.objects.get(pk=acme.company.pk).purge_started_at is None


def test_every_shared_row_of_a_company_can_go_with_it() -> None:
    """Two keys protect their row, and `tenants.purge` deletes those rows itself, in order."""
    tenant_apps = {label.split(".")[-1] for label in settings.TENANT_APPS if label not in settings.SHARED_APPS}
    kept = [
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        if model._meta.app_label not in tenant_apps
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey)
        and field.remote_field.model in (Company, User)
        and field.remote_field.on_delete not in (models.CASCADE, models.SET_NULL)
    ]
    assert sorted(kept) == ["ApiKey.user", "User.company"]
