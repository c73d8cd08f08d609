"""Where a plan's steps are in a repository: files of ours and of Django, by path and line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.copies import Copy
from tests.plan.test_offline_plan import SECOND, a_branch
from tests.project import Project
from zanith_django.timeline.sources import in_repository

NOWHERE = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/shop"}


@pytest.fixture
def branch(copy_of: Copy) -> Project:
    return copy_of(a_branch).project


def annotated(project: Project, *arguments: str) -> dict[str, str]:
    """{path:line of an annotation: the text of that line}"""
    done = project.manage("zanith_plan", *arguments, "--format", "github", env=NOWHERE)
    assert done.returncode == 1, done.stderr
    places = re.findall(r"^::error file=([^,]+),line=(\d+)", done.stdout, re.MULTILINE)
    return {
        f"{path}:{number}": (project.root / path).read_text().splitlines()[int(number) - 1].strip()
        for path, number in places
    }


def test_a_step_of_ours_is_on_the_line_of_its_operation(branch: Project) -> None:
    found = annotated(branch, "--since", "main", "--max-risk", "35")
    ((place, text),) = found.items()
    assert place.startswith(f"shop/zanith_migrations/{SECOND}.py:")
    assert text.startswith("zanith.AddUnique(")


def test_an_operation_of_djangos_is_on_its_line(branch: Project) -> None:
    (branch.root / "shop" / "zanith_migrations" / f"{SECOND}.py").unlink()
    found = annotated(branch, "--since", "main", "--max-risk", "35")
    texts = {text for place, text in found.items() if place.startswith("shop/migrations/0002_")}
    assert texts == {"operations = [", "migrations.AlterField("}  # its missing file, and the step


def test_sarif_of_a_branch_has_the_same_line(branch: Project) -> None:
    arguments = ("zanith_plan", "--since", "main", "--max-risk", "35", "--format", "sarif")
    done = branch.manage(*arguments, env=NOWHERE)
    results = json.loads(done.stdout)["runs"][0]["results"]
    errors = [result for result in results if result["level"] == "error"]
    lines = {each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in errors}
    (place,) = annotated(branch, "--since", "main", "--max-risk", "35")
    assert lines == {int(place.rpartition(":")[2])}


def test_a_path_begins_at_the_top_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    inside, outside = tmp_path / "repository" / "backend" / "a.py", tmp_path / "lib" / "b.py"
    monkeypatch.chdir(tmp_path / "repository")
    assert in_repository(inside) == "backend/a.py"
    assert in_repository(outside) == outside.as_posix()
    monkeypatch.chdir(tmp_path)
    assert in_repository(outside) == "lib/b.py"
