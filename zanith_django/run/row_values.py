"""Values that are computed while a backfill runs: by Python for each row, or once for all rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg.types.json import Jsonb

from zanith_django.ledger.ledger import Ledger
from zanith_django.operations.base import Batches, Default
from zanith_django.operations.data import callable_at
from zanith_django.postgres import sql
from zanith_django.postgres.ranges import Range, rows_of

_TYPE = """\
SELECT format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
WHERE attrelid = {table}::regclass AND attname = {column} AND NOT attisdropped"""

MakeDefault = Callable[[Default], str]
"""Calls the default of a Django field and returns its value as SQL."""


class OnceValue:
    """A value that all rows of a column get, as PostgreSQL prints it. A backfill that wrote rows
    and was interrupted reads it from the ledger when it resumes: as a text, which is quoted and
    never SQL."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        batches: Batches,
        table: sql.Fragment,
        *,
        ledger: Ledger,
        place: str,
        make: MakeDefault | None,
    ) -> None:
        self.connection, self.batches, self.ledger, self.place = connection, batches, ledger, place
        self.type, self.call = _type_of(connection, table, batches.column), make
        self.known = ledger.value(place)

    def of(self, found: Range, where: sql.Fragment) -> str | None:
        """The value for a transaction that writes this range; None if no row there needs one.

        The callable may write rows itself, so it runs in the transaction that uses its value.
        """
        if self.known is None and not self._is_needed(found, where):
            return None
        return self._made() if self.known is None else self.known

    def _is_needed(self, found: Range, where: sql.Fragment) -> bool:
        text = sql.compose(
            "SELECT EXISTS (SELECT FROM {table} WHERE {condition} AND ({where}))",
            table=found.table,
            condition=found.condition,
            where=where,
        )
        return bool(rows_of(self.connection, text)[0][0])

    def _made(self) -> str | None:
        if self.batches.default is None:
            value = sql.clause(
                "CAST({it} AS {type})",
                it=sql.catalog_text(self.batches.once),
                type=sql.catalog_text(self.type),
            )
        else:
            assert self.call is not None, "no Python runs here"
            value = sql.catalog_text(self.call(self.batches.default))
        made = rows_of(self.connection, sql.compose("SELECT ({value})::text", value=value))[0][0]
        return None if made is None else str(made)

    def assignments(self, value: str) -> sql.Fragment:
        return sql.clause(
            "{column} = {value}",
            column=sql.ident(self.batches.column),
            value=sql.literal(value),
        )

    def keep(self, value: str, migration_id: str) -> None:
        """Stores the value, in the transaction that writes the first rows."""
        if self.known is None:
            self.ledger.keep_value(self.place, migration_id, value)


class RowValues:
    """Reads the rows of a range, locks them, and writes what the callable returns for each.

    A locked row keeps its ctid until the transaction ends: the ctid identifies it.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        batches: Batches,
        table: sql.Fragment,
        make: MakeDefault | None,
    ) -> None:
        self.column, self.default, self.call = sql.ident(batches.column), batches.default, make
        self.type = _type_of(connection, table, batches.column)
        self.make = callable_at(batches.python) if batches.python else None
        self.takes_row = bool(self.make and _takes_row(self.make))

    def reading(
        self,
        found: Range,
        where: sql.Fragment,
        skipped: sql.Fragment,
        locked: sql.Fragment = sql.EMPTY,
    ) -> str:
        """Reads and locks the rows; `locked` is the clause for rows that other sessions hold."""
        return sql.compose(
            "SELECT tableoid, ctid::text{row} FROM {table} AS t "
            "WHERE {condition} AND ({where}){skipped} FOR NO KEY UPDATE{locked}",
            locked=locked,
            row=sql.clause(", t.*") if self.takes_row else sql.EMPTY,
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

    def _value(self, row: dict[str, Any]) -> sql.Fragment:
        if self.default:
            assert self.call is not None, "no Python runs here"
            return sql.catalog_text(self.call(self.default))
        assert self.make is not None
        value = self.make(row) if self.takes_row else self.make()
        as_json = self.type in ("json", "jsonb") and value is not None
        return sql.literal(Jsonb(value) if as_json else value)


def _type_of(connection: BaseDatabaseWrapper, table: sql.Fragment, column: str) -> str:
    """The type of a column. If it does not exist, the UPDATE reports that."""
    text = sql.compose(_TYPE, table=sql.literal(table), column=sql.literal(column))
    ((name,),) = rows_of(connection, text) or [("text",)]
    return str(name)


def _takes_row(make: Callable[..., Any]) -> bool:
    """Does the callable require an argument? Defaults of Django's fields take none."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except ValueError:  # a builtin without a signature
        return False
    return any(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in parameters
    )
