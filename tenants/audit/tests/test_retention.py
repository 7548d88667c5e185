from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from conftest import Character
from knowrithm.errors import InvalidInputError
from tenants.audit.chain import verify_log
from tenants.audit.models import AuditEvent, AuditHead
from tenants.audit.retention import prune_log, set_audit_retention
from tenants.audit.services import open_log, record_event
from tenants.models import Company


def age(monkeypatch: pytest.MonkeyPatch, days: int, who: Character) -> AuditEvent:
    """A row as it was written so many days ago."""
    then = timezone.now() - timedelta(days=days)
    with monkeypatch.context() as patch:
        patch.setattr(timezone, "now", lambda: then)
        return record_event(actor=who.principal, event_type="agent.updated", entity=who.agent)


def keep(who: Character, days: int | None) -> None:
    Company.objects.filter(pk=who.company.pk).update(audit_retention_days=days)


@pytest.fixture
def aged(in_acme: Character, monkeypatch: pytest.MonkeyPatch) -> Character:
    """A log whose first rows are 50, 45 and 40 days old, and whose last is of today. Their clocks differ a little."""
    AuditEvent.objects.all().delete()
    AuditHead.objects.all().delete()
    open_log()
    for days in (50, 40, 45, 2, 31, 0):
        age(monkeypatch, days, in_acme)
    return in_acme


def test_old_rows_go_and_the_chain_still_holds(aged: Character) -> None:
    keep(aged, 30)
    assert prune_log() == 3  # the row of 31 days stands behind one of 2: a log loses only its beginning
    assert verify_log().fault is None
    rows = AuditEvent.objects.order_by("position")
    assert list(rows.values_list("position", flat=True)) == [4, 5, 6, 7]
    last = rows.last()
    assert last is not None
    assert (last.event_type, last.changes, last.actor_kind) == ("audit_log.pruned", {"rows": [3, 0]}, "system")


def test_what_is_not_old_enough_stays(aged: Character) -> None:
    keep(aged, 60)
    assert (prune_log(), AuditEvent.objects.count()) == (0, 6)


def test_without_a_limit_everything_stays(aged: Character) -> None:
    keep(aged, None)
    assert (prune_log(), AuditEvent.objects.count()) == (0, 6)


def test_pruning_twice_removes_nothing_more(aged: Character) -> None:
    keep(aged, 30)
    assert (prune_log(), prune_log()) == (3, 0)
    assert AuditEvent.objects.filter(event_type="audit_log.pruned").count() == 1


def test_a_row_that_was_tampered_with_is_not_pruned(aged: Character) -> None:
    keep(aged, 30)
    AuditEvent.objects.filter(position=2).update(actor_label="eve")
    assert prune_log() == 0
    fault = verify_log().fault
    assert fault is not None
    assert fault.position == 2


def test_removing_old_rows_by_hand_is_a_fault_all_the_same(aged: Character) -> None:
    keep(aged, 30)
    prune_log()
    AuditEvent.objects.filter(position=4).delete()
    fault = verify_log().fault
    assert fault is not None
    assert (fault.position, fault.reason) == (4, "the row is missing")


def test_the_company_decides_and_the_log_says_so(in_acme: Character) -> None:
    set_audit_retention(actor=in_acme.principal, days=90)
    assert Company.objects.get(pk=in_acme.company.pk).audit_retention_days == 90
    event = AuditEvent.objects.latest("position")
    assert (event.event_type, event.changes) == ("audit_log.retention_changed", {"audit_retention_days": [None, 90]})


@pytest.mark.parametrize("days", [0, 29, 36_501])
def test_a_log_is_kept_for_a_month_at_least(in_acme: Character, days: int) -> None:
    with pytest.raises(InvalidInputError):
        set_audit_retention(actor=in_acme.principal, days=days)
