"""Columns and tables that are dropped after their values are archived, and how to restore them.

The copy is in zanith's schema, identified by its row count and a checksum of its content. While it
is made, others read and write: a journal notes the changes, and only the last of them are copied
under the lock under which the column or table is dropped. The copy, the drop and the artifact's
row commit together: if the run is killed before, nothing is dropped, and the next run resumes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zanith_django.exceptions import CannotDrop
from zanith_django.operations.artifact_ids import ARCHIVE_COLUMN, ARCHIVE_TABLE
from zanith_django.operations.base import (
    KEPT_SCHEMA,
    Artifact,
    Context,
    Operation,
    Statement,
    alter_table,
)
from zanith_django.operations.constraint_clauses import drop_constraint
from zanith_django.operations.dependents import what_contains, without_column
from zanith_django.operations.keep.archive import ONLY_COPY, Archive, key_of
from zanith_django.operations.keep.kept import (
    OnColumn,
    OnKeptTable,
    archive_name,
    refuse_dropping,
)
from zanith_django.operations.keep.restores import RestoreColumn, RestoreTable
from zanith_django.operations.moves import TableMove
from zanith_django.operations.online.scaffold import remove_scaffold
from zanith_django.operations.policies import DropPolicy
from zanith_django.operations.touches import Effect, Touch
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.schema.graph import (
    Column,
    SchemaGraph,
    Table,
)


class _Archiving(Operation):
    """The base of the archives of a column and of a table."""

    __slots__ = ()

    @property
    def own_sql(self) -> bool:
        return False  # it writes to a schema that all shadows of the database share

    @property
    def recoverable(self) -> bool:
        return True

    def artifact_of(self, context: Context) -> str:
        raise NotImplementedError

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        """Only zanith_recover purge drops an archive that is the only copy of its values."""
        text = sql.compose(
            ONLY_COPY,
            archive=sql.regclass(archive_name(self.artifact_of(context)), KEPT_SCHEMA),
            there=self._exists(context),
            target=sql.literal(self.target),
        )
        staged = remove_scaffold(self.statements(context), self.tables, context)
        return (Statement(text, Lock.NONE), *staged)

    def _exists(self, context: Context) -> sql.Fragment:
        """A condition: the archived object has not been dropped yet."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveColumn(OnColumn, _Archiving):
    """Copies the values of a column, each with the `key` of its row, and drops the column;
    `restoreColumn` adds it again and fills it by the key."""

    kind = "archiveColumn"
    derived = False
    key: tuple[str, ...]
    model: str = ""

    def __post_init__(self) -> None:
        OnColumn.__post_init__(self)
        if not self.key or self.column.name in self.key:
            raise CannotDrop(
                self.target,
                "archived values are identified by the key of their row, and "
                f"{self.table} has no primary key or unique NOT NULL columns besides it",
                "Add a primary key first, or soft-drop the column: softDropColumn needs no key.",
            )

    @classmethod
    def of(cls, table: Table, column: Column, model: str = "") -> ArchiveColumn:
        """The archive of `column` with everything on `table` that contains it.

        Raises `CannotDrop` for what cannot be dropped and for a table without a key.
        """
        refuse_dropping(table, column)
        return cls(
            table=table.name,
            column=column,
            key=key_of(table, column.name),
            model=model,
            **what_contains(table, column.name),
        )

    def describe(self) -> str:
        return f"archive column {self.target} (its values are kept in {KEPT_SCHEMA})"

    def artifact_of(self, context: Context) -> str:
        return context.artifact_id(ARCHIVE_COLUMN, self.target)

    def _exists(self, context: Context) -> sql.Fragment:
        return sql.clause(
            "EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass({table}) "
            "AND attname = {column} AND NOT attisdropped)",
            table=sql.regclass(self.table, context.schema),
            column=sql.literal(self.column.name),
        )

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return self._archive(context).statements()

    def _archive(self, context: Context) -> Archive:
        """The archive, without rows for NULLs."""
        name = sql.ident(self.column.name)
        return Archive(
            artifact_id=self.artifact_of(context),
            table=self.table,
            key=self.key,
            columns=(*self.key, self.column.name),
            where=sql.clause("t.{column} IS NOT NULL", column=name),
            drop=tuple(self._drop(context)),
            context=context,
        )

    def _drop(self, context: Context) -> Iterable[Statement]:
        """Drops the column. Policies and exclusions would block that and are dropped first; DROP
        COLUMN drops the other dependents of its own table."""
        for exclusion in self.exclusions:
            yield drop_constraint(self.table, exclusion.name, context)
        for policy in self.policies:
            yield from DropPolicy(table=self.table, policy=policy).statements(context)
        text = alter_table(
            context, self.table, "DROP COLUMN {column}", column=sql.ident(self.column.name)
        )
        yield Statement(text, Lock.ACCESS_EXCLUSIVE, self.tables)

    def _restore(self, artifact_id: str = "") -> RestoreColumn:
        return RestoreColumn(
            table=self.table,
            column=self.column,
            artifact_id=artifact_id,
            key=self.key,
            model=self.model,
            **self.dependents,
        )

    def inverse(self) -> Operation:
        return self._restore()

    def in_names_of(self, graph: SchemaGraph) -> Operation:
        return self.whole(graph)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: without_column(t, self.column.name))

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.ARCHIVE_COLUMN, self.table, (self.column.name,)),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_column_with_data", "breaks_running_code", "requires_backfill")

    def artifact(self, context: Context) -> Artifact:
        restore = self._restore(self.artifact_of(context))
        return self._archive(context).artifact(ARCHIVE_COLUMN, self.column.name, restore)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveTable(OnKeptTable, _Archiving):
    """Copies the rows of a table and drops it; `restoreTable` makes it again with its rows."""

    kind = "archiveTable"
    derived = False
    table: Table
    model: str = ""

    def __post_init__(self) -> None:
        table = self.table
        if table.partition_key or table.partition_of:
            raise CannotDrop(
                self.target,
                "an archive holds one plain table, and this one is partitioned",
                "Soft-drop it: softDropTable keeps a table as it is.",
            )
        if not key_of(table):
            raise CannotDrop(
                self.target,
                "rows are copied by their key while others write, and "
                f"{table.name} has no primary key or unique NOT NULL columns",
                "Add a primary key first, or soft-drop it: softDropTable needs no key.",
            )

    @property
    def moves(self) -> tuple[TableMove, ...]:
        return (TableMove(old=self.table.name),)

    def describe(self) -> str:
        return f"archive table {self.table.name} (its rows are kept in {KEPT_SCHEMA})"

    def artifact_of(self, context: Context) -> str:
        return context.artifact_id(ARCHIVE_TABLE, self.target)

    def _exists(self, context: Context) -> sql.Fragment:
        table = sql.regclass(self.table.name, context.schema)
        return sql.clause("to_regclass({table}) IS NOT NULL", table=table)

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return self._archive(context).statements()

    def _archive(self, context: Context) -> Archive:
        """An archive of whole rows, with hidden columns of earlier soft drops."""
        text = sql.compose("DROP TABLE {table}", table=context.table(self.table.name))
        return Archive(
            artifact_id=self.artifact_of(context),
            table=self.table.name,
            key=key_of(self.table),
            columns=(),
            where=sql.keyword("TRUE"),
            drop=(Statement(text, Lock.ACCESS_EXCLUSIVE, self.tables),),
            context=context,
        )

    def inverse(self) -> Operation:
        return RestoreTable(table=self.table, archived=True, model=self.model)

    def in_names_of(self, graph: SchemaGraph) -> Operation:
        return self.whole(graph)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.without_table(self.table.name)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.ARCHIVE_TABLE, self.table.name),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_table_with_data", "breaks_running_code", "requires_backfill")

    def artifact(self, context: Context) -> Artifact:
        artifact_id = self.artifact_of(context)
        restore = RestoreTable(
            table=self.table, artifact_id=artifact_id, archived=True, model=self.model
        )
        return self._archive(context).artifact(ARCHIVE_TABLE, "", restore)
