"""The matrix: every case, cut at every statement, in every way."""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import django
import environ
import psycopg
from django.conf import settings

from tests.faults.cases import FILE, Case, Together
from tests.faults.checks import Outcome, outcome, problems
from tests.faults.everything import Everything
from tests.faults.runs import RANDOM, WAYS, Cut, Noted, Verb, noted, run_in_child
from tests.servers import Server

AnyCase = Case | Together | Everything


class NoWayBack(Exception):
    """A rollback of the case is refused."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one cut; no problems mean that all held."""

    case: str
    cut: Cut
    problems: tuple[str, ...]


def configure(folder: Path, server: Server) -> None:
    """A project of one app, in this process; only its children connect."""
    package = folder / "faults" / "zanith_migrations"
    package.mkdir(parents=True)
    (folder / "faults" / "__init__.py").touch()
    (package / "__init__.py").touch()
    sys.path.insert(0, str(folder))
    settings.configure(
        BASE_DIR=folder,
        DATABASES={"default": environ.Env.db_url_config(server.maintenance_url)},
        INSTALLED_APPS=["zanith_django", "faults"],
        USE_TZ=True,
        ZANITH={"LOCK_TIMEOUT": 0.5, "LOCK_RETRIES": 3},
    )
    django.setup()
    for name in ("apply", "rollback", "recover"):  # here, not in every child
        import_module(f"zanith_django.{name}.{name}")


class Matrix:
    """Cuts cases on one server; `folder` is that of `configure`. `verb` is the command that is
    cut: a rollback or work on the newest artifact comes after an apply that is not."""

    def __init__(
        self, server: Server, folder: Path, world: object = None, verb: Verb = "apply"
    ) -> None:
        self.server, self.folder, self.world, self.verb = server, folder, world, verb
        self.notes = folder / "notes"
        self.ends: Counter[tuple[str, int]] = Counter()

    def run(
        self, case: AnyCase, ways: Sequence[str], chosen: Callable[[int], bool], *, commits: bool
    ) -> Iterator[Result]:
        """The results of one case; `chosen` says which cut points, by number, are taken. With
        `commits` those are only the statements that begin a transaction."""
        with self._database() as original:
            self._prepare(case, original)
            wanted, statements = self._uncut(original)
            cuts = [
                cut
                for number, statement in enumerate(statements, 1)
                if statement.begins or not commits
                for cut in (Cut(number, way, statement.text) for way in ways)
                if not cut.held or _is_build(statement.text)
            ]
            for place, cut in enumerate(cuts):
                if chosen(place):
                    problems = tuple(self._cut(original, cut, wanted))
                    yield Result(case.name, cut, problems)

    def run_at_random(self, case: AnyCase, number: int) -> Iterator[Result]:
        """The results of so many kills, each at any moment of the command."""
        with self._database() as original:
            self._prepare(case, original)
            began = time.monotonic()
            wanted, _ = self._uncut(original)
            longest = time.monotonic() - began
            for place in range(1, number + 1):
                seconds = random.uniform(0, longest)
                cut = Cut(place, RANDOM, f"after {seconds:.3f} s")
                problems = tuple(self._cut(original, cut, wanted, seconds))
                yield Result(case.name, cut, problems)

    def _prepare(self, case: AnyCase, database: str) -> None:
        from zanith_django.files.files import render_migration

        with self._connect(database) as connection:
            operations = case.prepare(connection)
        self._file.unlink(missing_ok=True)
        shutil.rmtree(self._django, ignore_errors=True)
        code = run_in_child(self.server.url(database), self._parameters(database))
        if code:
            raise RuntimeError(f"the ledger could not be made: {code}")
        self._file.write_text(render_migration(operations, requires=case.requires))
        if case.files:
            self._django.mkdir()
        for name, text in case.files.items():
            (self._django / name).write_text(text)
        if self.verb != "apply":
            code = run_in_child(self.server.url(database), self._parameters(database))
            if code:
                raise RuntimeError(f"what is to be cut cannot begin: apply ended with {code}")
        if self.verb == "reseed":
            with self._connect(database) as connection:
                _make_again(connection)

    @property
    def _django(self) -> Path:
        return self.folder / "faults" / "migrations"

    @property
    def _file(self) -> Path:
        return self.folder / "faults" / "zanith_migrations" / f"{FILE}.py"

    def _uncut(self, original: str) -> tuple[Outcome, list[Noted]]:
        with self._database(original) as name:
            url, parameters = self.server.url(name), self._parameters(name)
            code = run_in_child(url, parameters, self.verb, note=self.notes)
            if code == 1 and self.verb == "rollback":
                raise NoWayBack
            if code:
                raise RuntimeError(f"even a run that nothing cuts ends with {code}")
            with self._connect(name) as connection:
                return outcome(connection), noted(self.notes)

    def _cut(
        self, original: str, cut: Cut, wanted: Outcome, seconds: float | None = None
    ) -> Iterator[str]:
        with self._database(original) as name:
            url, parameters = self.server.url(name), self._parameters(name)
            at = None if seconds is not None else cut
            code = run_in_child(url, parameters, self.verb, at, world=self.world, seconds=seconds)
            self.ends[cut.way, code] += 1
            if code not in (-9, 0, 1, 3):
                yield f"the run that was cut ended with {code}"
            again = run_in_child(url, parameters, self.verb)
            if again:
                yield f"the next run ended with {again}"
            with self._connect(name) as connection:
                yield from problems(connection, wanted)

    # --- databases -----------------------------------------------------------------------------

    @contextmanager
    def _database(self, template: str | None = None) -> Iterator[str]:
        name = self.server.create_database(template)
        try:
            if self.world:
                self._checkpoint()
            yield name
        finally:
            self.server.drop_database(name)

    def _checkpoint(self) -> None:
        """A sequence that was copied takes the numbers ahead of it for written down, which they are
        for its original alone: a server that crashes before a checkpoint gives them out twice."""
        with psycopg.connect(self.server.maintenance_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def _connect(self, name: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.server.url(name), autocommit=True)

    def _parameters(self, name: str) -> dict[str, Any]:
        return {**environ.Env.db_url_config(self.server.url(name))}


def _make_again(connection: psycopg.Connection[Any]) -> None:
    """The column that was dropped, without its values."""
    ((table, column, kind),) = connection.execute(
        "SELECT source_table, source_column, metadata #>> '{restore,column,type}' "
        "FROM _zanith_migration_artifacts"
    ).fetchall()
    connection.execute(f'ALTER TABLE "{table}" ADD "{column}" {kind}'.encode())


def every(step: int) -> Callable[[int], bool]:
    return lambda place: place % step == 0


def chosen_ways(words: Iterable[str]) -> list[str]:
    wanted = list(words)
    return [way for way in WAYS if not wanted or any(word in way for word in wanted)]


def _is_build(statement: str) -> bool:
    return statement.startswith("CREATE") and " INDEX CONCURRENTLY " in statement
