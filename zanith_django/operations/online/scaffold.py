"""The temporary objects of a running operation, and their removal if it does not finish."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from zanith_django.operations.base import Context, Statement, alter_table
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName

# In an order in which no object blocks the drop of another. A dropped column drops its indexes, and
# a table its triggers; foreign keys of other tables must be dropped before.
_REMOVE = """\
DO $zanith$
DECLARE
  _zanith_names text[] := {names};
  _zanith_text text;
BEGIN
  FOR _zanith_text IN
    SELECT text FROM (
      SELECT 1 AS place, format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) AS text
      FROM pg_catalog.pg_trigger
      WHERE NOT tgisinternal AND tgparentid = 0
        AND regexp_replace(tgname, '^~|_update$', '', 'g') = ANY (_zanith_names)
      UNION ALL
      SELECT 2, format('DROP FUNCTION %s', oid::regprocedure)
      FROM pg_catalog.pg_proc WHERE proname = ANY (_zanith_names)
      UNION ALL
      SELECT 3, format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
      FROM pg_catalog.pg_constraint
      WHERE conname = ANY (_zanith_names) AND contype IN ('c', 'f') AND conparentid = 0
        AND coninhcount = 0
      UNION ALL
      SELECT 4, format('ALTER TABLE %s DROP COLUMN %I', attrelid::regclass, attname)
      FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_class c ON c.oid = attrelid
      WHERE attname = ANY (_zanith_names) AND c.relkind IN ('r', 'p') AND attinhcount = 0
        AND c.relname <> ALL (_zanith_names)
      UNION ALL
      SELECT 5, format('DROP TABLE %s', oid::regclass)
      FROM pg_catalog.pg_class WHERE relname = ANY (_zanith_names) AND relkind = 'r'
    ) AS it ORDER BY place
  LOOP
    EXECUTE _zanith_text;
  END LOOP;
END $zanith$"""


def remove_scaffold(
    statements: Iterable[Statement], tables: tuple[TableName, ...], context: Context
) -> tuple[Statement, ...]:
    """Removes the objects that these statements have created under names of zanith."""
    names = sorted({name for item in statements for name in item.makes})
    text = sql.compose(_REMOVE, names=sql.literal(names))
    return (Statement(text, Lock.ACCESS_EXCLUSIVE, tables),)


def making(name: str, statements: Iterable[Statement]) -> list[Statement]:
    """The same statements, of which the first creates a temporary object of this name."""
    first, *rest = statements
    return [dataclasses.replace(first, makes=(*first.makes, name)), *rest]


def remove_builds(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """Drops the indexes that these statements build, finished or not."""
    return tuple(removal(item) for item in statements if item.cleanup)


def removal(made: Statement) -> Statement:
    """Removes the object that a statement created, finished or not."""
    lock = Lock.ACCESS_EXCLUSIVE if made.transactional else Lock.SHARE_UPDATE_EXCLUSIVE
    return Statement(made.cleanup, lock, made.tables, transactional=made.transactional)


def removed_as_a_whole(
    statements: Iterable[Statement], retreat: Iterable[Statement]
) -> tuple[Statement, ...]:
    """The same statements. The objects that disturb others and have no removal of their own depend
    on each other: `retreat` removes all of them."""
    whole = ";\n".join(item.sql for item in retreat)
    return tuple(
        dataclasses.replace(item, cleanup=whole) if item.disruptive and not item.cleanup else item
        for item in statements
    )


def drop_column_if_exists(table: TableName, column: str, context: Context) -> Statement:
    """Drops a column that may exist."""
    text = alter_table(context, table, "DROP COLUMN IF EXISTS {it}", it=sql.ident(column))
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))


def drop_constraint_if_exists(
    table: TableName, name: str, context: Context, locked: tuple[TableName, ...] = ()
) -> Statement:
    """Drops a constraint that may exist."""
    text = alter_table(context, table, "DROP CONSTRAINT IF EXISTS {it}", it=sql.ident(name))
    return Statement(text, Lock.ACCESS_EXCLUSIVE, locked or (table,))
