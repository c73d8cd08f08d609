"""Columns and tables taken away with their values kept aside, and brought back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, LiteralString

from zanith_django import sql
from zanith_django.exceptions import CannotDrop
from zanith_django.locks import Lock
from zanith_django.operations.base import (
    SHADOW_SCHEMA,
    Artifact,
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    dropped_name,
    to_data,
)
from zanith_django.operations.columns import (
    AlterColumnIdentity,
    column_state,
    set_default,
)
from zanith_django.operations.constraints import (
    AddCheck,
    AddExclusion,
    AddForeignKey,
    AddUnique,
    drop_constraint,
)
from zanith_django.operations.dependents import (
    DEPENDENT_PARTS,
    generated_from,
    in_primary_key,
    mentions,
    what_contains,
    with_column,
    without_column,
)
from zanith_django.operations.indexes import AddIndex, rename_index
from zanith_django.operations.not_null import NotNull
from zanith_django.operations.policies import CreatePolicy, DropPolicy
from zanith_django.operations.sequences import (
    default_from_sequence,
    rename_sequence,
    usual_name,
)
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

# A domain may forbid NULL, and DROP NOT NULL does not lift that. Domains may stand on domains.
_TO_BASE_TYPE = """\
DO $zanith$ DECLARE base text; BEGIN
  LOOP
    SELECT format_type(t.typbasetype, t.typtypmod) INTO base
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = {table}::regclass AND a.attname = {column} AND t.typtype = 'd';
    EXIT WHEN NOT FOUND;
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', {table}::regclass, {column}, base);
  END LOOP;
END $zanith$"""

_TO_TYPE = """\
DO $zanith$ BEGIN
  IF (SELECT atttypid FROM pg_catalog.pg_attribute
      WHERE attrelid = {table}::regclass AND attname = {column}) <> {type}::regtype THEN
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', {table}::regclass, {column}, {type});
  END IF;
END $zanith$"""


class _OnColumn(OnTable):
    """What the soft drop of a column and its restore have in common."""

    __slots__ = ()
    column: Column
    foreign_keys: tuple[ForeignKey, ...]

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column.name}"

    @property
    def tables(self) -> tuple[TableName, ...]:
        others = (key.references for key in self.foreign_keys)
        return tuple(dict.fromkeys((self.table, *others)))

    @property
    def dependents(self) -> dict[str, Any]:
        return {part: getattr(self, part) for part in DEPENDENT_PARTS}

    def artifact_of(self, context: Context) -> str:
        return context.artifact_id("soft_drop_column", self.target)

    def _exclusively(self, text: str, probe: str = "") -> Statement:
        return Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,), probe=probe)

    def _typed(self, template: LiteralString, context: Context) -> list[Statement]:
        return _typed(template, self.table, self.column, self.column.name, context)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftDropColumn(_OnColumn):
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
        """The soft drop of `column` with everything on `table` that contains it.

        Raises `CannotDrop` for what cannot be lifted.
        """
        target = f"{table.name}.{column.name}"
        if in_primary_key(table, column.name):
            raise CannotDrop(target, "it is part of the primary key")
        if mentions(table.partition_key, column.name):
            raise CannotDrop(target, "it is part of the partition key")
        for generated in generated_from(table, column.name):
            raise CannotDrop(target, f"the column {generated.name} is generated from it")
        return cls(
            table=table.name, column=column, model=model, **what_contains(table, column.name)
        )

    def describe(self) -> str:
        return f"soft-drop column {self.target} (its values are kept)"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        artifact_id = self.artifact_of(context)
        return (*self._lift(context), *self._aside(context, artifact_id), *self._hide(context))

    def _lift(self, context: Context) -> list[Statement]:
        """Drops what new code would trip over: it does not know the column any more."""
        table = self.table
        lifted = [
            drop_constraint(table, key.name, context, (table, key.references))
            for key in self.foreign_keys
        ]
        constraints: list[Any] = [*self.uniques, *self.checks, *self.exclusions]
        lifted += [drop_constraint(table, item.name, context) for item in constraints]
        for policy in self.policies:
            lifted += DropPolicy(table=table, policy=policy).statements(context)
        for index in self.indexes:
            if index.unique:
                name = sql.qualified(table.schema or context.schema, index.name)
                lifted.append(self._exclusively(sql.compose("DROP INDEX {name}", name=name)))
        return lifted

    def _aside(self, context: Context, artifact_id: str) -> list[Statement]:
        """Renames plain indexes, so that a column of the same name can be made again."""
        return [
            rename_index(self.table, index.name, dropped_name(artifact_id, index.name), context)
            for index in self.indexes
            if not index.unique
        ]

    def _hide(self, context: Context) -> list[Statement]:
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
        renamed = alter_table(
            context,
            self.table,
            "RENAME COLUMN {column} TO {hidden}",
            column=column,
            hidden=sql.ident(dropped_name(self.artifact_of(context))),
        )
        lifted = [self._exclusively(text) for text in texts]
        return [*lifted, *self._typed(_TO_BASE_TYPE, context), self._exclusively(renamed)]

    def inverse(self) -> Operation:
        return RestoreColumn(
            table=self.table, column=self.column, model=self.model, **self.dependents
        )

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: without_column(t, self.column.name))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_column_with_data", "breaks_running_code")

    def artifact(self, context: Context) -> Artifact:
        artifact_id = self.artifact_of(context)
        restore = RestoreColumn(
            table=self.table,
            column=self.column,
            artifact_id=artifact_id,
            model=self.model,
            **self.dependents,
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
class RestoreColumn(_OnColumn):
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

    def describe(self) -> str:
        return f"restore column {self.target} with its values"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        """The column first; what has to look at every row without stopping anybody next; what
        makes it binding last, in one transaction."""
        checks = self._statements(
            *(AddCheck(table=self.table, check=check) for check in self.checks),
            *(AddForeignKey(table=self.table, foreign_key=key) for key in self.foreign_keys),
            context=context,
        )
        unique = self._statements(
            *(AddUnique(table=self.table, unique=unique) for unique in self.uniques),
            *(AddIndex(table=self.table, index=index) for index in self.indexes if index.unique),
            context=context,
        )
        required = NotNull()
        if not self.column.nullable:
            required = NotNull.of(self.table, self.column.name, context)
        begun = [*self._show(context), *_brief(checks), *required.claim]
        looking = [*_long(checks), *required.check, *_long(unique)]
        binding = [*required.end, *_brief(unique), *self._bind(context)]
        return (*begun, *looking, *(_apart(binding) if looking else binding))

    def _statements(self, *operations: Operation, context: Context) -> list[Statement]:
        return [statement for item in operations for statement in item.statements(context)]

    def _show(self, context: Context) -> list[Statement]:
        artifact_id = self.artifact_id or self.artifact_of(context)
        renamed = alter_table(
            context,
            self.table,
            "RENAME COLUMN {hidden} TO {column}",
            hidden=sql.ident(dropped_name(artifact_id)),
            column=sql.ident(self.column.name),
        )
        probe = column_state(self.table, self.column.name, context)
        shown = [self._exclusively(renamed, probe), *self._typed(_TO_TYPE, context)]
        for index in self.indexes:
            if not index.unique:
                hidden = dropped_name(artifact_id, index.name)
                shown.append(rename_index(self.table, hidden, index.name, context))
        if self.column.default is not None:
            shown.append(set_default(self.table, self.column, context))
        if self.column.identity == "serial":
            shown.append(default_from_sequence(self.table, self.column.name, context))
        return shown

    def _bind(self, context: Context) -> list[Statement]:
        """What no form lets go on without stopping others."""
        table, column = self.table, self.column
        bound: list[Operation] = []
        if column.identity in ("always", "by default"):
            bound.append(AlterColumnIdentity(table=table, column=column.name, new=column.identity))
        bound += [AddExclusion(table=table, exclusion=item) for item in self.exclusions]
        bound += [CreatePolicy(table=table, policy=policy) for policy in self.policies]
        return self._statements(*bound, context=context)

    def inverse(self) -> Operation:
        return SoftDropColumn(
            table=self.table, column=self.column, model=self.model, **self.dependents
        )

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: with_column(t, self.column, self.dependents))

    def reasons(self, context: Context) -> tuple[str, ...]:
        required = () if self.column.nullable else ("changes_column_nullable_to_not_null",)
        unique = ("adds_unique_constraint",) if self.uniques or self.exclusions else ()
        locked = ("locks_reads",) if self.exclusions else ()
        return ("adds_nullable_column", *required, *unique, *locked)


def to_base_type(table: TableName, column: Column, name: str, context: Context) -> list[Statement]:
    """Lifts the domain that may forbid NULL from the column, which is called `name` now."""
    return _typed(_TO_BASE_TYPE, table, column, name, context)


def _typed(
    template: LiteralString, table: TableName, column: Column, name: str, context: Context
) -> list[Statement]:
    """Changes between a domain and its base type; a type of PostgreSQL's own is none, and
    any other type is left as it is."""
    if "." not in column.type or column.type.endswith("]"):
        return []
    text = sql.compose(
        template,
        table=sql.regclass(table, context.schema),
        column=sql.literal(name),
        type=sql.literal(column.type),
    )
    return [Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))]


def _long(statements: Iterable[Statement]) -> list[Statement]:
    return [item for item in statements if item.separate or not item.transactional]


def _brief(statements: Iterable[Statement]) -> list[Statement]:
    return [item for item in statements if item.transactional and not item.separate]


def _apart(statements: list[Statement]) -> list[Statement]:
    """The same in a transaction of their own."""
    return [dataclasses.replace(item, separate=n == 0) for n, item in enumerate(statements)]


class _OnWholeTable(Operation):
    """What the soft drop of a table and its restore have in common."""

    __slots__ = ()
    table: Table

    @property
    def target(self) -> str:
        return str(self.table.name)

    @property
    def tables(self) -> tuple[TableName, ...]:
        others = (key.references for key in self.table.foreign_keys)
        return tuple(dict.fromkeys((self.table.name, *others)))

    def artifact_of(self, context: Context) -> str:
        return context.artifact_id("soft_drop_table", self.target)

    def _index_names(self) -> list[str]:
        """Names of all indexes of the table, constraints' own ones too."""
        table = self.table
        owners: list[Any] = [*table.uniques, *table.exclusions, *table.indexes]
        key = [table.primary_key.name] if table.primary_key else []
        return [*key, *(owner.name for owner in owners)]

    def _sequences(self) -> list[str]:
        return [column.name for column in self.table.columns if column.identity]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftDropTable(_OnWholeTable):
    """Moves a table with all its rows to the schema of ours; `restoreTable` brings it back."""

    kind = "softDropTable"
    table: Table
    model: str = ""

    def describe(self) -> str:
        return f"soft-drop table {self.table.name} (its rows are kept)"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        """Foreign keys are lifted, for they would hinder deletes in the tables they point at;
        names of indexes and sequences are set aside, for a later soft drop of the same name."""
        artifact_id = self.artifact_of(context)
        name, hidden = self.table.name, dropped_name(artifact_id)
        made = sql.compose("CREATE SCHEMA IF NOT EXISTS {it}", it=sql.ident(SHADOW_SCHEMA))
        lifted = [
            drop_constraint(name, key.name, context, (name, key.references))
            for key in self.table.foreign_keys
        ]
        aside = [
            *_renamed_indexes(name, self._aside_names(artifact_id), context),
            *(
                rename_sequence(name, column, dropped_name(artifact_id, f"{column} seq"), context)
                for column in self._sequences()
            ),
        ]
        renamed = alter_table(context, name, "RENAME TO {name}", name=sql.ident(hidden))
        shadow = sql.ident(SHADOW_SCHEMA)
        back = TableName(name.schema, hidden)
        moved = alter_table(context, back, "SET SCHEMA {schema}", schema=shadow)
        exclusive = (
            Statement(renamed, Lock.ACCESS_EXCLUSIVE, (name,)),
            Statement(moved, Lock.ACCESS_EXCLUSIVE, (back,)),
        )
        return (Statement(made, Lock.NONE), *lifted, *aside, *exclusive)

    def _aside_names(self, artifact_id: str) -> list[tuple[str, str]]:
        return [(name, dropped_name(artifact_id, name)) for name in self._index_names()]

    def inverse(self) -> Operation:
        return RestoreTable(table=self.table, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.without_table(self.table.name)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_table_with_data", "breaks_running_code")

    def artifact(self, context: Context) -> Artifact:
        artifact_id = self.artifact_of(context)
        restore = RestoreTable(table=self.table, artifact_id=artifact_id, model=self.model)
        hidden = TableName(SHADOW_SCHEMA, dropped_name(artifact_id))
        return Artifact(
            id=artifact_id,
            type="soft_drop_table",
            table=self.table.name,
            column="",
            physical_name=str(hidden),
            recovery_sql=";\n".join(s.sql for s in restore.statements(context)) + ";",
            count=sql.compose("SELECT count(*) FROM {table}", table=context.table(hidden)),
            metadata={"restore": to_data(restore)},
        )

    @property
    def recoverable(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTable(_OnWholeTable):
    """Brings a soft-dropped table back under its name, with indexes and foreign keys.

    `artifact_id` names what it restores; empty, it is the soft drop of the same migration.
    """

    kind = "restoreTable"
    table: Table
    artifact_id: str = ""
    model: str = ""

    def describe(self) -> str:
        return f"restore table {self.table.name} with its rows"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        artifact_id = self.artifact_id or self.artifact_of(context)
        name = self.table.name
        hidden = TableName(SHADOW_SCHEMA, dropped_name(artifact_id))
        schema = sql.ident(name.schema or context.schema)
        moved = alter_table(context, hidden, "SET SCHEMA {schema}", schema=schema)
        back = TableName(name.schema, hidden.name)
        renamed = alter_table(context, back, "RENAME TO {name}", name=sql.ident(name.name))
        probe = sql.compose(
            "SELECT CASE WHEN to_regclass({table}) IS NOT NULL THEN 'done' END",
            table=sql.regclass(name, context.schema),
        )
        indexes = [(dropped_name(artifact_id, index), index) for index in self._index_names()]
        shown = (
            Statement(moved, Lock.ACCESS_EXCLUSIVE, (hidden,), probe=probe),
            Statement(renamed, Lock.ACCESS_EXCLUSIVE, (back,), probe=probe),
        )
        sequences = [
            rename_sequence(name, column, usual_name(name, column), context)
            for column in self._sequences()
        ]
        return (
            *shown,
            *_renamed_indexes(name, indexes, context),
            *sequences,
            *self._keys(context),
        )

    def _keys(self, context: Context) -> list[Statement]:
        keys = (
            AddForeignKey(table=self.table.name, foreign_key=key) for key in self.table.foreign_keys
        )
        statements = [statement for key in keys for statement in key.statements(context)]
        return sorted(statements, key=lambda statement: statement.separate)

    def inverse(self) -> Operation:
        return SoftDropTable(table=self.table, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.with_table(self.table)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


def _renamed_indexes(
    table: TableName, names: Iterable[tuple[str, str]], context: Context
) -> list[Statement]:
    return [rename_index(table, old, new, context) for old, new in names]
