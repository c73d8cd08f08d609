"""The rebuild of a table: its copy, the swap, and foreign keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zanith_django.operations.artifact_ids import REBUILD_TABLE
from zanith_django.operations.base import (
    KEPT_SCHEMA,
    Artifact,
    Statement,
    alter_table,
    apart,
    dropped_name,
    phased,
    to_data,
)
from zanith_django.operations.column_values import AlterColumnIdentity
from zanith_django.operations.constraint_clauses import drop_constraint, rename_constraint
from zanith_django.operations.constraints import AddCheck
from zanith_django.operations.dependents import referrers_to
from zanith_django.operations.foreign_keys import AddForeignKey
from zanith_django.operations.indexes import rename_index
from zanith_django.operations.keep.restores import RestoreTable
from zanith_django.operations.online.rebuild_copy import RebuildCopy
from zanith_django.operations.online.scaffold import making
from zanith_django.operations.parts import adding
from zanith_django.operations.policies import CreatePolicy, EnableRls
from zanith_django.operations.replica_identity import around
from zanith_django.operations.sequences import hand_over_sequence
from zanith_django.operations.triggers import (
    make_triggers,
    switch_trigger,
    whole_row_triggers,
)
from zanith_django.operations.uniques import AlterPrimaryKey
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    ForeignKey,
    Index,
    PrimaryKey,
)
from zanith_django.schema.parts import PARTS, index_names

COPY = "copy: a second table, a journal of the keys that change, and the existing rows"
PREPARE = "prepare: indexes of the copy, and the changed rows, while the table is in use"
SWAP = "swap: one short transaction"
VALIDATE = "validate: foreign keys, while the table is in use"

_NO_KEY = """\
DO $zanith$ BEGIN
  RAISE EXCEPTION 'cannot rebuild %: it has no primary key and no unique key without NULLs',
    {target};
END $zanith$"""

# The changed keys and their rows are read by one statement, so by one snapshot: afterwards the copy
# equals the table at that moment, and no unique key of it can conflict.
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


@dataclass(frozen=True, slots=True)
class Rebuild(RebuildCopy):
    """The whole rebuild: the copy, its indexes, the swap, and foreign keys."""

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
        yield from phased(SWAP, apart(swap, self._probe(_SWAPPED)))
        yield from phased(VALIDATE, self._validate())
        if self.undo:
            yield from phased(VALIDATE, self._forget())

    def _forget(self) -> Iterator[Statement]:
        """After a reverse, drops both the replaced and the kept table."""
        for name in (self.aside, self._kept):
            text = sql.compose("DROP TABLE IF EXISTS {it}", it=self.context.table(name))
            yield Statement(text, Lock.ACCESS_EXCLUSIVE, (name,), separate=name == self.aside)

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
        """Prepares the copy. When it equals the table, unique keys of the table are unique in
        it."""
        yield self._replay()
        first, *made = [*self._index_statements(), self._analyzed()]
        index = next((self.made(item.name) for item in self._indexed()), "")
        name = sql.qualified(self.name.schema or self.context.schema, index or self.copy.name)
        probe = self._probe(_INDEXED, index=sql.literal(name)) if index else ""
        yield dataclasses.replace(first, separate=True, probe=probe)
        yield from made

    def _analyzed(self) -> Statement:
        """Analyzes the copy, so that the planner knows it from the beginning."""
        text = sql.compose(
            _ANALYZE,
            there=sql.regclass(self.copy, self.context.schema),
            name=sql.literal(self.context.table(self.copy)),
        )
        return Statement(text, Lock.SHARE_UPDATE_EXCLUSIVE, (self.copy,), scans=True)

    def _indexed(self) -> list[Any]:
        """The indexes and constraints beside the key by which rows are found."""
        made = [item for part in PARTS if part.owns_index for item in part.of(self.after)]
        return [item for item in made if item.name != self._key.name]

    def _index_statements(self) -> list[Statement]:
        made: list[Statement] = []
        for item in self._indexed():
            renamed = dataclasses.replace(item, name=self.made(item.name))
            add = (
                AlterPrimaryKey(table=self.copy, new=renamed)
                if isinstance(renamed, PrimaryKey)
                else adding(self.copy, renamed)
            )
            made += add.statements(self._new)
        return made

    def _arriving(self) -> list[tuple[TableName, ForeignKey]]:
        """(table, foreign key) of all other tables that reference this one."""
        found = referrers_to(self.context.graph, self.name)
        return [(table, key) for table, key in found if table != self.name]

    def _links(self) -> list[tuple[TableName, ForeignKey]]:
        """The new foreign keys of the table itself, and those of other tables to it."""
        return [*((self.name, key) for key in self.after.foreign_keys), *self._arriving()]

    def _swap_out(self) -> Iterator[Statement]:
        """Copies the last changes, and moves the old table away with all objects that hold its
        names."""
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
        for index in index_names(self.table):
            part = f"undo {index}" if self.undo else index
            hidden = dropped_name(self.artifact_id, part)
            yield rename_index(self.name, index, hidden, context)
        aside = TableName(self.name.schema, self.aside.name)
        yield self._exclusively(
            alter_table(context, self.name, "RENAME TO {it}", it=sql.ident(aside.name))
        )
        moved = alter_table(context, aside, "SET SCHEMA {it}", it=sql.ident(KEPT_SCHEMA))
        yield Statement(moved, Lock.ACCESS_EXCLUSIVE, (aside,))

    def _sequences(self) -> Iterator[Statement]:
        """The sequences continue at their current values."""
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
        """Sets properties that other sessions depend on, or that would have blocked the copying."""
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
        """The table with the foreign keys that are to be valid. After the swap, a resumed step
        finds all of them NOT VALID."""
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
        yield from making(self._noted.name, [Statement(made, Lock.NONE)])
        if self._valid_links():
            filled = sql.compose("INSERT INTO {it} VALUES {rows}", it=noted, rows=rows)
            yield Statement(filled, Lock.NONE)

    def _valid_links(self) -> list[tuple[sql.Fragment, ForeignKey]]:
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
            type=REBUILD_TABLE,
            table=self.name,
            column="",
            physical_name=str(self.aside),
            recovery_sql=";\n".join(s.sql for s in restore.statements(self.context)) + ";",
            count=sql.compose("SELECT count(*) FROM {it}", it=self.context.table(self.aside)),
            metadata={"restore": to_data(restore)},
        )
