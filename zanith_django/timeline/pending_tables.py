"""The tables that pending migrations create, collected during the walk through the history."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import NotAdopted
from zanith_django.postgres.rows import one_value


class PendingTables:
    """Tables that pending migrations create. None of them may exist yet, unless an applied
    migration dropped it and zanith_recover restored it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self._exist: dict[str, bool] = {}
        self._dropped: set[str] = set()

    def happened(self, names: Iterable[tuple[str, bool]]) -> None:
        """Follows tables of applied migrations."""
        for db_table, comes in names:
            (self._dropped.discard if comes else self._dropped.add)(db_table)

    def follow(self, app_label: str, names: Iterable[tuple[str, bool]], *, strict: bool) -> None:
        """Follows `names`, which are created (True) or dropped. Raises `NotAdopted` if `strict`."""
        for db_table, comes in names:
            if strict and comes and db_table not in self._dropped and self._exists(db_table):
                raise NotAdopted(db_table, app_label)
            self._exist[db_table] = comes

    def _exists(self, db_table: str) -> bool:
        if db_table not in self._exist:
            spelled = self.connection.ops.quote_name(db_table)
            query = "SELECT to_regclass(%s) IS NOT NULL"
            self._exist[db_table] = one_value(self.connection, query, [spelled])
        return self._exist[db_table]
