"""The effect of an operation on the names of tables: it creates, renames or ends them."""

from __future__ import annotations

from dataclasses import dataclass

from zanith_django.postgres.names import TableName


@dataclass(frozen=True, slots=True)
class TableMove:
    """One table that gets another name. `old` is None for one that is created, `new` for one that
    ends: a table that is kept under a hidden name has ended too."""

    old: TableName | None = None
    new: TableName | None = None
