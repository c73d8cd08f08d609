"""Runs the peers over the migrations of a project and prints what each of them finds, as JSON.

Runs in the environment of the peers, in the folder of the project: `python lint.py FOLDER`, with
FOLDER for the SQL that squawk reads. {tool: {app: [[rule, level]]}}; null for a missing tool.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, os.getcwd())
os.environ["DJANGO_SETTINGS_MODULE"] = "settings_of_peers"

import django
from django.apps import apps
from django.core.management import call_command

CASE = "0002_case"

Found = dict[str, list[list[str]]]


def main() -> None:
    django.setup()
    folder = Path(sys.argv[1])
    labels = sorted(each.label for each in apps.get_app_configs() if each.label.startswith("case_"))
    tools: dict[str, Callable[[], Found]] = {
        "squawk": lambda: squawk(labels, folder),
        "django-migration-linter": lambda: migration_linter(labels),
        "django-safe-migrations": lambda: safe_migrations(labels),
        "django-deferred-migrations": lambda: deferred(labels),
    }
    print(json.dumps({name: _tried(tool) for name, tool in tools.items()}))


def _tried(tool: Callable[[], Found]) -> Found | None:
    try:
        return tool()
    except (ImportError, FileNotFoundError):
        return None


def squawk(labels: Iterable[str], folder: Path) -> Found:
    """Over the SQL of `sqlmigrate`; where that fails there is nothing to read."""
    program = Path(sys.executable).parent / "squawk"
    found: Found = {}
    for label in labels:
        file, out = folder / f"{label}.sql", StringIO()
        try:
            call_command("sqlmigrate", label, CASE, stdout=out)
        except Exception:
            found[label] = []
            continue
        file.write_text(out.getvalue())
        done = subprocess.run(
            [str(program), "--reporter", "json", str(file)], capture_output=True, text=True
        )
        found[label] = [
            [each["rule_name"], each["level"].lower()] for each in json.loads(done.stdout or "[]")
        ]
    return found


def migration_linter(labels: Iterable[str]) -> Found:
    from django_migration_linter import MigrationLinter
    from django_migration_linter.sql_analyser import analyse_sql_statements

    linter = MigrationLinter(os.getcwd(), no_cache=True, no_output=True)
    found: Found = {}
    for label in labels:
        migration = linter.migration_loader.disk_migrations[(label, CASE)]
        issues: list[tuple[Any, str]] = []
        try:
            sql = linter.get_sql(label, CASE)
        except Exception:
            sql = []
        for errors, _, warnings in (
            analyse_sql_statements(linter.sql_analyser_class, sql, []),
            linter.analyse_data_migration(migration),
        ):
            issues += [(each, "error") for each in errors]
            issues += [(each, "warning") for each in warnings]
        found[label] = [[each.code, level] for each, level in issues]
    return found


def safe_migrations(labels: Iterable[str]) -> Found:
    import django_safe_migrations  # noqa: F401

    out = StringIO()
    with suppress(SystemExit):
        call_command("check_migrations", *labels, "--format", "json", "--new-only", stdout=out)
    found: Found = {label: [] for label in labels}
    for each in json.loads(out.getvalue())["issues"]:
        if each["migration_name"] == CASE:
            found[each["app_label"]].append([each["rule_id"], each["severity"].lower()])
    return found


def deferred(labels: Iterable[str]) -> Found:
    from deferred_migrations.safety.walker import check_installed_project

    found: Found = {label: [] for label in labels}
    for each in check_installed_project():
        if each.app_label in found and each.migration_name == CASE:
            found[each.app_label].append([each.rule_id, "error"])
    return found


if __name__ == "__main__":
    main()
