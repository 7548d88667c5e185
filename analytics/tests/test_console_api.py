"""The super admin's console through the API, with two companies whose rows could be mixed up."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import F
from django.test import Client
from django_tenants.utils import schema_exists, tenant_context
from rest_framework.test import APIClient

from agents.models import Agent
from agents.services import create_agent
from conftest import PASSWORD, Character, bearer, key_client
from conversations.enums import EntityType, MessageRole
from conversations.models import Conversation, Message
from conversations.services import rate_message
from documents.enums import DocumentStatus
from documents.models import Document
from tenants.audit.models import AuditEvent
from tenants.audit.services import record_event
from tenants.geography.models import Address, Country
from tenants.geography.services import add_address, complete_geography
from tenants.models import Company, User
from tenants.services import create_user, start_session
from tenants.tests.test_company_logo import picture

ROOT = "/api/v1/super-admin"


def add_document(owner: Character, name: str, size: int = 100, status: str = DocumentStatus.PROCESSED) -> Document:
    with tenant_context(owner.company):
        document = Document(
            agent=owner.agent, original_filename=name, document_type="txt", status=status, file_size=size,
            user_id=owner.admin.pk,
        )  # fmt: skip
        document.file.save("original", ContentFile(b"x"), save=False)
        document.save()
        Agent.objects.filter(pk=owner.agent.pk).update(documents_count=F("documents_count") + 1)
    return document


def add_conversation(owner: Character, messages: int = 2) -> Conversation:
    with tenant_context(owner.company):
        return Conversation.objects.create(
            agent=owner.agent, entity_type=EntityType.USER, user_id=owner.admin.pk, message_count=messages
        )


def rate(owner: Character, talk: Conversation, *ratings: int | None) -> None:
    """As many answers, each with its rating."""
    with tenant_context(owner.company):
        for position, rating in enumerate(ratings):
            answer = Message.objects.create(conversation=talk, position=position, role=MessageRole.ASSISTANT)
            rate_message(actor=owner.principal, message_id=answer.pk, rating=rating)


def add_admin(owner: Character) -> None:
    """The last admin of a company could neither be made a user nor be shut out."""
    create_user(
        actor=owner.principal, email=f"second@{owner.company.name.lower()}.example", username="second",
        password=PASSWORD, first_name="Second", last_name="Admin", role="admin",
    )  # fmt: skip


def ok(answer: Any, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.content[:500]
    body: dict[str, Any] = answer.json()
    return body


# --- Who may come -------------------------------------------------------------------------------------------------


def test_only_a_super_admin_with_a_token_may_come(
    acme: Character, anonymous: APIClient, super_admin_api: APIClient
) -> None:
    clients = (anonymous, bearer(acme), key_client(acme, "read", "write", "admin", "full_access"), super_admin_api)
    assert [client.get(f"{ROOT}/companies").status_code for client in clients] == [401, 403, 403, 200]


# --- People -------------------------------------------------------------------------------------------------------


def test_users_of_all_companies_are_listed_and_narrowed(
    acme: Character, globex: Character, super_admin_api: APIClient
) -> None:
    def emails(**query: Any) -> list[str]:
        return sorted(user["email"] for user in ok(super_admin_api.get(f"{ROOT}/users", query))["items"])

    assert emails() == [acme.admin.email, globex.admin.email, "root@knowrithm.example"]
    assert emails(company_id=str(acme.company.pk)) == [acme.admin.email]
    assert emails(role="super_admin") == ["root@knowrithm.example"]
    assert emails(search="globex admin") == [globex.admin.email]
    assert emails(status="suspended", include_deleted="True") == []


@pytest.mark.parametrize(
    "query", [{"company_id": "x"}, {"role": "king"}, {"status": "dead"}, {"include_deleted": "perhaps"}]
)
def test_a_wrong_filter_is_refused(query: dict[str, str], super_admin_api: APIClient) -> None:
    answer = super_admin_api.get(f"{ROOT}/users", query)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, list(query))


def test_a_user_is_changed_and_the_company_can_see_who_did_it(acme: Character, super_admin_api: APIClient) -> None:
    add_admin(acme)
    changes = {"first_name": "Ada", "role": "user"}
    body = ok(super_admin_api.patch(f"{ROOT}/users/{acme.admin.pk}", changes))
    assert (body["first_name"], body["role"], body["email"]) == ("Ada", "user", acme.admin.email)
    with tenant_context(acme.company):
        events = list(AuditEvent.objects.order_by("-position")[:2])
    assert [(event.event_type, event.actor_label, event.risk_level, event.changes) for event in events] == [
        ("user.role_changed", "root@knowrithm.example", "high", {"role": ["admin", "user"]}),
        ("user.updated", "root@knowrithm.example", "medium", {"first_name": ["Acme", "Ada"]}),
    ]


def test_a_changed_address_has_to_be_confirmed_again(acme: Character, super_admin_api: APIClient) -> None:
    User.objects.filter(pk=acme.admin.pk).update(email_verified=True)
    url = f"{ROOT}/users/{acme.admin.pk}"
    ok(super_admin_api.patch(url, {"email": "ADMIN@acme.example"}))
    acme.admin.refresh_from_db()
    assert acme.admin.email_verified is True

    ok(super_admin_api.patch(url, {"email": "other@acme.example"}))

    acme.admin.refresh_from_db()
    assert (acme.admin.email, acme.admin.email_verified) == ("other@acme.example", False)


def test_a_deactivated_user_is_refused_at_once(acme: Character, super_admin_api: APIClient) -> None:
    add_admin(acme)
    client = bearer(acme)
    assert client.get("/api/v1/agent").status_code == 200
    body = ok(super_admin_api.delete(f"{ROOT}/users/{acme.admin.pk}"))
    assert body["user"]["status"] == "inactive"
    assert client.get("/api/v1/agent").status_code == 401
    ok(super_admin_api.patch(f"{ROOT}/users/{acme.admin.pk}", {"status": "active"}))
    assert client.get("/api/v1/agent").status_code == 401  # the old session stays ended
    assert bearer(acme).get("/api/v1/agent").status_code == 200


def test_roles_and_companies_fit_together_and_nobody_locks_himself_out(
    acme: Character, globex: Character, super_admin_api: APIClient
) -> None:
    root = User.objects.get(email="root@knowrithm.example")
    person = f"{ROOT}/users/{acme.admin.pk}"
    for changes in ({"role": "super_admin"}, {"role": "user"}, {"status": "suspended"}):
        refused = super_admin_api.patch(person, changes)
        assert (refused.status_code, refused.json()["code"]) == (409, "LAST_ADMIN")
    for refused in (
        super_admin_api.delete(f"{ROOT}/users/{root.pk}"),
        super_admin_api.patch(f"{ROOT}/users/{root.pk}", {"role": "admin"}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "OWN_ACCOUNT")
    assert super_admin_api.patch(person, {"email": globex.admin.email.upper()}).status_code == 409
    assert super_admin_api.patch(f"{ROOT}/users/{uuid.uuid4()}", {}).status_code == 404
    acme.admin.refresh_from_db()
    assert (acme.admin.role, acme.admin.status, acme.admin.email) == ("admin", "active", "admin@acme.example")


# --- Companies ----------------------------------------------------------------------------------------------------


def test_companies_carry_their_own_figures(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    add_document(acme, "a.txt", 100)
    add_document(acme, "b.txt", 50, DocumentStatus.FAILED)
    rate(acme, add_conversation(acme, messages=4), 1, 1, -1)
    with tenant_context(globex.company):
        create_agent(actor=globex.principal, name="Second")

    body = ok(super_admin_api.get(f"{ROOT}/companies"))

    stats = {company["name"]: company["stats"] for company in body["items"]}
    assert stats == {
        "Acme": {"user_count": 1, "agent_count": 1, "document_count": 2},
        "Globex": {"user_count": 1, "agent_count": 2, "document_count": 0},
    }
    one = ok(super_admin_api.get(f"{ROOT}/companies/{acme.company.pk}"))
    assert one["analytics"] == ok(super_admin_api.get(f"{ROOT}/companies/{acme.company.pk}/analytics"))
    assert one["analytics"] == {
        "users": {
            "total": 1,
            "by_status": {"active": 1, "inactive": 0, "suspended": 0, "pending_verification": 0},
            "created_last_30_days": 1,
        },
        "agents": {"total": 1, "average_rating": 3.67, "total_conversations": 1},
        "documents": {
            "total": 2,
            "storage_bytes": 150,
            "status_breakdown": {"pending": 0, "processing": 0, "processed": 1, "failed": 1, "cancelled": 0},
        },
        "conversations": {"total": 1, "total_messages": 4},
    }


def test_logo_and_address_of_a_company_are_a_super_admin_s_to_change(
    acme: Character, globex: Character, super_admin_api: APIClient
) -> None:
    def address(owner: Character, street: str, *, is_primary: bool = False) -> Address:
        country = Country.objects.order_by("pk")[0]
        with tenant_context(owner.company):
            return add_address(
                actor=owner.principal, street_address=street, country_id=country.pk, state_id=None,
                state_name="Northland", city_name="Lakeside", is_primary=is_primary,
            )  # fmt: skip

    complete_geography(actor=None)
    address(acme, "Pump Lane 7", is_primary=True)
    wanted, foreign = address(acme, "Back Street 1"), address(globex, "High Road 2")
    url = f"{ROOT}/companies/{acme.company.pk}"

    logo = SimpleUploadedFile("logo.png", picture())
    body = ok(super_admin_api.patch(url, {"logo": logo, "address_id": wanted.pk}, format="multipart"))

    assert (body["address"]["street"], body["logo"].startswith("http")) == ("Back Street 1", True)
    assert Client().get("/" + body["logo"].split("/", 3)[3]).status_code == 200
    refused = super_admin_api.patch(url, {"address_id": foreign.pk}, format="json")
    assert (refused.status_code, ok(super_admin_api.get(url))["address"]["street"]) == (404, "Back Street 1")
    by_patch = super_admin_api.patch(f"/api/v1/company/{globex.company.pk}", {"address_id": foreign.pk}, format="json")
    assert ok(by_patch)["data"]["address"]["street"] == "High Road 2"

    company = Company.objects.get(pk=acme.company.pk)
    assert (company.is_active, company.is_verified) == (True, False)  # a form that does not name them leaves them

    by_form = {"name": "Pied Piper", "logo": SimpleUploadedFile("logo.png", picture())}
    new = ok(super_admin_api.post(f"{ROOT}/companies", by_form, format="multipart"), 201)
    assert (new["is_active"], new["is_verified"], new["logo"].startswith("http")) == (True, False, True)
    at = "https://cdn.example/logo.png"
    made = ok(super_admin_api.post(f"{ROOT}/companies", {"name": "Hooli", "logo": at, "website": None}, "json"), 201)
    assert (made["logo"], made["email"]) == (at, "")
    early = super_admin_api.post(f"{ROOT}/companies", {"name": "Vandelay", "address_id": wanted.pk}, format="json")
    assert (early.status_code, list(early.json()["errors"])) == (400, ["address_id"])
    assert Company.objects.filter(name="Vandelay").count() == 0


def test_a_company_is_made_with_its_schema_and_told_apart_by_filters(
    acme: Character, globex: Character, super_admin_api: APIClient
) -> None:
    made = ok(super_admin_api.post(f"{ROOT}/companies", {"name": "Initech", "is_verified": True}), 201)
    company = Company.objects.get(pk=made["id"])
    assert (company.is_ready, schema_exists(company.schema_name), made["email"]) == (True, True, "")
    found = ok(super_admin_api.get(f"{ROOT}/companies", {"is_verified": "True"}))["items"]
    assert [one["name"] for one in found] == ["Initech"]
    found = ok(super_admin_api.get(f"{ROOT}/companies", {"search": "glob"}))["items"]
    assert [one["name"] for one in found] == ["Globex"]
    again = super_admin_api.post(f"{ROOT}/companies", {"name": "Other", "email": acme.company.email})
    assert again.status_code == 409
    ok(super_admin_api.post(f"{ROOT}/companies", {"name": "Another without address"}), 201)


def test_a_suspended_company_is_refused_and_reads_why(acme: Character, super_admin_api: APIClient) -> None:
    client = bearer(acme)
    body = ok(super_admin_api.patch(f"{ROOT}/companies/{acme.company.pk}", {"is_active": False, "is_verified": True}))
    assert (body["is_active"], body["is_verified"], body["name"]) == (False, True, "Acme")
    assert client.get("/api/v1/agent").status_code == 401
    with tenant_context(acme.company):
        event = AuditEvent.objects.latest("position")
    assert (event.event_type, event.changes["is_active"]) == ("company.deactivated", [True, False])


def test_the_people_of_one_company(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    url = f"{ROOT}/companies/{acme.company.pk}/users"
    person = {"username": "max", "password": PASSWORD, "first_name": "Max", "last_name": "Müller", "role": "admin"}
    made = ok(super_admin_api.post(url, {**person, "email": "max@acme.example"}), 201)
    assert made["company_id"] == str(acme.company.pk)
    assert super_admin_api.post(url, {**person, "email": "max@acme.example"}).status_code == 409
    assert super_admin_api.post(url, {**person, "email": "x@acme.example", "role": "super_admin"}).status_code == 400
    emails = [user["email"] for user in ok(super_admin_api.get(url, {"role": "admin"}))["items"]]
    assert sorted(emails) == ["admin@acme.example", "max@acme.example"]
    user = User.objects.get(pk=made["id"])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {start_session(user=user).tokens.access}")
    assert ok(client.get("/api/v1/company"))["id"] == str(acme.company.pk)


def test_agents_and_documents_of_one_company(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    add_document(acme, "acme.txt")
    add_document(globex, "globex.txt")
    rate(acme, add_conversation(acme), 1, None)
    rate(globex, add_conversation(globex), -1)
    base = f"{ROOT}/companies/{acme.company.pk}"
    agents = ok(super_admin_api.get(f"{base}/agents"))["items"]
    assert [(one["name"], one["company_id"], one["average_rating"]) for one in agents] == [
        ("Acme helper", str(acme.company.pk), 5.0)
    ]
    documents = ok(super_admin_api.get(f"{base}/documents", {"status": "processed", "document_type": "txt"}))["items"]
    assert [one["original_filename"] for one in documents] == ["acme.txt"]
    assert ok(super_admin_api.get(f"{base}/agents", {"search": "globex"}))["items"] == []
    assert super_admin_api.get(f"{base}/documents", {"status": "odd"}).status_code == 400
    unknown = f"{ROOT}/companies/{uuid.uuid4()}"
    assert [super_admin_api.get(f"{unknown}/{name}").status_code for name in ("agents", "users", "documents")] == [
        404, 404, 404,
    ]  # fmt: skip


# --- Agents and documents -----------------------------------------------------------------------------------------


def test_an_agent_of_any_company_is_changed_through_its_own_service(
    acme: Character, globex: Character, super_admin_api: APIClient
) -> None:
    body = ok(
        super_admin_api.patch(
            f"{ROOT}/agents/{globex.agent.pk}", {"name": "New", "is_active": False, "temperature": 0.2}
        )
    )
    assert (body["name"], body["status"], body["temperature"]) == ("New", "inactive", 0.2)
    assert body["company_id"] == str(globex.company.pk)
    with tenant_context(acme.company):
        acme.agent.refresh_from_db()
    assert (acme.agent.name, acme.agent.status) == ("Acme helper", "active")
    assert super_admin_api.patch(f"{ROOT}/agents/{uuid.uuid4()}", {"name": "x"}).status_code == 404
    assert super_admin_api.patch(f"{ROOT}/agents/{globex.agent.pk}", {"model_name": "none"}).status_code == 400
    assert super_admin_api.patch(f"{ROOT}/agents/{globex.agent.pk}", {"temperature": "hot"}).status_code == 400


def test_a_document_of_any_company_is_found_and_archived(
    acme: Character, globex: Character, super_admin_api: APIClient
) -> None:
    mine, other = add_document(acme, "a.txt"), add_document(globex, "g.txt")
    ok(super_admin_api.delete(f"{ROOT}/documents/{other.pk}"))
    assert super_admin_api.delete(f"{ROOT}/documents/{other.pk}").status_code == 404
    assert super_admin_api.delete(f"{ROOT}/documents/{uuid.uuid4()}").status_code == 404
    with tenant_context(globex.company):
        assert Document.objects.live().count() == 0
    with tenant_context(acme.company):
        assert [one.pk for one in Document.objects.live()] == [mine.pk]


# --- Activity -----------------------------------------------------------------------------------------------------


def test_the_feed_is_made_of_every_log(acme: Character, globex: Character, super_admin_api: APIClient) -> None:
    with tenant_context(acme.company):
        record_event(actor=acme.principal, event_type="agent.updated", entity=acme.agent)
    with tenant_context(globex.company):
        record_event(actor=globex.principal, event_type="document.archived", entity_type="document")
    record_event(actor=None, event_type="config.updated", entity_type="config", entity_label="theme")

    body = ok(super_admin_api.get(f"{ROOT}/activity"))

    assert [(item["type"], item["company_name"], item["title"]) for item in body["items"]] == [
        ("config.updated", None, "The platform updated the config “theme”."),
        ("document.archived", "Globex", "admin@globex.example archived the document."),
        ("agent.updated", "Acme", "admin@acme.example updated the agent “Acme helper”."),
    ]
    assert body["pagination"]["total"] == 3
    types = {"types[]": ["agent", "config.updated"]}
    assert [item["type"] for item in ok(super_admin_api.get(f"{ROOT}/activity", types))["items"]] == [
        "config.updated",
        "agent.updated",
    ]
    second = ok(super_admin_api.get(f"{ROOT}/activity", {"page": 2, "per_page": 1}))
    assert [item["type"] for item in second["items"]] == ["document.archived"]
    assert ok(super_admin_api.get(f"{ROOT}/activity", {"page": 10**12, "per_page": 100}))["items"] == []


# --- The number of queries ----------------------------------------------------------------------------------------

# The session, the search path, the rows; for the companies their addresses and figures, for the feed the companies and
# the count.
QUERIES = [("users", 3), ("companies", 5), ("activity", 5)]


@pytest.mark.parametrize(("path", "queries"), QUERIES)
def test_a_page_takes_as_many_queries_for_three_rows_as_for_one(
    path: str, queries: int, acme: Character, super_admin_api: APIClient, django_assert_num_queries: Any
) -> None:
    def add(number: int) -> None:
        company = ok(super_admin_api.post(f"{ROOT}/companies", {"name": f"Company {number}"}), 201)
        person = {"username": "max", "password": PASSWORD, "first_name": "Max", "last_name": "Müller"}
        url = f"{ROOT}/companies/{company['id']}/users"
        ok(super_admin_api.post(url, {**person, "email": f"max@c{number}.example"}), 201)

    record_event(actor=None, event_type="config.updated", entity_type="config")
    for is_second in (False, True):
        if is_second:
            add(1)
            add(2)
        with django_assert_num_queries(queries):
            ok(super_admin_api.get(f"{ROOT}/{path}"))
