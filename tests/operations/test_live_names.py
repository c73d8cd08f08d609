"""Operations in the names of a database that calls things otherwise."""

from __future__ import annotations

import dataclasses

import pytest

from zanith_django import operations as ops
from zanith_django.operations import Operation
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Check,
    Column,
    ForeignKey,
    Index,
    IndexKey,
    PrimaryKey,
    SchemaGraph,
    Table,
    Unique,
)

T = TableName("", "t")
INDEX = Index("t_a_b_idx", (IndexKey("a"), IndexKey("b")))
UNIQUE = Unique("t_a_uniq", ("a",))
KEY = ForeignKey("t_b_fk", ("b",), TableName("", "o"), ("id",))
CHECK = Check("t_a_check", "(a > 0)", ("a",))
LIVE = SchemaGraph(
    tables=(
        Table(
            T,
            (Column("a", "integer"), Column("b", "integer")),
            PrimaryKey("other_pkey", ("a",)),
            uniques=(dataclasses.replace(UNIQUE, name="old_unique"),),
            foreign_keys=(dataclasses.replace(KEY, name="old_key"),),
            checks=(dataclasses.replace(CHECK, name="old_check"),),
            indexes=(dataclasses.replace(INDEX, name="old_index"),),
        ),
    )
)
OTHER = Index("t_b_idx", (IndexKey("b"),))


@pytest.mark.parametrize(
    ("operation", "old"),
    [
        (ops.RenameIndex(table=T, old="t_a_b_idx", new="n", index=INDEX), "old_index"),
        (ops.RenameConstraint(table=T, old="t_a_uniq", new="n", unique=UNIQUE), "old_unique"),
        (ops.RenameConstraint(table=T, old="t_a_check", new="n", check=CHECK), "old_check"),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
def test_a_rename_finds_what_looks_the_same(
    operation: ops.RenameIndex | ops.RenameConstraint, old: str
) -> None:
    found = operation.in_names_of(LIVE)
    assert isinstance(found, ops.RenameIndex | ops.RenameConstraint)
    assert (found.old, found.new) == (old, "n")
    assert found.inverse().inverse() == found
    after = found.apply_to(LIVE)
    assert operation.in_names_of(after) is None  # it has the name already


def test_a_rename_of_what_is_not_there_does_nothing() -> None:
    for index in (OTHER, None):
        assert ops.RenameIndex(table=T, old="x", new="n", index=index).in_names_of(LIVE) is None


def test_a_foreign_key_that_is_checked_later_is_found_by_where_it_points() -> None:
    operation = ops.AlterForeignKey(table=T, name="t_b_fk", new="deferred", foreign_key=KEY)
    found = operation.in_names_of(LIVE)
    assert isinstance(found, ops.AlterForeignKey)
    assert (found.name, found.new) == ("old_key", "deferred")
    assert found.inverse().inverse() == found
    back = operation.inverse().in_names_of(found.apply_to(LIVE))
    assert isinstance(back, ops.AlterForeignKey)
    assert (back.name, back.new) == ("old_key", "")
    elsewhere = dataclasses.replace(KEY, columns=("a",))
    nowhere = dataclasses.replace(operation, foreign_key=elsewhere)
    assert nowhere.in_names_of(LIVE) == nowhere


def test_a_primary_key_has_whatever_name_the_table_gives_it() -> None:
    new = PrimaryKey("t_pkey", ("b",))
    operation = ops.AlterPrimaryKey(table=T, old=PrimaryKey("t_pkey", ("a",)), new=new)
    found = operation.in_names_of(LIVE)
    assert isinstance(found, ops.AlterPrimaryKey)
    assert found.old == PrimaryKey("other_pkey", ("a",))


@pytest.mark.parametrize(
    "operation",
    [
        ops.RenameIndex(table=T, old="old_index", new="n", index=INDEX),
        ops.ValidateConstraint(table=T, name="any"),
        ops.RenameIndex(table=TableName("", "elsewhere"), old="a", new="b"),
    ],
    ids=lambda value: value.kind,
)
def test_what_needs_no_other_name_stays_as_it_is(operation: Operation) -> None:
    assert operation.in_names_of(LIVE) == operation
