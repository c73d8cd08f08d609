"""zanith_verify, with and without the structure of an earlier run, beside Django's start and psql.

    DJANGO_SETTINGS_MODULE=settings python benchmarks/verifying.py [--rounds N]

Runs under the settings of any project, on its default database, whose role may create databases.
A round is `check`, a first `zanith_verify --reuse`, a second one, and one without `--reuse`, each
in a process of its own as on a command line; then the structure of the shadow alone, and `pg_dump |
psql` of the same database. Templates of earlier runs are dropped before each first. CPU seconds are
those of the command and its child, without the server's: a busy machine changes them less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import django
import psycopg
from django.db import connection

sys.path.insert(0, str(Path(__file__).parent.parent))

from zanith_django.timeline.project import live_graph
from zanith_django.verify.shadow import ephemeral, parameters
from zanith_django.verify.shadow_names import TEMPLATE, drop_database
from zanith_django.verify.shadow_structure import libpq_environment, load_live

NAME = "_zanith_benchmark"
TEMPLATES = """\
SELECT datname FROM pg_database WHERE starts_with(datname, %s)
AND shobj_description(oid, 'pg_database') = 'zanith_verify template of ' || current_database()"""


class Times(NamedTuple):
    """Wall seconds, and CPU seconds of the processes."""

    wall: float
    cpu: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    django.setup()
    connection.ensure_connection()
    print(f"{len(live_graph(connection).tables)} tables")
    jobs: dict[str, Callable[[], Times]] = {
        "check": lambda: command("check"),
        "first verify": lambda: without_templates(lambda: command("zanith_verify", "--reuse")),
        "second verify": lambda: command("zanith_verify", "--reuse"),
        "plain verify": lambda: command("zanith_verify"),
        "structure": structure,
        "pg_dump | psql": dumped,
    }
    rounds = [{name: job() for name, job in jobs.items()} for _ in range(arguments.rounds)]
    without_templates(lambda: Times(0))
    medians = {name: median([each[name] for each in rounds]) for name in jobs}
    for name, times in medians.items():
        print(f"{name:<16} {times.wall:8.2f} s {times.cpu:8.2f} s CPU")
    report(*medians.values())


def report(
    start: Times, first: Times, second: Times, plain: Times, made: Times, bare: Times
) -> None:
    beside = (second.wall - start.wall) / (first.wall - start.wall)
    print(f"second / first: {second.wall / first.wall:.2f}, beside check: {beside:.2f}")
    print(f"structure / pg_dump | psql: {made.wall / bare.wall:.2f}")
    more = Times(plain.wall - start.wall, plain.cpu - start.cpu)
    print(f"plain verify beside check: {more.wall:.2f} s, {more.cpu:.2f} s CPU")
    print(f"the same / check: {more.wall / start.wall:.2f}, CPU {more.cpu / start.cpu:.2f}")


def median(found: list[Times]) -> Times:
    return Times(*map(statistics.median, zip(*found, strict=True)))


def command(*words: str) -> Times:
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "django", *words, "--verbosity", "0"],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        check=False,
    )
    after = os.times()
    if done.returncode > 1:
        raise SystemExit(f"{words[0]}: exit {done.returncode}")
    user = after.children_user - before.children_user
    return Times(time.perf_counter() - began, user + after.children_system - before.children_system)


def without_templates(job: Callable[[], Times]) -> Times:
    with administration() as session:
        for (name,) in session.execute(TEMPLATES, [TEMPLATE]).fetchall():
            drop_database(session, name)
    return job()


def structure() -> Times:
    """The structure of a shadow, by itself."""
    graph = live_graph(connection)
    with ephemeral(connection) as shadow:
        began = time.perf_counter()
        load_live(connection, graph, shadow)
        return Times(time.perf_counter() - began)


def dumped() -> Times:
    given = libpq_environment(parameters(connection.settings_dict))
    with administration() as session:
        drop_database(session, NAME)
        session.execute(f"CREATE DATABASE {NAME} TEMPLATE template0".encode())
        began = time.perf_counter()
        text = "pg_dump --schema-only --no-owner | PGDATABASE=$TARGET psql -q -v ON_ERROR_STOP=1"
        environment = {**os.environ, **given, "TARGET": NAME}
        quiet = subprocess.DEVNULL
        subprocess.run(["sh", "-c", text], env=environment, stdout=quiet, check=True)
        seconds = time.perf_counter() - began
        drop_database(session, NAME)
    return Times(seconds)


@contextmanager
def administration() -> Iterator[psycopg.Connection]:
    with psycopg.connect(**parameters(connection.settings_dict), autocommit=True) as session:
        yield session


if __name__ == "__main__":
    main()
