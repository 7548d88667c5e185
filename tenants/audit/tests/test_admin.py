"""Django admin: the log is there to be read, and every change by hand is in it."""

from __future__ import annotations

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.sites import site
from django.test import Client
from django.urls import reverse
from django_tenants.utils import tenant_context

from conftest import PASSWORD, Character, super_admin_in_browser
from tenants.audit.admin import AuditedAdmin, AuditEventAdmin
from tenants.audit.models import AuditEvent, RiskLevel
from tenants.audit.services import log_of, record_event
from tenants.geography.models import Country
from tenants.models import Company, User


@pytest.fixture
def root(db: None) -> Client:
    return super_admin_in_browser(User.objects.create_superuser(email="root@knowrithm.example", password=PASSWORD))


def test_no_page_of_the_admin_changes_anything_unseen() -> None:
    unseen = {
        model.__name__
        for model, registered in site._registry.items()
        if not isinstance(registered, AuditedAdmin | AuditEventAdmin)
    }
    assert unseen == set(), "these admins do not derive from AuditedAdmin"


def test_a_change_by_hand_stands_in_the_log_of_the_company(acme: Character, root: Client) -> None:
    page = reverse("admin:tenants_user_change", args=[acme.admin.pk])
    form = root.get(page).context["adminform"].form
    data = {name: value for name, value in form.initial.items() if value is not None and name in form.fields}
    answer = root.post(page, {**data, "preferences": "{}", "first_name": "Grace"})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    with tenant_context(acme.company):
        event = AuditEvent.objects.latest("position")
    assert (event.event_type, event.entity_id, event.actor_label) == (
        "user.updated", str(acme.admin.pk), "root@knowrithm.example",
    )  # fmt: skip
    assert (event.changes, event.risk_level) == ({"first_name": ["Acme", "Grace"]}, RiskLevel.HIGH)


def test_what_concerns_no_company_stands_in_the_platforms_log(root: Client) -> None:
    country = Country.objects.create(name="Atlantis")
    page = reverse("admin:geography_country_delete", args=[country.pk])
    assert root.post(page, {"post": "yes"}).status_code == 302
    with log_of(None):
        event = AuditEvent.objects.latest("position")
    assert (event.event_type, event.entity_id) == ("country.deleted", str(country.pk))


def test_the_history_of_a_row_is_what_the_logs_tell_of_it(acme: Character, globex: Character, root: Client) -> None:
    country, other = (Country.objects.create(name=name) for name in ("Atlantis", "Lemuria"))
    for company in (acme.company, globex.company):
        with tenant_context(company):
            record_event(
                actor=None, event_type="company.updated", entity=company, changes={"name": ("Old", company.name)}
            )
            record_event(actor=None, event_type="agent.created", entity_type="agent", entity_id=str(country.pk))
    with log_of(None):
        record_event(actor=None, event_type="company.created", entity=acme.company)
        record_event(actor=None, event_type="country.updated", entity=country)
        record_event(actor=None, event_type="place.updated", entity_type="place", entity_id=str(country.pk))
        event = AuditEvent.objects.latest("position")

    def told(row: Company | Country) -> list[str]:
        page = root.get(reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_history", args=[row.pk]))
        return [shown.event.event_type for shown in page.context["events"]]

    assert told(acme.company)[:2] == ["company.created", "company.updated"]
    assert (told(country), told(other)) == (["country.updated"], [])
    answer = root.get(reverse("admin:audit_auditevent_history", args=[event.pk]))
    assert answer.url == reverse("admin:audit_auditevent_change", args=[event.pk])  # type: ignore[attr-defined]  # of a redirect
    assert "No task has failed for good." in root.get(reverse("admin:tenants_deadletter_changelist")).content.decode()


def test_deleting_many_writes_a_row_for_each(root: Client) -> None:
    chosen = [Country.objects.create(name=name).pk for name in ("Atlantis", "Lemuria")]
    data = {"action": "delete_selected", ACTION_CHECKBOX_NAME: chosen, "post": "yes"}
    assert root.post(reverse("admin:geography_country_changelist"), data).status_code == 302
    with log_of(None):
        assert AuditEvent.objects.filter(event_type="country.deleted").count() == 2


def test_the_logs_are_there_to_be_read_only(acme: Character, root: Client) -> None:
    with tenant_context(acme.company):
        record_event(actor=acme.principal, event_type="gadget.made", entity_type="gadget", entity_label="<b>G</b>")
    with log_of(None):
        event = record_event(actor=None, event_type="planet.moved", entity_type="planet", entity_label="P")
    assert "moved the planet “P”." in root.get(reverse("admin:audit_auditevent_changelist")).content.decode()
    page = reverse("admin:audit_auditevent_change", args=[event.pk])
    assert root.get(page).status_code == 200
    assert root.post(page, {"actor_label": "eve"}).status_code == 403
    assert root.get(reverse("admin:audit_auditevent_add")).status_code == 403
    companys = reverse("admin:audit_of_company", args=[acme.company.pk])
    assert companys in root.get(reverse("admin:tenants_company_changelist")).content.decode()
    text = root.get(companys).content.decode()
    assert "admin@acme.example made the gadget “&lt;b&gt;G&lt;/b&gt;”." in text
    assert "planet" not in text
    assert root.get(reverse("admin:audit_of_company", args=[acme.admin.pk])).status_code == 404


def test_nobody_else_reads_a_companys_log_there(acme: Character, globex_client: Client) -> None:
    answer = globex_client.get(reverse("admin:audit_of_company", args=[acme.company.pk]))
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("admin:login"))
