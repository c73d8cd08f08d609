"""Constraints: keys, foreign keys, checks, exclusions; added so that nobody waits for a scan."""

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
    check_clause,
    constraint_comment,
    constraint_state,
    deferrable_clause,
    drop_constraint,
    exclusion_clause,
    foreign_key_clause,
    index_of,
    primary_key_clause,
    rename_constraint,
    unique_clause,
    validate,
)
from zanith_django.operations.indexes import build_concurrently
from zanith_django.operations.online.partition_keys import (
    PartitionedKey,
    foreign_key_in_partitions,
    foreign_keys_in_partitions,
)
from zanith_django.operations.online.scaffold import drop_constraint_if_there, take_away_builds
from zanith_django.operations.touches import Effect, Touch
from zanith_django.operations.words import (
    check_facts,
    foreign_key_facts,
    primary_key_facts,
    unique_facts,
    with_facts,
)
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Check, Exclusion, ForeignKey, PrimaryKey, SchemaGraph, Unique


@dataclass(frozen=True, slots=True, kw_only=True)
class AddUnique(OnTable):
    """A unique index built concurrently, then made a constraint in an instant."""

    kind = "addUnique"
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

    def inverse(self) -> Operation:
        return DropUnique(table=self.table, unique=self.unique, model=self.model)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        return take_away_builds(self.statements(context))

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.with_item("uniques", self.unique))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("adds_unique_constraint",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropUnique(OnTable):
    """Drops a unique constraint with its index."""

    kind = "dropUnique"
    table: TableName
    unique: Unique
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.unique.name}"

    def describe(self) -> str:
        return f"drop unique {self.unique.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (drop_constraint(self.table, self.unique.name, context),)

    def inverse(self) -> Operation:
        return AddUnique(table=self.table, unique=self.unique, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.without_item("uniques", self.unique.name))

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.DROP_KEY, self.table, self.unique.columns, self.unique.name),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_unique_constraint",)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddForeignKey(OnTable):
    """Adds a foreign key NOT VALID, then validates it in a transaction of its own."""

    kind = "addForeignKey"
    table: TableName
    foreign_key: ForeignKey
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}({', '.join(self.foreign_key.columns)})"

    @property
    def tables(self) -> tuple[TableName, ...]:
        return tuple(dict.fromkeys((self.table, self.foreign_key.references)))

    def describe(self) -> str:
        key = self.foreign_key
        to = f"{key.references}({', '.join(key.referenced_columns)})"
        text = f"add foreign key {key.name} from {self.target} to {to}"
        return with_facts(text, *foreign_key_facts(key))

    def statements(self, context: Context) -> tuple[Statement, ...]:
        key = self.foreign_key
        comment = constraint_comment(self.table, key.name, key.comment, context)
        if key.valid and context.quiet(self.table):
            clause = foreign_key_clause(key, context)
            text = alter_table(context, self.table, "ADD {key}", key=clause)
            return (Statement(text, Lock.SHARE_ROW_EXCLUSIVE, self.tables), *comment)
        partitioned = must_have(context.graph, self.table).partition_key
        if key.valid and partitioned and context.server_version < 180000:
            return (*foreign_key_in_partitions(self.table, key, context), *comment)
        not_valid = sql.keyword(" NOT VALID") if key.enforced else sql.EMPTY
        text = alter_table(
            context,
            self.table,
            "ADD {key}{not_valid}",
            key=foreign_key_clause(key, context),
            not_valid=not_valid,
        )
        probe = constraint_state(self.table, key.name, context, validated=False)
        add = Statement(
            text,
            Lock.SHARE_ROW_EXCLUSIVE,
            self.tables,
            probe=probe,
            cleanup=drop_constraint_if_there(self.table, key.name, context).sql,
            felt=f"foreign key {key.name} of {self.table}",
        )
        if not key.valid:
            return (add, *comment)
        return (add, *comment, validate(self.table, key.name, context, self.tables))

    def inverse(self) -> Operation:
        return DropForeignKey(table=self.table, foreign_key=self.foreign_key, model=self.model)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        name = self.foreign_key.name
        return (
            drop_constraint_if_there(self.table, name, context, self.tables),
            *(
                drop_constraint_if_there(partition, part, context, (partition, *self.tables[1:]))
                for partition, part in foreign_keys_in_partitions(self.table, name, context)
            ),
        )

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.with_item("foreign_keys", self.foreign_key))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("adds_foreign_key",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropForeignKey(OnTable):
    """Drops a foreign key; PostgreSQL locks both tables for an instant."""

    kind = "dropForeignKey"
    table: TableName
    foreign_key: ForeignKey
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.foreign_key.name}"

    @property
    def tables(self) -> tuple[TableName, ...]:
        return tuple(dict.fromkeys((self.table, self.foreign_key.references)))

    def describe(self) -> str:
        return f"drop foreign key {self.foreign_key.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (drop_constraint(self.table, self.foreign_key.name, context, self.tables),)

    def inverse(self) -> Operation:
        return AddForeignKey(table=self.table, foreign_key=self.foreign_key, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        name = self.foreign_key.name
        return graph.changed(self.table, lambda t: t.without_item("foreign_keys", name))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_foreign_key",)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheck(OnTable):
    """Adds a check NOT VALID, then validates it in a transaction of its own."""

    kind = "addCheck"
    table: TableName
    check: Check
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.check.name}"

    def describe(self) -> str:
        text = f"add check {self.check.name} on {self.table}: {self.check.expression}"
        return with_facts(text, *check_facts(self.check))

    def statements(self, context: Context) -> tuple[Statement, ...]:
        check = self.check
        comment = constraint_comment(self.table, check.name, check.comment, context)
        if check.valid and context.quiet(self.table):
            text = alter_table(context, self.table, "ADD {check}", check=check_clause(check))
            return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)), *comment)
        not_valid = sql.keyword(" NOT VALID") if check.enforced else sql.EMPTY
        text = alter_table(
            context,
            self.table,
            "ADD {check}{not_valid}",
            check=check_clause(check),
            not_valid=not_valid,
        )
        probe = constraint_state(self.table, check.name, context, validated=False)
        add = Statement(
            text,
            Lock.ACCESS_EXCLUSIVE,
            (self.table,),
            probe=probe,
            cleanup=drop_constraint_if_there(self.table, check.name, context).sql,
            felt=f"check {check.name} of {self.table}",
        )
        if not check.valid:
            return (add, *comment)
        return (add, *comment, validate(self.table, check.name, context, (self.table,)))

    def inverse(self) -> Operation:
        return DropCheck(table=self.table, check=self.check, model=self.model)

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        return (drop_constraint_if_there(self.table, self.check.name, context),)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.with_item("checks", self.check))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("scans_table",) if self.check.valid else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DropCheck(OnTable):
    """Drops a check."""

    kind = "dropCheck"
    table: TableName
    check: Check
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.check.name}"

    def describe(self) -> str:
        return f"drop check {self.check.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (drop_constraint(self.table, self.check.name, context),)

    def inverse(self) -> Operation:
        return AddCheck(table=self.table, check=self.check, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.without_item("checks", self.check.name))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddExclusion(OnTable):
    """Adds an exclusion constraint. PostgreSQL has no form of it that lets writers go on."""

    kind = "addExclusion"
    table: TableName
    exclusion: Exclusion
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.exclusion.name}"

    def describe(self) -> str:
        definition = self.exclusion.definition
        return f"add exclusion {self.exclusion.name} on {self.table}: {definition}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = alter_table(context, self.table, "ADD {it}", it=exclusion_clause(self.exclusion))
        comment = constraint_comment(
            self.table, self.exclusion.name, self.exclusion.comment, context
        )
        scans = not context.quiet(self.table)
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,), scans=scans), *comment)

    def inverse(self) -> Operation:
        return DropExclusion(table=self.table, exclusion=self.exclusion, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.with_item("exclusions", self.exclusion))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("locks_reads",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropExclusion(OnTable):
    """Drops an exclusion constraint with its index."""

    kind = "dropExclusion"
    table: TableName
    exclusion: Exclusion
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.exclusion.name}"

    def describe(self) -> str:
        return f"drop exclusion {self.exclusion.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (drop_constraint(self.table, self.exclusion.name, context),)

    def inverse(self) -> Operation:
        return AddExclusion(table=self.table, exclusion=self.exclusion, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        name = self.exclusion.name
        return graph.changed(self.table, lambda t: t.without_item("exclusions", name))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_unique_constraint",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateConstraint(OnTable):
    """Checks the rows of a foreign key or check that was added NOT VALID.

    PostgreSQL has no way to forget that it did, and nobody needs one: going back passes it over,
    as Django's own ValidateConstraint does.
    """

    kind = "validateConstraint"
    table: TableName
    name: str
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.name}"

    def describe(self) -> str:
        return f"validate constraint {self.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (validate(self.table, self.name, context, (self.table,)),)

    def inverse(self) -> Operation | None:
        return None

    @property
    def passed_over(self) -> bool:
        return True

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        table = must_have(graph, self.table)
        for part in ("foreign_keys", "checks"):
            for item in getattr(table, part):
                if item.name == self.name:
                    valid = dataclasses.replace(item, valid=True)
                    return graph.with_table(table.with_item(part, valid))
        return graph

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("scans_table",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameConstraint(OnTable):
    """Renames a constraint of any kind in place. At most one of
    `unique`, `foreign_key`, `check` and `exclusion` is what it looks like, under its old name: a
    database of another past may call it otherwise."""

    kind = "renameConstraint"
    table: TableName
    old: str
    new: str
    unique: Unique | None = None
    foreign_key: ForeignKey | None = None
    check: Check | None = None
    exclusion: Exclusion | None = None
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.old}"

    def describe(self) -> str:
        return f"rename constraint {self.old} of {self.table} to {self.new}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (rename_constraint(self.table, self.old, self.new, context),)

    def inverse(self) -> Operation:
        parts = ("unique", "foreign_key", "check", "exclusion")
        known = {part: item for part in parts if (item := getattr(self, part))}
        named = {part: dataclasses.replace(it, name=self.new) for part, it in known.items()}
        return dataclasses.replace(self, old=self.new, new=self.old, **named)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        table = must_have(graph, self.table)
        if table.primary_key and table.primary_key.name == self.old:
            key = dataclasses.replace(table.primary_key, name=self.new)
            return graph.with_table(dataclasses.replace(table, primary_key=key))
        for part in ("uniques", "foreign_keys", "checks", "exclusions"):
            for item in getattr(table, part):
                if item.name == self.old:
                    renamed = dataclasses.replace(item, name=self.new)
                    return graph.with_table(table.with_item(part, renamed, instead_of=self.old))
        return graph

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterPrimaryKey(OnTable):
    """Puts another primary key in the place of the old one; keys that point at it must be gone."""

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

    def _swap(self, key: sql.Composable | None, context: Context) -> tuple[Statement, ...]:
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
        return take_away_builds(self.statements(context))

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return changed(graph, self.table, primary_key=self.new)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        if self.old is None:
            return ()
        return (Touch(Effect.DROP_KEY, self.table, self.old.columns, self.old.name),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("adds_unique_constraint", "breaks_running_code")
