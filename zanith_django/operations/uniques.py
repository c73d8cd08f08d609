"""Unique constraints and primary keys."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from zanith_django.operations.base import (
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    apart,
    changed,
    dropped_name,
    must_have,
)
from zanith_django.operations.constraint_clauses import (
    constraint_comment,
    deferrable_clause,
    drop_constraint,
    index_of,
    primary_key_clause,
    unique_clause,
)
from zanith_django.operations.indexes import build_concurrently
from zanith_django.operations.online.partition_keys import (
    PartitionedKey,
)
from zanith_django.operations.online.scaffold import remove_builds
from zanith_django.operations.parts import AddPart, DropPart
from zanith_django.operations.touches import Effect, Touch
from zanith_django.operations.words import (
    primary_key_facts,
    unique_facts,
    with_facts,
)
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import PrimaryKey, SchemaGraph, Unique
from zanith_django.schema.parts import UNIQUES


@dataclass(frozen=True, slots=True, kw_only=True)
class AddUnique(AddPart):
    """A unique index built concurrently, then made a constraint in an instant."""

    kind = "addUnique"
    adds = UNIQUES
    table: TableName
    unique: Unique
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}({', '.join(self.unique.columns)})"

    def describe(self) -> str:
        text = f"add unique {self.unique.name} on {self.target}"
        return with_facts(text, *unique_facts(self.unique))

    def statements(self, context: Context) -> tuple[Statement, ...]:
        comment = constraint_comment(self.table, self.unique.name, self.unique.comment, context)
        if context.quiet(self.table):
            text = alter_table(context, self.table, "ADD {key}", key=unique_clause(self.unique))
            return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)), *comment)
        if must_have(context.graph, self.table).partition_key:
            key = PartitionedKey(self.table, self.unique, context)
            return (*key.builds(), *key.brief(), *comment)
        attach = alter_table(
            context,
            self.table,
            "ADD CONSTRAINT {name} UNIQUE USING INDEX {name}{deferrable}",
            name=sql.ident(self.unique.name),
            deferrable=deferrable_clause(self.unique.deferrable),
        )
        build = build_concurrently(self.table, index_of(self.unique), context)
        return (build, Statement(attach, Lock.ACCESS_EXCLUSIVE, (self.table,)), *comment)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        return remove_builds(self.statements(context))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("adds_unique_constraint",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropUnique(DropPart):
    """Drops a unique constraint with its index."""

    kind = "dropUnique"
    drops = UNIQUES
    table: TableName
    unique: Unique
    model: str = ""

    def describe(self) -> str:
        return f"drop unique {self.unique.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (drop_constraint(self.table, self.unique.name, context),)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.DROP_KEY, self.table, self.unique.columns, self.unique.name),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_unique_constraint",)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterPrimaryKey(OnTable):
    """Replaces the primary key; foreign keys that reference the old one must be dropped before."""

    kind = "alterPrimaryKey"
    table: TableName
    old: PrimaryKey | None = None
    new: PrimaryKey | None = None
    model: str = ""

    def describe(self) -> str:
        columns = f"({', '.join(self.new.columns)})" if self.new else "none"
        text = f"change primary key of {self.table} to {columns}"
        return with_facts(text, *primary_key_facts(self.new))

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if self.new is None or context.quiet(self.table):
            return self._swap(primary_key_clause(self.new) if self.new else None, context)
        if must_have(context.graph, self.table).partition_key:
            return self._in_partitions(self.new, context)
        built = dropped_name(f"{self.table}", "primary key").replace("dropped", "primary_key")
        attach = sql.clause(
            "CONSTRAINT {name} PRIMARY KEY USING INDEX {built}{deferrable}",
            name=sql.ident(self.new.name),
            built=sql.ident(built),
            deferrable=deferrable_clause(self.new.deferrable),
        )
        index = index_of(dataclasses.replace(self.new, name=built))
        return (build_concurrently(self.table, index, context), *self._swap(attach, context))

    def _in_partitions(self, new: PrimaryKey, context: Context) -> tuple[Statement, ...]:
        key = PartitionedKey(self.table, new, context)
        old = [drop_constraint(self.table, self.old.name, context)] if self.old else []
        comment = constraint_comment(self.table, new.name, new.comment, context)
        swap = [dataclasses.replace(item, separate=False, probe="") for item in key.brief()]
        return (*key.builds(), *apart([*old, *swap, *comment]))

    def _swap(self, key: sql.Fragment | None, context: Context) -> tuple[Statement, ...]:
        changes = []
        if self.old:
            changes.append(sql.clause("DROP CONSTRAINT {name}", name=sql.ident(self.old.name)))
        if key:
            changes.append(sql.clause("ADD {key}", key=key))
        text = alter_table(context, self.table, "{changes}", changes=sql.join(changes))
        swap = Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))
        if self.new is None:
            return (swap,)
        return (
            swap,
            *constraint_comment(self.table, self.new.name, self.new.comment, context),
        )

    def inverse(self) -> Operation:
        return AlterPrimaryKey(table=self.table, old=self.new, new=self.old, model=self.model)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        return remove_builds(self.statements(context))

    def in_names_of(self, graph: SchemaGraph) -> Operation:
        live = graph.table(self.table)
        return dataclasses.replace(self, old=live.primary_key) if live and self.old else self

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return changed(graph, self.table, primary_key=self.new)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        if self.old is None:
            return ()
        return (Touch(Effect.DROP_KEY, self.table, self.old.columns, self.old.name),)

    @property
    def breaks_unseen(self) -> bool:
        return True

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("adds_unique_constraint", "breaks_running_code")
