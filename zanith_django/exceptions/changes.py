"""Objects that cannot be altered, dropped, undone, restored or purged."""

from __future__ import annotations

from zanith_django.exceptions.base import Refused


class CannotUndo(Refused):
    def __init__(self, step: str, why: str, hint: str = "") -> None:
        self.step, self.why = step, why
        self.hint = hint or "Run zanith_recover list to see the artifacts."
        super().__init__(step, why)

    def __str__(self) -> str:
        return f"{self.step} cannot be undone: {self.why}."


class CannotDrop(Refused):
    def __init__(self, target: str, why: str, hint: str = "") -> None:
        self.target, self.why = target, why
        self.hint = hint or "Remove its dependents in a separate migration first."
        super().__init__(target, why)

    def __str__(self) -> str:
        return f"{self.target} cannot be dropped: {self.why}."


class CannotAlter(Refused):
    def __init__(self, field: str, migration: str) -> None:
        self.field, self.migration = field, migration
        self.hint = (
            "Remove the field and add the new one in that migration; to keep the rows, create "
            "the through model on the old table in state_operations."
        )
        super().__init__(field, migration)

    def __str__(self) -> str:
        return (
            f"{self.migration} alters {self.field} to or from a many-to-many field, or adds or "
            "removes its through model: Django refuses to run that."
        )


class CannotRestore(Refused):
    def __init__(self, artifact: str, why: str, hint: str = "") -> None:
        self.artifact, self.why = artifact, why
        self.hint = hint or f"Run zanith_recover inspect {artifact} to see it."
        super().__init__(artifact, why)

    def __str__(self) -> str:
        return f"Refusing to restore {self.artifact}: {self.why}."


class CannotPurge(Refused):
    def __init__(self, target: str, why: str, hint: str = "") -> None:
        self.target, self.why = target, why
        self.hint = hint or "Run zanith_recover list to see the artifacts."
        super().__init__(target, why)

    def __str__(self) -> str:
        return f"Refusing to purge {self.target}: {self.why}."


class NotPurged(Refused):
    """Some targets could not be purged; the others are purged."""

    hint = "Fix the reported causes, then run the same command again."

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(count)

    def __str__(self) -> str:
        return f"{self.count} could not be purged."


class ArtifactForged(Refused):
    """A row of the ledger was changed by another program: nothing runs because of it."""

    hint = (
        "Restore the row from a backup of the ledger, and check which roles may write the ledger."
    )

    def __init__(self, artifact: str, what: str) -> None:
        self.artifact, self.what = artifact, what
        super().__init__(artifact, what)

    def __str__(self) -> str:
        return f"The ledger's row of {self.artifact} is invalid: {self.what}."


class ArtifactMissing(Refused):
    """The database does not have the object of an artifact."""

    def __init__(self, artifact: str, target: str) -> None:
        self.artifact, self.target = artifact, target
        self.hint = f"zanith_recover purge {target} --missing --yes records that it was dropped."
        super().__init__(artifact)

    def __str__(self) -> str:
        return f"The object of {self.artifact} is not in the database: nothing was dropped."


class RowsHidden(Refused):
    """A backfill would leave out rows that the role does not see."""

    hint = "Run it as a role with BYPASSRLS."

    def __init__(self, table: str, role: str) -> None:
        self.table, self.role = table, role
        super().__init__(table, role)

    def __str__(self) -> str:
        return f"cannot write all rows of {self.table}: row security hides rows from {self.role}"


class RowsLeft(Refused):
    """A backfill ended, and `rows` of its rows were not written."""

    def __init__(self, table: str, rows: int, where: str) -> None:
        self.table, self.rows, self.where = table, rows, where
        super().__init__(table, rows, where)

    def __str__(self) -> str:
        return (
            f"cannot write {self.rows} rows of {self.table} where {self.where}: a trigger that "
            "returns NULL, a rule or row security may keep them as they are"
        )
