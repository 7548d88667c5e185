"""Queries that most requests make, compiled and planned once.

Django makes the SQL of a QuerySet anew each time that it is read, and PostgreSQL its plan. For a few rows both take
longer than finding them.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from django.db import connections
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)

# Where a `CompiledQuery` is to put the id that it is asked for, a second one, and a text.
ANY_ID = uuid.UUID("a11ce5ed-0000-4000-8000-00000000a11d")
OTHER_ID = uuid.UUID("07e21d00-0000-4000-8000-0000000a11ce")
ANY_TEXT = str(uuid.UUID("7e7e0000-0000-4000-8000-0000000a117e"))


class CompiledQuery(Generic[Row]):
    """The rows of the QuerySet that `rows` makes, any slice of them, or those of what `ANY_ID`, `OTHER_ID` and
    `ANY_TEXT` stand for.

    Nothing else in the QuerySet may change from one call to the next. What is kept is the text of the SQL, which names
    no schema: whose rows it finds is the connection's matter.
    """

    def __init__(self, rows: Callable[[], QuerySet[Row]]) -> None:
        self._rows = rows
        self._compiled: dict[tuple[int | None, int | None], _Compiled[Row]] = {}

    def __getitem__(self, part: slice) -> list[Row]:
        return list(self._read(part))

    def count(self) -> int:
        return self._rows().count()

    def get(self, row_id: uuid.UUID) -> Row | None:
        return next(iter(self.of(row_id)), None)

    def of(
        self, row_id: uuid.UUID | None = None, other_id: uuid.UUID | None = None, *, text: str | None = None
    ) -> list[Row]:
        return list(self._read(slice(None), row_id, other_id, text))

    def _read(self, part: slice, *asked: uuid.UUID | str | None) -> QuerySet[Row]:
        key = part.start, part.stop
        if key not in self._compiled:
            self._compiled[key] = self._compile(part)
        compiled = self._compiled[key]
        rows = compiled.rows.all()
        places = tuple(zip((ANY_ID, OTHER_ID, ANY_TEXT), asked, strict=False))
        given = tuple(next((one for place, one in places if value == place), value) for value in compiled.parameters)
        rows.query.get_compiler = partial(_compiler, compiled, given)  # type: ignore[method-assign]  # this one query's
        return rows

    def _compile(self, part: slice) -> _Compiled[Row]:
        rows = self._rows() if part == slice(None) else self._rows()[part]
        compiler = rows.query.get_compiler(rows.db)
        sql, parameters = compiler.as_sql()
        converters = compiler.get_converters([column for column, *_ in compiler.select])
        return _Compiled(rows, compiler, sql, tuple(parameters), converters)


@dataclass(frozen=True, slots=True)
class _Compiled(Generic[Row]):
    rows: QuerySet[Row]
    compiler: Any
    sql: str
    parameters: tuple[Any, ...]
    converters: dict[int, Any]


def _compiler(made: _Compiled[Any], parameters: tuple[Any, ...], using: str, *_: Any, **__: Any) -> Any:
    """A compiler for this thread's connection that has done its work."""
    compiler = copy.copy(made.compiler)
    compiler.connection = connections[using]
    compiler.as_sql = lambda *_, **__: (made.sql, parameters)
    compiler.get_converters = lambda _: made.converters
    compiler.execute_sql = partial(_execute, made.compiler.execute_sql.__func__, compiler)
    return compiler


def _execute(execute_sql: Callable[..., Any], compiler: Any, *arguments: Any, **options: Any) -> Any:
    with compiler.connection.preparing():
        return execute_sql(compiler, *arguments, **options)
