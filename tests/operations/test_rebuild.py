"""A table written anew while clients work on it: nothing of what they write is lost."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence

import psycopg
import pytest

from tests.examples import table
from tests.place import Place
from zanith_django.operations import RebuildTable, RestoreTable, SoftDropColumn, Statement
from zanith_django.operations.base import from_data
from zanith_django.operations.online.rebuild_swap import SWAP
from zanith_django.postgres.names import TableName
from zanith_django.run.work import transactions
from zanith_django.schema.graph import Column

T = TableName("", "t")


def between(place: Place, operation: RebuildTable) -> Iterator[Sequence[Statement]]:
    """The transactions of a rebuild: each has run when it is given."""
    statements = operation.statements(place.context(place.read()))
    for group in transactions(statements):
        place.run(group)
        yield group


def both(place: Place, text: str) -> None:
    """The same on the table and on its twin."""
    place.execute(text.replace("TABLE", "t"))
    place.execute(text.replace("TABLE", "twin"))


def difference(place: Place) -> list[tuple[object, ...]]:
    one = "(SELECT id, a, b, c, d, p_id, r FROM {} EXCEPT SELECT id, a, b, c, d, p_id, r FROM {})"
    return place.execute(f"{one.format('t', 'twin')} UNION ALL {one.format('twin', 't')}")


WRITES = """
INSERT INTO TABLE (id, a, b) VALUES ({n} + 100, {n} + 5000, 'new');
UPDATE TABLE SET b = 'other', d = {n} WHERE id = {n};
UPDATE TABLE SET id = id + 1000 WHERE id = {n} + 1;
DELETE FROM TABLE WHERE id = {n} + 99;
UPDATE TABLE SET a = 2000 WHERE a = 10;
UPDATE TABLE SET a = 10 WHERE a = 20;
UPDATE TABLE SET a = 20 WHERE a = 2000;
DELETE FROM TABLE WHERE id = 1003;
INSERT INTO TABLE (id, a, b) VALUES (1003, 3000 + {n}, 'again')
"""


@pytest.fixture
def twin(place: Place) -> Place:
    place.execute("""
        INSERT INTO t (a, b) SELECT n, n::text FROM generate_series(6, 40) AS n;
        ALTER TABLE t ADD CONSTRAINT t_a UNIQUE (a);
        CREATE TABLE twin (LIKE t INCLUDING DEFAULTS); INSERT INTO twin SELECT * FROM t""")
    return place


def test_what_clients_write_meanwhile_is_in_the_new_table(twin: Place) -> None:
    for number, _ in enumerate(between(twin, RebuildTable(table=T)), 2):
        for statement in WRITES.format(n=number).split(";"):
            both(twin, statement)
    assert difference(twin) == []
    assert twin.value("SELECT to_regclass('_zanith_kept') IS NULL")


def test_a_table_truncated_meanwhile_is_empty(twin: Place) -> None:
    changing = between(twin, RebuildTable(table=T))
    next(changing), next(changing)
    both(twin, "TRUNCATE TABLE")
    both(twin, "INSERT INTO TABLE (id, a, b) VALUES (7, 7, 'after')")
    for _ in changing:
        pass
    assert difference(twin) == []
    assert twin.value("SELECT count(*) FROM t") == 1


def test_clients_at_work_lose_nothing_and_fail_nowhere(twin: Place) -> None:
    """Each client owns the rows of one remainder, and knows what must be in them at the end."""
    errors: list[Exception] = []
    known: list[dict[int, int]] = [{} for _ in range(4)]
    stop = threading.Event()

    def work(number: int) -> None:
        rng = random.Random(number)
        rows = known[number]
        with twin.database.connect() as connection:
            connection.execute(f"SET search_path = {twin.schema}")
            # A snapshot from before the swap would not see what the swap itself brought.
            begin = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; LOCK t IN ROW EXCLUSIVE MODE"
            while not stop.is_set():
                key = 10_000 + rng.randrange(60) * 4 + number
                try:
                    with connection.transaction():
                        connection.execute(begin if number % 2 else "SELECT 1")
                        _write(connection, rng, key, rows)
                except Exception as error:
                    errors.append(error)
                    return

    clients = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for client in clients:
        client.start()
    try:
        for _ in range(3):
            for _ in between(twin, RebuildTable(table=T)):
                pass
            twin.execute("DROP SCHEMA _zanith_kept CASCADE")
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert errors == []
    expected = {key: value for rows in known for key, value in rows.items()}
    assert dict(twin.execute("SELECT id, d FROM t WHERE id >= 10000")) == expected
    assert expected


def _write(
    connection: psycopg.Connection[tuple[object, ...]],
    rng: random.Random,
    key: int,
    rows: dict[int, int],
) -> None:
    value = rng.randrange(10**6)
    if key not in rows:
        text = "INSERT INTO t (id, a, d) VALUES (%s, %s, %s)"
        connection.execute(text, [key, key, value])
        rows[key] = value
    elif rng.random() < 0.5:
        connection.execute("UPDATE t SET d = %s WHERE id = %s", [value, key])
        rows[key] = value
    else:
        connection.execute("DELETE FROM t WHERE id = %s", [key])
        del rows[key]


def test_values_are_made_of_the_old_columns(place: Place) -> None:
    old = table(place.read()).columns
    new = (*(c for c in old if c.name != "b"), Column("sum", "bigint", nullable=False))
    operation = RebuildTable(table=T, old=old, new=new, values=(("sum", "(t.a + t.d) * g"),))
    for number, _ in enumerate(between(place, operation), 10):
        place.execute(f"UPDATE t SET d = {number} WHERE id = 1")
        if not place.value("SELECT count(*) FROM pg_attribute WHERE attname = 'sum' "
                           "AND attrelid = 't'::regclass"):  # fmt: skip
            place.execute(f"INSERT INTO t (a, d) VALUES ({number}, 0)")
    assert place.execute("SELECT id FROM t WHERE sum <> (a + d) * g AND id > 1") == []
    assert place.value("SELECT count(*) FROM t") > 6


def test_owner_and_grants_stay(place: Place) -> None:
    place.execute("""
        GRANT SELECT, INSERT ON t TO pg_monitor WITH GRANT OPTION; GRANT SELECT ON t TO PUBLIC;
        GRANT UPDATE (d) ON t TO pg_monitor; ALTER TABLE t OWNER TO pg_database_owner""")
    asked = """
        SELECT relacl::text, pg_get_userbyid(relowner)::text, ARRAY(
            SELECT a.attname || a.attacl::text FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL)
        FROM pg_class c WHERE oid = 't'::regclass"""
    before = place.execute(asked)
    for _ in between(place, RebuildTable(table=T)):
        pass
    assert place.execute(asked) == before


def test_a_client_without_rights_on_anything_of_ours_can_write(place: Place) -> None:
    place.execute(f"""
        DROP ROLE IF EXISTS zanith_client; CREATE ROLE zanith_client;
        GRANT USAGE ON SCHEMA {place.schema} TO zanith_client;
        GRANT SELECT, INSERT, UPDATE, DELETE ON t TO zanith_client""")
    try:
        for number, _ in enumerate(between(place, RebuildTable(table=T)), 10):
            place.execute(f"SET ROLE zanith_client; INSERT INTO t (a) VALUES ({number})")
            place.execute(f"UPDATE t SET b = 'x' WHERE a = {number}; RESET ROLE")
        assert place.value("SELECT count(*) FROM t WHERE b = 'x'") == number - 9
    finally:
        place.execute("RESET ROLE; DROP OWNED BY zanith_client; DROP ROLE zanith_client")


HINDRANCES = {
    "view v": "CREATE VIEW v AS SELECT d FROM t",
    "rule r on table t": "CREATE RULE r AS ON UPDATE TO t WHERE OLD.d > 5 DO INSTEAD NOTHING",
    "publication of table t in publication": "CREATE PUBLICATION {place} FOR TABLE t",
    "statistics object s": "CREATE STATISTICS s ON a, d FROM t",
    "function f()": "CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT sum(d) FROM t; END",
    "policy o on table p": "CREATE POLICY o ON p USING (EXISTS (SELECT FROM t WHERE d = p.id))",
    "partition or heir": "CREATE TABLE heir () INHERITS (t)",
    "column kept of table other": "CREATE TABLE other (kept t)",
    "unfinished change _zanith_new_1": "ALTER TABLE t RENAME c TO _zanith_new_1",
}


@pytest.mark.parametrize("found", HINDRANCES)
def test_what_would_be_left_at_the_old_table_is_refused_by_name(place: Place, found: str) -> None:
    place.execute(HINDRANCES[found].format(place=place.schema))
    before = place.read()
    with pytest.raises(psycopg.errors.DependentObjectsStillExist) as refused:
        next(between(place, RebuildTable(table=T)))
    said = str(refused.value)
    assert said.startswith("cannot rebuild t: ")
    assert found.split()[0] in said
    assert found.split()[-1] in said
    assert place.read() == before
    place.execute(f"DROP PUBLICATION IF EXISTS {place.schema}")


def test_a_table_without_a_key_is_refused(place: Place) -> None:
    place.execute("ALTER TABLE t DROP CONSTRAINT t_pk, ADD CONSTRAINT t_d UNIQUE (d)")
    with pytest.raises(psycopg.errors.RaiseException, match="cannot rebuild t: it has no primary"):
        next(between(place, RebuildTable(table=T)))


def test_numbers_continue_at_their_last_value(place: Place) -> None:
    place.execute("ALTER TABLE t ADD s serial; SELECT setval('t_s_seq', 70)")
    for _ in between(place, RebuildTable(table=T)):
        place.execute("INSERT INTO t (a) VALUES (6)")
    rows = place.execute("SELECT id, s FROM t WHERE a = 6 AND id > 6 ORDER BY id")
    ids, numbers = [row[0] for row in rows], [row[1] for row in rows]
    assert ids == list(range(7, 7 + len(ids)))
    assert numbers == list(range(72, 72 + len(ids)))


def test_the_old_table_is_kept_and_can_be_brought_back(place: Place) -> None:
    place.execute("CREATE INDEX t_b ON t (b); ALTER TABLE t ADD FOREIGN KEY (p_id) REFERENCES p")
    graph, operation = place.read(), RebuildTable(table=T)
    artifact = operation.artifact(place.context(graph))
    assert artifact is not None
    for _ in between(place, operation):
        pass
    assert place.value(artifact.count) == 5
    place.execute("DROP TABLE t")
    restore = from_data(artifact.metadata["restore"])
    assert isinstance(restore, RestoreTable)
    place.apply(restore, place.context(place.read()))
    assert place.value("SELECT count(*) FROM t") == 5
    found = table(place.read())
    assert (found.indexes, found.foreign_keys) == (table(graph).indexes, table(graph).foreign_keys)


def test_what_soft_drops_keep_is_kept_on(place: Place) -> None:
    place.execute("""
        CREATE INDEX t_b ON t (b DESC); CREATE UNIQUE INDEX t_bd ON t (d, b);
        ALTER TABLE t ALTER b TYPE text COLLATE "C"; UPDATE t SET b = NULL WHERE id = 4""")
    before = place.read()
    column = table(before).column("b")
    assert column is not None
    drop = SoftDropColumn.of(table(before), column)
    place.apply(drop, place.context(before))
    for number, _ in enumerate(between(place, RebuildTable(table=T)), 10):
        place.execute(f"INSERT INTO t (a, d) VALUES ({number}, {number})")
        place.execute("UPDATE t SET d = d + 100 WHERE id < 3; UPDATE t SET id = 50 WHERE id = 3")
    place.apply(drop.inverse(), place.context(place.read()))
    assert place.read() == before
    kept = place.execute("SELECT a, b FROM t WHERE a < 6 ORDER BY a")
    assert kept == [(1, "1"), (2, "2"), (3, "3"), (4, None), (5, "5")]
    ours = "SELECT proname FROM pg_proc WHERE proname ~ '^_zanith' UNION ALL SELECT relname "
    assert place.execute(f"{ours} FROM pg_class WHERE relname ~ '^_zanith_(new|moved)'") == []


def test_it_can_be_undone_and_done_again(twin: Place) -> None:
    graph, operation = twin.read(), RebuildTable(table=T)
    undo = operation.inverse()
    assert isinstance(undo, RebuildTable)
    for number, change in enumerate((operation, undo, operation), 1):
        for _ in between(twin, change):
            both(twin, f"UPDATE TABLE SET b = '{number}' WHERE id = {number}")
    assert twin.read() == graph
    assert difference(twin) == []


def test_the_swap_reads_no_more_than_what_changed(place: Place) -> None:
    operation = RebuildTable(table=T)
    place.execute("CREATE INDEX t_b ON t (b); ALTER TABLE t ADD CHECK (a > 0)")
    groups = list(transactions(operation.statements(place.context(place.read()))))
    for group in groups:
        if group[0].phase == SWAP:
            break
        place.run(group)
    noticed: list[str] = []
    place.connection.add_notice_handler(lambda n: noticed.append(n.message_primary or ""))
    place.execute("SET client_min_messages = debug1")
    place.run(group)
    place.execute("RESET client_min_messages")
    assert not [text for text in noticed if "rewriting" in text or "verifying" in text]
    assert not [text for text in noticed if "building index" in text and "toast" not in text]
