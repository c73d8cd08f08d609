"""zanith_plan in CI, where there is a repository and no database."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.copies import Copy
from tests.project import SETTINGS, Project
from tests.releases import Releases

BOOK = """
from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=20)
"""

CHANGED = """
from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=20, unique=True)


class Shelf(models.Model):
    name = models.CharField(max_length=20, db_index=True)
"""

FIRST, SECOND = "20260101_000000_shop_initial", "20260102_000000_shelves"


def git(project: Project, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    command = ["git", *identity, *arguments]
    subprocess.run(command, cwd=project.root, check=True, capture_output=True)


def a_branch(releases: Releases) -> None:
    """`main` has the first migration, the branch that is checked out a second one."""
    project = releases.project
    project.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    project.write(".gitignore", "__pycache__\n")
    project.add_app("shop", BOOK)
    project.manage("zanith_generate", "--timestamp", "20260101_000000", check=True)
    git(project, "init", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    git(project, "checkout", "-b", "branch")
    project.write("shop/models.py", CHANGED)
    arguments = ("--timestamp", "20260102_000000", "--name", "shelves")
    project.manage("zanith_generate", *arguments, check=True)
    git(project, "add", ".")
    git(project, "commit", "-m", "second")


@pytest.fixture
def branch(copy_of: Copy) -> Project:
    return copy_of(a_branch).project


def planned(project: Project, *arguments: str) -> dict[str, Any]:
    """The plan of a process that can reach no database."""
    nowhere = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/shop"}
    done = project.manage("zanith_plan", *arguments, "--format", "json", env=nowhere)
    assert "Traceback" not in done.stderr
    plan: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == int(plan["blocked"])
    return plan


def levels(plan: dict[str, Any]) -> dict[str, str]:
    (migration,) = plan["migrations"]
    return {f"{s['kind']} {s['target']}": s["level"] for s in migration["steps"]}


def test_the_files_of_a_branch_are_scored_without_a_database(branch: Project) -> None:
    plan = planned(branch, "--since", "main")
    assert [migration["id"] for migration in plan["migrations"]] == [SECOND]
    assert levels(plan)["createTable shop_shelf"] == "safe"
    assert levels(plan)["addUnique shop_book(title)"] == "high"


def test_single_files_can_be_named(branch: Project) -> None:
    assert levels(planned(branch, "--only", FIRST)) == {"createTable shop_book": "safe"}
    assert planned(branch, "--only", FIRST, SECOND)["by_level"]["high"] == 0


def test_a_budget_blocks_the_branch(branch: Project) -> None:
    plan = planned(branch, "--since", "main", "--max-risk", "35")
    assert [refusal["gate"] for refusal in plan["refusals"]] == ["budget"]
    named = planned(branch, "--since", "main", "--fail-on", "adds_unique_constraint")
    assert [refusal["gate"] for refusal in named["refusals"]] == ["reasons"]


def test_sizes_from_production_make_it_exact(branch: Project) -> None:
    branch.manage("zanith_apply", "--to", FIRST, check=True)
    branch.sql("INSERT INTO shop_book (title) SELECT n::text FROM generate_series(1, 5000) AS n")
    branch.sql("ANALYZE shop_book")
    graph = branch.manage("zanith_diff", "live", "--format", "graph", check=True).stdout
    branch.write("sizes.json", graph)
    plan = planned(branch, "--since", "main", "--sizes", "sizes.json")
    rows = {s["target"]: s["rows"] for s in plan["migrations"][0]["steps"]}
    assert rows["shop_book(title)"] == 5000

    branch.manage("zanith_verify", "--from", "sizes.json", "--shadow", "ephemeral", check=True)


def test_a_migration_without_a_file_blocks(branch: Project) -> None:
    branch.write("shop/models.py", CHANGED + "    floor = models.IntegerField(null=True)\n")
    branch.manage("makemigrations", "-n", "floor", "-v0", check=True)
    (refusal,) = planned(branch, "--since", "main")["refusals"]
    assert (refusal["gate"], refusal["migration"]) == ("coverage", "shop.0003_floor")
    assert "run zanith_generate shop" in refusal["message"]


def test_a_ref_that_is_none_is_named(branch: Project) -> None:
    done = branch.manage("zanith_plan", "--since", "nowhere")
    assert done.returncode == 2
    assert "Name a branch, tag or commit." in done.stderr


def test_a_reason_is_explained(branch: Project) -> None:
    done = branch.manage("zanith_plan", "--explain", "adds_index", check=True)
    assert done.stdout == (
        "adds_index · low (15)\n"
        "  Builds an index. The build reads the whole table. Built concurrently it blocks\n"
        "  neither readers nor writers, but waits for transactions that are older than\n"
        "  itself.\n"
        "  Safer: Build it concurrently, and at a quiet hour if the table is large.\n"
        "  PostgreSQL: https://www.postgresql.org/docs/current/sql-createindex.html"
        "#SQL-CREATEINDEX-CONCURRENTLY\n"
        "  Examples: docs/reasons/adds_index.md\n"
    )


def test_a_git_ref_says_what_the_release_knows(branch: Project) -> None:
    planned_since = planned(branch, "--since", "main", "--previous", "main")
    assert levels(planned_since)["addUnique shop_book(title)"] == "high"
    later = planned(branch, "--since", "main", "--previous", "branch")
    assert levels(later)["addUnique shop_book(title)"] == "medium"
    unknown = branch.manage("zanith_plan", "--previous", "nowhere", "--format", "json")
    assert unknown.returncode == 2
    assert "nowhere" in unknown.stderr or "single revision" in unknown.stderr
