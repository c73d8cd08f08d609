"""The ledger on one connection: creates and repairs its tables, runs statements, reads rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import NotSupportedError, ProgrammingError

from zanith_django.exceptions import LedgerDamaged, LedgerHeld, LedgerKeyLost
from zanith_django.ledger.step_rows import (
    readable_time,
)
from zanith_django.ledger.tables import INDEXES, TABLES, THERE, There, lost_keys, repairs
from zanith_django.postgres.rows import BETWEEN, several_rows
from zanith_django.postgres.session import sqlstate

_OWN_TABLE = re.compile(r"_zanith_\w+")
UNDEFINED_TABLE, UNDEFINED_COLUMN = "42P01", "42703"

# The tables are created in the schema of Django's own record: the current schema may be another
# one, created since for the role.
_BESIDE_DJANGO = """\
SELECT set_config('search_path', concat_ws(
    ', ', quote_ident(n.nspname), nullif(current_setting('search_path'), '')), true)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = coalesce(to_regclass('_zanith_migrations'), to_regclass('django_migrations'))"""


class Access:
    """Reads and writes on one connection, within the open transaction if there is one; creates the
    tables."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self._there = False

    def exists(self) -> bool:
        if not self._there:
            asked = "SELECT to_regclass('_zanith_migrations') IS NOT NULL"
            self._there = bool(self._value(asked))
        return self._there

    def known(self) -> Self:
        """Skips the check whether the tables exist, for a caller who has made it."""
        self._there = True
        return self

    def ensure(self) -> None:
        """Creates what is missing and repairs what differs, in one transaction; does nothing and
        takes no lock if nothing is missing. Raises `LedgerKeyLost`, `LedgerHeld`."""
        names = [table.name for table in TABLES]
        there = [There(*row) for row in self._rows(THERE, [names, list(INDEXES)])]
        for table, column, others in lost_keys(there):
            if others or self._value(f"SELECT EXISTS (SELECT FROM {table})"):
                raise LedgerKeyLost(table, column, others)
        statements = list(repairs(there))
        if not statements:
            return
        with transaction.atomic(using=self.connection.alias):
            self._run(_BESIDE_DJANGO)
            for statement in statements:
                try:
                    self._run(statement)
                except NotSupportedError as error:
                    raise LedgerHeld(statement, error) from error

    def _run(self, text: str, params: Sequence[Any] | None = None) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(text, params)

    def _rows(self, text: str, params: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(text, params)
            except ProgrammingError as error:
                if damage := _damage(error, [text]):
                    raise damage from error
                raise
            return self._zoned(cursor.fetchall())

    def _several(self, texts: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        """The rows of each of these queries, which have no parameters, in one round trip."""
        with self.connection.cursor() as cursor:
            try:
                return [self._zoned(rows) for rows in several_rows(cursor, texts)]
            except ProgrammingError as error:
                if damage := _damage(error, texts):
                    raise damage from error
                raise

    def _zoned(self, rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Without USE_TZ Django takes the zone off, which is that of the session."""
        if settings.USE_TZ:
            return list(rows)
        zone = ZoneInfo(self.connection.timezone_name)
        return [tuple(_in_zone(value, zone) for value in row) for row in rows]

    def _value(self, text: str, params: Sequence[Any] | None = None) -> Any:
        return self._rows(text, params)[0][0]


def _damage(error: ProgrammingError, texts: Sequence[str]) -> LedgerDamaged | None:
    """The table that lacks something, if that is the error: the first of the query that failed,
    which of several the position of the error finds."""
    if sqlstate(error) not in (UNDEFINED_TABLE, UNDEFINED_COLUMN):
        return None
    left = int(getattr(getattr(error.__cause__, "diag", None), "statement_position", None) or 1)
    failed = texts[-1]
    for text in texts:
        if left <= len(text):
            failed = text
            break
        left -= len(text) + len(BETWEEN)
    return LedgerDamaged(_OWN_TABLE.findall(failed)[0], error)


def _in_zone(value: Any, zone: ZoneInfo) -> Any:
    return value.replace(tzinfo=zone) if isinstance(value, datetime) else value


def read_as(column: str) -> str:
    """SQL that reads a column: JSON as text, and only times that Python can hold."""
    if column == "metadata":
        return f"{column}::text"
    return readable_time(column) if column.endswith("_at") else column


def json_object(text: str | None) -> dict[str, Any]:
    """The JSON object of this text; empty for any other text, which zanith did not write."""
    found = json.loads(text or "{}")
    return found if isinstance(found, dict) else {}
