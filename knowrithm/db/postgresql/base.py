"""Django's database backend with two walls between companies: the search path, and PostgreSQL's own rights.

django-tenants sets the search path to the company's schema. Here the connection also takes the company's role, which
owns that schema and no other: SQL that names a wrong schema is refused by PostgreSQL itself (docs/adr/0019).
"""

from __future__ import annotations

from collections.abc import Sequence
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

    def shared_row(self, query: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        """The first row of a query that names its tables in full (`public.…`), in one round trip.

        The search path may be any; the role is given up first, for it may be that of a company which is no more.
        """
        self._setting_search_path = True
        try:
            with self.cursor() as cursor:
                cursor.execute(f"SET ROLE NONE; {query}", parameters)
                cursor.nextset()
                row: tuple[Any, ...] | None = cursor.fetchone()
                return row
        finally:
            self._setting_search_path = False
            self.search_path_set_schemas = None
