"""One project of the corpus: its environment, its commands, its databases."""

from __future__ import annotations

import json
import lzma
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.corpus.structure import HERE, rows
from tests.servers import Server

REPOSITORY = Path(__file__).parents[2]


class Failed(Exception):
    """A command of the project ended badly; the text is the end of what it said."""


@dataclass(frozen=True, slots=True)
class CorpusProject:
    """A project's folder in the corpus, and where its environment is kept."""

    folder: Path
    venv: Path
    server: Server
    environment: Mapping[str, str]

    def manage(self, url: str, *arguments: str, expect: tuple[int, ...] = (0,), **more: str) -> str:
        """Run a management command through the project's own script; what it printed."""
        scratch = self.venv / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DJANGO_")}
        added = {
            "DATABASE_URL": url,
            "VENV": str(self.venv),
            "SCRATCH": str(scratch),
            "EXTRA_APPS": "zanith_django",
            "EXTRA_PIP": "pgparse",  # what the package needs beside Django and psycopg
            "PYTHONPATH": str(REPOSITORY),
        }
        done = subprocess.run(
            [self.folder / "run.sh", *arguments],
            env={**inherited, **added, **self.environment, **more},
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode not in expect:
            raise Failed(f"{arguments[0]}: exit {done.returncode}: {done.stderr[-600:]}")
        return done.stdout

    def diff(self, url: str, old: str = "models", new: str = "live") -> dict[str, Any]:
        """`zanith_diff models live`, as JSON."""
        text = self.manage(url, "zanith_diff", old, new, "--format", "json", expect=(0, 1))
        _, brace, rest = text.partition("{\n")
        if not brace:
            raise Failed("zanith_diff printed no JSON")
        data: dict[str, Any] = json.loads(brace + rest)
        return data

    def changes_django_sees(self, url: str) -> set[str]:
        """What `makemigrations` would write: `app: Alter field id on task`."""
        text = self.manage(url, "makemigrations", "--check", "--dry-run", expect=(0, 1))
        app, changes = "", set()
        for line in text.splitlines():
            if found := re.match(r"Migrations for '(.*)':", line):
                app = found[1]
            elif found := re.match(r"    [-+~] (.*)", line):
                changes.add(f"{app}: {found[1]}")
        return changes

    @contextmanager
    def migrated(self, *, migrate: bool) -> Iterator[str]:
        """The URL of a database that Django's own `migrate` made: a dump of one, or a new one."""
        with self._database() as url:
            dump = self.folder / "migrated.sql.xz"
            if migrate or not dump.exists():
                # An application without migrations gets its tables straight from its models.
                self.manage(url, "migrate", "--noinput", "--run-syncdb")
            else:
                _psql(url, lzma.decompress(dump.read_bytes()))
            yield url

    @contextmanager
    def fresh(self, migrated: str, *, restored: bool) -> Iterator[str]:
        """The URL of a database with tables made straight from today's models."""
        with self._database() as url:
            _copy_surroundings(migrated, url)
            script = (HERE / "fresh_tables.py").read_text()
            self.manage(url, "shell", "--verbosity", "0", "--command", script)
            if not restored:
                yield url
                return
            # PostgreSQL spells some expressions otherwise after a dump: both sides have one.
            with self._database() as again:
                _psql(again, _dump(url))
                yield again

    @contextmanager
    def built(self, migrated: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The URL of a database that zanith's own operations made from nothing, and what they said:
        seconds, files, operations, and what is left between models and database."""
        script = (HERE / "from_empty.py").read_text()
        with self._database() as url, tempfile.TemporaryDirectory() as files:
            _copy_surroundings(migrated, url)
            arguments = ("shell", "--verbosity", "0", "--command", script)
            text = self.manage(url, *arguments, ZANITH_FILES=files)
            # PostgreSQL spells some expressions otherwise after a dump: all sides have one.
            with self._database() as again:
                _psql(again, _dump(url))
                yield again, json.loads(text.splitlines()[-1])

    @contextmanager
    def _database(self) -> Iterator[str]:
        name = self.server.create_database()
        try:
            yield self.server.url(name)
        finally:
            self.server.drop_database(name)


def _copy_surroundings(source: str, target: str) -> None:
    """What models need beside their tables: extensions, types, collations, functions, sequences.

    A function that takes a row of a table fails here; no model can need one before its table.
    """
    sequences = ";\n".join(text for (text,) in rows(source, (HERE / "sequences.sql").read_text()))
    _psql(target, _dump(source, "--exclude-table=*.*") + sequences.encode(), strict=False)


def _psql(url: str, script: bytes, *, strict: bool = True) -> None:
    command = ["psql", "--no-psqlrc", "--quiet", "--output", os.devnull, url]
    done = subprocess.run(command, input=script, capture_output=True)
    if done.returncode or (strict and b"ERROR" in done.stderr):
        raise Failed(f"psql: {done.stderr.decode()[-2000:]}")


def _dump(url: str, *options: str) -> bytes:
    command = ["pg_dump", "--schema-only", "--no-owner", *options, url]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
