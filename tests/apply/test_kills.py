"""A run that is killed at any point of any kind of step: one more run ends at the same schema.

The run is `apply`, in a process that kills itself (SIGKILL) just before one of its statements goes
to the server; one statement may be a text of several, which the server runs as one transaction.
By default one example of each kind is cut after at most four statements of its step, spread over
it, and only once inside of a transaction: what is killed there is rolled back.
`ZANITH_CUTS=all` cuts every example before every statement of the whole run, and before commits.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import environ
import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from tests.examples import EXAMPLES, SETUP, Example, added, examples
from tests.graphs import differences
from tests.place import Connection, Place
from tests.servers import Database
from zanith_django.apply.apply import apply
from zanith_django.apply.reporter import ApplyReporter
from zanith_django.apply.state import ApplyOptions
from zanith_django.files.files import render_migration
from zanith_django.operations import AddColumn, AddUnique, Context, Operation, Statement
from zanith_django.schema.graph import SchemaGraph

ALL = os.environ.get("ZANITH_CUTS") == "all"
# Not the first example, but one with all the parts that its kind can have.
LONGEST = {"alterColumnType": 10, "addColumn": 5, "rebuildTable": 3}
CASES = {
    name: example
    for name, example in examples()
    if ALL or name == "{}-{}".format(kind := name.rpartition("-")[0], LONGEST.get(kind, 1))
}
MOST = 4
MIGRATION = "20260101_000000_cut"


@pytest.fixture(scope="module")
def package(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[Path]:
    """The migrations of an app without models, in a project that has no other."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "cut_app").mkdir()
    (folder / "cut_app" / "__init__.py").write_text("")
    (folder / "cut_migrations").mkdir()
    (folder / "cut_migrations" / "__init__.py").write_text("")
    sys.path.insert(0, str(folder))
    settings = {"APPS": ["cut_app"], "MIGRATION_MODULES": {"cut_app": "cut_migrations"}}
    installed = override_settings(
        INSTALLED_APPS=["zanith_django", "cut_app"],
        MIGRATION_MODULES={"zanith_django": None},
        ZANITH=settings,
    )
    with installed, django_db_blocker.unblock():
        yield folder / "cut_migrations"
    sys.path.remove(str(folder))


# --- a run in a process of its own ---------------------------------------------------------------


class _Steps(ApplyReporter):
    """Notes which statements belong to the step."""

    def __init__(self, seen: list[dict[str, Any]]) -> None:
        self.seen = seen
        self.begin, self.end = 0, 0

    def step_started(self, *step: Any) -> None:
        self.begin = len(self.seen)

    def step_finished(self, *step: Any) -> None:
        self.end = len(self.seen)


def run(place: Place, told: Path, *, before: int = 0, commit: bool = False) -> int:
    """Apply in a child, which is killed before statement number `before` (0: never), or before the
    commit that would follow it. Returns its exit status, as `os.waitpid` has it."""
    with warnings.catch_warnings():
        # Threads of xdist: the child does not touch them.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            _apply(place, told, before, commit)
        except BaseException:
            told.write_text(traceback.format_exc())
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def _apply(place: Place, told: Path, before: int, commit: bool) -> None:
    address = environ.Env.db_url_config(place.database.url)
    address["OPTIONS"] = {"options": f"-c search_path={place.schema}"}
    wrapper = DatabaseWrapper({**connections["default"].settings_dict, **address}, alias="cut")
    connections["cut"] = wrapper
    seen: list[dict[str, Any]] = []
    reporter = _Steps(seen)

    def watch(execute: Callable[..., Any], text: Any, *rest: Any) -> Any:
        if len(seen) + 1 == before and not commit:
            os.kill(os.getpid(), signal.SIGKILL)
        result = execute(text, *rest)
        seen.append({"sql": str(text), "atomic": wrapper.in_atomic_block})
        if len(seen) == before and commit:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    wrapper.ensure_connection()
    with wrapper.execute_wrapper(watch):
        apply(wrapper, ApplyOptions(gated=False, verbosity=0), reporter)
    told.write_text(json.dumps({"seen": seen, "begin": reporter.begin, "end": reporter.end}))


# --- cases ---------------------------------------------------------------------------------------


@dataclasses.dataclass
class Case:
    """One example on a place of its own."""

    place: Place
    graph: SchemaGraph
    operation: Operation


@contextmanager
def case(
    database: Database, connection: Connection, example: Example, package: Path
) -> Iterator[Case]:
    if connection.info.server_version < example.since:
        pytest.skip(f"PostgreSQL {example.since // 10000} has it")
    place = Place(database, connection)
    try:
        place.execute(SETUP)
        place.execute(example.setup)
        graph = place.read()
        operation = example.operation(graph)
        if example.undone:
            undo = operation.inverse()
            assert undo is not None
            place.apply(undo, place.context(graph, migration=MIGRATION))
            graph = place.read()
        (package / f"{MIGRATION}.py").write_text(render_migration([operation]))
        yield Case(place, graph, operation)
    finally:
        place.remove()


def cuts_of(told: dict[str, Any]) -> list[tuple[int, bool]]:
    """(before which statement, or whether before the commit behind it)."""
    count = len(told["seen"])
    if not ALL:
        step = range(told["begin"] + 1, told["end"] + 1)
        cuts = [n + 1 for n in step if is_a_cut(told["seen"][n - 2 : n + 1])]
        return [(n, False) for n in spread(cuts, MOST)]
    behind = [(n, True) for n in range(1, count + 1) if told["seen"][n - 1]["atomic"]]
    return [*((number, False) for number in range(1, count + 1)), *behind]


def spread(items: list[int], count: int) -> list[int]:
    """At most `count` items, the first and the last among them, at even distances."""
    if len(items) <= count:
        return items
    return [items[round(place * (len(items) - 1) / (count - 1))] for place in range(count)]


def is_a_cut(around: list[dict[str, Any]]) -> bool:
    """Is it worth a kill behind the second of three statements? Not behind a question, and not
    where the transaction went on before it and goes on after it."""
    text = around[1]["sql"]
    question = ";" not in text and text.startswith("SELECT")
    return not question and not all(statement["atomic"] for statement in around)


def wait_for_the_end_of(place: Place) -> None:
    """Of the backend of a killed run, which may still be at work."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    until = time.monotonic() + 30
    while place.value(f"{others} AND pid <> pg_backend_pid() AND backend_type = 'client backend'"):
        assert time.monotonic() < until
        time.sleep(0.002)


def done(place: Place) -> list[tuple[Any, ...]]:
    return place.execute("""
        SELECT (SELECT count(*) FROM _zanith_migrations), (
            SELECT count(*) FROM _zanith_migration_steps WHERE status = 'done'), (
            SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE NOT indisvalid AND c.relnamespace = current_schema()::regnamespace)""")


@pytest.mark.parametrize("name", CASES)
def test_one_more_run_after_a_kill_ends_at_the_same_schema(
    database: Database, shared_connection: Connection, package: Path, tmp_path: Path, name: str
) -> None:
    told, example = tmp_path / "told", CASES[name]
    with case(database, shared_connection, example, package) as whole:
        assert run(whole.place, told) == 0, told.read_text()
        wanted = whole.operation.apply_to(whole.graph)
        assert differences(whole.place.read(), wanted) == []
        cuts = cuts_of(json.loads(told.read_text()))
    for before, commit in cuts:
        with case(database, shared_connection, example, package) as cut:
            killed = run(cut.place, told, before=before, commit=commit)
            assert os.WIFSIGNALED(killed), told.read_text()
            wait_for_the_end_of(cut.place)
            assert run(cut.place, told) == 0, (before, commit, told.read_text())
            wanted = cut.operation.apply_to(cut.graph)
            assert differences(cut.place.read(), wanted) == [], (before, commit)
            assert done(cut.place) == [(1, 1, 0)]


# Kinds that a killed run may have left half done, with an example that takes several statements.
PROBED: dict[type[Operation], Example] = {
    AddUnique: EXAMPLES["addUnique"][0],
    AddColumn: added("uuid", nullable=False, default="gen_random_uuid()"),
}


@pytest.mark.parametrize("kind", PROBED)
def test_without_the_probes_a_killed_step_cannot_be_resumed(
    database: Database,
    shared_connection: Connection,
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Operation],
) -> None:
    made = kind.statements

    def without_probes(operation: Operation, context: Context) -> tuple[Statement, ...]:
        return tuple(dataclasses.replace(s, probe="") for s in made(operation, context))

    monkeypatch.setattr(kind, "statements", without_probes)
    told, example = tmp_path / "told", PROBED[kind]
    with case(database, shared_connection, example, package) as whole:
        assert run(whole.place, told) == 0, told.read_text()
        cuts = cuts_of(json.loads(told.read_text()))
    ends = []
    for before, commit in cuts:
        with case(database, shared_connection, example, package) as cut:
            run(cut.place, told, before=before, commit=commit)
            wait_for_the_end_of(cut.place)
            ends.append(run(cut.place, told))
    assert any(ends)
