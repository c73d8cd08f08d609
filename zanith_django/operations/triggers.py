"""Triggers of users: no operation makes one, but what is made anew takes them along."""

from __future__ import annotations

from collections.abc import Iterable

from zanith_django import sql
from zanith_django.locks import Lock
from zanith_django.operations.base import Context, Statement, alter_table
from zanith_django.operations.dependents import mentions
from zanith_django.schema.graph import Table, TableName, Trigger

_MODES = {"disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


def triggers_on(table: Table, column: str) -> list[Trigger]:
    """Those that fire on an update of the column, or read it in their WHEN."""
    return [item for item in table.triggers if mentions(item.definition, column, table.name.name)]


def drop_trigger(table: TableName, name: str, context: Context) -> Statement:
    text = sql.compose(
        "DROP TRIGGER {name} ON {table}", name=sql.ident(name), table=context.table(table)
    )
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))


def make_triggers(
    table: TableName, triggers: Iterable[Trigger], context: Context
) -> list[Statement]:
    """As the catalog has them, disabled ones too."""
    statements = []
    for item in triggers:
        statements.append(Statement(item.definition, Lock.SHARE_ROW_EXCLUSIVE, (table,)))
        if item.enabled:
            statements.append(switch_trigger(table, item.name, item.enabled, context))
    return statements


def switch_trigger(table: TableName, name: str, enabled: str, context: Context) -> Statement:
    """`enabled` is "disabled", "replica" or "always"."""
    text = alter_table(
        context,
        table,
        "{mode} TRIGGER {name}",
        mode=sql.keyword(_MODES[enabled]),
        name=sql.ident(name),
    )
    return Statement(text, Lock.SHARE_ROW_EXCLUSIVE, (table,))
