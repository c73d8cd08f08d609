"""The levels of risk, which the ledger stores too."""

from __future__ import annotations

import enum


class Level(enum.IntEnum):
    """A level of risk; its value is the score."""

    SAFE = 5
    LOW = 15
    MEDIUM = 35
    HIGH = 60
    DESTRUCTIVE = 80
    BLOCKED = 95

    def __str__(self) -> str:
        return self.name.lower()
