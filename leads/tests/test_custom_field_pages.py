"""The company's own fields on the dashboard's pages and in files."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django_tenants.utils import tenant_context
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from agents.models import Agent, LeadField
from conftest import PASSWORD, Character, super_admin_in_browser
from integrations.models import Webhook, WebhookDelivery
from leads import imports
from leads.models import Lead, LeadImport
from leads.tests.test_custom_fields import VALUES, define, define_all, lead_of, put, values_of
from tenants.models import User

pytestmark = pytest.mark.django_db
FORM = {"first_name": "Ada", "email": "ada@x.example", "status": "new"}
NAMED = {f"custom_fields.{key}": value for key, value in {**VALUES, "is_customer": "No"}.items()}


def read(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def keys_of(who: Character) -> list[str]:
    with tenant_context(who.company):
        return [field.key for field in LeadField.objects.live()]


def test_an_admin_manages_them(acme: Character, acme_client: Client) -> None:
    assert "No custom fields yet" in read(acme_client, "/leads/fields")
    new = {"name": "Plan", "type": "choice", "description": "Which <b>plan</b>", "more": "Basic\n\nPro\n"}
    assert acme_client.post("/leads/fields/new", {**new, "is_required": "on"}).status_code == 302
    acme_client.post("/leads/fields/new", {"name": "Team size", "type": "number"})
    with tenant_context(acme.company):
        plan = LeadField.objects.get(key="plan")
        assert (plan.options, plan.is_required) == (["Basic", "Pro"], True)
    page = read(acme_client, "/leads/fields")
    assert ("Which &lt;b&gt;plan" in page, "team_size" in page) == (True, True)
    for to, order in (("down", ["team_size", "plan"]), ("down", ["team_size", "plan"]), ("up", ["plan", "team_size"])):
        acme_client.post(f"/leads/fields/{plan.pk}/move", {"to": to})
        assert keys_of(acme) == order
    lead = lead_of(acme, plan="Pro")
    edit = f"/leads/fields/{plan.pk}/edit"
    assert "Stays, as leads have values" in read(acme_client, edit)
    changed = {"name": "The plan", "type": "text", "key": "other", "option-0": "", "option-1": "Best", "more": "More"}
    assert acme_client.post(edit, changed).status_code == 302
    with tenant_context(acme.company):
        plan.refresh_from_db()
    assert (plan.name, plan.key, plan.kind, plan.options) == ("The plan", "plan", "choice", ["Best", "More"])
    assert values_of(acme, lead.pk) == {"plan": "Best"}
    refused = acme_client.post(edit, {"name": "The plan", "option-0": "", "option-1": "More"}).content.decode()
    assert "Leads have the option Best." in refused
    page = acme_client.post(f"/leads/fields/{plan.pk}/archive", follow=True).content.decode()
    assert page.count(f"/leads/fields/{plan.pk}/restore") == 2  # the way back, and the list of archived ones
    assert keys_of(acme) == ["team_size"]
    assert acme_client.get(edit).status_code == 404
    acme_client.post(f"/leads/fields/{plan.pk}/restore")
    assert keys_of(acme) == ["plan", "team_size"]


def test_only_an_admin_does(acme: Character, acme_client: Client) -> None:
    field = define(acme, "team")
    User.objects.filter(pk=acme.admin.pk).update(role="user")
    assert acme_client.get("/leads/fields").status_code == 403
    assert acme_client.post(f"/leads/fields/{field.pk}/archive").status_code == 403
    assert "/leads/fields" not in read(acme_client, "/leads")


@pytest.mark.parametrize("count", [1, 3])
def test_the_page_costs_the_same_however_many(
    acme: Character, acme_client: Client, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        define(acme, f"team_{number}")
    with django_assert_num_queries(6):
        assert "team_0" in read(acme_client, "/leads/fields")


def test_a_lead_is_added_and_edited_with_them(acme: Character, acme_client: Client) -> None:
    define_all(acme)
    with tenant_context(acme.company):
        LeadField.objects.filter(key="plan").update(is_required=True, description="What they pay for.")
    assert "What they pay for." in read(acme_client, "/leads/new")
    missing = {**NAMED, "custom_fields.plan": "", "custom_fields.seats": "many"}
    page = acme_client.post("/leads/new", {**FORM, **missing}).content.decode()
    assert ("This field is required." in page, "Give a number, such as 12 or 12.5." in page) == (True, True)
    assert acme_client.post("/leads/new", {**FORM, **NAMED}).status_code == 302
    with tenant_context(acme.company):
        lead = Lead.objects.get()
    assert lead.custom_fields == VALUES
    page = read(acme_client, f"/leads/{lead.pk}/edit")
    for shown in (
        'value="12.5"',
        'value="2026-03-31"',
        '<option value="No" selected>',
        '<option value="Basic" selected>',
    ):
        assert shown in page
    page = read(acme_client, f"/leads/{lead.pk}")
    assert [text for text in ("Team</dt>", ">12.5</dd>", ">No</dd>", ">2026-03-31</dd>") if text not in page] == []
    changed = {**NAMED, "custom_fields.team": "", "custom_fields.plan": "Pro", "custom_fields.is_customer": "Yes"}
    assert acme_client.post(f"/leads/{lead.pk}/edit", {**FORM, **changed}).status_code == 302
    assert values_of(acme, lead.pk) == {"seats": 12.5, "ends": "2026-03-31", "is_customer": True, "plan": "Pro"}


def test_the_list_and_its_download_are_filtered(acme: Character, acme_client: Client) -> None:
    define_all(acme)
    lead_of(acme, "anna", **VALUES)
    lead_of(acme, "bert", plan="Pro", team="=1+1", seats=-5, is_customer=True)
    page = read(acme_client, "/leads?custom_fields[plan]=Pro&custom_fields[is_customer]=Yes")
    assert ("bert" in page, "anna" in page) == (True, False)
    assert "Nobody found" in read(acme_client, "/leads?custom_fields[team]=Nobody")
    page = read(acme_client, "/leads?custom_fields[seats]=many&custom_fields[gone]=1&custom_fields[team]=%00")
    assert ("bert" in page, "anna" in page) == (True, True)  # what makes no sense narrows nothing
    [bert] = exported(acme_client, "?custom_fields[plan]=Pro")
    assert [bert[key] for key in ("team", "seats", "ends", "is_customer", "plan")] == ["'=1+1", "'-5", "", "Yes", "Pro"]


def exported(client: Client, query: str = "") -> list[dict[str, str]]:
    answer: Any = client.get(f"/leads/export{query}")
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def imported(api: APIClient, content: str) -> dict[str, Any]:
    file = SimpleUploadedFile("leads.csv", content.encode())
    record: dict[str, Any] = api.post("/api/v1/lead/import", {"file": file}, format="multipart").json()["lead_import"]
    return record


def test_a_file_is_read_with_them_and_each_fault_has_its_line(
    acme: Character, acme_api: APIClient, acme_client: Client
) -> None:
    define_all(acme)
    define(acme, "mobile")  # goes before the other names of the telephone
    rows = [
        "email;TEAM;seats;Ends;Is customer;Plan;mobile;Shoes",
        "a@x.example;'=Sales;12.50;2026-03-31;nein;Basic;yes;1",
        "b@x.example;;many;31.3.2026;maybe;basic;;",
        "c@x.example;;;;;;;",
    ]
    record = imported(acme_api, "\n".join(rows))
    assert [column["field"] for column in record["columns"]] == [
        "email", "custom_fields.team", "custom_fields.seats", "custom_fields.ends", "custom_fields.is_customer",
        "custom_fields.plan", "custom_fields.mobile", None,
    ]  # fmt: skip
    assert record["errors"] == [
        {
            "line": 3,
            "error": "Seats: Give a number, such as 12 or 12.5. Ends: Give a day as year, month and day, such as "
            "2026-03-31. Is customer: Give yes or no. Plan: Give one of Basic, Pro.",
        }
    ]
    assert '<td data-label="Read as">Is customer</td>' in read(acme_client, f"/leads/import/{record['id']}")
    acme_api.post(f"/api/v1/lead/import/{record['id']}/start")
    with tenant_context(acme.company):
        imports.run(record["id"])
        assert LeadImport.objects.get().created_count == 2
        found = {lead.email: lead.custom_fields for lead in Lead.objects.all()}
    assert found == {"a@x.example": {**VALUES, "team": "=Sales", "mobile": "yes"}, "c@x.example": {}}


def test_what_was_downloaded_can_be_imported_again(acme: Character, acme_api: APIClient, acme_client: Client) -> None:
    define_all(acme)
    lead_of(acme, "anna", **{**VALUES, "seats": -5, "is_customer": True})
    [row] = exported(acme_client)
    file = io.StringIO()
    writer = csv.DictWriter(file, row)
    writer.writeheader()
    writer.writerow({**row, "email": "bert@x.example"})
    record = imported(acme_api, file.getvalue())
    with tenant_context(acme.company):
        LeadImport.objects.update(status="processing", task_id=record["id"])
        imports.run(record["id"])
        anna, bert = Lead.objects.order_by("email")
    assert (record["faulty"], bert.custom_fields) == (0, anna.custom_fields)


def test_the_designer_of_the_widget_chooses_them(acme: Character, acme_client: Client) -> None:
    fields = define_all(acme)
    form = {
        "color": "#12634f", "position": "bottom-right", "theme": "auto", "ask": "before", "ask_after": "2",
        "first_name": "required", "last_name": "required", "phone": "optional", "custom-plan": "required",
        "custom-is_customer": "optional", "custom-team": "hidden",
    }  # fmt: skip
    url = f"/agents/{acme.agent.pk}"
    assert acme_client.post(f"{url}/widget", form).status_code == 302
    assert widget_of(acme)["custom_fields"] == {"plan": "required", "is_customer": "optional"}
    page = read(acme_client, f"{url}/widget")
    box = page[page.index('name="custom-is_customer"') :].partition("</select>")[0]
    assert ('value="optional" selected' in box, 'value="required"' in box) == (True, False)
    refused = acme_client.post(f"{url}/widget", {**form, "custom-is_customer": "required"})
    assert "Select a valid choice" in refused.content.decode()
    preview = acme_client.get(f"{url}/preview", form).content.decode()
    assert ("Is customer" in preview, '"key": "team"' in preview) == (True, False)
    # What an archived field was asked for comes back with it.
    acme_client.post(f"/leads/fields/{fields['plan'].pk}/archive")
    acme_client.post(f"{url}/widget", {**form, "custom-plan": "hidden", "custom-is_customer": "hidden"})
    assert widget_of(acme)["custom_fields"] == {"plan": "required"}


def widget_of(who: Character) -> dict[str, Any]:
    with tenant_context(who.company):
        widget: dict[str, Any] = Agent.objects.get(pk=who.agent.pk).widget
    return widget


def test_webhooks_are_told_of_them(acme: Character, acme_api: APIClient) -> None:
    define_all(acme)
    with tenant_context(acme.company):
        Webhook.objects.create(name="x", url="https://x.example/", secret="x", event_types=["lead.updated"])  # a test's
    lead = lead_of(acme, plan="Pro", gone="x")
    put(acme_api, f"/lead/{lead.pk}", {"custom_fields": {"seats": 5}})
    with tenant_context(acme.company):
        payload = json.loads(WebhookDelivery.objects.get().payload)
    assert (payload["custom_fields"], payload["changed"]) == ({"seats": 5, "plan": "Pro"}, ["custom_fields"])


def test_super_admins_see_what_is_defined(acme: Character) -> None:
    define(acme, "plan", "choice")
    root = super_admin_in_browser(User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD))
    text = root.get(reverse("leads_of_company", args=[acme.company.pk]) + "?part=fields").content.decode()
    assert [words for words in (">plan<", ">Choice<") if words not in text] == []
