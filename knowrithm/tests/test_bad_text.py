"""Text that no database can hold is a 400 wherever it stands, never a 500. Every other field: test_bad_input."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from conftest import Character

BAD = ['"a\\u0000b"', '"\\ud800"', '{"x": "a\\u0000"}', '{"a\\u0000": 1}', '[["\\udfff"]]']


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("field", ["name", "description", "personality_traits", "operating_hours", "unknown"])
def test_in_a_json_body(acme_api: APIClient, field: str, value: str) -> None:
    body = f'{{"name": "x", "{field}": {value}}}'
    answer = acme_api.post("/api/v1/agent", body, content_type="application/json")
    assert (answer.status_code, answer.json()["success"]) == (400, False)


@pytest.mark.parametrize(("charset", "said"), [("", "UTF-8"), ("; charset=ascii", "ASCII")])
def test_bytes_that_are_no_text(acme_api: APIClient, charset: str, said: str) -> None:
    kind = f"application/json{charset}"
    answer = acme_api.post("/api/v1/agent", b'{"name": "K\xf6ln"}', content_type=kind)
    assert (answer.status_code, answer.json()["message"]) == (400, f"The JSON is no text in {said}.")


def test_in_a_query(acme_api: APIClient) -> None:
    assert acme_api.get("/api/v1/agent?search=a%00b").status_code == 400
    assert acme_api.get("/api/v1/agent/by-name/a%00b").status_code == 400


def test_in_a_form(acme_api: APIClient, acme: Character) -> None:
    body = {"agent_id": str(acme.agent.id), "url": "https://example.org", "topic": "a\0b"}
    assert acme_api.post("/api/v1/document/upload", body, format="multipart").status_code == 400


@pytest.mark.parametrize("depth", [100, 100_000])
def test_nesting_without_end(acme_api: APIClient, depth: int) -> None:
    body = '{"name": "x", "personality_traits": ' + "[" * depth + "]" * depth + "}"
    assert acme_api.post("/api/v1/agent", body, content_type="application/json").status_code == 400
