"""Columns and tables restored: soft-dropped ones by their names, archived ones by a copy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from zanith_django.operations.answers import Piece
from zanith_django.operations.artifact_ids import (
    ARCHIVE_COLUMN,
    ARCHIVE_TABLE,
    SOFT_DROP_COLUMN,
    SOFT_DROP_TABLE,
)
from zanith_django.operations.base import (
    KEPT_SCHEMA,
    KINDS,
    NOTE,
    Batches,
    Context,
    Operation,
    Statement,
    alter_table,
    apart,
    dropped_name,
    with_fields,
)
from zanith_django.operations.column_clauses import column_settings
from zanith_django.operations.column_sql import add_column, set_default, update_in_batches
from zanith_django.operations.column_values import AlterColumnIdentity, column_state
from zanith_django.operations.dependents import with_column
from zanith_django.operations.indexes import rename_index
from zanith_django.operations.keep.kept import (
    OnColumn,
    OnKeptTable,
    Restore,
    archive_name,
    note_column,
    renamed_indexes,
)
from zanith_django.operations.not_null import NotNull
from zanith_django.operations.parts import adding
from zanith_django.operations.policies import EnableRls
from zanith_django.operations.sequences import (
    default_from_sequence,
    rename_sequence,
    reseed,
    usual_name,
)
from zanith_django.operations.tables import CreateTable
from zanith_django.operations.triggers import make_triggers
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Column,
    Index,
    SchemaGraph,
    Table,
)
from zanith_django.schema.parts import ADDED, CARRIED, COLUMNS, FOREIGN_KEYS, index_names

_TO_TYPE = """\
DO $zanith$ BEGIN
  IF (SELECT atttypid FROM pg_catalog.pg_attribute
      WHERE attrelid = {table}::regclass AND attname = {column}) <> {type}::regtype THEN
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', {table}::regclass, {column}, {type});
  END IF;
END $zanith$"""

# Whole rows: columns that were soft-dropped before are restored as hidden columns.
_FILL = """\
DO $zanith$
DECLARE hidden record; names text;
BEGIN
  FOR hidden IN
    SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type,
           CASE WHEN c.oid IS NULL THEN ''
                ELSE format(' COLLATE %I.%I', c.collnamespace::regnamespace::name, c.collname) END
           AS collation, col_description(a.attrelid, a.attnum) AS note
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation AND c.oid <> t.typcollation
    WHERE a.attrelid = {archive}::regclass AND a.attnum > 0
      AND starts_with(a.attname, '_zanith_dropped_')
    ORDER BY a.attnum
  LOOP
    EXECUTE format('ALTER TABLE %s ADD %I %s%s', {table}::regclass, hidden.attname,
                   hidden.type, hidden.collation);
    EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', {table}::regclass, hidden.attname,
                   hidden.note);
  END LOOP;
  SELECT string_agg(quote_ident(attname), ', ') INTO names FROM pg_catalog.pg_attribute
  WHERE attrelid = {table}::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
  EXECUTE format('INSERT INTO %1$s (%3$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM %2$s',
                 {table}::regclass, {archive}::regclass, names);
END $zanith$"""

# What the note on the archive lists: owner, grants, replica identity, publications.
_ALSO = """\
DO $zanith$ DECLARE it text; note text := col_description({archive}::regclass, {column});
BEGIN
  IF starts_with(note, {opening}) THEN
    FOR it IN SELECT jsonb_array_elements_text(
      substr(note, length({opening}) + 1)::jsonb -> 'also')
    LOOP
      EXECUTE it;
    END LOOP;
  END IF;
END $zanith$"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreColumn(OnColumn, Restore):
    """Restores a column with its values, default, NOT NULL, constraints and indexes. `artifact_id`
    names its artifact; if it is empty, that of the same migration. `key` identifies the values of
    an archived column; a soft-dropped one needs none. `lost` names plain indexes that were not kept
    and are built again.
    """

    kind = "restoreColumn"
    artifact_id: str = ""
    key: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    model: str = ""

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.column.name,)

    def describe(self) -> str:
        return f"restore column {self.target} with its values"

    @property
    def own_sql(self) -> bool:
        return False  # an archive is in a schema that all shadows of the database share

    def artifact_of(self, context: Context) -> str:
        kind = ARCHIVE_COLUMN if self.key else SOFT_DROP_COLUMN
        return self.artifact_id or context.artifact_id(kind, self.target)

    def statements(self, context: Context) -> tuple[Statement, ...]:
        """Adds the column first, then scans all rows without blocking other sessions, and adds the
        binding constraints last, in one transaction."""
        if self.key:
            return self._from_archive(context)
        checks = self._checks(context)
        made = (index for index in self.indexes if self._built(index))
        unique = self._added((*self.uniques, *made), context)
        required = self._required(context)
        begun = [*self._show(context), *_brief(checks), *required.claim]
        looking = [*_long(checks), *required.check, *_long(unique)]
        binding = [*required.end, *_brief(unique), *self._bind(context)]
        return (*begun, *looking, *(apart(binding) if looking else binding))

    def _built(self, index: Index) -> bool:
        return index.unique or index.name in self.lost

    def _from_archive(self, context: Context) -> tuple[Statement, ...]:
        """Fills the column from the archive. No constraint applies to a row before it has its
        value."""
        checks = self._checks(context)
        built = self._added((*self.uniques, *self.indexes), context)
        required = self._required(context)
        archive = archive_name(self.artifact_of(context))
        filled = refill(self.table, self.column.name, self.key, archive, context)
        claimed = [*_brief(checks), *required.claim]
        looking = [*_long(checks), *required.check, *_long(built)]
        known = dataclasses.replace(context, graph=self.apply_to(context.graph))
        binding = [*required.end, *_brief(built), *self._bind(known), drop_archive(archive)]
        ended = apart(binding) if looking else binding
        return (*self._add(context), filled, *claimed, *looking, *ended)

    def _checks(self, context: Context) -> list[Statement]:
        checked = (item for part in ADDED if part.validated for item in part.of(self))
        return self._added(checked, context)

    def _required(self, context: Context) -> NotNull:
        if self.column.nullable:
            return NotNull()
        return NotNull.of(self.table, self.column.name, context)

    def _added(self, items: Iterable[Any], context: Context) -> list[Statement]:
        return [s for item in items for s in adding(self.table, item).statements(context)]

    def _add(self, context: Context) -> list[Statement]:
        """Adds the column as a new one. Its default is only for new rows."""
        bare = dataclasses.replace(self.column, nullable=True, default=None, identity="")
        probe = column_state(self.table, self.column.name, context)
        added = [dataclasses.replace(add_column(self.table, bare, context), probe=probe)]
        added += column_settings(self.table, bare, context)
        if self.column.default is not None:
            added.append(set_default(self.table, self.column, context))
        return added

    def _show(self, context: Context) -> list[Statement]:
        artifact_id = self.artifact_of(context)
        renamed = alter_table(
            context,
            self.table,
            "RENAME COLUMN {hidden} TO {column}",
            hidden=sql.ident(dropped_name(artifact_id)),
            column=sql.ident(self.column.name),
        )
        probe = column_state(self.table, self.column.name, context)
        shown = [self._exclusively(renamed, probe), *self._typed(_TO_TYPE, context)]
        for index in self.indexes:
            if not self._built(index):
                hidden = dropped_name(artifact_id, index.name)
                shown.append(rename_index(self.table, hidden, index.name, context))
        if self.column.default is not None:
            shown.append(set_default(self.table, self.column, context))
        if self.column.identity == "serial":
            shown.append(default_from_sequence(self.table, self.column.name, context))
        return shown

    def _bind(self, context: Context) -> list[Statement]:
        """Sets properties that block other sessions for an instant. The sequence of an archived
        serial was dropped with it; that of a soft-dropped one still exists."""
        table, column = self.table, self.column
        generators = ("always", "by default", "serial") if self.key else ("always", "by default")
        bound: list[Statement] = []
        if column.identity in generators:
            identity = AlterColumnIdentity(table=table, column=column.name, new=column.identity)
            bound += identity.statements(context)
        return [*bound, *self._added((*self.exclusions, *self.policies), context)]

    def inverse(self) -> Operation:
        """The kind that took it away; it is found by name, for that kind knows this one."""
        fields = {"table": self.table, "column": self.column, "model": self.model}
        if self.key:
            fields["key"] = self.key
        drop = KINDS["archiveColumn" if self.key else "softDropColumn"]
        return drop(**fields, **self.dependents)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        parts = (COLUMNS, *CARRIED)
        items = ((part, item) for part in parts for item in part.of(self.restored))
        return tuple(Piece(self.table, part, item) for part, item in items)

    @property
    def home(self) -> TableName:
        return self.table

    @property
    def restored(self) -> Table:
        return Table(self.table, (self.column,), **self.dependents)

    @property
    def one_column(self) -> Column:
        return self.column

    def with_parts(self, **parts: tuple[Any, ...]) -> Self:
        (column,) = parts.pop("columns", (self.column,))
        return with_fields(self, column=column, **parts)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: with_column(t, self.column, self.dependents))

    def reasons(self, context: Context) -> tuple[str, ...]:
        filled = ("requires_backfill",) if self.key else ()
        required = () if self.column.nullable else ("changes_column_nullable_to_not_null",)
        unique = ("adds_unique_constraint",) if self.uniques or self.exclusions else ()
        locked = ("locks_reads",) if self.exclusions else ()
        return ("adds_nullable_column", *filled, *required, *unique, *locked)


def refill(
    table: TableName, column: str, key: tuple[str, ...], archive: TableName, context: Context
) -> Batches:
    """Writes archived values to rows in which the column is NULL."""
    pairs = (
        sql.clause("kept.{name} = {table}.{name}", name=sql.ident(name), table=context.table(table))
        for name in key
    )
    kept = sql.clause(
        "FROM {archive} AS kept WHERE {same}",
        archive=context.table(archive),
        same=sql.join(pairs, " AND "),
    )
    name = sql.ident(column)
    return update_in_batches(
        table,
        sql.clause("{name} = (SELECT kept.{name} {kept})", name=name, kept=kept),
        sql.clause("{name} IS NULL AND EXISTS (SELECT {kept})", name=name, kept=kept),
        context,
    )


def drop_archive(archive: TableName) -> Statement:
    """Drops the archive in the last transaction of a restore, when all its values are restored."""
    text = sql.compose("DROP TABLE {archive}", archive=sql.table(archive, KEPT_SCHEMA))
    return Statement(text, Lock.NONE)


def _long(statements: Iterable[Statement]) -> list[Statement]:
    return [item for item in statements if item.separate or not item.transactional]


def _brief(statements: Iterable[Statement]) -> list[Statement]:
    return [item for item in statements if item.transactional and not item.separate]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTable(OnKeptTable, Restore):
    """Restores a table under its name with rows, indexes, policies and foreign keys. `artifact_id`
    names its artifact; if it is empty, that of the same migration. An `archived` table is created
    again and filled, a soft-dropped one is moved back.
    """

    kind = "restoreTable"
    table: Table
    artifact_id: str = ""
    archived: bool = False
    model: str = ""

    def describe(self) -> str:
        return f"restore table {self.table.name} with its rows"

    def artifact_of(self, context: Context) -> str:
        kind = ARCHIVE_TABLE if self.archived else SOFT_DROP_TABLE
        return self.artifact_id or context.artifact_id(kind, self.target)

    def brings_back(self, context: Context) -> TableName:
        artifact_id = self.artifact_of(context)
        if self.archived:
            return archive_name(artifact_id)
        return TableName(KEPT_SCHEMA, dropped_name(artifact_id))

    def statements(self, context: Context) -> tuple[Statement, ...]:
        keys = self._keys(context)
        now = [statement for statement in keys if not statement.separate]
        later = [statement for statement in keys if statement.separate]
        if not self.archived:
            return (*self._moved_back(context), *now, *later)
        archive = archive_name(self.artifact_of(context))
        # The archive is dropped at the end, because the next attempt after a kill reads the note on
        # it.
        return (*self._made_again(archive, context), *now, *later, drop_archive(archive))

    def _moved_back(self, context: Context) -> list[Statement]:
        artifact_id = self.artifact_of(context)
        name = self.table.name
        hidden = self.brings_back(context)
        schema = sql.ident(name.schema or context.schema)
        moved = alter_table(context, hidden, "SET SCHEMA {schema}", schema=schema)
        back = TableName(name.schema, hidden.name)
        renamed = alter_table(context, back, "RENAME TO {name}", name=sql.ident(name.name))
        indexes = [(dropped_name(artifact_id, index), index) for index in index_names(self.table)]
        sequences = [
            rename_sequence(name, column, usual_name(name, column), context)
            for column in self._sequences()
        ]
        return [
            Statement(moved, Lock.ACCESS_EXCLUSIVE, (hidden,), probe=self._probe(context)),
            Statement(renamed, Lock.ACCESS_EXCLUSIVE, (back,), probe=self._probe(context)),
            *renamed_indexes(name, indexes, context),
            *sequences,
        ]

    def _made_again(self, archive: TableName, context: Context) -> list[Statement]:
        """Creates the table in one transaction, because no session uses it yet; indexes come after
        the rows."""
        table, name = self.table, self.table.name
        later = [part for part in ADDED if part is not FOREIGN_KEYS and not part.is_constraint]
        without: dict[str, Any] = {part.field: () for part in (*later, FOREIGN_KEYS)}
        bare = dataclasses.replace(table, row_security=False, force_row_security=False, **without)
        first, *rest = CreateTable(table=bare).statements(context)
        copy = sql.regclass(archive, KEPT_SCHEMA)
        fill = sql.compose(_FILL, table=sql.regclass(name, context.schema), archive=copy)
        also = sql.compose(_ALSO, archive=copy, column=note_column(copy), opening=sql.literal(NOTE))
        more = [adding(name, item) for part in later for item in part.of(table)]
        if table.row_security:
            more.append(EnableRls(table=name, force=table.force_row_security))
        new = dataclasses.replace(context, fresh=context.fresh | {name})
        return [
            dataclasses.replace(first, probe=self._probe(context)),
            *rest,
            Statement(fill, Lock.ROW_EXCLUSIVE, (name,)),
            *(reseed(name, column, context) for column in self._sequences()),
            *(statement for item in more for statement in item.statements(new)),
            *make_triggers(name, table.triggers, context),
            Statement(also, Lock.ACCESS_EXCLUSIVE, (name,)),
        ]

    def _probe(self, context: Context) -> str:
        return sql.compose(
            "SELECT CASE WHEN to_regclass({table}) IS NOT NULL THEN 'done' END",
            table=sql.regclass(self.table.name, context.schema),
        )

    def _keys(self, context: Context) -> list[Statement]:
        keys = (adding(self.table.name, key) for key in self.table.foreign_keys)
        return [statement for key in keys for statement in key.statements(context)]

    def inverse(self) -> Operation:
        """The kind that took it away; it is found by name, for that kind knows this one."""
        drop = KINDS["archiveTable" if self.archived else "softDropTable"]
        return drop(table=self.table, model=self.model)  # type: ignore[call-arg]

    @property
    def creates_table(self) -> Table:
        return self.table

    @property
    def home(self) -> TableName:
        return self.table.name

    @property
    def restored(self) -> Table:
        return self.table

    @property
    def one_column(self) -> None:
        return None

    def with_parts(self, **parts: tuple[Any, ...]) -> Self:
        changes: dict[str, Any] = {**parts}
        return with_fields(self, table=dataclasses.replace(self.table, **changes))

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.with_table(self.table)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()

    @property
    def own_sql(self) -> bool:
        return False  # it moves from a schema that all shadows of the database share
