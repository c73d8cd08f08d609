"""What a run tells receivers of its signals and the log, and that neither can break it."""

from __future__ import annotations

import json
from typing import Any

from tests.apply.test_stopped_runs import (
    STEPS,
    UNIQUE,
    UNIQUE_MIGRATION,
    a_failing_release,
    a_shop,
    write_change,
)
from tests.copies import Copy
from tests.project import Project

# Appended to models.py. The last receiver fails, and with it the transaction that it runs in.
LISTENING = """

import json, logging
from django.db import connection
from zanith_django import signals

def write(*told):
    with open("told.jsonl", "a") as file:
        file.write(json.dumps(told) + "\\n")

def receiver(name):
    def receive(sender, using, migration, error="", **kwargs):
        write(name, using, kwargs.get("step"), kwargs.get("kind"), str(error))
    return receive

def failing(sender, **kwargs):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")

for name in ("step_started", "step_finished", "migration_applied", "run_failed"):
    getattr(signals, name).connect(receiver(name), weak=False)
    getattr(signals, name).connect(failing)

class Handler(logging.Handler):
    def emit(self, record):
        write("log", record.event, record.database, record.step)

log = logging.getLogger("zanith_django.run")
log.addHandler(Handler())
log.setLevel("WARNING")
"""


def listening(project: Project) -> None:
    models = project.root / "shop" / "models.py"
    models.write_text(models.read_text() + LISTENING)


def told(project: Project) -> list[list[Any]]:
    lines = (project.root / "told.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_receivers_hear_of_steps_and_of_the_end_of_a_run(copy_of: Copy) -> None:
    shop = copy_of(a_failing_release).project
    listening(shop)

    failed = shop.manage("zanith_apply", "--no-preflight")

    assert failed.returncode == 1
    assert failed.stderr.count("A receiver failed: <function failing") == 6
    heard = told(shop)
    assert [line[:4] for line in heard] == [
        ["step_started", "default", 1, "addColumn"],
        ["step_finished", "default", 1, "addColumn"],
        ["step_started", "default", 2, "addColumn"],
        ["step_finished", "default", 2, "addColumn"],
        ["step_started", "default", 3, "addUnique"],
        ["log", "run_failed", "default", 3],
        ["run_failed", "default", 3, "addUnique"],
    ]
    assert "is duplicated" in heard[-1][4]


def test_a_failing_receiver_does_not_break_an_atomic_migration(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    shop.sql("DELETE FROM shop_book WHERE title = 'b'")
    shop.write("settings.py", (shop.root / "settings.py").read_text() + "\nZANITH = {'APPS': []}\n")
    write_change(shop, UNIQUE, UNIQUE_MIGRATION)
    listening(shop)

    shop.manage("zanith_apply", check=True)

    assert [status for _, status in shop.sql(STEPS)] == ["done"] * 3
    assert told(shop)[-1][:2] == ["migration_applied", "default"]
    shop.manage("migrate", "--check", check=True)
