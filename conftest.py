"""Standing characters: two companies, acme and globex, made once per run from the template."""

from __future__ import annotations

import pickle
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pyotp
import pytest
from django.test import Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django.plugin import DjangoDbBlocker
from rest_framework.test import APIClient

from agents.catalog.seed import seed_catalogue
from agents.models import Agent
from agents.services import create_agent
from knowrithm.db import lease
from knowrithm.db.schema import leave_company
from knowrithm.principal import Principal
from tenants.audit.models import AuditEvent, AuditHead
from tenants.audit.services import open_log
from tenants.geography.seed import seed_geography
from tenants.models import Company, User
from tenants.provisioning import prepare_template
from tenants.services import (
    begin_two_factor,
    confirm_two_factor,
    create_api_key,
    principal_of,
    register_company,
    start_session,
)

pytest_plugins = ["knowrithm.tests.platform", "knowrithm.tests.isolation"]
PASSWORD = "correct-horse-battery"
lease.HEARTBEAT_SECONDS = 3600  # its own connection would not see the row of a test, and would give the work up as lost


@dataclass(frozen=True)
class Character:
    """A company with one admin and one agent."""

    company: Company
    admin: User
    agent: Agent

    @property
    def principal(self) -> Principal:
        return principal_of(self.admin)


def make_character(name: str) -> Character:
    user = register_company(
        company_name=name.capitalize(),
        email=f"admin@{name}.example",
        password=PASSWORD,
        first_name=name.capitalize(),
        last_name="Admin",
    )
    assert user.company is not None
    with tenant_context(user.company):
        agent = create_agent(actor=principal_of(user), name=f"{name.capitalize()} helper")
    return Character(user.company, user, agent)


# By name. What a test changes is rolled back, so each begins with a copy: two queries of many columns, compiled anew,
# took longer than most of what a test does.
_at_the_start: dict[str, bytes] = {}


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The test database with everything that a fresh installation has, and the two companies."""
    with django_db_blocker.unblock():
        prepare_template()
        seed_catalogue()
        seed_geography()
        for name in ("acme", "globex"):
            with tenant_context(make_character(name).company):
                AuditEvent.objects.all().delete()  # a test's log holds what the test does
                AuditHead.objects.all().delete()
                open_log()
            _at_the_start[name] = pickle.dumps(character(name))
        leave_company()


@pytest.fixture(autouse=True)
def no_company_between_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "db" in request.fixturenames:
        leave_company()


def character(name: str) -> Character:
    admin = User.objects.select_related("company").get(email=f"admin@{name}.example")
    assert admin.company is not None
    with tenant_context(admin.company):
        agent = Agent.objects.with_settings().get(name=f"{name.capitalize()} helper")
    return Character(admin.company, admin, agent)


def _standing(name: str) -> Character:
    who: Character = pickle.loads(_at_the_start[name])
    return who


@pytest.fixture
def acme(db: None) -> Character:
    return _standing("acme")


@pytest.fixture
def globex(db: None) -> Character:
    return _standing("globex")


@pytest.fixture
def made_today(acme: Character, globex: Character) -> None:
    """For tests that count by days: the characters are as old as the run, and that may have begun before midnight."""
    now = timezone.now()
    Company.objects.update(created_at=now)
    User.objects.update(created_at=now)
    for who in (acme, globex):
        with tenant_context(who.company):
            Agent.objects.update(created_at=now)


@pytest.fixture
def in_acme(acme: Character) -> Iterator[Character]:
    """Inside acme's schema, for tests below the API."""
    with tenant_context(acme.company):
        yield acme


def page_client(who: Character) -> Client:
    client = Client()
    client.force_login(who.admin, backend="tenants.backends.EmailBackend")
    return client


@pytest.fixture
def acme_client(acme: Character) -> Client:
    return page_client(acme)


@pytest.fixture
def globex_client(globex: Character) -> Client:
    return page_client(globex)


def bearer(who: Character) -> APIClient:
    """An API client with a fresh access token of the company's admin."""
    client = APIClient()
    token = start_session(user=who.admin).tokens.access
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def acme_api(acme: Character) -> APIClient:
    return bearer(acme)


@pytest.fixture
def globex_api(globex: Character) -> APIClient:
    return bearer(globex)


def enrol(user: User) -> list[str]:
    """Switch the second factor on. The step of its first code is used up; returns the recovery codes."""
    begun = begin_two_factor(actor=principal_of(user))
    _leave_the_step_time()
    codes = confirm_two_factor(actor=principal_of(user), otp=pyotp.TOTP(begun.secret).at(int(time.time()) - 30))
    user.refresh_from_db()
    return codes


def _leave_the_step_time() -> None:
    """A step's last second may pass between a code and its check; the code of the step before would be too old then."""
    left = 30 - time.time() % 30
    if left < 1:
        time.sleep(left)


def super_admin_in_browser(user: User) -> Client:
    """A browser in which the super admin is signed in with the second factor that Django admin asks for."""
    enrol(user)
    client = Client()
    client.force_login(user, backend="tenants.backends.EmailBackend")
    return client


def key_client(who: Character, *scopes: str) -> APIClient:
    made = create_api_key(actor=who.principal, name="test", scopes=list(scopes))
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=made.row.key, HTTP_X_API_SECRET=made.secret)
    return client


@pytest.fixture
def super_admin_api(db: None) -> APIClient:
    """An API client with a fresh access token of a super admin."""
    user = User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=user).tokens.access}")
    return client


@pytest.fixture
def anonymous() -> APIClient:
    return APIClient()


@pytest.fixture
def unknown_id() -> uuid.UUID:
    return uuid.UUID("00000000-0000-4000-8000-000000000000")
