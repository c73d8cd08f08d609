"""The effects of an operation on columns, tables and keys that other objects may depend on."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from zanith_django.postgres.names import TableName


class Effect(enum.Enum):
    """The effect on the columns of a touch, or on its whole table.

    `REPLACE` puts a new column in the place of the old one, which is kept under another name;
    `REBUILD` does so with a table. `HIDE` and `HIDE_TABLE` are soft drops. `RECREATE` drops a
    generated column and adds it again; `REWRITE` only writes the rows of the table again.
    """

    RETYPE = enum.auto()
    REPLACE = enum.auto()
    HIDE = enum.auto()
    DROP_COLUMN = enum.auto()
    ARCHIVE_COLUMN = enum.auto()
    RECREATE = enum.auto()
    RENAME_COLUMN = enum.auto()
    DROP_SEQUENCE = enum.auto()
    DROP_KEY = enum.auto()
    HIDE_TABLE = enum.auto()
    DROP_TABLE = enum.auto()
    ARCHIVE_TABLE = enum.auto()
    RENAME_TABLE = enum.auto()
    REBUILD = enum.auto()
    REWRITE = enum.auto()


@dataclass(frozen=True, slots=True)
class Touch:
    """One effect on columns of a table, with `key` on a constraint over them, without columns on
    the whole table."""

    effect: Effect
    table: TableName
    columns: tuple[str, ...] = ()
    key: str = ""
