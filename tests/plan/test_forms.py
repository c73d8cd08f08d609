"""One change has one verdict: as Django's migration, as a generated file, live and offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.plan.migrations import CASES, write
from tests.project import MANAGE, SETTINGS, Project
from tests.render.test_formats import SCHEMA, closed
from tests.servers import Database, Server

# {case: (level as Django runs it, level as it is generated)}; the online form has less to fear.
LEVELS = {
    "wider varchar": ("safe", "safe"),
    "varchar to text": ("safe", "safe"),
    "help text": ("safe", ""),
    "state only": ("safe", ""),
    "constant in the database": ("safe", "safe"),
    "check not valid": ("low", "low"),
    "new model": ("safe", "safe"),
    "comment in SQL": ("safe", "safe"),
    "index": ("medium", "low"),
    "int to bigint": ("high", "medium"),
    "random in the database": ("high", "medium"),
    "foreign key": ("high", "medium"),
    "required column": ("high", "high"),
    "not null": ("high", "high"),
    "bool to int": ("high", "high"),
    "text to json": ("high", "high"),
    "int to smallint": ("high", "high"),
    "unique": ("high", "high"),
    "check": ("high", "high"),
    "one to one": ("high", "high"),
    "rename model": ("high", "high"),
    "remove field": ("destructive", "destructive"),
    "delete model": ("destructive", "destructive"),
    "drop table in SQL": ("destructive", "destructive"),
    "drop column in SQL": ("destructive", "destructive"),
    "separate, second operation": ("destructive", "destructive"),
    "a block that drops": ("destructive", "destructive"),
    "no SQL": ("destructive", "destructive"),
    "delete of all": ("destructive", "destructive"),
    "a helper": ("destructive", "destructive"),
    "update all": ("high", "high"),
    "update of all": ("high", "high"),
    "lock table": ("high", "high"),
    "a function": ("high", "high"),
    "a loop over all rows": ("medium", "medium"),
    "update some": ("medium", "medium"),
}

USED = [case for case in CASES if case.name in LEVELS]


@pytest.fixture(scope="module")
def project(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    name = server.create_database()
    made = Project(tmp_path_factory.mktemp("forms"), Database(name, server.url(name)))
    write(made.root, USED)
    apps = ["django.contrib.postgres", "zanith_django", *(case.app for case in USED)]
    made.write("manage.py", MANAGE)
    made.write("settings.py", SETTINGS.format(apps=apps))
    later = [made.root / case.app / "migrations" / "0002_case.py" for case in USED]
    for file in later:
        file.rename(file.with_suffix(".later"))
    made.manage("migrate", "-v0", check=True)
    for file in later:
        file.with_suffix(".later").rename(file)
    rows = "INSERT INTO {0}_parent (code) VALUES (1); INSERT INTO {0}_item (rank, active, indexed)"
    rows += " SELECT n, true, n FROM generate_series(1, 50) AS n;"
    made.sql("".join(rows.format(case.app) for case in USED))
    yield made
    server.drop_database(name)


def valid(text: str) -> dict[str, Any]:
    """The JSON of a plan, which is what docs/plan.schema.json says."""
    made: dict[str, Any] = json.loads(text)
    Draft202012Validator(closed(SCHEMA)).validate(made)
    return made


def planned(project: Project, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    done = project.manage("zanith_plan", *arguments, "--max-risk", "100", "--format", "json")
    assert done.stdout, done.stderr
    migrations = valid(done.stdout)["migrations"]
    found: dict[str, list[dict[str, Any]]] = {}
    for migration in migrations:
        covered = migration["covers"] or [migration["id"].removeprefix("django:")]
        for name in covered:
            if name.endswith(".0002_case"):
                found[name.partition(".")[0]] = migration["steps"]
    return found


def levels(steps: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    worst = {
        app: max(each, key=lambda step: step["score"])["level"] if each else ""
        for app, each in steps.items()
    }
    return {case.name: worst.get(case.app, "") for case in USED}


_SAID = ("kind", "level", "score", "reasons", "locks", "breaks", "reversible", "undo")


def verdicts(steps: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The verdict on every step, without what only a database knows."""
    return {
        app: [{name: step.get(name) for name in _SAID} for step in each]
        for app, each in steps.items()
    }


def test_every_form_of_a_change_has_its_verdict(project: Project) -> None:
    as_django = {name: level for name, (level, _) in LEVELS.items()}
    assert levels(planned(project)) == as_django

    for case in USED:
        project.write(f"{case.app}/zanith_migrations/__init__.py", 'covered_after = "0001_initial"')
    project.manage("zanith_generate", check=True)
    as_generated = {name: level for name, (_, level) in LEVELS.items()}
    live = planned(project)
    assert levels(live) == as_generated

    files = [
        path.stem
        for case in USED
        for path in sorted((project.root / case.app / "zanith_migrations").glob("2*.py"))
        if f'"{case.app}.0002_case"' in path.read_text()
    ]
    nowhere = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/shop"}
    done = project.manage("zanith_plan", "--only", *files, "--format", "json", env=nowhere)
    offline = {
        migration["covers"][0].partition(".")[0]: migration["steps"]
        for migration in valid(done.stdout)["migrations"]
    }
    assert levels(offline) == as_generated
    assert verdicts(offline) == verdicts(live)
