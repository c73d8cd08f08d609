"""The findings of preflight about one step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of preflight. The step would fail on a `certain` one; others are only shown.

    `code` is its reason, "" if it changes no score. `samples` are a few of the rows.
    """

    what: str
    remedy: str = ""
    certain: bool = False
    code: str = ""
    rows: int = 0
    samples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f", such as {'; '.join(self.samples)}" if self.samples else ""
        remedy = f" · {self.remedy}" if self.remedy else ""
        return f"{self.what}{shown}{remedy}"
