"""Times of reading, comparing and storing a schema, beside other tools on the same database.

    DJANGO_SETTINGS_MODULE=settings python benchmarks/reading.py [--rounds N] [--limit SECONDS]

Runs under the settings of any project, on its default database, whose tables `migrate` has made and
whose user may create a schema: PostgreSQL's own time for the DDL is taken in one, which is dropped.
Times are wall seconds, the best of the rounds; the live graph takes turns with what it is compared
with, so that a slow minute of the machine weighs on each alike. `half` is the time for half of the
tables. Other readers are asked where they are installed; one that takes longer than the limit is
stopped.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import django
import psycopg
from django.core.management import call_command
from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Model

sys.path.insert(0, str(Path(__file__).parent.parent))

from zanith_django.diff.diff import diff
from zanith_django.postgres.names import TableName
from zanith_django.run import collector
from zanith_django.schema import catalog as reader
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.models import from_models, project_models, with_many_to_many
from zanith_django.schema.scratch import raw_connection
from zanith_django.timeline.project import live_graph

SCHEMA = "_zanith_benchmark"
BATCH = 50
"""Tables whose DDL runs in one transaction."""

type_of_job = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=120)
    arguments = parser.parse_args()
    django.setup()
    connection.ensure_connection()
    table = Report(arguments.rounds, arguments.limit)
    with collector.relaxed():  # as in a command
        measure_live(table)
        measure_declared(table)
        measure_values(table)


class Report:
    """Lines of times; a ratio says how a time stands to the one of another line."""

    def __init__(self, rounds: int, limit: int) -> None:
        self.rounds, self.limit = rounds, limit
        self.seconds: dict[str, float] = {}

    def time(
        self, name: str, job: type_of_job, *, against: Sequence[str] = (), once: bool = False
    ) -> None:
        seconds = min(_seconds(job) for _ in range(1 if once else self.rounds))
        self.tell(name, seconds, against=against)

    def tell(self, name: str, seconds: float, *, against: Sequence[str] = ()) -> None:
        self.seconds[name] = seconds
        ratios = [f"{seconds / self.seconds[other]:.2f} x {other}" for other in against]
        print(f"{name:<40} {seconds:9.3f} s   {', '.join(ratios)}".rstrip(), flush=True)

    def time_in_turns(self, jobs: Mapping[str, type_of_job]) -> None:
        """Each job once a round; the last is told against the others."""
        *others, last = jobs
        rounds = [[_seconds(job) for job in jobs.values()] for _ in range(self.rounds)]
        for name, seconds in zip(jobs, map(min, zip(*rounds, strict=True)), strict=True):
            self.tell(name, seconds, against=others if name == last else ())

    def time_process(self, name: str, command: Sequence[str]) -> None:
        try:
            self.time(name, functools.partial(_run, command, self.limit), once=True)
        except subprocess.TimeoutExpired:
            print(f"{name:<40} not finished after {self.limit} s", flush=True)


def _seconds(job: type_of_job) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def _run(command: Sequence[str], limit: int, *, check: bool = False) -> None:
    nobody = subprocess.DEVNULL
    subprocess.run(command, stdout=nobody, stderr=nobody, timeout=limit, check=check)


# --- the live graph ------------------------------------------------------------------------------


def measure_live(report: Report) -> None:
    graph = live_graph(connection)
    print(
        f"{len(graph.tables)} tables on PostgreSQL {raw_connection(connection).info.server_version}"
    )
    jobs: dict[str, type_of_job] = {"queries of the live graph, bare": bare_queries}
    if shutil.which("pg_dump"):
        place = psycopg.conninfo.make_conninfo(**address())
        command = ["pg_dump", "--schema-only", "--file=/dev/null", place]
        dump = functools.partial(_run, command, report.limit, check=True)
        jobs["pg_dump --schema-only"] = dump
    report.time_in_turns(jobs | {"live graph": lambda: live_graph(connection)})
    report.time("live graph, half of the tables", lambda: live_half(graph.table_names[::2]))
    report.time("inspectdb", lambda: call_command("inspectdb", stdout=io.StringIO()), once=True)
    with_sqlalchemy(report)


def live_half(names: Sequence[TableName]) -> None:
    with connection.cursor() as cursor:
        reader.from_catalog(cursor, tables=names)


def bare_queries() -> None:
    """The queries as the reader sends them, their rows fetched and thrown away."""
    queries = [
        file.name.removesuffix(".sql")
        for file in (Path(reader.__file__).parent / "queries").glob("*.sql")
        if file.name != "settings.sql"
    ]
    raw = raw_connection(connection)
    with raw.transaction(force_rollback=True), raw.cursor() as cursor:
        cursor.execute(_query("settings").encode(), (None, None, None, None))
        for name in queries:
            cursor.execute(_query(name).encode())
            cursor.fetchall()


@functools.cache
def _query(name: str) -> str:
    return (Path(reader.__file__).parent / "queries" / f"{name}.sql").read_text()


def with_sqlalchemy(report: Report) -> None:
    try:
        import sqlalchemy
    except ImportError:
        return
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(**address())
    )

    def reflect() -> None:
        sqlalchemy.MetaData().reflect(engine)

    report.time("SQLAlchemy, MetaData.reflect()", reflect, once=True)


def address() -> dict[str, Any]:
    info = raw_connection(connection).info
    place = {"user": info.user, "password": info.password, "host": info.host, "port": info.port}
    return {**place, "dbname": info.dbname}


# --- the declared graph --------------------------------------------------------------------------


def measure_declared(report: Report) -> None:
    models = project_models(connection.alias)
    measure_growth(report, models)  # before the DDL in batches frees thousands of files
    report.time("DDL collected by Django", lambda: list(collected(models)))
    tables, keys = ddl_of(models)
    drop_what_was_made()
    try:
        report.time("DDL run in batches", lambda: run_in_batches(tables, keys), once=True)
    finally:
        drop_what_was_made()
    with tempfile.TemporaryDirectory() as folder:
        declare = functools.partial(from_models, connection, cache=Path(folder))
        floor = ["DDL run in batches"]
        report.time("declared graph, cold", lambda: declare(models), against=floor, once=True)
        report.time("declared graph, warm", lambda: declare(models))
        report.time("declared graph, warm, half", lambda: declare(models[::2]))
    command = [sys.executable, "-m", "django", "makemigrations", "--check", "--dry-run"]
    report.time_process("makemigrations --check", command)


def measure_growth(report: Report, models: Sequence[type[Model]]) -> None:
    """Either half of the models and all of them, cold: medians of at least five rounds.

    Both halves together have the very tables of all. Which of them comes first alternates: what
    the machine does beside it weighs on each alike. Where the server's files are on ext4 without a
    journal this tells of the file system: it takes no inode that was freed in the last minutes,
    and looks at all of them for each new file.
    """
    parts = {"one half": models[::2], "all": models, "the other": models[1::2]}
    cold(models)
    rounds = []
    for number in range(max(5, report.rounds)):
        order = list(parts) if number % 2 else reversed(parts)
        times = {name: _seconds(functools.partial(cold, parts[name])) for name in order}
        rounds.append([times[name] for name in parts])
    one, whole, other = map(median, zip(*rounds, strict=True))
    factor = median(2 * whole / (one + other) for one, whole, other in rounds)
    print(
        f"{'declared graph, cold, two halves and all':<40} {one:9.3f} s, {other:.3f} s and "
        f"{whole:.3f} s   {factor:.2f} x"
    )


def cold(models: Sequence[type[Model]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        from_models(connection, models, cache=Path(folder))


def collected(models: Iterable[type[Model]]) -> Iterator[tuple[list[str], list[str]]]:
    """(DDL of a table, what is deferred: its indexes and foreign keys) of every model."""
    for model in with_many_to_many(connection, models):
        editor: BaseDatabaseSchemaEditor = connection.schema_editor(collect_sql=True, atomic=False)
        many_to_many, model._meta.local_many_to_many = model._meta.local_many_to_many, []
        editor.deferred_sql = []
        try:
            editor.create_model(model)
        finally:
            model._meta.local_many_to_many = many_to_many
        yield editor.collected_sql, [str(statement) for statement in editor.deferred_sql]


def ddl_of(models: Iterable[type[Model]]) -> tuple[list[str], list[str]]:
    """One text of DDL for each table, and the foreign keys, which come after all tables."""
    tables, keys = [], []
    for made, deferred in collected(models):
        foreign = [text for text in deferred if "FOREIGN KEY" in text]
        rest = [text for text in deferred if "FOREIGN KEY" not in text]
        tables.append(";\n".join(text.rstrip("; ") for text in (*made, *rest)))
        keys += foreign
    return tables, keys


def run_in_batches(tables: Sequence[str], keys: Sequence[str]) -> None:
    """The DDL in transactions of fifty tables, then that of the foreign keys likewise."""
    raw = raw_connection(connection)
    raw.execute(f"CREATE SCHEMA {SCHEMA}")
    raw.execute(f"SET search_path = {SCHEMA}, public")
    for texts in (*batches(tables, BATCH), *batches(keys, BATCH * 4)):
        raw.execute(";\n".join(texts).encode())


def drop_what_was_made() -> None:
    """In batches too: one DROP SCHEMA would need a lock for each table at the same time."""
    raw = raw_connection(connection)
    raw.execute("RESET search_path")
    made = raw.execute(
        f"SELECT format('DROP TABLE %I.%I CASCADE', schemaname, tablename)"
        f" FROM pg_tables WHERE schemaname = '{SCHEMA}'"
    )
    for texts in batches([text for (text,) in made], BATCH):
        raw.execute(";\n".join(texts).encode())
    raw.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def batches(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))


# --- values --------------------------------------------------------------------------------------


def measure_values(report: Report) -> None:
    whole = live_graph(connection)
    text = json.dumps(whole.to_json())
    again, nothing = SchemaGraph.from_json(json.loads(text)), SchemaGraph()
    half = whole.only(whole.table_names[::2])
    report.time("graph to JSON text", lambda: json.dumps(whole.to_json()))
    report.time("graph from JSON text", lambda: SchemaGraph.from_json(json.loads(text)))
    report.time("fingerprint", whole.fingerprint)
    report.time("diff of equal graphs", lambda: diff(whole, again))
    report.time("diff, nothing to all", lambda: diff(nothing, whole))
    report.time("diff, all to nothing", lambda: diff(whole, nothing))
    report.time("diff, nothing to half", lambda: diff(nothing, half))


if __name__ == "__main__":
    main()
