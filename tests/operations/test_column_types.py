"""What a change of type leaves of a column, by its effect on a graph."""

from __future__ import annotations

from zanith_django.operations import AlterColumnType
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table

T = TableName("", "t")


def test_a_default_that_the_operation_names_is_taken_as_it_is_named() -> None:
    old = Column("d", "date", default="now()")
    new = Column("d", "timestamp with time zone", default="now()")
    graph = SchemaGraph(tables=(Table(T, columns=(old,)),))

    after = AlterColumnType(table=T, old=old, new=new).apply_to(graph).table(T)

    assert after is not None
    assert after.column("d") == new
