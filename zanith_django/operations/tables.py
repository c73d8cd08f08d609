"""Tables: create, rename, drop, comments, and the soft drop with its restore."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from zanith_django import sql
from zanith_django.locks import Lock
from zanith_django.operations.base import (
    SHADOW_SCHEMA,
    Artifact,
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    changed,
    dropped_name,
    to_data,
)
from zanith_django.operations.columns import alter, column_clause, column_comment
from zanith_django.operations.constraints import (
    AddForeignKey,
    check_clause,
    constraint_comment,
    drop_constraint,
    exclusion_clause,
    foreign_key_clause,
    primary_key_clause,
    unique_clause,
)
from zanith_django.operations.indexes import create_index, index_comment
from zanith_django.operations.policies import CreatePolicy, EnableRls
from zanith_django.schema.graph import ForeignKey, SchemaGraph, Table, TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTable(Operation):
    """Creates a table with its constraints, indexes, policies and comments in one step."""

    kind = "createTable"
    table: Table
    model: str = ""

    @property
    def target(self) -> str:
        return str(self.table.name)

    @property
    def tables(self) -> tuple[TableName, ...]:
        others = (key.references for key in self.table.foreign_keys)
        return tuple(dict.fromkeys((self.table.name, *others)))

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
        table = self.table
        new = dataclasses.replace(context, fresh=context.fresh | {table.name})
        made = [Statement(create_table(table, context), Lock.ACCESS_EXCLUSIVE, (table.name,))]
        for index in table.indexes:
            text = create_index(table.name, index, new)
            made.append(Statement(text, Lock.SHARE, (table.name,)))
        for key in table.foreign_keys:
            text = alter_table(new, table.name, "ADD {it}", it=foreign_key_clause(key, new))
            tables = (table.name, key.references)
            made.append(Statement(text, Lock.SHARE_ROW_EXCLUSIVE, tables))
        return (*made, *self._row_security(new), *self._comments(new))

    def _row_security(self, context: Context) -> list[Statement]:
        table = self.table
        parts: list[Operation] = []
        if table.row_security:
            parts.append(EnableRls(table=table.name, force=table.force_row_security))
        parts += [CreatePolicy(table=table.name, policy=policy) for policy in table.policies]
        return [statement for part in parts for statement in part.statements(context)]

    def _comments(self, context: Context) -> list[Statement]:
        table = self.table
        commented = []
        if table.comment:
            commented.append(set_table_comment(table.name, table.comment, context))
        for column in table.columns:
            commented += column_comment(table.name, column, context)
        for constraint in (*table.uniques, *table.foreign_keys, *table.checks, *table.exclusions):
            commented += constraint_comment(
                table.name, constraint.name, constraint.comment, context
            )
        for index in table.indexes:
            commented += index_comment(table.name, index, context)
        return commented

    def inverse(self) -> Operation:
        return DropTable(table=self.table, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.with_table(self.table)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTable(Operation):
    """Drops a table for good; refused by PostgreSQL while anything else depends on it."""

    kind = "dropTable"
    table: Table
    model: str = ""

    @property
    def target(self) -> str:
        return str(self.table.name)

    @property
    def tables(self) -> tuple[TableName, ...]:
        others = (key.references for key in self.table.foreign_keys)
        return tuple(dict.fromkeys((self.table.name, *others)))

    def describe(self) -> str:
        return f"drop table {self.table.name}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = sql.compose("DROP TABLE {table}", table=context.table(self.table.name))
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, self.tables),)

    def inverse(self) -> Operation:
        return CreateTable(table=self.table, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.without_table(self.table.name)

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

    def describe(self) -> str:
        return f"rename table {self.old} to {self.new}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        texts = []
        moved = self.old
        if self.old.schema != self.new.schema:
            schema = sql.ident(self.new.schema or context.schema)
            texts.append(alter_table(context, self.old, "SET SCHEMA {schema}", schema=schema))
            moved = TableName(self.new.schema, self.old.name)
        if moved.name != self.new.name:
            name = sql.ident(self.new.name)
            texts.append(alter_table(context, moved, "RENAME TO {name}", name=name))
        return tuple(Statement(text, Lock.ACCESS_EXCLUSIVE, (self.old,)) for text in texts)

    def inverse(self) -> Operation:
        return RenameTable(old=self.new, new=self.old, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        table = graph.table(self.old)
        if table is None:
            return graph
        renamed = graph.without_table(self.old).with_table(
            dataclasses.replace(table, name=self.new)
        )
        return dataclasses.replace(
            renamed, tables=tuple(self._follow(table) for table in renamed.tables)
        )

    def _follow(self, table: Table) -> Table:
        """Foreign keys follow the table that they point at."""

        def pointed(key: ForeignKey) -> ForeignKey:
            if key.references != self.old:
                return key
            return dataclasses.replace(key, references=self.new)

        keys = tuple(map(pointed, table.foreign_keys))
        if keys == table.foreign_keys:
            return table
        return dataclasses.replace(table, foreign_keys=keys)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rename_table", "breaks_running_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetComment(OnTable):
    """Sets or removes the comment of a table or of one of its columns."""

    kind = "setComment"
    table: TableName
    column: str = ""
    old: str = ""
    new: str = ""
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.column}" if self.column else str(self.table)

    def describe(self) -> str:
        return f"comment on {self.target}: {self.new or 'removed'}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if not self.column:
            return (set_table_comment(self.table, self.new, context),)
        text = sql.compose(
            "COMMENT ON COLUMN {table}.{column} IS {comment}",
            table=context.table(self.table),
            column=sql.ident(self.column),
            comment=sql.literal(self.new or None),
        )
        return (Statement(text, Lock.SHARE_UPDATE_EXCLUSIVE, (self.table,)),)

    def inverse(self) -> Operation:
        return dataclasses.replace(self, old=self.new, new=self.old)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        if self.column:
            return alter(graph, self.table, self.column, comment=self.new)
        return changed(graph, self.table, comment=self.new)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftDropTable(Operation):
    """Moves a table with all its rows to the schema of ours; `restoreTable` brings it back."""

    kind = "softDropTable"
    table: Table
    model: str = ""

    @property
    def target(self) -> str:
        return str(self.table.name)

    @property
    def tables(self) -> tuple[TableName, ...]:
        others = (key.references for key in self.table.foreign_keys)
        return tuple(dict.fromkeys((self.table.name, *others)))

    def describe(self) -> str:
        return f"soft-drop table {self.table.name} (its rows are kept)"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        """Foreign keys are lifted, for they would hinder deletes in the tables they point at;
        names of indexes are set aside, so that a later soft drop of the same name has room."""
        artifact_id = self._artifact_id(context)
        name, hidden = self.table.name, dropped_name(artifact_id)
        made = sql.compose("CREATE SCHEMA IF NOT EXISTS {it}", it=sql.ident(SHADOW_SCHEMA))
        lifted = [
            drop_constraint(name, key.name, context, self.tables)
            for key in self.table.foreign_keys
        ]
        aside = rename_indexes(
            self.table, context, name.schema or context.schema, artifact_id, "aside"
        )
        renamed = alter_table(context, name, "RENAME TO {name}", name=sql.ident(hidden))
        moved = alter_table(
            context,
            TableName(name.schema, hidden),
            "SET SCHEMA {schema}",
            schema=sql.ident(SHADOW_SCHEMA),
        )
        texts = (*aside, renamed, moved)
        return (
            Statement(made, Lock.NONE),
            *lifted,
            *(Statement(text, Lock.ACCESS_EXCLUSIVE, (name,)) for text in texts),
        )

    def _artifact_id(self, context: Context) -> str:
        return context.artifact_id("soft_drop_table", self.target)

    def inverse(self) -> Operation:
        return RestoreTable(table=self.table, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.without_table(self.table.name)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_table_with_data", "breaks_running_code")

    def artifact(self, context: Context) -> Artifact:
        artifact_id = self._artifact_id(context)
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
class RestoreTable(Operation):
    """Brings a soft-dropped table back under its name, with indexes and foreign keys.

    `artifact_id` names what it restores; empty, it is the soft drop of the same migration.
    """

    kind = "restoreTable"
    table: Table
    artifact_id: str = ""
    model: str = ""

    @property
    def target(self) -> str:
        return str(self.table.name)

    @property
    def tables(self) -> tuple[TableName, ...]:
        others = (key.references for key in self.table.foreign_keys)
        return tuple(dict.fromkeys((self.table.name, *others)))

    def describe(self) -> str:
        return f"restore table {self.table.name} with its rows"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        artifact_id = self.artifact_id or context.artifact_id("soft_drop_table", self.target)
        name = self.table.name
        hidden = TableName(SHADOW_SCHEMA, dropped_name(artifact_id))
        schema = sql.ident(name.schema or context.schema)
        moved = alter_table(context, hidden, "SET SCHEMA {schema}", schema=schema)
        back = TableName(name.schema, hidden.name)
        renamed = alter_table(context, back, "RENAME TO {name}", name=sql.ident(name.name))
        named = rename_indexes(
            self.table, context, name.schema or context.schema, artifact_id, "back"
        )
        probe = sql.compose(
            "SELECT CASE WHEN to_regclass({table}) IS NOT NULL THEN 'done' END",
            table=sql.regclass(name, context.schema),
        )
        shown = tuple(
            Statement(text, Lock.ACCESS_EXCLUSIVE, (name,), probe=probe)
            for text in (moved, renamed, *named)
        )
        return (*shown, *self._keys(context))

    def _keys(self, context: Context) -> list[Statement]:
        keys = (AddForeignKey(table=self.table.name, foreign_key=k) for k in self.table.foreign_keys)
        statements = [statement for key in keys for statement in key.statements(context)]
        return sorted(statements, key=lambda statement: statement.separate)

    def inverse(self) -> Operation:
        return SoftDropTable(table=self.table, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.with_table(self.table)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


# --- the SQL of tables -------------------------------------------------------------------------


def words_for_one(words: str) -> str:
    return {"indexes": "index", "foreign keys": "foreign key"}[words]


def create_table(table: Table, context: Context) -> str:
    """CREATE TABLE with columns and every constraint but foreign keys."""
    lines = [column_clause(column) for column in table.columns]
    if table.primary_key:
        lines.append(primary_key_clause(table.primary_key))
    lines += [unique_clause(unique) for unique in table.uniques]
    lines += [check_clause(check) for check in table.checks]
    lines += [exclusion_clause(exclusion) for exclusion in table.exclusions]
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


def option_changes(old: tuple[str, ...], new: tuple[str, ...]) -> list[sql.Composable]:
    """`RESET (…)` of what is gone and `SET (…)` of what is new; options are `name=value`."""
    names = {option.split("=")[0] for option in new}
    gone = [option.split("=")[0] for option in old if option.split("=")[0] not in names]
    come = [option for option in new if option not in old]
    changes = []
    if gone:
        changes.append(sql.clause("RESET ({it})", it=sql.join(map(sql.catalog_text, gone))))
    if come:
        changes.append(sql.clause("SET ({it})", it=sql.join(map(sql.catalog_text, come))))
    return changes


def rename_indexes(
    table: Table,
    context: Context,
    schema: str,
    artifact_id: str,
    direction: Literal["aside", "back"],
) -> list[str]:
    """ALTER INDEX … RENAME for every index of the table, constraints' own ones too."""
    owned = (*table.uniques, *table.exclusions, *table.indexes)
    names = [item.name for item in owned]
    if table.primary_key:
        names.append(table.primary_key.name)
    texts = []
    for name in names:
        pair = (name, dropped_name(artifact_id, name))
        old, new = pair if direction == "aside" else pair[::-1]
        texts.append(
            sql.compose(
                "ALTER INDEX {old} RENAME TO {new}",
                old=sql.qualified(schema, old),
                new=sql.ident(new),
            )
        )
    return texts

