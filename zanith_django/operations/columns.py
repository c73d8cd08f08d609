"""Columns: add, alter, rename, drop, and the soft drop with its restore."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from zanith_django import sql
from zanith_django.exceptions import CannotDrop
from zanith_django.locks import Lock
from zanith_django.operations.base import (
    Artifact,
    Batches,
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    dropped_name,
    must_have,
    to_data,
)
from zanith_django.operations.constraints import (
    AddCheck,
    AddForeignKey,
    AddUnique,
    constraint_state,
    drop_constraint,
    exclusion_clause,
    validate,
)
from zanith_django.operations.indexes import AddIndex, index_name
from zanith_django.operations.policies import create_policy
from zanith_django.schema.graph import (
    Check,
    Column,
    Exclusion,
    ForeignKey,
    Index,
    Policy,
    SchemaGraph,
    Table,
    TableName,
    Unique,
)

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
        comment = column_comment(self.table, self.column, context)
        if context.quiet(self.table) or not volatile(self.column.default):
            return (add_column(self.table, self.column, context), *comment)
        bare = dataclasses.replace(self.column, nullable=True, default=None)
        add = dataclasses.replace(
            add_column(self.table, bare, context),
            probe=column_state(self.table, self.column.name, context),
        )
        steps = [add, set_default(self.table, self.column, context), *comment]
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
        rewrites = not self.column.virtual
        comment = column_comment(self.table, self.column, context)
        return (dataclasses.replace(added, rewrites=rewrites), *comment)

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
    """Changes type and collation; `old` and `new` are the whole column before and after."""

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
        return f"change type of {self.target} from {spell_type(self.old)} to {spell_type(self.new)}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        column = sql.ident(self.new.name)
        parts = []
        if self.old.default is not None:
            parts.append(sql.clause("ALTER COLUMN {column} DROP DEFAULT", column=column))
        parts.append(self._type_clause(column))
        if self.new.default is not None:
            default = sql.catalog_text(self.new.default)
            parts.append(
                sql.clause(
                    "ALTER COLUMN {column} SET DEFAULT {default}", column=column, default=default
                )
            )
        text = alter_table(context, self.table, "{parts}", parts=sql.join(parts))
        rewrites = rewrite_needed(self.old, self.new)
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,), rewrites=rewrites),)

    def _type_clause(self, column: sql.Composable) -> sql.Composable:
        wanted = sql.catalog_text(self.new.type)
        using = sql.catalog_text(self.using) if self.using else None
        return sql.clause(
            "ALTER COLUMN {column} TYPE {type}{collation} USING {using}",
            column=column,
            type=wanted,
            collation=collate_clause(self.new.collation),
            using=using or sql.clause("{column}::{type}", column=column, type=wanted),
        )

    def inverse(self) -> Operation:
        return AlterColumnType(table=self.table, old=self.new, new=self.old, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return alter(
            graph,
            self.table,
            self.new.name,
            type=self.new.type,
            collation=self.new.collation,
            default=self.new.default,
        )

    def reasons(self, context: Context) -> tuple[str, ...]:
        if not rewrite_needed(self.old, self.new):
            return ()
        own = "narrows_column_type" if narrows(self.old.type, self.new.type) else ""
        codes = (own or "changes_column_type", "rewrites_table", "locks_reads")
        return codes


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
        """Without its default, an insert of running code that leaves a NOT NULL column out fails."""
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
        text = alter_table(
            context,
            self.table,
            "ALTER COLUMN {column} {change}",
            column=sql.ident(self.column),
            change=self._change(),
        )
        steps = [Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))]
        if self.new and not self.old:
            steps.append(reseed_identity(self.table, self.column, context))
        return tuple(steps)

    def _change(self) -> sql.Composable:
        if not self.new:
            return sql.keyword("DROP IDENTITY")
        mode = sql.keyword("ALWAYS" if self.new == "always" else "BY DEFAULT")
        if self.old in ("always", "by default"):
            return sql.clause("SET GENERATED {mode}", mode=mode)
        return sql.clause("ADD GENERATED {mode} AS IDENTITY", mode=mode)

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
        column = sql.ident(self.new.name)
        if not self.new.generated:
            change = sql.clause("ALTER COLUMN {column} DROP EXPRESSION", column=column)
        else:
            change = sql.clause(
                "DROP COLUMN {column}, ADD COLUMN {definition}",
                column=column,
                definition=column_clause(self.new),
            )
        text = alter_table(context, self.table, "{change}", change=change)
        rewrites = bool(self.new.generated) and not self.new.virtual
        altered = Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,), rewrites=rewrites)
        return (altered, *column_comment(self.table, self.new, context))

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftDropColumn(OnTable):
    """Hides a column under a name of ours and lifts all that would make inserts or deletes of
    the new code fail; the values stay and `restoreColumn` brings everything back."""

    kind = "softDropColumn"
    table: TableName
    column: Column
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    indexes: tuple[Index, ...] = ()
    policies: tuple[Policy, ...] = ()
    model: str = ""

    @classmethod
    def of(cls, table: Table, column: Column, model: str = "") -> SoftDropColumn:
        """The soft drop of `column` with everything on `table` that contains it."""
        key = table.primary_key
        if key and column.name in key.columns:
            raise CannotDrop(f"{table.name}.{column.name}", "it is part of the primary key")
        return cls(
            table=table.name, column=column, model=model, **what_contains(table, column.name)
        )

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column.name}"

    @property
    def tables(self) -> tuple[TableName, ...]:
        others = (key.references for key in self.foreign_keys)
        return tuple(dict.fromkeys((self.table, *others)))

    def describe(self) -> str:
        return f"soft-drop column {self.target} (its values are kept)"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        artifact_id = self._artifact_id(context)
        return (
            *self._lift(context),
            *self._set_aside(context, artifact_id),
            *self._hide(context, artifact_id),
        )

    def _artifact_id(self, context: Context) -> str:
        return context.artifact_id("soft_drop_column", self.target)

    def _lift(self, context: Context) -> list[Statement]:
        """Drops what new code would trip over: it does not know the column any more."""
        lifted = [
            drop_constraint(self.table, item.name, context, self.tables)
            for item in (*self.foreign_keys, *self.uniques, *self.checks, *self.exclusions)
        ]
        for policy in self.policies:
            text = sql.compose(
                "DROP POLICY {name} ON {table}",
                name=sql.ident(policy.name),
                table=context.table(self.table),
            )
            lifted.append(Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)))
        for index in self.indexes:
            if index.unique:
                name = index_name(self.table, index.name, context)
                text = sql.compose("DROP INDEX {name}", name=name)
                lifted.append(Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)))
        return lifted

    def _set_aside(self, context: Context, artifact_id: str) -> list[Statement]:
        """Renames plain indexes, so that a column of the same name can be made again."""
        return [
            Statement(
                sql.compose(
                    "ALTER INDEX {old} RENAME TO {new}",
                    old=index_name(self.table, index.name, context),
                    new=sql.ident(dropped_name(artifact_id, index.name)),
                ),
                Lock.ACCESS_EXCLUSIVE,
                (self.table,),
            )
            for index in self.indexes
            if not index.unique
        ]

    def _hide(self, context: Context, artifact_id: str) -> list[Statement]:
        column = sql.ident(self.column.name)
        changes = []
        if self.column.identity in ("always", "by default"):
            changes.append(sql.clause("ALTER COLUMN {column} DROP IDENTITY", column=column))
        if self.column.default is not None or self.column.identity == "serial":
            changes.append(sql.clause("ALTER COLUMN {column} DROP DEFAULT", column=column))
        if not self.column.nullable:
            changes.append(sql.clause("ALTER COLUMN {column} DROP NOT NULL", column=column))
        texts = []
        if changes:
            texts.append(alter_table(context, self.table, "{all}", all=sql.join(changes)))
        texts.append(
            alter_table(
                context,
                self.table,
                "RENAME COLUMN {column} TO {hidden}",
                column=column,
                hidden=sql.ident(dropped_name(artifact_id)),
            )
        )
        return [Statement(text, Lock.ACCESS_EXCLUSIVE, self.tables) for text in texts]

    def inverse(self) -> Operation:
        return RestoreColumn(
            table=self.table, column=self.column, model=self.model, **dependents(self)
        )

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: without_column(t, self.column.name))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_column_with_data", "breaks_running_code")

    def artifact(self, context: Context) -> Artifact:
        artifact_id = self._artifact_id(context)
        restore = RestoreColumn(
            table=self.table,
            column=self.column,
            artifact_id=artifact_id,
            model=self.model,
            **dependents(self),
        )
        hidden = dropped_name(artifact_id)
        return Artifact(
            id=artifact_id,
            type="soft_drop_column",
            table=self.table,
            column=self.column.name,
            physical_name=hidden,
            recovery_sql=";\n".join(s.sql for s in restore.statements(context)) + ";",
            count=sql.compose(
                "SELECT count({column}) FROM {table}",
                column=sql.ident(hidden),
                table=context.table(self.table),
            ),
            metadata={"restore": to_data(restore)},
        )

    @property
    def recoverable(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreColumn(OnTable):
    """Brings a soft-dropped column back with its default, NOT NULL, constraints and indexes.

    `artifact_id` names what it restores; empty, it is the soft drop of the same migration.
    """

    kind = "restoreColumn"
    table: TableName
    column: Column
    artifact_id: str = ""
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    indexes: tuple[Index, ...] = ()
    policies: tuple[Policy, ...] = ()
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column.name}"

    @property
    def tables(self) -> tuple[TableName, ...]:
        others = (key.references for key in self.foreign_keys)
        return tuple(dict.fromkeys((self.table, *others)))

    def describe(self) -> str:
        return f"restore column {self.target} with its values"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (*self._show(context), *self._constrain(context), *self._require(context))

    def _show(self, context: Context) -> list[Statement]:
        """One transaction: the name, the generator, the indexes that were set aside."""
        artifact_id = self.artifact_id or context.artifact_id("soft_drop_column", self.target)
        texts = [
            alter_table(
                context,
                self.table,
                "RENAME COLUMN {hidden} TO {column}",
                hidden=sql.ident(dropped_name(artifact_id)),
                column=sql.ident(self.column.name),
            )
        ]
        for index in self.indexes:
            if not index.unique:
                hidden = dropped_name(artifact_id, index.name)
                texts.append(
                    sql.compose(
                        "ALTER INDEX {old} RENAME TO {new}",
                        old=index_name(self.table, hidden, context),
                        new=sql.ident(index.name),
                    )
                )
        probe = column_state(self.table, self.column.name, context)
        shown = [
            Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,), probe=probe) for text in texts
        ]
        if self.column.default is not None:
            shown.append(set_default(self.table, self.column, context))
        return shown

    def _constrain(self, context: Context) -> list[Statement]:
        """Checks and foreign keys first without their scan, then validated."""
        added = [
            *(AddCheck(table=self.table, check=check) for check in self.checks),
            *(AddForeignKey(table=self.table, foreign_key=key) for key in self.foreign_keys),
        ]
        statements = [statement for item in added for statement in item.statements(context)]
        return sorted(statements, key=lambda statement: statement.separate)

    def _require(self, context: Context) -> list[Statement]:
        """NOT NULL, then what must be unique, then policies."""
        required: list[Statement] = []
        if not self.column.nullable:
            required += set_not_null(self.table, self.column.name, context)
        if self.column.identity in ("always", "by default"):
            given = AlterColumnIdentity(
                table=self.table, column=self.column.name, new=self.column.identity
            )
            required += given.statements(context)
        for unique in self.uniques:
            required += AddUnique(table=self.table, unique=unique).statements(context)
        for index in self.indexes:
            if index.unique:
                required += AddIndex(table=self.table, index=index).statements(context)
        for exclusion in self.exclusions:
            text = alter_table(context, self.table, "ADD {it}", it=exclusion_clause(exclusion))
            required.append(Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)))
        for policy in self.policies:
            text = create_policy(self.table, policy, context)
            required.append(Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)))
        return required

    def inverse(self) -> Operation:
        return SoftDropColumn(
            table=self.table, column=self.column, model=self.model, **dependents(self)
        )

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        def restored(table: Table) -> Table:
            table = table.with_item("columns", self.column)
            for part in DEPENDENT_PARTS:
                for item in getattr(self, part):
                    table = table.with_item(part, item)
            return table

        return graph.changed(self.table, restored)

    def reasons(self, context: Context) -> tuple[str, ...]:
        required = () if self.column.nullable else ("changes_column_nullable_to_not_null",)
        return ("adds_nullable_column", *required)


# --- what depends on a column ------------------------------------------------------------------

DEPENDENT_PARTS = ("uniques", "foreign_keys", "checks", "exclusions", "indexes", "policies")


def dependents(operation: SoftDropColumn | RestoreColumn) -> dict[str, tuple[object, ...]]:
    return {part: getattr(operation, part) for part in DEPENDENT_PARTS}


def what_contains(table: Table, column: str) -> dict[str, tuple[object, ...]]:
    """Everything on `table` that contains or reads `column`, by part."""
    found: dict[str, tuple[object, ...]] = {
        part: tuple(item for item in getattr(table, part) if column in item.columns)
        for part in ("uniques", "foreign_keys", "checks", "exclusions", "indexes")
    }
    found["policies"] = tuple(
        policy for policy in table.policies if mentions(policy.using + policy.check, column)
    )
    return found


def mentions(expression: str, column: str) -> bool:
    """Does a text of the catalog name this column?"""
    return any(_named(token) == column for token in _TOKENS.findall(expression))


def without_column(table: Table, column: str) -> Table:
    """`table` as DROP COLUMN leaves it: without all that contained the column."""
    gone = what_contains(table, column)
    for part, items in gone.items():
        for item in items:
            table = table.without_item(part, item.name)  # type: ignore[attr-defined]
    return table.without_item("columns", column)


def alter(graph: SchemaGraph, table: TableName, column: str, **fields: object) -> SchemaGraph:
    """`graph` with fields of one column replaced."""

    def altered(found: Table) -> Table:
        old = found.column(column)
        if old is None:
            return found
        return found.with_item("columns", dataclasses.replace(old, **fields))  # type: ignore[arg-type]

    return graph.changed(table, altered)


# --- renaming a column in texts that PostgreSQL printed ------------------------------------------

# Strings are tokens of their own, so that nothing inside them is taken for a name.
_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*""")


def _named(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else token


def rename_in_text(text: str, old: str, new: str) -> str:
    """`text` with the name `old` spelled `new`, as PostgreSQL would print it."""
    spelled = new if re.fullmatch(r"[a-z_][a-z0-9_]*", new) else sql.ident(new).as_string(None)

    def spell(match: re.Match[str]) -> str:
        called = text[match.end() : match.end() + 1] == "("
        qualified = text[match.start() - 1 : match.start()] in (":", ".")
        return spelled if _named(match[0]) == old and not called and not qualified else match[0]

    return _TOKENS.sub(spell, text)


def rename_column(graph: SchemaGraph, name: TableName, old: str, new: str) -> SchemaGraph:
    """`graph` with a column renamed wherever it is mentioned."""
    graph = graph.changed(name, lambda table: _rename_in_table(table, old, new))
    return dataclasses.replace(
        graph, tables=tuple(_rename_in_references(table, name, old, new) for table in graph.tables)
    )


def _rename_in_references(table: Table, name: TableName, old: str, new: str) -> Table:
    keys = tuple(
        dataclasses.replace(
            key, referenced_columns=tuple(new if c == old else c for c in key.referenced_columns)
        )
        if key.references == name
        else key
        for key in table.foreign_keys
    )
    return table if keys == table.foreign_keys else dataclasses.replace(table, foreign_keys=keys)


_TEXTS = ("expression", "definition", "predicate", "using", "check", "generated", "column")
_NAMES = ("columns", "include")


def _rename_in_table(table: Table, old: str, new: str) -> Table:
    changes: dict[str, object] = {
        part: tuple(_rename_in_item(item, old, new) for item in getattr(table, part))
        for part in DEPENDENT_PARTS
    }
    if table.primary_key:
        changes["primary_key"] = _rename_in_item(table.primary_key, old, new)
    changes["columns"] = tuple(
        dataclasses.replace(
            column,
            name=new if column.name == old else column.name,
            generated=rename_in_text(column.generated, old, new),
        )
        for column in table.columns
    )
    return dataclasses.replace(table, **changes)  # type: ignore[arg-type]


def _rename_in_item(item: object, old: str, new: str) -> object:
    changes: dict[str, object] = {}
    for field in dataclasses.fields(item):  # type: ignore[arg-type]
        value = getattr(item, field.name)
        if field.name == "keys":
            changes["keys"] = tuple(_rename_in_item(key, old, new) for key in value)
        elif field.name == "column":
            changes["column"] = new if value == old else value
        elif field.name in _NAMES:
            renamed = [new if name == old else name for name in value]
            keep_order = field.name == "include" or hasattr(item, "deferrable")
            changes[field.name] = tuple(renamed if keep_order else sorted(renamed))
        elif field.name in _TEXTS and value:
            changes[field.name] = rename_in_text(value, old, new)
    return dataclasses.replace(item, **changes)  # type: ignore[type-var]


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
        *_storage_clauses(column),
        collate_clause(column.collation),
    ]
    if column.default is not None:
        parts.append(sql.clause(" DEFAULT {it}", it=sql.catalog_text(column.default)))
    if column.generated:
        kept = sql.keyword("VIRTUAL" if column.virtual else "STORED")
        expression = sql.catalog_text(column.generated)
        parts.append(
            sql.clause(" GENERATED ALWAYS AS ({it}) {kept}", it=expression, kept=kept)
        )
    if column.identity in ("always", "by default"):
        mode = sql.keyword(column.identity.upper())
        parts.append(sql.clause(" GENERATED {mode} AS IDENTITY", mode=mode))
    if not column.nullable:
        parts.append(sql.keyword(" NOT NULL"))
    return sql.join(parts, "")


def _storage_clauses(column: Column) -> list[sql.Composable]:
    clauses = []
    if column.compression:
        clauses.append(
            sql.clause(" COMPRESSION {it}", it=sql.keyword(column.compression.upper()))
        )
    return clauses


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


def column_comment(table: TableName, column: Column, context: Context) -> tuple[Statement, ...]:
    if not column.comment:
        return ()
    text = sql.compose(
        "COMMENT ON COLUMN {table}.{column} IS {comment}",
        table=context.table(table),
        column=sql.ident(column.name),
        comment=sql.literal(column.comment),
    )
    return (Statement(text, Lock.SHARE_UPDATE_EXCLUSIVE, (table,)),)


def column_state(table: TableName, column: str, context: Context) -> str:
    """The probe of a column: done when it exists."""
    return sql.compose(
        _COLUMN_STATE, table=sql.regclass(table, context.schema), column=sql.literal(column)
    )


def reseed_identity(table: TableName, column: str, context: Context) -> Statement:
    """Lets the sequence of a new identity go on above the highest value that is there."""
    text = sql.compose(
        "SELECT setval(pg_get_serial_sequence({text}, {column}), "
        "greatest((SELECT max({name}) FROM {table}), 1), "
        "EXISTS (SELECT 1 FROM {table}))",
        text=sql.regclass(table, context.schema),
        column=sql.literal(column),
        name=sql.ident(column),
        table=context.table(table),
    )
    return Statement(text, Lock.ACCESS_SHARE, (table,))


def set_not_null(table: TableName, column: str, context: Context) -> list[Statement]:
    """SET NOT NULL without a scan under the exclusive lock.

    A validated check proves it (PostgreSQL 12), or the constraint itself is added NOT VALID and
    validated (PostgreSQL 18). https://www.postgresql.org/docs/18/sql-altertable.html
    """
    name = sql.ident(column)
    set_it = alter_table(context, table, "ALTER COLUMN {column} SET NOT NULL", column=name)
    if context.quiet(table):
        return [Statement(set_it, Lock.ACCESS_EXCLUSIVE, (table,))]
    proof = dropped_name(f"{table}.{column}", "not null").replace("dropped", "not_null")
    add = alter_table(
        context,
        table,
        "ADD CONSTRAINT {proof} CHECK ({column} IS NOT NULL) NOT VALID",
        proof=sql.ident(proof),
        column=name,
    )
    probe = constraint_state(table, proof, context, validated=False)
    return [
        Statement(add, Lock.ACCESS_EXCLUSIVE, (table,), probe=probe),
        validate(table, proof, context, (table,)),
        Statement(set_it, Lock.ACCESS_EXCLUSIVE, (table,), separate=True),
        drop_constraint(table, proof, context),
    ]


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


# Functions whose value is fixed within a statement: a default made of them needs no rewrite.
_STABLE = frozenset(
    "now statement_timestamp transaction_timestamp current_setting to_timestamp lower upper "
    "make_interval concat coalesce array_fill jsonb_build_object jsonb_build_array to_jsonb "
    "to_tsvector date_trunc timezone".split()
)


def volatile(default: str | None) -> bool:
    """Would ADD COLUMN with this default rewrite the table? Unknown functions count as volatile."""
    if default is None:
        return False
    called = re.findall(r"([A-Za-z_][\w.]*)\(", re.sub(r"'(?:[^']|'')*'", "", default))
    sized = {"varying", "character", "numeric", "varchar", "bit", "timestamp", "time", "interval"}
    names = {name.rsplit(".", 1)[-1] for name in called} - sized
    return not names <= _STABLE


_SIZED = re.compile(r"^(character varying|numeric|bit varying)(?:\((\d+)(?:,(\d+))?\))?$")
_FREE_CHANGES = {
    ("cidr", "inet"),
    ("xml", "text"),
    ("character varying", "text"),
    ("text", "character varying"),
}


def rewrite_needed(old: Column, new: Column) -> bool:
    """Does PostgreSQL write the table anew for this change of type? (measured, see the tests)"""
    if old.type == new.type:
        return False
    before, after = _SIZED.match(old.type), _SIZED.match(new.type)
    base_before = before[1] if before else old.type
    base_after = after[1] if after else new.type
    if (base_before, base_after) in _FREE_CHANGES:
        return bool(after and after[2])
    if not before or not after or base_before != base_after:
        return True
    if not after[2]:
        return False
    if not before[2] or int(after[2]) < int(before[2]):
        return True
    return before[3] != after[3]


_INTEGERS = ("smallint", "integer", "bigint")


def narrows(old: str, new: str) -> bool:
    """Are there values of `old` that `new` cannot hold?"""
    if old in _INTEGERS and new in _INTEGERS:
        return _INTEGERS.index(new) < _INTEGERS.index(old)
    before, after = _SIZED.match(old), _SIZED.match(new)
    if after and after[2]:
        return not (before and before[1] == after[1] and int(before[2] or 10**9) <= int(after[2]))
    return False
