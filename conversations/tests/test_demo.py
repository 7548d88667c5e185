from __future__ import annotations

import pytest
from django_tenants.utils import tenant_context

from conversations.demo import EMAIL, create_demo, demo_agent
from documents.models import Document
from tenants.services import create_company


@pytest.mark.django_db
def test_the_demo_is_made_once_and_taught_on_the_documentation() -> None:
    create_demo()
    create_demo()

    found = demo_agent()
    assert found is not None
    company, agent = found
    with tenant_context(company):
        names = set(Document.objects.filter(agent=agent).values_list("original_filename", flat=True))
    assert {"quickstart.md", "configuration.md"} <= names
    assert "index.md" not in names


@pytest.mark.django_db
def test_a_stranger_with_the_demos_address_is_not_the_demo_and_does_not_stop_the_installation() -> None:
    create_company(name="Stranger", email=EMAIL)
    create_demo()
    assert demo_agent() is None
