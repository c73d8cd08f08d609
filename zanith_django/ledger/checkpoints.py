"""The checkpoints: the progress of a step, the values that it computed once, and the run to
resume."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zanith_django.ledger.access import Access
from zanith_django.ledger.marks import BACKWARDS, VALUE, step_of, value_at
from zanith_django.ledger.step_rows import RUNNING

# The ids of the checkpoints of a whole rollback, and of a whole run of apply.
_ROLLBACK = "rollback"
APPLY = "apply"

UNDONE = (
    f"SELECT substr(id, {len(BACKWARDS) + 1}) FROM _zanith_migration_checkpoints "
    f"WHERE starts_with(id, '{BACKWARDS}')"
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The progress of a backfill; `cursor` is the key up to which every row is written, or the next
    turn in a stretch of keys."""

    id: str
    migration_id: str
    cursor: Any = None
    processed_rows: int = 0
    total_rows: int | None = None
    status: str = RUNNING


_IS_VALUE = f"right(id, {len(VALUE)}) = '{VALUE}'"


class Checkpoints(Access):
    """`_zanith_migration_checkpoints`: the progress of a step, the run to resume."""

    def checkpoint(self, row_id: str) -> Checkpoint | None:
        rows = self._rows(
            "SELECT id, migration_id, cursor::text, processed_rows, total_rows, status "
            "FROM _zanith_migration_checkpoints WHERE id = %s",
            [row_id],
        )
        if not rows:
            return None
        name, migration_id, cursor, *rest = rows[0]
        return Checkpoint(name, migration_id, json.loads(cursor) if cursor else None, *rest)

    def save_checkpoint(self, checkpoint: Checkpoint) -> str:
        """Writes the checkpoint. Returns the id of the transaction, as in `xmin` of its rows."""
        own: str = self._value(
            "INSERT INTO _zanith_migration_checkpoints AS c "
            "(id, migration_id, cursor, processed_rows, total_rows, status, updated_at) "
            "VALUES (%s, %s, %s::jsonb, %s, %s, %s, clock_timestamp()) "
            "ON CONFLICT (id) DO UPDATE SET cursor = excluded.cursor, "
            "processed_rows = excluded.processed_rows, total_rows = excluded.total_rows, "
            "status = excluded.status, updated_at = excluded.updated_at "
            "RETURNING pg_current_xact_id()::xid::text",
            [
                checkpoint.id,
                checkpoint.migration_id,
                json.dumps(checkpoint.cursor),
                checkpoint.processed_rows,
                checkpoint.total_rows,
                checkpoint.status,
            ],
        )
        return own

    def checkpointed(self, migration_id: str) -> set[int]:
        """The steps with a checkpoint of a backfill."""
        rows = self._rows(
            "SELECT id FROM _zanith_migration_checkpoints WHERE migration_id = %s "
            "AND NOT starts_with(id, %s)",
            [migration_id, BACKWARDS],
        )
        return {step_of(row[0]) for row in rows}

    def forget_checkpoints(self, migration_id: str) -> None:
        self._run(
            "DELETE FROM _zanith_migration_checkpoints WHERE migration_id = %s", [migration_id]
        )

    def forget_progress(self, migration_id: str) -> None:
        """Deletes all checkpoints, except the values that rows of an unfinished column already
        have."""
        self._run(
            "DELETE FROM _zanith_migration_checkpoints "
            f"WHERE migration_id = %s AND NOT {_IS_VALUE}",
            [migration_id],
        )

    def value(self, place: str) -> str | None:
        """The value that was computed once for all rows, as PostgreSQL prints it; None if no row
        has it yet."""
        known = self.checkpoint(value_at(place))
        return str(known.cursor["value"]) if known else None

    def keep_value(self, place: str, migration_id: str, value: str) -> None:
        """Stores the value until the migration is recorded: by then every row has it."""
        self.save_checkpoint(Checkpoint(value_at(place), migration_id, {"value": value}))

    def forget_values(self, migration_id: str) -> None:
        self._run(
            f"DELETE FROM _zanith_migration_checkpoints WHERE migration_id = %s AND {_IS_VALUE}",
            [migration_id],
        )

    # --- a run of apply ------------------------------------------------------------------------

    def begin_run(self, first: str) -> None:
        """Records that a run begins with this migration. A run that resumes another one is part of
        that."""
        if self.checkpoint(APPLY) is None:
            self.save_checkpoint(Checkpoint(APPLY, APPLY, {"first": first}))

    def end_run(self) -> None:
        self.forget_checkpoints(APPLY)

    # --- a rollback that was asked for ---------------------------------------------------------

    def plan_rollback(self, count: int, migrations: Sequence[str]) -> None:
        """Records the migrations that `--steps count` undoes, so that the same command resumes
        after a kill."""
        plan = {"steps": count, "migrations": list(migrations)}
        self.save_checkpoint(Checkpoint(_ROLLBACK, _ROLLBACK, plan, total_rows=len(migrations)))

    def planned_rollback(self, count: int) -> list[str] | None:
        """The migrations that an unfinished run of `--steps count` was to undo."""
        known = self.checkpoint(_ROLLBACK)
        plan = known.cursor if known and isinstance(known.cursor, dict) else {}
        names = plan.get("migrations")
        return [*map(str, names)] if plan.get("steps") == count and names else None

    def end_rollback(self) -> None:
        self.forget_checkpoints(_ROLLBACK)
