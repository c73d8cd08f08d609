"""Rows of the catalog queries that have many columns."""

from __future__ import annotations

from typing import NamedTuple


class ConstraintRow(NamedTuple):
    """A row of `constraints.sql`. Columns are given as numbers, separated by blanks."""

    table: int
    kind: str
    name: str
    columns: str | None
    reads: list[int] | None
    include: str | None
    nulls_not_distinct: bool
    deferrable: str
    valid: bool
    enforced: bool
    no_inherit: bool
    referenced_schema: str
    referenced_table: str
    referenced: int
    referenced_columns: str
    referenced_names: list[str] | None
    on_delete: str
    set_columns: str | None
    on_update: str
    match: str
    period: bool
    expression: str
    comment: str
    options: list[str] | None
    tablespace: str


class IndexKeyRow(NamedTuple):
    """A row of `indexes.sql`: one key of an index; those of one index are adjacent."""

    table: int
    oid: int
    name: str
    method: str
    unique: bool
    valid: bool
    nulls_not_distinct: bool
    options: list[str] | None
    tablespace: str
    predicate: str | None
    reads: list[int] | None
    comment: str
    included: bool
    column: int
    expression: str | None
    opclass: str | None
    parameters: list[str] | None
    collation: str | None
    option: int
