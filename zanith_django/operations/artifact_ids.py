"""The id of an artifact, `<maker>::<type>::<table>[.<column>]`: written and read only here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

SOFT_DROP_COLUMN: Final = "soft_drop_column"
SOFT_DROP_TABLE: Final = "soft_drop_table"
ARCHIVE_COLUMN: Final = "archive_column"
ARCHIVE_TABLE: Final = "archive_table"
REBUILD_TABLE: Final = "rebuild_table"

ARCHIVES: Final = (ARCHIVE_COLUMN, ARCHIVE_TABLE)
OF_COLUMNS: Final = (SOFT_DROP_COLUMN, ARCHIVE_COLUMN)
TYPES: Final = (*OF_COLUMNS, SOFT_DROP_TABLE, ARCHIVE_TABLE, REBUILD_TABLE)

_ID = re.compile(rf"(.+?)::({'|'.join(TYPES)})::(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ArtifactId:
    """`maker` is a migration, or the attempt of a step that a rollback undid (`undo_maker`)."""

    maker: str
    type: str
    target: str

    def __str__(self) -> str:
        return f"{self.maker}::{self.type}::{self.target}"

    @classmethod
    def parse(cls, text: str) -> ArtifactId | None:
        match = _ID.fullmatch(text)
        return cls(match[1], match[2], match[3]) if match else None

    def is_of(self, migration_id: str) -> bool:
        """Did this migration, or a rollback of it, make the artifact?"""
        return f"{self.maker}:".startswith(f"{migration_id}:")


def undo_maker(row_id: str) -> str:
    """The maker of the artifacts of a rollback: each attempt to undo a step has its own names."""
    return row_id.replace("::", ":")
