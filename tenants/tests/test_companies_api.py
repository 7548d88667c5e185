from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.db import transaction
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from conftest import PASSWORD, Character, character, key_client, page_client
from tenants.audit.models import AuditEvent, AuditHead
from tenants.audit.services import open_log
from tenants.exceptions import AlreadyRegisteredError
from tenants.models import Company
from tenants.services import archive_company, create_company, ensure_super_admin, start_session, update_company
from tenants.tests.test_two_factor import on_its_own_connection


@pytest.fixture
def root_api(db: None) -> APIClient:
    client = APIClient()
    user = ensure_super_admin(email="root@knowrithm.example", password=PASSWORD)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=user).tokens.access}")
    return client


def url(company: Company, *rest: str) -> str:
    return "/".join(["/api/v1/company", str(company.id), *rest])


def last_event(company: Company) -> tuple[str, str, dict[str, Any]]:
    with tenant_context(company):
        event = AuditEvent.objects.first()
        assert event is not None
        return event.event_type, event.actor_label, event.changes


@pytest.mark.django_db
def test_a_new_company_answers_in_each_client_s_words(anonymous: APIClient) -> None:
    body = {"name": "Hooli", "email": "info@hooli.example", "website": "https://hooli.example", "industry": "Boxes"}
    answer = anonymous.post("/api/v1/company", body)
    made = answer.json()
    assert answer.status_code == 201
    assert made["id"] == made["company"]["id"] == made["data"]["id"]
    assert (made["name"], made["industry"], made["logo"], made["status"]) == ("Hooli", "Boxes", None, "active")
    assert (made["success"], "task_id" in made) == (True, False)
    assert last_event(Company.objects.get(pk=made["id"])) == ("company.created", "", {})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"email": "none"}, "email"),
        ({"email": "ADMIN@acme.example"}, "email"),
        ({"website": "javascript:alert(1)"}, "website"),
        ({"phone": "1" * 41}, "phone"),
        ({"phone": "call us"}, "phone"),
        ({"phone": "1234"}, "phone"),
        ({"phone": "1" * 21}, "phone"),
        ({"phone": "<b>12345</b>"}, "phone"),
        ({"address_id": "home"}, "address_id"),
        ({"address_id": 0}, "address_id"),
        ({"logo": "http://example.org/logo.png"}, "logo"),
        ({"logo": ["x"]}, "logo"),
    ],
)
def test_a_new_company_s_faults_are_told_by_field(
    anonymous: APIClient, acme: Character, change: dict[str, object], field: str
) -> None:
    before = Company.objects.count()
    answer = anonymous.post("/api/v1/company", {"name": "Hooli", "email": "info@hooli.example"} | change)
    assert (answer.status_code in {400, 409}, list(answer.json()["errors"])) == (True, [field])
    assert Company.objects.count() == before


def test_admins_see_and_change_their_company(acme_api: APIClient, acme: Character) -> None:
    assert acme_api.get(url(acme.company)).json()["name"] == "Acme"
    answer = acme_api.put(url(acme.company), {"phone": "+1 555 0100", "website": None, "address_id": None})
    body = answer.json()
    assert (answer.status_code, body["success"], body["phone"], body["data"]) == (
        200,
        True,
        "+1 555 0100",
        body["company"],
    )
    assert last_event(acme.company) == ("company.updated", "admin@acme.example", {"phone": ["", "+1 555 0100"]})
    assert acme_api.patch(url(acme.company), {"name": "Acme Ltd"}).json()["company"]["name"] == "Acme Ltd"
    assert acme_api.get("/api/v1/company").json()["phone"] == "+1 555 0100"


def test_a_whole_record_may_be_sent_back(acme_api: APIClient, acme: Character) -> None:
    record = acme_api.get(url(acme.company)).json()["company"]
    assert acme_api.put(url(acme.company), record).json()["company"] == record


@pytest.mark.parametrize("phone", ["+49 (0)30 / 1234-56", "030.123456 ext. 7", "5550100 x12", "12345", ""])
def test_telephone_numbers_are_taken_as_people_write_them(acme_api: APIClient, acme: Character, phone: str) -> None:
    assert acme_api.patch(url(acme.company), {"phone": phone}).json()["company"]["phone"] == phone


def test_a_number_from_before_holds_up_no_other_change(acme_api: APIClient, acme: Character) -> None:
    Company.objects.filter(pk=acme.company.pk).update(phone="ask for Ada")
    changed = acme_api.put(url(acme.company), {"phone": "ask for Ada", "industry": "Anvils"})
    assert (changed.status_code, changed.json()["company"]["industry"]) == (200, "Anvils")


def test_the_multipart_form_changes_only_what_it_names(acme_api: APIClient, acme: Character) -> None:
    answer = acme_api.put(url(acme.company), {"phone": "555-0100"}, format="multipart")
    company = Company.objects.get(pk=acme.company.pk)
    assert (answer.status_code, company.phone, company.is_active, company.name) == (200, "555-0100", True, "Acme")


@pytest.mark.parametrize(("scopes", "status"), [(["read", "write"], 403), (["admin"], 200)])
def test_changing_takes_an_admin_s_key(acme: Character, scopes: list[str], status: int) -> None:
    client = key_client(acme, *scopes)
    assert [client.put(url(acme.company), {"phone": "555-0100"}).status_code for _ in "ab"] == [status, status]
    assert client.patch(url(acme.company), {"phone": "555-0100"}).status_code == status


@pytest.mark.parametrize("field", ["is_active", "is_verified"])
def test_only_a_super_admin_governs(acme_api: APIClient, root_api: APIClient, acme: Character, field: str) -> None:
    value = not getattr(acme.company, field)
    assert acme_api.patch(url(acme.company), {field: value}).status_code == 403
    assert root_api.patch(url(acme.company), {field: value}).json()[field] is value
    events = {"is_active": "company.deactivated", "is_verified": "company.verified"}
    assert last_event(acme.company) == (events[field], "root@knowrithm.example", {field: [not value, value]})


def test_the_e_mail_address_of_another_company_is_taken(acme_api: APIClient, acme: Character) -> None:
    assert acme_api.put(url(acme.company), {"email": "Admin@Globex.example"}).status_code == 409
    assert acme_api.put(url(acme.company), {"email": "ADMIN@acme.example"}).json()["email"] == "ADMIN@acme.example"


def test_a_company_whose_address_was_taken_does_not_come_back_with_it(
    acme: Character, globex: Character, root_api: APIClient
) -> None:
    archive_company(actor=acme.principal, company=acme.company)
    update_company(actor=globex.principal, company=globex.company, changes={"email": "ADMIN@acme.example"})
    said = "Another company has the e-mail address admin@acme.example by now. Change one of the two first."
    bulk = root_api.patch("/api/v1/company/bulk-restore", {"company_ids": [str(acme.company.pk)]})
    for answer in (root_api.patch(f"/api/v1/company/{acme.company.pk}/restore"), bulk):
        assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (
            409,
            "ALREADY_REGISTERED",
            said,
        )
    page = page_client(acme).post("/company/archived")
    assert [str(message) for message in page.context["messages"]] == [said]

    update_company(actor=globex.principal, company=globex.company, changes={"email": "admin@globex.example"})
    assert root_api.patch(f"/api/v1/company/{acme.company.pk}/restore").status_code == 200


@pytest.mark.django_db
def test_of_two_companies_that_take_one_address_at_once_one_does() -> None:
    """The second looks before the first has committed, sees that the address is free, and is refused all the same."""
    has_written, is_done = Event(), Event()

    def take(name: str) -> None:
        who = character(name)
        update_company(actor=who.principal, company=who.company, changes={"email": "both@example.org"})

    def first() -> None:
        with transaction.atomic():
            take("acme")
            has_written.set()
            is_done.wait(1)  # without the index the second is done by then

    def second() -> str:
        has_written.wait(10)
        try:
            take("globex")
        except AlreadyRegisteredError as error:
            return error.code
        finally:
            is_done.set()
        return "taken twice"

    def clean_up() -> None:
        for name in ("acme", "globex"):
            company = Company.objects.get(name=name.capitalize())
            Company.objects.filter(pk=company.pk).update(email=f"admin@{name}.example")
            with tenant_context(company):
                AuditEvent.objects.all().delete()
                AuditHead.objects.all().delete()
                open_log()

    with ThreadPoolExecutor(2) as threads:
        try:
            tasks = [threads.submit(on_its_own_connection, task) for task in (first, second)]
            outcomes = [task.result() for task in tasks]
        finally:
            threads.submit(on_its_own_connection, clean_up).result()
    assert outcomes == [None, "ALREADY_REGISTERED"]


def test_a_super_admin_reaches_every_company(root_api: APIClient, acme: Character, unknown_id: uuid.UUID) -> None:
    assert root_api.get(url(acme.company)).json()["id"] == str(acme.company.id)
    assert root_api.get(f"/api/v1/company/{unknown_id}").status_code == 404
    assert root_api.get("/api/v1/company").status_code == 403  # has none of their own


def test_archiving_and_restoring(acme_api: APIClient, root_api: APIClient, acme: Character) -> None:
    archived = acme_api.delete(url(acme.company)).json()
    assert (archived["success"], archived["company"]["status"]) == (True, "archived")
    assert last_event(acme.company) == ("company.archived", "admin@acme.example", {})
    assert root_api.get(url(acme.company)).json()["deleted_at"] == archived["deleted_at"]
    again = root_api.delete(url(acme.company)).json()
    assert again["deleted_at"] == archived["deleted_at"]
    assert root_api.patch(url(acme.company, "restore")).json()["status"] == "active"
    assert root_api.patch(url(acme.company, "restore")).status_code == 200
    assert last_event(acme.company)[:2] == ("company.restored", "root@knowrithm.example")


def test_many_are_archived_and_restored_or_none(
    root_api: APIClient, acme: Character, globex: Character, unknown_id: uuid.UUID
) -> None:
    ids = [str(acme.company.id), str(globex.company.id)]
    answer = root_api.delete("/api/v1/company/bulk-delete", {"company_ids": [*ids, str(unknown_id)]})
    assert (answer.status_code, Company.objects.live().filter(pk__in=ids).count()) == (404, 2)
    assert root_api.delete("/api/v1/company/bulk-delete", {"company_ids": ids}).json()["deleted"] == 2
    assert root_api.delete("/api/v1/company/bulk-delete", {"company_ids": ids}).json()["deleted"] == 0
    assert {row["id"] for row in root_api.get("/api/v1/company/deleted").json()["deleted_companies"]} == set(ids)
    assert root_api.patch("/api/v1/company/bulk-restore", {"company_ids": ids}).json()["restored"] == 2
    assert Company.objects.live().filter(pk__in=ids).count() == 2


def test_a_company_s_key_archives_many_only_when_all_are_its_own(acme: Character, globex: Character) -> None:
    client = key_client(acme, "read", "write")
    own, other = str(acme.company.id), str(globex.company.id)
    assert client.delete("/api/v1/company/bulk-delete", {"company_ids": [own, other]}).status_code == 404
    assert client.delete("/api/v1/company/bulk-delete", {"company_ids": [own]}).json()["deleted"] == 1
    assert client.patch("/api/v1/company/bulk-restore", {"company_ids": [own, other]}).status_code == 404
    assert client.patch("/api/v1/company/bulk-restore", {"company_ids": [own]}).json()["restored"] == 1


@pytest.mark.parametrize("body", [{}, {"company_ids": []}, {"company_ids": ["x"]}, {"company_ids": "x"}, [], "x"])
@pytest.mark.parametrize(("method", "path"), [("delete", "bulk-delete"), ("patch", "bulk-restore")])
def test_bad_lists_of_ids_are_400(acme_api: APIClient, method: str, path: str, body: object) -> None:
    assert getattr(acme_api, method)(f"/api/v1/company/{path}", body).status_code == 400


def test_the_super_admin_s_list_pages_searches_and_filters(root_api: APIClient, acme: Character) -> None:
    names = [create_company(name=f"Zeta {number}", email=f"{number}@zeta.example").name for number in range(3)]
    Company.objects.filter(name="Zeta 0").update(is_active=False, is_verified=True)
    root_api.delete(url(Company.objects.get(name="Zeta 1")))

    def listed(**query: str) -> list[str]:
        answer = root_api.get("/api/v1/super-admin/company", {"search": "ZETA", **query}).json()
        assert answer["companies"] == answer["data"] == answer["items"]
        return sorted(row["name"] for row in answer["companies"])

    assert listed() == ["Zeta 0", "Zeta 2"]
    assert listed(status="all") == names
    assert listed(status="archived") == ["Zeta 1"]
    assert listed(status="inactive") == listed(status="verified") == ["Zeta 0"]
    assert listed(status="active") == listed(status="unverified") == ["Zeta 2"]
    assert listed(status="all", search="1@zeta") == ["Zeta 1"]
    pagination = root_api.get("/api/v1/super-admin/company", {"page": 1, "per_page": 2}).json()["pagination"]
    total = Company.objects.live().count()
    assert (pagination["current_page"], pagination["total_items"], pagination["per_page"]) == (1, total, 2)
    assert (pagination["has_next"], pagination["next_page"], pagination["prev_page"]) == (True, 2, None)


def test_the_super_admin_s_list_is_no_company_s(acme_api: APIClient) -> None:
    assert acme_api.get("/api/v1/super-admin/company").status_code == 403


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("path", "query"), [("super-admin/company", {"search": "zeta"}), ("company/deleted", {})], ids=["list", "deleted"]
)
def test_list_queries(
    root_api: APIClient,
    django_assert_num_queries: DjangoAssertNumQueries,
    count: int,
    path: str,
    query: dict[str, str],
) -> None:
    for number in range(count):
        company = create_company(name=f"Zeta {number}", email=f"{number}@zeta.example")
        if path == "company/deleted":
            root_api.delete(url(company))
    with django_assert_num_queries(4):  # session with person and company, search path, companies, addresses
        assert len(root_api.get(f"/api/v1/{path}", query).json()["items"]) == count
