"""The SQL of constraints: how each is spelled, renamed, validated, dropped and commented."""

from __future__ import annotations

from collections.abc import Sequence

from zanith_django.operations.base import Context, Statement, alter_table
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Check,
    Exclusion,
    ForeignKey,
    Index,
    IndexKey,
    PrimaryKey,
    Unique,
)

_CONSTRAINT_STATE = """\
SELECT CASE WHEN convalidated OR NOT {validated} THEN 'done' END
FROM pg_catalog.pg_constraint
WHERE conrelid = to_regclass({table}) AND conname = {name}"""


def index_of(key: Unique | PrimaryKey) -> Index:
    """The index of a key."""
    return Index(
        key.name,
        tuple(IndexKey(column=column) for column in key.columns),
        unique=True,
        include=key.include,
        nulls_not_distinct=isinstance(key, Unique) and key.nulls_not_distinct,
        options=key.options,
        tablespace=key.tablespace,
    )


def deferrable_clause(deferrable: str) -> sql.Fragment:
    """ "" → nothing; "immediate" and "deferred" → DEFERRABLE INITIALLY …"""
    if not deferrable:
        return sql.EMPTY
    return sql.clause(" DEFERRABLE INITIALLY {mode}", mode=sql.keyword(deferrable.upper()))


def primary_key_clause(key: PrimaryKey) -> sql.Fragment:
    return sql.clause(
        "CONSTRAINT {name} PRIMARY KEY ({columns}){index}{deferrable}",
        name=sql.ident(key.name),
        columns=sql.idents(key.columns),
        index=_index_clause(key),
        deferrable=deferrable_clause(key.deferrable),
    )


def unique_clause(unique: Unique) -> sql.Fragment:
    return sql.clause(
        "CONSTRAINT {name} UNIQUE {nulls}({columns}){index}{deferrable}",
        name=sql.ident(unique.name),
        nulls=sql.keyword("NULLS NOT DISTINCT ") if unique.nulls_not_distinct else sql.EMPTY,
        columns=sql.idents(unique.columns),
        index=_index_clause(unique),
        deferrable=deferrable_clause(unique.deferrable),
    )


def _index_clause(key: Unique | PrimaryKey) -> sql.Fragment:
    parts = []
    if key.include:
        parts.append(sql.clause(" INCLUDE ({columns})", columns=sql.idents(key.include)))
    if key.options:
        options = sql.join(map(sql.catalog_text, key.options))
        parts.append(sql.clause(" WITH ({options})", options=options))
    if key.tablespace:
        place = sql.ident(key.tablespace)
        parts.append(sql.clause(" USING INDEX TABLESPACE {place}", place=place))
    return sql.join(parts, "")


def foreign_key_clause(key: ForeignKey, context: Context) -> sql.Fragment:
    actions = [
        sql.clause(" ON {event} {it}", event=sql.keyword(event), it=sql.catalog_text(action))
        for event, action in (("DELETE", key.on_delete), ("UPDATE", key.on_update))
        if action != "NO ACTION"
    ]
    return sql.clause(
        "CONSTRAINT {name} FOREIGN KEY ({columns}) REFERENCES {table} ({referenced}){match}"
        "{actions}{deferrable}{enforced}",
        name=sql.ident(key.name),
        columns=_key_columns(key.columns, period=key.period),
        table=context.table(key.references),
        referenced=_key_columns(key.referenced_columns, period=key.period),
        match=sql.keyword(" MATCH FULL") if key.match == "FULL" else sql.EMPTY,
        actions=sql.join(actions, ""),
        deferrable=deferrable_clause(key.deferrable),
        enforced=sql.EMPTY if key.enforced else sql.keyword(" NOT ENFORCED"),
    )


def _key_columns(columns: Sequence[str], *, period: bool) -> sql.Fragment:
    if not period:
        return sql.idents(columns)
    spelled = [sql.ident(column) for column in columns]
    spelled[-1] = sql.clause("PERIOD {column}", column=spelled[-1])
    return sql.join(spelled)


def check_clause(check: Check) -> sql.Fragment:
    return sql.clause(
        "CONSTRAINT {name} CHECK ({expression}){no_inherit}{enforced}",
        name=sql.ident(check.name),
        expression=sql.catalog_text(check.expression),
        no_inherit=sql.keyword(" NO INHERIT") if check.no_inherit else sql.EMPTY,
        enforced=sql.EMPTY if check.enforced else sql.keyword(" NOT ENFORCED"),
    )


def exclusion_clause(exclusion: Exclusion) -> sql.Fragment:
    return sql.clause(
        "CONSTRAINT {name} {definition}",
        name=sql.ident(exclusion.name),
        definition=sql.catalog_text(exclusion.definition),
    )


def drop_constraint(
    table: TableName, name: str, context: Context, locked: tuple[TableName, ...] = ()
) -> Statement:
    text = alter_table(context, table, "DROP CONSTRAINT {name}", name=sql.ident(name))
    return Statement(text, Lock.ACCESS_EXCLUSIVE, locked or (table,))


def rename_constraint(table: TableName, old: str, new: str, context: Context) -> Statement:
    text = alter_table(
        context,
        table,
        "RENAME CONSTRAINT {old} TO {new}",
        old=sql.ident(old),
        new=sql.ident(new),
    )
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))


def validate(
    table: TableName, name: str, context: Context, locked: tuple[TableName, ...]
) -> Statement:
    """VALIDATE CONSTRAINT, in a transaction of its own: with the strong lock of the step before
    still held, its scan would block readers and writers."""
    return Statement(
        alter_table(context, table, "VALIDATE CONSTRAINT {name}", name=sql.ident(name)),
        Lock.SHARE_UPDATE_EXCLUSIVE,
        locked,
        separate=True,
        scans=True,
        probe=constraint_state(table, name, context, validated=True),
    )


def constraint_state(table: TableName, name: str, context: Context, *, validated: bool) -> str:
    """The probe of a constraint: done when it exists (and is valid, if `validated`)."""
    return sql.compose(
        _CONSTRAINT_STATE,
        validated=sql.literal(validated),
        table=sql.regclass(table, context.schema),
        name=sql.literal(name),
    )


def constraint_comment(
    table: TableName, name: str, comment: str, context: Context
) -> tuple[Statement, ...]:
    return (comment_on_constraint(table, name, comment, context),) if comment else ()


def comment_on_constraint(table: TableName, name: str, comment: str, context: Context) -> Statement:
    """An empty comment removes the existing one."""
    text = sql.compose(
        "COMMENT ON CONSTRAINT {name} ON {table} IS {comment}",
        name=sql.ident(name),
        table=context.table(table),
        comment=sql.literal(comment or None),
    )
    return Statement(text, Lock.ACCESS_SHARE, (table,))
