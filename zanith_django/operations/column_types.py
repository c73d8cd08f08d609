"""Changes of a column's type and of its generation, with the dependents to recreate."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from zanith_django.operations.base import (
    Artifact,
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    must_have,
)
from zanith_django.operations.column_clauses import (
    alter,
    collate_clause,
    column_clause,
    column_settings,
    spell_type,
    storage_changes,
)
from zanith_django.operations.dependents import (
    containing,
    generated_from,
    in_primary_key,
    referrers_to,
)
from zanith_django.operations.foreign_keys import AddForeignKey, DropForeignKey
from zanith_django.operations.online.retyping import Retyping, retyping
from zanith_django.operations.online.rewrites import (
    assigns,
    coerces,
    narrows,
    rebuilds_indexes,
    rewrite_needed,
    verifies_rows,
)
from zanith_django.operations.online.scaffold import remove_scaffold
from zanith_django.operations.parts import adding
from zanith_django.operations.policies import (
    AlterPolicy,
    CreatePolicy,
    DropPolicy,
    PolicyPairs,
    exchanged,
)
from zanith_django.operations.sequences import change_sequence
from zanith_django.operations.touches import Effect, Touch
from zanith_django.operations.triggers import drop_trigger, make_triggers, triggers_on
from zanith_django.operations.uniques import AlterPrimaryKey
from zanith_django.operations.words import with_facts
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, ForeignKey, PrimaryKey, SchemaGraph, Table
from zanith_django.schema.parts import BUILT, CHANGED, POLICIES

_STORED = ("type", "collation", "storage", "compression")
_CHANGED = (*_STORED, "default")

_SEQUENCE_TYPES: Mapping[str, LiteralString] = {
    "smallint": "ALTER SEQUENCE %s AS smallint",
    "integer": "ALTER SEQUENCE %s AS integer",
    "bigint": "ALTER SEQUENCE %s AS bigint",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterColumnType(OnTable):
    """Changes type, collation and the way values are stored; `old` and `new` are the whole column
    before and after.

    If PostgreSQL would rewrite the table, a new column or a new table takes the old one's place
    instead (`retyping.py`). Otherwise, with `in_place`, on a table that no session can be using,
    and on one that a replication slot sends to a subscriber, what PostgreSQL refuses to carry over
    (generated columns that read this one, and policies) is made again in the same transaction.
    `policies` are (before, after) of those that read the column and change with it: without a
    moment in which they are away. `undo` means that it reverses an earlier change.
    """

    kind = "alterColumnType"
    table: TableName
    old: Column
    new: Column
    using: str = ""
    undo: bool = False
    in_place: bool = False
    policies: PolicyPairs = ()
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.new.name}"

    def describe(self) -> str:
        if spell_type(self.old) == spell_type(self.new):
            return f"change how values of {self.target} are stored"
        text = f"change type of {self.target} from {spell_type(self.old)} to {spell_type(self.new)}"
        return with_facts(text, *(f"policy {new.name} with it" for _, new in self.policies))

    def statements(self, context: Context) -> tuple[Statement, ...]:
        way = self._retyping(context)
        return way.statements() if way else self._at_once(context)

    def _at_once(self, context: Context) -> tuple[Statement, ...]:
        table = must_have(context.graph, self.table)
        retyped = self._is_retyped(context)
        hanging = generated_from(table, self.new.name) if retyped else ()
        found = containing(POLICIES, table, self.new.name) if retyped else ()
        policies = exchanged(found, self.policies)
        triggers = triggers_on(table, self.new.name) if retyped else []
        rebuilt = _Rebuilt(table, hanging, context)
        changes = [*rebuilt.drops(), *self._changes(retyped), *rebuilt.adds()]
        return (
            *(drop_trigger(self.table, trigger.name, context) for trigger in triggers),
            *rebuilt.without_obstacles(policies),
            Statement(
                alter_table(context, self.table, "{changes}", changes=sql.join(changes)),
                Lock.ACCESS_EXCLUSIVE,
                (self.table,),
                rewrites=rewrite_needed(self.old, self.new) or rebuilt.rewrites,
                scans=self._reads_rows(table),
            ),
            *self._sequence(context),
            *rebuilt.statements(policies),
            *make_triggers(self.table, triggers, context),
        )

    def _retyping(self, context: Context) -> Retyping | None:
        """The change without a rewrite; None if PostgreSQL needs no rewrite."""
        table = must_have(context.graph, self.table)
        # A subscriber would stop at a column that it does not have.
        in_place = self.in_place or table.replicated
        if in_place or context.quiet(self.table) or not self._works_through(table):
            return None
        live = table.column(self.new.name) or self.old
        new = self._of(live)
        return retyping(table, live, new, self.using, self.policies, context, undo=self.undo)

    def _of(self, live: Column) -> Column:
        """The live column after the change. It keeps a default that the operation does not name, as
        ALTER TYPE does."""
        new = dataclasses.replace(live, **{name: getattr(self.new, name) for name in _CHANGED})
        if (self.old.default, self.new.default) != (None, None):
            return new
        default = live.default
        if default is not None and not coerces(live.type, new.type):
            given, kind = sql.catalog_text(default), sql.catalog_text(new.type)
            default = sql.compose("({given})::{kind}", given=given, kind=kind)
        return dataclasses.replace(new, default=default)

    def _works_through(self, table: Table) -> bool:
        """Would PostgreSQL rewrite the table, or read its rows for indexes and checks?"""
        return rewrite_needed(self.old, self.new) or self._reads_rows(table)

    def _reads_rows(self, table: Table) -> bool:
        change = (table, self.old, self.new)
        return rebuilds_indexes(*change) or verifies_rows(*change)

    def _is_retyped(self, context: Context) -> bool:
        """Does it run ALTER TYPE? Before PostgreSQL 16, repeating the type resets the storage."""
        old, new = self.old, self.new
        usual = bool(old.storage) and not new.storage and context.server_version < 160000
        return usual or (old.type, old.collation) != (new.type, new.collation)

    def _changes(self, retyped: bool) -> list[sql.Fragment]:
        old, new, column = self.old, self.new, sql.ident(self.new.name)
        changes = []
        if old.default is not None and (retyped or new.default is None):
            changes.append(sql.clause("ALTER COLUMN {column} DROP DEFAULT", column=column))
        if retyped:
            changes.append(self._type_clause(column))
            # ALTER TYPE resets both to what is usual for the type.
            old = dataclasses.replace(old, storage="", compression="", default=None)
        changes += storage_changes(old, new)
        if new.default is not None and new.default != old.default:
            default = sql.catalog_text(new.default)
            changes.append(
                sql.clause("ALTER COLUMN {column} SET DEFAULT {it}", column=column, it=default)
            )
        return changes

    def _type_clause(self, column: sql.Fragment) -> sql.Fragment:
        wanted = sql.catalog_text(self.new.type)
        using = sql.clause("{column}::{type}", column=column, type=wanted)
        if self.using:
            using = sql.catalog_text(self.using)
        plain = not self.using and (
            assigns(self.old.type, self.new.type) or self.old.type == self.new.type
        )
        return sql.clause(
            "ALTER COLUMN {column} TYPE {type}{collation}{using}",
            column=column,
            type=wanted,
            collation=collate_clause(self.new.collation),
            using=sql.EMPTY if plain else sql.clause(" USING {it}", it=using),
        )

    def _sequence(self, context: Context) -> list[Statement]:
        """An identity's sequence follows its column, a serial's has to be altered explicitly."""
        change = _SEQUENCE_TYPES.get(self.new.type)
        if self.new.identity != "serial" or change is None or self.old.type == self.new.type:
            return []
        return [change_sequence(self.table, self.new.name, change, context)]

    def as_found(self, graph: SchemaGraph) -> Operation:
        table = graph.table(self.table)
        live = table.column(self.old.name) if table else None
        if live is None or live.type == self.new.type:
            return self
        values = {name: getattr(live, name) for name in _STORED}
        return dataclasses.replace(self, old=dataclasses.replace(self.old, **values))

    def inverse(self) -> Operation:
        back = tuple((new, old) for old, new in self.policies)
        return dataclasses.replace(
            self, old=self.new, new=self.old, using="", undo=not self.undo, policies=back
        )

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        return remove_scaffold(self.statements(context), self.tables, context)

    @property
    def keeps_by_target(self) -> bool:
        return rewrite_needed(self.old, self.new)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        live = must_have(graph, self.table).column(self.new.name) or self.old
        values = {field: getattr(self._of(live), field) for field in _CHANGED}
        graph = alter(graph, self.table, self.new.name, **values)
        for old, new in self.policies:
            graph = AlterPolicy(table=self.table, old=old, new=new).apply_to(graph)
        return graph

    def touches(self, context: Context) -> tuple[Touch, ...]:
        if way := self._retyping(context):
            return way.touches()
        if not self._is_retyped(context):
            return ()
        return (Touch(Effect.RETYPE, self.table, (self.new.name,)), *self._remade(context))

    def _remade(self, context: Context) -> tuple[Touch, ...]:
        """Generated columns that the statement drops and adds again."""
        hanging = generated_from(must_have(context.graph, self.table), self.new.name)
        names = tuple(column.name for column in hanging)
        return (Touch(Effect.RECREATE, self.table, names),) if names else ()

    def refused(self, context: Context) -> str:
        way = self._retyping(context)
        return way.refused.why if way and way.refused else ""

    def reasons(self, context: Context) -> tuple[str, ...]:
        changed = ("rls_change",) if self.policies else ()
        return (*self._own_reasons(context), *changed)

    def _own_reasons(self, context: Context) -> tuple[str, ...]:
        own = "narrows_column_type" if narrows(self.old.type, self.new.type) else ""
        if way := self._retyping(context):
            return (own or "changes_column_type", *way.reasons())
        statements = self.statements(context)
        if any(statement.rewrites for statement in statements):
            return (own or "changes_column_type", "rewrites_table", "locks_reads")
        if any(statement.scans for statement in statements):
            return ("scans_table", "locks_reads")
        return ()

    @property
    def own_sql(self) -> bool:
        """A rebuild keeps its journal in a schema that the whole database shares."""
        return self.in_place

    def artifact(self, context: Context) -> Artifact | None:
        way = self._retyping(context)
        return way.artifact() if way else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterGenerated(OnTable):
    """Changes the expression of a generated column, or makes it an ordinary one."""

    kind = "alterGenerated"
    table: TableName
    old: Column
    new: Column
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.new.name}"

    def describe(self) -> str:
        return f"change how {self.target} is generated"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if self._keeps_column(context):
            return (self._expression(context),)
        # A virtual column has no values to keep: it becomes a stored one first.
        stored = self.new
        if not self.new.generated:
            stored = dataclasses.replace(self.new, generated=self.old.generated, default=None)
        made_stored = dataclasses.replace(self, new=stored)._rebuild(context)
        if self.new.generated:
            return made_stored
        return (*made_stored, self._expression(context))

    def _keeps_column(self, context: Context) -> bool:
        """Does the column stay? DROP EXPRESSION and, since PostgreSQL 17, SET EXPRESSION keep
        it."""
        old, new = self.old, self.new
        if not new.generated:
            return not old.virtual
        same = dataclasses.replace(old, generated=new.generated) == new
        stored = bool(old.generated) and not old.virtual
        return stored and same and context.server_version >= 170000

    def _expression(self, context: Context) -> Statement:
        column = sql.ident(self.new.name)
        change = sql.clause("ALTER COLUMN {column} DROP EXPRESSION", column=column)
        if self.new.generated:
            change = sql.clause(
                "ALTER COLUMN {column} SET EXPRESSION AS ({it})",
                column=column,
                it=sql.catalog_text(self.new.generated),
            )
        rewrites = bool(self.new.generated) and not self.new.virtual
        text = alter_table(context, self.table, "{change}", change=change)
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,), rewrites=rewrites)

    def _rebuild(self, context: Context) -> tuple[Statement, ...]:
        """Drops and adds the column in one statement, and recreates its dependents after it."""
        table = must_have(context.graph, self.table)
        rebuilt = _Rebuilt(table, (self.new,), context)
        changes = [*rebuilt.drops(), *rebuilt.adds()]
        text = alter_table(context, self.table, "{changes}", changes=sql.join(changes))
        return (
            *rebuilt.without_obstacles(()),
            Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,), rewrites=rebuilt.rewrites),
            *rebuilt.statements(()),
        )

    def inverse(self) -> Operation:
        return AlterGenerated(table=self.table, old=self.new, new=self.old, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(
            self.table, lambda t: t.with_item("columns", self.new, instead_of=self.old.name)
        )

    def touches(self, context: Context) -> tuple[Touch, ...]:
        if not self._keeps_column(context):
            return (Touch(Effect.RECREATE, self.table, (self.new.name,)),)
        rewrites = any(statement.rewrites for statement in self.statements(context))
        return (Touch(Effect.REWRITE, self.table),) if rewrites else ()

    def reasons(self, context: Context) -> tuple[str, ...]:
        rewrites = any(statement.rewrites for statement in self.statements(context))
        return ("rewrites_table", "locks_reads") if rewrites else ()


class _Rebuilt:
    """Generated columns that one statement drops and adds again, and their dependents. `columns`
    are the new ones. All of it runs in one transaction under the table's exclusive lock, so plain
    forms are enough.
    """

    def __init__(self, table: Table, columns: tuple[Column, ...], context: Context) -> None:
        self.table, self.columns = table, columns
        self.parts: dict[str, dict[str, Any]] = {
            part.field: {i.name: i for c in columns for i in containing(part, table, c.name)}
            for part in CHANGED
        }
        self.leaning = list(self._leaning(context))
        quiet = {table.name, *(holder for holder, _ in self.leaning)}
        self.context = dataclasses.replace(context, fresh=context.fresh | quiet)

    def _leaning(self, context: Context) -> Iterator[tuple[TableName, ForeignKey]]:
        """(table, foreign key) of those that may depend on a unique or primary key to be dropped:
        if several keys have the same columns, PostgreSQL has chosen one."""
        going = [sorted(unique.columns) for unique in self.parts["uniques"].values()]
        if key := self._primary_key:
            going.append(sorted(key.columns))
        for holder, foreign in referrers_to(context.graph, self.table.name):
            if sorted(foreign.referenced_columns) in going:
                yield holder, foreign

    @property
    def _primary_key(self) -> PrimaryKey | None:
        """The primary key, if it is dropped with one of the columns."""
        goes = any(in_primary_key(self.table, column.name) for column in self.columns)
        return self.table.primary_key if goes else None

    @property
    def rewrites(self) -> bool:
        return any(not column.virtual for column in self.columns)

    def drops(self) -> list[sql.Fragment]:
        """Drops an exclusion that reads the column in its WHERE; DROP COLUMN drops the other
        dependents."""
        exclusions = [
            sql.clause("DROP CONSTRAINT {name}", name=sql.ident(name))
            for name in self.parts["exclusions"]
        ]
        columns = [
            sql.clause("DROP COLUMN {column}", column=sql.ident(column.name))
            for column in self.columns
        ]
        return [*exclusions, *columns]

    def adds(self) -> list[sql.Fragment]:
        return [sql.clause("ADD COLUMN {it}", it=column_clause(column)) for column in self.columns]

    def _policies(self, more: PolicyPairs) -> PolicyPairs:
        return exchanged(self.parts["policies"].values(), more)

    def without_obstacles(self, more: PolicyPairs) -> list[Statement]:
        """Drops the obstacles first: policies block DROP COLUMN and ALTER TYPE, foreign keys block
        DROP COLUMN."""
        gone: list[Operation] = [
            DropPolicy(table=self.table.name, policy=old) for old, _ in self._policies(more)
        ]
        gone += [DropForeignKey(table=holder, foreign_key=key) for holder, key in self.leaning]
        return self._all(gone)

    def statements(self, more: PolicyPairs) -> list[Statement]:
        name, parts = self.table.name, self.parts
        again: list[Operation] = []
        if key := self._primary_key:
            again.append(AlterPrimaryKey(table=name, new=key))
        again += [adding(name, item) for part in BUILT for item in parts[part.field].values()]
        keys = [(name, key) for key in parts["foreign_keys"].values()]
        keys += [pair for pair in self.leaning if pair not in keys]
        again += [AddForeignKey(table=holder, foreign_key=key) for holder, key in keys]
        again += [CreatePolicy(table=name, policy=policy) for _, policy in self._policies(more)]
        settings = [
            statement
            for column in self.columns
            for statement in column_settings(name, column, self.context)
        ]
        return [*settings, *self._all(again)]

    def _all(self, operations: Iterable[Operation]) -> list[Statement]:
        return [s for operation in operations for s in operation.statements(self.context)]
