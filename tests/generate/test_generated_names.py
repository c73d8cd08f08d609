"""Names that generated files get from their operations."""

from __future__ import annotations

import pytest

from zanith_django import operations as ops
from zanith_django.generate.generate import LONGEST_NAME, name_of
from zanith_django.operations import Operation
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, Index, IndexKey, Table, Unique

T = TableName("", "shop_order")
MODEL = "shop.Order"
NOTE = Column("note", "text")


def add(name: str, model: str = MODEL) -> Operation:
    return ops.AddColumn(table=T, column=Column(name, "text"), model=model)


CASES: dict[str, list[Operation]] = {
    "order_note": [add("note")],
    "shop_order_note": [add("note", model="")],
    "order_note_order_paid": [add("note"), add("paid")],
    "remove_order_note": [ops.SoftDropColumn(table=T, column=NOTE, model=MODEL)],
    "order": [ops.CreateTable(table=Table(T), model=MODEL)],
    "remove_order": [ops.SoftDropTable(table=Table(T), model=MODEL)],
    "alter_order_note": [
        ops.AlterColumnType(table=T, old=NOTE, new=Column("note", "varchar"), model=MODEL),
        ops.AlterColumnNullable(table=T, column="note", nullable=False, model=MODEL),
    ],
    "rename_order_note": [ops.RenameColumn(table=T, old="note", new="remark", model=MODEL)],
    "order_note_at": [
        ops.AddIndex(table=T, index=Index("i", (IndexKey("note"), IndexKey("at"))), model=MODEL)
    ],
    "remove_order_note_key": [
        ops.DropUnique(table=T, unique=Unique("order_note_key", ("note",)), model=MODEL)
    ],
    "remove_order_note_idx": [
        ops.DropIndex(table=T, index=Index("order_note_idx", (IndexKey("note"),)), model=MODEL)
    ],
    "order_column_0_order_column_1_and_more": [add(f"column_{n}") for n in range(9)],
    "empty": [],
}


@pytest.mark.parametrize("name", CASES)
def test_a_name_says_what_the_file_does(name: str) -> None:
    assert name_of(CASES[name]) == name


@pytest.mark.parametrize("length", [10, 30, 60])
@pytest.mark.parametrize("count", [1, 2, 20])
def test_a_name_is_never_too_long(length: int, count: int) -> None:
    name = name_of([add(f"{'x' * length}{number}") for number in range(count)])
    assert len(name) <= LONGEST_NAME
    assert name.endswith("_and_more") == (count * (length + 7) > LONGEST_NAME and count > 1)
