"""A table written anew while everybody works: a copy, kept in step by a journal of changed keys,
takes the table's place in one short transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from zanith_django.operations.base import (
    KEPT_SCHEMA,
    Artifact,
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    dropped_name,
    must_have,
    phased,
    to_data,
)
from zanith_django.operations.column_values import AlterColumnIdentity
from zanith_django.operations.columns import AddGeneratedColumn
from zanith_django.operations.constraint_clauses import drop_constraint, rename_constraint
from zanith_django.operations.constraints import AddCheck, AddExclusion
from zanith_django.operations.dependents import referrers_to, without_column
from zanith_django.operations.extensions import make_schema
from zanith_django.operations.foreign_keys import AddForeignKey
from zanith_django.operations.indexes import AddIndex, rename_index
from zanith_django.operations.keep.restores import RestoreTable
from zanith_django.operations.online.journal import Copying
from zanith_django.operations.online.rewrites import INTEGERS, assigns
from zanith_django.operations.online.scaffold import take_away
from zanith_django.operations.policies import CreatePolicy, EnableRls
from zanith_django.operations.replica_identity import around
from zanith_django.operations.sequences import hand_over_sequence
from zanith_django.operations.tables import CreateTable
from zanith_django.operations.touches import Effect, Touch
from zanith_django.operations.triggers import (
    make_triggers,
    switch_trigger,
    triggers_on,
    whole_row_triggers,
)
from zanith_django.operations.uniques import AddUnique, AlterPrimaryKey
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Column,
    Exclusion,
    ForeignKey,
    Index,
    PrimaryKey,
    SchemaGraph,
    Table,
    Unique,
)

COPY = "copy: a second table, a journal of the keys that change, and the rows that are there"
PREPARE = "prepare: indexes of the copy, and what changed meanwhile, while everybody works"
SWAP = "swap: one short transaction"
VALIDATE = "validate: foreign keys, while everybody works"

# What would stay with the old table, or cannot be carried over.
_GUARD = """\
DO $zanith$ DECLARE found text; BEGIN
  SELECT string_agg(DISTINCT what, ', ') INTO found FROM (
    SELECT pg_describe_object(d.classid, d.objid, 0) AS what
    FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = {table}::regclass
      AND (d.classid IN ('pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_proc'::regclass,
                         'pg_catalog.pg_publication_rel'::regclass,
                         'pg_catalog.pg_statistic_ext'::regclass)
           OR d.classid = 'pg_catalog.pg_policy'::regclass AND EXISTS (
               SELECT FROM pg_catalog.pg_policy p
               WHERE p.oid = d.objid AND p.polrelid <> d.refobjid))
    UNION ALL
    SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_type t ON t.oid IN (c.reltype, (
        SELECT typarray FROM pg_catalog.pg_type WHERE oid = c.reltype))
    JOIN pg_catalog.pg_depend d
      ON d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid = t.oid AND d.deptype = 'n'
    WHERE c.oid = {table}::regclass
    UNION ALL
    SELECT 'partition or heir ' || i.inhrelid::regclass || ' of ' || i.inhparent::regclass
    FROM pg_catalog.pg_inherits i WHERE {table}::regclass IN (i.inhrelid, i.inhparent)
    UNION ALL
    SELECT 'unfinished change ' || attname FROM pg_catalog.pg_attribute
    WHERE attrelid = {table}::regclass AND attname LIKE '\\_zanith\\_%' AND NOT attisdropped
      AND attname NOT LIKE '\\_zanith\\_dropped\\_%'
    UNION ALL
    SELECT 'row security, which hides rows from ' || current_user
    WHERE row_security_active({table}::regclass)
  ) AS hindrances;
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'cannot rebuild %: % is in the way', {target}, found
      USING ERRCODE = 'dependent_objects_still_exist';
  END IF;
END $zanith$"""

_NO_KEY = """\
DO $zanith$ BEGIN
  RAISE EXCEPTION 'cannot rebuild %: it has no primary key and no unique key without NULLs',
    {target};
END $zanith$"""

# Owner and grants of the table and its columns: no graph holds them.
_COPY_GRANTS = """\
DO $zanith$ DECLARE one record; BEGIN
  IF (SELECT relowner FROM pg_catalog.pg_class WHERE oid = {table}::regclass)
     <> (SELECT relowner FROM pg_catalog.pg_class WHERE oid = {copy}::regclass) THEN
    EXECUTE format('ALTER TABLE %s OWNER TO %I', {copy}::regclass, (
      SELECT pg_get_userbyid(relowner) FROM pg_catalog.pg_class WHERE oid = {table}::regclass));
  END IF;
  FOR one IN
    SELECT g.*, '' AS only FROM pg_catalog.pg_class c, aclexplode(c.relacl) AS g
    WHERE c.oid = {table}::regclass
    UNION ALL
    SELECT g.*, format(' (%I)', a.attname)
    FROM pg_catalog.pg_attribute a, aclexplode(a.attacl) AS g
    WHERE a.attrelid = {table}::regclass AND NOT a.attisdropped AND EXISTS (
      SELECT FROM pg_catalog.pg_attribute n WHERE n.attrelid = {copy}::regclass
        AND n.attname = a.attname)
  LOOP
    EXECUTE format('GRANT %s%s ON %s TO %s%s', one.privilege_type, one.only, {copy}::regclass,
      CASE one.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(one.grantee)) END,
      CASE WHEN one.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
  END LOOP;
END $zanith$"""

# What soft drops keep is in no graph: columns, whose values nobody changes, and indexes. The copy
# gets them from the table, row by row.
_CARRY = """\
DO $zanith$ DECLARE one record; _zanith_from text; _zanith_to text; BEGIN
  FOR one IN
    SELECT attname, format_type(atttypid, atttypmod) AS type,
           quote_ident(n.nspname) || '.' || quote_ident(c.collname) AS named
    FROM pg_catalog.pg_attribute
    LEFT JOIN pg_catalog.pg_type t ON t.oid = atttypid
    LEFT JOIN pg_catalog.pg_collation c ON c.oid = attcollation AND c.oid <> t.typcollation
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
    WHERE attrelid = {table}::regclass AND attname LIKE '\\_zanith\\_dropped\\_%'
      AND NOT attisdropped
  LOOP
    EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', {copy}::regclass, one.attname,
      concat_ws(' COLLATE ', one.type, one.named));
    _zanith_from := concat_ws(', ', _zanith_from, format('t.%I', one.attname));
    _zanith_to := concat_ws(', ', _zanith_to, format('NEW.%I', one.attname));
  END LOOP;
  IF _zanith_to IS NULL THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS %L',
    format('BEGIN SELECT %s INTO %s FROM %s AS t WHERE %s; RETURN NEW; END', _zanith_from,
      _zanith_to, {table}::regclass, {same}));
  EXECUTE format('CREATE TRIGGER %I BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION '
    '{function}()', {trigger}, {copy}::regclass);
  FOR one IN
    SELECT c.relname, pg_get_indexdef(c.oid) AS definition
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = {table}::regclass AND c.relname LIKE '\\_zanith\\_dropped\\_%'
  LOOP
    EXECUTE format('CREATE %sINDEX %I ON %s %s',
      CASE WHEN one.definition LIKE 'CREATE UNIQUE%' THEN 'UNIQUE ' END,
      replace(one.relname, '_dropped_', '_moved_'), {copy}::regclass,
      substr(one.definition, position(' USING ' IN one.definition)));
  END LOOP;
END $zanith$"""

_CARRIED = """\
DO $zanith$ DECLARE one record; BEGIN
  FOR one IN
    SELECT c.oid::regclass AS name, c.relname
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = {table}::regclass AND c.relname LIKE '\\_zanith\\_moved\\_%'
  LOOP
    EXECUTE format('ALTER INDEX %s RENAME TO %I', one.name,
      replace(one.relname, '_moved_', '_dropped_'));
  END LOOP;
  IF to_regprocedure({signature}) IS NOT NULL THEN
    DROP TRIGGER {trigger} ON {name};
    DROP FUNCTION {function}();
  END IF;
END $zanith$"""

# PostgreSQL refuses a BEFORE trigger whose WHEN reads the whole new row of a table with generated
# columns, but keeps one that is older than they are: so it is made before they are added. It is
# disabled until the swap.
_CARRY_TRIGGERS = """\
DO $zanith$ DECLARE one record; BEGIN
  FOR one IN
    SELECT t.tgname, pg_get_triggerdef(t.oid) AS definition,
           format(' ON %I.%I ', n.nspname, c.relname) AS place
    FROM pg_catalog.pg_trigger t
    JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgrelid = {table}::regclass AND t.tgname IN ({names})
  LOOP
    EXECUTE overlay(one.definition PLACING format(' ON %s ', {copy}::regclass)
      FROM position(one.place IN one.definition) FOR length(one.place));
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', {copy}::regclass, one.tgname);
  END LOOP;
END $zanith$"""

# The changed keys and their rows are read by one statement, so by one snapshot: the copy is
# afterwards just what the table was at that moment, and no unique key of it can be in the way.
_REPLAY = """\
DO $zanith$ BEGIN
  IF to_regclass({there}) IS NULL THEN  -- an earlier run swapped them already
    RETURN;
  END IF;
  DELETE FROM {journal} WHERE {any} IS NULL;
  IF FOUND THEN
    INSERT INTO {journal} ({key}) SELECT {key} FROM {copy};
  END IF;
  WITH taken AS (DELETE FROM {journal} WHERE {any} IS NOT NULL RETURNING {key})
  INSERT INTO {rows} SELECT k.*, t.*
  FROM (SELECT DISTINCT {key} FROM taken) AS k LEFT JOIN {table} AS t ON {same};
  DELETE FROM {copy} AS t USING {rows} AS k WHERE {gone};
  INSERT INTO {copy} ({columns})
  SELECT {values} FROM {rows} AS {alias} WHERE {alias}.{any} IS NOT NULL;
  TRUNCATE {rows};
END $zanith$"""

# The value that the one of now was made of, where nobody wrote another since.
_KEPT_OR: Final = """\
(SELECT CASE WHEN record_image_eq(ROW(kept.made), ROW(now._zanith_value)) THEN kept.value
             ELSE {value} END
 FROM (SELECT {keys}, {column} AS _zanith_value) AS now
 LEFT JOIN LATERAL (SELECT ({was})::{type} AS made, {column} AS value
                    FROM {kept} AS {alias} WHERE {same}) AS kept ON TRUE)"""

_ANALYZE = """\
DO $zanith$ BEGIN
  IF to_regclass({there}) IS NOT NULL THEN
    EXECUTE 'ANALYZE ' || {name};
  END IF;
END $zanith$"""

_VALIDATE = """\
DO $zanith$ DECLARE one record; BEGIN
  FOR one IN SELECT * FROM {noted} LOOP
    EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', one.holder::regclass, one.name);
  END LOOP;
  DROP TABLE {noted};
END $zanith$"""

_VALIDATED = """\
SELECT CASE WHEN to_regclass({aside}) IS NOT NULL AND to_regclass({noted}) IS NULL
            THEN 'done' END"""

_SWAPPED = """\
SELECT CASE WHEN to_regclass({aside}) IS NOT NULL THEN 'done' END"""

_INDEXED = """\
SELECT CASE WHEN to_regclass({aside}) IS NOT NULL OR to_regclass({index}) IS NOT NULL
            THEN 'done' END"""

_COPIED = """\
SELECT CASE WHEN to_regclass({aside}) IS NOT NULL OR to_regclass({copy}) IS NOT NULL
            THEN 'done' END"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildTable(OnTable):
    """Writes a table anew without stopping anybody; the old one is kept.

    Without `new` it stays as it is, without its dead rows. With it, `old` and `new` are all
    columns before and after, in their order; `values` are (column, SQL expression) of those whose
    value is not that of the old column. What hangs on a column that goes, goes with it. `undo`
    tells that it takes an earlier rebuild back.
    """

    kind = "rebuildTable"
    table: TableName
    old: tuple[Column, ...] = ()
    new: tuple[Column, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    undo: bool = False
    model: str = ""

    def describe(self) -> str:
        was, will = {c.name for c in self.old}, {c.name for c in self.new}
        changed = sorted(c.name for c in self.new if c.name in was and c not in self.old)
        parts = (("without", sorted(was - will)), ("with", sorted(will - was)), ("other", changed))
        told = [f"{word} {', '.join(names)}" for word, names in parts if names]
        return f"rebuild table {self.table}" + (f" ({'; '.join(told)})" if told else "")

    def statements(self, context: Context) -> tuple[Statement, ...]:
        table = context.graph.table(self.table)
        if table is None:  # nothing is known of it: a plan without a database
            return (Statement(f"-- {self.describe()}", Lock.ACCESS_EXCLUSIVE, (self.table,)),)
        return self.statements_of(self.after(table), context)

    def statements_of(self, after: Table, context: Context) -> tuple[Statement, ...]:
        """The same with another table at the end, one of the same columns."""
        table = must_have(context.graph, self.table)
        return tuple(_Rebuild(self, table, after, context).statements())

    @property
    def given(self) -> dict[str, str]:
        """{column: SQL of its value}, where it is not that of the old column."""
        return {} if self.undo else dict(self.values)

    def after(self, table: Table) -> Table:
        """The table with its new columns."""
        if not self.new:
            return table
        kept = {column.name for column in self.new}
        for name in set(table.column_names) - kept:
            for trigger in triggers_on(table, name):
                table = table.without_item("triggers", trigger.name)
            table = without_column(table, name)
        return dataclasses.replace(table, columns=self.new)

    def inverse(self) -> Operation | None:
        """A column that went has no values to come back with: they are in the kept table."""
        if not self.undo and {c.name for c in self.old} - {c.name for c in self.new}:
            return None
        return dataclasses.replace(self, old=self.new, new=self.old, undo=not self.undo)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        """Up to the swap: from then on the rows are in the new table."""
        return take_away(self.statements(context), self.tables, context)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, self.after)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.REBUILD, self.table),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        gone = not self.undo and {c.name for c in self.old} - {c.name for c in self.new}
        lost = ("drops_column_with_data", "breaks_running_code", "irreversible") if gone else ()
        return ("rebuilds_table", *lost)

    @property
    def own_sql(self) -> bool:
        return False  # it keeps its journal in a schema that the whole database shares

    def artifact(self, context: Context) -> Artifact | None:
        if self.undo:
            return None
        table = must_have(context.graph, self.table)
        return _Rebuild(self, table, self.after(table), context).artifact()

    @property
    def recoverable(self) -> bool:
        return not self.undo


@dataclass(frozen=True, slots=True)
class _Rebuild:
    """The SQL of one rebuild: `table` as it is, `after` as it will be."""

    operation: RebuildTable
    table: Table
    after: Table
    context: Context

    # --- names of ours -------------------------------------------------------------------------

    @property
    def name(self) -> TableName:
        return self.table.name

    @property
    def artifact_id(self) -> str:
        return self.context.artifact_id("rebuild_table", str(self.name))

    def made(self, part: str) -> str:
        """The name that something new has until the swap."""
        way = "undo" if self.operation.undo else ""
        return dropped_name(self.artifact_id, f"new{way} {part}").replace("dropped", "new")

    @property
    def aside(self) -> TableName:
        """Where the old table is after the swap."""
        part = "undo" if self.operation.undo else ""
        return TableName(KEPT_SCHEMA, dropped_name(self.artifact_id, part))

    @property
    def copy(self) -> TableName:
        return TableName(self.name.schema, self.made("copy"))

    @property
    def _rows(self) -> TableName:
        return TableName(KEPT_SCHEMA, self.made("rows"))

    @property
    def _new(self) -> Context:
        """Nobody but us uses the copy."""
        return dataclasses.replace(self.context, fresh=self.context.fresh | {self.copy})

    # --- the key by which rows are found again -------------------------------------------------

    @property
    def _key(self) -> Any:
        return row_key(self.table, self.after, self.operation.given)

    def _keys(self, prefix: str = "", *, ours: bool = False) -> list[sql.Composable]:
        """The columns of the key, of the row `prefix`; `ours` as the images of rows call them."""
        names = [*self._key.columns]
        if ours:
            names = [f"_zanith_key_{number}" for number, _ in enumerate(names, 1)]
        row = sql.keyword(prefix) if prefix else None
        return [
            sql.clause("{row}.{it}", row=row, it=sql.ident(name)) if row else sql.ident(name)
            for name in names
        ]

    def _same(self, left: Iterable[sql.Composable], right: Iterable[sql.Composable]) -> Any:
        pairs = zip(left, right, strict=True)
        return sql.join((sql.clause("{a} = {b}", a=a, b=b) for a, b in pairs), " AND ")

    # --- the phases ----------------------------------------------------------------------------

    def statements(self) -> Iterator[Statement]:
        if self._key is None:
            text = sql.compose(_NO_KEY, target=sql.literal(self.name))
            yield Statement(text, Lock.NONE)
            return
        yield from phased(COPY, [*self._begin(), self._copying.copy()])
        yield from phased(PREPARE, [*self._prepare(), self._replay(), self._replay()])
        exchange = [*self._swap_out(), *self._swap_in(), *self._bind()]
        swap = around(self.table, exchange, self.context)
        yield from phased(SWAP, _together(swap, self._probe(_SWAPPED)))
        yield from phased(VALIDATE, self._validate())
        if self.operation.undo:
            yield from phased(VALIDATE, self._forget())

    def _forget(self) -> Iterator[Statement]:
        """The way back leaves neither what it replaced nor what the rebuild kept."""
        for name in (self.aside, self._kept):
            text = sql.compose("DROP TABLE IF EXISTS {it}", it=self.context.table(name))
            yield Statement(text, Lock.ACCESS_EXCLUSIVE, (name,), separate=name == self.aside)

    # --- 1: the copy ---------------------------------------------------------------------------

    def _begin(self) -> Iterator[Statement]:
        names = {
            "table": sql.regclass(self.name, self.context.schema),
            "copy": sql.regclass(self.copy, self.context.schema),
        }
        guard = sql.compose(_GUARD, target=sql.literal(self.name), table=names["table"])
        yield Statement(guard, Lock.NONE)
        yield make_schema(KEPT_SCHEMA)
        if self.operation.undo:
            yield self._keep()
        first, *made = self._made(names)
        probe = self._probe(_COPIED, copy=names["copy"])
        yield dataclasses.replace(first, probe=probe)
        yield from made
        yield self._carry(names)
        yield Statement(sql.compose(_COPY_GRANTS, **names), Lock.NONE)
        yield from self._copying.begin()
        yield self._images()

    def _made(self, names: Mapping[str, sql.Composable]) -> Iterator[Statement]:
        """The copy, without rows. Triggers that cannot be made later come before its generated
        columns and what reads those."""
        whole = bare = self._bare()
        late = whole_row_triggers(self.after)
        generated = [column for column in whole.columns if column.generated and late]
        for column in generated:
            bare = without_column(bare, column.name)
        yield from CreateTable(table=bare).statements(self._new)
        if not generated:
            return
        spelled = sql.join(sql.literal(trigger.name) for trigger in late)
        yield Statement(sql.compose(_CARRY_TRIGGERS, names=spelled, **names), Lock.NONE)
        for column in generated:
            yield from AddGeneratedColumn(table=self.copy, column=column).statements(self._new)
        for check in whole.checks:
            if check not in bare.checks:
                yield from AddCheck(table=self.copy, check=check).statements(self._new)

    @property
    def _carrier(self) -> dict[str, sql.Composable]:
        name = self.made("carry")
        function = sql.qualified(KEPT_SCHEMA, name)
        return {"function": function, "trigger": sql.ident(name)}

    def _carry(self, names: Mapping[str, sql.Composable]) -> Statement:
        same = self._same(self._keys("t"), self._keys("NEW"))
        parts = {
            **names,
            "function": self._carrier["function"],
            "trigger": sql.literal(self.made("carry")),
            "same": sql.literal(same),
        }
        return Statement(sql.compose(_CARRY, **parts), Lock.NONE)

    def _carried(self) -> Statement:
        """What the copy was given goes by the names of before; the table is locked already."""
        signature = f"{self._carrier['function']}()"
        text = sql.compose(
            _CARRIED,
            table=sql.regclass(self.name, self.context.schema),
            name=self.context.table(self.name),
            signature=sql.literal(signature),
            **self._carrier,
        )
        return Statement(text, Lock.NONE)

    def _bare(self) -> Table:
        """The copy as it is filled: key, checks and comments, and nothing that others look at.
        A check that old rows may break comes with the swap."""
        columns = (
            dataclasses.replace(column, identity="", sequence="", default=self._default(column))
            for column in self.after.columns
        )
        key = self._key
        has_primary = key is self.table.primary_key
        renamed = dataclasses.replace(key, name=self.made(key.name))
        return Table(
            self.copy,
            tuple(columns),
            primary_key=renamed if has_primary else None,
            uniques=() if has_primary else (renamed,),
            checks=tuple(check for check in self.after.checks if check.valid),
            comment=self.after.comment,
            options=self.after.options,
            tablespace=self.after.tablespace,
            unlogged=self.after.unlogged,
        )

    def _default(self, column: Column) -> str | None:
        return None if column.identity else column.default

    @property
    def _copying(self) -> Copying:
        insert = sql.clause(
            "INSERT INTO {into} ({columns}) SELECT {values}",
            into=self.context.table(self.copy),
            columns=self._columns,
            values=self._expressions,
        )
        return Copying(
            table=self.name,
            key=self._key.columns,
            target=self.copy,
            insert=insert,
            name=self.made("journal"),
            context=self.context,
            alias=self.name.name,
        )

    def _images(self) -> Statement:
        """Room for rows of changed keys, each beside its key."""
        images = sql.join(
            sql.clause("{it} AS {ours}", it=it, ours=ours)
            for it, ours in zip(self._keys("t"), self._keys(ours=True), strict=True)
        )
        text = sql.compose(
            "CREATE UNLOGGED TABLE {rows} AS SELECT {images}, t.* FROM {table} AS t WITH NO DATA",
            rows=self.context.table(self._rows),
            images=images,
            table=self.context.table(self.name),
        )
        return Statement(text, Lock.ACCESS_SHARE, (self.name,))

    def _values(self) -> list[tuple[str, sql.Composable]]:
        """(column, the SQL of its value in the copy) of all that are written."""
        given, values = self.operation.given, []
        for column in self.after.columns:
            old = self.table.column(column.name)
            if column.generated:
                continue
            if column.name in given:
                values.append((column.name, sql.catalog_text(given[column.name])))
            elif old is not None:
                values.append((column.name, self._value(old, column)))
        return values

    def _value(self, old: Column, new: Column) -> sql.Composable:
        made = dict(self.operation.values).get(new.name)
        if not self.operation.undo or (old.type == new.type and made is None):
            return _cast(sql.ident(new.name), old, new)
        was = sql.catalog_text(made) if made else self._own(new.name)
        return sql.clause(
            _KEPT_OR,
            was=was,
            type=sql.catalog_text(old.type),
            value=_cast(sql.clause("now._zanith_value"), old, new),
            column=self._own(new.name),
            keys=sql.join(
                sql.clause("{it} AS {ours}", it=it, ours=ours)
                for it, ours in zip(self._own_keys, self._keys(ours=True), strict=True)
            ),
            kept=self.context.table(self._kept),
            alias=sql.ident(self.name.name),
            same=self._same(self._own_keys, self._keys("now", ours=True)),
        )

    def _own(self, column: str) -> sql.Composable:
        """A column of the table by the name that expressions have for it."""
        table = sql.ident(self.name.name)
        return sql.clause("{table}.{it}", table=table, it=sql.ident(column))

    @property
    def _own_keys(self) -> list[sql.Composable]:
        return [self._own(name) for name in self._key.columns]

    @property
    def _kept(self) -> TableName:
        """The table that a rebuild left, which its way back looks at; there may be none, if it
        was purged or never made."""
        return TableName(KEPT_SCHEMA, dropped_name(self.artifact_id))

    def _keep(self) -> Statement:
        columns = sql.join(
            sql.clause("{it}::{type}", it=sql.ident(c.name), type=sql.catalog_text(c.type))
            for c in self.after.columns
            if self.table.column(c.name)
        )
        text = sql.compose(
            "CREATE TABLE IF NOT EXISTS {kept} AS SELECT {columns} FROM {table} WITH NO DATA",
            kept=self.context.table(self._kept),
            columns=columns,
            table=self.context.table(self.name),
        )
        return Statement(text, Lock.ACCESS_SHARE, (self.name,))

    @property
    def _columns(self) -> sql.Composable:
        return sql.idents(name for name, _ in self._values())

    @property
    def _expressions(self) -> sql.Composable:
        return sql.join(value for _, value in self._values())

    # --- 2: its indexes, and what changed meanwhile ----------------------------------------------

    def _replay(self) -> Statement:
        text = self._replay_text()
        return Statement(text, Lock.ACCESS_SHARE, (self.name,), separate=True)

    def _replay_text(self) -> str:
        journal = self._copying.journal
        return sql.compose(
            _REPLAY,
            there=sql.regclass(journal, self.context.schema),
            journal=self.context.table(journal),
            rows=self.context.table(self._rows),
            copy=self.context.table(self.copy),
            table=self.context.table(self.name),
            alias=sql.ident(self.name.name),
            any=self._keys()[0],
            key=sql.join(self._keys()),
            same=self._same(self._keys("t"), self._keys("k")),
            gone=self._same(self._keys("t"), self._keys("k", ours=True)),
            columns=self._columns,
            values=self._expressions,
        )

    def _prepare(self) -> Iterator[Statement]:
        """Once the copy is just like the table, keys that are unique there are unique here."""
        yield self._replay()
        first, *made = [*self._index_statements(), self._analyzed()]
        index = next((self.made(item.name) for item in self._indexed()), "")
        name = sql.qualified(self.name.schema or self.context.schema, index or self.copy.name)
        probe = self._probe(_INDEXED, index=sql.literal(name)) if index else ""
        yield dataclasses.replace(first, separate=True, probe=probe)
        yield from made

    def _analyzed(self) -> Statement:
        """The planner is to know the new table from its first moment."""
        text = sql.compose(
            _ANALYZE,
            there=sql.regclass(self.copy, self.context.schema),
            name=sql.literal(self.context.table(self.copy)),
        )
        return Statement(text, Lock.SHARE_UPDATE_EXCLUSIVE, (self.copy,), scans=True)

    def _indexed(self) -> list[Any]:
        """What is made beside the key by which rows are found."""
        keys: list[Any] = [self.after.primary_key] if self.after.primary_key else []
        keys += self.after.uniques
        kept = [key for key in keys if key.name != self._key.name]
        return [*kept, *self.after.exclusions, *self.after.indexes]

    def _index_statements(self) -> list[Statement]:
        made: list[Statement] = []
        for item in self._indexed():
            renamed = dataclasses.replace(item, name=self.made(item.name))
            made += _adding(self.copy, renamed).statements(self._new)
        return made

    def _probe(self, template: Any, **parts: sql.Composable) -> str:
        aside = sql.regclass(self.aside, self.context.schema)
        return sql.compose(template, aside=aside, **parts)

    # --- 3: the swap ---------------------------------------------------------------------------

    def _arriving(self) -> list[tuple[TableName, ForeignKey]]:
        """(table, foreign key) of all other tables that point at this one."""
        found = referrers_to(self.context.graph, self.name)
        return [(table, key) for table, key in found if table != self.name]

    def _links(self) -> list[tuple[TableName, ForeignKey]]:
        """Foreign keys as they will be, those of the table itself and those that arrive."""
        return [*((self.name, key) for key in self.after.foreign_keys), *self._arriving()]

    def _swap_out(self) -> Iterator[Statement]:
        """The last changes, and the old table out of the way with all that keeps its names."""
        table, context = self.context.table(self.name), self.context
        lock = sql.compose("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE", table=table)
        yield self._exclusively(lock)
        yield Statement(self._replay_text(), Lock.ACCESS_SHARE, (self.name,))
        yield from self._copying.end()
        images = sql.compose("DROP TABLE {it}", it=self.context.table(self._rows))
        yield Statement(images, Lock.NONE)
        for holder, key in (*((self.name, k) for k in self.table.foreign_keys), *self._arriving()):
            locked = tuple(dict.fromkeys((holder, key.references)))
            yield drop_constraint(holder, key.name, context, locked)
        yield from self._sequences()
        for index in _index_names(self.table):
            part = f"undo {index}" if self.operation.undo else index
            hidden = dropped_name(self.artifact_id, part)
            yield rename_index(self.name, index, hidden, context)
        aside = TableName(self.name.schema, self.aside.name)
        yield self._exclusively(
            alter_table(context, self.name, "RENAME TO {it}", it=sql.ident(aside.name))
        )
        moved = alter_table(context, aside, "SET SCHEMA {it}", it=sql.ident(KEPT_SCHEMA))
        yield Statement(moved, Lock.ACCESS_EXCLUSIVE, (aside,))

    def _sequences(self) -> Iterator[Statement]:
        """Numbers go on where they stood."""
        for column in self.after.columns:
            old = self.table.column(column.name)
            if column.identity and old and old.identity:
                yield hand_over_sequence(self.name, column.name, self.copy, column, self.context)
            elif column.identity:
                new = AlterColumnIdentity(
                    table=self.copy, column=column.name, new=column.identity
                ).statements(self._new)
                yield from new

    def _swap_in(self) -> Iterator[Statement]:
        """The copy takes the name of the table, and its indexes theirs."""
        context = self.context
        renamed = alter_table(context, self.copy, "RENAME TO {it}", it=sql.ident(self.name.name))
        yield Statement(renamed, Lock.ACCESS_EXCLUSIVE, (self.copy,))
        yield self._carried()
        constraints = [
            self._key,
            *(item for item in self._indexed() if not isinstance(item, Index)),
        ]
        for item in constraints:
            yield rename_constraint(self.name, self.made(item.name), item.name, context)
        for index in self.after.indexes:
            yield rename_index(self.name, self.made(index.name), index.name, context)

    def _bind(self) -> Iterator[Statement]:
        """What others look at, and what would have been in the way of the copying."""
        context, name = self.context, self.name
        for holder, key in self._links():
            later = dataclasses.replace(key, valid=False)
            yield from AddForeignKey(table=holder, foreign_key=later).statements(context)
        yield from self._note_links()
        for check in self.after.checks:
            if not check.valid:
                yield from AddCheck(table=name, check=check).statements(context)
        for policy in self.after.policies:
            yield from CreatePolicy(table=name, policy=policy).statements(context)
        if self.after.row_security or self.after.force_row_security:
            force = self.after.force_row_security
            yield from EnableRls(table=name, force=force).statements(context)
        if self.after.replica_identity not in ("", "index"):
            mode = sql.keyword(self.after.replica_identity.upper())
            text = alter_table(context, name, "REPLICA IDENTITY {mode}", mode=mode)
            yield self._exclusively(text)
        late = whole_row_triggers(self.after)
        for trigger in late:
            if trigger.enabled != "disabled":
                yield switch_trigger(name, trigger.name, trigger.enabled, context)
        others = [trigger for trigger in self.after.triggers if trigger not in late]
        yield from make_triggers(name, others, context)

    @property
    def _noted(self) -> TableName:
        """The table with the foreign keys that are to be valid. Who resumes after the swap finds
        all of them NOT VALID."""
        return TableName(KEPT_SCHEMA, self.made("links"))

    def _note_links(self) -> Iterator[Statement]:
        if not self._links():
            return
        rows = sql.join(
            sql.clause("({holder}, {name})", holder=holder, name=sql.literal(key.name))
            for holder, key in self._valid_links()
        )
        noted = self.context.table(self._noted)
        made = sql.compose("CREATE TABLE {it} (holder text, name text)", it=noted)
        yield Statement(made, Lock.NONE)
        if self._valid_links():
            filled = sql.compose("INSERT INTO {it} VALUES {rows}", it=noted, rows=rows)
            yield Statement(filled, Lock.NONE)

    def _valid_links(self) -> list[tuple[sql.Composable, ForeignKey]]:
        """(the table as a text, its foreign key)."""
        schema = self.context.schema
        links = self._links()
        return [(sql.regclass(holder, schema), key) for holder, key in links if key.valid]

    def _validate(self) -> Iterator[Statement]:
        if not self._links():
            return
        text = sql.compose(_VALIDATE, noted=self.context.table(self._noted))
        locked = [name for holder, key in self._links() for name in (holder, key.references)]
        yield Statement(
            text,
            Lock.SHARE_UPDATE_EXCLUSIVE if self._valid_links() else Lock.NONE,
            tuple(dict.fromkeys(locked)),
            separate=True,
            scans=True,
            probe=sql.compose(
                _VALIDATED,
                aside=sql.regclass(self.aside, self.context.schema),
                noted=sql.regclass(self._noted, self.context.schema),
            ),
        )

    def _exclusively(self, text: str) -> Statement:
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.name,))

    # --- what it keeps -------------------------------------------------------------------------

    def artifact(self) -> Artifact:
        """The old table, as a soft drop leaves one; its sequences went to the new one."""
        columns = (
            dataclasses.replace(column, identity="", sequence="", default=self._default(column))
            for column in self.table.columns
        )
        kept = dataclasses.replace(self.table, columns=tuple(columns))
        restore = RestoreTable(table=kept, artifact_id=self.artifact_id)
        return Artifact(
            id=self.artifact_id,
            type="rebuild_table",
            table=self.name,
            column="",
            physical_name=str(self.aside),
            recovery_sql=";\n".join(s.sql for s in restore.statements(self.context)) + ";",
            count=sql.compose("SELECT count(*) FROM {it}", it=self.context.table(self.aside)),
            metadata={"restore": to_data(restore)},
        )


def row_key(table: Table, after: Table, given: Mapping[str, str]) -> PrimaryKey | Unique | None:
    """The key by which rows of a table are found in its copy, the table as it is to be: the
    primary key or a unique constraint without NULLs, whose values stay. `given` has those of
    which the values change."""
    keys: list[PrimaryKey | Unique] = [table.primary_key] if table.primary_key else []
    keys += table.uniques
    for key in keys:
        pairs = [(table.column(name), after.column(name)) for name in key.columns]
        stays = all(old and new and _is_same(old, new) for old, new in pairs)
        if stays and not key.deferrable and given.keys().isdisjoint(key.columns):
            return key
    return None


def _is_same(old: Column, new: Column) -> bool:
    comparable = old.type == new.type or {old.type, new.type} <= INTEGERS
    return comparable and not (old.nullable or new.nullable)


def _cast(value: sql.Composable, old: Column, new: Column) -> sql.Composable:
    """As an assignment where there is one: an explicit cast cuts what is too long."""
    if old.type == new.type or assigns(old.type, new.type):
        return value
    return sql.clause("{value}::{type}", value=value, type=sql.catalog_text(new.type))


def _adding(table: TableName, item: PrimaryKey | Unique | Exclusion | Index) -> Operation:
    """The operation that adds this part to a table."""
    if isinstance(item, PrimaryKey):
        return AlterPrimaryKey(table=table, new=item)
    if isinstance(item, Unique):
        return AddUnique(table=table, unique=item)
    if isinstance(item, Exclusion):
        return AddExclusion(table=table, exclusion=item)
    return AddIndex(table=table, index=item)


def _index_names(table: Table) -> list[str]:
    """Names of all indexes of a table, constraints' own ones too."""
    key = [table.primary_key.name] if table.primary_key else []
    owners: list[Any] = [*table.uniques, *table.exclusions, *table.indexes]
    return [*key, *(owner.name for owner in owners)]


def _together(statements: Iterable[Statement], probe: str) -> list[Statement]:
    """All of them in one transaction of their own, of which `probe` tells."""
    return [
        dataclasses.replace(item, separate=number == 0, probe="" if number else probe)
        for number, item in enumerate(statements)
    ]
