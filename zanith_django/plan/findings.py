"""What a look at the database shows about one step before it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that preflight saw. The step fails on one that is `certain`, others are shown.

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
