"""A column's type changed by a new column that takes the old one's place, with clients at work."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import psycopg
import pytest

from tests.examples import column
from tests.place import Place
from zanith_django.operations import AlterColumnType, Operation, Statement
from zanith_django.operations.online.expand import SWAP
from zanith_django.postgres.names import TableName
from zanith_django.run.work import transactions

T = TableName("", "t")


def retyped(place: Place, name: str, kind: str, using: str = "") -> AlterColumnType:
    old = column(place.read(), name)
    return AlterColumnType(table=T, old=old, new=dataclasses.replace(old, type=kind), using=using)


def groups(place: Place, operation: Operation) -> list[list[Statement]]:
    return list(transactions(operation.statements(place.context(place.read()))))


def between(place: Place, operation: Operation) -> Iterator[Sequence[Statement]]:
    """The transactions of the change: each has run when it is given."""
    for group in groups(place, operation):
        place.run(group)
        yield group


def test_what_clients_write_meanwhile_is_converted(place: Place) -> None:
    for number, _ in enumerate(between(place, retyped(place, "d", "text")), 1):
        place.execute(f"INSERT INTO t (a, d, b) VALUES ({number}, {number * 11}, '{number * 11}')")
        place.execute(f"UPDATE t SET d = {number + 100}, b = '{number + 100}' WHERE a = {number}")
        place.execute("UPDATE t SET id = id + 1000 WHERE id = 3; DELETE FROM t WHERE id = 4")
    assert place.value("SELECT pg_typeof(d)::text FROM t LIMIT 1") == "text"
    assert place.execute("SELECT id, d, b FROM t WHERE d IS DISTINCT FROM b") == []
    assert place.value("SELECT count(*) FROM t") > 6


def test_a_conversion_may_read_other_columns(place: Place) -> None:
    using = "(d * 100 + t.a)::text"
    for number, _ in enumerate(between(place, retyped(place, "d", "text", using)), 10):
        if place.value("SELECT pg_typeof(d)::text FROM t LIMIT 1") == "integer":
            place.execute(f"INSERT INTO t (a, d) VALUES ({number}, {number})")
            place.execute("UPDATE t SET a = 77 WHERE id = 1; UPDATE t SET d = 88 WHERE id = 2")
    assert dict(place.execute("SELECT id, d FROM t WHERE id < 4")) == {
        1: "177",
        2: "8802",
        3: "303",
    }
    assert place.value("SELECT d FROM t WHERE a = 10") == "1010"


@pytest.mark.parametrize(("kind", "value"), [("bigint", 7), ("text", "7"), ("boolean", True)])
def test_a_default_that_the_change_does_not_name_stays(
    place: Place, kind: str, value: object
) -> None:
    change = retyped(place, "d", kind)
    place.execute("ALTER TABLE t ALTER d SET DEFAULT 7")
    for _ in between(place, change):
        pass
    assert place.value("INSERT INTO t (a) VALUES (9) RETURNING d") == value
    if kind != "boolean":
        assert column(place.read(), "d").default == "7"  # drift as it was before


def test_a_trigger_of_the_users_has_its_say_before_the_value_is_converted(place: Place) -> None:
    place.execute("""
        CREATE FUNCTION doubled() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.d := NEW.d * 2; RETURN NEW; END';
        CREATE TRIGGER zzz BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION doubled()""")
    changing = between(place, retyped(place, "d", "bigint"))
    next(changing)
    place.execute("INSERT INTO t (a, d) VALUES (9, 21)")
    for _ in changing:
        pass
    assert place.value("SELECT d FROM t WHERE a = 9") == 42


def test_no_client_fails_on_a_value_that_does_not_fit_but_the_backfill_does(place: Place) -> None:
    expand, fill, *_ = groups(place, retyped(place, "b", "character varying(3)"))
    place.run(expand)
    place.execute("INSERT INTO t (a, b) VALUES (9, 'far too long')")
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        place.run(fill)
    place.execute("UPDATE t SET b = 'ok' WHERE a = 9")
    place.resume(
        retyped(place, "b", "character varying(3)").statements(place.context(place.read()))
    )
    assert place.value("SELECT b FROM t WHERE a = 9") == "ok"


HINDRANCES = {
    "view v": "CREATE VIEW v AS SELECT d FROM t",
    "materialized view v": "CREATE MATERIALIZED VIEW v AS SELECT d + 1 FROM t",
    "rule r on table t": "CREATE RULE r AS ON UPDATE TO t WHERE OLD.d > 5 DO INSTEAD NOTHING",
    "publication of table t in publication": "CREATE PUBLICATION {place} FOR TABLE t (id, d)",
    "statistics object s": "CREATE STATISTICS s ON a, d FROM t",
    "function f()": "CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT sum(d) FROM t; END",
    "policy o on table p": "CREATE POLICY o ON p USING (EXISTS (SELECT FROM t WHERE d = p.id))",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("found", HINDRANCES)
def test_what_would_be_left_at_the_old_column_is_refused_by_name(place: Place, found: str) -> None:
    place.execute(HINDRANCES[found].format(place=place.schema))
    before = place.read()
    with pytest.raises(psycopg.errors.DependentObjectsStillExist) as refused:
        place.run(groups(place, retyped(place, "d", "bigint"))[0])
    said = str(refused.value)
    assert said.startswith("cannot change the type of t.d: ")
    assert found.split()[0] in said
    assert found.split()[-1] in said
    assert place.read() == before
    place.execute(f"DROP PUBLICATION IF EXISTS {place.schema}")


def test_a_view_that_came_meanwhile_stops_the_swap(place: Place) -> None:
    *before, swap = groups(place, retyped(place, "d", "bigint"))
    for group in before:
        place.run(group)
    place.execute("CREATE VIEW v AS SELECT d FROM t")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist, match="view v depends on it"):
        place.run(swap)
    place.execute("DROP VIEW v")
    place.run(swap)


def test_grants_on_the_column_are_those_of_the_new_one(place: Place) -> None:
    place.execute("GRANT SELECT (d), UPDATE (d) ON t TO pg_monitor WITH GRANT OPTION")
    place.execute("GRANT SELECT (d) ON t TO PUBLIC; ALTER TABLE t ALTER d SET STATISTICS 500")
    place.execute("ALTER TABLE t ALTER d SET (n_distinct = -0.5)")
    place.execute("CREATE INDEX rows ON t (d, a); CLUSTER t USING rows")
    asked = "SELECT attacl, attstattarget, attoptions FROM pg_attribute WHERE attname = 'd'"
    asked = f"{asked} AND attrelid = 't'::regclass"
    clustered = "SELECT indexrelid::regclass::text FROM pg_index WHERE indisclustered"
    before = place.execute(asked)
    for _ in between(place, retyped(place, "d", "bigint")):
        pass
    assert place.execute(asked) == before
    assert place.execute(clustered) == [("rows",)]


@pytest.mark.parametrize(
    "setup",
    [
        "ALTER TABLE t ALTER id SET GENERATED ALWAYS",
        "ALTER TABLE t ALTER id DROP IDENTITY; CREATE SEQUENCE own OWNED BY t.id; "
        "SELECT setval('own', 5); ALTER TABLE t ALTER id SET DEFAULT nextval('own')",
        "ALTER TABLE t ALTER id DROP IDENTITY; CREATE SEQUENCE lone START 6; "
        "ALTER TABLE t ALTER id SET DEFAULT nextval('lone')",
    ],
    ids=["identity", "serial", "sequence of nobody"],
)
def test_a_key_continues_at_its_last_value(place: Place, setup: str) -> None:
    place.execute(setup)
    for _ in between(place, retyped(place, "id", "integer")):
        place.execute("INSERT INTO t (a) VALUES (6)")
    ids = [number for (number,) in place.execute("SELECT id FROM t ORDER BY id")]
    assert ids == list(range(1, len(ids) + 1))


def test_the_old_values_are_kept_under_the_name_of_the_artifact(place: Place) -> None:
    place.execute("ALTER TABLE t ALTER d TYPE numeric(10, 3); UPDATE t SET d = d + 0.125")
    operation = retyped(place, "d", "numeric(10,1)")
    artifact = operation.artifact(place.context(place.read()))
    assert artifact is not None
    for _ in between(place, operation):
        pass
    kept = place.execute(f"SELECT {artifact.physical_name}::text FROM t ORDER BY id LIMIT 2")
    assert kept == [("1.125",), ("2.125",)]
    assert place.value(artifact.count) == 5
    place.execute("INSERT INTO t (a, d) VALUES (1, 1)")


@pytest.mark.parametrize("purged", [False, True])
def test_a_rollback_restores_the_old_values_of_rows_that_no_session_changed(
    place: Place, purged: bool
) -> None:
    place.execute("ALTER TABLE t ALTER d TYPE numeric(10, 3); UPDATE t SET d = d + 0.125")
    operation = retyped(place, "d", "numeric(10,1)")
    artifact = operation.artifact(place.context(place.read()))
    assert artifact is not None
    for _ in between(place, operation):
        pass
    if purged:
        place.execute(f"ALTER TABLE t DROP COLUMN {artifact.physical_name}")
    place.execute("UPDATE t SET d = 7.5 WHERE id = 2")
    for _ in between(place, operation.inverse()):
        pass
    values = place.execute("SELECT d::text FROM t WHERE id < 4 ORDER BY id")
    kept = [("1.100",), ("7.500",), ("3.100",)] if purged else [("1.125",), ("7.500",), ("3.125",)]
    assert values == kept
    hidden = "SELECT count(*) FROM pg_attribute WHERE attname ~ '^_zanith' AND NOT attisdropped"
    assert place.value(f"{hidden} AND attrelid = 't'::regclass") == 0


def test_it_can_be_undone_and_done_again(place: Place) -> None:
    graph, operation = place.read(), retyped(place, "d", "bigint")
    for change in (operation, operation.inverse(), operation):
        for _ in between(place, change):
            pass
    assert place.read() == operation.apply_to(graph)


def test_nothing_of_the_work_is_left(place: Place) -> None:
    for _ in between(place, retyped(place, "d", "bigint")):
        pass
    left = """
        SELECT tgname::text FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal
        UNION ALL SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND conname ~ '_'
            AND conname NOT IN ('t_pk', 't_id_not_null', 't_a_not_null')
        UNION ALL SELECT relname FROM pg_class WHERE relkind = 'i' AND relname ~ '^_zanith'
        UNION ALL SELECT proname FROM pg_proc WHERE proname ~ 'zanith'"""
    assert place.execute(left) == []


def test_the_swap_is_one_transaction_and_looks_at_no_row(place: Place) -> None:
    place.execute(
        "CREATE INDEX t_d ON t (d); ALTER TABLE t ADD CHECK (d > 0), ALTER d SET NOT NULL"
    )
    *_, last = groups(place, retyped(place, "d", "bigint"))
    assert all(statement.phase.startswith(SWAP) for statement in last)
    assert not any(statement.scans or statement.rewrites for statement in last)
    *before, _ = groups(place, retyped(place, "d", "bigint"))
    for group in before:
        place.run(group)
    noticed: list[str] = []
    place.connection.add_notice_handler(lambda n: noticed.append(n.message_primary or ""))
    place.execute("SET client_min_messages = debug1")
    place.run(last)
    place.execute("RESET client_min_messages")
    assert not [text for text in noticed if "rewriting" in text or "verifying" in text]
    assert not [text for text in noticed if "building index" in text]
