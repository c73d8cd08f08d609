"""Columns and tables that go for good once their values are copied away, and how they come back.

The copy lies in the schema of ours, told by its row count and a checksum of its content. While it
is made, others read and write: a journal notes what changes meanwhile, and only the last of it is
copied under the lock under which the column or table is dropped. The copy, the drop and the
artifact's row become so together: killed before, nothing is dropped; the next run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zanith_django.exceptions import CannotDrop
from zanith_django.operations.base import (
    KEPT_SCHEMA,
    NOTE,
    Artifact,
    Context,
    Operation,
    Statement,
    alter_table,
    apart,
    to_data,
)
from zanith_django.operations.constraint_clauses import drop_constraint
from zanith_django.operations.dependents import what_contains, without_column
from zanith_django.operations.extensions import make_schema
from zanith_django.operations.keep.kept import (
    OnColumn,
    OnWholeTable,
    archive_name,
    note_column,
    refuse_dropping,
)
from zanith_django.operations.keep.restores import RestoreColumn, RestoreTable
from zanith_django.operations.moves import TableMove
from zanith_django.operations.online.journal import Copying
from zanith_django.operations.online.scaffold import take_away
from zanith_django.operations.policies import DropPolicy
from zanith_django.operations.touches import Effect, Touch
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
    PrimaryKey,
    SchemaGraph,
    Table,
    Unique,
)

# {rows, two sums of parts of each row's hash}: no order matters, and what is copied again can be
# taken off and added. The session keeps it until the artifact's row is written.
KEPT = "zanith.archive"
_DIGEST = """\
SELECT ARRAY[count(*), coalesce(sum(high), 0), coalesce(sum(low), 0)]::numeric[] FROM (
    SELECT ('x' || left(hash, 16))::bit(64)::bigint AS high,
           ('x' || right(hash, 16))::bit(64)::bigint AS low
    FROM (SELECT encode(sha256(convert_to(_zanith_row::text, 'UTF8')), 'hex') AS hash
          FROM {archive} AS _zanith_row{where}) AS hashes
  ) AS parts"""

_CHECKSUM = "SELECT encode(sha256(convert_to({told}, 'UTF8')), 'hex')"

# A row's text depends on these.
_SPELLING = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "quote_all_identifiers": "off",
}

# The drop is tried and taken back, before hours go into a copy: what depends on the column or
# table is named now. So is a policy that hides rows from us, and a child that would go along.
_TRY = """\
DO $zanith$ BEGIN
  PERFORM set_config('row_security', 'off', true);
  LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
  PERFORM FROM {table} LIMIT 1;
  IF EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = {regclass}::regclass AND NOT c.relispartition) THEN
    RAISE EXCEPTION 'other tables inherit from %', {regclass};
  END IF;
  BEGIN
    {drop};
    RAISE EXCEPTION USING ERRCODE = 'ZZ001';
  EXCEPTION WHEN SQLSTATE 'ZZ001' THEN NULL;
  END;
END $zanith$"""

# Columns that were soft-dropped before take along the notes that say how to bring them back; and
# the archive has a list of what no graph tells of a table, for the day on which it is made again.
_CARRY = """\
DO $zanith$ DECLARE it record; also jsonb; BEGIN
  FOR it IN
    SELECT attname, col_description(attrelid, attnum) AS note FROM pg_catalog.pg_attribute
    WHERE attrelid = {table}::regclass AND attnum > 0 AND NOT attisdropped
      AND starts_with(attname, '_zanith_dropped_')
  LOOP
    EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', {archive}::regclass, it.attname, it.note);
  END LOOP;
  SELECT coalesce(jsonb_agg(text ORDER BY place, text), '[]') INTO also FROM (
    SELECT format('%I.%I', n.nspname, c.relname) AS name, c.*
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = {table}::regclass
  ) AS of, LATERAL (
    SELECT 1 AS place, format('ALTER TABLE %s OWNER TO %s', name, relowner::regrole) AS text
    UNION ALL
    SELECT 2, format('GRANT %s ON TABLE %s TO %s%s', privilege_type, name,
                     CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
                     CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM aclexplode(relacl)
    UNION ALL
    SELECT 2, format('GRANT %s (%I) ON TABLE %s TO %s%s', privilege_type, attname, name,
                     CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
                     CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_catalog.pg_attribute a, aclexplode(a.attacl)
    WHERE a.attrelid = of.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 3, format('ALTER TABLE %s REPLICA IDENTITY %s', name,
                     CASE relreplident WHEN 'n' THEN 'NOTHING' ELSE 'FULL' END)
    WHERE relreplident IN ('n', 'f')
    UNION ALL
    SELECT 3, format('ALTER TABLE %s CLUSTER ON %I', name, x.relname)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = of.oid AND i.indisclustered
    UNION ALL
    SELECT 3, format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', name, x.relname)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = of.oid AND i.indisreplident
    UNION ALL
    SELECT 4, format('ALTER PUBLICATION %I ADD TABLE %s%s%s', p.pubname, name,
      (SELECT format(' (%s)', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum))
       FROM pg_catalog.pg_attribute a
       WHERE a.attrelid = of.oid AND a.attnum = ANY (r.prattrs::int2[])
       HAVING count(*) > 0),
      ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')')
    FROM pg_catalog.pg_publication_rel r
    JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = of.oid
  ) AS told;
  EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', {archive}::regclass,
                 (SELECT attname FROM pg_catalog.pg_attribute
                  WHERE attrelid = {archive}::regclass AND attnum = {column}),
                 {opening} || jsonb_build_object('also', also)::text);
END $zanith$"""

# What an archive was made of is dropped only together with the end of it: then no other copy is.
_ONLY_COPY = """\
DO $zanith$ BEGIN
  IF to_regclass({archive}) IS NOT NULL AND NOT ({there}) THEN
    RAISE EXCEPTION 'the archive % holds the only copy of %', {archive}, {target};
  END IF;
END $zanith$"""


def digest(archive: sql.Composable, where: sql.Composable = sql.EMPTY) -> sql.Composable:
    """The query of the three numbers that tell a content."""
    return sql.clause(_DIGEST, archive=archive, where=where)


def pinned_spelling() -> str:
    """Until the end of the transaction, rows are spelled the same for everybody."""
    settings = sql.join(
        sql.clause(
            "set_config({name}, {value}, true)", name=sql.literal(name), value=sql.literal(value)
        )
        for name, value in _SPELLING.items()
    )
    return sql.compose("SELECT {settings}", settings=settings)


def content(archive: TableName) -> str:
    """The query of (rows, checksum) of an archive, as its artifact tells them."""
    return sql.compose(
        "SELECT told[1]::bigint, ({checksum}) FROM ({digest}) AS of_all (told)",
        checksum=sql.clause(_CHECKSUM, told=sql.clause("told::text")),
        digest=digest(sql.table(archive, KEPT_SCHEMA)),
    )


class _Archiving(Operation):
    """What the archives of a column and of a table have in common."""

    __slots__ = ()

    @property
    def own_sql(self) -> bool:
        return False  # it writes into a schema that every shadow of the database shares

    @property
    def recoverable(self) -> bool:
        return True

    def artifact_of(self, context: Context) -> str:
        raise NotImplementedError

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        """Only zanith_recover purge drops an archive whose values are nowhere else."""
        text = sql.compose(
            _ONLY_COPY,
            archive=sql.regclass(archive_name(self.artifact_of(context)), KEPT_SCHEMA),
            there=self._is_there(context),
            target=sql.literal(self.target),
        )
        staged = take_away(self.statements(context), self.tables, context)
        return (Statement(text, Lock.NONE), *staged)

    def _is_there(self, context: Context) -> sql.Composable:
        """A condition: what it archives has not been dropped."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _Archive:
    """One archive in the making: `columns` of the rows that `where` selects, told by `key`."""

    artifact_id: str
    table: TableName
    key: tuple[str, ...]
    columns: tuple[str, ...]
    where: sql.Composable
    drop: tuple[Statement, ...]
    context: Context

    @property
    def name(self) -> TableName:
        return archive_name(self.artifact_id)

    @property
    def _archive(self) -> sql.Composable:
        return self.context.table(self.name)

    @property
    def _table(self) -> sql.Composable:
        return self.context.table(self.table)

    def statements(self) -> tuple[Statement, ...]:
        if self.context.quiet(self.table):
            return self._at_once()
        copying = self._copying
        begun = [*self._begin(rows=False), *copying.begin()]
        counted = [_pinned(), self._counted()]
        ended = [_pinned(), self._locked(), self._last(copying)]
        gone = [*self._carried(), *self.drop, *copying.end(triggers=bool(self.columns))]
        return (
            *begun,
            copying.copy(),
            copying.catch_up(),
            *counted,
            *apart([*ended, *gone]),
        )

    def _at_once(self) -> tuple[Statement, ...]:
        """Nobody uses the table: one transaction."""
        made = self._begin(rows=True)
        counted = (_pinned(), self._counted())
        return (made[0], self._locked(), *made[1:], *counted, *self._carried(), *self.drop)

    def _carried(self) -> list[Statement]:
        """What goes with a whole table beside its rows."""
        if self.columns:
            return []
        archive = sql.regclass(self.name, KEPT_SCHEMA)
        text = sql.compose(
            _CARRY,
            table=sql.regclass(self.table, self.context.schema),
            archive=archive,
            column=note_column(archive),
            opening=sql.literal(NOTE),
        )
        return [Statement(text, Lock.NONE)]

    def _begin(self, *, rows: bool) -> list[Statement]:
        made = sql.compose(
            "CREATE TABLE {archive} AS SELECT {columns} FROM {table} AS t WHERE {where}{rows}",
            archive=self._archive,
            columns=self._selected,
            table=self._table,
            where=self.where,
            rows=sql.EMPTY if rows else sql.keyword(" WITH NO DATA"),
        )
        keyed = sql.compose(
            "ALTER TABLE {archive} ADD PRIMARY KEY ({key})",
            archive=self._archive,
            key=sql.idents(self.key),
        )
        probe = sql.compose(
            "SELECT CASE WHEN to_regclass({it}) IS NOT NULL THEN 'done' END",
            it=sql.regclass(self.name, KEPT_SCHEMA),
        )
        tried = [] if rows else [self._tried()]
        return [
            make_schema(KEPT_SCHEMA),
            *tried,
            Statement(made, Lock.ACCESS_SHARE, (self.table,), scans=rows, probe=probe),
            Statement(keyed, Lock.NONE),
        ]

    @property
    def _selected(self) -> sql.Composable:
        if not self.columns:
            return sql.clause("t.*")
        return sql.join(sql.clause("t.{name}", name=sql.ident(name)) for name in self.columns)

    @property
    def _copying(self) -> Copying:
        insert = sql.clause(
            "INSERT INTO {archive} SELECT {columns}", archive=self._archive, columns=self._selected
        )
        return Copying(
            table=self.table,
            key=self.key,
            target=self.name,
            insert=insert,
            name=self.artifact_id,
            context=self.context,
            where=self.where,
            watched=self.columns,
        )

    def _tried(self) -> Statement:
        text = sql.compose(
            _TRY,
            table=self._table,
            regclass=sql.regclass(self.table, self.context.schema),
            drop=sql.join((sql.composed(item.sql) for item in self.drop), ";\n    "),
        )
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))

    def _locked(self) -> Statement:
        text = sql.compose("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE", table=self._table)
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))

    def _counted(self) -> Statement:
        text = sql.compose(
            "SELECT set_config({kept}, ({digest})::text, false)",
            kept=sql.literal(KEPT),
            digest=digest(self._archive),
        )
        return Statement(text, Lock.NONE, scans=True)

    def _last(self, copying: Copying) -> Statement:
        noted = sql.clause(
            "\n    WHERE EXISTS (SELECT FROM {journal} AS j WHERE {same})",
            journal=self.context.table(copying.journal),
            same=sql.join(
                (
                    sql.clause("j.{name} = _zanith_row.{name}", name=sql.ident(name))
                    for name in self.key
                ),
                " AND ",
            ),
        )
        some = digest(self._archive, noted)
        total = sql.join(
            sql.clause(
                "_zanith_all[{n}] - _zanith_old[{n}] + _zanith_new[{n}]", n=sql.literal(number)
            )
            for number in (1, 2, 3)
        )
        keep = sql.clause(
            "PERFORM set_config({kept}, _zanith_all::text, false);", kept=sql.literal(KEPT)
        )
        return copying.last(
            declare=sql.clause(
                "DECLARE\n  _zanith_all numeric[] := current_setting({kept})::numeric[];\n"
                "  _zanith_old numeric[];\n  _zanith_new numeric[];\n",
                kept=sql.literal(KEPT),
            ),
            before=sql.clause("_zanith_old := ({digest});", digest=some),
            after=sql.clause(
                "_zanith_new := ({digest});\n    _zanith_all := ARRAY[{total}];\n    {keep}",
                digest=some,
                total=total,
                keep=keep,
            ),
            whole=sql.clause(
                "_zanith_all := ({digest});\n    {keep}", digest=digest(self._archive), keep=keep
            ),
        )

    def artifact(self, kind: str, column: str, restore: Operation) -> Artifact:
        kept = sql.literal(KEPT)
        statements = restore.statements(self.context)
        return Artifact(
            id=self.artifact_id,
            type=kind,
            table=self.table,
            column=column,
            physical_name=str(self.name),
            recovery_sql=";\n".join(statement.sql for statement in statements) + ";",
            count=sql.compose("SELECT (current_setting({kept})::numeric[])[1]::bigint", kept=kept),
            checksum=sql.compose(_CHECKSUM, told=sql.clause("current_setting({kept})", kept=kept)),
            metadata={"restore": to_data(restore)},
        )


def _pinned() -> Statement:
    return Statement(pinned_spelling(), Lock.NONE)


def key_of(table: Table, without: str = "") -> tuple[str, ...]:
    """The primary key, else a unique constraint over columns that cannot be NULL; () for none.

    `without` is a column that may not be part of it.
    """
    required = {column.name for column in table.columns if not column.nullable} - {without}
    keys = [table.primary_key] if table.primary_key else []
    every: list[PrimaryKey | Unique] = [*keys, *table.uniques]
    for key in every:
        if required.issuperset(key.columns) and not key.deferrable:
            return key.columns
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveColumn(OnColumn, _Archiving):
    """Copies the values of a column, each with the `key` of its row, and drops the column;
    `restoreColumn` adds it again and fills it by the key."""

    kind = "archiveColumn"
    table: TableName
    column: Column
    key: tuple[str, ...]
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    indexes: tuple[Index, ...] = ()
    policies: tuple[Policy, ...] = ()
    model: str = ""

    def __post_init__(self) -> None:
        OnColumn.__post_init__(self)
        if not self.key or self.column.name in self.key:
            raise CannotDrop(
                self.target,
                "archived values are told by the key of their row, and "
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
        return context.artifact_id("archive_column", self.target)

    def _is_there(self, context: Context) -> sql.Composable:
        return sql.clause(
            "EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass({table}) "
            "AND attname = {column} AND NOT attisdropped)",
            table=sql.regclass(self.table, context.schema),
            column=sql.literal(self.column.name),
        )

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return self._archive(context).statements()

    def _archive(self, context: Context) -> _Archive:
        """NULLs are not worth a row."""
        name = sql.ident(self.column.name)
        return _Archive(
            artifact_id=self.artifact_of(context),
            table=self.table,
            key=self.key,
            columns=(*self.key, self.column.name),
            where=sql.clause("t.{column} IS NOT NULL", column=name),
            drop=tuple(self._drop(context)),
            context=context,
        )

    def _drop(self, context: Context) -> Iterable[Statement]:
        """Policies and exclusions are in the way of DROP COLUMN; all else of its own table goes
        with it."""
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

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: without_column(t, self.column.name))

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.ARCHIVE_COLUMN, self.table, (self.column.name,)),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_column_with_data", "breaks_running_code", "requires_backfill")

    def artifact(self, context: Context) -> Artifact:
        restore = self._restore(self.artifact_of(context))
        return self._archive(context).artifact("archive_column", self.column.name, restore)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveTable(OnWholeTable, _Archiving):
    """Copies the rows of a table and drops it; `restoreTable` makes it again with its rows."""

    kind = "archiveTable"
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
        return context.artifact_id("archive_table", self.target)

    def _is_there(self, context: Context) -> sql.Composable:
        table = sql.regclass(self.table.name, context.schema)
        return sql.clause("to_regclass({table}) IS NOT NULL", table=table)

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return self._archive(context).statements()

    def _archive(self, context: Context) -> _Archive:
        """Whole rows: hidden columns of earlier soft drops too."""
        text = sql.compose("DROP TABLE {table}", table=context.table(self.table.name))
        return _Archive(
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
        return self._archive(context).artifact("archive_table", "", restore)
