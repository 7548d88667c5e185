from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import AsyncClient, Client
from django.utils import timezone
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, bearer, key_client, page_client
from knowrithm.downloads import cell
from knowrithm.principal import Role
from tenants.audit.models import AuditEvent, RiskLevel
from tenants.audit.selectors import BATCH
from tenants.audit.services import log_of, record_event
from tenants.models import User
from tenants.services import create_user, principal_of, start_session

LOG = "/api/v1/audit-log"


@pytest.fixture
def three(acme: Character) -> Character:
    with tenant_context(acme.company):
        for number, risk in enumerate((RiskLevel.LOW, RiskLevel.HIGH, RiskLevel.CRITICAL)):
            record_event(
                actor=acme.principal,
                event_type=f"gadget.{('made', 'bent', 'dropped')[number]}",
                entity_type="gadget",
                entity_label=f"G{number}",
                risk_level=risk,
            )
    return acme


@pytest.fixture
def super_admin(db: None) -> User:
    return User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD)


def super_client(user: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=user).tokens.access}")
    return client


def names(client: Any, query: str = "", path: str = LOG) -> list[str]:
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 200, answer.json()
    return [row["event_type"] for row in answer.json()["logs"]]


@pytest.mark.parametrize("path", [LOG, "/api/v1/admin/audit-log"])
def test_each_client_finds_its_own_words(three: Character, path: str) -> None:
    body = bearer(three).get(f"{path}?entity_type=gadget&limit=1").json()
    assert body["logs"] == body["audit_logs"] == body["data"] == body["items"]
    [row] = body["logs"]
    assert row["event_type"] == row["action"] == "gadget.dropped"
    assert row["timestamp"] == row["created_at"]
    assert row["description"] == row["message"] == "admin@acme.example dropped the gadget “G2”."
    assert row["event_category"] == row["entity_type"] == "gadget"
    assert (row["username"], row["user_role"], row["user_id"]) == (
        "admin@acme.example", "admin", str(three.admin.id),
    )  # fmt: skip
    assert (row["company_id"], row["risk_level"]) == (str(three.company.id), "critical")
    pagination = body["pagination"]
    assert {name: pagination[name] for name in ("page", "per_page", "total", "pages", "limit", "offset")} == {
        "page": 1, "per_page": 1, "total": 3, "pages": 3, "limit": 1, "offset": 0,
    }  # fmt: skip
    assert (pagination["has_next"], pagination["has_prev"]) == (True, False)


def test_both_ways_of_paging(three: Character) -> None:
    client = bearer(three)
    assert names(client, "entity_type=gadget&limit=2&offset=1") == ["gadget.bent", "gadget.made"]
    assert names(client, "entity_type=gadget&page=2&per_page=2") == ["gadget.made"]
    assert names(client, "entity_type=gadget&page=9") == []
    assert client.get(f"{LOG}?entity_type=gadget&limit=2&offset=2").json()["pagination"]["total"] == 3


def test_filters_narrow(three: Character) -> None:
    client = bearer(three)
    today, day = timezone.now(), timedelta(days=1)
    assert names(client, "event_type=gadget.bent") == ["gadget.bent"]
    assert names(client, "action=bent") == names(client, "action=gadget.bent") == ["gadget.bent"]
    assert names(client, "entity_type=gadget&risk_level=high") == ["gadget.bent"]
    assert names(client, f"entity_type=gadget&user_id={three.admin.id}&search=g1+acme") == ["gadget.bent"]
    assert names(client, f"user_id={three.company.id}") == []
    assert len(names(client, f"entity_type=gadget&start_date={today:%Y-%m-%d}&end_date={today:%Y-%m-%d}")) == 3
    assert names(client, f"end_date={today - day:%Y-%m-%d}") == []
    assert names(client, f"start_date={(today + day).isoformat().replace('+', '%2B')}") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("risk_level=awful", "risk_level"),
        ("user_id=7", "user_id"),
        ("start_date=yesterday", "start_date"),
        ("end_date=2026-02-31", "end_date"),
        ("end_date=9999-12-31", "end_date"),
        ("limit=many", "limit"),
        ("limit=0", "limit"),
        ("offset=-1", "offset"),
        ("page=99999999999999999999", "page"),
        ("company_id=acme", "company_id"),
    ],
)
@pytest.mark.parametrize("path", [LOG, f"{LOG}/export"])
def test_a_bad_filter_is_refused(acme: Character, query: str, field: str, path: str) -> None:
    answer = bearer(acme).get(f"{path}?{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_a_list_takes_as_many_queries_for_three_rows_as_for_one(
    three: Character, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = bearer(three)
    for wanted in ("event_type=gadget.made", "entity_type=gadget"):
        with django_assert_num_queries(3):  # the session, the schema, the rows
            client.get(f"{LOG}?{wanted}")


# --- Access -------------------------------------------------------------------------------------------------------


def test_only_admins_read_it(three: Character) -> None:
    assert names(key_client(three, "admin"), "entity_type=gadget") != []
    person = create_user(
        actor=three.principal, email="u@acme.example", username="uuu", password="a-long-one-17",
        first_name="U", last_name="U",
    )  # fmt: skip
    for client in (key_client(three, "read", "write"), super_client(person)):
        for path in (LOG, f"{LOG}/export", "/api/v1/admin/audit-log", "/api/v1/admin/audit-log/export"):
            assert client.get(path).status_code == 403
    assert APIClient().get(LOG).status_code == 401


def test_a_company_sees_no_log_but_its_own(three: Character, globex: Character) -> None:
    client = bearer(globex)
    assert names(client, "entity_type=gadget") == []
    assert client.get(f"{LOG}?company_id={three.company.id}").status_code == 404
    assert names(bearer(three), f"entity_type=gadget&company_id={three.company.id}") != []


def test_a_super_admin_sees_the_platforms_log_or_a_companys(three: Character, super_admin: User) -> None:
    client = super_client(super_admin)
    with log_of(None):
        record_event(actor=principal_of(super_admin), event_type="planet.moved", entity_type="planet")
    assert names(client) == ["planet.moved"]
    assert len(names(client, f"company_id={three.company.id}&entity_type=gadget")) == 3
    assert client.get(f"{LOG}?company_id={super_admin.id}").status_code == 404


# --- CSV ----------------------------------------------------------------------------------------------------------


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_download_holds_the_rows_that_are_asked_for(three: Character) -> None:
    answer = bearer(three).get(f"{LOG}/export?entity_type=gadget&risk_level=high")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="audit-log-{timezone.now():%Y-%m-%d}.csv"'
    [row] = rows_of(answer.getvalue().decode())
    assert (row["event_type"], row["actor_label"], row["changes"]) == ("gadget.bent", "admin@acme.example", "{}")


def test_the_download_comes_in_pieces_and_misses_no_row(acme: Character) -> None:
    with tenant_context(acme.company):
        AuditEvent.objects.bulk_create(
            AuditEvent(position=1000 + number, event_type="bulk.made", entity_type="bulk", actor_kind="system")
            for number in range(BATCH + 1)
        )
    answer = bearer(acme).get(f"{LOG}/export?entity_type=bulk")
    pieces = [piece.decode() for piece in answer]
    assert len(pieces) == 3  # the names of the columns, and two of rows
    positions = [int(row["position"]) for row in rows_of("".join(pieces))]
    assert positions == list(range(1000 + BATCH, 999, -1))


@pytest.mark.django_db
def test_the_download_streams_under_asgi_too(three: Character) -> None:
    from asgiref.sync import async_to_sync

    token = start_session(user=three.admin).tokens.access

    async def fetch() -> str:
        client = AsyncClient()
        answer: Any = await client.get(f"{LOG}/export?entity_type=gadget", headers={"Authorization": f"Bearer {token}"})
        return b"".join([piece async for piece in answer]).decode()

    assert len(rows_of(async_to_sync(fetch)())) == 3


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert cell(f"{start}1+1") == f"'{start}1+1"


def test_a_label_in_the_download_is_no_formula(acme: Character) -> None:
    with tenant_context(acme.company):
        record_event(actor=None, event_type="gadget.made", entity_type="gadget", entity_label='=HYPERLINK("x")')
    [row] = rows_of(bearer(acme).get(f"{LOG}/export?entity_type=gadget").getvalue().decode())
    assert row["entity_label"] == """'=HYPERLINK("x")"""


# --- The page -----------------------------------------------------------------------------------------------------


def test_the_page_tells_what_happened(three: Character, acme_client: Client) -> None:
    with tenant_context(three.company):
        record_event(
            actor=three.principal, event_type="gadget.size_changed", entity_type="gadget", entity_label="<b>G</b>",
            changes={"size": (1, None), "api_key": ("old", "new")}, risk_level=RiskLevel.HIGH,
        )  # fmt: skip
    text = acme_client.get("/audit-log?entity_type=gadget").content.decode()
    assert "admin@acme.example changed the size of the gadget “&lt;b&gt;G&lt;/b&gt;”." in text
    assert '<th scope="row">Size</th><td>1</td><td>—</td>' in text
    assert '<th scope="row">API key</th><td>[redacted]</td><td>[redacted]</td>' in text
    assert "High risk" in text
    assert 'href="/audit-log/export?entity_type=gadget"' in text


def test_the_page_shows_who_was_impersonated(acme: Character, super_admin: User, acme_client: Client) -> None:
    from dataclasses import replace

    actor = replace(acme.principal, impersonator_id=super_admin.id, impersonator_label=super_admin.email)
    with tenant_context(acme.company):
        record_event(actor=actor, event_type="gadget.made", entity_type="gadget", entity_label="G")
    text = acme_client.get("/audit-log?entity_type=gadget").content.decode()
    assert "root@knowrithm.example as admin@acme.example made the gadget “G”." in text
    assert "Impersonated" in text


def test_the_page_filters_and_forgives(three: Character, acme_client: Client) -> None:
    def shown(query: str) -> list[str]:
        return [row.event.event_type for row in acme_client.get(f"/audit-log?{query}").context["events"]]

    assert shown("q=g1") == ["gadget.bent"]
    assert shown("entity_type=gadget&risk_level=critical") == ["gadget.dropped"]
    assert len(shown("entity_type=gadget&risk_level=awful&start=soon&end=%00")) == 3
    assert "Nothing found" in acme_client.get("/audit-log?q=nobody").content.decode()
    assert len(rows_of(acme_client.get("/audit-log/export?entity_type=gadget").getvalue().decode())) == 3


def test_the_page_is_for_admins(acme: Character) -> None:
    User.objects.filter(pk=acme.admin.pk).update(role=Role.USER)
    client = page_client(acme)
    assert client.get("/audit-log").status_code == 403
    assert client.get("/audit-log/export").status_code == 403
    assert "/audit-log" not in client.get("/home").content.decode()
    assert client.post("/audit-log", {"days": "30"}).status_code == 403


def test_the_page_sets_how_long_the_log_is_kept(acme: Character, acme_client: Client) -> None:
    assert acme_client.post("/audit-log", {"days": "29"}).context["form"].errors.keys() == {"days"}
    acme_client.post("/audit-log", {"days": "30"})
    acme.company.refresh_from_db()
    assert acme.company.audit_retention_days == 30
    assert "Kept 30 days" in acme_client.get("/audit-log").content.decode()
    acme_client.post("/audit-log", {"days": ""})
    acme.company.refresh_from_db()
    assert acme.company.audit_retention_days is None


def test_the_page_takes_as_many_queries_for_three_rows_as_for_one(
    three: Character, acme_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    acme_client.get("/audit-log")
    for wanted in ("q=g1", "entity_type=gadget"):
        with django_assert_num_queries(7):  # the session, the person, two schemas; the count, the rows, the kinds
            acme_client.get(f"/audit-log?{wanted}")
