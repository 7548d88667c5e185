"""Taking people out of the lists and back, and correcting their names: page, API and Django admin."""

from __future__ import annotations

import pytest
from django.test import Client
from rest_framework.test import APIClient

from conftest import Character, bearer, page_client, super_admin_in_browser
from tenants.models import User
from tenants.tests.test_people_api import add, events, root

__all__ = ["root"]  # a fixture


def listed(api: APIClient, **query: str) -> list[str]:
    return sorted(user["username"] for user in api.get("/api/v1/admin/user", query).json()["users"])


def test_a_person_is_archived_and_restored(acme: Character, acme_api: APIClient) -> None:
    ann = add(acme, "ann")
    hers = bearer(Character(acme.company, ann, acme.agent))
    answer = acme_api.delete(f"/api/v1/user/{ann.pk}", {"reason": "Has left"}, format="json")
    assert (answer.status_code, answer.json()["user"]["status"]) == (200, "inactive")
    assert answer.json()["user"]["deleted_at"] is not None
    assert (listed(acme_api), listed(acme_api, only_deleted="true")) == (["admin"], ["ann"])
    assert hers.get("/api/v1/agent").status_code == 401

    assert acme_api.patch(f"/api/v1/user/{ann.pk}/status", {"status": "active"}).status_code == 200

    assert (listed(acme_api), listed(acme_api, only_deleted="true")) == (["admin", "ann"], [])
    assert [(row.event_type, row.description) for row in events(acme.company)] == [
        ("user.created", ""),
        ("user.archived", "Reason: Has left"),
        ("user.status_changed", ""),
    ]


def test_nobody_archives_themselves_the_last_admin_or_without_being_an_admin(
    acme: Character, acme_api: APIClient, super_admin_api: APIClient
) -> None:
    ann = add(acme, "ann")
    own = acme_api.delete(f"/api/v1/user/{acme.admin.pk}")
    last = super_admin_api.delete(f"/api/v1/user/{acme.admin.pk}")
    by_user = bearer(Character(acme.company, ann, acme.agent)).delete(f"/api/v1/user/{acme.admin.pk}")
    assert [(answer.status_code, answer.json()["code"]) for answer in (own, last, by_user)] == [
        (403, "OWN_ACCOUNT"),
        (409, "LAST_ADMIN"),
        (403, "FORBIDDEN"),
    ]
    assert User.objects.exclude(archived_at=None).count() == 0


def test_names_are_corrected_and_nothing_else(acme: Character, acme_api: APIClient) -> None:
    ann = add(acme, "ann")
    url = f"/api/v1/user/{ann.pk}"
    assert acme_api.patch(url, {"first_name": " ", "email": "x@acme.example"}).status_code == 400
    changed = acme_api.patch(url, {"first_name": "Anna", "email": "x@acme.example"})
    ann.refresh_from_db()
    assert (changed.status_code, ann.first_name, ann.email) == (200, "Anna", "ann@acme.example")
    by_user = bearer(Character(acme.company, ann, acme.agent)).patch(url, {"first_name": "Me"})
    assert by_user.status_code == 403
    event = events(acme.company)[-1]
    assert (event.event_type, event.changes) == ("user.updated", {"first_name": ["Ann", "Anna"]})


def test_the_page_archives_restores_and_corrects(acme: Character, acme_client: Client) -> None:
    ann = add(acme, "ann")
    path = f"/people/{ann.pk}"
    assert f'action="{path}/archive"' in acme_client.get(path).content.decode()
    told = acme_client.post(f"{path}/archive", follow=True).content.decode()
    assert f"{ann} is archived and signed out everywhere." in told
    page = acme_client.get("/people?archived=1").content.decode()
    assert (f'action="{path}/archive"' in page, "Restore" in page) == (False, True)
    acme_client.post(f"{path}/status", {"status": "active"})
    acme_client.post(path, {"first_name": "Anna", "last_name": "Able"})
    ann.refresh_from_db()
    assert (ann.full_name, ann.status, ann.archived_at) == ("Anna Able", "active", None)
    assert acme_client.post(path, {"first_name": "", "last_name": "x"}).context["names_form"].errors != {}
    assert f"/people/{acme.admin.pk}/archive" not in acme_client.get(f"/people/{acme.admin.pk}").content.decode()
    himself = page_client(Character(acme.company, ann, acme.agent)).post(f"/people/{acme.admin.pk}/archive")
    assert himself.status_code == 403


def test_the_console_and_the_admin_archive_too(
    acme: Character, globex: Character, super_admin_api: APIClient, root: User
) -> None:
    ann, bob = add(acme, "ann"), add(acme, "bob")
    assert super_admin_api.delete(f"/api/v1/super-admin/users/{ann.pk}").status_code == 200
    browser = super_admin_in_browser(root)
    answer = browser.post(f"/admin/tenants/user/{bob.pk}/archive/", {"reason": "Asked for"})
    assert answer.status_code == 302

    def emails(path: str, **query: str) -> list[str]:
        found = super_admin_api.get(f"/api/v1/super-admin/{path}", query).json()["items"]
        return sorted(user["username"] for user in found if user["company_id"] == str(acme.company.pk))

    for path in ("users", f"companies/{acme.company.pk}/users"):
        assert (emails(path), emails(path, include_deleted="true")) == (["admin"], ["admin", "ann", "bob"])
    titles = browser.get(f"/admin/tenants/user/{bob.pk}/change/").context["actions_detail"][1]["items"]
    assert [one["title"] for one in titles] == ["Suspend", "Reactivate", "Make an admin"]
    assert [row.event_type for row in events(acme.company, "user.archived")] == ["user.archived"] * 2


@pytest.mark.parametrize("name", ["first_name", "last_name"])
def test_another_company_s_person_cannot_be_corrected(globex_api: APIClient, acme: Character, name: str) -> None:
    assert globex_api.patch(f"/api/v1/user/{acme.admin.pk}", {name: "Taken"}).status_code == 404
