"""Operations on a partitioned table with rows: it becomes what it should, and its rows stay."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graphs import differences
from tests.place import Connection, Place
from tests.servers import Database
from zanith_django.operations import (
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddIndex,
    AddUnique,
    AlterColumnDefault,
    AlterColumnNullable,
    AlterColumnType,
    AlterIndexOptions,
    AlterPrimaryKey,
    CreatePolicy,
    DropIndex,
    DropUnique,
    EnableRls,
    Operation,
    RenameColumn,
    RenameIndex,
    SetComment,
)
from zanith_django.postgres.names import TableName
from zanith_django.run.work import transactions
from zanith_django.schema.graph import (
    Check,
    Column,
    ForeignKey,
    Index,
    IndexKey,
    Policy,
    PrimaryKey,
    Unique,
)

SETUP = """
CREATE TABLE kind (id bigint PRIMARY KEY);
INSERT INTO kind VALUES (1);
CREATE TABLE t (
    id bigint NOT NULL, day date NOT NULL, kind_id bigint, n integer, s varchar(9), w text,
    PRIMARY KEY (id, day), CONSTRAINT old_unique UNIQUE (n, day),
    CONSTRAINT old_check CHECK (n > 0),
    CONSTRAINT old_key FOREIGN KEY (kind_id) REFERENCES kind (id) DEFERRABLE INITIALLY DEFERRED
) PARTITION BY RANGE (day);
CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')
    PARTITION BY HASH (day);
CREATE TABLE t_2_0 PARTITION OF t_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t_2_1 PARTITION OF t_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX old_index ON t (s);
CREATE INDEX by_kind ON t (kind_id DESC, w) WHERE n > 2;
CREATE POLICY old_policy ON t USING (n > 0);
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER old_trigger BEFORE UPDATE OF n ON t FOR EACH ROW EXECUTE FUNCTION noted();
INSERT INTO t SELECT n, date '2020-06-01' + n * 50, 1, n, n::text, 'w' FROM generate_series(1, 9) n;
"""

T, KIND = TableName("", "t"), TableName("", "kind")
OLD_UNIQUE = Unique("old_unique", ("n", "day"))
OLD_INDEX = Index("old_index", (IndexKey("s"),))


def retyped(name: str, old: str, new: str, **fields: Any) -> AlterColumnType:
    return AlterColumnType(
        table=T, old=Column(name, old, **fields), new=Column(name, new, **fields)
    )


CASES: dict[str, Operation] = {
    "a column": AddColumn(table=T, column=Column("c", "integer")),
    "a column with a default": AddColumn(
        table=T, column=Column("c", "integer", nullable=False, default="7")
    ),
    "a unique constraint that can wait": AddUnique(
        table=T, unique=Unique("u", ("s", "day"), ("w",), True, "deferred")
    ),
    "another primary key": AlterPrimaryKey(
        table=T, old=PrimaryKey("t_pkey", ("id", "day")), new=PrimaryKey("t_pkey", ("day", "id"))
    ),
    "an index": AddIndex(table=T, index=Index("i", (IndexKey("n"), IndexKey("s")))),
    "a unique index": AddIndex(
        table=T, index=Index("i", (IndexKey("n"), IndexKey("day")), unique=True)
    ),
    "a unique constraint": AddUnique(table=T, unique=Unique("u", ("s", "day"))),
    "a check": AddCheck(table=T, check=Check("c", "(n > 0)", ("n",))),
    "a foreign key": AddForeignKey(
        table=T, foreign_key=ForeignKey("f", ("kind_id",), KIND, ("id",), deferrable="deferred")
    ),
    "not null": AlterColumnNullable(table=T, column="n", nullable=False),
    "a default": AlterColumnDefault(table=T, column="n", new="5"),
    "a wider type": AlterColumnType(
        table=T,
        old=Column("s", "character varying(9)"),
        new=Column("s", "character varying(20)"),
    ),
    "another type": retyped("n", "integer", "bigint"),
    "another type of a column of the key": retyped("id", "bigint", "integer", nullable=False),
    "another type of a foreign key": retyped("kind_id", "bigint", "integer"),
    "a new name": RenameColumn(table=T, old="s", new="code"),
    "a new name of an index": RenameIndex(table=T, old="old_index", new="new_index"),
    "other options of an index": AlterIndexOptions(
        table=T, index="old_index", method="btree", new=("fillfactor=70",)
    ),
    "a comment": SetComment(table=T, new="about days"),
    "a policy": CreatePolicy(table=T, policy=Policy("p", using="(n > 0)")),
    "row security": EnableRls(table=T),
    "no unique constraint": DropUnique(table=T, unique=OLD_UNIQUE),
    "no index": DropIndex(table=T, index=OLD_INDEX),
}


def rows(place: Place) -> int:
    return int(place.value("SELECT count(*) FROM t WHERE w = 'w'"))


@pytest.mark.parametrize("name", CASES)
def test_a_partitioned_table_becomes_what_it_should_and_back(empty_place: Place, name: str) -> None:
    operation, place = CASES[name], empty_place
    place.execute(SETUP)
    before = place.read()
    place.apply(operation, place.context(before))
    after = place.read()
    assert after.table(T) == operation.apply_to(before).table(T)
    assert rows(place) == 9
    undo = operation.inverse()
    assert undo is not None
    place.apply(undo, place.context(after))
    assert place.read().table(T) == before.table(T)
    assert rows(place) == 9


LONG = ("building index", "rewriting table", "verifying table", "validating foreign key")


@pytest.mark.parametrize("name", CASES)
def test_who_stops_writers_looks_at_no_row(empty_place: Place, name: str) -> None:
    operation, place = CASES[name], empty_place
    place.execute(SETUP)
    noticed: list[str] = []
    place.connection.add_notice_handler(lambda n: noticed.append(n.message_primary or ""))
    for group in transactions(operation.statements(place.context(place.read()))):
        if any(statement.lock.blocks_writes for statement in group):
            place.execute("SET client_min_messages = debug1")
        place.run(group)
        place.execute("RESET client_min_messages")
    assert [text for text in noticed if text.startswith(LONG) and "toast" not in text] == []


@pytest.mark.parametrize("name", CASES)
def test_who_is_killed_between_two_transactions_goes_on(
    database: Database, shared_connection: Connection, name: str
) -> None:
    operation, done, last = CASES[name], 0, False
    while not last:
        place = Place(database, shared_connection)
        try:
            place.execute(SETUP)
            before = place.read()
            statements = operation.statements(place.context(before))
            groups = list(transactions(statements))
            last = done == len(groups) - 1
            for group in groups[:done]:
                place.run(group)
            place.resume(statements, done)
            assert place.read().table(T) == operation.apply_to(before).table(T), done
            assert rows(place) == 9
            done += 1
        finally:
            place.remove()


@pytest.mark.parametrize("last", [False, True], ids=["begun", "almost"])
@pytest.mark.parametrize("name", CASES)
def test_what_stopped_leaves_nothing_when_it_is_taken_back(
    empty_place: Place, name: str, last: bool
) -> None:
    operation, place = CASES[name], empty_place
    place.execute(SETUP)
    before = place.read()
    groups = list(transactions(operation.statements(place.context(before))))
    if len(groups) < 2 + last:
        pytest.skip("it is one transaction, or two")
    for group in groups[: len(groups) - 1 if last else 1]:
        place.run(group)
    retreat = operation.retreat(place.context(place.read()))
    assert retreat is not None
    for _ in range(2):
        for group in transactions(retreat):
            place.run(group)
    assert differences(place.read(), before) == []


def test_an_index_of_a_partitioned_table_is_built_while_clients_work(empty_place: Place) -> None:
    empty_place.execute(SETUP)
    operation, context = CASES["an index"], empty_place.context(empty_place.read())
    built = [statement.sql for statement in operation.statements(context) if statement.scans]
    assert len(built) == 3
    assert all("CONCURRENTLY" in text for text in built)
    empty_place.apply(operation, context)
    tree = "pg_index JOIN pg_partition_tree('i') ON indexrelid = relid"
    assert empty_place.value(f"SELECT count(*) FROM {tree} WHERE indisvalid") == 5


def test_an_index_cut_off_among_partitions_goes_on_where_it_stopped(empty_place: Place) -> None:
    empty_place.execute(SETUP)
    operation, before = CASES["a unique index"], empty_place.read()
    statements = operation.statements(empty_place.context(before))
    for done in statements[:4]:
        empty_place.execute(done.sql)
    states = [empty_place.value(s.probe) for s in statements if s.probe]
    assert states == ["done"] * 4 + [None]
    for left in statements[4:]:
        empty_place.execute(left.sql)
    assert empty_place.read().table(T) == operation.apply_to(before).table(T)
