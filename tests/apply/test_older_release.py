"""An older release may be deployed over a newer one; a file that is missing in between may not."""

from __future__ import annotations

import json

import pytest

from tests.copies import Copy
from tests.ledger.test_content import FIRST, SECOND, USERS, two_releases
from tests.project import Project

NEWER = f"newer than every file here: an older release is deployed.\n  {SECOND}\n"
GONE = f"{FIRST} is applied, and its file people/zanith_migrations/{FIRST}.py is gone"


@pytest.fixture
def project(copy_of: Copy) -> Project:
    return copy_of(two_releases).project


@pytest.fixture
def older(project: Project) -> Project:
    """The code of the first release on the database of the second."""
    fields = "email = models.TextField()\n    one = models.TextField(null=True)"
    project.write("people/models.py", USERS.format(fields=fields))
    (project.root / "people/migrations/0003_two.py").unlink()
    (project.root / f"people/zanith_migrations/{SECOND}.py").unlink()
    return project


@pytest.mark.parametrize("command", ["zanith_plan", "zanith_status", "zanith_apply"])
def test_newer_migrations_are_noted(older: Project, command: str) -> None:
    done = older.manage(command, check=True)
    assert NEWER in done.stdout


def test_newer_migrations_are_in_the_json(older: Project) -> None:
    for command in ("zanith_plan", "zanith_status"):
        data = json.loads(older.manage(command, "--format", "json", check=True).stdout)
        assert data["newer"] == [SECOND]


def test_an_older_release_verifies(older: Project) -> None:
    assert older.manage("zanith_verify", check=True).stdout.count("ok · ") == 1
    older.manage("zanith_apply", "--verify", check=True)


def test_the_newer_release_goes_on_afterwards(project: Project, older: Project) -> None:
    older.manage("zanith_apply", check=True)
    assert project.sql("SELECT id FROM _zanith_migrations WHERE id = %s", SECOND) == [(SECOND,)]


@pytest.mark.parametrize("command", ["zanith_plan", "zanith_apply", "zanith_verify"])
def test_a_file_missing_in_between_is_refused(project: Project, command: str) -> None:
    (project.root / f"people/zanith_migrations/{FIRST}.py").unlink()
    done = project.manage(command)
    assert done.returncode == 1
    assert GONE in " ".join((done.stdout + done.stderr).split())  # lines wrap
    assert GONE in project.manage("zanith_status", check=True).stdout


def test_the_release_before_the_first_file_is_an_older_one(older: Project) -> None:
    older.write("people/models.py", USERS.format(fields="email = models.TextField()"))
    (older.root / "people/migrations/0002_one.py").unlink()
    (older.root / f"people/zanith_migrations/{FIRST}.py").unlink()
    assert f"an older release is deployed.\n  {FIRST}\n" in older.manage("zanith_apply").stdout


def test_no_file_at_all_is_no_older_release(project: Project) -> None:
    for name in (FIRST, SECOND):
        (project.root / f"people/zanith_migrations/{name}.py").unlink()
    assert GONE in project.manage("zanith_apply").stderr
