"""The ledger: five tables, which only the classes of this folder write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.ledger.artifacts import Artifacts
from zanith_django.ledger.details import Details
from zanith_django.ledger.migrations import APPLIED, Migrations
from zanith_django.ledger.paces import PACES
from zanith_django.ledger.snapshots import BASELINE, BEFORE_RUN, RUNS
from zanith_django.ledger.steps import UNRECORDED

TOGETHER = (APPLIED, RUNS, PACES, BEFORE_RUN, UNRECORDED)


class Ledger(Migrations, Details, Artifacts):
    """All five tables, over one connection."""


class LedgerReading(Ledger):
    """The ledger for a plan: nothing is written meanwhile, so each part is read once, and what
    every plan needs is read in one round trip."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self._read: dict[str, list[tuple[Any, ...]]] = {}
        self._applied: dict[str, datetime] | None = None
        self._runs: dict[tuple[str, str], dict[str, Any]] | None = None

    def _rows(self, text: str, params: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        if text not in TOGETHER:
            return super()._rows(text, params)
        if not self._read:
            self._read = dict(zip(TOGETHER, self._several(TOGETHER), strict=True))
        return self._read[text]

    def applied(self) -> dict[str, datetime]:
        if self._applied is None:
            self._applied = super().applied()
        return self._applied

    def runs(self) -> dict[tuple[str, str], dict[str, Any]]:
        if self._runs is None:
            self._runs = super().runs()
        return self._runs

    def accepted(self) -> list[str]:
        found = self.runs().get((BASELINE, BASELINE), {}).get("accepted")
        return found if isinstance(found, list) else []
