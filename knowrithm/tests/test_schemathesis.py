"""The OpenAPI document tells the truth: whatever schemathesis makes up from it, the answer is one that it describes.

A few derandomized examples of each operation here; `make fuzz` sets FUZZ_EXAMPLES and draws them anew each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import hypothesis
import hypothesis.errors
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase
from rest_framework.test import APIClient
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from conftest import Character, bearer, key_client
from knowrithm.tests.hostile import document, envelope_fault, good, rolled_back, settled
from knowrithm.wsgi import Handler

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
PARTS = 4
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES or 1,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


class ReadToTheEnd(Handler):
    """As a server does: a streamed answer is read, and what it reads from is closed."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        response: Any = super().__call__(environ, start_response)
        try:
            return [b"".join(response)]
        finally:
            response.close()


@cache
def api_operations() -> list[Any]:
    schema: Any = schemathesis.openapi.from_dict(document())
    schema.app = ReadToTheEnd()
    return [found.ok() for found in schema.get_all_operations()]


@pytest.fixture
def kept_connection() -> Iterator[None]:
    """As Django's own test client does: the connection, and with it the test's transaction, outlives a request."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.usefixtures("kept_connection")
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("who", ["admin", "read-only key", "super admin"])
def test_every_answer_is_one_that_the_document_describes(
    who: str, part: int, acme: Character, super_admin_api: APIClient
) -> None:
    clients: dict[str, Any] = {
        "admin": bearer(acme),
        "read-only key": key_client(acme, "read"),
        "super admin": super_admin_api,
    }
    headers = {name.removeprefix("HTTP_").replace("_", "-"): text for name, text in clients[who]._credentials.items()}
    treasure = settled(acme)
    faults: dict[str, str] = {}
    for number, operation in enumerate(api_operations()[part::PARTS]):
        ids = {each.name: good(each.name, each.definition["schema"], treasure) for each in operation.path_parameters}
        # A key that may only read is told so by the rest, which the walk of test_bad_input looks at.
        modes: list[tuple[Any, Any]] = (
            [(POSITIVE, ids)] if EXAMPLES or who != "read-only key" or operation.method == "get" else []
        )
        if EXAMPLES or number % 3 == ["admin", "read-only key", "super admin"].index(who):
            modes.append((NEGATIVE, ids if operation.body or operation.query else None))
        for mode, in_path in modes:
            if mode == NEGATIVE and not (operation.body or operation.query or ids):
                continue  # nothing in it can be wrong
            with suppress(hypothesis.errors.Unsatisfiable):  # all that can be made up for it is right
                _run(operation, mode, in_path, headers, faults)
    assert faults == {}


def _run(operation: Any, mode: Any, in_path: dict[str, Any] | None, headers: dict[str, str], faults: Any) -> None:
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode, path_parameters=in_path))
    @SETTINGS
    def ask(case: Any) -> None:
        with rolled_back():
            answer = case.call(headers=headers)
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                faults.setdefault(f"{operation.label}: {failure}", case.as_curl_command())
        fault = envelope_fault(answer.status_code, answer.headers.get("content-type", [""])[0], answer.content)
        if fault:
            faults.setdefault(f"{operation.label} {fault}", case.as_curl_command())

    ask()
