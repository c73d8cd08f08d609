"""Writes the values of an artifact as CSV, JSON or JSON lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TextIO

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import InvalidArgument
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.postgres import sql
from zanith_django.run.artifacts import columns_of
from zanith_django.run.keeping import locate

FORMATS = ("csv", "json", "jsonl")
_FETCHED = 2_000

_KEY = """\
SELECT a.attname::text FROM pg_catalog.pg_index i
CROSS JOIN generate_series(0, i.indnkeyatts - 1) AS n
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n]
WHERE i.indisprimary AND i.indrelid = to_regclass({table}) ORDER BY n"""


def export(
    connection: BaseDatabaseWrapper,
    artifact: ArtifactRow,
    output: TextIO,
    form: str,
    *,
    limit: int | None = None,
) -> int:
    """Write the rows in the order of their primary key, at most `limit`; returns how many.

    For a column: the key and the value of every row that has one; for a table: whole rows.
    PostgreSQL formats the values, so that the export is lossless. Memory use is constant.
    """
    names, query = _query(connection, artifact, limit)
    if form == "csv":
        return _write_csv(output, _csv_lines(names, _rows(connection, _as_text(names, query))))
    rows = (row[0] for row in _rows(connection, _as_json(query)))
    return _write_json(output, rows, lines=form == "jsonl")


def exported(connection: BaseDatabaseWrapper, artifact: ArtifactRow) -> Iterator[str]:
    """The lines of the CSV of `export`."""
    names, query = _query(connection, artifact, None)
    return _csv_lines(names, _rows(connection, _as_text(names, query)))


def _query(
    connection: BaseDatabaseWrapper, artifact: ArtifactRow, limit: int | None
) -> tuple[list[str], sql.Fragment]:
    """The names of the columns, and the query that reads them."""
    place = locate(connection, artifact)
    if artifact.expires_at or place is None or not place.hidden:
        raise InvalidArgument(
            f"{artifact.id} was restored or purged: its values are no longer kept.",
            "Run zanith_recover list to see the artifacts.",
        )
    table, hidden = place.table, place.column
    found = columns_of(connection, table)
    key = _primary_key(connection, table)
    order = sql.clause(" ORDER BY {key}", key=sql.idents(key)) if key else sql.EMPTY
    if limit is not None:
        order = sql.clause("{order} LIMIT {limit}", order=order, limit=sql.literal(limit))
    spelled = sql.table(table, table.schema)
    if not hidden:
        read = sql.clause("SELECT * FROM {table}{order}", table=spelled, order=order)
        return list(found), read
    column = artifact.source_column or hidden
    value = sql.clause("{hidden} AS {column}", hidden=sql.ident(hidden), column=sql.ident(column))
    query = sql.clause(
        "SELECT {columns} FROM {table} WHERE {hidden} IS NOT NULL{order}",
        columns=sql.join([*map(sql.ident, key), value]),
        table=spelled,
        hidden=sql.ident(hidden),
        order=order,
    )
    return [*key, column], query


def _primary_key(connection: BaseDatabaseWrapper, table: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql.compose(_KEY, table=sql.regclass(table, table.schema)))
        return [row[0] for row in cursor.fetchall()]


def _as_text(names: list[str], query: sql.Fragment) -> str:
    columns = sql.join(sql.clause("{name}::text", name=sql.ident(name)) for name in names)
    return sql.compose("SELECT {columns} FROM ({query}) AS kept", columns=columns, query=query)


def _as_json(query: sql.Fragment) -> str:
    return sql.compose("SELECT to_json(kept)::text FROM ({query}) AS kept", query=query)


def _rows(connection: BaseDatabaseWrapper, text: str) -> Iterator[tuple[Any, ...]]:
    with (
        transaction.atomic(using=connection.alias),
        connection.chunked_cursor() as cursor,
    ):
        cursor.execute(text)
        while rows := cursor.fetchmany(_FETCHED):
            yield from rows


def _csv_lines(names: list[str], rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    """The format of PostgreSQL's COPY: NULL is an empty field, and empty text is `""`."""
    yield f"{','.join(map(_field, names))}\n"
    for row in rows:
        yield f"{','.join(map(_field, row))}\n"


def _write_csv(output: TextIO, lines: Iterator[str]) -> int:
    """Returns the number of rows without the header."""
    count = -1
    for line in lines:
        output.write(line)
        count += 1
    return count


# A spreadsheet reads such a text as a formula, unless it is a number.
_FORMULA = re.compile(r"[=@\t]|[+-](?![\d.]+(?:[eE][+-]?\d+)?$)")
_QUOTED = re.compile(r'[,"\r\n]|^\s|\s$|^$|^\\\.$')


def _field(value: str | None) -> str:
    if value is None:
        return ""
    if _FORMULA.match(value):
        value = f"'{value}"
    return f'"{value.replace(chr(34), chr(34) * 2)}"' if _QUOTED.search(value) else value


def _write_json(output: TextIO, rows: Iterator[str], *, lines: bool) -> int:
    count = 0
    for count, row in enumerate(rows, 1):
        if lines:
            output.write(f"{row}\n")
        else:
            output.write(f"{'[' if count == 1 else ','}\n{row}")
    if not lines:
        output.write("\n]\n" if count else "[]\n")
    return count
