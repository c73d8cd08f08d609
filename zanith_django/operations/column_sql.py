"""The SQL of columns that several operations share."""

from __future__ import annotations

import dataclasses

from zanith_django.operations.base import (
    Batches,
    Context,
    Default,
    Statement,
    alter_table,
)
from zanith_django.operations.column_clauses import (
    column_clause,
)
from zanith_django.operations.online.rewrites import volatile
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column


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


def drop_default(table: TableName, column: str, context: Context) -> Statement:
    text = alter_table(
        context, table, "ALTER COLUMN {column} DROP DEFAULT", column=sql.ident(column)
    )
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))


def spell_default(default: Default) -> str:
    """The text that replaces the value when a statement is shown."""
    return f"{default} /* Python, called when the step runs */"


def update_in_batches(
    table: TableName, assignments: sql.Fragment, where: sql.Fragment, context: Context
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
        assignments=str(assignments),
        where=str(where),
    )


def default_in_batches(
    table: TableName, column: str, default: Default, where: sql.Fragment, context: Context
) -> Batches:
    """Writes the value of a Django field's default to the rows that `where` selects."""
    shown = sql.catalog_text(spell_default(default))
    assignment = sql.clause("{column} = {value}", column=sql.ident(column), value=shown)
    fill = update_in_batches(table, assignment, where, context)
    return dataclasses.replace(fill, assignments="", column=column, default=default)
