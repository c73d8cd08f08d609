"""Queries of one value, and several queries in one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

BETWEEN = "\n;\n"  # statements that are sent at once


def one_value(
    connection: BaseDatabaseWrapper,
    text: str,
    params: Sequence[Any] | Mapping[str, Any] | None = None,
) -> Any:
    """The first column of the first row; None if there is no row."""
    with connection.cursor() as cursor:
        cursor.execute(text, params)
        row = cursor.fetchone()
    return row[0] if row else None


def several_rows(cursor: Any, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
    """The rows of each statement. Without parameters, PostgreSQL takes several at once; `cursor` is
    Django's or psycopg's."""
    cursor.execute(BETWEEN.join(statements))
    found = []
    for _ in statements:
        found.append(cursor.fetchall())
        cursor.nextset()
    return found


def backend_pid(connection: BaseDatabaseWrapper) -> int:
    """The backend of the session. A transaction-pooling proxy reports another one to its clients
    when they connect."""
    return int(one_value(connection, "SELECT pg_backend_pid()"))
