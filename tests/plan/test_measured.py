"""The verdict on each change against what Django's run of it does: locks by `pg_locks`, rewrites by
new files, and breakage by the ORM code of the release before it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.state import ProjectState

from tests.plan.cases import Case
from tests.plan.migrations import CASES, timeline_of
from tests.plan.table import rows
from zanith_django.plan.live_facts import live_context
from zanith_django.plan.plan import PlannedMigration
from zanith_django.plan.planner import plan
from zanith_django.plan.reasons import Level
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.catalog import from_catalog
from zanith_django.timeline.timeline import Timeline

ROWS = """
INSERT INTO {0}_parent (code) VALUES (1);
INSERT INTO {0}_item (rank, active, indexed, amount, name, price)
SELECT n, true, n, n, n, n FROM generate_series(1, 5) AS n;
"""
OTHERS = """
CREATE TABLE x (); CREATE FUNCTION clean_up() RETURNS integer LANGUAGE sql AS 'SELECT 1';
"""
_HELD = """
SELECT c.oid, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind = 'r'
UNION ALL  -- inserts wait for the sequence of their key
SELECT d.refobjid, l.mode FROM pg_locks l JOIN pg_class s ON s.oid = l.relation AND s.relkind = 'S'
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refobjsubid > 0
WHERE l.pid = pg_backend_pid() AND l.granted AND l.mode <> 'RowExclusiveLock'"""
_FILES = """
SELECT oid, relname, pg_relation_filenode(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"""


@dataclass
class Seen:
    """What a migration did to the tables that were there before it."""

    locks: dict[str, Lock] = field(default_factory=dict)
    rewrites: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)
    failed: str = ""
    there: set[str] = field(default_factory=set)


@dataclass
class World:
    connection: DatabaseWrapper
    timeline: Timeline
    planned: dict[str, PlannedMigration]

    def rows(self, text: str) -> list[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(text)
            return list(cursor.fetchall())

    def before(self, app: str) -> ProjectState:
        """The models of the release before the case."""
        return self.timeline.loader.project_state((app, "0001_initial"))

    def run(self, app: str) -> Seen:
        """Run the migration and the code of the release before it, and undo both."""
        seen, state = Seen(), self.before(app)
        with self._undone():
            before = {oid: (name, file) for oid, name, file in self.rows(_FILES)}
            migration = self.timeline.loader.disk_migrations[app, "0002_case"]
            try:
                with (
                    transaction.atomic(using=self.connection.alias),
                    self.connection.schema_editor(atomic=False) as editor,
                ):
                    migration.apply(state.clone(), editor)
            except Exception as error:  # of code that fails on these rows, or is made to fail
                seen.failed = f"{type(error).__name__}: {error}"
                return seen
            for oid, mode in self.rows(_HELD):
                if oid in before:
                    name, lock = before[oid][0], Lock.from_catalog(mode)
                    seen.locks[name] = max(lock, seen.locks.get(name, Lock.NONE))
            after = {oid: file for oid, _, file in self.rows(_FILES)}
            seen.there = {name for oid, (name, _) in before.items() if oid in after}
            seen.rewrites = {
                name for oid, (name, file) in before.items() if after.get(oid, file) != file
            }
            seen.broken = [*self._failing(state.apps.get_model(app, "Item"), state, app)]
        return seen

    @contextmanager
    def _undone(self) -> Iterator[None]:
        with suppress(_Undo), transaction.atomic(using=self.connection.alias):
            yield
            raise _Undo

    def _failing(self, item: Any, state: ProjectState, app: str) -> Iterator[str]:
        """What of the release fails: it reads, inserts, updates and deletes."""
        parent = state.apps.get_model(app, "Parent")
        manager, parents = (m.objects.using(self.connection.alias) for m in (item, parent))
        word = "x" * 50
        uses: dict[str, Callable[[], Any]] = {
            "select": lambda: list(manager.filter(active=True, amount=1)),
            "search": lambda: list(manager.filter(note__contains="x", name__startswith="y")),
            "search for a time": lambda: list(manager.filter(made__hour=1)),
            "select parents": lambda: list(parents.all()),
            "insert": lambda: manager.create(rank=1, indexed="1"),
            "insert much": lambda: manager.create(
                rank=70_000, amount=-70_000, name=word, price="12345678.99", note=word, indexed=word
            ),
            "insert again": lambda: [
                manager.create(rank=1, amount=3, name="3", price=3, parent_id=1, indexed="3")
                for _ in range(2)
            ],
            "update": lambda: manager.filter(rank=2).update(amount=0, note="not json", name="1"),
            "delete": lambda: manager.filter(rank=4).delete(),
        }
        for name, use in uses.items():
            try:
                with transaction.atomic(using=self.connection.alias):
                    use()
                    self.connection.check_constraints()
            except DatabaseError:
                yield name


class _Undo(Exception):
    pass


@pytest.fixture(scope="module")
def world(
    django_connection: DatabaseWrapper, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("measured")
    with timeline_of(folder) as timeline:
        for case in CASES:
            first = timeline.loader.disk_migrations[case.app, "0001_initial"]
            with django_connection.schema_editor() as editor:
                first.apply(ProjectState(), editor)
        with django_connection.cursor() as cursor:
            cursor.execute(OTHERS + "".join(ROWS.format(case.app) for case in CASES))
            cursor.execute("ANALYZE")
            graph = from_catalog(cursor, schemas=["public"], default_schema="public")
        context = live_context(django_connection, graph)
        only = {f"django:{case.app}.0002_case" for case in CASES}
        made = plan(timeline, database=django_connection.alias, context=context, only=only)
        planned = {each.entry.app_label: each for each in made.migrations}
        default, connections["default"] = connections["default"], django_connection
        yield World(django_connection, timeline, planned)
        connections["default"] = default


@dataclass
class Claimed:
    """What the plan says of the tables that are there before a migration."""

    locks: dict[str, Lock] = field(default_factory=dict)
    rewrites: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, migration: PlannedMigration, there: Collection[str]) -> Claimed:
        """`there` are the tables that are there before and after it. A dropped one holds no lock
        that could be seen, a new one is of no interest."""
        claimed, names = cls(), dict[TableName, TableName | None]()
        for effect in (effect for step in migration.steps for effect in step.effects):
            for name, lock in effect.locks.items():
                old = names.get(name, name)
                if old and old.name in there:
                    claimed.locks[old.name] = max(lock, claimed.locks.get(old.name, Lock.NONE))
                if old and old.name in there and name in effect.rewrites:
                    claimed.rewrites.add(old.name)
            for move in effect.moves:
                was = names.get(move.old, move.old) if move.old else None
                if move.new:
                    names[move.new] = was
        return claimed


TRANSACTIONAL = [case for case in CASES if case.atomic]

# What fails when it runs, or ends the transaction of the test.
NOT_RUN = {
    *("commit", "concurrent in a transaction", "an unknown text", "update through a name"),
    *("a model handed to a package", "code of a package", "one uuid for all", "no SQL"),
    *("without reverse", "insert in SQL", "a model of today", "a method of a manager"),
    *("a module of the project", "a class of the project", "a package that is not loaded"),
    *("permissions", "a block that commits"),
}
# What the plan says of running code, and no error shows: a superuser keeps his rights, code that
# expects a time gets a date, a check NOT VALID counts as adds_check, by design, and the parent that
# the code inserts for is deleted.
NOT_SHOWN = {"revoke", "datetime to date", "check not valid", "a delete that cascades"}
# Code whose text is known only when it runs: its level is the worst that it may be.
UNKNOWN = {"a text built in Python"}


@pytest.mark.parametrize("case", TRANSACTIONAL, ids=[case.name for case in TRANSACTIONAL])
def test_what_django_does_is_what_the_plan_says(case: Case, world: World) -> None:
    planned = world.planned[case.app]
    seen = world.run(case.app)
    assert bool(seen.failed) is (case.name in NOT_RUN), seen.failed
    opaque = any(effect.opaque for step in planned.steps for effect in step.effects)
    if seen.failed or opaque or case.name in UNKNOWN:
        assert not opaque or max(step.level for step in planned.steps) >= Level.MEDIUM
        return
    codes = {code for step in planned.steps for code in step.assessment.reasons}
    claimed = Claimed.of(planned, seen.there)
    assert _strong(seen.locks) == _strong(claimed.locks)
    if "deletes_all_rows" not in codes:  # TRUNCATE makes new files of no rows
        assert seen.rewrites == claimed.rewrites
    if case.name not in NOT_SHOWN:
        assert bool(seen.broken) is bool(codes & BREAKING), seen.broken


BREAKING = {"breaks_running_code", "rename_table", "rename_column", "resets_sequence"}


def _strong(locks: Mapping[str, Lock]) -> dict[str, str]:
    """Locks that someone may wait for."""
    return {name: str(lock) for name, lock in locks.items() if lock >= Lock.ROW_EXCLUSIVE}


def test_at_least_a_hundred_and_fifty_cases_of_the_table_are_measured() -> None:
    found = [row for row in rows({}) if row.measured and row.level]
    assert len(found) >= 150
