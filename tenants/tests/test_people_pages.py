"""The page for people, and what a super admin changes in the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from conftest import PASSWORD, Character, enrol, page_client, super_admin_in_browser
from tenants.models import User
from tenants.tests.test_people_api import add, events, root

__all__ = ["root"]  # a fixture


def names(client: Client, query: str = "") -> list[str]:
    return sorted(user.username for user in client.get(f"/people{query}").context["page_obj"])


def test_the_filters(acme: Character, globex: Character, acme_client: Client) -> None:
    add(globex, "gus")
    add(acme, "ann", status="suspended")
    add(acme, "bob", locked_until=timezone.now() + timedelta(hours=1))
    add(acme, "cyd", archived_at=timezone.now())
    assert names(acme_client) == ["admin", "ann", "bob"]
    assert names(acme_client, "?status=suspended") == ["ann"]
    assert names(acme_client, "?role=admin") == ["admin"]
    assert names(acme_client, "?locked=1") == ["bob"]
    assert names(acme_client, "?archived=1") == ["cyd"]
    assert names(acme_client, "?q=BOB") == ["bob"]
    assert names(acme_client, "?status=nonsense&role=super_admin") == ["admin", "ann", "bob"]
    assert "Nobody fits these filters." in acme_client.get("/people?q=zzz").content.decode()


def test_it_is_for_admins(acme: Character, anonymous: Any) -> None:
    ann = add(acme, "ann")
    client = page_client(Character(acme.company, ann, acme.agent))
    for path in ("/people", f"/people/{acme.admin.id}"):
        assert client.get(path).status_code == 403
    paths = [f"/people/{acme.admin.id}/{name}" for name in ("unlock", "force-password-reset", "reset-two-factor")]
    for path in (f"/people/{acme.admin.id}/status", f"/people/{ann.id}/role", *paths):
        assert client.post(path, {"status": "suspended", "role": "admin"}).status_code == 403
    assert 'href="/people"' not in client.get("/home").content.decode()
    assert Client().get("/people").headers["Location"] == "/login?next=/people"
    ann.refresh_from_db()
    assert ann.role == "user"


def test_an_admin_adds_changes_and_suspends(acme: Character, acme_client: Client) -> None:
    form = {
        "first_name": "Ann", "last_name": "Able", "email": "ann@acme.example", "username": "ann", "role": "user",
        "password": PASSWORD,
    }  # fmt: skip
    assert acme_client.post("/people", form).status_code == 302
    again = acme_client.post("/people", form)
    assert "An account with this e-mail address exists already." in again.content.decode()
    assert "user_role" not in again.content.decode()
    ann = User.objects.get(email="ann@acme.example")
    assert "Ann Able" in acme_client.get(f"/people/{ann.id}").content.decode()
    page = acme_client.post(f"/people/{ann.id}/role", {"role": "admin"}, follow=True).content.decode()
    assert "Ann Able has the role admin now." in page
    acme_client.post(f"/people/{ann.id}/role", {"role": "super_admin"})
    acme_client.post(f"/people/{ann.id}/status", {"status": "suspended", "reason": "On leave"})
    ann.refresh_from_db()
    assert (ann.role, ann.status) == ("admin", "suspended")
    page = acme_client.post(f"/people/{acme.admin.id}/status", {"status": "suspended"}, follow=True).content.decode()
    assert "You cannot change your own status or role." in page
    assert [(row.event_type, row.description) for row in events(acme.company)] == [
        ("user.created", ""),
        ("user.role_changed", ""),
        ("user.status_changed", "Reason: On leave"),
    ]


def test_an_admin_unlocks_forces_a_password_and_resets_the_second_factor(acme: Character, acme_client: Client) -> None:
    ann = add(acme, "ann", locked_until=timezone.now() + timedelta(hours=1))
    enrol(ann)
    page = acme_client.get(f"/people/{ann.id}").content.decode()
    for action in ("unlock", "force-password-reset", "reset-two-factor"):
        assert f'action="/people/{ann.id}/{action}"' in page
        assert acme_client.post(f"/people/{ann.id}/{action}").status_code == 302
    ann.refresh_from_db()
    assert (ann.is_locked, ann.must_reset_password, ann.two_factor_enabled) == (False, True, False)
    page = acme_client.get(f"/people/{ann.id}").content.decode()
    assert (f"/people/{ann.id}/unlock" in page, f"/people/{ann.id}/reset-two-factor" in page) == (False, False)
    assert [row.event_type for row in events(acme.company)][-3:] == [
        "user.unlocked",
        "user.password_reset_forced",
        "two_factor.reset",
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_the_page_costs_the_same_for_one_and_three(
    acme: Character, acme_client: Client, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count - 1):
        add(acme, f"person{number}")
    with django_assert_num_queries(5):
        assert len(acme_client.get("/people").context["page_obj"]) == count


# --- Django admin -------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(root: User) -> Client:
    return super_admin_in_browser(root)


def test_a_super_admin_changes_people_with_a_reason(acme: Character, browser: Client) -> None:
    ann = add(acme, "ann")
    path = f"/admin/tenants/user/{ann.id}"
    for action, change in (
        ("suspend", {"status": "suspended"}),
        ("reactivate", {"status": "active"}),
        ("make-admin", {"role": "admin"}),
        ("make-user", {"role": "user"}),
    ):
        assert browser.get(f"{path}/{action}/").status_code == 200
        assert browser.post(f"{path}/{action}/", {"reason": ""}).status_code == 200  # asks again
        assert browser.post(f"{path}/{action}/", {"reason": "Ticket 12"}).status_code == 302
        ann.refresh_from_db()
        assert {name: getattr(ann, name) for name in change} == change
    rows = [row for row in events(acme.company) if row.event_type != "user.created"]
    assert {row.description for row in rows} == {"Reason: Ticket 12"}
    last = browser.post(f"/admin/tenants/user/{acme.admin.id}/suspend/", {"reason": "x"}).content.decode()
    assert "This is the last active admin of the company." in last


def test_status_and_role_are_not_fields_of_the_admins_form(acme: Character, browser: Client) -> None:
    form = {"first_name": "New", "role": "super_admin", "status": "suspended", "timezone": "UTC", "language": "en"}
    browser.post(f"/admin/tenants/user/{acme.admin.id}/change/", {**form, "preferences": "{}", "last_name": "Name"})
    acme.admin.refresh_from_db()
    assert (acme.admin.first_name, acme.admin.role, acme.admin.status) == ("New", "admin", "active")


@pytest.mark.parametrize("pk", ["00000000-0000-4000-8000-000000000000", "nobody"])
@pytest.mark.parametrize("action", ["act-as", "suspend"])
def test_unknown_people_are_404(browser: Client, pk: str, action: str) -> None:
    assert browser.get(f"/admin/tenants/user/{pk}/{action}/").status_code == 404
