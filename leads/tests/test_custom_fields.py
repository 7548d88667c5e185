"""The fields that a company defines for its leads, and what stands in them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from agents.models import LeadField
from conftest import Character, key_client
from knowrithm.principal import Role
from leads.models import Lead, LeadImport
from leads.services import create_lead_field
from tenants.audit.models import AuditEvent
from tenants.models import User

pytestmark = pytest.mark.django_db
API = "/api/v1"
VI = {"first_name": "Vi", "last_name": "Sitor", "email": "vi@example.com"}
KINDS = {
    "team": "text", "seats": "number", "ends": "date", "is_customer": "boolean", "plan": "choice",
}  # fmt: skip
VALUES = {"team": "Sales", "seats": 12.5, "ends": "2026-03-31", "is_customer": False, "plan": "Basic"}


def define(who: Character, key: str, kind: str = "text", **fields: Any) -> LeadField:
    options = ["Basic", "Pro"] if kind == "choice" else []
    with tenant_context(who.company):
        name = key.replace("_", " ").capitalize()
        return create_lead_field(
            actor=who.principal, **{"name": name, "key": key, "kind": kind, "options": options, **fields}
        )


def define_all(who: Character) -> dict[str, LeadField]:
    return {key: define(who, key, kind) for key, kind in KINDS.items()}


def lead_of(who: Character, name: str = "vi", **values: Any) -> Lead:
    with tenant_context(who.company):
        made: Lead = Lead.objects.create(first_name=name, email=f"{name}@x.example", custom_fields=values)
    return made


def values_of(who: Character, lead_id: Any) -> dict[str, Any]:
    with tenant_context(who.company):
        values: dict[str, Any] = Lead.objects.get(pk=lead_id).custom_fields
    return values


def put(api: APIClient, path: str, body: Any) -> Any:
    return api.put(f"{API}{path}", body, format="json")


# --- Definitions --------------------------------------------------------------------------------------------------


def test_defined_listed_ordered_archived_and_back(acme: Character, acme_api: APIClient) -> None:
    first = acme_api.post(f"{API}/lead/field", {"name": " Team  size ", "type": "number"}, format="json")
    assert first.status_code == 201, first.content
    record = first.json()["lead_field"]
    assert {name: record[name] for name in ("name", "key", "type", "options", "is_required", "archived_at")} == {
        "name": "Team size", "key": "team_size", "type": "number", "options": [], "is_required": False,
        "archived_at": None,
    }  # fmt: skip
    plan = {"name": "Plan", "type": "choice", "options": ["Basic ", "Pro", "Basic"], "is_required": True}
    second = acme_api.post(f"{API}/lead/field", plan, format="json").json()["lead_field"]
    assert (second["key"], second["options"], second["position"]) == ("plan", ["Basic", "Pro"], 2)
    listed = put(acme_api, "/lead/field/order", {"field_ids": [second["id"]]}).json()["lead_fields"]
    assert [row["key"] for row in listed] == ["plan", "team_size"]
    lead = lead_of(acme, plan="Pro")
    archived = acme_api.delete(f"{API}/lead/field/{second['id']}").json()["lead_field"]
    assert archived["archived_at"] is not None
    assert acme_api.get(f"{API}/lead/{lead.pk}").json()["lead"]["custom_fields"] == {}
    assert [row["key"] for row in acme_api.get(f"{API}/lead/field").json()["lead_fields"]] == ["team_size"]
    assert [row["key"] for row in acme_api.get(f"{API}/lead/field?archived=true").json()["lead_fields"]] == ["plan"]
    assert acme_api.get(f"{API}/lead/field/{second['id']}").status_code == 200
    assert put(acme_api, f"/lead/field/{second['id']}", {"name": "x"}).status_code == 404
    assert acme_api.patch(f"{API}/lead/field/{second['id']}/restore").status_code == 200
    assert acme_api.get(f"{API}/lead/{lead.pk}").json()["lead"]["custom_fields"] == {"plan": "Pro"}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Größe", "grosse_2"),
        ("Status", "status_2"),
        ("E-Mail", "e_mail_2"),
        ("規模", "field"),
        ("2nd line", "field_2nd_line"),
        ("x" * 80, "x" * 36),
    ],
)
def test_a_key_is_made_from_the_name(acme: Character, name: str, key: str) -> None:
    define(acme, "grosse")
    if name == "Größe":
        name = "Grosse"
    assert define(acme, "", name=name).key == key


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": " "}, "name"),
        ({"type": "colour"}, "type"),
        ({"key": "Team"}, "key"),
        ({"key": "1st"}, "key"),
        ({"key": "email"}, "key"),
        ({"key": "firstname"}, "key"),
        ({"key": "score"}, "key"),
        ({"type": "choice"}, "options"),
        ({"type": "choice", "options": ["  "]}, "options"),
        ({"type": "choice", "options": ["x" * 101]}, "options"),
        ({"type": "choice", "options": [str(number) for number in range(101)]}, "options"),
        ({"options": ["a"]}, "options"),
    ],
)
def test_definitions_that_make_no_sense(acme_api: APIClient, body: dict[str, Any], field: str) -> None:
    answer = acme_api.post(f"{API}/lead/field", {"name": "Team", "type": "text", **body}, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_a_key_is_one_field_s(acme: Character, acme_api: APIClient) -> None:
    define(acme, "team")
    answer = acme_api.post(f"{API}/lead/field", {"name": "Other", "key": "team", "type": "text"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "LEAD_FIELD_EXISTS")


def test_there_is_an_end_to_them(acme: Character, acme_api: APIClient) -> None:
    with tenant_context(acme.company):
        LeadField.objects.bulk_create(LeadField(name="x", key=f"x{number}", kind="text") for number in range(50))
    answer = acme_api.post(f"{API}/lead/field", {"name": "Team", "type": "text"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "LEAD_FIELD_LIMIT")


@pytest.mark.parametrize("who", ["user", "key"])
def test_only_admins_define(acme: Character, acme_api: APIClient, who: str) -> None:
    field = define(acme, "team")
    if who == "user":
        User.objects.filter(pk=acme.admin.pk).update(role=Role.USER)
    api = acme_api if who == "user" else key_client(acme, "read", "write")
    assert api.get(f"{API}/lead/field").status_code == 200
    assert api.post(f"{API}/lead/field", {"name": "x", "type": "text"}, format="json").status_code == 403
    assert put(api, f"/lead/field/{field.pk}", {"name": "x"}).status_code == 403
    assert put(api, "/lead/field/order", {"field_ids": [str(field.pk)]}).status_code == 403
    assert api.delete(f"{API}/lead/field/{field.pk}").status_code == 403
    assert api.patch(f"{API}/lead/field/{field.pk}/restore").status_code == 403


def test_key_and_type_stay_once_leads_have_values(acme: Character, acme_api: APIClient) -> None:
    field = define(acme, "team")
    url = f"/lead/field/{field.pk}"
    changed = put(acme_api, url, {"key": "crew", "type": "choice", "options": ["a"]}).json()["lead_field"]
    assert (changed["key"], changed["type"], changed["options"]) == ("crew", "choice", ["a"])
    assert put(acme_api, url, {"type": "number"}).json()["lead_field"]["options"] == []
    lead = lead_of(acme, crew=5)
    for body in ({"key": "team"}, {"type": "text"}):
        answer = put(acme_api, url, body)
        assert (answer.status_code, answer.json()["code"], list(answer.json()["errors"])) == (
            409, "LEAD_FIELD_IN_USE", list(body),
        )  # fmt: skip
        assert "once leads have values" in answer.json()["message"]
    assert put(acme_api, url, {"name": "Crew", "type": "number", "key": "crew"}).status_code == 200
    put(acme_api, f"/lead/{lead.pk}", {"custom_fields": {"crew": None}})
    assert put(acme_api, url, {"key": "team"}).status_code == 200
    put(acme_api, f"/agent/{acme.agent.pk}", {"widget": {"custom_fields": {"team": "optional"}}})
    answer = put(acme_api, url, {"key": "crew"})
    assert (answer.status_code, "widget" in answer.json()["message"]) == (409, True)


def test_an_option_is_renamed_with_its_values_or_stays(acme: Character, acme_api: APIClient) -> None:
    field = define(acme, "plan", "choice")
    basic, pro, none = lead_of(acme, "a", plan="Basic", x=1), lead_of(acme, "b", plan="Pro"), lead_of(acme, "c")
    url = f"/lead/field/{field.pk}"
    refused = put(acme_api, url, {"options": ["Basic"]})
    assert (refused.status_code, refused.json()["code"], list(refused.json()["errors"])) == (
        409, "LEAD_FIELD_IN_USE", ["options"],
    )  # fmt: skip
    swapped = put(acme_api, url, {"renamed_options": {"Basic": "Pro", "Pro": "Basic"}})
    assert swapped.json()["lead_field"]["options"] == ["Pro", "Basic"]
    assert [values_of(acme, lead.pk) for lead in (basic, pro, none)] == [
        {"plan": "Pro", "x": 1}, {"plan": "Basic"}, {},
    ]  # fmt: skip
    joined = put(acme_api, url, {"options": ["Any", "New"], "renamed_options": {"Basic": "Any", "Pro": "Any"}})
    assert joined.json()["lead_field"]["options"] == ["Any", "New"]
    assert [values_of(acme, lead.pk).get("plan") for lead in (basic, pro)] == ["Any", "Any"]
    assert put(acme_api, url, {"options": ["Any"]}).status_code == 200
    for renamed in ({"Gone": "x"}, {"Any": "x"}):
        answer = put(acme_api, url, {"options": ["Any"], "renamed_options": renamed})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["renamed_options"])


def test_nothing_changes_under_an_import(acme: Character, acme_api: APIClient) -> None:
    field = define(acme, "plan", "choice")
    with tenant_context(acme.company):
        LeadImport.objects.create(filename="x", encoding="utf-8", status="processing")
    for body in ({"renamed_options": {"Pro": "x"}}, {"type": "text"}, {"options": ["Pro"]}):
        assert put(acme_api, f"/lead/field/{field.pk}", body).json()["code"] == "LEAD_FIELD_IN_USE"
    assert put(acme_api, f"/lead/field/{field.pk}", {"name": "x", "options": ["Basic", "Pro", "x"]}).status_code == 200


def test_another_company_s_field_is_unknown(acme: Character, globex: Character, acme_api: APIClient) -> None:
    theirs = define(globex, "secret")
    assert acme_api.get(f"{API}/lead/field/{theirs.pk}").status_code == 404
    assert put(acme_api, "/lead/field/order", {"field_ids": [str(theirs.pk)]}).status_code == 404
    answer = acme_api.post(f"{API}/lead", {**VI, "custom_fields": {"secret": "x"}}, format="json")
    assert answer.json()["errors"] == {"custom_fields.secret": ["There is no such field."]}


# --- Values -------------------------------------------------------------------------------------------------------


def test_values_are_kept_typed_changed_and_emptied(acme: Character, acme_api: APIClient) -> None:
    define_all(acme)
    made = acme_api.post(f"{API}/lead", {**VI, "custom_fields": VALUES}, format="json").json()["lead"]
    assert made["custom_fields"] == VALUES
    changes = {"seats": 3.0, "team": " ", "plan": None, "is_customer": True}
    changed = put(acme_api, f"/sdk/lead/{made['id']}", {"custom_fields": changes}).json()["lead"]
    assert changed["custom_fields"] == {"seats": 3, "ends": "2026-03-31", "is_customer": True}
    assert values_of(acme, made["id"]) == changed["custom_fields"]
    assert put(acme_api, f"/lead/{made['id']}", {"custom_fields": None}).json()["lead"] == changed | {
        "updated_at": acme_api.get(f"{API}/lead/{made['id']}").json()["lead"]["updated_at"]
    }
    with tenant_context(acme.company):
        [created, updated, untouched] = AuditEvent.objects.filter(entity_type="lead").order_by("position")
    assert updated.description == (
        "Changed: custom_fields.is_customer, custom_fields.plan, custom_fields.seats, custom_fields.team."
    )
    assert untouched.description == ""
    assert "Sales" not in str(created.changes) + str(updated.changes)  # what it says can be deleted


def test_definitions_are_locked_before_the_lead(acme: Character, acme_api: APIClient) -> None:
    """Who changes a definition locks it and then leads; in the other order the two would wait for each other."""
    define(acme, "team")
    lead = lead_of(acme)
    with CaptureQueriesContext(connection) as made:
        put(acme_api, f"/lead/{lead.pk}", {"custom_fields": {"team": "x"}})
    locks = [row["sql"] for row in made.captured_queries if " FOR " in row["sql"]]
    assert [("agents_leadfield" in sql, sql.rpartition(" FOR ")[2][:6]) for sql in locks[:2]] == [
        (True, "SHARE"), (False, "UPDATE"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("team", 5),
        ("team", ["x"]),
        ("team", "x" * 1001),
        ("seats", "5"),
        ("seats", True),
        ("seats", 10**15),
        ("seats", 10**400),
        ("ends", "31.03.2026"),
        ("ends", "2026-02-30"),
        ("ends", "20260331"),
        ("ends", 5),
        ("is_customer", "yes"),
        ("is_customer", 1),
        ("plan", "basic"),
        ("plan", {"a": 1}),
        ("unknown", "x"),
    ],
)
@pytest.mark.parametrize("is_new", [True, False])
def test_values_that_make_no_sense(acme: Character, acme_api: APIClient, key: str, value: Any, is_new: bool) -> None:
    define_all(acme)
    body = {"custom_fields": {"team": "x", key: value}}
    if is_new:
        answer = acme_api.post(f"{API}/lead", {**VI, **body}, format="json")
    else:
        answer = put(acme_api, f"/lead/{lead_of(acme).pk}", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [f"custom_fields.{key}"])


def test_each_fault_has_its_sentence(acme: Character, acme_api: APIClient) -> None:
    define_all(acme)
    wrong = {"team": 1, "seats": "x", "ends": "x", "is_customer": "x", "plan": "x", "Odd key": 1, "other": 1}
    answer = acme_api.post(f"{API}/lead", {**VI, "custom_fields": wrong}, format="json")
    unknown = ["There is no such field. Use some of team, seats, ends, is_customer, plan."]
    assert answer.json()["errors"] == {
        "custom_fields.team": ["Give a text of at most 1,000 characters."],
        "custom_fields.seats": ["Give a number, such as 12 or 12.5."],
        "custom_fields.ends": ["Give a day as year, month and day, such as 2026-03-31."],
        "custom_fields.is_customer": ["Give true or false."],
        "custom_fields.plan": ["Give one of Basic, Pro."],
        "custom_fields": unknown,
        "custom_fields.other": unknown,
    }
    not_an_object = acme_api.post(f"{API}/lead", {**VI, "custom_fields": ["x"]}, format="json")
    assert (not_an_object.status_code, list(not_an_object.json()["errors"])) == (400, ["custom_fields"])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"custom_fields[team]": "Sales"}, ["a"]),
        ({"custom_fields[team]": "sales"}, []),
        ({"custom_fields[seats]": "12.50"}, ["a"]),
        ({"custom_fields[ends]": "2026-03-31"}, ["b"]),
        ({"custom_fields[is_customer]": "no"}, ["b"]),
        ({"custom_fields[is_customer]": "true"}, ["a"]),
        ({"custom_fields[plan]": "Pro", "custom_fields[is_customer]": "false"}, ["b"]),
        ({"custom_fields[plan]": ""}, ["c", "b", "a"]),
        ({"custom_fields": "x"}, ["c", "b", "a"]),
    ],
)
def test_the_list_is_filtered(acme: Character, acme_api: APIClient, query: dict[str, str], names: list[str]) -> None:
    define_all(acme)
    lead_of(acme, "a", team="Sales", seats=12.5, is_customer=True)
    lead_of(acme, "b", ends="2026-03-31", is_customer=False, plan="Pro")
    lead_of(acme, "c")
    answer = acme_api.get(f"{API}/lead/company", query)
    assert [row["first_name"] for row in answer.json()["leads"]] == names


@pytest.mark.parametrize(("key", "value"), [("other", "x"), ("seats", "many"), ("plan", "x"), ("is_customer", "maybe")])
def test_filters_that_make_no_sense(acme: Character, acme_api: APIClient, key: str, value: str) -> None:
    define_all(acme)
    answer = acme_api.get(f"{API}/lead/company", {f"custom_fields[{key}]": value})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [f"custom_fields[{key}]"])


@pytest.mark.parametrize("count", [1, 3])
def test_they_cost_the_same_however_many(
    acme: Character, acme_api: APIClient, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        define(acme, f"plan_{number}", "choice")
        lead_of(acme, f"v{number}", **{f"plan_{number}": "Pro"})
    with django_assert_num_queries(3):
        assert len(acme_api.get(f"{API}/lead/field").json()["lead_fields"]) == count
    with django_assert_num_queries(5):
        assert len(acme_api.get(f"{API}/lead/company").json()["leads"]) == count


def test_merging_takes_over_what_was_not_there_and_gives_it_back(acme: Character, acme_api: APIClient) -> None:
    define_all(acme)
    one, two = lead_of(acme, "a", team="Sales"), lead_of(acme, "b", team="Buying", seats=5, plan="Pro")
    merged = acme_api.post(f"{API}/lead/{one.pk}/merge", {"lead_ids": [str(two.pk)]}, format="json").json()["lead"]
    assert merged["custom_fields"] == {"team": "Sales", "seats": 5, "plan": "Pro"}
    put(acme_api, f"/lead/{one.pk}", {"custom_fields": {"plan": "Basic", "is_customer": True}})  # changed since
    acme_api.post(f"{API}/lead/{two.pk}/unmerge")
    assert values_of(acme, one.pk) == {"team": "Sales", "plan": "Basic", "is_customer": True}
    assert values_of(acme, two.pk) == {"team": "Buying", "seats": 5, "plan": "Pro"}


# --- Visitors -----------------------------------------------------------------------------------------------------


def asked(acme_api: APIClient, who: Character, **fields: str) -> None:
    answer = put(acme_api, f"/agent/{who.agent.pk}", {"widget": {"custom_fields": fields}})
    assert answer.status_code == 200, answer.content


def test_visitors_say_what_the_agent_asks_for(acme: Character, acme_api: APIClient, anonymous: APIClient) -> None:
    define_all(acme)
    url, body = f"{API}/lead/register", {**VI, "agent_id": str(acme.agent.pk)}
    refused = anonymous.post(url, {**body, "custom_fields": {"plan": "Pro"}}, format="json")
    assert refused.json()["errors"] == {"custom_fields.plan": ["There is no such field."]}
    asked(acme_api, acme, plan="required", is_customer="optional", team="hidden")
    wrong = anonymous.post(url, {**body, "custom_fields": {"plan": "x", "team": "y"}}, format="json")
    assert (wrong.status_code, wrong.json()["errors"]) == (400, {
        "custom_fields.plan": ["Give one of Basic, Pro."],
        "custom_fields.team": ["There is no such field. Use some of is_customer, plan."],
    })  # fmt: skip
    values = {"plan": "Pro", "is_customer": None}
    lead_id = anonymous.post(url, {**body, "custom_fields": values}, format="json").json()["lead"]["id"]
    assert values_of(acme, lead_id) == {"plan": "Pro"}
    # Anybody can type somebody else's address: what is known stays.
    assert anonymous.post(url, {**body, "custom_fields": {"plan": "Basic"}}, format="json").status_code == 201
    assert anonymous.post(url, body, format="json").status_code == 201
    assert values_of(acme, lead_id) == {"plan": "Pro"}


def test_a_nameless_visitor_says_it_later(acme: Character, acme_api: APIClient, anonymous: APIClient) -> None:
    define(acme, "plan", "choice")
    widget = {"ask": "after", "custom_fields": {"plan": "optional"}}
    put(acme_api, f"/agent/{acme.agent.pk}", {"widget": widget})
    visit = anonymous.post(f"{API}/lead/visitor", {"agent_id": str(acme.agent.pk)}, format="json").json()
    anonymous.credentials(HTTP_AUTHORIZATION=f"Bearer {visit['access_token']}")
    said = anonymous.patch(f"{API}/lead/visitor", {**VI, "custom_fields": {"plan": "x"}}, format="json")
    assert (said.status_code, list(said.json()["errors"])) == (400, ["custom_fields.plan"])
    said = anonymous.patch(f"{API}/lead/visitor", {**VI, "custom_fields": {"plan": "Pro"}}, format="json")
    assert said.status_code == 200, said.content
    assert values_of(acme, visit["lead"]["id"]) == {"plan": "Pro"}


def test_the_widget_is_told_what_to_ask(
    acme: Character, acme_api: APIClient, anonymous: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    fields = define_all(acme)
    with django_assert_num_queries(3):
        assert anonymous.get(f"{API}/agent/{acme.agent.pk}").json()["agent"]["widget"]["custom_fields"] == []
    asked(acme_api, acme, plan="required", is_customer="required", seats="hidden", team="optional")
    acme_api.delete(f"{API}/lead/field/{fields['team'].pk}")
    with django_assert_num_queries(4):  # where nothing is asked, nothing is looked up
        record = anonymous.get(f"{API}/agent/{acme.agent.pk}").json()["agent"]
    assert record["widget"]["custom_fields"] == [
        {"key": "is_customer", "name": "Is customer", "type": "boolean", "description": "", "options": [],
         "is_required": False},
        {"key": "plan", "name": "Plan", "type": "choice", "description": "", "options": ["Basic", "Pro"],
         "is_required": True},
    ]  # fmt: skip
    own = acme_api.get(f"{API}/agent").json()["agents"][0]["widget"]
    assert put(acme_api, f"/agent/{acme.agent.pk}", {"widget": own}).status_code == 200  # as it was read
    for wrong in ({"custom_fields": {"gone": "optional"}}, {"custom_fields": {"plan": "x"}}, {"custom_fields": ["x"]}):
        answer = put(acme_api, f"/agent/{acme.agent.pk}", {"widget": wrong})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["widget.custom_fields"])
