"""A schema made from nothing: by zanith_apply, by PostgreSQL alone, and by `migrate --run-syncdb`.

    DJANGO_SETTINGS_MODULE=settings python benchmarks/from_empty.py [--rounds N]

Runs under the settings of a project with applications that have no Django migrations. Their files
are written by `zanith_generate --from empty`, into a folder that goes again. PostgreSQL's own time
is that of the same statements, as the ledger has them, sent in texts of 50 steps, each of which is
one transaction. Each way has a new database beside the project's own, dropped when it is done.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import psycopg
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.test.utils import override_settings

sys.path.insert(0, str(Path(__file__).parent.parent))

NAME = "_zanith_benchmark"
BATCH = 50
STEPS = """\
SELECT s.sql FROM _zanith_migration_steps s JOIN _zanith_migrations m ON m.id = s.migration_id
WHERE s.sql <> '' AND NOT starts_with(m.id, 'django:') ORDER BY m.applied_at, s.id"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    django.setup()
    with tempfile.TemporaryDirectory() as folder, in_folder(Path(folder)):
        generated, steps = generate()
        print(f"zanith_generate --from empty: {generated:.2f} s, {steps} operations", flush=True)
        ratios = [one_round() for _ in range(arguments.rounds)]
    print(f"median ratio {statistics.median(ratios):.2f}")


@contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    """The files of applications without Django migrations are there."""
    bare = MigrationLoader(None).unmigrated_apps
    labels = sorted(label for label in bare if any(apps.get_app_config(label).get_models()))
    labels = [label for label in labels if label != "zanith_django"]
    sys.path.insert(0, str(folder))
    for label in labels:
        (folder / "benchmark_files" / label).mkdir(parents=True)
        (folder / "benchmark_files" / label / "__init__.py").touch()
    modules = {label: f"benchmark_files.{label}" for label in labels}
    with override_settings(ZANITH={"APPS": labels, "MIGRATION_MODULES": modules}):
        yield


def generate() -> tuple[float, int]:
    """(seconds, operations of all files)."""
    from zanith_django.files.files import load_all

    with database():
        seconds = timed(lambda: run("zanith_generate", "--from", "empty"))
    return seconds, sum(len(file.operations) for file in load_all())


def one_round() -> float:
    allowed = ("--max-risk", "100", "--allow-destructive", "--no-input")
    with database():
        ours = timed(lambda: run("zanith_apply", *allowed))
        texts = [text for (text,) in rows(STEPS)]
    with database():
        run("migrate")
        alone = timed(lambda: in_batches(texts))
    with database():
        synced = timed(lambda: run("migrate", "--run-syncdb"))
    print(
        f"zanith_apply {ours:.2f} s, PostgreSQL alone {alone:.2f} s, ratio {ours / alone:.2f}; "
        f"migrate --run-syncdb {synced:.2f} s",
        flush=True,
    )
    return ours / alone


def timed(job: Any) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def run(*words: str) -> None:
    call_command(*words, stdout=io.StringIO(), verbosity=0)


def rows(text: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def in_batches(texts: Sequence[str]) -> None:
    """What runs outside of transactions goes by itself."""
    with psycopg.connect(autocommit=True, **address(connection.settings_dict["NAME"])) as raw:
        for start in range(0, len(texts), BATCH):
            raw.execute("\n".join(texts[start : start + BATCH]).encode())


# --- databases -----------------------------------------------------------------------------------


@contextmanager
def database() -> Iterator[None]:
    """The project's connection leads to a new database meanwhile."""
    own = connection.settings_dict["NAME"]
    connection.close()
    administer(own, f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)", f"CREATE DATABASE {NAME}")
    connection.settings_dict["NAME"] = NAME
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = own
        administer(own, f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")


def administer(name: str, *texts: str) -> None:
    with psycopg.connect(autocommit=True, **address(name)) as raw:
        for text in texts:
            raw.execute(text.encode())


def address(name: str) -> dict[str, Any]:
    given = connection.settings_dict
    parts = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    known = {word: given[key] for word, key in parts.items() if given[key]}
    return {**known, "dbname": name}


if __name__ == "__main__":
    main()
