"""The schema is complete, without warnings, and committed: a change of the API shows in the diff."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from rest_framework.test import APIClient

from conftest import Character

COMMITTED = Path(settings.BASE_DIR) / "docs" / "openapi.yml"


def test_the_committed_schema_is_the_current_one_and_has_no_warnings() -> None:
    """Write it anew with: `DEBUG=1 python manage.py spectacular --file docs/openapi.yml`."""
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    assert out.getvalue().strip() == COMMITTED.read_text().strip()


@pytest.mark.django_db
def test_the_documentation_pages_are_served(anonymous: APIClient) -> None:
    assert b"swagger" in anonymous.get("/api/docs").content
    assert anonymous.get("/api/schema").status_code == 200


def test_the_browsable_api_shows_answers_and_errors(acme_api: APIClient, anonymous: APIClient, acme: Character) -> None:
    page = acme_api.get("/api/v1/agent", HTTP_ACCEPT="text/html")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert acme.agent.name in page.content.decode()
    assert anonymous.get("/api/v1/agent", HTTP_ACCEPT="text/html").status_code == 401
