"""Columns that get a value for every row while code of the release before goes on writing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from tests.place import Place
from zanith_django.diff.diff import diff
from zanith_django.diff.differ import Fill, Hints
from zanith_django.operations import Operation
from zanith_django.postgres.names import TableName
from zanith_django.run.work import transactions
from zanith_django.schema.graph import Column

T = TableName("", "t")


def between(place: Place, operations: list[Operation]) -> Iterator[None]:
    """The transactions of these operations: each has run when it is given."""
    for operation in operations:
        for group in transactions(operation.statements(place.context(place.read()))):
            place.run(group)
            yield


def changes(place: Place, column: Column, value: str) -> list[Operation]:
    """What gives the table this column, and rows that have none this value."""
    before = place.read()
    after = before.changed(T, lambda table: table.with_item("columns", column))
    return list(diff(before, after, Hints(fills={(T, column.name): Fill(value)})))


def test_a_volatile_value_comes_to_rows_inserted_meanwhile_as_well(place: Place) -> None:
    *adding, dropping = changes(place, Column("u", "uuid", nullable=False), "gen_random_uuid()")
    for _ in between(place, adding):
        place.execute("INSERT INTO t (a) VALUES (9)")
    assert place.value("SELECT count(DISTINCT u) = count(*) FROM t")
    for _ in between(place, [dropping]):
        pass
    assert not any(
        column.default for column in place.read().tables[-1].columns if column.name == "u"
    )


def test_a_volatile_default_comes_to_rows_inserted_meanwhile_as_well(place: Place) -> None:
    column = Column("u", "uuid", nullable=False, default="gen_random_uuid()")
    for _ in between(place, changes(place, column, "gen_random_uuid()")):
        place.execute("INSERT INTO t (a) VALUES (9)")
    assert place.value("SELECT count(DISTINCT u) = count(*) FROM t")


def test_null_that_running_code_writes_until_it_is_forbidden_is_replaced(place: Place) -> None:
    place.execute("UPDATE t SET d = NULL WHERE id = 2")
    table = place.read().table(T)
    assert table
    found = table.column("d")
    assert found
    column = dataclasses.replace(found, nullable=False)
    for number, _ in enumerate(between(place, changes(place, column, "7")), 1):
        if place.read().tables[-1].column("d") == found:
            place.execute(f"INSERT INTO t (a, d) VALUES (9, NULL), (9, {number})")
            place.execute("UPDATE t SET d = NULL WHERE id = 3")
    assert dict(place.execute("SELECT id, d FROM t WHERE id < 5")) == {1: 1, 2: 7, 3: 7, 4: 4}
    assert place.read().tables[-1].column("d") == column
    assert place.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = 't'::regclass") == []
