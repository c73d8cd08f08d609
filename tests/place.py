"""A schema of one's own in which operations are executed and measured."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg

from tests.servers import Database
from zanith_django.operations.base import (
    KEPT_SCHEMA,
    Batches,
    Context,
    Operation,
    Rounds,
    Statement,
)
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.run.work import transactions
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import SchemaGraph

MORE = "place_more"
"""Another schema beside every place."""

_numbers = itertools.count(1)

Connection = psycopg.Connection[tuple[Any, ...]]


class Measured(NamedTuple):
    """What a statement took of its own tables: the strongest lock, and new files."""

    statement: Statement
    lock: Lock
    rewrites: bool


@dataclass
class Place:
    """A new schema of a database, and the session that works in it."""

    database: Database
    connection: Connection
    schema: str = field(default_factory=lambda: f"place_{next(_numbers)}")

    def __post_init__(self) -> None:
        self.execute(f"CREATE SCHEMA {self.schema}; SET search_path = {self.schema}")
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {MORE}")

    def execute(self, text: str) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(text)
        return cursor.fetchall() if cursor.description else []

    def value(self, text: str) -> Any:
        rows = self.execute(text)
        return rows[0][0] if rows else None

    def remove(self) -> None:
        self.execute(f"DROP SCHEMA IF EXISTS {self.schema}, {MORE}, {KEPT_SCHEMA} CASCADE")

    def read(self) -> SchemaGraph:
        return from_catalog(
            self.connection.cursor(), schemas=[self.schema, MORE], default_schema=self.schema
        )

    def context(
        self, graph: SchemaGraph, *, fresh: Iterable[TableName] = (), migration: str = "m1"
    ) -> Context:
        return Context(
            server_version=self.connection.info.server_version,
            schema=self.schema,
            graph=graph,
            fresh=frozenset(fresh),
            migration_id=migration,
        )

    # --- running --------------------------------------------------------------------------------

    def apply(self, operation: Operation, context: Context) -> None:
        for group in transactions(operation.statements(context)):
            self.run(group)

    def run(self, group: Sequence[Statement]) -> None:
        """One transaction, or one statement outside of any."""
        if not group[0].transactional and not isinstance(group[0], Batches | Rounds):
            self.execute(group[0].sql)
            return
        with self.connection.transaction():
            for statement in group:
                self.execute(statement.sql)

    def probe(self, statement: Statement) -> str:
        return str(self.value(statement.probe) or "")

    def resume(self, statements: Sequence[Statement], done: int = 0) -> None:
        """Run what an earlier run has not finished, as its probes tell; of batches among the first
        `done` transactions a checkpoint would tell it."""
        groups = list(transactions(statements))
        for number, group in enumerate(groups, 1):
            if number <= done and isinstance(group[0], Batches):
                continue
            if group is groups[-1] and group[0].transactional:
                self.run(group)
                continue
            states = {self.probe(statement) for statement in group if statement.probe}
            if "leftover" in states:
                self.execute(group[0].cleanup)
            if states != {"done"}:
                self.run(group)

    # --- measuring ------------------------------------------------------------------------------

    def measured(self, statement: Statement) -> Measured | None:
        """Run one statement in a transaction of its own, watching its tables that exist."""
        tables = self._tables(statement)
        before = self._files(tables)
        if not tables:
            self.execute(statement.sql)
            return None
        if statement.transactional or isinstance(statement, Batches | Rounds):
            with self.connection.transaction():
                self.execute(statement.sql)
                lock = self._strongest(self.connection, tables)
                of_indexes = self._strongest(self.connection, self._indexes(tables))
                if not lock and of_indexes.blocks_writes:
                    lock = of_indexes  # a query on the table waits for them as well
        else:
            lock = self._watched(statement, tables)
        after = self._files(tables)
        return Measured(statement, lock, any(after[oid] != before[oid] for oid in after))

    def _tables(self, statement: Statement) -> list[int]:
        names = [f'"{name.schema or self.schema}"."{name.name}"' for name in statement.tables]
        found = [self.value(f"SELECT to_regclass('{name}')::oid::bigint") for name in names]
        return [oid for oid in found if oid is not None]

    def _indexes(self, tables: list[int]) -> list[int]:
        text = "SELECT indexrelid::bigint FROM pg_index WHERE indrelid::bigint = ANY (%s)"
        return [oid for (oid,) in self.connection.execute(text, [tables]).fetchall()]

    def _files(self, tables: list[int]) -> dict[int, Any]:
        files = {oid: self.value(f"SELECT pg_relation_filenode({oid}::oid)") for oid in tables}
        return {oid: file for oid, file in files.items() if file is not None}

    def _strongest(self, connection: Connection, tables: list[int]) -> Lock:
        rows = connection.execute(
            "SELECT mode FROM pg_locks WHERE locktype = 'relation' AND pid = %s AND granted"
            " AND relation::bigint = ANY (%s)",
            [self.connection.info.backend_pid, tables],
        ).fetchall()
        return max((Lock.from_catalog(mode) for (mode,) in rows), default=Lock.NONE)

    def _watched(self, statement: Statement, tables: list[int]) -> Lock:
        """What cannot run in a transaction is held up by a writer, so that it can be looked at."""
        seen = Lock.NONE
        with self.database.connect() as writer, self.database.connect() as watcher:
            with writer.transaction():
                for oid in tables:
                    name = self.value(f"SELECT {oid}::regclass::text")
                    writer.execute(f"LOCK TABLE {self.schema}.{name} IN ROW EXCLUSIVE MODE")
                worker = threading.Thread(target=self.execute, args=(statement.sql,))
                worker.start()
                until = time.monotonic() + 5
                while not self._is_waiting(watcher) and time.monotonic() < until:
                    time.sleep(0.005)
                seen = self._strongest(watcher, tables)
            worker.join()
        return seen

    def _is_waiting(self, watcher: Connection) -> bool:
        row = watcher.execute(
            "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s",
            [self.connection.info.backend_pid],
        ).fetchone()
        return bool(row and row[0])
