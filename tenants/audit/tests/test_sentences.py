from __future__ import annotations

from typing import Any

import pytest

from tenants.audit.models import AuditEvent
from tenants.audit.sentences import sentence


def told(event_type: str, label: str = "X", **fields: Any) -> str:
    fields = {
        "entity_type": event_type.split(".")[0],
        "entity_id": "1",
        "actor_kind": "user",
        "actor_label": "ada",
    } | fields
    return sentence(AuditEvent(event_type=event_type, entity_label=label, **fields))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("agent.updated", "ada updated the agent “X”."),
        ("api_key.revoked", "ada revoked the API key “X”."),
        ("user.status_changed", "ada changed the status of the user “X”."),
        ("user.signed_in", "ada signed in."),
        ("thing.switched_off", "ada switched off the thing “X”."),
        ("message.sent", "ada sent a message in a conversation X."),
    ],
)
def test_names_of_events_become_sentences(event: str, expected: str) -> None:
    assert told(event) == expected


def test_many_at_once() -> None:
    assert told("document.uploaded", "3 documents", entity_id="") == "ada uploaded 3 documents."


@pytest.mark.parametrize(
    ("kind", "who"), [("lead", "A visitor"), ("anonymous", "Somebody"), ("system", "The platform")]
)
def test_who_has_no_name(kind: str, who: str) -> None:
    assert told("agent.updated", actor_kind=kind, actor_label="") == f"{who} updated the agent “X”."


def test_a_key_and_an_unknown_address() -> None:
    assert told("agent.updated", actor_kind="api_key", actor_label="CRM") == "The API key “CRM” updated the agent “X”."
    failed = told("user.sign_in_failed", "", description="Nobody has it.")
    assert failed == "Somebody tried to sign in as an unknown address. Nobody has it."
