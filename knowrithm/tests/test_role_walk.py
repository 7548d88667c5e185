"""What docs/permissions.md says of plain users is what every endpoint and page does with one."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from conftest import PASSWORD, Character
from knowrithm.management.commands.permissions_table import _cells
from knowrithm.principal import NEEDS_ADMIN, Role
from knowrithm.routes import Route, all_routes
from knowrithm.tests.audit import Wrote, call, prepare
from knowrithm.tests.isolation import Treasure
from knowrithm.tests.test_audit_walk import WROTE
from knowrithm.tests.test_isolation import PROBES
from tenants.models import User
from tenants.services import create_user, start_session


def asked() -> list[Route]:
    """Every verb of every endpoint that is not open to all, and of every page both to see and to send."""
    found = []
    for route in all_routes():
        if route.access.is_public:
            continue
        verbs = {route.method} if not route.is_page or isinstance(route.view.access, dict) else {"GET", "POST"}
        found += [Route(verb, route.path, route.action, route.view) for verb in sorted(verbs)]
    return list({route.key: route for route in found}.values())


ROUTES = asked()
# What the walk over the audit log sends here names models too, which are an admin's business within an open route.
WITHOUT_MODELS: dict[str, Wrote] = {
    "PUT /api/v1/agent/<uuid:agent_id>": Wrote("", {"name": "Renamed"}),
    "POST /agents/<uuid:pk>/edit": Wrote("", {"name": "Renamed"}),
}


@pytest.fixture
def ann(acme: Character) -> User:
    return create_user(
        actor=acme.principal, email="ann@acme.example", username="ann", password=PASSWORD,
        first_name="Ann", last_name="Person",
    )  # fmt: skip


def probe_of(key: str) -> Wrote:
    known = Wrote("", PROBES[key].body if key in PROBES else None)
    return WITHOUT_MODELS.get(key) or WROTE.get(key) or known


def ask(ann: User, route: Route, probe: Wrote, treasure: Treasure) -> Any:
    if not route.is_page:
        api = APIClient(raise_request_exception=False)
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=ann).tokens.access}")
        return call(api, route, probe, treasure)
    browser = Client(raise_request_exception=False)
    browser.force_login(ann, backend="tenants.backends.EmailBackend")
    return call(browser, route, probe, treasure, follow=route.method == "POST")


@pytest.mark.parametrize("route", ROUTES, ids=[route.key for route in ROUTES])
def test_a_plain_user_may_what_the_table_says(route: Route, acme: Character, ann: User, treasure: Treasure) -> None:
    is_open = Role.USER in _cells(route)[0].partition(";")[0].split(", ")
    probe = probe_of(route.key)
    prepare(probe, acme, treasure)

    answer = ask(ann, route, probe, treasure)

    if answer.status_code == 405:
        return  # a page that is only shown, or only sent
    # 401: what was prepared may have archived the company.
    refused = answer.status_code in {401, 403} or NEEDS_ADMIN in answer.getvalue().decode()
    assert (answer.status_code == 500, refused) == (False, not is_open), answer.getvalue()[:300]
