"""The rows that an expression in Python selects, and what a reader of Python is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from zanith_django.postgres.names import TableName

TableOf = Callable[[str, str], TableName | None]
"""The table of a historical model, by app label and name."""

AlsoChanged = Callable[[TableName], Iterable[tuple[str, TableName]]]
"""The reasons and tables of what Django changes with the rows that it deletes from a table."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that an expression selects: all rows of a model unless it is `limited`. A `new` one
    is an instance that the code makes."""

    table: TableName | None
    limited: bool = False
    looped: bool = False
    new: bool = False


Given = Mapping[int | str, Rows | str]
"""Rows and texts that a call passes, by the places or names of its arguments."""
