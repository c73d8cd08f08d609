"""Quick steps go to the server together, each in a transaction and with a row of its own."""

from __future__ import annotations

import threading
import time

import pytest

from tests.apply.test_stopped_runs import STEPS
from tests.copies import Copy
from tests.project import SETTINGS, Project
from tests.releases import Releases

COLUMNS = 12
NAME = "20260101_000000_change"

DONE = [(f"{number:04d}", "done") for number in range(1, COLUMNS + 1)]

# Ends the backend of the run as it is about to end its DDL statement of this number.
ENDING = """
CREATE SEQUENCE seen;
CREATE FUNCTION end_it() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_query() LIKE '%zanith%' AND nextval('seen') = {number} THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
    END IF;
END $$;
CREATE EVENT TRIGGER end_it ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
EXECUTE FUNCTION end_it()"""

# A models.py that notes how many steps each text that was sent brought to their end, on a machine
# that may be as slow as it likes.
NOTING = """
from zanith_django.run import ready
ready.BLINK = 60

from django.db.backends.signals import connection_created

def note(execute, text, *given):
    with open("sent.txt", "a") as file:
        file.write(f"{str(text).count('EXECUTE _zanith_turn')}\\n")
    return execute(text, *given)

def listen(connection, **given):
    connection.execute_wrappers.append(note)

connection_created.connect(listen, weak=False)
"""
# And a receiver, who wants to hear of each step just before it runs.
RECEIVING = (
    NOTING
    + """
from django.db import connection
from zanith_django.signals import step_started

def receive(step, **given):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM _zanith_migration_steps WHERE status = 'done'")
        assert cursor.fetchone() == (step - 1,)

step_started.connect(receive, weak=False)
"""
)

# And a log of what is told.
LOGGING = (
    NOTING
    + """
import logging
log = logging.getLogger("zanith_django.run")
log.setLevel(logging.DEBUG)
log.addHandler(logging.FileHandler("told.txt"))
"""
)

# Makes the step of the sixth column wait for a lock that the test holds.
WAITING = """
CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'thing'::regclass AND attname = 'c06') THEN
        PERFORM pg_advisory_xact_lock(42);
    END IF;
END $$;
CREATE EVENT TRIGGER wait ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
EXECUTE FUNCTION wait()"""


def migration(*types: str) -> str:
    operations = "".join(
        f'\n        zanith.AddColumn(table="thing", column=zanith.Column("c{n:02}", "{of}")),'
        for n, of in enumerate(types, 1)
    )
    return (
        "import zanith_django as zanith\n\n\nclass Migration(zanith.Migration):\n"
        f"    operations = [{operations}\n    ]\n"
    )


def many_columns(releases: Releases) -> None:
    """A release whose steps give one column each to a table that has rows."""
    project = releases.project
    project.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    project.add_app("shop", "")
    project.manage("zanith_apply", check=True)
    project.sql("CREATE TABLE thing AS SELECT 1 AS id")
    project.write("shop/zanith_migrations/__init__.py", "")
    change(project, *["integer"] * COLUMNS)


def change(project: Project, *types: str) -> None:
    project.write(f"shop/zanith_migrations/{NAME}.py", migration(*types))


def columns(project: Project) -> int:
    ((number,),) = project.sql(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'thing'::regclass AND attnum > 1"
    )
    return int(number)


def sent(project: Project, models: str) -> list[int]:
    """How many steps each text brought to their end, of those that brought any."""
    project.write("shop/models.py", models)
    project.manage("zanith_apply", check=True)
    numbers = map(int, (project.root / "sent.txt").read_text().split())
    return [number for number in numbers if number]


def test_there_are_more_of_them_each_time(copy_of: Copy) -> None:
    shop = copy_of(many_columns).project
    together = sent(shop, NOTING)
    assert together[:4] == [1, 1, 2, 4]
    assert sum(together) == COLUMNS


def test_a_receiver_hears_of_each_before_it_runs(copy_of: Copy) -> None:
    shop = copy_of(many_columns).project
    assert sent(shop, RECEIVING) == [1] * COLUMNS
    assert shop.sql(STEPS) == DONE


def test_what_scans_a_table_in_use_goes_alone(copy_of: Copy) -> None:
    shop = copy_of(many_columns).project
    file = shop.root / "shop" / "zanith_migrations" / f"{NAME}.py"
    plain = 'AddColumn(table="thing", column=zanith.Column("c06", "integer"'
    stored = plain.replace("AddColumn", "AddGeneratedColumn") + ', generated="(id + 1)"'
    file.write_text(file.read_text().replace(plain, stored))
    assert sent(shop, NOTING) == [1, 1, 2, 1, 1, 6]


def test_each_step_is_a_transaction_and_a_row_of_its_own(copy_of: Copy) -> None:
    shop = copy_of(many_columns).project
    said = shop.manage("zanith_apply", check=True).stdout
    assert shop.sql(STEPS) == DONE
    assert columns(shop) == COLUMNS
    assert [f"step {n}: " in said for n in range(1, COLUMNS + 1)] == [True] * COLUMNS
    in_order = "SELECT bool_and(started_at <= finished_at) FROM _zanith_migration_steps"
    assert shop.sql(in_order) == [(True,)]
    ((transactions,),) = shop.sql(
        "SELECT count(DISTINCT xmin::text) FROM pg_attribute "
        "WHERE attrelid = 'thing'::regclass AND attnum > 1"
    )
    assert transactions == COLUMNS


def test_the_failing_step_is_named_and_the_next_run_continues_there(copy_of: Copy) -> None:
    shop = copy_of(many_columns).project
    change(shop, *["integer"] * 8, "no_such_type", *["integer"] * 3)
    run = shop.manage("zanith_apply", "--no-preflight")
    assert run.returncode == 1
    assert 'type "no_such_type" does not exist' in run.stderr
    assert run.stdout.count("✓") == 8
    pending = [(f"{n:04d}", "pending") for n in range(10, COLUMNS + 1)]
    assert shop.sql(STEPS) == [*DONE[:8], ("0009", "failed"), *pending]

    change(shop, *["integer"] * COLUMNS)
    shop.manage("zanith_apply", check=True)
    failed = ("0009", "failed")
    assert shop.sql(STEPS) == [*DONE[:8], failed, ("0009.2", "done"), *DONE[9:]]


def test_the_first_of_a_group_is_reported_once_though_it_runs_again(copy_of: Copy) -> None:
    shop = copy_of(many_columns).project
    shop.write("shop/models.py", LOGGING)
    change(shop, *["integer"] * 4, "no_such_type", *["integer"] * 7)
    assert shop.manage("zanith_apply", "--no-preflight").returncode == 1
    told = (shop.root / "told.txt").read_text().splitlines()
    words = [line.split()[0] for line in told if NAME in line]
    assert words == ["step_started", "step_finished"] * 4 + ["step_started", "run_failed"]


@pytest.mark.parametrize("number", range(1, COLUMNS + 1))
def test_a_backend_that_ends_in_the_midst_of_them(copy_of: Copy, number: int) -> None:
    shop = copy_of(many_columns).project
    shop.sql(ENDING.format(number=number))
    run = shop.manage("zanith_apply", "--no-preflight")
    assert run.returncode == 3
    assert "was lost during" in run.stderr
    statuses = [status for _, status in shop.sql(STEPS)]
    left = COLUMNS - number
    assert statuses == ["done"] * (number - 1) + ["running"] + ["pending"] * left
    assert columns(shop) == number - 1
    shop.manage("zanith_apply", check=True)
    assert columns(shop) == COLUMNS
    assert shop.sql(f"SELECT count(*) FROM _zanith_migrations WHERE id = '{NAME}'") == [(1,)]


def test_one_that_waits_for_its_lock_tries_again(copy_of: Copy) -> None:
    shop = copy_of(many_columns).project
    settings = (shop.root / "settings.py").read_text()
    shop.write("settings.py", settings + '\nZANITH = {"LOCK_TIMEOUT": 0.2, "LOCK_RETRIES": 50}\n')
    shop.sql(WAITING)
    with shop.database.connect() as holder:
        holder.execute("SELECT pg_advisory_lock(42)")

        def give_back() -> None:
            time.sleep(1.5)
            holder.execute("SELECT pg_advisory_unlock(42)")

        worker = threading.Thread(target=give_back)
        worker.start()
        said = shop.manage("zanith_apply", check=True).stdout
        worker.join()
    assert "could not acquire lock (attempt 1 of 51)" in said
    assert shop.sql(STEPS) == DONE
