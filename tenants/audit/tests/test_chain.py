"""Whoever can write the tables but has no key cannot change a log unnoticed."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django_tenants.utils import tenant_context
from pytest_django import Settings

from conftest import Character
from tenants.audit.chain import Fault, verify_log
from tenants.audit.models import AuditEvent, AuditHead
from tenants.audit.services import open_log, record_event, reseal_log

ROWS = 6


@pytest.fixture
def log(in_acme: Character) -> Character:
    """A log of its own from position 1 on, of six rows."""
    sql("DELETE FROM audit_auditevent")
    sql("DELETE FROM audit_audithead")
    open_log()
    write(in_acme, ROWS)
    return in_acme


def write(who: Character, count: int) -> None:
    for number in range(count):
        record_event(
            actor=who.principal,
            event_type="agent.updated",
            entity=who.agent,
            changes={"temperature": (number / 10, 1e20), "é\0": (None, ["ü", -0.0, 1e-7, 5.0])},
        )


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_an_untouched_log_has_no_fault(log: Character) -> None:
    verdict = verify_log()
    assert (verdict.rows, verdict.position, verdict.fault) == (ROWS, ROWS, None)


TAMPERING = {
    "an edited text": (
        "UPDATE audit_auditevent SET actor_label = 'eve' WHERE position = 3",
        3,
        "the row has been changed",
    ),
    "edited changes": (
        """UPDATE audit_auditevent SET changes = '{"temperature": [0, 2]}' WHERE position = 2""",
        2,
        "the row has been changed",
    ),
    "a changed time": (
        "UPDATE audit_auditevent SET created_at = created_at - interval '1 day' WHERE position = 4",
        4,
        "the row has been changed",
    ),
    "a milder risk": (
        "UPDATE audit_auditevent SET risk_level = 'high' WHERE position = 1",
        1,
        "the row has been changed",
    ),
    "a removed row": ("DELETE FROM audit_auditevent WHERE position = 3", 3, "the row is missing"),
    "the first row removed": ("DELETE FROM audit_auditevent WHERE position = 1", 1, "the row is missing"),
    "the newest rows removed": ("DELETE FROM audit_auditevent WHERE position > 4", 5, "rows up to 6 are missing"),
    "every row removed": ("DELETE FROM audit_auditevent", 1, "rows up to 6 are missing"),
    "the newest rows removed, and the head set back": (
        "DELETE FROM audit_auditevent WHERE position > 4; UPDATE audit_audithead SET position = 4, "
        "digest = (SELECT digest FROM audit_auditevent WHERE position = 4)",
        4,
        "the head of the log has been changed",
    ),
    "the oldest rows removed, and the beginning set forward": (
        "UPDATE audit_audithead SET pruned_position = 2, "
        "pruned_digest = (SELECT digest FROM audit_auditevent WHERE position = 2); "
        "DELETE FROM audit_auditevent WHERE position <= 2",
        6,
        "the head of the log has been changed",
    ),
    "the log and its head removed": (
        "DELETE FROM audit_auditevent; DELETE FROM audit_audithead",
        1,
        "the head of the log is missing",
    ),
    "a removed row, the others moved up": (
        "DELETE FROM audit_auditevent WHERE position = 3; "
        "UPDATE audit_auditevent SET position = position - 1 WHERE position = 4; "
        "UPDATE audit_auditevent SET position = position - 1 WHERE position = 5; "
        "UPDATE audit_auditevent SET position = position - 1 WHERE position = 6",
        3,
        "the row does not follow the one before it",
    ),
    "two rows exchanged": (
        "UPDATE audit_auditevent SET position = 100 WHERE position = 2; "
        "UPDATE audit_auditevent SET position = 2 WHERE position = 3; "
        "UPDATE audit_auditevent SET position = 3 WHERE position = 100",
        2,
        "the row does not follow the one before it",
    ),
    "a row added at the end": (
        "INSERT INTO audit_auditevent SELECT (jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid(), "
        "'position', 7, 'previous_digest', t.digest))).* FROM audit_auditevent t WHERE position = 6",
        7,
        "the row has been changed",
    ),
    "a row added before the beginning": (
        "INSERT INTO audit_auditevent SELECT (jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid(), "
        "'position', 0))).* FROM audit_auditevent t WHERE position = 1",
        0,
        "the row stands before the log's beginning",
    ),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_found_at_its_position(log: Character, how: str) -> None:
    statement, position, reason = TAMPERING[how]
    sql(statement)
    assert verify_log().fault == Fault(position, reason)


def test_a_row_of_another_company_does_not_fit(log: Character, globex: Character) -> None:
    """Even as the very first row, where there is nothing that it must follow."""
    with tenant_context(globex.company):
        first = record_event(actor=globex.principal, event_type="agent.updated", entity=globex.agent)
    sql("DELETE FROM audit_auditevent")
    first.save(force_insert=True)  # into acme's: who can write both tables needs no statement across the schemas
    sql("UPDATE audit_audithead SET position = 1, digest = (SELECT digest FROM audit_auditevent)")
    assert verify_log().fault == Fault(1, "the row has been changed")


@pytest.mark.parametrize(
    "how",
    [
        "the newest rows removed",
        "the newest rows removed, and the head set back",
        "the log and its head removed",
        "the oldest rows removed, and the beginning set forward",
    ],
)
def test_writing_goes_on_after_tampering_and_does_not_cover_it_up(log: Character, how: str) -> None:
    sql(TAMPERING[how][0])
    write(log, 2)
    assert verify_log().fault is not None


def test_resealing_ends_a_fault_of_the_head_and_says_so_in_the_log(log: Character) -> None:
    sql("UPDATE audit_audithead SET seal = ''")
    write(log, 1)
    assert verify_log().fault == Fault(ROWS + 1, "the head of the log has been changed")
    reseal_log(actor=None)
    assert verify_log().fault is None
    assert AuditEvent.objects.latest("position").event_type == "audit_log.resealed"


# --- Keys ---------------------------------------------------------------------------------------------------------


def test_a_new_key_seals_and_the_old_one_still_verifies(log: Character, settings: Settings) -> None:
    old = AuditHead.objects.get().key_id
    settings.AUDIT_KEYS = ["a-new-key", *settings.AUDIT_KEYS]
    assert verify_log().fault is None
    write(log, 2)
    assert verify_log().fault is None
    assert list(AuditEvent.objects.order_by("position").values_list("key_id", flat=True)[:ROWS]) == [old] * ROWS
    assert AuditHead.objects.get().key_id != old


def test_without_the_old_key_the_check_says_which_is_missing(log: Character, settings: Settings) -> None:
    old = AuditHead.objects.get().key_id
    settings.AUDIT_KEYS = ["a-new-key"]
    assert verify_log().fault == Fault(1, f"the row is sealed with the key {old}, which is not in AUDIT_KEY")


def test_the_key_of_another_installation_verifies_nothing(log: Character, settings: Settings) -> None:
    """The key's name is stored with the row, but renaming it does not help: the seal is over the name too."""
    settings.AUDIT_KEYS = ["a-new-key", *settings.AUDIT_KEYS]
    write(log, 1)
    new = AuditHead.objects.get().key_id
    sql(f"UPDATE audit_auditevent SET key_id = '{new}' WHERE position = 2")
    assert verify_log().fault == Fault(2, "the row has been changed")


# --- The command --------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, list[str]]:
    out = StringIO()
    try:
        call_command("verify_audit", *arguments, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue().splitlines()
    return 0, out.getvalue().splitlines()


@pytest.mark.django_db
def test_the_command_prints_a_line_for_each_log(acme: Character, globex: Character) -> None:
    code, lines = run()
    assert (code, len(lines)) == (0, 3)
    assert lines[0].startswith("OK platform: 0 rows up to position 0")
    assert {line.split(":")[0] for line in lines[1:]} == {
        f"OK {who.company.id} {who.company.name}" for who in (acme, globex)
    }


@pytest.mark.django_db
def test_the_command_ends_with_1_and_the_position_of_the_fault(acme: Character, globex: Character) -> None:
    with tenant_context(acme.company):
        write(acme, 3)
        last = AuditHead.objects.get().position
        sql(f"DELETE FROM audit_auditevent WHERE position = {last - 1}")
    fault = f"FAULT {acme.company.id} Acme: position {last - 1}: the row is missing"
    code, lines = run()
    assert (code, len(lines), fault in lines) == (1, 3, True)
    assert run("--company", str(acme.company.id)) == (1, [fault])
    assert run("--company", str(globex.company.id))[0] == 0


@pytest.mark.django_db
def test_the_command_knows_no_other_company(acme: Character) -> None:
    with pytest.raises(CommandError, match="There is no such company"):
        run("--company", "00000000-0000-4000-8000-000000000000")
