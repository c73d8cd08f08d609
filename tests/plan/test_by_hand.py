"""Steps that are left to do when Django did the work of a file already."""

from __future__ import annotations

import dataclasses

from zanith_django import operations as ops
from zanith_django.operations import Operation
from zanith_django.plan.by_hand import added_by_hand
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Check, Column, Index, IndexKey, SchemaGraph, Table

T, N = TableName("", "t"), TableName("", "n")
A, B = Column("a", "integer"), Column("b", "integer")
INDEX = Index("t_a_idx", (IndexKey("a"),))
CHECK = Check("t_a_check", "(a > 0)", ("a",))


def left(live: Table, *operations: Operation) -> list[str]:
    found = added_by_hand(operations, SchemaGraph(tables=(live,)))
    return [operations[number - 1].kind for number in sorted(found)]


def test_what_django_did_is_not_left() -> None:
    filled = dataclasses.replace(B, default="7")
    operations: list[Operation] = [
        ops.AddColumn(table=T, column=filled),
        ops.AlterColumnDefault(table=T, column="b", old="7"),
        ops.AddIndex(table=T, index=INDEX),
        ops.Backfill(table=T, column="b", value="1"),
        ops.AlterColumnType(table=T, old=A, new=dataclasses.replace(A, type="bigint")),
        ops.RunPython(migration="shop.0002", position=1),
        ops.CreateTable(table=Table(T, (A,))),
    ]
    named_otherwise = dataclasses.replace(INDEX, name="old_name")
    assert left(Table(T, (A, B), indexes=(named_otherwise,)), *operations) == []


def test_what_a_user_added_is_left() -> None:
    operations: list[Operation] = [
        ops.RawSql(sql="SELECT 1"),
        ops.AddIndex(table=T, index=INDEX),
        ops.AddCheck(table=T, check=CHECK),
        ops.AddColumn(table=T, column=B),
        ops.CreateTable(table=Table(N, (A,))),
    ]
    kinds = ["rawSql", "addIndex", "addCheck", "addColumn", "createTable"]
    assert left(Table(T, (A,)), *operations) == kinds


def test_what_comes_and_goes_within_the_file_is_not_left() -> None:
    operations: list[Operation] = [
        ops.AddIndex(table=T, index=INDEX),
        ops.DropIndex(table=T, index=INDEX),
        ops.CreateTable(table=Table(N, (A,))),
        ops.DropTable(table=Table(N, (A,))),
    ]
    assert left(Table(T, (A,)), *operations) == []
