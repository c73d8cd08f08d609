"""What the plan reads in SQL is what PostgreSQL does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.plan.statement_tables import SETUP
from tests.plan.statements import CASES, Case
from tests.servers import Server
from zanith_django.plan.effects.known_functions import is_harmless
from zanith_django.plan.effects.statements import effects
from zanith_django.plan.effects.values import Effect, Scene
from zanith_django.plan.reasons import REASONS
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import Column, SchemaGraph, Table
from zanith_django.schema.unmodelled import with_dependents

# Reasons that only name a safe form.
NAMED = {"adds_nullable_column"}

_HELD = """
SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname, l.mode
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p')
  AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
UNION ALL  -- inserts of a table wait for the sequence of its key
SELECT c.relname, l.mode FROM pg_locks l
JOIN pg_class s ON s.oid = l.relation AND s.relkind = 'S'
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refobjsubid > 0
JOIN pg_class c ON c.oid = d.refobjid
WHERE l.pid = pg_backend_pid() AND l.granted AND l.mode <> 'RowExclusiveLock'"""

_FILES = """
SELECT c.relname, pg_relation_filenode(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname IN ('public', 'other')"""


_RELATIONS = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_|^information_schema$'"""


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[psycopg.Connection]:
    name = server.create_database()
    with psycopg.connect(server.url(name), autocommit=True) as made:
        made.execute(SETUP.encode())
        yield made
    server.drop_database(name)


@pytest.fixture(scope="module")
def scene(connection: psycopg.Connection) -> Scene:
    graph = from_catalog(connection.cursor())
    found = connection.execute(_RELATIONS).fetchall()
    relations = frozenset(TableName("" if s == "public" else s, name) for s, name in found)
    return Scene(graph, version=connection.info.server_version, relations=relations)


def read(case: Case, scene: Scene) -> Effect:
    (effect, *others), _ = effects(case.sql, scene)
    assert not others
    return effect


def spelled(name: TableName) -> str:
    return f"{name.schema}.{name.name}" if name.schema else name.name


EVERY = pytest.mark.parametrize("case", CASES, ids=[case.sql for case in CASES])


@EVERY
def test_a_statement_is_read_as_expected(case: Case, scene: Scene) -> None:
    effect = read(case, scene)
    assert set(effect.codes) - NAMED == set(case.codes.split())
    assert set(effect.codes) <= set(REASONS)
    assert sorted(map(spelled, effect.work)) == sorted(case.work.split())
    assert sorted(map(spelled, effect.rewrites)) == sorted(case.rewrites.split())
    assert effect.transactional is not case.outside
    assert effect.opaque is ("raw_sql" in case.codes)
    locks = {spelled(name): lock for name, lock in effect.locks.items()}
    assert locks == case.expected_locks


MEASURED = [case for case in CASES if case.measured]


@pytest.mark.parametrize("case", MEASURED, ids=[case.sql for case in MEASURED])
def test_locks_and_rewrites_are_those_of_the_server(
    case: Case, scene: Scene, connection: psycopg.Connection
) -> None:
    if connection.info.server_version < case.since:
        pytest.skip("an older server takes a weaker lock")
    with connection.transaction(force_rollback=True):
        before: dict[str, int] = dict(connection.execute(_FILES).fetchall())
        connection.execute("SET LOCAL search_path = public")
        with announced(connection) as words:
            connection.execute(case.sql.encode())
        held: dict[str, Lock] = {}
        for name, mode in connection.execute(_HELD).fetchall():
            held[name] = max(Lock.from_catalog(mode), held.get(name, Lock.NONE))
        after: dict[str, int] = dict(connection.execute(_FILES).fetchall())
    assert _claimed(case, scene) == held
    new_files = {name for name in before if name in after and before[name] != after[name]}
    emptied = {"deletes_all_rows"} & set(case.codes.split()) and "TRUNCATE" in case.sql
    assert new_files == (new_files if emptied else set(case.rewrites.split()))
    worked = {name for each in words for name in _WORKED.findall(each)} & before.keys()
    assert emptied or worked <= set(case.work.split())


_WORKED = re.compile(r'(?:rewriting|verifying|on) table "(\w+)"')
"""The table whose rows PostgreSQL announces to work through."""


@contextmanager
def announced(connection: psycopg.Connection) -> Iterator[list[str]]:
    """What PostgreSQL says while it works, within a transaction."""
    words: list[str] = []

    def heard(notice: psycopg.errors.Diagnostic) -> None:
        words.append(notice.message_primary or "")

    connection.add_notice_handler(heard)
    connection.execute("SET LOCAL client_min_messages = debug1")
    yield words
    connection.execute("SET LOCAL client_min_messages = notice")
    connection.remove_notice_handler(heard)


def _claimed(case: Case, scene: Scene) -> dict[str, Lock]:
    """By the names that the tables have after the statement; dropped ones have none."""
    effect = read(case, scene)
    gone = {move.old for move in effect.moves if move.old and not move.new}
    named = {move.old: move.new for move in effect.moves if move.old and move.new}
    locks = {named.get(name, name): lock for name, lock in effect.locks.items() if name not in gone}
    return {spelled(name): lock for name, lock in locks.items() if name}


SEVERAL = {
    "DO $$ DECLARE q text := 'DROP TABLE t'; BEGIN EXECUTE q; END $$": {"may_drop"},
    "DO $$ BEGIN EXECUTE (SELECT string_agg('DROP TABLE ' || code, ';') FROM r); END $$": {
        "may_drop"
    },
    "DO $$ BEGIN EXECUTE (SELECT code FROM r LIMIT 1); END $$": {"raw_sql"},
    "DO $$ DECLARE c refcursor; BEGIN OPEN c FOR EXECUTE 'SELECT busy()'; END $$": {
        "calls_functions"
    },
    "DO $$ DECLARE x int; BEGIN x = 1; x := x + 1; END $$": set(),
    "CREATE FUNCTION gone() RETURNS void LANGUAGE sql AS 'DELETE FROM child'; SELECT gone()": {
        "may_drop"
    },
    "CREATE PROCEDURE gone() LANGUAGE sql BEGIN ATOMIC DELETE FROM child; END; CALL gone()": {
        "may_drop"
    },
    "CREATE FUNCTION busier() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT busier()": {
        "calls_functions"
    },
    "CREATE TABLE n (id serial PRIMARY KEY); ALTER SEQUENCE n_id_seq RESTART WITH 1000": {
        "resets_sequence"
    },
    "CREATE FUNCTION low2() RETURNS int LANGUAGE sql AS 'SELECT 1'": set(),
    "SELECT set_config('search_path', 'other', true); DROP TABLE \"My.Table\"": {
        "drops_table_with_data"
    },
}


@pytest.mark.parametrize("text", SEVERAL)
def test_statements_are_read_one_after_the_other(text: str, scene: Scene) -> None:
    found, _ = effects(text, scene)
    codes = {code for effect in found for code in effect.codes}
    assert codes >= SEVERAL[text]
    assert bool(codes - {"adds_nullable_column"}) is bool(SEVERAL[text])


def test_a_path_that_a_function_sets_is_followed(scene: Scene) -> None:
    text = "SELECT set_config('search_path', 'other, public', true); DROP TABLE \"My.Table\""
    (_, effect), _ = effects(text, scene)
    assert spelled(next(iter(effect.locks))) == "other.My.Table"


_VOLATILE = """
SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v'"""
# Of time, chance, sequences, sizes, settings and advisory locks.
CHANGES_NO_TABLE = {
    *("clock_timestamp", "timeofday", "random", "setseed", "gen_random_uuid", "uuidv4", "uuidv7"),
    *("nextval", "currval", "lastval", "setval", "set_config", "pg_relation_size"),
    *("pg_table_size", "pg_total_relation_size", "pg_indexes_size", "pg_database_size"),
    *("pg_partition_tree", "pg_partition_ancestors", "pg_is_in_recovery"),
}


def test_no_function_that_may_change_a_table_counts_as_harmless(
    connection: psycopg.Connection,
) -> None:
    volatile = {name for (name,) in connection.execute(_VOLATILE.encode()).fetchall()}
    harmless = {name for name in volatile if is_harmless(name)}
    locks = {name for name in harmless if "advisory" in name or "sleep" in name}
    reads = {name for name in harmless if name.startswith(("pg_get_", "pg_stat_get_"))}
    assert harmless - locks - reads <= CHANGES_NO_TABLE


def test_a_wait_is_known(scene: Scene) -> None:
    (effect,), _ = effects("SELECT pg_sleep(10)", scene)
    assert effect.waits
    assert not effect.findings


@pytest.mark.parametrize("identity", ["NOTHING", "DEFAULT"])
@pytest.mark.parametrize("published", [True, False])
def test_a_table_without_replica_identity_refuses_updates_if_it_is_published(
    identity: str, published: bool, connection: psycopg.Connection
) -> None:
    with connection.transaction(force_rollback=True):
        if published:
            connection.execute("CREATE PUBLICATION extra FOR TABLE w")
        graph = from_catalog(connection.cursor())
        graph = with_dependents(connection.cursor(), graph, [TableName("", "w")])
        known = frozenset(graph.table_names)
        scene = Scene(graph, version=connection.info.server_version, relations=known)
        text = f"ALTER TABLE w REPLICA IDENTITY {identity}"
        (effect,), _ = effects(text, scene)
        connection.execute(text.encode())
        refused = ""
        try:
            connection.execute("UPDATE w SET a = a")
        except psycopg.errors.ObjectNotInPrerequisiteState as error:
            refused = str(error)
    assert ("breaks_running_code" in effect.codes) is published is bool(refused)


def test_every_reason_is_known() -> None:
    assert {code for case in CASES for code in case.codes.split()} <= set(REASONS)


@pytest.mark.parametrize("bound", ["(200) TO (300)", "(250) TO (300)"])
@pytest.mark.parametrize("table", ["q", "q2", "q3", "qn"])
def test_rows_of_a_new_partition_are_read_unless_a_check_proves_them(
    table: str, bound: str, scene: Scene, connection: psycopg.Connection
) -> None:
    parent = "pn" if table == "qn" else "pk"
    text = f"ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES FROM {bound}"
    with connection.transaction(force_rollback=True), announced(connection) as said:
        connection.execute(text.encode())
    read_by_server = not any("is implied by existing constraints" in words for words in said)
    assert bool(read(Case(text), scene).work) is read_by_server


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("DROP INDEX IF EXISTS gone", "drops_index_blocking"),
        ("ALTER TABLE IF EXISTS gone DROP COLUMN a", "drops_column_with_data"),
        ("ALTER TABLE a DROP COLUMN IF EXISTS gone", "drops_column_with_data"),
        ("ALTER TABLE IF EXISTS gone RENAME TO b", "rename_table"),
        ("ALTER TABLE a DROP CONSTRAINT IF EXISTS gone", "drops_unique_constraint"),
        ("ALTER TABLE a REPLICA IDENTITY NOTHING", "breaks_running_code"),
    ],
)
def test_only_a_database_says_that_nothing_is_there(text: str, code: str) -> None:
    """Without one, an object that no model declares may exist."""
    graph = SchemaGraph((Table(TableName("", "a"), columns=(Column("id", "integer"),)),))
    (unknown,), _ = effects(text, Scene(graph))
    (live,), _ = effects(text, Scene(graph, relations=frozenset([TableName("", "a")])))
    assert code in unknown.codes
    assert code not in live.codes
