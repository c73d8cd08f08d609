"""`generate` writes the files of all cases, `apply` runs them and prints what had to wait, as JSON.

Runs in the folder of the project. {app: ["readers of TABLE during SQL"]}, and "" with the error if
a step failed. The cases have no models: `zanith_generate` would ask makemigrations to delete them.
"""

from __future__ import annotations

import json
import sys

from django.apps import apps
from django.db import connections

from tests.verdict.gauge import Gauge, Wait
from tests.verdict.world import contents
from zanith_django.apply.apply import apply
from zanith_django.apply.state import ApplyOptions
from zanith_django.exceptions import ZanithError
from zanith_django.generate.generate import Request, generate


def generated() -> None:
    cases = tuple(each for each in apps.get_app_configs() if each.label.startswith("case_"))
    made = generate(connections["default"], Request(cases))
    for file in made.files:
        file.write()
    print(len(made.files))


def applied() -> None:
    connection = connections["default"]
    connection.ensure_connection()
    tables = contents(connection.connection)
    gauge = Gauge(connection, {oid for oid, table in tables.items() if table.rows})
    gauge.start()
    found: dict[str, list[str]] = {}
    try:
        apply(connection, ApplyOptions(gated=False, preflight=False), observer=gauge)
    except ZanithError as error:
        found[""] = [str(error)]
    for wait in sorted(gauge.waits, key=str):
        found.setdefault(_app(wait), []).append(_words(wait))
    print(json.dumps(found))


def _app(wait: Wait) -> str:
    """The app of a table: its name begins with that of the case."""
    return wait.table.rpartition("_t")[0].rpartition("_ref")[0] or wait.table.rpartition("_")[0]


def _words(wait: Wait) -> str:
    who = "readers" if wait.lock.blocks_reads else "writers"
    return f"{who} of {wait.table} during {wait.sql}"


def main() -> None:
    (generated if sys.argv[1:] == ["generate"] else applied)()
