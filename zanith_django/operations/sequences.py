"""Sequences of identity and serial columns. They are in no graph; PostgreSQL is queried for
them."""

from __future__ import annotations

from typing import LiteralString

from zanith_django.operations.base import Context, Statement, alter_table
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column
from zanith_django.schema.object_names import make_object_name

_CHANGE = """\
DO $zanith$ BEGIN
  EXECUTE format({change}, pg_get_serial_sequence({table}, {column}){more});
END $zanith$"""

# A name that another object has taken meanwhile is left alone.
_RENAME = """\
DO $zanith$ BEGIN
  IF to_regclass({taken}) IS NULL THEN
    EXECUTE format('ALTER SEQUENCE %s RENAME TO %I',
                   pg_get_serial_sequence({table}, {column}), {name});
  END IF;
END $zanith$"""

# A serial's sequence is handed over. An identity's cannot be: the new sequence continues at the
# value of the old one, and has the same options within the range of the new type.
_HAND_OVER = """\
DO $zanith$ DECLARE
  name text := pg_get_serial_sequence({table}, {old}); own text; was record; q record;
  drawn text := (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attribute a
                 JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                 WHERE a.attrelid = {table}::regclass AND a.attname = {old});
BEGIN
  IF drawn IS NOT NULL THEN
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', {table}::regclass, {old});
    IF name IS NOT NULL THEN
      EXECUTE format('ALTER SEQUENCE %s AS %s', name, {type});
      EXECUTE format('ALTER SEQUENCE %s OWNED BY %s.%I', name, {to}::regclass, {new});
    END IF;
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', {to}::regclass, {new}, drawn);
    RETURN;
  END IF;
  SELECT * INTO q FROM pg_catalog.pg_sequence WHERE seqrelid = name::regclass;
  EXECUTE format('SELECT last_value, is_called FROM %s', name) INTO was;
  EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', {table}::regclass, {old});
  EXECUTE format('ALTER TABLE %s ALTER COLUMN %I ADD GENERATED %s AS IDENTITY
    (INCREMENT BY %s START WITH %s CACHE %s %s %s)', {to}::regclass, {new}, {mode},
    q.seqincrement, q.seqstart, q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' ELSE '' END,
    CASE WHEN q.seqmax NOT IN (32767, 2147483647, 9223372036854775807)
         THEN format('MAXVALUE %s', q.seqmax) ELSE '' END);
  own := pg_get_serial_sequence({to}, {new});
  IF own <> name AND (parse_ident(own))[1] = (parse_ident(name))[1] THEN
    EXECUTE format('ALTER SEQUENCE %s RENAME TO %I', own, (parse_ident(name))[2]);
    own := name;
  END IF;
  PERFORM setval(own, was.last_value, was.is_called);
END $zanith$"""

_SEED = """\
SELECT setval(pg_get_serial_sequence({text}, {column}),
  greatest((SELECT max({name}) FROM {table}), 1), EXISTS (SELECT 1 FROM {table}))"""


def change_sequence(
    table: TableName, column: str, change: LiteralString, context: Context
) -> Statement:
    """`ALTER SEQUENCE %s …` and the like of the sequence that the column owns."""
    text = sql.compose(
        _CHANGE,
        change=sql.literal(change),
        table=sql.regclass(table, context.schema),
        column=sql.literal(column),
        more=sql.EMPTY,
    )
    return Statement(text, Lock.NONE, (table,))


def rename_sequence(table: TableName, column: str, name: str, context: Context) -> Statement:
    """Gives the column's sequence that name, in the schema of the table."""
    schema = table.schema or context.schema
    text = sql.compose(
        _RENAME,
        taken=sql.literal(sql.qualified(schema, name)),
        table=sql.regclass(table, context.schema),
        column=sql.literal(column),
        name=sql.literal(name),
    )
    return Statement(text, Lock.NONE, (table,))


def usual_name(table: TableName, column: str) -> str:
    """The name that PostgreSQL gives to the sequence of a column."""
    return make_object_name(table.name, column, "seq")


def default_from_sequence(table: TableName, column: str, context: Context) -> Statement:
    """Makes a column draw from the sequence that it owns, which makes it serial."""
    text = sql.compose(
        _CHANGE,
        change=sql.literal(
            "ALTER TABLE %2$s ALTER COLUMN %3$I SET DEFAULT nextval(%1$L::regclass)"
        ),
        table=sql.regclass(table, context.schema),
        column=sql.literal(column),
        more=sql.clause(
            ", {table}::regclass, {column}",
            table=sql.regclass(table, context.schema),
            column=sql.literal(column),
        ),
    )
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))


def make_serial(table: TableName, column: str, kind: str, context: Context) -> list[Statement]:
    """A sequence of its own for the column, and the default that draws from it."""
    made = sql.compose(
        "CREATE SEQUENCE {name} AS {kind} OWNED BY {table}.{column}",
        name=sql.qualified(table.schema or context.schema, usual_name(table, column)),
        kind=sql.catalog_text(kind),
        table=context.table(table),
        column=sql.ident(column),
    )
    owned = Statement(made, Lock.ACCESS_SHARE, (table,))
    return [owned, default_from_sequence(table, column, context)]


def drop_serial(table: TableName, column: str, context: Context) -> list[Statement]:
    """Drops the default first, because it depends on the sequence."""
    text = alter_table(
        context, table, "ALTER COLUMN {column} DROP DEFAULT", column=sql.ident(column)
    )
    dropped = Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))
    return [dropped, change_sequence(table, column, "DROP SEQUENCE %s", context)]


def hand_over_sequence(
    table: TableName, old: str, to: TableName, new: Column, context: Context
) -> Statement:
    """Hands the sequence of the column `old`, with its value, to the column `new` of `to`."""
    text = sql.compose(
        _HAND_OVER,
        table=sql.regclass(table, context.schema),
        old=sql.literal(old),
        to=sql.regclass(to, context.schema),
        new=sql.literal(new.name),
        type=sql.literal(new.type),
        mode=sql.literal(new.identity.upper()),
    )
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))


def reseed(table: TableName, column: str, context: Context) -> Statement:
    """Lets a new sequence continue above the highest existing value."""
    text = sql.compose(
        _SEED,
        text=sql.regclass(table, context.schema),
        column=sql.literal(column),
        name=sql.ident(column),
        table=context.table(table),
    )
    return Statement(text, Lock.ACCESS_SHARE, (table,), scans=True)
