"""Measures a run on a real server: what it holds locked while rows are read or written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg

from zanith_django.postgres.locks import Lock
from zanith_django.verify.observing import WORK, SeenStatement, Watch

_QUOTED = re.compile(r'"((?:[^"]|"")+)"')

_OF_KEY = b"""
SELECT conrelid::bigint FROM pg_constraint WHERE contype = 'f' AND conname = ANY (%s)"""

_RELATIONS = b"""
SELECT coalesce(i.indrelid, c.oid)::bigint FROM pg_class c
LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE c.relname = ANY (%s)"""


_NONE = [0, 0, 0]


def _more(now: list[int], before: list[int]) -> bool:
    return any(new > old for new, old in zip(now, before, strict=True))


@dataclass(frozen=True)
class Wait:
    """A table that was locked while a statement worked through rows."""

    migration: str
    number: int
    table: str
    lock: Lock
    sql: str


class Gauge(Watch):
    """`waits` are the tables in use that others had to wait for, longer than an instant."""

    def __init__(self, connection: Any, in_use: set[int]) -> None:
        super().__init__(connection)
        self.in_use, self.waits = in_use, set[Wait]()
        self._noise: list[str] = []

    def _noticed(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        super()._noticed(diagnostic)
        if diagnostic.source_function in WORK:
            self._noise.append(diagnostic.message_primary or "")

    def _execute(self, *arguments: Any) -> Any:
        self._noise = []
        try:
            return super()._execute(*arguments)
        finally:
            self._noise = []

    def _look(self, record: SeenStatement) -> None:
        last = self._last
        super()._look(record)
        now = self._last
        if now is None:
            return
        known = last.rows if last and last.transaction == now.transaction else {}
        # DROP TABLE and TRUNCATE set the counts of the transaction to nothing.
        written = {oid for oid, rows in now.rows.items() if _more(rows, known.get(oid, _NONE))}
        if self.in_use & (written | self._worked()):
            self._note_waits(record, now.locks)

    def _look_at_all(self, record: SeenStatement) -> None:
        super()._look_at_all(record)
        rewritten = {each.it.oid for each in record.rewrites}
        if self.in_use & (self._worked() | set(record.rows) | rewritten):
            self._note_waits(record, record.locks)

    def _worked(self) -> set[int]:
        names = [name for words in self._noise for name in _QUOTED.findall(words)]
        if not names or self._status not in (0, 2):
            return set()
        found = self._session.execute(_RELATIONS, [names]).fetchall()
        found += self._session.execute(_OF_KEY, [names]).fetchall()
        return {oid for (oid,) in found if oid not in self.in_use or self._has_rows(oid)}

    def _has_rows(self, oid: int) -> bool:
        """An earlier step may have deleted them all."""
        name = self._session.execute(b"SELECT %s::oid::regclass::text", [oid]).fetchone()[0]
        if name.isdigit():
            return True  # the table is gone, with its rows
        return bool(self._session.execute(f"SELECT FROM {name} LIMIT 1".encode()).rowcount)

    def _note_waits(self, record: SeenStatement, locks: dict[int, Lock]) -> None:
        step = self.steps[-1]
        for oid, lock in locks.items():
            if oid in self.in_use and lock.blocks_writes and self._has_rows(oid):
                name = self.objects.names[oid][0]
                self.waits.add(Wait(step.migration, step.number, name, lock, record.sql))
