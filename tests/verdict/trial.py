"""One trial, in a process of its own: plan, apply, and whatever the plan had not said."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connections, transaction
from django.db.migrations.state import ProjectState

from tests.verdict.example import HEADER, Example, Written
from tests.verdict.gauge import Gauge
from tests.verdict.judge import Trial, complaints
from tests.verdict.world import contents, fill
from zanith_django.apply.apply import apply
from zanith_django.apply.state import ApplyOptions
from zanith_django.exceptions import UnreadableModel, ZanithError
from zanith_django.files.files import render_init
from zanith_django.generate.generate import Request, generate
from zanith_django.plan.pending import pending_files, pending_on
from zanith_django.plan.preflight import Look, looked_at

APP = "made"
connection = connections["default"]  # the same in every thread

PATIENCE = 120  # seconds until a trial that hangs shows where

MIGRATION = """
class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("made", "{previous}")]
    operations = [
{operations}
    ]
"""


def run(example: Example) -> list[str]:
    """What the plan had not said, one line each."""
    names = write(example)
    connection.close()  # the gauge would count what this session wrote and rolled back
    fill(os.environ["DATABASE_URL"], example)
    try:
        if example.covered_after:
            cover(example)
    except UnreadableModel:  # two fields with one column: no database can have it
        return []
    pending = pending_on(connection)
    planned = looked_at(connection, pending.plan, pending.context, Look())
    offline = pending_files(only=[m.id for m in planned.migrations], database="default").plan
    before = contents(connection.connection)
    gauge = Gauge(connection, {oid for oid, table in before.items() if table.rows})
    gauge.start()
    error = performed(gauge)
    if error and not connection.is_usable():
        connection.close()
    connection.ensure_connection()
    after = contents(connection.connection)
    trial = Trial(planned, offline, gauge, before, after, error)
    assert names
    return list(complaints(trial))


def performed(gauge: Gauge) -> BaseException | None:
    options = ApplyOptions(gated=False, preflight=False)
    try:
        apply(connection, options, observer=gauge)
    except ZanithError as error:
        return error
    return None


# --- files ---------------------------------------------------------------------------------------


def write(example: Example) -> list[str]:
    """The files of Django's migrations. What is wanted as SQL is the SQL that Django runs."""
    folder = Path(APP, "migrations")
    previous, found = "0001_initial", []
    with transaction.atomic():
        state, spell = _state(), _Speller()
        for number, operations in enumerate(example.migrations, 2):
            name = f"{number:04d}_case"
            texts = [spell(each, state) for each in operations]
            codes = [*(each.code for each in operations), *spell.taken()]
            body = "".join(f"        {text},\n" for text in texts)
            text = MIGRATION.format(atomic=example.atomic, previous=previous, operations=body)
            (folder / f"{name}.py").write_text(HEADER + "\n\n" + "".join(codes) + text)
            found.append(name)
            previous = name
        transaction.set_rollback(True)
    return found


def _state() -> ProjectState:
    from django.db.migrations.loader import MigrationLoader

    return MigrationLoader(None).project_state([(APP, "0001_initial")])


def _separate(database: str, state: str) -> str:
    return f"migrations.SeparateDatabaseAndState([{database}], [{state}])"


class _Speller:
    """Spells an operation in its form; moves a database along that is rolled back later."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        exec(HEADER, self.names)  # our own text
        self.codes: list[str] = []
        self.lost = False  # something failed: no SQL is known from here on

    def __call__(self, written: Written, state: ProjectState) -> str:
        if written.code:
            exec(written.code, self.names)
        operation = eval(written.text, self.names)
        before = state.clone()
        operation.state_forwards(APP, state)
        sql = self._sql(operation, before, state)
        if written.form == "separate":
            return _separate(written.text, written.text)
        if written.form == "plain" or not sql:
            return written.text
        if written.form == "sql":
            return f"migrations.RunSQL({sql!r}, migrations.RunSQL.noop, [{written.text}])"
        name = f"spelled_{len(self.codes)}_{id(self)}"
        lines = "".join(f"    editor.execute({text!r})\n" for text in sql)
        self.codes.append(f"def {name}(apps, editor):\n{lines}\n\n")
        return _separate(f"migrations.RunPython({name}, SILENT)", written.text)

    def taken(self) -> Iterator[str]:
        """The code of the operations since it was last asked."""
        yield from self.codes
        self.codes = []

    def _sql(self, operation: Any, before: ProjectState, after: ProjectState) -> list[str]:
        ran: list[str] = []

        def keep(execute: Any, text: Any, params: Any, many: bool, context: Any) -> Any:
            with connection.cursor() as cursor:
                whole = cursor.cursor.mogrify(str(text), params) if params else str(text)
            if not whole.lstrip().upper().startswith("SELECT"):
                ran.append(whole)
            return execute(text, params, many, context)

        try:
            with (
                transaction.atomic(),
                connection.schema_editor(atomic=False) as editor,
                connection.execute_wrapper(keep),
            ):
                operation.database_forwards(APP, editor, before, after)
                editor.deferred_sql, rest = [], editor.deferred_sql
                for text in rest:
                    editor.execute(text)
        except Exception:
            self.lost = True
            return []
        return [] if self.lost else ran


def cover(example: Example) -> None:
    folder = Path(APP, "zanith_migrations")
    folder.mkdir()
    (folder / "__init__.py").write_text(render_init(APP, example.covered_after))
    made = generate(connection, Request((apps.get_app_config(APP),), drop=example.drop))
    for file in made.files:
        file.path.write_text(file.text)


def main() -> None:
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    example = Example.from_json(Path("example.json").read_text())
    try:
        found = run(example)
    except BaseException:
        found = ["the trial failed: " + traceback.format_exc()]
    Path("found.json").write_text(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)
