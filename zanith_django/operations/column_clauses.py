"""How a column is spelled: for people, and in the statements that make or change one."""

from __future__ import annotations

import dataclasses
from typing import Any

from zanith_django.operations.base import Context, Statement, alter_table
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table
from zanith_django.schema.values import replaced


def alter(graph: SchemaGraph, table: TableName, column: str, **fields: Any) -> SchemaGraph:
    """`graph` with fields of one column replaced."""

    def altered(found: Table) -> Table:
        old = found.column(column)
        if old is None:
            return found
        return found.with_item("columns", replaced(old, **fields))

    return graph.changed(table, altered)


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


def column_clause(column: Column) -> sql.Fragment:
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


def _compression_clause(column: Column) -> sql.Fragment:
    if not column.compression:
        return sql.EMPTY
    return sql.clause(" COMPRESSION {it}", it=sql.keyword(column.compression))


def storage_changes(old: Column, new: Column) -> list[sql.Fragment]:
    """ALTER COLUMN … SET STORAGE and SET COMPRESSION, if they differ."""
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


def collate_clause(collation: str) -> sql.Fragment:
    if not collation:
        return sql.EMPTY
    return sql.clause(" COLLATE {name}", name=sql.catalog_text(collation))


def column_settings(table: TableName, column: Column, context: Context) -> list[Statement]:
    """The properties that a column definition cannot set: its storage, its comment."""
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
    """An empty comment removes the existing one."""
    text = sql.compose(
        "COMMENT ON COLUMN {table}.{column} IS {comment}",
        table=context.table(table),
        column=sql.ident(column),
        comment=sql.literal(comment or None),
    )
    return Statement(text, Lock.SHARE_UPDATE_EXCLUSIVE, (table,))
