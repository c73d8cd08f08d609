"""The room that a step needs: on the disk for new files, and in the range of a key's type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError

from zanith_django.conf import conf
from zanith_django.operations.base import Context, TableFacts
from zanith_django.plan.durations import FILL, INDEX, REWRITE, facts_of, work_of
from zanith_django.plan.findings import Finding
from zanith_django.plan.plan import PlannedStep
from zanith_django.plan.probes import FAILS
from zanith_django.postgres.names import TableName
from zanith_django.postgres.session import is_open
from zanith_django.schema.graph import Column, SchemaGraph

# The bytes of new disk from which a line is shown.
_MUCH = 100_000_000
# An entry of an index: a key of 16 bytes, and its pointer.
_ENTRY = 32
# From this share of its range on, the end of a key is near.
_NEAR = 0.8

_RANGES: Mapping[str, int] = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


class Disk:
    """Adds up, over the steps of a plan, what stays: a new index stays, the old file of a rewritten
    table goes with its transaction."""

    def __init__(self) -> None:
        self.kept = 0.0

    def findings(self, step: PlannedStep, context: Context) -> Iterator[Finding]:
        before = self.kept
        peak = sum(self._needed(step, context))
        needed, room = before + peak, conf.disk_room
        if room is None and peak >= _MUCH:
            what = f"needs up to {size(peak)} of disk; PostgreSQL does not report free space"
            yield Finding(what, "look at the volume of its data, or set DISK_ROOM")
        elif room is not None and peak and needed > room:
            earlier = f", {size(before)} of it for earlier steps" if before else ""
            what = f"needs up to {size(needed)} of disk{earlier}; DISK_ROOM is {size(room)}"
            yield Finding(what, "make room first", certain=True, code="no_room")

    def _needed(self, step: PlannedStep, context: Context) -> Iterator[float]:
        for statement in step.statements:
            known = facts_of(statement, context.facts)
            if known is None or all(map(context.quiet, statement.tables)):
                continue
            number = _new_bytes(work_of(statement), known)
            self.kept += number if work_of(statement) in (INDEX, FILL) else 0
            yield number


def _new_bytes(work: str, facts: TableFacts) -> float:
    """A rewrite copies table and indexes; of a fill each row gets a new version, whose place is
    free again after a vacuum."""
    if work in (REWRITE, FILL):
        return facts.bytes
    return min(facts.rows * _ENTRY, facts.bytes) if work == INDEX else 0


def size(number: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:,.1f} GB"


# --- keys ----------------------------------------------------------------------------------------

# The newest value of each sequence that a column owns; nothing of one that the role may not read.
# CASE keeps PostgreSQL from asking for a privilege on what is no sequence.
_SEQUENCES = """\
SELECT n.nspname, t.relname, a.attname, CASE
    WHEN s.relkind = 'S' AND has_sequence_privilege(s.oid, 'SELECT, USAGE')
    THEN pg_sequence_last_value(s.oid) END
FROM pg_catalog.pg_class s
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
  AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND n.nspname = ANY (%s) AND t.relname = ANY (%s)"""


@dataclass(frozen=True, slots=True)
class Keys:
    """The newest values of the sequences of columns, by the names of before the plan."""

    used: Mapping[tuple[TableName, str], int]

    @classmethod
    def of(cls, connection: BaseDatabaseWrapper, context: Context, names: set[TableName]) -> Keys:
        """Nothing if another session locks a sequence: it is not waited for longer than for a
        table, and a note is not worth a failure."""
        schemas = sorted({name.schema or context.schema for name in names})
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute(_SEQUENCES, [schemas, sorted({name.name for name in names})])
                rows = cursor.fetchall()
        except DatabaseError:
            if not is_open(connection):
                raise
            rows = []
        return cls(
            {
                (TableName("" if place == context.schema else place, table), column): int(value)
                for place, table, column, value in rows
                if value is not None
            }
        )

    def findings(
        self, before: SchemaGraph, after: SchemaGraph, step: PlannedStep
    ) -> Iterator[Finding]:
        """Of the keys of the tables that the step changes, with their types after it."""
        for (name, key), value in self.used.items():
            old, new = before.table(name), after.table(name)
            if name in step.operation.tables and old and new:
                yield from _end_of(f"{name}.{key}", value, old.column(key), new.column(key))


def _end_of(target: str, value: int, old: Column | None, new: Column | None) -> Iterator[Finding]:
    """Of a sequence at `value`, whose column has these definitions before and after a step."""
    most = _RANGES.get(new.type) if new else None
    if old is None or new is None or most is None:
        return
    if value > most:
        what = f"the sequence of {target} is at {value:,}, past the end of {new.type}"
        yield Finding(what, "keep the wider type", certain=True, code=FAILS)
    elif value > most * _NEAR and old.type == new.type:
        share = f"{100 * value / most:.0f} % of {new.type}"
        what = f"{target} has used {share}: inserts fail after {most:,}"
        yield Finding(what, "change its type to bigint soon")
