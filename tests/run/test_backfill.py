"""Backfills on a real server: every kind of key, resumed runs, and clients at work meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import environ
import psycopg
import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import DataError, NotSupportedError
from django.test.utils import CaptureQueriesContext
from psycopg.conninfo import conninfo_to_dict
from pytest_django import DjangoDbBlocker

from tests.servers import Database, lone_server
from zanith_django.exceptions import RowsHidden, RowsLeft
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import DONE, RUNNING
from zanith_django.operations.base import Batches, Context, Default
from zanith_django.operations.column_sql import default_in_batches, update_in_batches
from zanith_django.operations.data import Backfill
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.run import backfill as module, progress
from zanith_django.run.backfill import backfill
from zanith_django.run.progress import Progress, next_size

CHECKPOINT = "20260501_113022_fill::0001"

# How often a row was written is counted by the server itself.
COUNTED = """\
CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END $$;
CREATE TRIGGER count_write BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION count_write()"""


class Stopped(Exception):
    """Stands for whatever ends a run in the middle."""


@pytest.fixture
def connection(
    fresh_database: Database, django_db_blocker: DjangoDbBlocker
) -> Iterator[DatabaseWrapper]:
    with django_db_blocker.unblock(), connected(fresh_database.url) as wrapper:
        yield wrapper


@pytest.fixture
def lone_connection(django_db_blocker: DjangoDbBlocker) -> Iterator[DatabaseWrapper]:
    """The only one to its server: a transaction anywhere else, in any database, would keep old
    rows from being cleared."""
    with django_db_blocker.unblock(), connected(lone_server().maintenance_url) as wrapper:
        yield wrapper


@contextlib.contextmanager
def connected(url: str) -> Iterator[DatabaseWrapper]:
    """Django's connection to a new database, which gets a ledger."""
    address = environ.Env.db_url_config(url)
    wrapper = DatabaseWrapper({**connections["default"].settings_dict, **address}, alias="fresh")
    connections["fresh"] = wrapper
    Ledger(wrapper).ensure()
    yield wrapper
    wrapper.close()
    del connections["fresh"]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 100 keys, so that some hundred rows are many batches."""
    monkeypatch.setattr(module, "FIRST_SIZE", 100)
    monkeypatch.setattr(progress, "LARGEST", 100)


def execute(connection: BaseDatabaseWrapper, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


def value(connection: BaseDatabaseWrapper, text: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchone()[0]


def extend(connection: BaseDatabaseWrapper, extension: str) -> None:
    try:
        execute(connection, f"CREATE EXTENSION {extension}")
    except NotSupportedError:
        pytest.skip(f"this server has no {extension}")


def filling(assignments: str = "v = 'x'", where: str = "v IS NULL", table: str = "t") -> Batches:
    return update_in_batches(
        TableName.of(table), sql.catalog_text(assignments), sql.catalog_text(where), Context()
    )


def run(connection: BaseDatabaseWrapper, batches: Batches | None = None, **options: Any) -> int:
    return backfill(
        connection,
        batches or filling(),
        ledger=Ledger(connection),
        checkpoint_id=CHECKPOINT,
        migration_id="20260501_113022_fill",
        schema="public",
        **{"batch_seconds": 0.1, **options},
    )


def make(connection: BaseDatabaseWrapper, columns: str, rows: str) -> None:
    """A table `t` of these columns, `v` to be filled, and `writes` that counts."""
    execute(connection, f"CREATE TABLE t ({columns}, v text, writes integer NOT NULL DEFAULT 0)")
    execute(connection, f"INSERT INTO t {rows}")
    execute(connection, COUNTED)


def stop_after(batches: int) -> Callable[[], None]:
    """A `before_batch` that lets so many batches pass."""
    begun = 0

    def before_batch() -> None:
        nonlocal begun
        begun += 1
        if begun > batches:
            raise Stopped

    return before_batch


def assert_each_written_once(connection: BaseDatabaseWrapper, rows: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), min(writes), max(writes), count(v) FROM t")
        assert cursor.fetchone() == (rows, 1, 1, rows)


BIGINT = ("id bigint PRIMARY KEY", "SELECT g FROM generate_series(1, 1050) g")

# {what the table is like: (columns, rows)}; each has 1050 rows.
TABLES = {
    "bigint": BIGINT,
    "negative to positive": (BIGINT[0], "SELECT g - 500 FROM generate_series(1, 1050) g"),
    "sparse ids": (BIGINT[0], "SELECT g::bigint * g * g * g FROM generate_series(1, 1050) g"),
    "uuid": (
        "id uuid PRIMARY KEY",
        "SELECT gen_random_uuid() FROM generate_series(1, 1050)",
    ),
    "composite": (
        "a integer, b text, PRIMARY KEY (b, a)",
        "SELECT g, 'group ' || g % 3 FROM generate_series(1, 1050) g",
    ),
    "text with a collation": (
        'id text COLLATE "C" PRIMARY KEY',
        "SELECT chr(65 + g % 57) || '\\''é%{' || g FROM generate_series(1, 1050) g",
    ),
    "text that a linguistic collation orders": (
        'id text COLLATE "und-x-icu" PRIMARY KEY',
        "SELECT CASE g % 3 WHEN 0 THEN 'Ä' WHEN 1 THEN 'a-' ELSE 'A' END || g "
        "FROM generate_series(1, 1050) g",
    ),
    "varchar": (
        "id varchar(20) PRIMARY KEY",
        "SELECT 'x' || g FROM generate_series(1, 1050) g",
    ),
    "char": ("id char(9) PRIMARY KEY", "SELECT 'x' || g FROM generate_series(1, 1050) g"),
    "date": (
        "id date PRIMARY KEY",
        "SELECT date '0001-06-01 BC' + 300 * g FROM generate_series(1, 1050) g",
    ),
    "timestamptz": (
        "id timestamptz PRIMARY KEY",
        "SELECT '2020-03-29'::timestamptz + g * '7 minutes 3 us'::interval "
        "FROM generate_series(1, 1049) g UNION ALL SELECT '-infinity'",
    ),
    "numeric": (
        "id numeric PRIMARY KEY",
        "SELECT g / 7.0 FROM generate_series(1, 1050) g",
    ),
    "bytea": (
        "id bytea PRIMARY KEY",
        "SELECT decode(md5(g::text), 'hex') FROM generate_series(1, 1050) g",
    ),
    "array": ("id integer[] PRIMARY KEY", "SELECT ARRAY[g % 7, g] FROM generate_series(1, 1050) g"),
    "domain": ("id positive PRIMARY KEY", "SELECT g FROM generate_series(1, 1050) g"),
    "enum and number": (
        "a integer, m mood, PRIMARY KEY (m, a)",
        "SELECT g, CASE WHEN g % 2 = 0 THEN 'sad' ELSE 'glad' END::mood "
        "FROM generate_series(1, 1050) g",
    ),
    "type of an extension whose schema is not searched": (
        "id elsewhere.citext PRIMARY KEY, b text",
        "SELECT CASE g % 2 WHEN 0 THEN 'a' ELSE 'B' END || g, repeat('wide', 100) "
        "FROM generate_series(1, 1050) g",
    ),
    "row": ("id pair PRIMARY KEY", "SELECT ROW(g, 'x,\"y')::pair FROM generate_series(1, 1050) g"),
    "unique not null": (
        'a integer UNIQUE, "Odd ""key" integer NOT NULL UNIQUE',
        "SELECT NULL, g FROM generate_series(1, 1050) g",
    ),
    "no key": (
        "a integer, b text",
        "SELECT g % 3, repeat('wide', 100) FROM generate_series(1, 1050) g",
    ),
    "a key with nulls": (
        "a integer UNIQUE, b text",
        "SELECT nullif(g, 7), repeat('wide', 100) FROM generate_series(1, 1050) g",
    ),
    "unique by a predicate or an order of its own": (
        "a integer NOT NULL, b text NOT NULL",
        "SELECT g, repeat('wide', 100) || g FROM generate_series(1, 1050) g",
    ),
}


@pytest.fixture(params=TABLES)
def table_of_any_kind(request: pytest.FixtureRequest, connection: DatabaseWrapper) -> str:
    """The words for the table `t` that was made."""
    execute(connection, "CREATE TYPE mood AS ENUM ('sad', 'glad')")
    execute(connection, "CREATE DOMAIN positive AS bigint CHECK (VALUE > 0)")
    execute(connection, "CREATE TYPE pair AS (a integer, b text)")
    columns, rows = TABLES[request.param]
    if "elsewhere" in columns:
        execute(connection, "CREATE SCHEMA elsewhere")
        extend(connection, "citext SCHEMA elsewhere")
    if "icu" in columns and not value(
        connection, "SELECT count(*) FROM pg_collation WHERE collname = 'und-x-icu'"
    ):
        pytest.skip("this server has no ICU")
    make(connection, columns, rows)
    if request.param.startswith("unique by"):
        execute(connection, "CREATE UNIQUE INDEX ON t (a) WHERE a > 0")
        execute(connection, "CREATE UNIQUE INDEX ON t (b text_pattern_ops)")
        execute(connection, "CREATE UNIQUE INDEX ON t (a DESC)")
    return str(request.param)


def test_every_row_is_written_once_though_another_session_must_go_on(
    connection: DatabaseWrapper, table_of_any_kind: str
) -> None:
    execute(connection, "SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'")
    with pytest.raises(Stopped):
        run(connection, before_batch=stop_after(3))
    written = value(connection, "SELECT count(v) FROM t")
    checkpoint = Ledger(connection).checkpoint(CHECKPOINT)
    assert checkpoint is not None
    assert (checkpoint.status, checkpoint.processed_rows) == (RUNNING, written)
    assert 0 < written < 1050
    connection.close()
    assert run(connection) == 1050
    assert_each_written_once(connection, 1050)


def test_rows_written_after_an_interruption_get_the_value_of_those_before(
    connection: DatabaseWrapper,
) -> None:
    """Also after a rollback of the step, which leaves the values that rows have."""
    make(connection, *BIGINT)
    calls: list[Default] = []

    def make_default(default: Default) -> str:
        calls.append(default)
        return f"'value {len(calls)}'"

    where = sql.catalog_text("v IS NULL")
    batches = default_in_batches(TableName.of("t"), "v", Default("a.b", 1), where, Context())
    with pytest.raises(Stopped):
        run(connection, batches, make_default=make_default, before_batch=stop_after(3))
    Ledger(connection).forget_progress("20260501_113022_fill")
    run(connection, batches, make_default=make_default)
    assert value(connection, "SELECT array_agg(DISTINCT v) FROM t") == ["value 1"]
    assert len(calls) == 1
    assert_each_written_once(connection, 1050)


def test_a_value_that_no_row_got_is_made_again(connection: DatabaseWrapper) -> None:
    make(connection, *BIGINT)
    values = iter(["repeat('x', 1 / 0)", "'right'"])
    where = sql.catalog_text("v IS NULL")
    batches = default_in_batches(TableName.of("t"), "v", Default("a.b", 1), where, Context())
    with pytest.raises(DataError):
        run(connection, batches, make_default=lambda _: next(values))
    run(connection, batches, make_default=lambda _: next(values))
    assert value(connection, "SELECT array_agg(DISTINCT v) FROM t") == ["right"]


def test_batches_do_not_wait_for_the_disk_and_the_end_does(connection: DatabaseWrapper) -> None:
    execute(connection, "CREATE TABLE t (id int PRIMARY KEY, v text)")
    execute(connection, "INSERT INTO t SELECT g FROM generate_series(1, 250) g")
    execute(connection, "SET synchronous_commit = on")  # the tests' own servers have it off
    run(connection, filling("v = current_setting('synchronous_commit')"))
    assert value(connection, "SELECT array_agg(DISTINCT v) FROM t") == ["off"]
    assert value(connection, "SHOW synchronous_commit") == "on"


def test_a_finished_backfill_says_so(connection: DatabaseWrapper) -> None:
    make(connection, *BIGINT)
    run(connection)
    checkpoint = Ledger(connection).checkpoint(CHECKPOINT)
    assert checkpoint is not None
    assert (checkpoint.status, checkpoint.processed_rows, checkpoint.total_rows) == (
        DONE,
        1050,
        1050,
    )
    assert checkpoint.cursor == ["1050"]


def test_a_finished_backfill_is_not_begun_again(connection: DatabaseWrapper) -> None:
    make(connection, *BIGINT)
    run(connection)
    assert run(connection, before_batch=stop_after(0)) == 1050


def test_rows_that_came_since_it_was_done_are_written(connection: DatabaseWrapper) -> None:
    make(connection, *BIGINT)
    run(connection)
    execute(connection, "INSERT INTO t VALUES (-5), (2000)")
    assert run(connection) == 1052
    assert_each_written_once(connection, 1052)


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NULL"])
def test_an_empty_table_takes_no_batch(connection: DatabaseWrapper, key: str) -> None:
    make(connection, f"id bigint {key}", "SELECT 1 WHERE false")
    assert run(connection, before_batch=stop_after(0)) == 0
    checkpoint = Ledger(connection).checkpoint(CHECKPOINT)
    assert checkpoint is not None
    assert (checkpoint.status, checkpoint.total_rows) == (DONE, 0)


def test_only_rows_that_the_predicate_selects_are_written(connection: DatabaseWrapper) -> None:
    make(connection, *BIGINT)
    where = "v IS NULL AND id % 10 = 0 OR id = 7"
    assert run(connection, filling("v = id::text || '%s'", where)) == 106
    assert value(connection, "SELECT count(v) FROM t WHERE id = 7 OR id % 10 = 0") == 106
    assert value(connection, "SELECT count(v) FROM t") == 106


def test_comments_of_the_author_do_not_swallow_the_range_and_the_predicate(
    connection: DatabaseWrapper,
) -> None:
    execute(connection, "CREATE TABLE t (id int PRIMARY KEY, v int)")
    execute(connection, "INSERT INTO t SELECT g, nullif(-g, -7) FROM generate_series(1, 250) g")
    step = Backfill(
        table=TableName.of("t"), column="v", value="id * 2 -- doubled", where="v IS NULL -- new"
    )
    (batches,) = step.statements(Context())
    assert isinstance(batches, Batches)
    assert run(connection, batches) == 1
    execute(connection, batches.sql)
    assert value(connection, "SELECT sum(v) FROM t WHERE id <> 7") == 7 - 250 * 251 // 2
    assert value(connection, "SELECT v FROM t WHERE id = 7") == 14


def test_a_row_whose_value_stays_null_is_written_once(connection: DatabaseWrapper) -> None:
    make(connection, *BIGINT)
    assert run(connection, filling("v = CASE WHEN id > 200 THEN 'x' END")) == 1050
    assert value(connection, "SELECT max(writes) FROM t") == 1


def test_a_row_whose_value_stays_null_is_skipped_when_rows_before_the_cursor_are_fetched(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    make(connection, *BIGINT)
    behind = iter(range(-20, 0))
    with fresh_database.connect() as other:

        def before_batch() -> None:
            if (number := next(behind, None)) is not None:
                other.execute("INSERT INTO t VALUES (%s)", [number])

        run(connection, filling("v = CASE WHEN id < 200 THEN 'x' END"), before_batch=before_batch)
    assert value(connection, "SELECT count(v) FROM t WHERE id < 0") == 20
    assert value(connection, "SELECT max(writes) FROM t") == 1


RANGES = """\
CREATE TABLE t ({columns}, v text, writes integer NOT NULL DEFAULT 0) PARTITION BY RANGE (a);
CREATE TABLE t_one PARTITION OF t FOR VALUES FROM (0) TO (300);
CREATE TABLE t_two PARTITION OF t FOR VALUES FROM (300) TO (2000) PARTITION BY LIST (b);
CREATE TABLE t_two_even PARTITION OF t_two FOR VALUES IN (0);
CREATE TABLE t_two_odd PARTITION OF t_two FOR VALUES IN (1);
INSERT INTO t SELECT g, g % 2 FROM generate_series(1, 1050) g"""


@pytest.mark.parametrize(
    "columns", ["a integer, b integer, PRIMARY KEY (b, a)", "a integer, b integer"]
)
def test_a_partitioned_table_is_written_whole(connection: DatabaseWrapper, columns: str) -> None:
    execute(connection, RANGES.format(columns=columns))
    execute(connection, COUNTED)
    with pytest.raises(Stopped):
        run(connection, before_batch=stop_after(3))
    assert run(connection) == 1050
    assert_each_written_once(connection, 1050)


def test_a_table_of_another_schema_is_written(connection: DatabaseWrapper) -> None:
    execute(connection, 'CREATE SCHEMA "o""s"; CREATE TABLE "o""s".t (id int PRIMARY KEY, v text)')
    execute(connection, 'INSERT INTO "o""s".t SELECT generate_series(1, 250)')
    assert run(connection, filling(table='"o""s".t')) == 250


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
def test_rows_inserted_before_the_cursor_are_not_missed(
    connection: DatabaseWrapper, fresh_database: Database, key: str
) -> None:
    make(connection, f"id bigint {key}", "SELECT 2 * g FROM generate_series(1, 1050) g")
    execute(connection, "DELETE FROM t WHERE id < 40")
    execute(connection, "VACUUM t")
    odd = iter(range(1, 40, 2))
    with fresh_database.connect() as other:

        def before_batch() -> None:
            if (number := next(odd, None)) is not None:
                other.execute("INSERT INTO t VALUES (%s)", [number])

        run(connection, before_batch=before_batch)
    assert value(connection, "SELECT count(*) FROM t WHERE v IS NULL") == 0
    assert value(connection, "SELECT max(writes) FROM t") == 1


def test_it_ends_though_others_go_on_inserting(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    make(connection, "id uuid PRIMARY KEY", "SELECT gen_random_uuid() FROM generate_series(1, 500)")
    with fresh_database.connect() as other:

        def before_batch() -> None:
            other.execute("INSERT INTO t SELECT gen_random_uuid() FROM generate_series(1, 100)")

        assert run(connection, before_batch=before_batch) >= 500
    assert value(connection, "SELECT max(writes) FROM t") == 1


KEEPING = """\
CREATE FUNCTION keep_some() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RETURN CASE WHEN OLD.id % 3 <> 0 THEN NEW END; END $$;
CREATE TRIGGER keep_some BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION keep_some()"""


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
def test_it_fails_where_rows_cannot_be_written(connection: DatabaseWrapper, key: str) -> None:
    make(connection, f"id bigint {key}", BIGINT[1])
    execute(connection, KEEPING)
    told = "cannot write 350 rows of t where v IS NULL: a trigger"
    for _ in range(2):
        with pytest.raises(RowsLeft, match=told):
            run(connection)
    assert value(connection, "SELECT count(v) FROM t") == 700
    execute(connection, "DROP TRIGGER keep_some ON t")
    assert run(connection) == 1050
    assert_each_written_once(connection, 1050)


def test_rows_that_come_and_go_while_it_runs_are_no_failure(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    make(connection, *BIGINT)
    with fresh_database.connect() as other:

        def before_batch() -> None:
            other.execute("DELETE FROM t WHERE id <= 0; INSERT INTO t VALUES (0)")
            execute(connection, "UPDATE t SET v = 'theirs' WHERE id > 0 AND v IS NULL")

        run(connection, before_batch=before_batch)
    assert value(connection, "SELECT count(*) FROM t WHERE id > 0 AND v IS NULL") == 0


def test_it_refuses_a_table_of_which_row_security_hides_rows(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    make(connection, *BIGINT)
    role = f"sees_some_{fresh_database.name}"
    execute(connection, "ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    execute(connection, "CREATE POLICY even ON t USING (id % 2 = 0)")
    execute(connection, f"CREATE ROLE {role}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        execute(connection, f"SET ROLE {role}")
        with pytest.raises(RowsHidden, match=f"rows of t: row security hides rows from {role}"):
            run(connection)
    finally:
        execute(connection, f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    assert run(connection) == 1050


def test_a_foreign_partition_is_written_too(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    parts = conninfo_to_dict(fresh_database.url)
    options = f"host '{parts['host']}', port '{parts['port']}', dbname '{fresh_database.name}'"
    extend(connection, "postgres_fdw")
    execute(
        connection,
        f"""CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({options});
        CREATE USER MAPPING FOR CURRENT_USER SERVER here OPTIONS (user '{parts["user"]}');
        CREATE TABLE far (a integer, v text);
        CREATE TABLE t (a integer, v text) PARTITION BY LIST (a);
        CREATE TABLE t_one PARTITION OF t FOR VALUES IN (1);
        CREATE FOREIGN TABLE t_two PARTITION OF t FOR VALUES IN (2) SERVER here
            OPTIONS (table_name 'far')""",
    )
    execute(connection, "INSERT INTO t SELECT 1 + g % 2 FROM generate_series(1, 500) g")
    assert run(connection) == 500
    assert value(connection, "SELECT count(v) FROM t") == 500


def test_a_batch_waits_for_a_locked_row(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    make(connection, *BIGINT)
    with fresh_database.connect() as other:
        other.execute("BEGIN; UPDATE t SET v = 'theirs' WHERE id = 150")
        timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        timer.start()
        assert run(connection) == 1049
        timer.join()
    assert value(connection, "SELECT v FROM t WHERE id = 150") == "theirs"


@pytest.mark.parametrize(
    ("rows", "counted_off"),
    [
        ("SELECT g FROM generate_series(1, 9000) g", True),
        ("SELECT g FROM generate_series(1, 9000) g WHERE g % 10 > 0", True),
        ("SELECT g - 20000 FROM generate_series(1, 9000) g", True),
        ("SELECT g FROM generate_series(1, 9000) g WHERE g % 2 > 0", False),
        ("SELECT g FROM generate_series(1, 9000) g UNION SELECT 9000000", False),
        ("SELECT 32767 - g FROM generate_series(1, 9000) g", True),
    ],
    ids=["dense", "few are missing", "negative", "half are missing", "one far away", "smallint"],
)
def test_the_end_of_a_batch_is_looked_for_where_numbers_are_missing(
    connection: DatabaseWrapper, rows: str, counted_off: bool
) -> None:
    made = "id smallint PRIMARY KEY" if "32767" in rows else BIGINT[0]
    make(connection, made, rows)
    execute(connection, "ANALYZE t")
    with CaptureQueriesContext(connection) as sent:
        written = run(connection, batch_seconds=30)
    assert_each_written_once(connection, written)
    assert all("OFFSET" not in each["sql"] for each in sent) is counted_off


INDEXED = f"{BIGINT[0]}, a integer UNIQUE"


@pytest.mark.parametrize(("columns", "turns"), [(BIGINT[0], 2), (INDEXED, 4)])
def test_a_dense_key_is_written_in_turns(
    connection: DatabaseWrapper, columns: str, turns: int
) -> None:
    make(connection, columns, "SELECT g - 300 FROM generate_series(1, 1050) g")
    reached: list[Any] = []

    def before_batch() -> None:
        checkpoint = Ledger(connection).checkpoint(CHECKPOINT)
        reached.append(checkpoint and checkpoint.cursor)

    with CaptureQueriesContext(connection) as sent:
        run(connection, before_batch=before_batch)
    last = str(-200 + 100 * turns)
    stretch = [["-199", last, str(turn), str(turns)] for turn in range(1, turns)]
    assert reached[: turns + 2] == [None, ["-200"], *stretch, [last]]
    updates = [each["sql"] for each in sent if "SET v =" in each["sql"]]
    assert "&" not in updates[0]
    for turn in range(turns):
        assert f'"id" & {turns - 1} = {turn}' in updates[1 + turn]
    assert_each_written_once(connection, 1050)


@pytest.mark.parametrize("between", ["SELECT", "INSERT", "DELETE", "INDEX"])
@pytest.mark.parametrize("batches", range(1, 7))
def test_a_run_that_was_stopped_between_turns_goes_on_with_the_next(
    connection: DatabaseWrapper, batches: int, between: str
) -> None:
    """Also where meanwhile the key is dense no more, the last rows went, or an index did."""
    make(connection, INDEXED, "SELECT g FROM generate_series(1, 650) g")
    with pytest.raises(Stopped):
        run(connection, before_batch=stop_after(batches))
    changes = {
        "SELECT": "SELECT",
        "INSERT": "INSERT INTO t VALUES (1000000000)",
        "DELETE": "DELETE FROM t WHERE id > 450",
        "INDEX": "ALTER TABLE t DROP CONSTRAINT t_a_key",
    }
    execute(connection, changes[between])
    run(connection)
    left = {"INSERT": 651, "DELETE": 450}.get(between, 650)
    assert_each_written_once(connection, left)


ANOTHER_KEY = "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY "
# {what becomes of the key while no run is under way: (the columns before, the change)}
CHANGED_KEYS = {
    "pages, then a key": ("id bigint, a integer", "ALTER TABLE t ADD PRIMARY KEY (id)"),
    "a key, then pages": (INDEXED, "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD w text"),
    "a number, then text": (INDEXED, "ALTER TABLE t ALTER id TYPE text"),
    "a number, then a date": (INDEXED, f"ALTER TABLE t ADD d serial; {ANOTHER_KEY} (d, id)"),
    "text, then a number": (f"a serial, {BIGINT[0]}".replace("bigint", "text"), ""),
}


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize(("columns", "change"), CHANGED_KEYS.values(), ids=CHANGED_KEYS)
def test_it_starts_over_where_the_table_got_another_key(
    connection: DatabaseWrapper, columns: str, change: str, batches: int
) -> None:
    execute(connection, f"CREATE TABLE t ({columns}, v text, writes integer NOT NULL DEFAULT 0)")
    execute(connection, "INSERT INTO t (id) SELECT generate_series(1, 1050)")
    execute(connection, COUNTED)
    with pytest.raises(Stopped):
        run(connection, before_batch=stop_after(batches))
    execute(connection, change or f"UPDATE t SET id = 'x' || id; {ANOTHER_KEY} (a)")
    assert run(connection) == 1050
    assert value(connection, "SELECT count(v) FROM t") == 1050


def a_value() -> str:
    return "it's 100 % x"


def a_value_of(row: dict[str, Any]) -> dict[str, int]:
    return {"twice": 2 * row["id"]}


def nothing_for_some(row: dict[str, Any]) -> str | None:
    return None if row["id"] % 3 == 0 else "x"


def made_by(function: str, column: str = "v") -> Batches:
    (batches,) = Backfill(
        table=TableName("", "t"), column=column, python=f"{__name__}.{function}"
    ).statements(Context())
    assert isinstance(batches, Batches)
    return batches


def test_python_makes_the_value_of_every_row_once(
    connection: DatabaseWrapper, table_of_any_kind: str
) -> None:
    with pytest.raises(Stopped):
        run(connection, made_by("a_value"), before_batch=stop_after(3))
    assert 0 < value(connection, "SELECT count(v) FROM t") < 1050
    assert run(connection, made_by("a_value")) == 1050
    assert_each_written_once(connection, 1050)
    assert value(connection, "SELECT min(v) || max(v) FROM t") == 2 * a_value()


def test_python_may_ask_for_the_row(connection: DatabaseWrapper) -> None:
    make(connection, "id bigint PRIMARY KEY, j jsonb", "SELECT generate_series(1, 250)")
    assert run(connection, made_by("a_value_of", "j")) == 250
    assert (
        value(connection, "SELECT count(*) FROM t WHERE j = jsonb_build_object('twice', 2 * id)")
        == 250
    )


def test_a_row_for_which_python_makes_nothing_is_written_once(connection: DatabaseWrapper) -> None:
    make(connection, "id bigint PRIMARY KEY", "SELECT generate_series(1, 300)")
    assert run(connection, made_by("nothing_for_some")) == 300
    assert value(connection, "SELECT count(v) FROM t WHERE writes = 1") == 200


def test_python_leaves_alone_what_another_client_wrote(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    make(connection, *BIGINT)

    def between() -> None:
        with fresh_database.connect() as other:
            other.execute("UPDATE t SET v = 'theirs', writes = 0 WHERE id = 777 AND v IS NULL")

    assert run(connection, made_by("a_value"), before_batch=between) == 1049
    assert value(connection, "SELECT v FROM t WHERE id = 777") == "theirs"


def test_where_few_rows_are_to_be_written_no_turns_are_taken(connection: DatabaseWrapper) -> None:
    make(connection, *BIGINT)
    with CaptureQueriesContext(connection) as sent:
        run(connection, filling(where="v IS NULL AND id % 5 = 0"))
    assert not [each for each in sent if "&" in each["sql"]]


def test_a_quick_turn_does_not_make_the_next_stretch_longer(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LARGEST", 1_000)
    make(connection, BIGINT[0], "SELECT generate_series(1, 650)")
    slow_at_first = filling("v = 'x' || (SELECT pg_sleep(0.001) WHERE id & 1 = 0)")
    told: list[Progress] = []
    run(connection, slow_at_first, batch_seconds=0.04, progress=told.append)
    assert [each.processed_rows for each in told] == [100, 200, 300, 400, 500, 575, 650]


def test_the_dead_rows_of_one_turn_make_room_for_the_next(
    lone_connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table whose rows are all updated at once has twice its pages; batches of less than a page
    would make room for each other without turns."""
    monkeypatch.setattr(progress, "LARGEST", 1_000)
    columns = "id bigint PRIMARY KEY, name text"
    make(lone_connection, columns, "SELECT g, 'customer ' || g FROM generate_series(1, 20000) g")
    execute(lone_connection, "VACUUM ANALYZE t")
    before = value(lone_connection, "SELECT pg_relation_size('t')")
    run(lone_connection)
    assert value(lone_connection, "SELECT pg_relation_size('t')") < 1.8 * before


LOCKED: dict[str, tuple[str, str, Batches]] = {
    "by key": ("id bigint PRIMARY KEY", "SELECT g FROM generate_series(1, 400) AS g", filling()),
    "by page": ("id bigint", "SELECT g FROM generate_series(1, 400) AS g", filling()),
    "by text": (
        "id bigint, name text PRIMARY KEY",
        "SELECT g, 'n' || g FROM generate_series(1, 400) AS g",
        filling(),
    ),
    "still true": (
        "id bigint PRIMARY KEY",
        "SELECT g FROM generate_series(1, 400) AS g",
        filling(where="id > 0"),
    ),
    "of Python": (
        "id bigint PRIMARY KEY",
        "SELECT g FROM generate_series(1, 400) AS g",
        dataclasses.replace(filling(), column="v", python=f"{__name__}.made"),
    ),
}


def made() -> str:
    return "made"


@pytest.mark.parametrize("case", LOCKED)
def test_a_row_that_another_session_locks_holds_up_no_other(
    connection: DatabaseWrapper, fresh_database: Database, case: str
) -> None:
    columns, rows, batches = LOCKED[case]
    make(connection, columns, rows)
    said: list[str] = []
    stalls: list[float] = []
    over = threading.Event()

    def writes() -> None:
        with fresh_database.connect() as client:
            while not over.wait(0.01):
                started = time.monotonic()
                client.execute("SELECT FROM t WHERE id = 151 FOR UPDATE")
                stalls.append(time.monotonic() - started)

    with fresh_database.connect() as other:
        other.execute("BEGIN; SELECT FROM t WHERE id = 150 FOR UPDATE")
        release = threading.Timer(2, lambda: other.execute("COMMIT"))
        client = threading.Thread(target=writes)
        client.start()
        release.start()
        started = time.monotonic()
        total = run(connection, batches, say=said.append)
        took = time.monotonic() - started
        over.set()
        client.join()
        pid = other.info.backend_pid
    assert total == 400
    assert 1.9 < took < 8
    assert max(stalls) < 1
    assert len(said) == 1
    assert said[0].startswith(f"waiting for rows of t; locked by pid {pid} (idle in transaction")
    assert value(connection, "SELECT count(*) FROM t WHERE v IS NOT NULL") == 400
    assert value(connection, "SELECT max(writes) FROM t") == 1


def test_a_locked_row_of_a_partition_is_written_in_the_end(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    execute(connection, "CREATE TABLE t (id bigint, v text) PARTITION BY LIST ((id % 2))")
    for rest in (0, 1):
        execute(connection, f"CREATE TABLE t{rest} PARTITION OF t FOR VALUES IN ({rest})")
    execute(connection, "INSERT INTO t SELECT g FROM generate_series(1, 400) AS g")
    with fresh_database.connect() as other:
        other.execute("BEGIN; UPDATE t SET v = 'theirs' WHERE id = 150")
        threading.Timer(1, lambda: other.execute("ROLLBACK")).start()
        assert run(connection) == 400
    assert value(connection, "SELECT count(*) FROM t WHERE v = 'x'") == 400


def test_a_run_that_ends_while_rows_are_locked_leaves_them_to_the_next(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    make(connection, *BIGINT)

    def stop(words: str) -> None:
        over.append(words)
        if len(over) > 1:
            raise Stopped

    over: list[str] = []
    with fresh_database.connect() as other:
        other.execute("BEGIN; SELECT FROM t WHERE id = 150 FOR UPDATE")
        with pytest.raises(Stopped):
            run(connection, before_batch=lambda: stop("") if behind(connection) else None)
        other.execute("ROLLBACK")
    assert value(connection, "SELECT count(*) FROM t WHERE v IS NULL") == 1
    assert run(connection) == 1050
    assert value(connection, "SELECT max(writes) FROM t") == 1


def behind(connection: DatabaseWrapper) -> bool:
    """All rows but the locked one are written."""
    return bool(value(connection, "SELECT count(*) FROM t WHERE v IS NULL") == 1)


def test_a_table_that_another_session_locks_is_waited_for(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    make(connection, *BIGINT)
    said: list[str] = []

    def lock() -> None:
        other.execute("BEGIN; LOCK TABLE t IN SHARE MODE")
        threading.Timer(1, lambda: other.execute("COMMIT")).start()

    with fresh_database.connect() as other:
        lock()
        assert run(connection, say=said.append) == 1050
        time.sleep(0.1)
    assert said == ["waiting for rows of t; locked by another session"]


def test_a_batch_that_loses_a_deadlock_is_tried_again(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    make(connection, *BIGINT)
    execute(connection, "SET deadlock_timeout = '50ms'")
    with fresh_database.connect() as other:
        other.execute("SET deadlock_timeout = '1min'; BEGIN")
        other.execute("UPDATE t SET v = 'theirs' WHERE id = 99")
        thread = threading.Thread(target=lock_first_row_and_commit, args=[other])
        thread.start()
        assert run(connection) == 1048
        thread.join()
        connection.close()  # which makes the server count
        assert value(connection, "SELECT deadlocks FROM pg_stat_database WHERE " + HERE) == 1
    assert value(connection, "SELECT count(*) FROM t WHERE v = 'theirs'") == 2


HERE = "datname = current_database()"


def lock_first_row_and_commit(other: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Asks for a row that the batch has, as soon as the batch waits for row 99."""
    waiting = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
        f"WHERE NOT granted AND {HERE}"
    )
    while other.execute(waiting).fetchone() == (0,):
        time.sleep(0.005)
    other.execute("UPDATE t SET v = 'theirs' WHERE id = 1")
    other.execute("COMMIT")


def test_a_serialization_failure_is_tried_again(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    make(connection, *BIGINT)
    execute(connection, "SET default_transaction_isolation = 'repeatable read'")
    with fresh_database.connect() as other:
        other.execute("BEGIN; UPDATE t SET v = 'theirs' WHERE id = 150")
        timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        timer.start()
        assert run(connection) == 1049
        timer.join()
    assert value(connection, "SELECT max(writes) FROM t") == 1


def test_an_error_of_the_expression_leaves_the_batches_before_it(
    connection: DatabaseWrapper,
) -> None:
    make(connection, *BIGINT)
    with pytest.raises(DataError, match="division by zero"):
        run(connection, filling("v = (1 / (id - 350))::text"))
    assert value(connection, "SELECT count(v) FROM t") == 300
    assert not connection.in_atomic_block
    assert run(connection) == 1050


def test_progress_grows_to_the_total(connection: DatabaseWrapper) -> None:
    make(connection, *BIGINT)
    told: list[Progress] = []
    run(connection, progress=told.append)
    assert [each.processed_rows for each in told] == [*range(100, 901, 100), 975, 1050]
    assert all(each.table == TableName("", "t") for each in told)
    assert all(each.total_rows >= 1050 and each.rows_per_second > 0 for each in told)
    assert all(each.seconds_left is not None for each in told)


def test_a_pause_is_made_between_batches(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(connection, "id bigint PRIMARY KEY", "SELECT generate_series(1, 250)")
    happened: list[object] = []
    monkeypatch.setattr(time, "sleep", happened.append)
    run(connection, pause=0.1, progress=lambda _: happened.append("batch"))
    assert happened == ["batch", 0.1, "batch", 0.1, "batch"]


# (size, seconds, sparse) of a batch that should take 0.1 s, and the size of the next
SIZES = [
    ((1_000, 0.1, False), 1_000),
    ((1_000, 0.08, False), 1_250),
    ((1_000, 0.001, False), 2_000),
    ((1_000, 0.0, False), 2_000),
    ((1_000, 9.0, False), 500),
    ((150, 9.0, False), 100),
    ((900_000, 0.01, False), 1_000_000),
    ((8_000, 0.01, True), 10_000),
    ((50_000, 0.01, True), 50_000),
]


@pytest.mark.parametrize(("batch", "size"), SIZES)
def test_the_size_follows_the_time_that_a_batch_took(
    monkeypatch: pytest.MonkeyPatch, batch: tuple[int, float, bool], size: int
) -> None:
    monkeypatch.setattr(progress, "LARGEST", 1_000_000)
    assert next_size(*batch, wanted_seconds=0.1) == size
