"""Written files pass mypy --strict and ruff, whatever operations they hold."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.examples import SETUP, examples
from tests.operations.test_contract import begin
from tests.place import Connection, Place
from tests.servers import Database
from zanith_django.files.files import render_init, render_migration
from zanith_django.operations import RunPython

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def folder(
    database: Database, shared_connection: Connection, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A file for every example of every kind, and one of each other shape."""
    package = tmp_path_factory.mktemp("written") / "zanith_migrations"
    package.mkdir()
    (package / "__init__.py").write_text(render_init("shop", "0006_six"))
    for number, (name, example) in enumerate(examples()):
        place = Place(database, shared_connection)
        try:
            place.execute(SETUP)
            operation, _ = begin(place, example)
            text = render_migration([operation], covers=["shop.0001_initial"], title="Does it.")
            path = package / f"20260101_{number:06d}_{name.replace('-', '_')}.py"
            path.write_text(text)
        except pytest.skip.Exception:
            continue
        finally:
            place.remove()
    python = RunPython(migration="shop.0002_two", position=1, description="RunPython two()")
    (package / "20260102_000000_python.py").write_text(render_migration([python]))
    empty = render_migration([], requires=["shop.0001_initial", "shop.0002_two"])
    (package / "20260102_000001_empty.py").write_text(empty)
    return package


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder.parent, capture_output=True, text=True
    )
    return done.stdout + done.stderr if done.returncode else ""


def test_mypy_is_strictly_content(folder: Path) -> None:
    # mypy reports no errors of an installed package; here it reads ours as sources
    untyped = "[mypy-pgparse.*]\nignore_missing_imports = True\n"
    (folder.parent / "mypy.ini").write_text(f"[mypy]\nmypy_path = {REPOSITORY}\n{untyped}")
    command = ("mypy", "--strict", "--config-file", "mypy.ini", str(folder))
    assert run(*command, folder=folder) == ""


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_is_content(folder: Path, command: Sequence[str]) -> None:
    # Files of Django break the first one too; the second lets digits begin in `migrations/` only.
    like_django = "lint.ignore = ['RUF012', 'N999']"
    options = ["--isolated", "--no-cache", "--config", "line-length = 100"]
    options += ["--config", like_django] if command == ["check"] else []
    assert run("ruff", *command, *options, str(folder), folder=folder) == ""
