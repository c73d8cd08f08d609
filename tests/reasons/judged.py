"""The verdict of a plan on every form of every example, without a database."""

from __future__ import annotations

import contextlib
import functools
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.test import override_settings

import zanith_django
from tests.reasons import EXAMPLES
from tests.reasons.example import DJANGO, FIRST, HEADER, SHELL, Example, Form
from zanith_django.files.migration import LoadedMigration
from zanith_django.operations.base import Context, TableFacts
from zanith_django.plan.plan import PlannedStep
from zanith_django.plan.planner import plan
from zanith_django.plan.risk import Assessment
from zanith_django.postgres.names import TableName
from zanith_django.timeline.timeline import build, load_django

SHOP = "shop"


@dataclass(frozen=True)
class Judged:
    """What the plan says of one form; `label` is the app that the form was planned as."""

    label: str
    steps: tuple[PlannedStep, ...]

    @property
    def assessment(self) -> Assessment:
        return Assessment.of(code for step in self.steps for code in step.assessment.reasons)


def every_form() -> Iterator[tuple[str, Example, Form]]:
    """(label, example, form) of all that a plan can judge."""
    for code, example in EXAMPLES.items():
        for which, forms in (("bad", example.bad), ("good", example.good)):
            for number, form in enumerate(forms):
                if form.language != SHELL:
                    yield f"{code}_{which}{number}", example, form


@functools.cache
def judged() -> dict[str, Judged]:
    """{label: the verdict}, of one plan over all of them."""
    forms = list(every_form())
    with _apps(forms):
        loader = load_django(None)
        files = [_file(label, form) for label, _, form in forms if form.language != DJANGO]
        timeline = build(loader, files)
        only = {f"django:{label}.0002_change" for label, _, form in forms}
        only |= {file.id for file in files}
        made = plan(timeline, database="default", context=_context(forms), only=only)
    return {
        migration.entry.app_label: Judged(migration.entry.app_label, migration.steps)
        for migration in made.migrations
    }


def module_text(form: Form, operations: str | None = None) -> str:
    """The part of a migration file that matters."""
    base = "migrations.Migration" if form.language == DJANGO else "zanith.Migration"
    lines = [form.code.rstrip(), "\n"] if form.code else []
    lines.append(f"class Migration({base}):")
    if not form.atomic:
        lines.append("    atomic = False\n")
    body = (operations or form.text).rstrip(",") + ","
    lines += ["    operations = ["]
    lines += [f"        {line}" if line else "" for line in body.splitlines()]
    return "\n".join([*lines, "    ]"])


def _file(label: str, form: Form) -> LoadedMigration:
    operations = eval(f"[{form.text.replace(SHOP, label)}]", {"zanith": zanith_django})
    return LoadedMigration(
        f"zanith_{label}", label, tuple(operations), requires=(f"{label}.0001_first",)
    )


@contextlib.contextmanager
def _apps(forms: list[tuple[str, Example, Form]]) -> Iterator[None]:
    """Each form as an app of its own; what a file says of the app `shop` is about that app."""
    with tempfile.TemporaryDirectory() as folder:
        for label, _, form in forms:
            _write(Path(folder), label, form)
        sys.path.insert(0, folder)
        try:
            with override_settings(INSTALLED_APPS=[label for label, *_ in forms]):
                yield
        finally:
            sys.path.remove(folder)


def _write(folder: Path, label: str, form: Form) -> None:
    migrations = folder / label / "migrations"
    migrations.mkdir(parents=True)
    for package in (migrations, migrations.parent):
        (package / "__init__.py").touch()
    (migrations / "0001_first.py").write_text((HEADER + FIRST).replace(SHOP, label))
    if form.language == DJANGO:
        needs = f'    dependencies = [("{label}", "0001_first")]\n'
        text = module_text(form).replace(SHOP, label) + "\n" + needs
        (migrations / "0002_change.py").write_text(HEADER + text)


def _context(forms: list[tuple[str, Example, Form]]) -> Context:
    facts: Mapping[TableName, TableFacts] = {
        TableName("", f"{label}_book"): TableFacts(example.rows, example.rows * 200)
        for label, example, _ in forms
        if example.rows
    }
    return Context(facts=facts)
