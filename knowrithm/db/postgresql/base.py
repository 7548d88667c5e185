"""Django's database backend with two walls between companies: the search path, and PostgreSQL's own rights.

django-tenants sets the search path to the company's schema. Here the connection also takes the company's role, which
owns that schema and no other: SQL that names a wrong schema is refused by PostgreSQL itself (docs/adr/0019).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError
from django_tenants.postgresql_backend import base

from knowrithm.db.schema import role_of


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]  # django-tenants has no types
    schema_name: str
    search_path_set_schemas: Any
    _setting_search_path: bool

    def _handle_search_path(self, cursor: Any = None) -> None:
        """Role and search path in one round trip, before the first statement after a change of company.

        Both are undone by a rollback; django-tenants forgets then that they were set, and they are set anew.
        """
        if self._setting_search_path or self.search_path_set_schemas:
            return
        paths = self._get_cursor_search_paths()
        quoted = ", ".join(f'"{path}"' for path in paths)  # checked by _get_cursor_search_paths
        role = role_of(self.schema_name)
        statement = f"SET ROLE {self.ops.quote_name(role) if role else 'NONE'}; SET search_path = {quoted}"
        self._setting_search_path = True
        try:
            if cursor is None:
                with self.connection.cursor() as own:
                    own.execute(statement)
            else:
                cursor.execute(statement)
            self.search_path_set_schemas = paths
        except DatabaseError:  # in a transaction that has failed; the rollback comes next
            self.search_path_set_schemas = None
        finally:
            self._setting_search_path = False

    @contextmanager
    def shared_cursor(self) -> Iterator[Any]:
        """A cursor for shared tables under their full names: the pool hands connections over without role and path."""
        self.ensure_connection()
        self._setting_search_path = True
        try:
            cursor = self.cursor()
        finally:
            self._setting_search_path = False
        with cursor:
            yield cursor
