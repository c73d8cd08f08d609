"""Which migrations are applied."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from zanith_django.files.migration import is_recovery
from zanith_django.ledger.step_rows import (
    readable_time,
)
from zanith_django.ledger.steps import TAKEN_BACK, Steps

APPLIED = f"""\
SELECT id, {readable_time("applied_at")} FROM _zanith_migrations ORDER BY applied_at, id"""


class Migrations(Steps):
    """`_zanith_migrations`: the applied migrations."""

    def applied(self) -> dict[str, datetime]:
        """{migration id: applied_at}, in the order in which they were applied."""
        if not self.exists():
            return {}
        return dict(self._rows(APPLIED))

    def record(self, migration_id: str) -> None:
        """Records a migration as applied now, and later than all others: a clock that was set back
        changes no order. This also ends an interrupted rollback, because other migrations are the
        newest ones now."""
        if not is_recovery(migration_id):
            self.end_rollback()
        self._run(
            "INSERT INTO _zanith_migrations (id, applied_at) "
            "SELECT %s, greatest(clock_timestamp(), max(applied_at) + interval '1 microsecond') "
            "FROM _zanith_migrations ON CONFLICT DO NOTHING",
            [migration_id],
        )

    def forget(self, migration_id: str) -> None:
        self._run("DELETE FROM _zanith_migrations WHERE id = %s", [migration_id])

    def put_back(self, migration_id: str, by: Mapping[str, Any]) -> None:
        """Records that a migration is no longer applied; `by` is who undid it. Its snapshots
        stay."""
        applied = self.applied().get(migration_id)
        self.mark_undone(migration_id, {**by, "at": datetime.now(UTC).isoformat()}, applied)
        self.forget(migration_id)

    def take_back(self, migration_id: str) -> None:
        """Records that Django's `migrate` undid a migration: it is no longer applied, and its steps
        are not done."""
        self.put_back(migration_id, {"user": "Django's migrate"})
        self.forget_checkpoints(migration_id)
        self._run(
            "UPDATE _zanith_migration_steps SET status = 'rolled_back', error = %s "
            "WHERE migration_id = %s AND status IN ('done', 'skipped')",
            [TAKEN_BACK, migration_id],
        )

    def give_up(self, migration_id: str) -> None:
        """Records that a failed migration was rolled back as a whole and is not to be retried."""
        self.forget_pending([row.id for row in self.steps(migration_id)])
        self._run(
            "UPDATE _zanith_migration_steps SET status = 'rolled_back' "
            "WHERE migration_id = %s AND status IN ('running', 'failed')",
            [migration_id],
        )
