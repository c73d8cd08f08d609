"""The project that every example starts from, and its trial in a process of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.project import MANAGE, SETTINGS, Project
from tests.servers import Database, Server
from tests.verdict.example import FIRST, HEADER, Example

TRIAL = """
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django

django.setup()

from tests.verdict.trial import main

main()
"""


class Base:
    """A database with the tables of the first migration, of which each trial gets a copy."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder, self.count = server, folder, 0
        self.name = server.create_database()
        made = self._project(folder / "base", Database(self.name, server.url(self.name)))
        made.manage("migrate", "-v0", check=True)
        made.write("manage.py", TRIAL)
        self.original = made

    def _project(self, root: Path, database: Database) -> Project:
        made = Project(root, database)
        made.write("manage.py", MANAGE)
        apps = ["django.contrib.contenttypes", "django.contrib.postgres", "zanith_django", "made"]
        made.write("settings.py", SETTINGS.format(apps=apps))
        made.write("made/__init__.py", "")
        made.write("made/migrations/__init__.py", "")
        made.write("made/migrations/0001_initial.py", HEADER + FIRST)
        return made

    def tried(self, example: Example) -> list[str]:
        """What the plan of the example had not said."""
        self.count += 1
        root = self.folder / f"trial_{self.count}"
        shutil.copytree(self.original.root, root, ignore=shutil.ignore_patterns("__pycache__"))
        name = self.server.create_database(self.name)
        try:
            trial = Project(root, Database(name, self.server.url(name)))
            trial.write("example.json", example.as_json())
            done = trial.manage()
            found = root / "found.json"
            if not found.exists():
                return [f"the trial ended with {done.returncode}: {done.stdout}{done.stderr}"]
            return list(json.loads(found.read_text()))
        finally:
            self.server.drop_database(name)
            shutil.rmtree(root)

    def close(self) -> None:
        self.server.drop_database(self.name)


def base(server: Server, folder: Path) -> Iterator[Base]:
    made = Base(server, folder)
    yield made
    made.close()
