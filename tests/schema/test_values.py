"""Copies of frozen values."""

from __future__ import annotations

import dataclasses

import pytest

from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, Table
from zanith_django.schema.values import replaced

COLUMN = Column("a", "integer", default="0")
TABLE = Table(TableName("", "t"), (Column("b", "text"), COLUMN))


def test_a_copy_is_what_dataclasses_would_have_made() -> None:
    assert replaced(COLUMN, type="bigint") == dataclasses.replace(COLUMN, type="bigint")
    assert COLUMN.type == "integer"


def test_a_copy_has_what_the_value_found_out_about_itself() -> None:
    assert replaced(TABLE, comment="c") == dataclasses.replace(TABLE, comment="c")
    assert replaced(TABLE, comment="c") != TABLE


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(AttributeError):
        replaced(COLUMN, kind="bigint")


def test_a_copy_is_frozen_too() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        replaced(COLUMN, type="bigint").type = "text"  # type: ignore[misc]
