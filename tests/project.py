"""A small Django project in a folder of its own, run by `manage.py` in a process of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any, Protocol

import pytest

from tests import prefork
from tests.servers import Database

REPOSITORY = Path(__file__).parent.parent

SETTINGS = """
import environ

SECRET_KEY = "only for tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {{"default": environ.Env().db("DATABASE_URL")}}
INSTALLED_APPS = {apps!r}
ZANITH = {{}}
"""

MANAGE = """
import os, sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
execute_from_command_line(sys.argv)
"""

BASE_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "zanith_django"]


@dataclass(frozen=True, slots=True)
class Project:
    """A Django project on disk and the database that it runs against."""

    root: Path
    database: Database

    def manage(
        self, *arguments: str, check: bool = False, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` with these arguments; with `check`, a failure shows what it printed."""
        environment = {**self.environment(), **(env or {})}
        done = prefork.manage(arguments, self.root, environment)
        if check and done.returncode:
            said = f"exit {done.returncode}\n{done.stdout}{done.stderr}"
            pytest.fail(f"manage.py {' '.join(arguments)}: {said}")
        return done

    def environment(self) -> dict[str, str]:
        """The environment of this project's processes, for tests that start one themselves."""
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "ZANITH_"))
        }
        path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
        return inherited | {"DATABASE_URL": self.database.url, "PYTHONPATH": path}

    def write(self, path: str, text: str) -> Path:
        """Write a file under the project's folder, with the indentation of a test taken off."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(dedent(text).lstrip("\n"))
        return target

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement on the project's database; its rows, or none where it returns none."""
        with self.database.connect() as connection:
            cursor = connection.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def add_app(self, label: str, models: str) -> None:
        """Write an app with an empty `migrations` package; the settings must name it already."""
        self.write(f"{label}/__init__.py", "")
        self.write(f"{label}/migrations/__init__.py", "")
        self.write(f"{label}/models.py", models)


class BuildProject(Protocol):
    """The fixture `project`: called with the text of each app's models.py."""

    def __call__(self, apps: Mapping[str, str], *, settings: str = "") -> Project: ...


@pytest.fixture
def project(tmp_path: Path, fresh_database: Database) -> BuildProject:
    """Builds a project: `project({"shop": "…models.py…"}, settings="ZANITH = {…}")`."""

    def build(apps: Mapping[str, str], *, settings: str = "") -> Project:
        built = Project(tmp_path, fresh_database)
        built.write("manage.py", MANAGE)
        built.write("settings.py", SETTINGS.format(apps=[*BASE_APPS, *apps]) + dedent(settings))
        for label, models in apps.items():
            built.add_app(label, models)
        return built

    return build
