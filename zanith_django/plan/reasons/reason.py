"""What a reason is: why an operation is risky, and what to do instead."""

from __future__ import annotations

import enum
from dataclasses import dataclass

_MANUAL = "https://www.postgresql.org/docs/current"


class Level(enum.IntEnum):
    """How much risk; the value is the score."""

    SAFE = 5
    LOW = 15
    MEDIUM = 35
    HIGH = 60
    DESTRUCTIVE = 80
    BLOCKED = 95

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `effect` is what happens to readers, writers and the running release, `safer`
    what to do instead, `manual` a page of PostgreSQL's manual, with its anchor."""

    code: str
    level: Level
    title: str
    effect: str
    safer: str
    manual: str

    @property
    def url(self) -> str:
        page, _, anchor = self.manual.partition("#")
        return f"{_MANUAL}/{page}.html{anchor and '#'}{anchor}"

    @property
    def page(self) -> str:
        return f"docs/reasons/{self.code}.md"
