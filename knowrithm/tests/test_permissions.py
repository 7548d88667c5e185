"""Who may do what: the written table, the narrowing of API keys, and that every door asks the same rule."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from conftest import Character, key_client
from conversations.models import Conversation
from conversations.sse import _authorise
from knowrithm.errors import ForbiddenError, InvalidInputError
from knowrithm.management.commands.permissions_table import render
from knowrithm.principal import Principal, PrincipalKind, Resource, Scope, parse_permissions, stored_permissions
from tenants.models import ApiKey
from tenants.services import NewApiKey, create_api_key

COMMITTED = Path(settings.BASE_DIR) / "docs" / "permissions.md"


def test_the_committed_table_is_the_current_one() -> None:
    """Write it anew with: `DEBUG=1 python manage.py permissions_table --file docs/permissions.md`."""
    assert render() == COMMITTED.read_text()


def narrowed(who: Character, permissions: dict[str, Any], *scopes: str) -> NewApiKey:
    return create_api_key(actor=who.principal, name="narrow", scopes=scopes, permissions=permissions)


def client_of(made: NewApiKey) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=made.row.key, HTTP_X_API_SECRET=made.secret)
    return client


@pytest.mark.parametrize(
    ("permissions", "scopes", "statuses"),
    [
        ({}, ["read", "write"], [200, 200, 400, 200]),
        ({"agents": ["read"]}, ["read", "write"], [200, 403, 403, 403]),
        ({"agents": ["read"], "documents": ["read"]}, ["read", "write"], [200, 200, 403, 403]),
        ({"agents": ["read", "write"]}, ["read"], [200, 403, 403, 403]),  # never beyond the scopes
        ({"agents": ["full_access"]}, ["read", "write"], [200, 403, 400, 403]),  # all that the scopes allow
        ({"agents": ["read"]}, ["full_access"], [200, 403, 403, 403]),
        ({"agents": []}, ["full_access"], [403, 403, 403, 403]),
        ({"company": ["read"]}, ["read"], [403, 403, 403, 200]),
    ],
)
def test_permissions_narrow_a_key(
    acme: Character, permissions: dict[str, Any], scopes: list[str], statuses: list[int]
) -> None:
    key = client_of(narrowed(acme, permissions, *scopes))
    assert [
        key.get("/api/v1/agent").status_code,
        key.get("/api/v1/document").status_code,
        key.post("/api/v1/agent", {}).status_code,
        key.get("/api/v1/user/profile").status_code,
    ] == statuses
    assert key.get("/api/v1/auth/validate").status_code == 200


@pytest.mark.parametrize(
    ("permissions", "scopes", "statuses"),
    [
        ({}, ["read", "update"], [200, 403, 403]),
        ({}, ["read", "delete"], [403, 400, 403]),  # 400: the agent has a conversation
        ({}, ["read", "write"], [200, 400, 400]),
        ({}, ["read", "admin"], [403, 403, 403]),
        ({"agents": ["update"]}, ["full_access"], [200, 403, 403]),
        ({"agents": ["read"]}, ["read", "update", "delete"], [403, 403, 403]),
    ],
)
def test_update_and_delete_open_their_verbs(
    acme: Character, permissions: dict[str, Any], scopes: list[str], statuses: list[int]
) -> None:
    key, path = client_of(narrowed(acme, permissions, *scopes)), f"/api/v1/agent/{acme.agent.id}"
    with tenant_context(acme.company):
        Conversation.objects.create(agent=acme.agent, entity_type="user", user_id=acme.admin.id)  # it is in use
    asked = key.put(path, {"description": "x"}), key.delete(path), key.post("/api/v1/agent", {})
    assert [answer.status_code for answer in asked] == statuses


def test_services_see_the_narrowed_scopes(acme: Character) -> None:
    """A key that may write in the company but not govern it makes no admin, although its scopes would."""
    person = {
        "email": "zoe@new.example", "username": "zoe", "password": "a-long-enough-password", "first_name": "Zoe",
        "last_name": "Z", "role": "admin",
    }  # fmt: skip
    key = client_of(narrowed(acme, {"company": ["write"]}, "write", "admin"))
    assert key.post("/api/v1/auth/user", person).status_code == 403
    assert key.post("/api/v1/auth/user", {**person, "role": "user"}).status_code == 201


@pytest.mark.parametrize(
    "permissions", [{"agent": ["read"]}, {"agents": ["reed"]}, {"agents": [["read"]]}, {"agents": [1]}]
)
def test_unknown_permissions_are_refused(acme_api: APIClient, permissions: dict[str, Any]) -> None:
    answer = acme_api.post("/api/v1/auth/api-keys", {"name": "x", "permissions": permissions})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["permissions"])


@pytest.mark.parametrize(
    "permissions", [{"agents": "read"}, {"agents": {"a": 1}}, ["agents"], "agents", {"agents": None}]
)
def test_permissions_of_another_shape_are_refused(acme_api: APIClient, permissions: Any) -> None:
    answer = acme_api.post("/api/v1/auth/api-keys", {"name": "x", "permissions": permissions})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["permissions"])


def test_what_was_stored_before_it_meant_anything_opens_nothing(acme: Character) -> None:
    made = narrowed(acme, {}, "read")
    ApiKey.objects.filter(pk=made.row.pk).update(permissions={"max_agents": 5})
    assert client_of(made).get("/api/v1/agent").status_code == 403
    with pytest.raises(InvalidInputError):
        parse_permissions({"max_agents": 5})
    assert stored_permissions({}) is None


def test_a_principal_within_a_resource() -> None:
    key = Principal(
        kind=PrincipalKind.API_KEY, id=uuid.uuid4(), company=None, scopes=frozenset({Scope.READ, Scope.WRITE}),
        permissions={Resource.AGENTS: frozenset({Scope.READ, Scope.ADMIN})},
    )  # fmt: skip
    assert key.within(Resource.AGENTS).scopes == {Scope.READ}
    assert key.within(Resource.DOCUMENTS).scopes == frozenset()
    assert key.within(None).scopes == frozenset()


@pytest.mark.parametrize(
    ("scopes", "permissions", "is_open"),
    [
        (["read"], {}, True),
        (["admin"], {}, True),  # was refused here alone
        (["update"], {}, False),
        (["read"], {"conversations": ["read"]}, True),
        (["read"], {"agents": ["read"]}, False),
    ],
)
def test_the_stream_asks_the_same_rule(
    acme: Character, monkeypatch: pytest.MonkeyPatch, scopes: list[str], permissions: dict[str, Any], is_open: bool
) -> None:
    made = narrowed(acme, permissions, *scopes)
    with tenant_context(acme.company):
        conversation = Conversation.objects.create(agent=acme.agent, entity_type="user", user_id=acme.admin.id)
    path = f"/api/v1/conversation/{conversation.id}/messages/stream"
    headers = [(b"x-api-key", made.row.key.encode()), (b"x-api-secret", made.secret.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b""}
    monkeypatch.setattr("conversations.sse.connections.close_all", lambda: None)  # it is the test's own connection
    if is_open:
        assert str(conversation.id) in _authorise(scope).key
    else:
        with pytest.raises(ForbiddenError):
            _authorise(scope)
    listed = key_client(acme, *scopes) if not permissions else client_of(made)
    assert listed.get(f"/api/v1/conversation/{conversation.id}/messages").status_code == (200 if is_open else 403)
