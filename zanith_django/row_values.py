"""Values that Python makes, row by row, for the rows of one batch of a backfill."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg.types.json import Jsonb

from zanith_django import sql
from zanith_django.operations.base import Batches
from zanith_django.ranges import Range, rows_of

_TYPE = """\
SELECT format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
WHERE attrelid = {table}::regclass AND attname = {column} AND NOT attisdropped"""


class RowValues:
    """Reads the rows of a range, locks them, and writes what the callable returns for each.

    A row that is locked stays where it is for as long as the transaction lasts: its place tells it.
    """

    def __init__(
        self, connection: BaseDatabaseWrapper, batches: Batches, table: sql.Composable
    ) -> None:
        self.column = sql.ident(batches.column)
        text = sql.compose(_TYPE, table=sql.literal(table), column=sql.literal(batches.column))
        ((self.type,),) = rows_of(connection, text) or [("text",)]  # the UPDATE tells what lacks
        self.make = resolved(batches.python)
        self.asks = _asks_for_the_row(self.make)

    def reading(
        self,
        found: Range,
        where: sql.Composable,
        skipped: sql.Composable,
        locked: sql.Composable = sql.EMPTY,
    ) -> str:
        """Reads and locks the rows; `locked` says what to do about those of other sessions."""
        return sql.compose(
            "SELECT tableoid, ctid::text{row} FROM {table} AS t "
            "WHERE {condition} AND ({where}){skipped} FOR NO KEY UPDATE{locked}",
            locked=locked,
            row=sql.clause(", t.*") if self.asks else sql.EMPTY,
            table=found.table,
            condition=found.condition,
            where=where,
            skipped=skipped,
        )

    def write(self, cursor: CursorWrapper, found: Range) -> int:
        """Writes the rows that the cursor has read; how many."""
        names = [each[0] for each in cursor.description or ()]
        made = [
            sql.clause(
                "({table}::oid, {place}::tid, {value}::{type})",
                table=sql.literal(table),
                place=sql.literal(place),
                value=self._value(dict(zip(names[2:], row, strict=True))),
                type=sql.catalog_text(self.type),
            )
            for table, place, *row in cursor.fetchall()
        ]
        if not made:
            return 0
        cursor.execute(
            sql.compose(
                "UPDATE {table} AS t SET {column} = _zanith_made.value "
                "FROM (VALUES {made}) AS _zanith_made(tab, place, value) "
                "WHERE t.ctid = _zanith_made.place AND t.tableoid = _zanith_made.tab",
                table=found.table,
                column=self.column,
                made=sql.join(made),
            )
        )
        return int(cursor.rowcount)

    def _value(self, row: dict[str, Any]) -> sql.Composable:
        value = self.make(row) if self.asks else self.make()
        as_json = self.type in ("json", "jsonb") and value is not None
        return sql.literal(Jsonb(value) if as_json else value)


def resolved(path: str) -> Callable[..., Any]:
    """The callable at a dotted path. Raises ImportError, AttributeError or ValueError."""
    found = pkgutil.resolve_name(path)
    if not callable(found):
        raise ValueError(f"{path} cannot be called")
    return found  # type: ignore[no-any-return]


def _asks_for_the_row(make: Callable[..., Any]) -> bool:
    """Django's defaults take no argument."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except ValueError:  # a builtin that does not tell
        return False
    return any(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in parameters
    )
