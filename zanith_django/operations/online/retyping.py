"""Changes of type for which PostgreSQL would rewrite a table in use: by a new column, else by a new
table, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from zanith_django.operations.base import Artifact, Context, Statement
from zanith_django.operations.column_clauses import spell_type
from zanith_django.operations.dependents import (
    generated_from,
    in_primary_key,
    mentions,
    referrers_of,
    what_contains,
)
from zanith_django.operations.online.expand import Expansion
from zanith_django.operations.online.rebuild import RebuildTable
from zanith_django.operations.online.rebuild_copy import row_key
from zanith_django.operations.policies import PolicyPairs
from zanith_django.operations.touches import Effect, Touch
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.schema.graph import Column, SchemaGraph, Table

_REFUSE = """\
DO $zanith$ BEGIN
  RAISE EXCEPTION 'cannot change the type of % to % while others use the table: %',
    {target}, {type}, {why} USING HINT = {hint}, ERRCODE = 'feature_not_supported';
END $zanith$"""

_IN_PLACE = (
    "Remove that first, or write in_place=True into this step: then PostgreSQL rewrites the table, "
    "and no other session can read or write it meanwhile."
)
_NEW_TABLE = "Create a table that is partitioned by the other type, and move the rows."


@dataclass(frozen=True, slots=True)
class NotOnline:
    """Why a change of type is impossible while other sessions use the table, and what to do
    instead."""

    why: str
    hint: str = _IN_PLACE


@dataclass(frozen=True, slots=True)
class Retyping:
    """A change of one column of `table` from `old` to `new`, both whole columns as they live."""

    table: Table
    old: Column
    new: Column
    using: str
    policies: PolicyPairs
    context: Context
    undo: bool = False

    def statements(self) -> tuple[Statement, ...]:
        if refused := self.refused:
            return (self._refusal(refused),)
        if self._by_table:
            return self._rebuild.statements_of(self._after, self.context)
        return self._expansion.statements()

    def touches(self) -> tuple[Touch, ...]:
        if self._by_table:
            return self._rebuild.touches(self.context)
        return (Touch(Effect.REPLACE, self.table.name, (self.old.name,)),)

    def reasons(self) -> tuple[str, ...]:
        if self.refused:
            return ("cannot_be_done_online",)
        if self._by_table:
            return self._rebuild.reasons(self.context)
        return ("requires_backfill",)

    def artifact(self) -> Artifact | None:
        if self.refused:
            return None
        if self._by_table:
            return self._rebuild.artifact(self.context)
        return self._expansion.artifact()

    # --- which way -----------------------------------------------------------------------------

    @property
    def _by_table(self) -> bool:
        return bool(self._bound)

    @property
    def _bound(self) -> str:
        """A property that a second column cannot have beside the first; "" if there is none.
        PostgreSQL creates an exclusion constraint or a stored generated column only by reading
        every row under the exclusive lock, and a trigger that runs before the write of a row cannot
        read its generated columns.
        """
        table, column = self.table, self.old
        for exclusion in what_contains(table, column.name)["exclusions"]:
            return f"the exclusion constraint {exclusion.name} reads the column"
        for generated in generated_from(table, column.name):
            return f"the column {generated.name} is generated from it"
        for generated in table.columns:
            if generated.generated and mentions(self.using, generated.name, table.name.name):
                return f"the generated column {generated.name} is in its new value"
        return "it is a generated column" if column.generated else ""

    @property
    def refused(self) -> NotOnline | None:
        """Why neither a new column nor a new table can do it; None if one of them can."""
        table, graph = self.table, self.context.graph
        if mentions(table.partition_key, self.old.name, table.name.name):
            return NotOnline("it is part of the partition key", _NEW_TABLE)
        for heir in _heirs(table, graph):
            return NotOnline(f"the table {heir} inherits from it")
        why = self._refused_table() if self._by_table else self._refused_in_partitions()
        return NotOnline(why) if why else None

    def _refused_table(self) -> str:
        table = self.table
        if table.partition_key:
            return f"{self._bound}, and the table is partitioned"
        if table.inherits:
            return f"{self._bound}, and the table inherits from {table.inherits[0]}"
        given = {} if self.undo else dict(self._rebuild.values)
        if row_key(table, self._after, given) is None:
            return f"{self._bound}, and the table has no other key that identifies its rows"
        return ""

    def _refused_in_partitions(self) -> str:
        """A partitioned table has its new primary key from the swap on, not before."""
        table, column = self.table, self.old
        if not table.partition_key or not in_primary_key(table, column.name):
            return ""
        for holder, key in referrers_of(self.context.graph, table.name, column.name):
            return f"the foreign key {key.name} of {holder} points at its primary key"
        return ""

    def _refusal(self, refused: NotOnline) -> Statement:
        text = sql.compose(
            _REFUSE,
            target=sql.literal(f"{self.table.name}.{self.old.name}"),
            type=sql.literal(spell_type(self.new)),
            why=sql.literal(refused.why),
            hint=sql.literal(refused.hint),
        )
        return Statement(text, Lock.NONE)

    @property
    def _expansion(self) -> Expansion:
        change = (self.old, self.new, self.using)
        return Expansion(self.table, *change, self.context, self.undo, self.policies)

    @property
    def _after(self) -> Table:
        """The new table, with the policies that change."""
        after = self._rebuild.after(self.table)
        for old, new in self.policies:
            after = after.with_item("policies", new, instead_of=old.name)
        return after

    @property
    def _rebuild(self) -> RebuildTable:
        columns = self.table.columns
        return RebuildTable(
            table=self.table.name,
            old=columns,
            new=tuple(self.new if column == self.old else column for column in columns),
            values=((self.new.name, self.using),) if self.using else (),
            undo=self.undo,
        )


def retyping(
    table: Table,
    old: Column,
    new: Column,
    using: str,
    policies: PolicyPairs,
    context: Context,
    *,
    undo: bool,
) -> Retyping | None:
    """None if PostgreSQL refuses at once: an inherited column changes with its parent's."""
    parents = [table.partition_of, *table.inherits]
    inherited = (context.graph.table(parent) for parent in parents if parent)
    if table.partition_of or any(parent and parent.column(old.name) for parent in inherited):
        return None
    return Retyping(table, old, new, using, policies, context, undo)


def _heirs(table: Table, graph: SchemaGraph) -> list[str]:
    return [str(item.name) for item in graph.tables if table.name in item.inherits]
