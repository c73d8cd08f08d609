"""Values of a file edited by hand, held against the types of their fields."""

from __future__ import annotations

from typing import Any

import pytest

from zanith_django import operations as ops
from zanith_django.files.fitting import misfits
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, ForeignKey, Index, IndexKey, Table

ANY: Any = None
T = TableName("", "t")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (Column("a", "text", nullable="no"), "nullable is 'no', not bool"),  # type: ignore[arg-type]
        (Column("a", "text", default=7), "default is 7, not str or None"),  # type: ignore[arg-type]
        (ForeignKey("f", ["a"], T, ("id",)), "columns is ['a'], not a tuple"),  # type: ignore[arg-type]
        (Index("i", (IndexKey("a", order=1),)), "keys[0].order is 1, not str"),  # type: ignore[arg-type]
        (ops.AddColumn(table=T, column=ANY), "column is None, not Column"),
        (
            ops.CreateTable(table=Table(T, (Column("a", ANY),))),
            "table.columns[0].type is None, not str",
        ),
        (Column("a", "text"), ""),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(value: Any, problem: str) -> None:
    assert next(misfits(value), "") == problem
