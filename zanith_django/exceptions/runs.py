"""Errors of runs that cannot start, or stopped."""

from __future__ import annotations

from collections.abc import Iterable

from zanith_django.exceptions.base import INSUFFICIENT_PRIVILEGE, RIGHTS_HINT, Refused


class StepFailed(Refused):
    def __init__(
        self,
        step_id: str,
        description: str,
        error: str,
        again: str = "zanith_apply",
        sqlstate: str = "",
    ) -> None:
        self.step_id, self.description, self.error = step_id, description, error
        self.hint = (
            f"Fix the cause, then run {again} again: it resumes at this step. "
            "zanith_history --verbose shows what ran."
        )
        if sqlstate == INSUFFICIENT_PRIVILEGE:
            self.hint += f"\n{RIGHTS_HINT}"
        super().__init__(step_id, error)

    def __str__(self) -> str:
        error = self.error.replace("\n", "\n  ")
        return f"Step {self.step_id} failed: {self.description}\n  {error}"


class LockNotAcquired(Refused):
    def __init__(self, holder: str, waited: float) -> None:
        self.holder, self.waited = holder, waited
        self.hint = "Wait for that run to end, or give --lock-wait more seconds."
        super().__init__(holder)

    def __str__(self) -> str:
        return f"Another run holds the lock: {self.holder} (waited {self.waited:.0f} s)."


class LockLost(Refused):
    hint = "Run zanith_apply again: it resumes where this run stopped."

    def __str__(self) -> str:
        return "The run lock was lost during the run; no further step was started."


class HalfRolledBack(Refused):
    def __init__(self, migration_id: str) -> None:
        self.migration_id = migration_id
        self.hint = "Run zanith_rollback --steps 1: it resumes where it stopped."
        super().__init__(migration_id)

    def __str__(self) -> str:
        return f"A rollback of {self.migration_id} stopped before its end."


class FileEdited(Refused):
    def __init__(self, migration_id: str, what: str) -> None:
        self.migration_id, self.what = migration_id, what
        self.hint = "Restore the file from version control, or write the change as a new migration."
        super().__init__(migration_id)

    def __str__(self) -> str:
        return f"{self.what}."


class DefaultGone(Refused):
    """A step calls the default of a field that its Django migration no longer has at that place."""

    def __init__(self, place: str, now: str) -> None:
        self.place, self.now = place, now
        self.hint = "Delete the file and run zanith_generate, or correct the position in it."
        super().__init__(place)

    def __str__(self) -> str:
        return f"It takes the default of {self.place}, which {self.now}."


class PartlyApplied(Refused):
    def __init__(self, migration_id: str, applied: Iterable[str], missing: Iterable[str]) -> None:
        self.migration_id = migration_id
        self.applied, self.missing = tuple(applied), tuple(missing)
        self.hint = (
            f"Finish them with `manage.py migrate {' '.join(self.missing[0].split('.', 1))}`, or "
            f"go back with `manage.py migrate {self.applied[0].split('.')[0]} <the previous one>`."
        )
        super().__init__(migration_id)

    def __str__(self) -> str:
        return (
            f"Migration {self.migration_id} covers Django migrations of which some are applied "
            f"({', '.join(self.applied)}) and some are not ({', '.join(self.missing)})."
        )


class InconsistentRecord(Refused):
    """Django's record lacks a migration on which a recorded one depends."""

    hint = "Run zanith_baseline: it records the migrations whose tables exist."

    def __init__(self, name: str, missing: str) -> None:
        self.name, self.missing = name, missing
        super().__init__(name, missing)

    def __str__(self) -> str:
        return (
            f"Django's record lists {self.name} as applied, but not {self.missing}, on which it "
            "depends."
        )


class ConflictingLeaves(Refused):
    def __init__(self, app_label: str, names: Iterable[str]) -> None:
        self.app_label, self.names = app_label, tuple(sorted(names))
        self.hint = f"Run manage.py makemigrations --merge {app_label}, then zanith_generate."
        super().__init__(app_label)

    def __str__(self) -> str:
        leaves = ", ".join(self.names)
        return f"App {self.app_label} has conflicting leaf migrations: {leaves}."


class IndexTaken(Refused):
    def __init__(self, name: str, definition: str) -> None:
        self.name, self.definition = name, definition
        self.hint = f"Rename or drop it: DROP INDEX CONCURRENTLY {name}."
        super().__init__(name, definition)

    def __str__(self) -> str:
        return (
            f"An index {self.name} with another definition exists: {self.definition}.\n{self.hint}"
        )


class InTheWay(Refused):
    """Objects that no model declares block a step that is about to run. A line each."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__(*self.lines)

    def __str__(self) -> str:
        return "\n".join(self.lines)


class DeferredChanged(Refused):
    """The deferred SQL of a Django migration in the ledger is not what its operations defer."""

    hint = "Restore the file from version control, or the row from a backup of the ledger."

    def __init__(self, migration: str) -> None:
        self.migration = migration
        super().__init__(migration)

    def __str__(self) -> str:
        return (
            f"The deferred SQL of {self.migration} in the ledger is not what its operations "
            "defer: the file or the row was edited."
        )


class FileMissing(Refused):
    def __init__(self, migration_id: str, what: str) -> None:
        self.migration_id, self.what = migration_id, what
        self.hint = (
            "Restore the file from version control, or deploy the code that has it. If it was "
            "removed for good, run zanith_baseline: it accepts the database as it is."
        )
        super().__init__(migration_id)

    def __str__(self) -> str:
        return f"{self.what}."


class CannotAdopt(Refused):
    """No state of an app's migrations matches its tables; `differences` are to the nearest one."""

    def __init__(self, nearest: str, differences: Iterable[str], names: str) -> None:
        self.nearest, self.differences = nearest, tuple(differences)
        self.hint = (
            "Fix the tables first, or name the migration that they match: zanith_baseline --at "
            f"{names}"
        )
        super().__init__(nearest)

    def __str__(self) -> str:
        app_label = self.nearest.split(".")[0]
        lines = "\n".join(f"  {line}" for line in self.differences)
        return (
            f"The tables of {app_label} match no state of its migrations. The nearest is "
            f"{self.nearest}, which would need:\n{lines}"
        )


class NotAdopted(Refused):
    def __init__(self, table: str, app_label: str) -> None:
        self.table, self.app_label = table, app_label
        self.hint = "Run zanith_baseline to adopt the tables that exist already."
        super().__init__(table)

    def __str__(self) -> str:
        return (
            f"Table {self.table} exists, but Django's record lists no migration of "
            f"{self.app_label} that creates it."
        )
