"""Names the dangers of the same migrations beside the field's linters, in one run.

    python -m benchmarks.peers [--peers PYTHON] [--server WORD] [--cases]

Every case of `cases.py` is judged as Django runs it and as `zanith_generate` writes it, with a
database of 1,000 rows a table and without one (`--since`, `--only`, `--sizes`). The generated files
are then applied, and a danger that the plan scores below medium counts as made safe only if no
session had to wait for a table while its rows were worked through. `--peers` is the Python of an
environment with `requirements.txt`; without it only zanith runs. Exit 1 if zanith misses a danger
or raises a false alarm.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.cases import CASES, HARMLESS, HAZARDS, ROWS, Case
from tests.project import MANAGE, SETTINGS, Project
from tests.servers import CHOICE, Database, shared_server

HERE = Path(__file__).parent
PEERS_PAGE = HERE.parent.parent / "docs" / "peers.md"
MEDIUM = 35
BASE = ["django.contrib.contenttypes", "django.contrib.postgres", "zanith_django"]
OF_PEERS = """
import importlib.util

from settings import *

TOOLS = ("django_migration_linter", "django_safe_migrations", "deferred_migrations")
INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "zanith_django"]
INSTALLED_APPS += [tool for tool in TOOLS if importlib.util.find_spec(tool)]
"""

APPLYING = """
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django

django.setup()

from benchmarks.peers.measure import main

main()
"""

# Matters of style, which no one would call a false alarm.
STYLE = {
    "prefer-robust-stmts", "prefer-text-field", "prefer-bigint-over-int", "prefer-identity",
    "prefer-bigint-over-smallint", "prefer-timestamptz", "require-timeout-settings", "SM035",
    "require-lock-timeout", "require-statement-timeout", "require-table-schema", "ban-char-field",
}  # fmt: skip


@dataclass
class Score:
    """How one tool did in one form. A danger is named, made safe (and measured), or missed."""

    tool: str
    form: str
    named: set[str] = field(default_factory=set)
    safe: set[str] = field(default_factory=set)
    alarms: set[str] = field(default_factory=set)

    @property
    def missed(self) -> set[str]:
        return {case.name for case in HAZARDS} - self.named - self.safe

    @property
    def row(self) -> str:
        cells = (self.tool, self.form, self.named, self.safe, self.missed, self.alarms)
        return "| " + " | ".join(c if isinstance(c, str) else str(len(c)) for c in cells) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", help="The Python of the peers' environment.")
    parser.add_argument("--server", help=f"As {CHOICE} of the tests.")
    parser.add_argument("--cases", action="store_true", help="List what each tool got wrong.")
    given = parser.parse_args()
    if given.server:
        os.environ[CHOICE] = given.server
    with prepared(CASES) as project:
        untouched = shared_server().create_database(project.database.name)
        scores = of_zanith(project)
        if given.peers:
            scores += of_peers(project, given.peers, shared_server().url(untouched))
    shared_server().drop_database(untouched)
    show(scores, cases=given.cases)
    ours = [score for score in scores if score.tool == "zanith"]
    return int(any(score.missed or score.alarms for score in ours))


def show(scores: Iterable[Score], *, cases: bool) -> None:
    print(f"{len(HAZARDS)} dangers, {len(HARMLESS)} harmless changes\n")
    print("| tool | form | named | made safe | missed | false alarms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for score in scores:
        print(score.row)
    for score in scores if cases else ():
        print(f"\n{score.tool}, {score.form}")
        for words, names in (("missed", score.missed), ("false alarms", score.alarms)):
            print(f"  {words}: {', '.join(sorted(names)) or '-'}")
        if score.safe:
            print(f"  made safe: {', '.join(sorted(score.safe))}")


# --- the project ---------------------------------------------------------------------------------


@contextmanager
def prepared(cases: Sequence[Case]) -> Iterator[Project]:
    """A project in which the first migration of each case is applied and committed to git."""
    server = shared_server()
    name = server.create_database()
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), Database(name, server.url(name)))
        fill(project, cases)
        yield project
    server.drop_database(name)


def fill(project: Project, cases: Sequence[Case]) -> None:
    project.write("manage.py", MANAGE)
    project.write("settings.py", SETTINGS.format(apps=[*BASE, *(case.app for case in cases)]))
    project.write("settings_of_peers.py", OF_PEERS)
    for case in cases:
        case.write(project.root)
    later = [project.root / case.app / "migrations" / "0002_case.py" for case in cases]
    texts = [file.read_text() for file in later]
    for file in later:
        file.unlink()
    project.manage("migrate", "-v0", check=True)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *words], cwd=project.root, check=True)
    project.sql("".join(ROWS.replace("{app}", case.app) for case in cases))
    for file, text in zip(later, texts, strict=True):
        file.write_text(text)


# --- zanith --------------------------------------------------------------------------------------


def of_zanith(project: Project) -> list[Score]:
    django = [f"django:{case.app}.0002_case" for case in CASES]
    scores = [
        judged("Django's, live", plan(project)),
        judged("Django's, --only", plan(project, "--only", *django)),
        judged("Django's, --since", plan(project, "--since", "HEAD")),
    ]
    generated(project, CASES)
    sizes = project.write(
        "sizes.json", project.manage("zanith_diff", "live", "--format", "graph").stdout
    )
    files = [path.stem for path in sorted(project.root.glob("case_*/zanith_migrations/2*.py"))]
    plans = {
        "generated, live": plan(project),
        "generated, --only": plan(project, "--only", *files),
        "generated, --since": plan(project, "--since", "HEAD"),
        "generated, --sizes": plan(project, "--only", *files, "--sizes", str(sizes)),
    }
    found = [judged(form, each) for form, each in plans.items()]
    waits = measured({name for score in found for name in score.missed})
    return scores + [judged(form, each, waits) for form, each in plans.items()]


def generated(project: Project, cases: Iterable[Case]) -> None:
    for case in cases:
        project.write(f"{case.app}/zanith_migrations/__init__.py", 'covered_after = "0001_initial"')
    applying(project, "generate")


Steps = dict[str, list[dict[str, Any]]]


def plan(project: Project, *arguments: str) -> Steps:
    """{app: the steps of its second migration}."""
    done = project.manage("zanith_plan", *arguments, "--max-risk", "100", "--format", "json")
    if not done.stdout:
        raise SystemExit(f"zanith_plan {' '.join(arguments[:1])}: {done.stderr}")
    found: Steps = {}
    for migration in json.loads(done.stdout)["migrations"]:
        names = migration["covers"] or [migration["id"].removeprefix("django:")]
        for name in names:
            found[name.partition(".")[0]] = migration["steps"]
    return found


def judged(form: str, steps: Steps, waits: Mapping[str, list[str]] | None = None) -> Score:
    score = Score("zanith", form)
    for case in CASES:
        risky = [step for step in steps.get(case.app, ()) if step["score"] >= MEDIUM]
        reasons = {code for step in risky for code in step["reasons"]}
        if not case.hazard:
            score.alarms |= {case.name} if risky else set()
        elif reasons & set(case.reasons.split()):
            score.named.add(case.name)
        elif waits is not None and case.app not in waits and "" not in waits:
            score.safe.add(case.name)
    return score


def measured(names: set[str]) -> dict[str, list[str]]:
    """What had to wait while the generated files of these cases ran."""
    cases = [case for case in CASES if case.name in names]
    with prepared(cases) as project:
        generated(project, cases)
        found: dict[str, list[str]] = json.loads(applying(project, "apply"))
    for line in found.get("", ()):
        print(f"a step failed, nothing counts as made safe: {line}", file=sys.stderr)
    return found


def applying(project: Project, word: str) -> str:
    project.write("manage.py", APPLYING)
    done = project.manage(word)
    if done.returncode or not done.stdout:
        raise SystemExit(f"{word}: {done.stdout}{done.stderr}")
    project.write("manage.py", MANAGE)
    return done.stdout


# --- the peers -----------------------------------------------------------------------------------


def of_peers(project: Project, python: str, url: str) -> list[Score]:
    """Over the same migrations, on a database that has only the first ones."""
    environment = {**os.environ, "DATABASE_URL": url}
    run = [str(Path(python).absolute()), str(HERE / "lint.py")]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*run, folder], cwd=project.root, env=environment, capture_output=True, text=True
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    for tool, issues in found.items():
        if issues is None:
            print(f"{tool} is not installed (see requirements.txt)", file=sys.stderr)
    return [scored(tool, issues) for tool, issues in found.items() if issues is not None]


def scored(tool: str, issues: Mapping[str, list[list[str]]]) -> Score:
    score = Score(tool, "Django's")
    known = meanings()
    for case in CASES:
        found = {
            rule
            for rule, level in issues.get(case.app, ())
            if level != "info" and rule not in STYLE
        }
        meant = {code for rule in found for code in known.get(rule, ())}
        if not case.hazard:
            score.alarms |= {case.name} if found else set()
        elif meant & set(case.reasons.split()):
            score.named.add(case.name)
    return score


def meanings() -> dict[str, set[str]]:
    """{rule of a peer: the reasons that docs/peers.md has for it}."""
    rows = re.findall(r"^\| ([\w-]+)[^|]* \| ([^|]*) \|", PEERS_PAGE.read_text(), re.MULTILINE)
    return {rule: set(re.findall(r"`(\w+)`", here)) for rule, here in rows}


if __name__ == "__main__":
    sys.exit(main())
