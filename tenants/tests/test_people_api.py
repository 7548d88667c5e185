"""Lists of people with every filter, status and role, and what they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, bearer, key_client, page_client
from knowrithm.errors import ServiceError
from tenants.audit.models import AuditEvent
from tenants.models import Company, User
from tenants.services import (
    archive_user,
    change_user_role,
    change_user_status,
    create_api_key,
    create_user,
    ensure_super_admin,
    principal_of,
    start_session,
)

API = "/api/v1"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def add(who: Character, name: str, **fields: Any) -> User:
    user = create_user(
        actor=who.principal,
        email=f"{name}@{who.company.name.lower()}.example",
        username=name,
        password=PASSWORD,
        first_name=name.capitalize(),
        last_name="Person",
    )
    User.objects.filter(pk=user.pk).update(**fields)
    user.refresh_from_db()
    return user


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=user).tokens.access}")
    return client


@pytest.fixture
def root(db: None) -> User:
    return ensure_super_admin(email="root@example.org", password="a-long-enough-password")


@pytest.fixture
def root_api(root: User) -> APIClient:
    return client_of(root)


def events(company: Company, prefix: str = "") -> list[AuditEvent]:
    with tenant_context(company):
        return list(AuditEvent.objects.filter(event_type__startswith=prefix).order_by("position"))


# --- Lists --------------------------------------------------------------------------------------------------------


@pytest.fixture
def team(acme: Character, globex: Character) -> dict[str, User]:
    """Acme's people, each of whom only some filters find; beside them the admin, who signed in just now."""
    add(globex, "ann")  # what must not be found
    long_ago = datetime(2020, 5, 1, tzinfo=UTC)
    now = timezone.now()
    User.objects.filter(pk=acme.admin.pk).update(last_login=now)
    return {
        "ann": add(acme, "ann", status="suspended", email_verified=True, created_at=long_ago),
        "bob": add(acme, "bob", last_login=long_ago, login_attempts=7, timezone="Europe/Paris"),
        "cyd": add(acme, "cyd", locked_until=now + timedelta(hours=1), last_login=now, language="fr"),
        "dan": add(acme, "dan", locked_until=now - timedelta(hours=1), login_attempts=2),
        "eve": add(acme, "eve", archived_at=now, status="inactive"),
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "admin ann bob cyd dan"),
        ("status=suspended", "ann"),
        ("status=", "admin ann bob cyd dan"),
        ("role=admin", "admin"),
        ("role=super_admin", ""),
        ("email_verified=True", "ann"),
        ("email_verified=FALSE", "admin bob cyd dan"),
        ("two_factor_enabled=true", ""),
        ("two_factor_enabled=false", "admin ann bob cyd dan"),
        ("never_logged_in=true", "ann dan"),
        ("never_logged_in=False", "admin bob cyd"),
        ("locked=True", "cyd"),
        ("locked=false", "admin ann bob dan"),
        ("high_login_attempts=True", "bob"),
        ("high_login_attempts=false", "admin ann cyd dan"),
        ("high_login_attempts=2", "bob dan"),
        ("include_deleted=true", "admin ann bob cyd dan eve"),
        ("only_deleted=1", "eve"),
        ("search=bob", "bob"),
        ("search=BOB%20person", "bob"),
        ("search=person%20nobody", ""),
        ("search=%25", ""),
        ("created_before=2020-05-02", "ann"),
        ("created_before=2020-05-01T00:00:00Z", ""),
        ("created_after=2020-05-01T00:00:01Z", "admin bob cyd dan"),
        ("last_login_before=2021-01-01", "bob"),
        ("last_login_after=2021-01-01", "admin cyd"),
        ("timezone=europe/paris", "bob"),
        ("language=FR", "cyd"),
        ("locked=true&language=en", ""),
    ],
)
@pytest.mark.usefixtures("team")
def test_each_filter_finds_exactly_those(acme: Character, query: str, found: str) -> None:
    body = key_client(acme, "admin").get(f"{API}/admin/user?{query}&sort_by=username&sort_order=asc").json()
    assert [user["username"] for user in body["users"]] == found.split()
    assert body["pagination"]["total"] == len(found.split())
    assert body["users"] == body["items"] == body["data"]


@pytest.mark.parametrize(
    "query",
    [
        "status=gone",
        "role=viewer",
        "locked=perhaps",
        "high_login_attempts=many",
        "high_login_attempts=99999999999999",
        "high_login_attempts=²",
        "created_after=yesterday",
        "created_before=2026-02-30",
        "last_login_after=1",
        "sort_by=password",
        "sort_by=company__name",
        "sort_order=up",
    ],
)
def test_an_unknown_value_is_refused_by_its_name(acme_api: APIClient, query: str) -> None:
    answer = acme_api.get(f"{API}/admin/user?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query.partition("=")[0]]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-12:00", "0001-01-01"])
def test_the_ends_of_time_are_no_fault(acme_api: APIClient, moment: str) -> None:
    assert acme_api.get(f"{API}/admin/user?created_after={moment}").status_code in {200, 400}


@pytest.mark.usefixtures("team")
def test_the_filters_are_told_back_and_rows_are_sorted(acme_api: APIClient) -> None:
    body = acme_api.get(f"{API}/admin/user?locked=False&sort_by=last_login&sort_order=desc&per_page=2").json()
    assert body["filters_applied"] == {"locked": False, "sort_by": "last_login", "sort_order": "desc"}
    assert [user["username"] for user in body["users"]] == ["admin", "bob"]  # who never came stands last
    assert (body["pagination"]["pages"], body["pagination"]["has_next"]) == (2, True)


@pytest.mark.parametrize("path", ["admin/users", "users", "company/users", "auth/users"])
def test_the_other_names_of_the_list(acme_api: APIClient, path: str) -> None:
    assert [user["username"] for user in acme_api.get(f"{API}/{path}").json()["users"]] == ["admin"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_costs_the_same_for_one_and_three(acme: Character, count: int, django_assert_num_queries: Any) -> None:
    client = bearer(acme)
    for number in range(count - 1):
        add(acme, f"person{number}")
    with django_assert_num_queries(3):  # session with its people and company, search path, the people
        assert len(client.get(f"{API}/admin/user").json()["users"]) == count


def test_who_may_see_the_list(acme: Character, globex: Character, root_api: APIClient) -> None:
    ann = client_of(add(acme, "ann"))
    assert ann.get(f"{API}/admin/user").status_code == 403
    assert key_client(acme, "read", "write").get(f"{API}/admin/user").status_code == 403
    everybody = {user["email"] for user in root_api.get(f"{API}/admin/user").json()["users"]}
    assert {"admin@acme.example", "admin@globex.example", "root@example.org", "ann@acme.example"} <= everybody
    one = root_api.get(f"{API}/super-admin/company/{globex.company.id}/user?role=admin").json()["users"]
    assert [user["email"] for user in one] == ["admin@globex.example"]
    assert root_api.get(f"{API}/super-admin/company/{UNKNOWN}/user").status_code == 404
    own = bearer(acme).get(f"{API}/super-admin/company/{acme.company.id}/user").json()["users"]
    assert {user["username"] for user in own} == {"admin", "ann"}


def test_one_person_in_each_envelope(acme: Character, acme_api: APIClient) -> None:
    ann = add(acme, "ann")
    plain = acme_api.get(f"{API}/user/{ann.id}").json()
    assert (plain["success"], plain["data"]["email"], plain["user"]["id"]) == (True, "ann@acme.example", str(ann.id))
    assert {"message", "timestamp", "id"} <= set(plain)
    assert acme_api.get(f"{API}/admin/user/{ann.id}").json()["data"]["id"] == str(ann.id)
    assert key_client(acme, "read").get(f"{API}/user/{ann.id}").status_code == 200
    assert client_of(ann).get(f"{API}/user/{ann.id}").status_code == 403
    assert acme_api.get(f"{API}/user/{UNKNOWN}").status_code == 404


# --- Making people ------------------------------------------------------------------------------------------------

PERSON = {"username": "zoe", "password": "a-long-enough-password", "first_name": "Zoe", "last_name": "Z"}


def test_who_may_make_whom(acme: Character, globex: Character, acme_api: APIClient, root_api: APIClient) -> None:
    def make(client: APIClient, name: str, **fields: Any) -> int:
        body = {**PERSON, "email": f"{name}@new.example", "username": name, **fields}
        return int(client.post(f"{API}/auth/user", body).status_code)

    assert make(acme_api, "one") == 201
    assert make(acme_api, "two", role="admin", company_id=str(acme.company.id)) == 201
    assert make(acme_api, "three", company_id=str(globex.company.id)) == 404
    assert make(acme_api, "four", role="super_admin") == 403
    assert make(acme_api, "five", role="viewer") == 400
    writer = key_client(acme, "write")
    assert make(writer, "six") == 201
    assert make(writer, "seven", role="admin") == 403
    assert make(key_client(acme, "read"), "eight") == 403
    assert make(client_of(User.objects.get(username="one")), "nine") == 403
    assert make(root_api, "ten") == 400  # of which company?
    assert make(root_api, "eleven", company_id=str(globex.company.id), role="admin") == 201
    assert make(root_api, "twelve", company_id=UNKNOWN) == 404
    assert make(root_api, "thirteen", role="super_admin") == 201
    found = User.objects.filter(email__endswith="@new.example").order_by("created_at")
    assert [(user.username, user.role, user.company_id) for user in found] == [
        ("one", "user", acme.company.id),
        ("two", "admin", acme.company.id),
        ("six", "user", acme.company.id),
        ("eleven", "admin", globex.company.id),
        ("thirteen", "super_admin", None),
    ]
    assert [(event.event_type, event.entity_label) for event in events(globex.company, "user.")] == [
        ("user.created", "Zoe Z")
    ]


# --- Status -------------------------------------------------------------------------------------------------------


def test_suspending_ends_every_way_in_at_once(acme: Character, acme_api: APIClient, anonymous: APIClient) -> None:
    ann = add(acme, "ann")
    session = start_session(user=ann)
    key = create_api_key(actor=principal_of(ann), name="ann's")
    browser = page_client(Character(acme.company, ann, acme.agent))
    by_token, by_key = APIClient(), APIClient()
    by_token.credentials(HTTP_AUTHORIZATION=f"Bearer {session.tokens.access}")
    by_key.credentials(HTTP_X_API_KEY=key.row.key, HTTP_X_API_SECRET=key.secret)

    def doors() -> list[int]:
        refresh = {"refresh_token": session.tokens.refresh}
        login = {"email": ann.email, "password": PASSWORD}
        return [
            by_token.get(f"{API}/agent").status_code,
            by_key.get(f"{API}/agent").status_code,
            browser.get("/account").status_code,
            anonymous.post(f"{API}/auth/refresh", refresh).status_code if ann.status != "active" else 200,
            anonymous.post(f"{API}/auth/login", login).status_code,
        ]

    assert doors() == [200, 200, 200, 200, 200]
    answer = acme_api.patch(f"{API}/user/{ann.id}/status", {"status": "suspended", "reason": "Left the company"})
    assert (answer.status_code, answer.json()["user"]["status"]) == (200, "suspended")
    ann.refresh_from_db()
    assert doors() == [401, 401, 302, 401, 401]

    assert acme_api.patch(f"{API}/user/{ann.id}/status", {"status": "active"}).status_code == 200
    # What was signed in stays signed out; the key and the password are good again.
    assert doors() == [401, 200, 302, 401, 200]
    [first, _] = events(acme.company, "user.status_changed")
    assert (first.changes, first.description, first.risk_level, first.actor_label) == (
        {"status": ["active", "suspended"]},
        "Reason: Left the company",
        "medium",
        "admin@acme.example",
    )


def test_nobody_changes_themselves_nor_the_last_admin(
    acme: Character, acme_api: APIClient, root_api: APIClient
) -> None:
    own = f"{API}/user/{acme.admin.id}/status"
    for client in (acme_api, key_client(acme, "admin")):
        answer = client.patch(own, {"status": "inactive"})
        assert (answer.status_code, answer.json()["code"]) == (403, "OWN_ACCOUNT")
    for path, body in (
        ("status", {"status": "suspended"}),
        ("role", {"role": "user"}),
        ("role", {"role": "super_admin"}),
    ):
        answer = root_api.patch(f"{API}/user/{acme.admin.id}/{path}", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "LAST_ADMIN")
    deputy = add(acme, "deputy", role="admin", status="suspended")
    assert root_api.patch(own, {"status": "suspended"}).status_code == 409  # a suspended deputy is none
    User.objects.filter(pk=deputy.pk).update(status="active")
    assert root_api.patch(own, {"status": "suspended"}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"status": "gone"}, {"status": None}, {"status": ["active"]}, {"reason": "x"}])
def test_a_bad_status_is_refused(acme: Character, acme_api: APIClient, body: dict[str, Any]) -> None:
    answer = acme_api.patch(f"{API}/user/{add(acme, 'ann').id}/status", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["status"])


def test_a_super_admin_is_out_of_a_companys_reach(acme_api: APIClient, root: User, root_api: APIClient) -> None:
    for method, path in (("get", ""), ("patch", "/status")):
        assert getattr(acme_api, method)(f"{API}/user/{root.id}{path}", {"status": "suspended"}).status_code == 404
    other = User.objects.create_superuser("second@example.org", "a-long-enough-password")
    assert root_api.patch(f"{API}/user/{other.id}/status", {"status": "suspended"}).status_code == 200


def test_an_archived_person_is_gone_and_comes_back(acme: Character, acme_api: APIClient) -> None:
    ann = add(acme, "ann")
    archive_user(actor=acme.principal, user_id=ann.id)
    listed = acme_api.get(f"{API}/admin/user").json()["users"]
    assert [user["username"] for user in listed] == ["admin"]
    [gone] = acme_api.get(f"{API}/admin/user?only_deleted=true").json()["users"]
    assert (gone["status"], gone["deleted_at"] is not None) == ("inactive", True)
    back = acme_api.patch(f"{API}/user/{ann.id}/status", {"status": "active"}).json()["user"]
    assert (back["status"], back["deleted_at"]) == ("active", None)


# --- Role ---------------------------------------------------------------------------------------------------------


def test_roles_are_a_super_admins_to_give(acme: Character, acme_api: APIClient, root_api: APIClient) -> None:
    ann = add(acme, "ann")
    path = f"{API}/user/{ann.id}/role"
    assert acme_api.patch(path, {"role": "admin"}).status_code == 403
    assert key_client(acme, "admin", "full_access").patch(path, {"role": "admin"}).status_code == 403
    bad = root_api.patch(path, {"role": "viewer"})
    assert (bad.status_code, bad.json()["errors"]) == (
        400,
        {"role": ['"viewer" is unknown. Give one of: super_admin, admin, user.']},
    )
    before = client_of(ann)
    assert before.get(f"{API}/admin/user").status_code == 403
    assert root_api.patch(path, {"role": "admin", "reason": "Promoted"}).json()["user"]["role"] == "admin"
    assert before.get(f"{API}/admin/user").status_code == 200  # the token does not carry the role
    [event] = events(acme.company, "user.role_changed")
    assert (event.changes, event.risk_level, event.description) == (
        {"role": ["user", "admin"]},
        "high",
        "Reason: Promoted",
    )


def test_a_super_admin_belongs_to_no_company(acme: Character, globex: Character, root_api: APIClient) -> None:
    ann = add(acme, "ann")
    key = create_api_key(actor=principal_of(ann), name="ann's")
    token = client_of(ann)
    path = f"{API}/user/{ann.id}/role"
    made = root_api.patch(path, {"role": "super_admin"}).json()["user"]
    assert (made["role"], made["company_id"]) == ("super_admin", None)
    key.row.refresh_from_db()
    assert key.row.revoked_at is not None
    assert token.get(f"{API}/auth/user/me").status_code == 401
    assert [event.risk_level for event in events(acme.company, "user.left_company")] == ["critical"]

    assert root_api.patch(path, {"role": "user"}).status_code == 409
    assert root_api.patch(path, {"role": "user", "company_id": UNKNOWN}).status_code == 404
    back = root_api.patch(path, {"role": "user", "company_id": str(globex.company.id)}).json()["user"]
    assert (back["role"], back["company_id"]) == ("user", str(globex.company.id))


def test_a_company_admin_promotes_within_the_company(acme: Character, globex: Character) -> None:
    """The dashboard's way: the service knows what the endpoint leaves to super admins."""
    ann, foreign = add(acme, "ann"), add(globex, "gus")
    assert change_user_role(actor=acme.principal, user_id=ann.id, role="admin").role == "admin"
    for user, role in ((foreign, "admin"), (ann, "super_admin"), (acme.admin, "user")):
        with pytest.raises(ServiceError):
            change_user_role(actor=acme.principal, user_id=user.id, role=role)
    with pytest.raises(ServiceError):
        change_user_status(actor=acme.principal, user_id=foreign.id, status="suspended")
    foreign.refresh_from_db()
    assert (foreign.role, foreign.status) == ("user", "active")
