"""Django's database backend with two walls between companies: the search path, and PostgreSQL's own rights.

django-tenants sets the search path to the company's schema. Here the connection also takes the company's role, which
owns that schema and no other: SQL that names a wrong schema is refused by PostgreSQL itself (docs/adr/0019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError
from django.db.backends.postgresql import operations
from django.db.backends.postgresql.base import ServerBindingCursor
from django_tenants.postgresql_backend import base

from knowrithm.db.schema import role_of


class DatabaseOperations(operations.DatabaseOperations):
    def last_executed_query(self, cursor: Any, sql: str, params: Any) -> str:
        """For logs. Of a prepared statement the driver does not keep the text."""
        return super().last_executed_query(cursor, sql, params) or sql


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]  # django-tenants has no types
    ops_class = DatabaseOperations
    schema_name: str
    search_path_set_schemas: Any
    _setting_search_path: bool

    def set_tenant(self, tenant: Any, include_public: bool = True) -> None:
        """The connection stays as it is until the next statement: it may be asked of the company of the last one."""
        in_force = self.search_path_set_schemas
        super().set_tenant(tenant, include_public)
        self.search_path_set_schemas = in_force

    def _handle_search_path(self, cursor: Any = None) -> None:
        """Role and search path in one round trip, before the first statement after a change of company.

        Both are undone by a rollback; django-tenants forgets then that they were set, and they are set anew.
        """
        if self._setting_search_path:
            return
        paths = self._get_cursor_search_paths()
        if paths == self.search_path_set_schemas:
            return
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
    def preparing(self) -> Iterator[None]:
        """PostgreSQL parses and plans each statement of this block once, and keeps that with the connection.

        Where it comes with another company's search path, PostgreSQL does it anew; rights are checked every time.
        """
        with self.cursor():  # sets role and search path: two statements in one cannot be prepared
            ordinary, self.connection.cursor_factory = self.connection.cursor_factory, ServerBindingCursor
        try:
            yield
        finally:
            if self.connection is not None:
                self.connection.cursor_factory = ordinary

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
