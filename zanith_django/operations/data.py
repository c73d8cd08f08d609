"""Operations on rows, and the escape hatch: backfill, Python, raw SQL."""

from __future__ import annotations

import dataclasses
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zanith_django.operations.answers import DjangoCode
from zanith_django.operations.base import (
    Batches,
    Context,
    Default,
    OnTable,
    Operation,
    PythonCall,
    Statement,
)
from zanith_django.operations.column_sql import default_in_batches, update_in_batches
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph

WHOLE = 0
"""The position of a step that is a whole Django migration, one with an `apply()` of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill(OnTable):
    """Sets `column` where `where` holds, batch by batch: to the SQL expression `value`, or to what
    the callable at the dotted path `python` returns for each row. It is given the row, a dict by
    the names of the columns, if it requires an argument. Or to the `default` of a Django field.

    With `once`, `value` is computed a single time, so that every row has the same `now()`; it can
    then read no column. `where` must be false for a row once it is written; by default: the column
    is NULL.
    """

    kind = "backfill"
    counts_rows = True
    table: TableName
    column: str
    value: str = ""
    once: bool = False
    python: str = ""
    default: Default | None = None
    where: str = ""
    model: str = ""

    def __post_init__(self) -> None:
        OnTable.__post_init__(self)
        if sum(map(bool, (self.value, self.python, self.default))) != 1:
            raise ValueError("a backfill has a value, or python that makes it, or a default")

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column}"

    def describe(self) -> str:
        where = f" where {self.where}" if self.where else " where it is NULL"
        value = self.value or self.default or f"{self.python}()"
        return f"fill {self.target} with {value}{where}"

    @property
    def own_sql(self) -> bool:
        return bool(self.value)

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.column,)

    def statements(self, context: Context) -> tuple[Statement, ...]:
        column = sql.ident(self.column)
        where = (
            sql.catalog_text(self.where)
            if self.where
            else sql.clause("{column} IS NULL", column=column)
        )
        if self.python:
            return (self._by_python(where),)
        if self.default:
            return (default_in_batches(self.table, self.column, self.default, where, context),)
        value = sql.catalog_text(self.value)
        assignments = sql.clause("{column} = {value}", column=column, value=value)
        fill = update_in_batches(self.table, assignments, where, context)
        once = self.value if self.once else ""
        return (dataclasses.replace(fill, column=self.column if once else "", once=once),)

    def _by_python(self, where: sql.Fragment) -> Batches:
        return Batches(
            f"-- {' '.join(self.describe().split())}",
            Lock.ROW_EXCLUSIVE,
            (self.table,),
            transactional=False,
            scans=True,
            table=self.table,
            where=str(where),
            column=self.column,
            python=self.python,
        )

    def inverse(self) -> Operation | None:
        return None

    @property
    def loses_nothing(self) -> bool:
        """Does it write only rows without a value?"""
        return not self.where

    @property
    def filled_by(self) -> Default | str:
        return self.default or self.python

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("requires_backfill",)


class _Opaque(Operation):
    """Code whose effect on the schema only its author knows."""

    __slots__ = ()

    @property
    def tables(self) -> tuple[TableName, ...]:
        return ()

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph

    @property
    def own_sql(self) -> bool:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSql(_Opaque):
    """SQL as its author wrote it, in one transaction unless `atomic` is false."""

    kind = "rawSql"
    derived = False
    sql: str
    reverse_sql: str | None = None
    atomic: bool = True
    description: str = ""
    model: str = ""

    @property
    def target(self) -> str:
        return " ".join(self.sql.split())[:60]

    def describe(self) -> str:
        return f"run SQL: {self.description or self.target}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (Statement(self.sql, Lock.ACCESS_EXCLUSIVE, transactional=self.atomic, raw=True),)

    @property
    def authored(self) -> tuple[str | None, ...]:
        return (self.sql,)

    def inverse(self) -> Operation | None:
        if self.reverse_sql is None:
            return None
        return RawSql(
            sql=self.reverse_sql,
            reverse_sql=self.sql,
            atomic=self.atomic,
            description=self.description,
            model=self.model,
        )

    def reasons(self, context: Context) -> tuple[str, ...]:
        return () if self.reverse_sql is not None else ("irreversible",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPython(_Opaque):
    """The data step at `position` of a Django migration, with the historical models of exactly
    that point. It runs a RunPython, a RunSQL or an operation class of another package alike, at
    position `WHOLE` the migration itself."""

    kind = "runPython"
    migration: str
    position: int
    description: str = ""
    reversible: bool = False
    backwards: bool = False
    atomic: bool = True
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.migration}#{self.position}"

    def describe(self) -> str:
        undo = "undo " if self.backwards else ""
        return f"{undo}run {self.description or 'operation'} of {self.migration}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (
            PythonCall(
                f"-- {self.describe()}",
                Lock.ROW_EXCLUSIVE,
                transactional=self.atomic,
                migration=self.migration,
                position=self.position,
                backwards=self.backwards,
            ),
        )

    @property
    def authored(self) -> tuple[str | None, ...]:
        return (None,)

    @property
    def runs(self) -> DjangoCode:
        return DjangoCode(
            self.migration, self.position, self.description, self.reversible, self.backwards
        )

    @property
    def why_final(self) -> tuple[str, str]:
        return f"{self.description or 'its code'} has no reverse", (
            f"Give the operation of {self.migration} a reverse, or write a new migration."
        )

    def inverse(self) -> Operation | None:
        if not self.reversible:
            return None
        return RunPython(
            migration=self.migration,
            position=self.position,
            description=self.description,
            reversible=True,
            backwards=not self.backwards,
            atomic=self.atomic,
            model=self.model,
        )

    def reasons(self, context: Context) -> tuple[str, ...]:
        return () if self.reversible else ("irreversible",)


def callable_at(path: str) -> Callable[..., Any]:
    """The callable at a dotted path. Raises ImportError, AttributeError or ValueError."""
    found = pkgutil.resolve_name(path)
    if not callable(found):
        raise ValueError(f"{path} cannot be called")
    return found  # type: ignore[no-any-return]
