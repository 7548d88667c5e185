"""A test client for tests that look at a company's rows between their requests."""

from __future__ import annotations

from typing import Any

from django.db import connection

from conftest import Character


class Within:
    """`client`, whose every request leaves the company's schema; afterwards this goes back into it."""

    def __init__(self, client: Any, who: Character) -> None:
        self._client, self._who = client, who

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            try:
                return method(*arguments, **options)
            finally:
                connection.set_tenant(self._who.company)  # type: ignore[attr-defined]  # of django-tenants

        return call
