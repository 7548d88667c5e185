"""The page of the configuration: listed, set, changed, removed; what is sensitive stays hidden."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from conftest import Character, page_client
from tenants.models import SystemConfig
from tenants.services import principal_of, set_config
from tenants.tests.test_people_api import add, events, root

__all__ = ["root"]  # a fixture
URL = "/configuration"


def send(client: Client, key: str, value: str, **more: str) -> Any:
    return client.post(URL, {"config_key": key, "config_value": value, **more})


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("dark", "dark"), ("12", 12), ("true", True), ('{"a": [1]}', {"a": [1]}), ('"12"', "12"), ("NaN", "NaN"),
        ('"\\ud800"', '"\\ud800"'), ('"\\u0000"', '"\\u0000"'), ("[" * 100_000, "[" * 60_000), ("{broken", "{broken"),
    ],
)  # fmt: skip
def test_what_is_typed_is_stored_as_it_looks(acme: Character, acme_client: Client, typed: str, stored: Any) -> None:
    answer = send(acme_client, "theme", typed[:60_000])
    assert (answer.status_code, SystemConfig.objects.get().config_value) == (302, stored)
    assert acme_client.get(URL).status_code == 200


def test_an_entry_is_shown_changed_and_removed(acme: Character, acme_client: Client) -> None:
    send(acme_client, "theme", '"12"', description="Of the site")
    entry = SystemConfig.objects.get()
    page = acme_client.get(URL).content.decode()
    assert ("&quot;12&quot;" in page, "Of the site" in page) == (True, True)
    form = acme_client.get(URL, {"change": str(entry.pk)}).context["form"]
    assert {name: form[name].value() for name in form.fields} == {
        "config_key": "theme", "config_value": '"12"', "description": "Of the site", "is_sensitive": False,
    }  # fmt: skip
    send(acme_client, "theme", "light")
    assert SystemConfig.objects.get().config_value == "light"
    assert acme_client.post(f"{URL}/{entry.pk}/remove").status_code == 302
    assert SystemConfig.objects.count() == 0
    assert "No entries yet" in acme_client.get(URL).content.decode()
    assert [row.event_type for row in events(acme.company)] == ["config.updated", "config.updated", "config.removed"]
    assert events(acme.company)[-1].changes["config_value"] == ["light", None]


def test_sensitive_values_are_never_shown(acme: Character, acme_client: Client) -> None:
    send(acme_client, "secret", "hush-7f3a", is_sensitive="on")
    entry = SystemConfig.objects.get()
    for query in ("", f"?change={entry.pk}"):
        page = acme_client.get(f"{URL}{query}").content.decode()
        assert ("hush-7f3a" in page, "Hidden" in page) == (False, True)
    assert "hush-7f3a" not in str([row.changes for row in events(acme.company)])
    acme_client.post(f"{URL}/{entry.pk}/remove")
    assert "hush-7f3a" not in str([row.changes for row in events(acme.company)])


def test_a_wrong_key_is_told(acme_client: Client, db: None) -> None:
    answer = send(acme_client, "no spaces", "x")
    assert answer.context["form"].errors["config_key"] == ["Use letters, digits and the characters _ . : / - alone."]
    assert "data-open-on-load" in answer.content.decode()


def test_only_the_own_entries_can_be_removed(
    acme: Character, globex: Character, root: Any, acme_client: Client, acme_api: APIClient
) -> None:
    platform = set_config(actor=principal_of(root), config_key="shown", config_value=1)
    foreign = set_config(actor=globex.principal, config_key="theirs", config_value="their value")
    page = acme_client.get(URL).content.decode()
    assert ("shown" in page, "Of the platform" in page, "their value" in page) == (True, True, False)
    for entry in (platform, foreign):
        assert acme_client.post(f"{URL}/{entry.pk}/remove").status_code == 404
        assert acme_api.delete(f"/api/v1/config/{entry.pk}").status_code == 404
    assert SystemConfig.objects.count() == 2
    ann = page_client(Character(acme.company, add(acme, "ann"), acme.agent))
    assert (ann.get(URL).status_code, "/configuration" in ann.get("/home").content.decode()) == (403, False)


def test_a_super_admin_removes_any_through_the_api(acme: Character, super_admin_api: APIClient) -> None:
    entry = set_config(actor=acme.principal, config_key="theme", config_value="dark")
    answer = super_admin_api.delete(f"/api/v1/config/{entry.pk}")
    assert (answer.status_code, answer.json()["config_key"]) == (200, "theme")
    assert [row.event_type for row in events(acme.company, "config")] == ["config.updated", "config.removed"]


@pytest.mark.parametrize("count", [1, 3])
def test_the_page_costs_the_same_for_one_and_three(
    acme: Character, acme_client: Client, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        set_config(actor=acme.principal, config_key=f"key-{number}", config_value=number)
    with django_assert_num_queries(5):
        assert len(acme_client.get(URL).context["entries"]) == count
