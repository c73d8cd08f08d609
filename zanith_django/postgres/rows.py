"""Queries of one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


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


def backend_pid(connection: BaseDatabaseWrapper) -> int:
    """The backend of the session. A transaction-pooling proxy reports another one to its clients
    when they connect."""
    return int(one_value(connection, "SELECT pg_backend_pid()"))
