"""The speed of this server, measured by its last runs: stored beside the newest `after`
snapshot."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from zanith_django.ledger.access import json_object
from zanith_django.ledger.checkpoints import Checkpoints

_KEPT = 9  # measurements of each kind of work


@dataclass(frozen=True, slots=True)
class Pace:
    """The measurement of one statement that worked through a table: the kind of work, the rows and
    bytes of the table, and the seconds."""

    work: str
    rows: int
    bytes: int
    seconds: float


PACES = """\
SELECT jsonb_build_object('paces', graph #> '{run,paces}')::text
FROM _zanith_schema_snapshots WHERE phase = 'after' ORDER BY captured_at DESC LIMIT 1"""


class Paces(Checkpoints):
    """The measurements. Each snapshot includes the earlier ones, so that one row has all of
    them."""

    _known: list[Pace] | None = None

    def paces(self) -> list[Pace]:
        """Oldest first."""
        if self._known is None:
            self._known = [*self._read_paces()] if self.exists() else []
        return self._known

    def note(self, pace: Pace) -> None:
        """Adds a measurement; the next `after` snapshot stores it."""
        known = self.paces()
        same = [each for each in known if each.work == pace.work]
        for each in same[: max(len(same) + 1 - _KEPT, 0)]:
            known.remove(each)
        known.append(pace)

    def _beside_after(self) -> dict[str, Any]:
        """The measurements that an `after` snapshot stores."""
        paces = [dataclasses.astuple(pace) for pace in self.paces()]
        return {"paces": paces} if paces else {}

    def _read_paces(self) -> Iterable[Pace]:
        rows = self._rows(PACES)
        data = json_object(rows[0][0]).get("paces") if rows else None
        for each in data if isinstance(data, list) else ():
            if pace := _pace(each):
                yield pace


def _pace(data: object) -> Pace | None:
    """The measurement; None for data that another release or user wrote."""
    if not isinstance(data, list) or len(data) != 4 or not isinstance(data[0], str):
        return None
    numbers = data[1:]
    if any(isinstance(n, bool) or not isinstance(n, int | float) or n < 0 for n in numbers):
        return None
    return Pace(data[0], int(numbers[0]), int(numbers[1]), float(numbers[2]))
