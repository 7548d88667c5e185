from __future__ import annotations

import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from agents.models import Agent
from conftest import Character
from knowrithm.api.pagination import paginate


@pytest.mark.parametrize(
    ("query", "count", "shown", "total", "pages"),
    [
        ({}, 0, 0, 0, 1),
        ({}, 1, 1, 1, 1),
        ({"per_page": "2"}, 4, 2, 4, 2),
        ({"per_page": "2", "page": "2"}, 3, 1, 3, 2),
        ({"per_page": "2", "page": "2"}, 4, 2, 4, 2),
        ({"per_page": "2", "page": "9"}, 3, 0, 3, 2),
        ({"page": "9"}, 0, 0, 0, 1),
        ({"per_page": "2", "page": "99999999999999999999"}, 3, 0, 3, 2),
        ({"page": "-1", "per_page": "0"}, 2, 1, 2, 2),
        ({"page": "x", "per_page": "y"}, 2, 2, 2, 1),
    ],
)
def test_a_page_and_its_numbers(
    in_acme: Character, query: dict[str, str], count: int, shown: int, total: int, pages: int
) -> None:
    Agent.objects.all().delete()
    for number in range(count):
        Agent.objects.create(name=str(number), llm_settings=in_acme.agent.llm_settings)

    items, numbers = paginate(Request(APIRequestFactory().get("/", query)), Agent.objects.all(), per_page=10)

    assert (len(items), numbers["total"], numbers["pages"]) == (shown, total, pages)
    assert numbers["has_next"] == (numbers["page"] < pages)
    assert numbers["prev_page"] == (min(numbers["page"] - 1, pages) or None)
