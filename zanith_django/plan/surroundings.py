"""The current activity around the tables of a step: open transactions, autovacuum, replication, and
reads and writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError

from zanith_django.operations.base import Batches, Context
from zanith_django.plan.durations import FILL, INDEX, REWRITE, work_of
from zanith_django.plan.findings import Finding
from zanith_django.plan.plan import PlannedStep
from zanith_django.plan.room import size
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.postgres.session import is_open

# A transaction of this age, in seconds, is in the way of a step that waits two for a lock.
_LONG = 5
# Uses per second from which a queue of them is worth a line.
_BUSY = 1.0
# Counters of less than this time, in seconds, give no rate: a table just filled is not busy.
_COUNTED_LONG = 60
# The bytes of WAL from which a line is shown.
_MUCH = 64_000_000

# Only members of pg_monitor see the queries of other roles.
_TRANSACTIONS = """\
SELECT a.pid, coalesce(a.usename, ''), coalesce(a.state, ''),
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8, a.backend_xmin IS NOT NULL
FROM pg_catalog.pg_stat_activity a
WHERE a.pid <> pg_backend_pid() AND a.datname = current_database()
  AND a.backend_type = 'client backend' AND a.xact_start < clock_timestamp() - %s * interval '1 s'
ORDER BY a.xact_start"""

_LOCKS = """\
SELECT l.pid, n.nspname, c.relname, l.mode
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.granted AND l.locktype = 'relation' AND l.pid = ANY (%s)
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"""

_VACUUMED = """\
SELECT n.nspname, c.relname
FROM pg_catalog.pg_stat_progress_vacuum p
JOIN pg_catalog.pg_class c ON c.oid = p.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE p.datname = current_database()"""

_SLOTS = """\
SELECT slot_name, coalesce(pg_wal_lsn_diff(
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
    restart_lsn), 0)::bigint
FROM pg_catalog.pg_replication_slots ORDER BY 2 DESC, 1"""

_PUBLISHED = "SELECT schemaname, tablename, pubname FROM pg_catalog.pg_publication_tables"

# Counters outlive a restart: by the time since the start, a rate is at most so high.
_COUNTED = """\
SELECT extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time()))::float8
FROM pg_catalog.pg_stat_database WHERE datname = current_database()"""


@dataclass(frozen=True, slots=True)
class Open:
    """A transaction that has been open for `age` seconds. `snapshot`: it keeps one open."""

    pid: int
    user: str
    state: str
    age: float
    snapshot: bool
    locks: Mapping[TableName, Lock]

    def __str__(self) -> str:
        known = ", ".join(part for part in (self.user, self.state) if part)
        return f"pid {self.pid} ({known}, open for {self.age:.0f} s)"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Read once, before the steps are looked at. `slots` are replication slots and how many bytes
    each is behind, the farthest first; `published` has the publications of tables, `counted` the
    seconds that the statistics of tables cover. `unread` is the error of a server that refuses to
    answer."""

    transactions: Sequence[Open] = ()
    vacuumed: frozenset[TableName] = frozenset()
    slots: Sequence[tuple[str, int]] = ()
    published: Mapping[TableName, str] = field(default_factory=dict)
    counted: float = 0
    unread: str = ""

    @classmethod
    def of(cls, connection: BaseDatabaseWrapper, schema: str) -> Surroundings:
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                return cls._read(cursor, schema)
        except DatabaseError as error:
            if not is_open(connection):
                raise
            return cls(unread=str(error).splitlines()[0])

    @classmethod
    def _read(cls, cursor: Any, schema: str) -> Surroundings:
        def rows(query: str, *params: Any) -> list[Any]:
            cursor.execute(query, params)
            return list(cursor.fetchall())

        def named(place: str, name: str) -> TableName:
            return TableName("" if place == schema else place, name)

        found = rows(_TRANSACTIONS, _LONG)
        locks: dict[int, dict[TableName, Lock]] = {row[0]: {} for row in found}
        for pid, place, name, mode in rows(_LOCKS, list(locks)):
            table, lock = named(place, name), Lock.from_catalog(mode)
            locks[pid][table] = max(lock, locks[pid].get(table, Lock.NONE))
        return cls(
            [
                Open(pid, user, state, age, snapshot, locks[pid])
                for pid, user, state, age, snapshot in found
            ],
            frozenset(named(*row) for row in rows(_VACUUMED)),
            rows(_SLOTS),
            {named(place, name): publication for place, name, publication in rows(_PUBLISHED)},
            float(rows(_COUNTED)[0][0] or 0),
        )

    def findings(self, step: PlannedStep, context: Context) -> Iterator[Finding]:
        """What concerns this step. No session uses a table that is new or empty."""
        locks = {name: lock for name, lock in _locks(step).items() if not context.quiet(name)}
        if self.unread and any(lock.blocks_writes for lock in locks.values()):
            yield Finding(f"open transactions and replication: not looked at ({self.unread})")
        yield from self._in_the_way(step, locks)
        yield from self._vacuum(locks)
        yield from self._queues(locks, context)
        yield from self._replication(step, context)

    def _in_the_way(self, step: PlannedStep, locks: Mapping[TableName, Lock]) -> Iterator[Finding]:
        concurrent = any(
            not each.transactional and work_of(each) == INDEX for each in step.statements
        )
        for each in self.transactions:
            met = [
                name
                for name, lock in locks.items()
                if each.locks.get(name, Lock.NONE) in lock.conflicts
            ]
            if met:
                tables = ", ".join(map(str, sorted(met)))
                what = f"{each} holds a lock on {tables} that the step waits for"
                yield Finding(what, "run it when that transaction has ended")
            elif concurrent and each.snapshot:
                what = f"{each} is older than the step, which waits for it to build its index"
                yield Finding(what, "readers and writers do not wait")

    def _vacuum(self, locks: Mapping[TableName, Lock]) -> Iterator[Finding]:
        for name, lock in locks.items():
            if name in self.vacuumed and lock >= Lock.SHARE_UPDATE_EXCLUSIVE:
                remedy = "an autovacuum ends for it, unless it prevents wraparound"
                yield Finding(f"a vacuum of {name} is running, which the step waits for", remedy)

    def _queues(self, locks: Mapping[TableName, Lock], context: Context) -> Iterator[Finding]:
        """A lock on a busy table affects others even if it is held for an instant: sessions that
        come after one that waits for it wait too."""
        for name, lock in locks.items():
            facts = context.facts.get(name)
            if facts is None or not lock.blocks_writes or self.counted < _COUNTED_LONG:
                continue
            writes, reads = facts.writes / self.counted, facts.reads / self.counted
            if writes >= _BUSY or (lock.blocks_reads and reads >= _BUSY):
                what = f"{name} has at most {writes:,.0f} writes and {reads:,.0f} scans per second"
                yield Finding(what, f"they queue while {lock} is waited for and held")

    def _replication(self, step: PlannedStep, context: Context) -> Iterator[Finding]:
        for statement in step.statements:
            work, names = work_of(statement), statement.tables[:1]
            facts = context.facts.get(names[0]) if names else None
            if facts is None or work not in (FILL, INDEX, REWRITE) or context.quiet(names[0]):
                continue
            if isinstance(statement, Batches) and names[0] in self.published:
                where = self.published[names[0]]
                what = f"{names[0]} is in publication {where}: each row that is written is sent"
                yield Finding(what, "subscribers apply them one by one")
            if self.slots and facts.bytes >= _MUCH:
                name, behind = self.slots[0]
                what = f"writes WAL in the order of {size(facts.bytes)}, and replication slot "
                yield Finding(f"{what}{name} is {size(behind)} behind", "watch the disk of pg_wal")
            return


def _locks(step: PlannedStep) -> dict[TableName, Lock]:
    """The strongest lock on each table, by what was read of the step and by what it declares."""
    found = dict(step.locks)
    for statement in step.statements:
        for name in statement.tables:
            found[name] = max(statement.lock, found.get(name, Lock.NONE))
    return found
