"""Server time and queries of every page of the admin, on a ledger with a long history.

    DATABASE_URL=… python -m benchmarks.admin_pages [--migrations 10000] [--tables 1000]

Fills an empty database and leaves it filled, for the next run. Compared with an empty list of the
same admin. The apps of example_project are pending, so that there is a plan to show.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import NamedTuple

import django
from django.conf import settings

FILL = """
INSERT INTO _zanith_migrations
SELECT format('2026_%%s_m', n), clock_timestamp() - n * interval '1 hour'
FROM generate_series(1, %(migrations)s) n WHERE n %% 50 > 0;
INSERT INTO _zanith_migration_steps
SELECT format('2026_%%s_m::%%s', n, to_char(s, 'FM0000')), format('2026_%%s_m', n), 'addColumn',
    CASE WHEN n %% 50 > 0 THEN 'done' WHEN s = 1 THEN 'failed' ELSE 'pending' END,
    format('ALTER TABLE "t%%s" ADD COLUMN "c%%s" text', (n * 7 + s) %% 1000, n), 'safe', 5, NULL,
    clock_timestamp() - n * interval '1 hour', clock_timestamp() - n * interval '59 minutes'
FROM generate_series(1, %(migrations)s) n, generate_series(1, 10) s;
INSERT INTO _zanith_schema_snapshots
SELECT format('2026_%%s_m', n), 'before', jsonb_build_object('run', jsonb_build_object(
    'user', 'deploy', 'host', 'web-1', 'details', (
        SELECT jsonb_object_agg(format('2026_%%s_m::%%s', n, to_char(s, 'FM0000')),
            jsonb_build_object('target', format('t%%s.c%%s', (n * 7 + s) %% 1000, n),
                'description', 'add column',
                'tables', jsonb_build_array(format('t%%s', (n * 7 + s) %% 1000))))
        FROM generate_series(1, 10) s))),
    clock_timestamp() - n * interval '1 hour'
FROM generate_series(101, %(migrations)s) n;
ANALYZE"""
PENDING = ("customers", "catalog", "orders", "reviews")
BEFORE = ("admin", "auth", "contenttypes", "sessions")  # whose pages are visited
NEWEST = 100  # migrations whose snapshots hold the whole schema


def configure() -> None:
    import environ

    settings.configure(
        SECRET_KEY="only for a benchmark",
        ROOT_URLCONF="example_project.urls",
        ALLOWED_HOSTS=["*"],
        STATIC_URL="static/",
        USE_TZ=True,
        DATABASES={"default": environ.Env.db_url_config(os.environ["DATABASE_URL"])},
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "django.contrib.staticfiles",
            "zanith_django",
            *(f"example_project.{label}" for label in PENDING),
        ],
        ZANITH={"APPS": list(PENDING)},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
    )
    django.setup()


def fill(migrations: int, tables: int) -> None:
    from django.db import connection

    from zanith_django.ledger.details import StepDetail, spelled
    from zanith_django.ledger.ledger import Ledger
    from zanith_django.postgres.names import TableName
    from zanith_django.schema.graph import Column, ForeignKey, PrimaryKey, SchemaGraph, Table

    columns = (Column("id", "bigint", nullable=False), *(Column(f"c{n}", "text") for n in range(8)))
    graph = SchemaGraph(
        tables=tuple(
            Table(
                TableName("", f"t{n}"),
                columns,
                primary_key=PrimaryKey(f"t{n}_pkey", ("id",)),
                foreign_keys=(
                    ForeignKey(f"t{n}_fk", ("c0",), TableName("", f"t{n // 2}"), ("id",)),
                ),
            )
            for n in range(tables)
        )
    )
    ledger = Ledger(connection)
    ledger.ensure()
    with connection.cursor() as cursor:
        for statement in FILL.split(";\n"):
            cursor.execute(statement, {"migrations": migrations})
    for n in range(1, NEWEST + 1):
        name = f"2026_{n}_m"
        detail = StepDetail(target=f"t1.c{n}", tables=("t1",))
        run = {"user": "deploy", "details": spelled({f"{name}::0001": detail})}
        ledger.write_snapshot(name, "before", graph, run)
        ledger.write_snapshot(name, "after", graph, {"user": "deploy"})


class Measured(NamedTuple):
    """The best of three. `busy` are milliseconds of the processor in Python, `server` those of the
    PostgreSQL process if it is on this machine: both are right on a busy machine, too."""

    status: int
    queries: int
    milliseconds: float
    busy: float
    server: float | None


def measured(url: str) -> Measured:
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client()
    root, _ = User.objects.get_or_create(username="root", is_superuser=True, is_staff=True)
    client.force_login(root)
    found = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as captured:
            process = connection.connection.info.backend_pid
            worked, started, used = of_server(process), time.perf_counter(), time.process_time()
            answer = client.get(url)
            whole, busy = time.perf_counter() - started, time.process_time() - used
            server = None if worked is None else (of_server(process) or worked) - worked
        found.append((whole * 1000, busy * 1000, server))
    whole, busy, server = (min(column) for column in zip(*found, strict=True))
    return Measured(answer.status_code, len(captured), whole, busy, server)


def of_server(process: int) -> float | None:
    """Milliseconds of the processor that this process has used; None if it cannot be seen."""
    try:
        line = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    if "(postgres)" not in line:
        return None
    fields = line.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


PAGES = {
    "an empty page": "/admin/auth/group/",
    "dashboard": "/admin/zanith_django/dashboard/",
    "migrations": "/admin/zanith_django/migration/",
    "migrations, searched": "/admin/zanith_django/migration/?q=77",
    "a migration": "/admin/zanith_django/migration/2026_5F7_5Fm/change/",
    "steps": "/admin/zanith_django/migrationstep/",
    "steps, slowest first": "/admin/zanith_django/migrationstep/?o=-6",
    "steps, searched": "/admin/zanith_django/migrationstep/?q=t7.c77",
    "steps of a table": "/admin/zanith_django/migrationstep/?table=t7",
    "a step": "/admin/zanith_django/migrationstep/2026_5F7_5Fm_3A_3A0001/change/",
    "artifacts": "/admin/zanith_django/migrationartifact/",
    "snapshots": "/admin/zanith_django/schemasnapshot/",
    "a snapshot": "/admin/zanith_django/schemasnapshot/2026_5F7_5Fm/after/",
    "its picture": "/admin/zanith_django/schemasnapshot/2026_5F7_5Fm/after/picture/",
    "its neighbours": "/admin/zanith_django/schemasnapshot/2026_5F7_5Fm/after/picture/?focus=t10",
    "its DDL": "/admin/zanith_django/schemasnapshot/2026_5F7_5Fm/after/schema.sql",
    "a comparison": "/admin/zanith_django/schemasnapshot/compare/?a=2026_7_m:before&b=2026_8_m",
    "a large comparison": "/admin/zanith_django/schemasnapshot/compare/?a=empty&b=2026_8_m",
    "the pending plan": "/admin/zanith_django/dashboard/plan/",
    "backfills": "/admin/zanith_django/dashboard/backfills/",
    "locks": "/admin/zanith_django/dashboard/locks/",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--migrations", type=int, default=10_000)
    parser.add_argument("--tables", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    configure()
    from django.core.management import call_command
    from django.db import connection

    if "_zanith_migrations" not in connection.introspection.table_names():
        for label in BEFORE:
            call_command("migrate", label, verbosity=0)
        fill(given.migrations, given.tables)
    found = {name: measured(url) for name, url in PAGES.items()}
    if given.json:
        print(json.dumps({name: each._asdict() for name, each in found.items()}))
        return
    for name, each in found.items():
        server = "" if each.server is None else f", PostgreSQL {each.server:.0f}"
        print(
            f"{name:<24} {each.status} {each.queries:>3} queries {each.milliseconds:>7.0f} ms; "
            f"CPU: Python {each.busy:.0f}{server}"
        )


if __name__ == "__main__":
    main()
