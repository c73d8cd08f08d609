"""The recipes for CI run as they are on the page: their commands, their tests, their hooks."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from tests.copies import Copy
from tests.plan.test_offline_plan import a_branch, git
from tests.project import REPOSITORY, Project

PAGE = (REPOSITORY / "docs" / "ci.md").read_text()
BLOCKS = dict(re.findall(r"^## (.+?)\n.*?^```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
COMMAND = re.compile(r"python manage\.py (zanith_.*)")


@pytest.fixture
def branch(copy_of: Copy) -> Project:
    project = copy_of(a_branch).project
    git(project, "update-ref", "refs/remotes/origin/main", "main")
    return project


@pytest.mark.parametrize("system", ["GitHub Actions", "GitLab CI"])
def test_a_recipe_checks_the_branch(branch: Project, system: str) -> None:
    commands = [shlex.split(line) for line in COMMAND.findall(BLOCKS[system])]
    assert [words[0] for words in commands] == ["zanith_generate", "zanith_plan", "zanith_verify"]
    results = [branch.manage(*words) for words in commands]
    assert [result.returncode for result in results] == [0, 1, 0], results
    assert "addUnique" in results[1].stdout


def test_every_hook_runs_as_it_is(branch: Project) -> None:
    hooks = (REPOSITORY / ".pre-commit-hooks.yaml").read_text()
    found = dict(re.findall(r"- id: (\S+)\n(?:  .*\n)*?  entry: python manage\.py (.*)", hooks))
    assert {*re.findall(r"- id: (\S+)", BLOCKS["pre-commit"])} == found.keys()
    codes = {name: branch.manage(*shlex.split(words)).returncode for name, words in found.items()}
    assert codes == {"zanith-generate-check": 0, "zanith-plan": 0}


def test_the_tests_of_the_page_find_what_they_are_for(branch: Project) -> None:
    branch.write("test_migrations.py", BLOCKS["In the tests of the project"])
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider"]
    arguments = ["-q", "--ds=settings", "-c", "/dev/null", "--rootdir=.", "test_migrations.py"]
    environment = branch.environment()
    done = subprocess.run(
        [*command, *arguments], cwd=branch.root, env=environment, capture_output=True, text=True
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "addUnique) scores 60 · over the budget of 35" in done.stdout
    assert "Run zanith_plan --since origin/main --max-risk 35" in done.stdout
