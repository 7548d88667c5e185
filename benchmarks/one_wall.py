"""The web process without the second wall (docs/adr/0019): the search path as django-tenants sets it, and no roles.

What `second_wall` compares the product with. Nothing in the product can switch the wall off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from knowrithm.asgi import application  # sets Django up
from knowrithm.db.postgresql.base import DatabaseWrapper

__all__ = ["application"]


def _shared_row(self: Any, query: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    self._setting_search_path = True  # the query names its tables in full
    try:
        with self.cursor() as cursor:
            cursor.execute(query, parameters)
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row
    finally:
        self._setting_search_path = False


del DatabaseWrapper._handle_search_path
DatabaseWrapper.shared_row = _shared_row  # type: ignore[method-assign]  # only the benchmark may do this
