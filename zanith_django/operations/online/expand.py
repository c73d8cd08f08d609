"""Changes a column's type without a rewrite: a new column is filled, synchronized by a trigger, and
replaces the old one in one short transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zanith_django.operations.artifact_ids import SOFT_DROP_COLUMN
from zanith_django.operations.base import (
    Artifact,
    Operation,
    Statement,
    alter_table,
    apart,
    dropped_name,
    phased,
    to_data,
)
from zanith_django.operations.column_clauses import column_clause, column_settings, spell_type
from zanith_django.operations.column_sql import set_default, update_in_batches
from zanith_django.operations.column_values import column_state
from zanith_django.operations.constraint_clauses import (
    constraint_comment,
    deferrable_clause,
    drop_constraint,
    rename_constraint,
)
from zanith_django.operations.dependents import (
    mentions,
)
from zanith_django.operations.foreign_keys import AddForeignKey
from zanith_django.operations.indexes import (
    index_name,
    rename_index,
)
from zanith_django.operations.keep.restores import RestoreColumn
from zanith_django.operations.keep.soft_drops import to_base_type
from zanith_django.operations.not_null import NotNull
from zanith_django.operations.online.expand_parts import ExpansionParts
from zanith_django.operations.online.expand_texts import (
    COPY_SETTINGS,
    GUARD,
    KEEP_CLUSTERED,
    TOLERANT,
    brief,
    long,
)
from zanith_django.operations.online.rewrites import assigns
from zanith_django.operations.online.scaffold import making, remove_scaffold, removed_as_a_whole
from zanith_django.operations.policies import CreatePolicy, DropPolicy, PolicyPairs, exchanged
from zanith_django.operations.replica_identity import around
from zanith_django.operations.sequences import hand_over_sequence
from zanith_django.operations.triggers import (
    drop_trigger,
    keep_no_longer,
    keep_right,
    make_triggers,
    of_new_row,
    own_trigger,
    trigger_state,
    triggers_on,
)
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.dependents import Trigger
from zanith_django.schema.graph import Column
from zanith_django.schema.object_names import make_object_name

EXPAND = "expand: a new column, and a trigger that keeps it in step"
FILL = "fill: the existing rows, in batches"
PREPARE = "prepare: indexes and constraints of the new column, while the table is in use"
SWAP = "swap: one short transaction"
KEPT = "; the old column stays, hidden"


@dataclass(frozen=True, slots=True)
class Expansion(ExpansionParts):
    """The change of one column of `table` from `old` to `new`, both as whole columns.

    `using` converts a value, "" by the plain cast. `policies` change with it. The old column is
    kept under the name `hidden`; with `undo` it is dropped, because an earlier such change made it.
    """

    # --- the phases ----------------------------------------------------------------------------

    def statements(self) -> tuple[Statement, ...]:
        keys = [*self._new_keys()]
        checks = [s for check in self._checks() for s in self._making(check)]
        links = [s for key in keys for s in self._linked(key)]
        claimed = (
            [] if self._partitioned else brief(links)
        )  # a partitioned table adds the proof last
        required = self._required()
        looking = [*required.check, *long(checks), *(s for s in links if s not in claimed)]
        prepare = [*self._indexes(), *apart([*required.claim, *brief(checks)]), *claimed]
        exchange = [
            *self._drop_dependents(),
            *self._exchange(required),
            *self._recreate_dependents(),
        ]
        swap = around(self.table, exchange, self.context)
        staged = (
            *phased(EXPAND, self._expand()),
            *phased(FILL, [self._fill()]),
            *phased(PREPARE, [*prepare, *looking]),
            *phased(SWAP if self.undo else SWAP + KEPT, apart(swap)),
        )
        return removed_as_a_whole(staged, remove_scaffold(staged, (self.name,), self.context))

    def _linked(self, key: AddForeignKey) -> list[Statement]:
        first, *rest = self._making(key)
        return [dataclasses.replace(first, separate=True), *rest]

    def _making(self, operation: Operation) -> list[Statement]:
        (piece,) = operation.pieces
        return making(piece.name, operation.statements(self.context))

    # --- 1: the new column ---------------------------------------------------------------------

    def _expand(self) -> Iterator[Statement]:
        yield self._guard()
        yield from making(self.fresh, [self._add_column()])
        bare = dataclasses.replace(self._bare(), storage=self.new.storage, comment=self.old.comment)
        yield from column_settings(self.name, bare, self.context)
        settings = sql.compose(COPY_SETTINGS, fresh=sql.literal(self.fresh), **self._names)
        yield Statement(settings, Lock.NONE)
        yield from self._sync()

    @property
    def _names(self) -> dict[str, sql.Fragment]:
        return {
            "table": sql.regclass(self.name, self.context.schema),
            "column": sql.literal(self.old.name),
        }

    def _guard(self) -> Statement:
        text = sql.compose(GUARD, target=sql.literal(self.target), **self._names)
        return Statement(text, Lock.NONE)

    def _bare(self) -> Column:
        """The new column without the properties that the swap sets."""
        new = self.new
        return Column(self.fresh, new.type, collation=new.collation, compression=new.compression)

    def _add_column(self) -> Statement:
        """Adds the column. A column that an earlier, rolled-back change kept is dropped. A reverse
        reads the kept column, which may be missing if it was purged."""
        changes = [sql.clause("ADD COLUMN {it}", it=column_clause(self._bare()))]
        hidden = sql.ident(self.hidden)
        if not self.undo:
            changes.insert(0, sql.clause("DROP COLUMN IF EXISTS {hidden}", hidden=hidden))
        elif not self.using:
            kind = sql.catalog_text(self.new.type)
            kept = sql.clause("ADD COLUMN IF NOT EXISTS {it} {kind}", it=hidden, kind=kind)
            changes.append(kept)
        text = alter_table(self.context, self.name, "{all}", all=sql.join(changes))
        return self._exclusively(text, column_state(self.name, self.fresh, self.context))

    def _sync(self) -> list[Statement]:
        """Creates the trigger. An expression of the user may fail on a value of running code. A
        plain cast does not fail, so its trigger may stay while the step is unfinished."""
        name = self.made("sync")
        *made, last = keep_right(
            self.name, name, self._convert(), self.context, changed=self._changed()
        )
        if self.using:
            last = dataclasses.replace(
                last,
                probe=trigger_state(self.name, name, self.context),
                disruptive=f"trigger {own_trigger(name)} of {self.name}",
            )
        return [*made, last]

    def _changed(self) -> sql.Fragment:
        """Has a column that the value depends on changed? If not, the row keeps the value of the
        backfill. Compared byte by byte: not every type has an equality."""
        read = [
            sql.ident(column.name)
            for column in self.table.columns or (self.old,)
            if column.name == self.old.name or mentions(self.using, column.name, self.name.name)
        ]
        rows = [
            sql.join((sql.clause("{row}.{it}", row=row, it=column) for column in read), ", ")
            for row in (sql.keyword("NEW"), sql.keyword("OLD"))
        ]
        return sql.clause("record_image_ne(ROW({new}), ROW({old}))", new=rows[0], old=rows[1])

    def _convert(self) -> sql.Fragment:
        fresh = sql.ident(self.fresh)
        if not self.using:
            row = sql.clause("NEW.{old}", old=sql.ident(self.old.name))
            return sql.clause(TOLERANT, fresh=fresh, value=self._cast(row))
        using = of_new_row(self.using, self.name)
        return sql.clause("NEW.{fresh} := {using};", fresh=fresh, using=using)

    def _cast(self, value: sql.Fragment) -> sql.Fragment:
        """The value cast to the new type, by an assignment if there is one, because an explicit
        cast truncates longer values."""
        old, new = self.old.type, self.new.type
        if assigns(old, new) or old == new:
            return value
        return sql.clause("{value}::{type}", value=value, type=sql.catalog_text(new))

    # --- 2: the existing rows ------------------------------------------------------------------

    def _fill(self) -> Statement:
        old, fresh = sql.ident(self.old.name), sql.ident(self.fresh)
        value = sql.catalog_text(self.using) if self.using else self._cast(old)
        if self.undo and not self.using:
            value = self._kept_or(value)
        where = sql.clause("{fresh} IS NULL", fresh=fresh)
        if not self.using:
            where = sql.clause("{where} AND {old} IS NOT NULL", where=where, old=old)
        assignment = sql.clause("{fresh} = {value}", fresh=fresh, value=value)
        return update_in_batches(self.name, assignment, where, self.context)

    def _kept_or(self, value: sql.Fragment) -> sql.Fragment:
        """The original value of the change, if no session has written another since."""
        return sql.clause(
            "CASE WHEN record_image_eq(ROW({kept}::{kind}), ROW({old})) THEN {kept} "
            "ELSE {value} END",
            kept=sql.ident(self.hidden),
            kind=sql.catalog_text(self.old.type),
            old=sql.ident(self.old.name),
            value=value,
        )

    # --- 4: the swap ---------------------------------------------------------------------------

    def _drop_dependents(self) -> Iterator[Statement]:
        """Removes the triggers that keep the columns in step and the dependents of the old one;
        checks again whether an object that reads the column would stay with it."""
        context = self.context
        yield self._guard()
        yield from keep_no_longer(self.name, self.made("sync"), context, changed=True)
        for trigger in self._triggers:
            yield drop_trigger(self.name, trigger.name, context)
        for policy, _ in self._policies:
            yield from DropPolicy(table=self.name, policy=policy).statements(context)
        for holder, key in self._foreign_keys():
            locked = tuple(dict.fromkeys((holder, key.references)))
            yield drop_constraint(holder, key.name, context, locked)
        yield from self._keep_clustered()
        for item in (*self._uniques, *self._parts["checks"]):
            yield drop_constraint(self.name, item.name, context)
        for index in self._parts["indexes"]:
            name = index_name(self.name, index.name, context)
            yield self._exclusively(sql.compose("DROP INDEX {name}", name=name))

    def _keep_clustered(self) -> Iterator[Statement]:
        """The new index is marked before the old one goes. PostgreSQL marks none of a partitioned
        table."""
        indexes = [] if self._partitioned else [*self._uniques, *self._parts["indexes"]]
        pairs = [
            sql.clause(
                "({was}, {made})",
                was=sql.regclass(TableName(self.name.schema, index.name), self.context.schema),
                made=sql.literal(self.made(index.name)),
            )
            for index in indexes
        ]
        if pairs:
            text = sql.compose(KEEP_CLUSTERED, pairs=sql.join(pairs), **self._names)
            yield Statement(text, Lock.NONE)

    @property
    def _policies(self) -> PolicyPairs:
        return exchanged(self._parts["policies"], self.policies)

    @property
    def _triggers(self) -> list[Trigger]:
        return triggers_on(self.table, self.old.name)

    def _exchange(self, required: NotNull) -> Iterator[Statement]:
        """Exchanges the names of the old and the new column."""
        name, old, hidden = self.old.name, self.old, sql.ident(self.hidden)
        column = sql.ident(name)
        changes = []
        if old.default is not None and old.identity != "serial":
            changes.append(sql.clause("ALTER COLUMN {column} DROP DEFAULT", column=column))
        if not old.nullable and not old.identity:
            changes.append(sql.clause("ALTER COLUMN {column} DROP NOT NULL", column=column))
        if changes and not self.undo:
            yield self._altered(sql.join(changes))
        yield from (dataclasses.replace(item, separate=False) for item in required.end)
        aside = dropped_name(self.artifact_id, "undone") if self.undo else self.hidden
        hidden = sql.ident(aside)
        yield self._altered(sql.clause("RENAME COLUMN {it} TO {to}", it=column, to=hidden))
        fresh = sql.ident(self.fresh)
        yield self._altered(sql.clause("RENAME COLUMN {it} TO {to}", it=fresh, to=column))
        if old.identity:
            yield hand_over_sequence(self.name, aside, self.name, self.new, self.context)
            if not old.nullable and not self.undo:
                yield self._altered(sql.clause("ALTER COLUMN {it} DROP NOT NULL", it=hidden))
        if self.new.default is not None:
            yield set_default(self.name, self.new, self.context)
        if self.undo:
            kept = sql.ident(self.hidden)
            drops = "DROP COLUMN {it}, DROP COLUMN IF EXISTS {kept}"
            yield self._altered(sql.clause(drops, it=hidden, kept=kept))
        else:
            yield from to_base_type(self.name, old, aside, self.context)

    def _recreate_dependents(self) -> Iterator[Statement]:
        """Gives the prepared objects of the new column the names of the old column's dependents."""
        name, context = self.name, self.context
        if not self.old.nullable and context.server_version >= 180000:
            usual = make_object_name(name.name, self.old.name, "not_null")
            made = make_object_name(name.name, self.fresh, "not_null")
            yield rename_constraint(name, made, usual, context)
        for key in self._uniques:
            yield from self._attach(key)
            yield from constraint_comment(name, key.name, key.comment, context)
        for index in self._parts["indexes"]:
            yield rename_index(name, self.made(index.name), index.name, context)
        for check in self._parts["checks"]:
            yield rename_constraint(name, self.made(check.name), check.name, context)
        for holder, key in self._foreign_keys():
            yield rename_constraint(holder, self.made(key.name), key.name, context)
        for _, policy in self._policies:
            yield from CreatePolicy(table=name, policy=policy).statements(context)
        yield from make_triggers(name, self._triggers, context)

    def _attach(self, key: Any) -> Iterator[Statement]:
        if self._partitioned and key is self._key:
            for statement in self._partitioned_key(key, key).brief():
                yield dataclasses.replace(statement, separate=False, probe="")
            return
        if self._partitioned:
            yield rename_constraint(self.name, self.made(key.name), key.name, self.context)
            return
        what = sql.keyword("PRIMARY KEY" if key is self._key else "UNIQUE")
        yield self._altered(
            sql.clause(
                "ADD CONSTRAINT {name} {what} USING INDEX {index}{deferrable}",
                name=sql.ident(key.name),
                what=what,
                index=sql.ident(self.made(key.name)),
                deferrable=deferrable_clause(key.deferrable),
            )
        )

    def _altered(self, change: sql.Fragment, lock: Lock = Lock.ACCESS_EXCLUSIVE) -> Statement:
        text = alter_table(self.context, self.name, "{change}", change=change)
        return Statement(text, lock, (self.name,))

    def _exclusively(self, text: str, probe: str = "") -> Statement:
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.name,), probe=probe)

    # --- what it keeps -------------------------------------------------------------------------

    def artifact(self) -> Artifact | None:
        """The old column with its values, as a soft drop leaves one."""
        if self.undo:
            return None
        plain = dataclasses.replace(self.old, nullable=True, default=None, identity="", sequence="")
        restore = RestoreColumn(table=self.name, column=plain, artifact_id=self.artifact_id)
        return Artifact(
            id=self.artifact_id,
            type=SOFT_DROP_COLUMN,
            table=self.name,
            column=self.old.name,
            physical_name=self.hidden,
            recovery_sql=";\n".join(s.sql for s in restore.statements(self.context)) + ";",
            count=sql.compose(
                "SELECT count({column}) FROM {table}",
                column=sql.ident(self.hidden),
                table=self.context.table(self.name),
            ),
            metadata={"restore": to_data(restore), "replaced_by": spell_type(self.new)},
        )
