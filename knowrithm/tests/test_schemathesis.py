"""The OpenAPI document tells the truth: what it describes is taken, what it does not is refused, and every answer is
one that it describes. schemathesis makes the requests up.

A few derandomized examples of each operation here; `make fuzz` sets FUZZ_EXAMPLES and draws them anew each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks

from conftest import Character, bearer, key_client
from knowrithm.tests.hostile import document, good, rolled_back, resolve
from knowrithm.tests.isolation import Treasure, bury
from tenants.models import TwoFactor

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2"))
PARTS = 6
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


def api() -> Any:
    schema = schemathesis.openapi.from_dict(document())
    schema.app = WSGIHandler()
    return schema


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
def test_every_operation(who: str, part: int, acme: Character, super_admin_api) -> None:
    treasure = bury(acme)
    TwoFactor.objects.all().delete()
    client = {"admin": bearer(acme), "read-only key": key_client(acme, "read"), "super admin": super_admin_api}[who]
    headers = {name.removeprefix("HTTP_").replace("_", "-"): value for name, value in client._credentials.items()}
    findings: dict[str, str] = {}
    import time
    t0=time.time(); n=0
    for found in list(api().get_all_operations())[part::PARTS]:
        operation = found.ok()
        ids = {p.name: good(p.name, resolve(p.definition["schema"]), treasure) for p in operation.path_parameters}
        modes = [(schemathesis.GenerationMode.POSITIVE, ids)]
        if operation.body or operation.query: modes.append((schemathesis.GenerationMode.NEGATIVE, ids))
        if ids: modes.append((schemathesis.GenerationMode.NEGATIVE, None))
        for mode, fixed in modes:

            @hypothesis.given(case=operation.as_strategy(generation_mode=mode, path_parameters=fixed))
            @SETTINGS
            def run(case: Any) -> None:
                nonlocal n
                n += 1
                with rolled_back():
                    response = case.call(headers=headers)
                try:
                    case.validate_response(response, checks=CHECKS)
                except FailureGroup as group:
                    for failure in group.exceptions:
                        findings.setdefault(f"{operation.label} {failure.title} {str(failure)[:300]}", case.as_curl_command()[:500] + f" -> {response.status_code} {response.content[:300]}")

            try: run()
            except Exception as error:
                findings.setdefault(f"{operation.label} {mode} {error!r}"[:500], "")
    print("STAT", who, part, n, time.time()-t0, time.process_time())
    for k, v in findings.items(): print("FINDING", repr(k), "|", v)
    assert findings == {}
