"""PostgreSQL's table lock modes and what each one blocks.

https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
"""

from __future__ import annotations

import enum

LOCKED_BY_OTHERS = """\
SELECT relation FROM pg_catalog.pg_locks
WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid <> pg_backend_pid()
  AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"""
"""A query for the relations of this database that not even a reader can open now. A session that
waits for such a lock counts: readers queue after it."""


class Lock(enum.IntEnum):
    """Table lock modes, weakest first. The value orders them by strength."""

    NONE = 0
    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    def __str__(self) -> str:
        return self.name.replace("_", " ")

    @classmethod
    def from_catalog(cls, mode: str) -> Lock:
        """From a `pg_locks.mode` such as "ShareUpdateExclusiveLock"."""
        words = "".join(f"_{c}" if c.isupper() else c.upper() for c in mode.removesuffix("Lock"))
        return cls[words.lstrip("_")]

    @property
    def catalog(self) -> str:
        """The name in `pg_locks.mode`."""
        return f"{self.name.title().replace('_', '')}Lock"

    @property
    def conflicts(self) -> tuple[Lock, ...]:
        """The modes that another session may not hold beside it."""
        return tuple(Lock[mode] for mode in _CONFLICTS[self.name])

    @property
    def blocks_writes(self) -> bool:
        return self >= Lock.SHARE

    @property
    def blocks_reads(self) -> bool:
        return self >= Lock.ACCESS_EXCLUSIVE

    @property
    def effect(self) -> str:
        """The effect on other sessions while it is held."""
        if self.blocks_reads:
            return "blocks reads and writes"
        if self.blocks_writes:
            return "blocks writes"
        if self is Lock.SHARE_UPDATE_EXCLUSIVE:
            return "blocks neither reads nor writes"
        if self is Lock.ROW_EXCLUSIVE:
            return "blocks only writers of the same rows"
        return "blocks nothing"


_STRONG = ("EXCLUSIVE", "ACCESS_EXCLUSIVE")
_WRITES = ("SHARE", "SHARE_ROW_EXCLUSIVE", *_STRONG)
_CONFLICTS = {
    "NONE": (),
    "ACCESS_SHARE": ("ACCESS_EXCLUSIVE",),
    "ROW_SHARE": _STRONG,
    "ROW_EXCLUSIVE": _WRITES,
    "SHARE_UPDATE_EXCLUSIVE": ("SHARE_UPDATE_EXCLUSIVE", *_WRITES),
    "SHARE": ("ROW_EXCLUSIVE", "SHARE_UPDATE_EXCLUSIVE", "SHARE_ROW_EXCLUSIVE", *_STRONG),
    "SHARE_ROW_EXCLUSIVE": ("ROW_EXCLUSIVE", "SHARE_UPDATE_EXCLUSIVE", *_WRITES),
    "EXCLUSIVE": ("ROW_SHARE", "ROW_EXCLUSIVE", "SHARE_UPDATE_EXCLUSIVE", *_WRITES),
    "ACCESS_EXCLUSIVE": (
        "ACCESS_SHARE",
        "ROW_SHARE",
        "ROW_EXCLUSIVE",
        "SHARE_UPDATE_EXCLUSIVE",
        *_WRITES,
    ),
}
