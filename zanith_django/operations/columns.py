"""Columns: add, alter, rename, drop."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from zanith_django import sql
from zanith_django.locks import Lock
from zanith_django.operations.base import (
    Batches,
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    dropped_name,
    must_have,
)
from zanith_django.operations.constraints import (
    AddCheck,
    AddExclusion,
    AddForeignKey,
    AddUnique,
    AlterPrimaryKey,
    constraint_state,
    drop_constraint,
    validate,
)
from zanith_django.operations.dependents import (
    DEPENDENT_PARTS,
    generated_from,
    in_primary_key,
    rename_column,
    what_contains,
    without_column,
)
from zanith_django.operations.indexes import AddIndex
from zanith_django.operations.policies import CreatePolicy, DropPolicy
from zanith_django.operations.rewrites import assigns, narrows, rewrite_needed, volatile
from zanith_django.operations.sequences import (
    change_sequence,
    drop_serial,
    make_serial,
    reseed,
)
from zanith_django.schema.graph import Column, Policy, SchemaGraph, Table, TableName
from zanith_django.schema.object_names import make_object_name

_COLUMN_STATE = """\
SELECT 'done' FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass({table}) AND attname = {column} AND NOT attisdropped"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddColumn(OnTable):
    """Adds a column without a rewrite: a constant default is stored in the catalog, a volatile
    one is filled in by batches."""

    kind = "addColumn"
    table: TableName
    column: Column
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column.name}"

    def describe(self) -> str:
        return f"add column {self.target} ({spell_column(self.column)})"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        settings = column_settings(self.table, self.column, context)
        if context.quiet(self.table) or not volatile(self.column.default):
            return (add_column(self.table, self.column, context), *settings)
        bare = dataclasses.replace(self.column, nullable=True, default=None)
        add = dataclasses.replace(
            add_column(self.table, bare, context),
            probe=column_state(self.table, self.column.name, context),
        )
        steps = [add, set_default(self.table, self.column, context), *settings]
        steps.append(self._fill(context))
        if not self.column.nullable:
            steps += set_not_null(self.table, self.column.name, context)
        return tuple(steps)

    def _fill(self, context: Context) -> Statement:
        column = sql.ident(self.column.name)
        return update_in_batches(
            self.table,
            sql.clause("{column} = DEFAULT", column=column),
            sql.clause("{column} IS NULL", column=column),
            context,
        )

    def inverse(self) -> Operation:
        return DropColumn(table=self.table, column=self.column, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.with_item("columns", self.column))

    def reasons(self, context: Context) -> tuple[str, ...]:
        filled = ("requires_backfill",) if volatile(self.column.default) else ()
        rewritten = ("rewrites_table",) if self.column.identity else ()
        if self.column.nullable or self.column.default is not None or self.column.identity:
            return ("adds_nullable_column", *filled, *rewritten)
        return ("adds_required_column_without_default", "breaks_running_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddGeneratedColumn(OnTable):
    """Adds a generated column; a stored one makes PostgreSQL write the table anew."""

    kind = "addGeneratedColumn"
    table: TableName
    column: Column
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column.name}"

    def describe(self) -> str:
        return f"add column {self.target} ({spell_column(self.column)})"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        added = add_column(self.table, self.column, context)
        settings = column_settings(self.table, self.column, context)
        return (dataclasses.replace(added, rewrites=not self.column.virtual), *settings)

    def inverse(self) -> Operation:
        return DropColumn(table=self.table, column=self.column, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.with_item("columns", self.column))

    def reasons(self, context: Context) -> tuple[str, ...]:
        rewritten = () if self.column.virtual else ("rewrites_table",)
        return ("adds_nullable_column", *rewritten)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropColumn(OnTable):
    """Drops a column for good, with the plain indexes and constraints of its own table."""

    kind = "dropColumn"
    table: TableName
    column: Column
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column.name}"

    def describe(self) -> str:
        return f"drop column {self.target}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = alter_table(
            context, self.table, "DROP COLUMN {column}", column=sql.ident(self.column.name)
        )
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)

    def inverse(self) -> Operation:
        kind = AddGeneratedColumn if self.column.generated else AddColumn
        return kind(table=self.table, column=self.column, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: without_column(t, self.column.name))

    def reasons(self, context: Context) -> tuple[str, ...]:
        if self.column.generated:
            return ("drops_column_with_data", "breaks_running_code")
        return ("drops_column_with_data", "breaks_running_code", "irreversible")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterColumnType(OnTable):
    """Changes type, collation and the way values are stored; `old` and `new` are the whole column
    before and after. What PostgreSQL refuses to carry over, generated columns that read this one
    and policies, is made again in the same transaction."""

    kind = "alterColumnType"
    table: TableName
    old: Column
    new: Column
    using: str = ""
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.new.name}"

    def describe(self) -> str:
        if spell_type(self.old) == spell_type(self.new):
            return f"change how values of {self.target} are stored"
        return f"change type of {self.target} from {spell_type(self.old)} to {spell_type(self.new)}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        table = must_have(context.graph, self.table)
        retyped = self._is_retyped(context)
        hanging = generated_from(table, self.new.name) if retyped else ()
        policies = what_contains(table, self.new.name)["policies"] if retyped else ()
        rebuilt = _Rebuilt(table, hanging, context)
        changes = [*rebuilt.drops(), *self._changes(retyped), *rebuilt.adds()]
        return (
            *rebuilt.without_policies(policies),
            Statement(
                alter_table(context, self.table, "{changes}", changes=sql.join(changes)),
                Lock.ACCESS_EXCLUSIVE,
                (self.table,),
                rewrites=rewrite_needed(self.old, self.new) or rebuilt.rewrites,
            ),
            *self._sequence(context),
            *rebuilt.statements(policies),
        )

    def _is_retyped(self, context: Context) -> bool:
        """Before PostgreSQL 16 the same type again is the way to the usual storage."""
        old, new = self.old, self.new
        usual = bool(old.storage) and not new.storage and context.server_version < 160000
        return usual or (old.type, old.collation) != (new.type, new.collation)

    def _changes(self, retyped: bool) -> list[sql.Composable]:
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

    def _type_clause(self, column: sql.Composable) -> sql.Composable:
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
        """An identity's sequence follows its column, a serial's has to be told."""
        change = _SEQUENCE_TYPES.get(self.new.type)
        if self.new.identity != "serial" or change is None or self.old.type == self.new.type:
            return []
        return [change_sequence(self.table, self.new.name, change, context)]

    def inverse(self) -> Operation:
        return AlterColumnType(table=self.table, old=self.new, new=self.old, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        fields = ("type", "collation", "default", "storage", "compression")
        values = {field: getattr(self.new, field) for field in fields}
        return alter(graph, self.table, self.new.name, **values)

    def reasons(self, context: Context) -> tuple[str, ...]:
        if not rewrite_needed(self.old, self.new):
            return ()
        own = "narrows_column_type" if narrows(self.old.type, self.new.type) else ""
        return (own or "changes_column_type", "rewrites_table", "locks_reads")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterColumnNullable(OnTable):
    """SET NOT NULL by way of a validated check, or DROP NOT NULL."""

    kind = "alterColumnNullable"
    table: TableName
    column: str
    nullable: bool
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column}"

    def describe(self) -> str:
        return f"{'allow' if self.nullable else 'forbid'} NULL in {self.target}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if not self.nullable:
            return tuple(set_not_null(self.table, self.column, context))
        column = sql.ident(self.column)
        text = alter_table(
            context, self.table, "ALTER COLUMN {column} DROP NOT NULL", column=column
        )
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)

    def inverse(self) -> Operation:
        return dataclasses.replace(self, nullable=not self.nullable)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return alter(graph, self.table, self.column, nullable=self.nullable)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return () if self.nullable else ("changes_column_nullable_to_not_null", "scans_table")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterColumnDefault(OnTable):
    """Sets or drops the default of a column; existing rows stay as they are."""

    kind = "alterColumnDefault"
    table: TableName
    column: str
    old: str | None = None
    new: str | None = None
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column}"

    def describe(self) -> str:
        if self.new is None:
            return f"drop default of {self.target} (was {self.old})"
        return f"set default of {self.target} to {self.new}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        column = sql.ident(self.column)
        if self.new is None:
            text = alter_table(
                context, self.table, "ALTER COLUMN {column} DROP DEFAULT", column=column
            )
            return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)
        return (set_default(self.table, Column(self.column, "", default=self.new), context),)

    def inverse(self) -> Operation:
        return dataclasses.replace(self, old=self.new, new=self.old)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return alter(graph, self.table, self.column, default=self.new)

    def reasons(self, context: Context) -> tuple[str, ...]:
        """Without its default, an insert of running code that leaves the column out may fail."""
        column = must_have(context.graph, self.table).column(self.column)
        if self.new is None and column and not column.nullable and not context.quiet(self.table):
            return ("breaks_running_code",)
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterColumnIdentity(OnTable):
    """Gives a column an identity, takes it away, or changes its kind."""

    kind = "alterColumnIdentity"
    table: TableName
    column: str
    old: str = ""
    new: str = ""
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column}"

    def describe(self) -> str:
        return f"change identity of {self.target} from {self.old or 'none'} to {self.new or 'none'}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if {self.old, self.new} <= _IDENTITIES:
            return (self._altered("SET GENERATED", context),)
        steps: list[Statement] = []
        if self.old == "serial":
            steps += drop_serial(self.table, self.column, context)
        elif self.old:
            steps.append(self._altered("DROP IDENTITY", context))
        if self.new == "serial":
            column = must_have(context.graph, self.table).column(self.column)
            kind = column.type if column else "bigint"
            steps += make_serial(self.table, self.column, kind, context)
        elif self.new:
            steps.append(self._altered("ADD GENERATED", context))
        return (*steps, *([reseed(self.table, self.column, context)] if self.new else []))

    def _altered(self, change: LiteralString, context: Context) -> Statement:
        mode = sql.keyword("ALWAYS" if self.new == "always" else "BY DEFAULT")
        suffix = {
            "SET GENERATED": sql.clause(" {mode}", mode=mode),
            "ADD GENERATED": sql.clause(" {mode} AS IDENTITY", mode=mode),
        }
        text = alter_table(
            context,
            self.table,
            "ALTER COLUMN {column} {change}{suffix}",
            column=sql.ident(self.column),
            change=sql.keyword(change),
            suffix=suffix.get(change, sql.EMPTY),
        )
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))

    def inverse(self) -> Operation:
        return dataclasses.replace(self, old=self.new, new=self.old)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return alter(graph, self.table, self.column, identity=self.new)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return () if self.new else ("breaks_running_code",)


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
        """DROP EXPRESSION and, since PostgreSQL 17, SET EXPRESSION leave all else as it is."""
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
        """The column goes and comes in one statement, and all that hung on it after it."""
        table = must_have(context.graph, self.table)
        rebuilt = _Rebuilt(table, (self.new,), context)
        changes = [*rebuilt.drops(), *rebuilt.adds()]
        text = alter_table(context, self.table, "{changes}", changes=sql.join(changes))
        return (
            *rebuilt.without_policies(()),
            Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,), rewrites=rebuilt.rewrites),
            *rebuilt.statements(()),
        )

    def inverse(self) -> Operation:
        return AlterGenerated(table=self.table, old=self.new, new=self.old, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(
            self.table, lambda t: t.with_item("columns", self.new, instead_of=self.old.name)
        )

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rewrites_table", "locks_reads") if self.new.generated else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameColumn(OnTable):
    """Renames a column in place."""

    kind = "renameColumn"
    table: TableName
    old: str
    new: str
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.old}"

    def describe(self) -> str:
        return f"rename column {self.target} to {self.new}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = alter_table(
            context,
            self.table,
            "RENAME COLUMN {old} TO {new}",
            old=sql.ident(self.old),
            new=sql.ident(self.new),
        )
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)

    def inverse(self) -> Operation:
        return RenameColumn(table=self.table, old=self.new, new=self.old, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return rename_column(graph, self.table, self.old, self.new)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rename_column", "breaks_running_code")


_IDENTITIES = {"always", "by default"}
_SEQUENCE_TYPES: Mapping[str, LiteralString] = {
    "smallint": "ALTER SEQUENCE %s AS smallint",
    "integer": "ALTER SEQUENCE %s AS integer",
    "bigint": "ALTER SEQUENCE %s AS bigint",
}


def alter(graph: SchemaGraph, table: TableName, column: str, **fields: object) -> SchemaGraph:
    """`graph` with fields of one column replaced."""

    def altered(found: Table) -> Table:
        old = found.column(column)
        if old is None:
            return found
        return found.with_item("columns", dataclasses.replace(old, **fields))  # type: ignore[arg-type]

    return graph.changed(table, altered)


class _Rebuilt:
    """Generated columns that one statement drops and adds again, and what hangs on them.

    `columns` are as they will be. All of it happens in one transaction under the table's
    exclusive lock, so that plain forms do.
    """

    def __init__(self, table: Table, columns: tuple[Column, ...], context: Context) -> None:
        self.table, self.columns = table, columns
        self.context = dataclasses.replace(context, fresh=context.fresh | {table.name})
        self.parts: dict[str, dict[str, Any]] = {part: {} for part in DEPENDENT_PARTS}
        for column in columns:
            for part, items in what_contains(table, column.name).items():
                self.parts[part].update({item.name: item for item in items})

    @property
    def rewrites(self) -> bool:
        return any(not column.virtual for column in self.columns)

    def drops(self) -> list[sql.Composable]:
        return [
            sql.clause("DROP COLUMN {column}", column=sql.ident(column.name))
            for column in self.columns
        ]

    def adds(self) -> list[sql.Composable]:
        return [sql.clause("ADD COLUMN {it}", it=column_clause(column)) for column in self.columns]

    def _policies(self, more: tuple[Policy, ...]) -> list[Policy]:
        return list({**self.parts["policies"], **{item.name: item for item in more}}.values())

    def without_policies(self, more: tuple[Policy, ...]) -> list[Statement]:
        """A policy is in the way of DROP COLUMN and ALTER TYPE."""
        return self._all(DropPolicy(table=self.table.name, policy=p) for p in self._policies(more))

    def statements(self, more: tuple[Policy, ...]) -> list[Statement]:
        name, parts = self.table.name, self.parts
        key = self.table.primary_key
        again: list[Operation] = []
        if key and any(in_primary_key(self.table, column.name) for column in self.columns):
            again.append(AlterPrimaryKey(table=name, new=key))
        again += [AddUnique(table=name, unique=item) for item in parts["uniques"].values()]
        again += [AddCheck(table=name, check=item) for item in parts["checks"].values()]
        again += [AddExclusion(table=name, exclusion=i) for i in parts["exclusions"].values()]
        again += [AddIndex(table=name, index=item) for item in parts["indexes"].values()]
        again += [AddForeignKey(table=name, foreign_key=i) for i in parts["foreign_keys"].values()]
        again += [CreatePolicy(table=name, policy=policy) for policy in self._policies(more)]
        settings = [
            statement
            for column in self.columns
            for statement in column_settings(name, column, self.context)
        ]
        return [*settings, *self._all(again)]

    def _all(self, operations: Iterable[Operation]) -> list[Statement]:
        return [s for operation in operations for s in operation.statements(self.context)]


# --- the SQL of columns ------------------------------------------------------------------------


def spell_type(column: Column) -> str:
    """A column's type for people."""
    return column.type + (f" collate {column.collation}" if column.collation else "")


def spell_column(column: Column) -> str:
    """A column's definition for people."""
    parts = [spell_type(column)]
    if column.generated:
        parts.append(f"generated as {column.generated}")
    if column.identity:
        parts.append(f"identity {column.identity}")
    if column.default is not None:
        parts.append(f"default {column.default}")
    if not column.nullable:
        parts.append("not null")
    return ", ".join(parts)


_SERIAL = {"integer": "serial", "bigint": "bigserial", "smallint": "smallserial"}


def column_clause(column: Column) -> sql.Composable:
    """`name type …` as in CREATE TABLE and ADD COLUMN."""
    kind = _SERIAL.get(column.type, column.type) if column.identity == "serial" else column.type
    parts = [
        sql.clause("{name} {type}", name=sql.ident(column.name), type=sql.catalog_text(kind)),
        _compression_clause(column),
        collate_clause(column.collation),
    ]
    if column.default is not None:
        parts.append(sql.clause(" DEFAULT {it}", it=sql.catalog_text(column.default)))
    if column.generated:
        kept = sql.keyword("VIRTUAL" if column.virtual else "STORED")
        expression = sql.catalog_text(column.generated)
        parts.append(sql.clause(" GENERATED ALWAYS AS ({it}) {kept}", it=expression, kept=kept))
    if column.identity in ("always", "by default"):
        mode = sql.keyword(column.identity.upper())
        parts.append(sql.clause(" GENERATED {mode} AS IDENTITY", mode=mode))
    if not column.nullable:
        parts.append(sql.keyword(" NOT NULL"))
    return sql.join(parts, "")


def _compression_clause(column: Column) -> sql.Composable:
    if not column.compression:
        return sql.EMPTY
    return sql.clause(" COMPRESSION {it}", it=sql.keyword(column.compression))


def storage_changes(old: Column, new: Column) -> list[sql.Composable]:
    """ALTER COLUMN … SET STORAGE and SET COMPRESSION, where they differ."""
    column = sql.ident(new.name)
    changes = []
    if new.storage != old.storage:
        it = sql.keyword(new.storage or "default")
        changes.append(sql.clause("ALTER COLUMN {column} SET STORAGE {it}", column=column, it=it))
    if new.compression != old.compression:
        it = sql.keyword(new.compression or "default")
        changes.append(
            sql.clause("ALTER COLUMN {column} SET COMPRESSION {it}", column=column, it=it)
        )
    return changes


def collate_clause(collation: str) -> sql.Composable:
    if not collation:
        return sql.EMPTY
    return sql.clause(" COLLATE {name}", name=sql.catalog_text(collation))


def add_column(table: TableName, column: Column, context: Context) -> Statement:
    text = alter_table(context, table, "ADD COLUMN {definition}", definition=column_clause(column))
    rewrites = bool(column.identity) or volatile(column.default)
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,), rewrites=rewrites)


def set_default(table: TableName, column: Column, context: Context) -> Statement:
    text = alter_table(
        context,
        table,
        "ALTER COLUMN {column} SET DEFAULT {default}",
        column=sql.ident(column.name),
        default=sql.catalog_text(column.default or "NULL"),
    )
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))


def column_settings(table: TableName, column: Column, context: Context) -> list[Statement]:
    """What the definition of a new column cannot say: its storage, its comment."""
    changes = storage_changes(dataclasses.replace(column, storage=""), column)
    if column.identity == "serial" and column.nullable:
        name = sql.ident(column.name)
        changes.append(sql.clause("ALTER COLUMN {column} DROP NOT NULL", column=name))
    settings = []
    if changes:
        text = alter_table(context, table, "{changes}", changes=sql.join(changes))
        settings.append(Statement(text, Lock.ACCESS_EXCLUSIVE, (table,)))
    return [*settings, *column_comment(table, column, context)]


def column_comment(table: TableName, column: Column, context: Context) -> list[Statement]:
    if not column.comment:
        return []
    return [comment_on_column(table, column.name, column.comment, context)]


def comment_on_column(table: TableName, column: str, comment: str, context: Context) -> Statement:
    """An empty comment removes what is there."""
    text = sql.compose(
        "COMMENT ON COLUMN {table}.{column} IS {comment}",
        table=context.table(table),
        column=sql.ident(column),
        comment=sql.literal(comment or None),
    )
    return Statement(text, Lock.SHARE_UPDATE_EXCLUSIVE, (table,))


def column_state(table: TableName, column: str, context: Context) -> str:
    """The probe of a column: done when it exists."""
    return sql.compose(
        _COLUMN_STATE, table=sql.regclass(table, context.schema), column=sql.literal(column)
    )


def set_not_null(table: TableName, column: str, context: Context) -> list[Statement]:
    """SET NOT NULL without a scan under the exclusive lock."""
    steps = NotNull.of(table, column, context)
    return [*steps.claim, *steps.check, *steps.end]


@dataclass(frozen=True, slots=True)
class NotNull:
    """The three stages of SET NOT NULL: claim it, check the rows, make it so.

    A validated check proves it (PostgreSQL 12), or the constraint itself is added NOT VALID and
    validated (PostgreSQL 18). https://www.postgresql.org/docs/18/sql-altertable.html
    """

    claim: tuple[Statement, ...] = ()
    check: tuple[Statement, ...] = ()
    end: tuple[Statement, ...] = ()

    @classmethod
    def of(cls, table: TableName, column: str, context: Context) -> NotNull:
        name = sql.ident(column)
        text = alter_table(context, table, "ALTER COLUMN {column} SET NOT NULL", column=name)
        set_it = Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))
        if context.quiet(table):
            return cls(end=(dataclasses.replace(set_it, scans=True),))
        if context.server_version >= 180000:
            native = make_object_name(table.name, column, "not_null")
            return cls.claimed(table, native, sql.clause("NOT NULL {column}", column=name), context)
        proof = dropped_name(f"{table}.{column}", "not null").replace("dropped", "not_null")
        check = sql.clause("CHECK ({column} IS NOT NULL)", column=name)
        proved = cls.claimed(table, proof, check, context)
        end = (dataclasses.replace(set_it, separate=True), drop_constraint(table, proof, context))
        return dataclasses.replace(proved, end=end)

    @classmethod
    def claimed(
        cls, table: TableName, name: str, constraint: sql.Composable, context: Context
    ) -> NotNull:
        text = alter_table(
            context,
            table,
            "ADD CONSTRAINT {name} {constraint} NOT VALID",
            name=sql.ident(name),
            constraint=constraint,
        )
        probe = constraint_state(table, name, context, validated=False)
        claim = Statement(text, Lock.ACCESS_EXCLUSIVE, (table,), probe=probe)
        return cls((claim,), (validate(table, name, context, (table,)),))


def update_in_batches(
    table: TableName, assignments: sql.Composable, where: sql.Composable, context: Context
) -> Batches:
    """Writes the rows that `where` selects; `where` must be false once a row is written."""
    text = sql.compose(
        "UPDATE {table} SET {assignments} WHERE {where}",
        table=context.table(table),
        assignments=assignments,
        where=where,
    )
    return Batches(
        text,
        Lock.ROW_EXCLUSIVE,
        (table,),
        transactional=False,
        scans=True,
        table=table,
        assignments=assignments.as_string(None),
        where=where.as_string(None),
    )
