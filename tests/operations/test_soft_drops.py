"""Soft drops: new code works after them, and a restore brings everything back."""

from __future__ import annotations

import psycopg
import pytest

from tests.examples import HUNG, WHOLE, P, T
from tests.graphs import differences
from tests.place import Place
from zanith_django import operations as ops
from zanith_django.exceptions import CannotDrop
from zanith_django.operations.base import KEPT_SCHEMA, Operation
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table


def table(graph: SchemaGraph, name: TableName = T) -> Table:
    found = graph.table(name)
    assert found is not None
    return found


def soft_drop(place: Place, name: str, migration: str = "m1") -> ops.SoftDropColumn:
    """Drop the column `name` of the table t, and give back the operation."""
    graph = place.read()
    column = table(graph).column(name)
    assert column is not None
    operation = ops.SoftDropColumn.of(table(graph), column)
    place.apply(operation, place.context(graph, migration=migration))
    return operation


def undo(place: Place, operation: Operation, migration: str = "m1") -> None:
    inverse = operation.inverse()
    assert inverse is not None
    place.apply(inverse, place.context(place.read(), migration=migration))


# What mentions the column c of t, besides a, which is no key; p has the rows 1 to 3.
MENTIONS = {
    "not null": "c integer NOT NULL",
    "default and unique": "c integer DEFAULT 7 UNIQUE",
    "unique": "c integer UNIQUE",
    "unique with another": "c integer, UNIQUE (a, c)",
    "check": "c integer CHECK (c > 0)",
    "check that NULL fails": "c integer CHECK (c IS NOT NULL)",
    "identity": "c integer GENERATED ALWAYS AS IDENTITY",
    "serial": "c serial",
    "unique nulls not distinct": "c integer UNIQUE NULLS NOT DISTINCT",
    "unique where it is null": "c integer; CREATE UNIQUE INDEX i ON t (a) WHERE c IS NULL",
    "unique of an expression": "c integer; CREATE UNIQUE INDEX i ON t (a, coalesce(c, 0))",
    "exclusion where it is null": "c integer, EXCLUDE USING gist (r WITH &&) WHERE (c IS NULL)",
    "domain": "c filled",
    "domain on a domain": "c twice",
    "foreign key": "c integer REFERENCES p (id)",
    "foreign key with cascade": "c integer NOT NULL REFERENCES p (id) ON DELETE CASCADE",
    "plain index": "c integer; CREATE INDEX i ON t (c)",
    "policy": "c integer; CREATE POLICY o ON t USING (c > 0)",
}


@pytest.mark.parametrize("mention", MENTIONS.values(), ids=list(MENTIONS))
def test_inserts_and_deletes_work_after_a_soft_drop_and_a_restore_is_exact(
    empty_place: Place, mention: str
) -> None:
    place = empty_place
    columns, _, more = mention.partition(";")
    place.execute(
        "CREATE DOMAIN filled AS integer NOT NULL; CREATE DOMAIN twice AS filled CHECK (VALUE > 0);"
        "CREATE TABLE p (id integer PRIMARY KEY); INSERT INTO p SELECT generate_series(1, 3);"
        f"CREATE TABLE t (a integer, r int4range, {columns}); {more};"
        "INSERT INTO t (a, r, c) OVERRIDING SYSTEM VALUE VALUES (1, '[1,2)', 1), (2, '[2,3)', 2)"
    )
    before, rows = place.read(), place.execute("SELECT * FROM t ORDER BY a")
    operation = soft_drop(place, "c")
    assert differences(place.read(), operation.apply_to(before)) == []
    place.execute("INSERT INTO t (a, r) VALUES (7, '[1,2)'), (7, '[1,2)')")
    place.execute("DELETE FROM p WHERE id = 1")
    assert place.value("SELECT count(*) FROM t") == 4
    place.execute("DELETE FROM t WHERE a = 7; INSERT INTO p VALUES (1)")
    undo(place, operation)
    assert differences(place.read(), before) == []
    assert place.execute("SELECT * FROM t ORDER BY a") == rows


def test_a_column_of_the_same_name_can_be_made_and_dropped_again(place: Place) -> None:
    place.execute(HUNG)
    before = place.read()
    first = soft_drop(place, "d", "m1")
    between = place.read()
    place.execute("ALTER TABLE t ADD d serial; CREATE INDEX t_di ON t (d)")
    second = soft_drop(place, "d", "m2")
    assert differences(place.read(), between) == []
    undo(place, second, "m2")
    assert place.value("SELECT sum(d) FROM t") == 15
    soft_drop(place, "d", "m3")
    undo(place, first, "m1")
    assert differences(place.read(), before) == []


def test_a_restored_identity_goes_on_above_the_highest_value(place: Place) -> None:
    place.execute("ALTER TABLE t ADD n integer GENERATED ALWAYS AS IDENTITY")
    operation = soft_drop(place, "n")
    undo(place, operation)
    assert place.value("INSERT INTO t (a) VALUES (9) RETURNING n") == 6


def test_what_cannot_be_lifted_is_refused_by_name(place: Place) -> None:
    for column, why in (("id", "primary key"), ("a", "the column g is generated from it")):
        with pytest.raises(CannotDrop, match=why):
            soft_drop(place, column)
    place.execute("CREATE TABLE part (day date) PARTITION BY RANGE (day)")
    found = table(place.read(), TableName("", "part"))
    with pytest.raises(CannotDrop, match="partition key"):
        ops.SoftDropColumn.of(found, Column("day", "date"))


def test_an_artifact_says_how_to_bring_a_column_back(place: Place) -> None:
    place.execute(HUNG)
    before = place.read()
    operation = soft_drop(place, "d")
    artifact = operation.artifact(place.context(before, migration="m1"))
    assert artifact.id == "m1::soft_drop_column::t.d"
    assert place.value(artifact.count) == 5
    for statement in artifact.recovery_sql.split(";\n"):
        place.execute(statement)
    assert differences(place.read(), before) == []


# --- tables --------------------------------------------------------------------------------------


def drop_table(place: Place, migration: str = "m1") -> ops.SoftDropTable:
    graph = place.read()
    operation = ops.SoftDropTable(table=table(graph))
    place.apply(operation, place.context(graph, migration=migration))
    return operation


def test_a_soft_dropped_table_is_gone_and_comes_back_with_its_rows(place: Place) -> None:
    place.execute(WHOLE)
    before, rows = place.read(), place.execute("SELECT * FROM t ORDER BY id")
    operation = drop_table(place)
    assert place.read().table_names == (P,)
    place.execute("DELETE FROM p WHERE id = 2")
    undo(place, operation)
    assert differences(place.read(), before) == []
    assert place.execute("SELECT * FROM t ORDER BY id") == rows
    place.execute("INSERT INTO t (a) VALUES (9)")
    assert place.execute("SELECT id, s FROM t WHERE a = 9") == [(6, 6)]


def test_a_table_of_the_same_name_can_be_made_and_dropped_again(place: Place) -> None:
    place.execute(WHOLE)
    before = place.read()
    first = drop_table(place, "m1")
    place.execute("CREATE TABLE t (id bigserial CONSTRAINT t_pk PRIMARY KEY, s serial, a integer)")
    place.execute("CREATE INDEX t_b ON t (a)")
    drop_table(place, "m2")
    hidden = "SELECT count(*) FROM pg_tables WHERE schemaname = %L"
    assert place.value(hidden.replace("%L", f"'{KEPT_SCHEMA}'")) == 2
    undo(place, first, "m1")
    assert differences(place.read(), before) == []


def test_a_table_that_others_point_at_is_refused_by_postgresql(place: Place) -> None:
    place.execute("CREATE TABLE u (t_id bigint REFERENCES t (id))")
    graph = place.read()
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        place.apply(ops.DropTable(table=table(graph)), place.context(graph))
