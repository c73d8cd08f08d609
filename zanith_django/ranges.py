"""What a backfill walks over: closed ranges of a table's key, or of its pages where it has none.

A range is found first and updated then: an UPDATE joined to a LIMIT, or a prepared one, runs at a
fraction of the speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple, Protocol

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django import sql

# Numbers of which so great a part are keys are counted on instead of looked through.
DENSE = 0.8

# The primary key, else the smallest unique key without NULLs whose index has the default order.
# Dates are read as JSON prints them: ISO, whatever DateStyle the session that resumes has.
_KEY = """\
SELECT a.attname, t.typcategory = 'D', a.atttypid IN (20, 21, 23)
FROM (
    SELECT i.* FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
    WHERE i.indrelid = {table}::regclass
      AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
      AND NOT EXISTS (
          SELECT FROM generate_series(0, i.indnkeyatts - 1) AS n
          JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n]
          JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[n]
          WHERE NOT a.attnotnull OR NOT o.opcdefault OR i.indoption[n] <> 0
             OR i.indcollation[n] <> a.attcollation
             OR EXISTS (
                 SELECT FROM pg_catalog.pg_constraint  -- PostgreSQL 18: NOT NULL NOT VALID
                 WHERE conrelid = i.indrelid AND contype = 'n' AND NOT convalidated
                   AND conkey[1] = a.attnum
             )
      )
    ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1
) AS i
CROSS JOIN generate_series(0, i.indnkeyatts - 1) AS n
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n]
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
ORDER BY n"""

_HEAPS = """\
WITH RECURSIVE family AS (
    SELECT {table}::regclass::oid AS oid
    UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid
)
SELECT n.nspname, c.relname,
       pg_relation_size(c.oid) / current_setting('block_size')::integer,
       CASE WHEN c.reltuples >= 1 AND c.relpages >= 1
            THEN greatest(c.reltuples / c.relpages, 1) ELSE 50 END
FROM family f
JOIN pg_catalog.pg_class c ON c.oid = f.oid AND c.relkind = 'r'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY n.nspname, c.relname"""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The rows of one batch: `rows` of them at most, `reached` is the cursor behind them."""

    table: sql.Composable
    condition: sql.Composable
    reached: Key
    rows: int


class Ranges(Protocol):
    """One pass over a table, up to the end that it has when the pass begins."""

    def after(self, reached: Key | None, size: int) -> Range | None:
        """The next range of about `size` rows; None at the end."""
        ...


def ranges_of(
    connection: BaseDatabaseWrapper, table: sql.Composable, regclass: sql.Composable
) -> Ranges:
    """A new pass over this table, which is named in two ways."""
    key = [_KeyColumn(*row) for row in rows_of(connection, sql.compose(_KEY, table=regclass))]
    return _KeyPass(connection, table, key) if key else _PagePass(connection, regclass)


class _KeyColumn(NamedTuple):
    """A row of `_KEY`."""

    name: str
    is_date: bool
    is_integer: bool


class _KeyPass:
    """Ranges of a key up to the highest one that the table has when the pass begins.

    The order of keys is PostgreSQL's alone. Values stand in the statements as literals without a
    type: each takes the type and collation of the column that it is compared with.
    """

    def __init__(
        self, connection: BaseDatabaseWrapper, table: sql.Composable, key: Sequence[_KeyColumn]
    ) -> None:
        self.connection, self.table = connection, table
        self.columns = sql.idents(column.name for column in key)
        # Qualified: ORDER BY would take a bare name for the text of the same name.
        self.ordered = [sql.clause("k.{name}", name=sql.ident(column.name)) for column in key]
        self.texts = sql.join(
            sql.clause(
                "to_json({name}) #>> '{{}}'" if column.is_date else "{name}::text", name=name
            )
            for name, column in zip(self.ordered, key, strict=True)
        )
        self.end = self._key_at(
            "ORDER BY {order} LIMIT 1",
            order=sql.join(sql.clause("{name} DESC", name=name) for name in self.ordered),
        )
        self.dense = len(key) == 1 and key[0].is_integer and self._is_dense()

    def after(self, reached: Key | None, size: int) -> Range | None:
        """The next `size` keys; None at the end."""
        if self.end is None or reached == self.end:
            return None
        upper = self._upper(reached, size) or self.end
        condition = sql.clause(
            "({columns}) <= ({upper})", columns=self.columns, upper=_literals(upper)
        )
        if reached is not None:
            condition = sql.clause(
                "({columns}) > ({reached}) AND {condition}",
                columns=self.columns,
                reached=_literals(reached),
                condition=condition,
            )
        return Range(self.table, condition, upper, size)

    def _is_dense(self) -> bool:
        """Are almost all numbers between the first key and the last one keys? Then a batch may take
        so many numbers as well as so many keys, and its end need not be looked for."""
        start = self._key_at("ORDER BY {key} LIMIT 1", key=sql.join(self.ordered))
        if start is None or self.end is None:
            return False
        return estimated_rows(self.connection, self.table) > DENSE * (
            int(self.end[0]) - int(start[0])
        )

    def _upper(self, reached: Key | None, size: int) -> Key | None:
        """The key `size` rows further on; None where the end is nearer."""
        assert self.end is not None
        if self.dense and reached is not None:
            upper = int(reached[0]) + size
            return (str(upper),) if upper < int(self.end[0]) else None
        ordered = sql.join(self.ordered)
        above = (
            sql.EMPTY
            if reached is None
            else sql.clause("({key}) > ({reached}) AND ", key=ordered, reached=_literals(reached))
        )
        return self._key_at(
            "WHERE {above}({key}) < ({end}) ORDER BY {key} OFFSET {skipped} LIMIT 1",
            above=above,
            key=ordered,
            end=_literals(self.end),
            skipped=sql.literal(size - 1),
        )

    def _key_at(self, template: LiteralString, **parts: sql.Composable) -> Key | None:
        """The key that the template finds. Of the rows it passes over no text is made."""
        text = sql.compose(
            "SELECT {texts} FROM (SELECT {columns} FROM {table} AS k {rest}) AS k",
            texts=self.texts,
            columns=sql.join(self.ordered),
            table=self.table,
            rest=sql.clause(template, **parts),
        )
        rows = rows_of(self.connection, text)
        return tuple(rows[0]) if rows else None


class _PagePass:
    """Ranges of pages, heap after heap, up to the pages that each has when the pass begins.

    A row that another client updates meanwhile may move behind the cursor: the next pass has it.
    """

    def __init__(self, connection: BaseDatabaseWrapper, table: sql.Composable) -> None:
        self.heaps = rows_of(connection, sql.compose(_HEAPS, table=table))

    def after(self, reached: Key | None, size: int) -> Range | None:
        """The pages of about `size` rows; None at the end."""
        for schema, name, pages, rows_per_page in self.heaps:
            start = self._start(reached, schema, name)
            if start < pages:
                end = start + max(1, int(size / rows_per_page))
                return self._range(schema, name, start, min(end, pages), int(rows_per_page))
        return None

    @staticmethod
    def _start(reached: Key | None, schema: str, name: str) -> float:
        if reached is None or (schema, name) > reached[:2]:
            return 0
        return int(reached[2]) if (schema, name) == reached[:2] else float("inf")

    @staticmethod
    def _range(schema: str, name: str, start: float, end: int, rows_per_page: int) -> Range:
        condition = sql.clause(
            "ctid >= {start}::tid AND ctid < {end}::tid",
            start=sql.literal(f"({int(start)},0)"),
            end=sql.literal(f"({end},0)"),
        )
        heap = sql.clause("ONLY {table}", table=sql.qualified(schema, name))
        rows = (end - int(start)) * rows_per_page
        return Range(heap, condition, (schema, name, str(end)), rows)


def estimated_rows(connection: BaseDatabaseWrapper, table: sql.Composable) -> int:
    """What the planner takes a table's rows to be: right also before the first ANALYZE."""
    text = sql.compose("EXPLAIN (FORMAT JSON) SELECT FROM {table}", table=table)
    return int(rows_of(connection, text)[0][0][0]["Plan"]["Plan Rows"])


def _literals(key: Key) -> sql.Composable:
    return sql.join(sql.literal(value) for value in key)


def rows_of(connection: BaseDatabaseWrapper, text: str) -> list[tuple[Any, ...]]:
    """Without parameters: values in the text let the server plan for exactly this range."""
    with connection.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())
