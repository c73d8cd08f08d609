"""What the audit costs: many trivial steps by zanith_apply, and the same statements by psql.

    DATABASE_URL=postgres://… python benchmarks/overhead.py [steps] [--rounds N]

Each statement is a transaction of its own on both sides; zanith writes a row of its ledger before
and after each as well, reads the schema, plans, scores and keeps two snapshots. psql's time is that
of its process; ours is told twice: in a process that has started Django already, and of the whole
`manage.py zanith_apply`. A database, where zanith has run before, is made for each way beside the
one that the URL names, and dropped. Needs psql.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import django
import environ
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections

sys.path.insert(0, str(Path(__file__).parent.parent))

from zanith_django.apply.apply import apply
from zanith_django.apply.state import ApplyOptions
from zanith_django.ledger.ledger import Ledger
from zanith_django.run import collector

NAME = "_zanith_benchmark"
TABLES = 10
NUMBERS = range(TABLES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("steps", nargs="?", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    server = environ.Env.db_url_config(os.environ["DATABASE_URL"])
    with tempfile.TemporaryDirectory() as folder:
        configure(Path(folder), {**server, "NAME": NAME})
        write_migration(Path(folder), arguments.steps)
        ratios = [one_round(Path(folder), server) for _ in range(arguments.rounds)]
    print(f"median ratio {statistics.median(ratios):.2f}")


def configure(folder: Path, database: dict[str, Any]) -> None:
    """A project with one app, whose only migration is ours."""
    (folder / "steps" / "zanith_migrations").mkdir(parents=True)
    (folder / "steps" / "__init__.py").touch()
    (folder / "steps" / "zanith_migrations" / "__init__.py").touch()
    sys.path.insert(0, str(folder))
    values = {
        "BASE_DIR": str(folder),
        "DATABASES": {"default": {**database}},
        "INSTALLED_APPS": ["zanith_django", "steps"],
        "USE_TZ": True,
    }
    lines = (f"{name} = {value!r}\n" for name, value in values.items())
    (folder / "benchmark.py").write_text("".join(lines))
    settings.configure(**values)
    django.setup()


def write_migration(folder: Path, steps: int) -> None:
    """Defaults set again and again: each step changes one row of the catalog."""
    from zanith_django.files.files import render_migration
    from zanith_django.operations import AlterColumnDefault, Operation
    from zanith_django.operations.base import Context
    from zanith_django.postgres.names import TableName

    operations: list[Operation] = []
    for number in range(steps):
        before, after = (None, "0") if number // TABLES % 2 == 0 else ("0", None)
        table = TableName("", f"t{number % TABLES}")
        operations.append(AlterColumnDefault(table=table, column="v", old=before, new=after))
    path = folder / "steps" / "zanith_migrations" / "20260101_000000_many.py"
    path.write_text(render_migration(operations))
    statements = [s.sql for item in operations for s in item.statements(Context())]
    (folder / "many.sql").write_text("".join(f"{text};\n" for text in statements))


def one_round(folder: Path, server: dict[str, Any]) -> float:
    seconds = {}
    for way in (by_psql, by_zanith, by_command):
        run_psql(server, f"CREATE DATABASE {NAME}")
        made = {**server, "NAME": NAME}
        tables = (
            f"CREATE TABLE t{n} AS SELECT 1 AS v FROM generate_series(1, 10)" for n in NUMBERS
        )
        run_psql(made, "; ".join(tables))
        call_command("migrate", verbosity=0)
        connection = connections[DEFAULT_DB_ALIAS]
        Ledger(connection).ensure()
        try:
            started = time.perf_counter()
            way(folder, made)
            seconds[way] = time.perf_counter() - started
            fsync = run_psql(made, "SHOW fsync")
        finally:
            connection.close()
            run_psql(server, f"DROP DATABASE {NAME}")
    ratio = seconds[by_zanith] / seconds[by_psql]
    print(
        f"fsync {fsync}: psql {seconds[by_psql]:.2f} s, zanith_apply {seconds[by_zanith]:.2f} s, "
        f"ratio {ratio:.2f}; as a process of its own {seconds[by_command]:.2f} s",
        flush=True,
    )
    return ratio


def by_psql(folder: Path, database: dict[str, Any]) -> None:
    run_psql(database, "-f", str(folder / "many.sql"))


def by_zanith(folder: Path, database: dict[str, Any]) -> None:
    with collector.relaxed():  # as in a command
        apply(connections[DEFAULT_DB_ALIAS], ApplyOptions(max_risk=100, allow_destructive=True))


def by_command(folder: Path, database: dict[str, Any]) -> None:
    words = ["-m", "django", "zanith_apply", "--max-risk", "100", "--allow-destructive", "-v0"]
    places = os.pathsep.join([str(folder), str(Path(__file__).parent.parent)])
    environment = {**os.environ, "PYTHONPATH": places, "DJANGO_SETTINGS_MODULE": "benchmark"}
    subprocess.run([sys.executable, *words], env=environment, check=True)


def run_psql(database: dict[str, Any], *arguments: str) -> str:
    """psql's output; one argument is a statement."""
    given = arguments if len(arguments) > 1 else ("-c", *arguments)
    environment = {
        "PGHOST": database["HOST"],
        "PGPORT": str(database["PORT"]),
        "PGUSER": database["USER"],
        "PGPASSWORD": database.get("PASSWORD", ""),
        "PGDATABASE": database["NAME"],
    }
    done = subprocess.run(
        ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *given],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
