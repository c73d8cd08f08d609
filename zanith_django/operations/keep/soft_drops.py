"""Soft drops: columns and tables are hidden, with their values kept in place."""

from __future__ import annotations

from dataclasses import dataclass

from zanith_django.operations.artifact_ids import SOFT_DROP_COLUMN, SOFT_DROP_TABLE
from zanith_django.operations.base import (
    KEPT_SCHEMA,
    Artifact,
    Context,
    Operation,
    Statement,
    alter_table,
    dropped_name,
    must_have,
    to_data,
)
from zanith_django.operations.constraint_clauses import drop_constraint
from zanith_django.operations.dependents import (
    what_contains,
    without_column,
)
from zanith_django.operations.extensions import make_schema
from zanith_django.operations.indexes import rename_index
from zanith_django.operations.keep.archive import key_of
from zanith_django.operations.keep.archives import ArchiveColumn
from zanith_django.operations.keep.kept import (
    OnColumn,
    OnKeptTable,
    refuse_dropping,
    renamed_indexes,
    typed,
)
from zanith_django.operations.keep.restores import RestoreColumn, RestoreTable
from zanith_django.operations.moves import TableMove
from zanith_django.operations.parts import dropping
from zanith_django.operations.sequences import (
    rename_sequence,
)
from zanith_django.operations.touches import Effect, Touch
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Column,
    SchemaGraph,
    Table,
)
from zanith_django.schema.parts import CARRIED, FOREIGN_KEYS, INDEXES, index_names

# A domain may forbid NULL, and DROP NOT NULL does not lift that. Domains may be nested.
_TO_BASE_TYPE = """\
DO $zanith$ DECLARE base text; BEGIN
  LOOP
    SELECT format_type(t.typbasetype, t.typtypmod) INTO base
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = {table}::regclass AND a.attname = {column} AND t.typtype = 'd';
    EXIT WHEN NOT FOUND;
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', {table}::regclass, {column}, base);
  END LOOP;
END $zanith$"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftDropColumn(OnColumn):
    """Hides a column under a name of zanith's and lifts all constraints that would make inserts or
    deletes of the new code fail; the values stay and `restoreColumn` restores everything.

    A subscriber of the table would stop at the hidden name: if a replication slot sends the table,
    the values go to an archive and the column is dropped."""

    kind = "softDropColumn"
    model: str = ""

    @classmethod
    def of(cls, table: Table, column: Column, model: str = "") -> SoftDropColumn:
        """The soft drop of `column` with everything on `table` that contains it.

        Raises `CannotDrop` for what cannot be lifted.
        """
        refuse_dropping(table, column)
        return cls(
            table=table.name, column=column, model=model, **what_contains(table, column.name)
        )

    def artifact_of(self, context: Context) -> str:
        return context.artifact_id(SOFT_DROP_COLUMN, self.target)

    def describe(self) -> str:
        return f"soft-drop column {self.target} (its values are kept)"

    def archived(self, context: Context) -> ArchiveColumn | None:
        """The archive that replaces the soft drop if a replication slot sends the table; None if
        not, or if no key identifies the rows."""
        table = must_have(context.graph, self.table)
        key = key_of(table, self.column.name) if table.replicated else ()
        if not key:
            return None
        return ArchiveColumn(
            table=self.table, column=self.column, key=key, model=self.model, **self.dependents
        )

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if archive := self.archived(context):
            return archive.statements(context)
        artifact_id = self.artifact_of(context)
        return (*self._lift(context), *self._aside(context, artifact_id), *self._hide(context))

    def retreat(self, context: Context) -> tuple[Statement, ...] | None:
        archive = self.archived(context)
        return archive.retreat(context) if archive else None

    def _lift(self, context: Context) -> list[Statement]:
        """Drops constraints that would make statements of new code fail, because it does not know
        the column."""
        table = self.table
        others = (part for part in CARRIED if part not in (FOREIGN_KEYS, INDEXES))
        items = [item for part in (FOREIGN_KEYS, *others) for item in part.of(self)]
        lifted = [s for item in items for s in dropping(table, item).statements(context)]
        for index in self.indexes:
            if index.unique:
                name = sql.qualified(table.schema or context.schema, index.name)
                lifted.append(self._exclusively(sql.compose("DROP INDEX {name}", name=name)))
        return lifted

    def _aside(self, context: Context, artifact_id: str) -> list[Statement]:
        """Renames plain indexes, so that a column of the same name can be made again."""
        return [
            rename_index(self.table, index.name, dropped_name(artifact_id, index.name), context)
            for index in self.indexes
            if not index.unique
        ]

    def _hide(self, context: Context) -> list[Statement]:
        column = sql.ident(self.column.name)
        changes = []
        if self.column.identity in ("always", "by default"):
            changes.append(sql.clause("ALTER COLUMN {column} DROP IDENTITY", column=column))
        if self.column.default is not None or self.column.identity == "serial":
            changes.append(sql.clause("ALTER COLUMN {column} DROP DEFAULT", column=column))
        if not self.column.nullable:
            changes.append(sql.clause("ALTER COLUMN {column} DROP NOT NULL", column=column))
        texts = []
        if changes:
            texts.append(alter_table(context, self.table, "{all}", all=sql.join(changes)))
        renamed = alter_table(
            context,
            self.table,
            "RENAME COLUMN {column} TO {hidden}",
            column=column,
            hidden=sql.ident(dropped_name(self.artifact_of(context))),
        )
        lifted = [self._exclusively(text) for text in texts]
        return [*lifted, *self._typed(_TO_BASE_TYPE, context), self._exclusively(renamed)]

    def inverse(self) -> Operation:
        return RestoreColumn(
            table=self.table, column=self.column, model=self.model, **self.dependents
        )

    def in_names_of(self, graph: SchemaGraph) -> Operation:
        return self.whole(graph)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: without_column(t, self.column.name))

    def touches(self, context: Context) -> tuple[Touch, ...]:
        if archive := self.archived(context):
            return archive.touches(context)
        return (Touch(Effect.HIDE, self.table, (self.column.name,)),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        if archive := self.archived(context):
            return archive.reasons(context)
        return ("drops_column_with_data", "breaks_running_code")

    def artifact(self, context: Context) -> Artifact:
        if archive := self.archived(context):
            return archive.artifact(context)
        artifact_id = self.artifact_of(context)
        restore = RestoreColumn(
            table=self.table,
            column=self.column,
            artifact_id=artifact_id,
            model=self.model,
            **self.dependents,
        )
        hidden = dropped_name(artifact_id)
        return Artifact(
            id=artifact_id,
            type=SOFT_DROP_COLUMN,
            table=self.table,
            column=self.column.name,
            physical_name=hidden,
            recovery_sql=";\n".join(s.sql for s in restore.statements(context)) + ";",
            count=sql.compose(
                "SELECT count({column}) FROM {table}",
                column=sql.ident(hidden),
                table=context.table(self.table),
            ),
            metadata={"restore": to_data(restore)},
        )

    @property
    def recoverable(self) -> bool:
        return True


def to_base_type(table: TableName, column: Column, name: str, context: Context) -> list[Statement]:
    """Changes the column, which is called `name` now, to the base type of its domain, which may
    forbid NULL."""
    return typed(_TO_BASE_TYPE, table, column, name, context)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftDropTable(OnKeptTable):
    """Moves a table with all its rows to zanith's schema; `restoreTable` restores it."""

    kind = "softDropTable"
    table: Table
    model: str = ""

    def artifact_of(self, context: Context) -> str:
        return context.artifact_id(SOFT_DROP_TABLE, self.target)

    @property
    def moves(self) -> tuple[TableMove, ...]:
        return (TableMove(old=self.table.name),)

    def describe(self) -> str:
        return f"soft-drop table {self.table.name} (its rows are kept)"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        """Drops foreign keys, because they would block deletes in the tables they point at, and
        renames indexes and sequences, so that a later soft drop may have the same names."""
        artifact_id = self.artifact_of(context)
        name, hidden = self.table.name, dropped_name(artifact_id)
        lifted = [
            drop_constraint(name, key.name, context, (name, key.references))
            for key in self.table.foreign_keys
        ]
        aside = [
            *renamed_indexes(name, self._aside_names(artifact_id), context),
            *(
                rename_sequence(name, column, dropped_name(artifact_id, f"{column} seq"), context)
                for column in self._sequences()
            ),
        ]
        renamed = alter_table(context, name, "RENAME TO {name}", name=sql.ident(hidden))
        shadow = sql.ident(KEPT_SCHEMA)
        back = TableName(name.schema, hidden)
        moved = alter_table(context, back, "SET SCHEMA {schema}", schema=shadow)
        exclusive = (
            Statement(renamed, Lock.ACCESS_EXCLUSIVE, (name,)),
            Statement(moved, Lock.ACCESS_EXCLUSIVE, (back,)),
        )
        return (make_schema(KEPT_SCHEMA), *lifted, *aside, *exclusive)

    def _aside_names(self, artifact_id: str) -> list[tuple[str, str]]:
        return [(name, dropped_name(artifact_id, name)) for name in index_names(self.table)]

    def inverse(self) -> Operation:
        return RestoreTable(table=self.table, model=self.model)

    def in_names_of(self, graph: SchemaGraph) -> Operation:
        return self.whole(graph)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.without_table(self.table.name)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.HIDE_TABLE, self.table.name),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_table_with_data", "breaks_running_code")

    def artifact(self, context: Context) -> Artifact:
        artifact_id = self.artifact_of(context)
        restore = RestoreTable(table=self.table, artifact_id=artifact_id, model=self.model)
        hidden = TableName(KEPT_SCHEMA, dropped_name(artifact_id))
        return Artifact(
            id=artifact_id,
            type=SOFT_DROP_TABLE,
            table=self.table.name,
            column="",
            physical_name=str(hidden),
            recovery_sql=";\n".join(s.sql for s in restore.statements(context)) + ";",
            count=sql.compose("SELECT count(*) FROM {table}", table=context.table(hidden)),
            metadata={"restore": to_data(restore)},
        )

    @property
    def own_sql(self) -> bool:
        return False  # it moves to a schema that all shadows of the database share

    @property
    def recoverable(self) -> bool:
        return True
