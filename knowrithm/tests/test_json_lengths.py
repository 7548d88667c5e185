"""No field takes JSON of any length: what a caller may fill freely has a bound, and beyond it a clear answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from rest_framework.test import APIClient

from conftest import Character, bearer
from knowrithm.tests.isolation import Treasure, fill

pytestmark = pytest.mark.django_db
LONG = "a" * 100_000
HUGE = {"one": LONG}
AGENT, LEAD = {"agent_id": "{agent_id}"}, {"first_name": "A", "last_name": "B", "email": "a@x.example"}
MODELS = ("embedding_additional_params", "llm_additional_params", "widget_config")
# One operation for each field, by the field's place in the body; the same serializer serves the others.
CASES: dict[str, tuple[str, str, Any]] = {
    "capabilities": ("PUT", "/agent/{agent_id}", {"capabilities": [LONG]}),
    "personality_traits": ("PUT", "/agent/{agent_id}", {"personality_traits": HUGE}),
    "operating_hours": ("PUT", "/agent/{agent_id}", {"operating_hours": HUGE}),
    "widget": ("PUT", "/agent/{agent_id}", {"widget": HUGE}),
    **{name: ("PUT", "/settings/{settings_id}", {name: HUGE}) for name in MODELS},
    **{
        f"{outer}.{name}": ("PUT", "/agent/{agent_id}", {outer: {name: HUGE}})
        for outer in ("settings", "llm_settings")
        for name in MODELS
    },
    "config_value": ("PATCH", "/config", {"config_key": "a", "config_value": HUGE}),
    "custom_fields": ("POST", "/lead", {**AGENT, **LEAD, "custom_fields": {"canary": LONG, "other": LONG}}),
    "filters.metadata": ("POST", "/search/document", {**AGENT, "query": "x", "filters": {"metadata": HUGE}}),
    "metadata": ("POST", "/conversation", {**AGENT, "metadata": HUGE}),
    "permissions": ("PATCH", "/auth/api-keys/{api_key_id}", {"permissions": {"agents": [LONG]}}),
    "preferences": ("PUT", "/user/profile", {"preferences": HUGE}),
    "pricing": ("POST", "/providers", {"name": "A", "slug": "a", "type": "llm", "pricing": HUGE}),
    "providers.pricing": (
        "POST", "/providers/bulk-import", {"providers": [{"name": "A", "slug": "a", "type": "llm", "pricing": HUGE}]},
    ),
    "renamed_options": ("PUT", "/lead/field/{field_id}", {"renamed_options": {LONG: "New"}}),
    "rules": ("PUT", "/lead/score-rules", {"rules": {LONG: {"is_on": False}}}),
    "weights": ("PUT", "/lead/score-rules", {"weights": {LONG: 100}}),
}  # fmt: skip
METADATA = {  # of different serializers
    "a conversation changed": ("PATCH", "/conversation/{conversation_id}", {"metadata": HUGE}),
    "a direct chat": ("POST", "/chat", {**AGENT, "messages": [{"role": "user", "content": "x"}], "metadata": HUGE}),
    "a document": ("PATCH", "/document/{document_id}", {"metadata": HUGE}),
    "an upload": ("POST", "/document/upload", {**AGENT, "url": "https://x.example", "metadata": HUGE}),
    "a lead": ("POST", "/lead", {**AGENT, **LEAD, "metadata": HUGE}),
    "a lead changed": ("PUT", "/lead/{lead_id}", {"metadata": HUGE}),
}


def free_fields(schema: dict[str, Any], schemas: dict[str, Any], place: str = "") -> Iterator[str]:
    """Of a body, the places of objects with any keys, of values of any type, and of lists of such."""
    for one in [schema, *schema.get("allOf", [])]:
        if "$ref" in one:
            yield from free_fields(schemas[one["$ref"].rpartition("/")[2]], schemas, place)
    for name, field in schema.get("properties", {}).items():
        yield from free_fields(field, schemas, f"{place}.{name}".strip("."))
    if schema.get("type") == "array":
        yield from free_fields(schema["items"], schemas, place)
    is_any = not {"type", "$ref", "allOf", "oneOf", "enum"} & set(schema)
    if "additionalProperties" in schema or is_any:
        yield place


def test_every_field_that_takes_any_json_is_tried_here() -> None:
    document = yaml.safe_load((Path(settings.BASE_DIR) / "docs" / "openapi.yml").read_text())
    found = {
        place
        for operations in document["paths"].values()
        for operation in operations.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for place in free_fields(content["schema"], document["components"]["schemas"])
    }
    assert found - {""} == set(CASES)


@pytest.mark.parametrize(
    ("field", "case"),
    [*CASES.items(), *((f"metadata of {name}", case) for name, case in METADATA.items())],
    ids=[*CASES, *METADATA],
)
def test_too_much_json_is_refused(
    field: str, case: tuple[str, str, Any], acme: Character, super_admin_api: APIClient, treasure: Treasure
) -> None:
    method, path, body = case
    client = super_admin_api if path.startswith("/providers") else bearer(acme)
    send = getattr(client, method.lower())
    answer = send("/api/v1" + path.format(**treasure.ids), fill(body, treasure), format="json")
    assert answer.status_code == 400, answer.content[:500]
    assert len(answer.content) < 2000
    first = field.partition(" ")[0].partition(".")[0]
    assert any(name.partition(".")[0] == first for name in answer.json()["errors"]), answer.json()
