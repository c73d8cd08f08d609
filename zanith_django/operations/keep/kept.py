"""The common bases of the kinds that remove a column or table and of those that restore it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, LiteralString, Self

from zanith_django.exceptions import CannotDrop
from zanith_django.operations.base import (
    KEPT_SCHEMA,
    Context,
    OnTable,
    OnWholeTable,
    Operation,
    Statement,
    own_name,
    with_fields,
)
from zanith_django.operations.dependents import (
    generated_from,
    in_primary_key,
    mentions,
    what_contains,
)
from zanith_django.operations.indexes import rename_index
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Check,
    Column,
    Exclusion,
    ForeignKey,
    Index,
    Policy,
    SchemaGraph,
    Table,
    Unique,
)
from zanith_django.schema.parts import CARRIED

# Not the comment of the table: a kept table adds none to those that the database had.
_NOTE_COLUMN = """\
(SELECT min(attnum) FROM pg_catalog.pg_attribute
 WHERE attrelid = {table}::regclass AND attnum > 0 AND NOT attisdropped
   AND NOT starts_with(attname, '_zanith_dropped_'))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnColumn(OnTable):
    """The base of drops of a column that keep its values, and of its restore: a field for each
    carried part."""

    table: TableName
    column: Column
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    indexes: tuple[Index, ...] = ()
    policies: tuple[Policy, ...] = ()

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column.name}"

    @property
    def tables(self) -> tuple[TableName, ...]:
        others = (key.references for key in self.foreign_keys)
        return tuple(dict.fromkeys((self.table, *others)))

    @property
    def dependents(self) -> dict[str, Any]:
        return {part.field: part.of(self) for part in CARRIED}

    def whole(self, graph: SchemaGraph) -> Self:
        """The same with the live column and all parts that contain it, which would make code fail
        that does not know the column, or which a restore should recreate."""
        table = graph.table(self.table)
        column = table.column(self.column.name) if table else None
        if table is None or column is None:
            return self
        return with_fields(self, column=column, **what_contains(table, column.name))

    def _exclusively(self, text: str, probe: str = "") -> Statement:
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,), probe=probe)

    def _typed(self, template: LiteralString, context: Context) -> list[Statement]:
        return typed(template, self.table, self.column, self.column.name, context)


class OnKeptTable(OnWholeTable):
    """The base of drops of a table that keep its rows, and of its restore."""

    __slots__ = ()

    def whole(self, graph: SchemaGraph) -> Self:
        """The same with the live table."""
        live = graph.table(self.table.name)
        return with_fields(self, table=live) if live else self

    def _sequences(self) -> list[str]:
        return [column.name for column in self.table.columns if column.identity]


class Restore(Operation):
    """Restores a column or a table that a drop kept."""

    __slots__ = ()
    artifact_id: str
    model: str

    @property
    def key(self) -> tuple[str, ...]:
        """The key of an archived column's values; a soft-dropped column or a table needs none."""
        return ()

    @property
    def home(self) -> TableName:
        """The table that it restores, or the table of the restored column."""
        raise NotImplementedError

    @property
    def restored(self) -> Table:
        """The restored object: a whole table, or one with only the column and the parts that
        depend on it."""
        raise NotImplementedError

    @property
    def one_column(self) -> Column | None:
        """The restored column; None if it is a whole table."""
        raise NotImplementedError

    def with_parts(self, **parts: tuple[Any, ...]) -> Self:
        """The same restore with other items in some parts of `restored`."""
        raise NotImplementedError

    def is_back(self, graph: SchemaGraph) -> bool:
        """Does this schema have the restored object?"""
        live, column = graph.table(self.home), self.one_column
        return live is not None and (column is None or live.column(column.name) is not None)


def refuse_dropping(table: Table, column: Column) -> None:
    """Raises `CannotDrop` for a column that cannot be removed from its table."""
    target = f"{table.name}.{column.name}"
    if in_primary_key(table, column.name):
        raise CannotDrop(target, "it is part of the primary key")
    if mentions(table.partition_key, column.name):
        raise CannotDrop(target, "it is part of the partition key")
    for generated in generated_from(table, column.name):
        raise CannotDrop(target, f"the column {generated.name} is generated from it")


def typed(
    template: LiteralString, table: TableName, column: Column, name: str, context: Context
) -> list[Statement]:
    """Changes between a domain and its base type. A built-in type is no domain, and any other type
    is left as it is."""
    if "." not in column.type or column.type.endswith("]"):
        return []
    text = sql.compose(
        template,
        table=sql.regclass(table, context.schema),
        column=sql.literal(name),
        type=sql.literal(column.type),
    )
    return [Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))]


def renamed_indexes(
    table: TableName, names: Iterable[tuple[str, str]], context: Context
) -> list[Statement]:
    return [rename_index(table, old, new, context) for old, new in names]


def note_column(table: sql.Fragment) -> sql.Fragment:
    """The number of the column whose comment is the note on a whole kept table; NULL without one.

    `table` is a literal that `regclass` reads. Hidden columns have notes of their own.
    """
    return sql.clause(_NOTE_COLUMN, table=table)


def archive_name(artifact_id: str) -> TableName:
    """The table that holds an archive."""
    return TableName(KEPT_SCHEMA, own_name("archive", artifact_id))
