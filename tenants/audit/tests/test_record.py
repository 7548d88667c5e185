from __future__ import annotations

import pytest
from django_tenants.utils import tenant_context

from conftest import Character
from tenants.audit.chain import digest_of
from tenants.audit.models import AuditEvent
from tenants.audit.services import MAX_VALUE_LENGTH, REDACTED, record_event


def test_rows_are_chained(in_acme: Character) -> None:
    first = record_event(actor=in_acme.principal, event_type="agent.updated", entity=in_acme.agent)
    second = record_event(actor=None, event_type="agent.updated", entity=in_acme.agent)

    assert second.position == first.position + 1
    assert second.previous_digest == first.digest
    assert digest_of(AuditEvent.objects.get(pk=second.pk)) == second.digest


def test_secrets_are_left_out(in_acme: Character) -> None:
    event = record_event(
        actor=in_acme.principal,
        event_type="settings.updated",
        changes={"llm_api_key": ("", "sk-1234"), "llm_max_tokens": (100, 200)},
    )
    assert event.changes == {"llm_api_key": ["", REDACTED], "llm_max_tokens": [100, 200]}


def test_a_long_value_is_kept_as_its_beginning(in_acme: Character) -> None:
    preferences = {"secret": "s3"}, {"a": ["z" * 20_000]}
    changes = {"notes": ("x" * MAX_VALUE_LENGTH, "y" * 5_000_000), "preferences": preferences}
    event = record_event(actor=in_acme.principal, event_type="user.updated", changes=changes)
    event.refresh_from_db()
    assert event.changes == {
        "notes": ["x" * MAX_VALUE_LENGTH, "y" * MAX_VALUE_LENGTH + "… (5000000 characters)"],
        "preferences": [{"secret": REDACTED}, '{"a": ["' + "z" * (MAX_VALUE_LENGTH - 8) + "… (20011 characters)"],
    }
    assert digest_of(event) == event.digest


def test_addresses_of_leads_are_left_out(in_acme: Character) -> None:
    changes = {"email": ("a@b.example", "c@d.example"), "phone": ("", "+49 30 1"), "notes": ("", {"phone": "1"})}
    of_lead = record_event(actor=None, event_type="lead.updated", entity_type="lead", changes=changes)
    assert of_lead.changes == {
        "email": [REDACTED, REDACTED],
        "phone": ["", REDACTED],
        "notes": ["", {"phone": REDACTED}],
    }
    of_user = record_event(actor=None, event_type="user.updated", entity_type="user", changes=changes)
    assert of_user.changes["email"] == ["a@b.example", "c@d.example"]


@pytest.mark.django_db
def test_each_company_has_a_log_of_its_own(acme: Character, globex: Character) -> None:
    with tenant_context(acme.company):
        record_event(actor=acme.principal, event_type="canary", entity=acme.agent)
    with tenant_context(globex.company):
        assert not AuditEvent.objects.filter(event_type="canary").exists()
    assert not AuditEvent.objects.filter(event_type="canary").exists()
