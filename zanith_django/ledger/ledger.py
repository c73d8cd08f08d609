"""The ledger: five tables, which only the classes of this folder write."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.ledger.artifacts import Artifacts
from zanith_django.ledger.details import Details
from zanith_django.ledger.migrations import Migrations
from zanith_django.ledger.snapshots import BASELINE


class Ledger(Migrations, Details, Artifacts):
    """All five tables, over one connection."""


class LedgerReading(Ledger):
    """The ledger for a plan, which writes nothing, so that each part is read once."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection)
        self._applied: dict[str, datetime] | None = None
        self._runs: dict[tuple[str, str], dict[str, Any]] | None = None

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
