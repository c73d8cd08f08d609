"""Tables: create, rename, drop, comments, storage parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zanith_django.operations.answers import Loss
from zanith_django.operations.base import (
    KINDS,
    Context,
    OnTable,
    OnWholeTable,
    Operation,
    Statement,
    alter_table,
    changed,
)
from zanith_django.operations.column_clauses import (
    column_clause,
    column_settings,
    comment_on_column,
)
from zanith_django.operations.constraint_clauses import (
    check_clause,
    comment_on_constraint,
    constraint_comment,
    exclusion_clause,
    primary_key_clause,
    unique_clause,
)
from zanith_django.operations.dependents import move_trigger
from zanith_django.operations.index_options import option_changes
from zanith_django.operations.indexes import comment_on_index
from zanith_django.operations.live_names import is_in_graph
from zanith_django.operations.moves import TableMove
from zanith_django.operations.parts import adding
from zanith_django.operations.policies import EnableRls, comment_on_policy
from zanith_django.operations.touches import Effect, Touch
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Check, ForeignKey, SchemaGraph, Table
from zanith_django.schema.parts import (
    ADDED,
    CHECKS,
    EXCLUSIONS,
    PARTS,
    PRIMARY_KEY,
    UNIQUES,
    Part,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTable(OnWholeTable):
    """Creates a table with its constraints, indexes, policies and comments in one step."""

    kind = "createTable"
    table: Table
    model: str = ""

    @property
    def moves(self) -> tuple[TableMove, ...]:
        return (TableMove(new=self.table.name),)

    def describe(self) -> str:
        table = self.table
        parts = [f"{len(table.columns)} columns"]
        for number, words in (
            (len(table.indexes), "indexes"),
            (len(table.foreign_keys), "foreign keys"),
        ):
            if number:
                parts.append(f"{number} {words if number > 1 else words_for_one(words)}")
        return f"create table {table.name} ({', '.join(parts)})"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        name = self.table.name
        new = dataclasses.replace(context, fresh=context.fresh | {name})
        made = Statement(create_table(self.table, context), Lock.ACCESS_EXCLUSIVE, (name,))
        parts = [item for part in self._parts() for item in part.statements(new)]
        return (made, *parts, *self._settings(context))

    def _parts(self) -> list[Operation]:
        """The properties that CREATE TABLE cannot set."""
        table, name = self.table, self.table.name
        parts = [
            adding(name, item)
            for part in ADDED
            for item in part.of(table)
            if not _is_inline(part, item, table)
        ]
        if table.row_security:
            parts.append(EnableRls(table=name, force=table.force_row_security))
        return parts

    def _settings(self, context: Context) -> list[Statement]:
        table, settings = self.table, []
        if table.comment:
            settings.append(set_table_comment(table.name, table.comment, context))
        for column in table.columns:
            settings += column_settings(table.name, column, context)
        for _, constraint in _inline(table):
            settings += constraint_comment(table.name, constraint.name, constraint.comment, context)
        return settings

    def inverse(self) -> Operation:
        return DropTable(table=self.table, model=self.model)

    @property
    def creates_table(self) -> Table:
        return self.table

    def in_names_of(self, graph: SchemaGraph) -> Operation | None:
        return None if is_in_graph(self.table, graph) else self

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.with_table(self.table)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTable(OnWholeTable):
    """Drops a table permanently; PostgreSQL refuses that while another object depends on it."""

    kind = "dropTable"
    table: Table
    model: str = ""

    @property
    def moves(self) -> tuple[TableMove, ...]:
        return (TableMove(old=self.table.name),)

    def describe(self) -> str:
        return f"drop table {self.table.name}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = sql.compose("DROP TABLE {table}", table=context.table(self.table.name))
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, self.tables),)

    def inverse(self) -> Operation:
        return CreateTable(table=self.table, model=self.model)

    @property
    def loses(self) -> Loss:
        return Loss(self.table.name)

    def keeping(self, graph: SchemaGraph) -> Operation:
        """The kind is found by name, because its module imports this one."""
        table = graph.table(self.table.name) or self.table
        return KINDS["softDropTable"](table=table, model=self.model)  # type: ignore[call-arg]

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.without_table(self.table.name)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.DROP_TABLE, self.table.name),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_table_with_data", "breaks_running_code", "irreversible")


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameTable(Operation):
    """Renames a table in place; its indexes and constraints keep their names."""

    kind = "renameTable"
    old: TableName
    new: TableName
    model: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "old", TableName.of(self.old))
        object.__setattr__(self, "new", TableName.of(self.new))

    @property
    def target(self) -> str:
        return str(self.old)

    @property
    def tables(self) -> tuple[TableName, ...]:
        return (self.old,)

    @property
    def moves(self) -> tuple[TableMove, ...]:
        return (TableMove(self.old, self.new),)

    def describe(self) -> str:
        return f"rename table {self.old} to {self.new}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        steps = []
        moved = self.old
        if self.old.schema != self.new.schema:
            schema = sql.ident(self.new.schema or context.schema)
            text = alter_table(context, self.old, "SET SCHEMA {schema}", schema=schema)
            steps.append(Statement(text, Lock.ACCESS_EXCLUSIVE, (self.old,)))
            moved = TableName(self.new.schema, self.old.name)
        if moved.name != self.new.name:
            name = sql.ident(self.new.name)
            text = alter_table(context, moved, "RENAME TO {name}", name=name)
            steps.append(Statement(text, Lock.ACCESS_EXCLUSIVE, (moved,)))
        return tuple(steps)

    def inverse(self) -> Operation:
        return RenameTable(old=self.new, new=self.old, model=self.model)

    @property
    def renames_only(self) -> bool:
        return True

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        table = graph.table(self.old)
        if table is None:
            return graph
        old, new = (
            TableName(name.schema or graph.default_schema, name.name)
            for name in (self.old, self.new)
        )
        triggers = (
            dataclasses.replace(item, definition=move_trigger(item.definition, old, new))
            for item in table.triggers
        )
        moved = dataclasses.replace(table, name=self.new, triggers=tuple(triggers))
        renamed = graph.without_table(self.old).with_table(moved)
        return dataclasses.replace(
            renamed, tables=tuple(self._follow(table) for table in renamed.tables)
        )

    def _follow(self, table: Table) -> Table:
        """Foreign keys and partitions follow the table that they name."""

        def pointed(key: ForeignKey) -> ForeignKey:
            if key.references != self.old:
                return key
            return dataclasses.replace(key, references=self.new)

        keys = tuple(map(pointed, table.foreign_keys))
        parent = self.new if table.partition_of == self.old else table.partition_of
        if (keys, parent) == (table.foreign_keys, table.partition_of):
            return table
        return dataclasses.replace(table, foreign_keys=keys, partition_of=parent)

    def touches(self, context: Context) -> tuple[Touch, ...]:
        return (Touch(Effect.RENAME_TABLE, self.old),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rename_table", "breaks_running_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetComment(OnTable):
    """Sets or removes the comment of a table, or of the one column, constraint, index or policy
    of it that is named."""

    kind = "setComment"
    table: TableName
    column: str = ""
    constraint: str = ""
    index: str = ""
    policy: str = ""
    old: str = ""
    new: str = ""
    model: str = ""

    @property
    def target(self) -> str:
        part = self.column or self.constraint or self.index or self.policy
        return f"{self.table}.{part}" if part else str(self.table)

    def describe(self) -> str:
        return f"comment on {self.target}: {self.new or 'removed'}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if self.column:
            return (comment_on_column(self.table, self.column, self.new, context),)
        if self.constraint:
            return (comment_on_constraint(self.table, self.constraint, self.new, context),)
        if self.index:
            return (comment_on_index(self.table, self.index, self.new, context),)
        if self.policy:
            return (comment_on_policy(self.table, self.policy, self.new, context),)
        return (set_table_comment(self.table, self.new, context),)

    def inverse(self) -> Operation:
        return dataclasses.replace(self, old=self.new, new=self.old)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        if self.column or self.constraint or self.index or self.policy:
            return graph.changed(self.table, self._commented)
        return changed(graph, self.table, comment=self.new)

    def _commented(self, table: Table) -> Table:
        for part in PARTS:
            for item in part.of(table) if part.commented else ():
                if item.name == getattr(self, part.commented_as):
                    commented = dataclasses.replace(item, comment=self.new)
                    return table.with_item(part.field, commented)
        return table

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterTableOptions(OnTable):
    """Sets and resets the storage parameters of a table, such as fillfactor."""

    kind = "alterTableOptions"
    table: TableName
    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    model: str = ""

    def describe(self) -> str:
        return f"set options of {self.table} to {', '.join(self.new) or 'none'}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return tuple(
            Statement(
                alter_table(context, self.table, "{change}", change=change),
                Lock.SHARE_UPDATE_EXCLUSIVE,
                (self.table,),
            )
            for change in option_changes(self.old, self.new)
        )

    def inverse(self) -> Operation:
        return dataclasses.replace(self, old=self.new, new=self.old)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return changed(graph, self.table, options=self.new)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


def _is_twin(part: Part, item: Any, table: Table) -> bool:
    """Is it one of two keys with the same columns? CREATE TABLE would create only one."""
    if part is PRIMARY_KEY:
        return False
    if part is EXCLUSIONS:
        before = table.exclusions[: table.exclusions.index(item)]
        return any(item.definition == other.definition for other in before)
    keys: list[Any] = [table.primary_key] if table.primary_key else []
    keys += table.uniques[: table.uniques.index(item)]
    return any(item.columns == key.columns for key in keys)


def _is_later(check: Check) -> bool:
    """Must the check be added later? CREATE TABLE creates only valid ones."""
    return check.enforced and not check.valid


# --- the SQL of tables -------------------------------------------------------------------------


def words_for_one(words: str) -> str:
    return {"indexes": "index", "foreign keys": "foreign key"}[words]


# The parts that CREATE TABLE creates itself.
_CLAUSES: Mapping[str, Callable[[Any], sql.Fragment]] = {
    PRIMARY_KEY.field: primary_key_clause,
    UNIQUES.field: unique_clause,
    CHECKS.field: check_clause,
    EXCLUSIONS.field: exclusion_clause,
}


def _inline(table: Table) -> Iterator[tuple[Part, Any]]:
    """(part, item) of all parts that CREATE TABLE creates itself."""
    for part in (PRIMARY_KEY, *ADDED):
        yield from ((part, item) for item in part.of(table) if _is_inline(part, item, table))


def _is_inline(part: Part, item: Any, table: Table) -> bool:
    if part is CHECKS:
        return not _is_later(item)
    return part.field in _CLAUSES and not _is_twin(part, item, table)


def create_table(table: Table, context: Context) -> str:
    """CREATE TABLE with columns and every constraint but foreign keys."""
    lines = [column_clause(column) for column in table.columns]
    lines += [_CLAUSES[part.field](item) for part, item in _inline(table)]
    parts = [
        sql.clause(
            "CREATE {unlogged}TABLE {table} (\n  {lines}\n)",
            unlogged=sql.keyword("UNLOGGED ") if table.unlogged else sql.EMPTY,
            table=context.table(table.name),
            lines=sql.join(lines, ",\n  "),
        )
    ]
    if table.partition_key:
        parts.append(sql.clause("PARTITION BY {it}", it=sql.catalog_text(table.partition_key)))
    if table.options:
        options = sql.join(sql.catalog_text(option) for option in table.options)
        parts.append(sql.clause("WITH ({options})", options=options))
    if table.tablespace:
        parts.append(sql.clause("TABLESPACE {name}", name=sql.ident(table.tablespace)))
    return sql.compose("{all}", all=sql.join(parts, " "))


def set_table_comment(table: TableName, comment: str, context: Context) -> Statement:
    text = sql.compose(
        "COMMENT ON TABLE {table} IS {comment}",
        table=context.table(table),
        comment=sql.literal(comment or None),
    )
    return Statement(text, Lock.SHARE_UPDATE_EXCLUSIVE, (table,))
