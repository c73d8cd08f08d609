"""What a shadow begins with is what the live database has, whichever pg_dump is at hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import environ
import psycopg
import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker

from tests.servers import Database, Server
from zanith_django.exceptions import ShadowUnreachable, ShadowUnsuited
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.surroundings import surroundings
from zanith_django.timeline.project import live_graph
from zanith_django.verify import shadow_structure
from zanith_django.verify.shadow import ephemeral, in_schema, place_for
from zanith_django.verify.shadow_given import given
from zanith_django.verify.shadow_graph import load_graph
from zanith_django.verify.shadow_names import MARKER
from zanith_django.verify.shadow_structure import load_live
from zanith_django.verify.shadow_templates import structure_state

SETUP = """
ALTER SCHEMA public OWNER TO CURRENT_USER;
CREATE TABLE t (id bigint PRIMARY KEY, a integer, b text);
CREATE VIEW v AS SELECT a FROM t;
CREATE MATERIALIZED VIEW m AS SELECT b FROM t;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING;
CREATE POLICY p ON t USING (a > 0);
CREATE STATISTICS s ON a, b FROM t;
CREATE TYPE mood AS ENUM ('good');
CREATE TABLE d (day date) PARTITION BY RANGE (day);
CREATE TABLE d1 PARTITION OF d DEFAULT;
CREATE PUBLICATION pub FOR TABLE t;
"""
# From PostgreSQL 17 on an index may not call it: there CREATE INDEX itself empties search_path.
BY_NAME = """
CREATE FUNCTION plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION by_name(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT plain($1)';
CREATE INDEX i ON t (by_name(b));
"""
OBJECTS = """\
SELECT string_agg(name, ' ' ORDER BY name COLLATE "C") FROM (
  SELECT relname::text AS name FROM pg_class WHERE relname IN ('t', 'v', 'm', 's', 'd', 'd1')
  UNION ALL SELECT proname FROM pg_proc WHERE proname = 'f'
  UNION ALL SELECT tgname FROM pg_trigger WHERE tgname = 'g'
  UNION ALL SELECT rulename FROM pg_rewrite WHERE rulename = 'r'
  UNION ALL SELECT polname FROM pg_policy
  UNION ALL SELECT stxname FROM pg_statistic_ext
  UNION ALL SELECT typname FROM pg_type WHERE typname = 'mood'
  UNION ALL SELECT pubname FROM pg_publication) AS o"""


@pytest.fixture
def live(fresh_database: Database, django_db_blocker: DjangoDbBlocker) -> Iterator[DatabaseWrapper]:
    address = environ.Env.db_url_config(fresh_database.url)
    wrapper = DatabaseWrapper({**connections["default"].settings_dict, **address}, alias="live")
    connections["live"] = wrapper
    with django_db_blocker.unblock():
        yield wrapper
        wrapper.close()
    del connections["live"]


def execute(live: DatabaseWrapper, text: str) -> None:
    with live.cursor() as cursor:
        cursor.execute(text)


PROGRAMS = sorted(set(shadow_structure._candidates()))


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_pg_dump_that_reads_the_server_gives_all_of_it(
    live: DatabaseWrapper, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shadow_structure._version(program) < live.pg_version // 10000:
        pytest.skip("it is older than the server")
    execute(live, SETUP)
    if live.pg_version < 170000:
        execute(live, BY_NAME)
    monkeypatch.setattr(shadow_structure, "_candidates", lambda: iter([program]))
    graph = live_graph(live)
    with ephemeral(live) as shadow:
        assert load_live(live, graph, shadow) == "pg_dump"
        with shadow.connect() as session:
            found = session.execute(OBJECTS.encode()).fetchone()
            assert found == ("d d1 f g m mood p pub r s t v",)
            there = from_catalog(session.cursor())
    assert there.fingerprint() == graph.fingerprint()


MORE = """
CREATE DOMAIN short AS text COLLATE "C" DEFAULT 'a' NOT NULL CHECK (length(VALUE) < 5);
CREATE TYPE span AS RANGE (SUBTYPE = bigint);
CREATE TYPE pair AS (one integer, two mood);
CREATE FUNCTION g(d) RETURNS pair LANGUAGE sql AS 'SELECT 1, ''good''::mood';
CREATE FUNCTION h(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE SEQUENCE counted INCREMENT 2;
CREATE SCHEMA beside;
CREATE TABLE beside.n (id integer DEFAULT nextval('counted'), s short, p pair,
                       m mood DEFAULT 'good', CHECK (h(id) > 1));
CREATE VIEW beside.w WITH (security_barrier) AS SELECT g(d) FROM d;
CREATE INDEX by_b ON m (b);
ALTER TABLE t DISABLE TRIGGER g;
CREATE TABLE heir (c integer) INHERITS (t);
CREATE TABLE parted (id integer PRIMARY KEY, to_t bigint REFERENCES t) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE INDEX of_parts ON parted (to_t);
CREATE TRIGGER of_parts AFTER INSERT ON parted FOR EACH ROW EXECUTE FUNCTION f();
CREATE TABLE tags (tag text);
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql
AS 'BEGIN INSERT INTO public.tags VALUES (tg_tag); END';
CREATE EVENT TRIGGER notes ON ddl_command_end EXECUTE FUNCTION note();
"""


def test_a_snapshot_has_what_its_tables_need_and_what_needs_them(
    live: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(live, SETUP + MORE)
    monkeypatch.setattr(shadow_structure, "_candidates", lambda: itertools.chain())
    graph = live_graph(live)
    with live.cursor() as cursor:
        others = surroundings(cursor)
    with ephemeral(live) as shadow:
        assert load_live(live, graph, shadow) == "operations"
        with shadow.connect() as session:
            found = session.execute(OBJECTS.encode()).fetchone()
            assert found == ("d d1 f g m mood p pub r s t v",)
            assert from_catalog(session.cursor()).fingerprint() == graph.fingerprint()
            assert {*surroundings(session.cursor())} == {*others}


@pytest.mark.parametrize(
    ("shape", "statement", "named"),
    [
        (in_schema, "CREATE VIEW v AS SELECT a FROM t", "view v"),
        (in_schema, "CREATE STATISTICS s ON a, b FROM t", "table t"),
        (ephemeral, "CREATE AGGREGATE s(integer) (SFUNC = int4pl, STYPE = integer)", "function"),
    ],
)
def test_a_shadow_made_by_operations_refuses_what_they_cannot_make(
    live: DatabaseWrapper, shape: Any, statement: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(live, f"CREATE TABLE t (a integer, b text); {statement}")
    monkeypatch.setattr(shadow_structure, "_candidates", lambda: itertools.chain())
    with shape(live) as shadow, pytest.raises(ShadowUnsuited) as caught:
        load_live(live, live_graph(live), shadow)
    assert named in str(caught.value)


def test_an_invalid_index_is_refused_by_a_schema(live: DatabaseWrapper) -> None:
    execute(live, "CREATE TABLE t (a integer); INSERT INTO t VALUES (1), (1)")
    with pytest.raises(Exception, match="could not create unique index"):
        execute(live, "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)")
    with in_schema(live) as shadow, pytest.raises(ShadowUnsuited, match="table t"):
        load_live(live, live_graph(live), shadow)


@pytest.mark.skipif(not PROGRAMS, reason="pg_dump is not installed")
def test_pg_dump_gives_up_where_a_table_is_locked(
    live: DatabaseWrapper, fresh_database: Database
) -> None:
    execute(live, "CREATE TABLE t (a integer)")
    graph = live_graph(live)
    with fresh_database.connect() as other, other.transaction():
        other.execute("LOCK TABLE t")
        with ephemeral(live) as shadow, pytest.raises(ShadowUnreachable, match="timeout") as caught:
            load_live(live, graph, shadow)
    assert "LOCK_TIMEOUT" in caught.value.hint


def test_a_snapshot_file_makes_the_sequence_that_a_default_names(live: DatabaseWrapper) -> None:
    execute(live, 'CREATE SEQUENCE "Own"')
    execute(live, """CREATE TABLE t (id integer, a bigint DEFAULT nextval('"Own"'))""")
    graph = live_graph(live)
    with ephemeral(live) as shadow:
        load_graph(graph, shadow)
        with shadow.connect() as session:
            assert from_catalog(session.cursor()).fingerprint() == graph.fingerprint()


REFUSING = """
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE 'nothing is dropped'; END $$;
CREATE EVENT TRIGGER refusing ON sql_drop EXECUTE FUNCTION refuse()
"""
PLACES = """
SELECT n.nspname, c.relname, s.spcname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE c.relkind = 'r' AND c.oid >= 16384"""


@pytest.fixture
def tablespace(fresh_database: Database) -> Iterator[str]:
    name = f"place_of_{fresh_database.name}"
    with fresh_database.connect() as session:
        session.execute("SET allow_in_place_tablespaces = on")
        session.execute(f"CREATE TABLESPACE {name} LOCATION ''".encode())
        yield name
        session.execute("DROP EVENT TRIGGER IF EXISTS refusing")
        session.execute("DROP TABLE t")
        session.execute(f"DROP TABLESPACE {name}".encode())


@pytest.mark.skipif(not PROGRAMS, reason="pg_dump is not installed")
def test_a_shadow_has_event_triggers_and_tablespaces_but_no_shadows_of_other_runs(
    live: DatabaseWrapper, tablespace: str
) -> None:
    execute(live, f"CREATE TABLE t (a integer) TABLESPACE {tablespace}")
    execute(live, f"CREATE SCHEMA {MARKER}other; CREATE TABLE {MARKER}other.t ()")
    execute(live, REFUSING)
    with ephemeral(live) as shadow:
        load_live(live, live_graph(live), shadow)
        with shadow.connect() as session:
            assert session.execute(PLACES.encode()).fetchall() == [("public", "t", tablespace)]
            with pytest.raises(psycopg.errors.RaiseException, match="nothing is dropped"):
                session.execute("DROP TABLE t")


@pytest.mark.skipif(not PROGRAMS, reason="pg_dump is not installed")
def test_an_object_that_the_shadow_refuses_is_named(live: DatabaseWrapper) -> None:
    execute(live, "CREATE TABLE s (a integer); CREATE VIEW v AS SELECT a FROM s")
    with ephemeral(live) as shadow:
        with shadow.connect() as session:
            session.execute("CREATE TABLE public.v ()")
        with pytest.raises(ShadowUnreachable, match='view v cannot be made there: relation "v"'):
            load_live(live, live_graph(live), shadow)


@pytest.mark.skipif(not PROGRAMS, reason="pg_dump is not installed")
def test_a_given_database_is_emptied_though_an_event_trigger_refuses_drops(
    live: DatabaseWrapper, server: Server
) -> None:
    execute(live, f"CREATE TABLE t (a integer); {REFUSING}")
    name = server.create_database()
    try:
        for _ in range(2):
            with given(live, place_for(live, server.url(name))) as shadow:
                load_live(live, live_graph(live), shadow)
    finally:
        server.drop_database(name)


STATES = (
    "ALTER SEQUENCE s INCREMENT 2",
    "ALTER SEQUENCE s OWNED BY t.a",
    "ALTER TEXT SEARCH CONFIGURATION c ADD MAPPING FOR word WITH simple",
    "CREATE VIEW v AS SELECT a FROM t",
)


def test_the_state_of_a_structure_changes_with_it_and_not_with_rows(live: DatabaseWrapper) -> None:
    execute(live, "CREATE TABLE t (a integer); CREATE SEQUENCE s")
    execute(live, "CREATE TEXT SEARCH CONFIGURATION c (PARSER = default)")
    states = [structure_state(live)]
    execute(live, "INSERT INTO t VALUES (nextval('s'))")
    execute(live, "ANALYZE t")
    assert structure_state(live) == states[0]
    for statement in STATES:
        execute(live, statement)
        states.append(structure_state(live))
    assert len({*states}) == len(states)
