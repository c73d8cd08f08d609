"""A step that fails on the rows that exist, while clients go on: afterwards none of them fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.apply.test_stopped_runs import a_shop, change, retyped, started, wait_until
from tests.copies import Copy
from tests.project import Project

# What the release that runs may write, all of it right before the step.
QUERIES = (
    "INSERT INTO shop_book (title, isbn) VALUES ('', '1')",
    "INSERT INTO shop_book (title, isbn, pages) VALUES ('a word', '7', 30)",
    "UPDATE shop_book SET pages = 30 WHERE id = 1",
    "UPDATE shop_book SET pages = NULL, title = 'none' WHERE id = 2",
    "UPDATE shop_book SET pages = 99, isbn = '1' WHERE id = 3",
    "UPDATE shop_book SET isbn = '2', pages = 20 WHERE id = 3",
    "SELECT * FROM shop_book WHERE id < 10",
    "DELETE FROM shop_book WHERE id > 10 AND id % 7 = 0",
)

KEY = """zanith.AddForeignKey(table="shop_book", foreign_key=zanith.ForeignKey(
    "fk", columns=("pages",), references="shelf", referenced_columns=("id",)))"""
SPLIT = """zanith.SplitColumn(table="shop_book",
    source=zanith.Derived(zanith.Column("pages", "integer"), "tens * 10 + ones"),
    into=(zanith.Derived(zanith.Column("tens", "integer"), "1000 / (30 - pages)"),
          zanith.Derived(zanith.Column("ones", "integer"), "pages % 10")))"""
MADE = "CASE WHEN random() < 2 THEN NULL ELSE 'made' END"
NUMBER = 'zanith.Column("title", "{}", nullable=False)'

# {kind: (the step, what is taken down; "" where nothing is left)}
STEPS = {
    "addCheck": (
        'zanith.AddCheck(table="shop_book", check=zanith.Check("few", "pages < 25"))',
        "check few of shop_book",
    ),
    "addForeignKey": (KEY, "foreign key fk of shop_book"),
    "addUnique": (
        'zanith.AddUnique(table="shop_book", unique=zanith.Unique("one", ("isbn",)))',
        "",
    ),
    "addIndex": (
        'zanith.AddIndex(table="shop_book", index=zanith.Index("part", '
        '(zanith.IndexKey(expression="(1000 / (30 - pages))"),), columns=("pages",)))',
        "",
    ),
    "addExclusion": (
        'zanith.AddExclusion(table="shop_book", exclusion=zanith.Exclusion("apart", '
        '"EXCLUDE USING btree (isbn WITH =)", ("isbn",)))',
        "",
    ),
    "alterColumnNullable": (
        'zanith.AlterColumnNullable(table="shop_book", column="pages", nullable=False)',
        "constraint ",
    ),
    "alterColumnNullable-fill": (
        'zanith.AlterColumnNullable(table="shop_book", column="pages", nullable=False, '
        'fill="(1 / (random() * 0)::integer)")',
        "trigger ~_zanith_fill_",
    ),
    "addColumn": (
        'zanith.AddColumn(table="shop_book", '
        f'column=zanith.Column("u", "text", nullable=False, default="{MADE}"))',
        "constraint ",
    ),
    "alterColumnType": (
        f'zanith.AlterColumnType(table="shop_book", old={NUMBER.format("text")}, '
        f"new={NUMBER.format('integer')})",
        "",
    ),
    "alterColumnType-using": (retyped("1000 / (30 - pages)"), "trigger ~_zanith_new_"),
    "splitColumn": (SPLIT, "trigger _zanith_dual_"),
}


@pytest.fixture
def shop(copy_of: Copy) -> Project:
    """Books of which one has 30 pages, one none, two one isbn and all a title that is no number."""
    made = copy_of(a_shop).project
    made.sql("ALTER TABLE shop_book ADD pages integer")
    made.sql("ALTER TABLE shop_book ALTER title TYPE text")
    made.sql("UPDATE shop_book SET pages = 10 * id")
    made.sql("INSERT INTO shop_book (title, isbn) VALUES ('empty', '3')")
    made.sql("CREATE TABLE shelf (id integer PRIMARY KEY)")
    made.sql("INSERT INTO shelf VALUES (10), (20)")
    return made


@contextmanager
def clients(project: Project, number: int = 8) -> Iterator[list[tuple[float, str]]]:
    """So many clients at work; (when it began, what went wrong) of each query that failed."""
    failed: list[tuple[float, str]] = []
    over = threading.Event()

    def work(turn: int) -> None:
        with project.database.connect() as connection:
            while not over.wait(0.005):
                text, turn = QUERIES[turn % len(QUERIES)], turn + 1
                began = time.monotonic()
                try:
                    connection.execute(text.encode(), prepare=False)
                except psycopg.errors.DeadlockDetected:
                    pass  # they do that among themselves
                except psycopg.Error as error:
                    failed.append((began, str(error)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield failed
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("kind", STEPS)
def test_after_a_step_failed_no_query_of_the_release_before_fails(shop: Project, kind: str) -> None:
    step, taken_down = STEPS[kind]
    change(shop, step)
    with clients(shop) as failed:
        run = shop.manage(
            "zanith_apply", "--no-preflight", "--max-risk", "100", "--allow-destructive"
        )
        ended = time.monotonic()
        time.sleep(0.5)
    assert run.returncode == 1, run.stdout + run.stderr
    assert [text for began, text in failed if began > ended] == []
    ((error,),) = shop.sql("SELECT error FROM _zanith_migration_steps WHERE status = 'failed'")
    if "cannot write" in error:  # a client inserted a row at the end: it was read once more
        assert kind == "addColumn"
    elif taken_down:
        assert f"\nremoved {taken_down}" in error
        assert f"removed {taken_down}" in run.stderr
    else:
        assert "it would affect other sessions" not in error


def test_a_step_that_was_taken_down_is_put_up_again_by_the_next_run(shop: Project) -> None:
    change(shop, STEPS["addCheck"][0])
    assert shop.manage("zanith_apply", "--no-preflight").returncode == 1
    there = "SELECT convalidated FROM pg_constraint WHERE conname = 'few'"
    assert shop.sql(there) == []
    shop.sql("UPDATE shop_book SET pages = 5")
    shop.manage("zanith_apply", check=True)
    assert shop.sql(there) == [(True,)]


SLOW = """
CREATE FUNCTION slow(pages integer) RETURNS integer LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN pages; END $$"""
ASLEEP = "wait_event = 'advisory' AND datname = current_database()"


@pytest.mark.parametrize("next_one", ["refused", "rolled back", "failed"])
def test_what_a_lost_run_left_is_taken_down_by_the_next_one(shop: Project, next_one: str) -> None:
    shop.sql(SLOW)
    check = 'zanith.Check("few", "slow(pages) < 25")'
    change(shop, f'zanith.AddCheck(table="shop_book", check={check})')
    with shop.database.connect() as bed:
        bed.execute("SELECT pg_advisory_lock(42)")
        run = started(shop)
        wait_until(shop, "wait_event = 'advisory'", run)
        shop.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE " + ASLEEP)
        assert run.wait(60) == 3
        run.communicate()
    there = "SELECT count(*) FROM pg_constraint WHERE conname = 'few'"
    assert shop.sql(there) == [(1,)]
    if next_one == "rolled back":
        shop.manage("zanith_rollback", "--steps", "1", check=True)
    else:
        gate = ("--max-risk", "0") if next_one == "refused" else ()
        said = shop.manage("zanith_apply", "--no-preflight", *gate)
        assert said.returncode == 1
        assert "removed check few of shop_book" in said.stdout + said.stderr
    assert shop.sql(there) == [(0,)]


def test_a_constraint_of_that_name_that_was_there_before_stays(shop: Project) -> None:
    shop.sql("ALTER TABLE shop_book ADD CONSTRAINT few CHECK (pages < 1000)")
    change(shop, STEPS["addCheck"][0])
    for _ in range(2):
        assert shop.manage("zanith_apply", "--no-preflight").returncode in (0, 1)
        assert shop.sql("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname='few'")
