"""Errors of the server, the settings, the files and the models, found before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from zanith_django.exceptions.base import INSUFFICIENT_PRIVILEGE, RIGHTS_HINT, EnvironmentProblem
from zanith_django.exceptions.masking import masked


class NotPostgreSQL(EnvironmentProblem):
    def __init__(self, alias: str, vendor: str) -> None:
        self.alias, self.vendor = alias, vendor
        self.hint = (
            "Set its ENGINE to django.db.backends.postgresql, or name another one with --database."
        )
        super().__init__(alias)

    def __str__(self) -> str:
        return f"Database {self.alias!r} is {self.vendor}; zanith works on PostgreSQL only."


class ServerTooOld(EnvironmentProblem):
    def __init__(self, version: int) -> None:
        self.version = version
        self.hint = "Upgrade the server."
        super().__init__(version)

    def __str__(self) -> str:
        return f"The server is PostgreSQL {self.version // 10000}; zanith needs 15 or later."


class ConnectionFailed(EnvironmentProblem):
    def __init__(self, alias: str, error: object) -> None:
        self.alias, self.error = alias, error
        self.hint = f"Check DATABASES[{alias!r}] and that the server runs."
        super().__init__(alias)

    def __str__(self) -> str:
        reason = masked(str(self.error)).strip().splitlines() or ["no reason given"]
        return f"Cannot connect to database {self.alias!r}: {reason[0]}"


class ConnectionLost(EnvironmentProblem):
    """The server or the network failed during a step."""

    def __init__(self, alias: str, description: str, error: str, again: str) -> None:
        self.alias, self.description, self.error = alias, description, error
        self.hint = f"Check that the server runs, then run {again} again: it resumes at this step."
        super().__init__(alias, description)

    def __str__(self) -> str:
        reason = self.error.splitlines()[0] if self.error else "no reason given"
        return (
            f"The connection to database {self.alias!r} was lost during: {self.description}\n"
            f"  {reason}"
        )


class BadSetting(EnvironmentProblem):
    def __init__(self, name: str, why: str, hint: str = "") -> None:
        self.name, self.why = name, why
        self.hint = hint or "Fix the ZANITH setting; manage.py check tests it."
        super().__init__(name, why)

    def __str__(self) -> str:
        name = self.name if self.name == "ZANITH" else f"ZANITH[{self.name!r}]"
        return f"Setting {name} {self.why}."


class NoManagedApps(EnvironmentProblem):
    """`folders` were searched for the project's own apps; () if the setting is empty."""

    def __init__(self, folders: Iterable[object], installed: Iterable[str]) -> None:
        self.folders, self.installed = tuple(folders), tuple(installed)
        named = ", ".join(f'"{label}"' for label in self.installed) or '"shop"'
        self.hint = f'Name the apps whose migrations zanith writes: ZANITH = {{"APPS": [{named}]}}.'
        super().__init__(*self.folders)

    def __str__(self) -> str:
        if not self.folders:
            return "No app is managed: setting ZANITH['APPS'] is empty."
        places = " and ".join(map(str, self.folders))
        return f"No app is managed: no installed app is in {places}, outside the library folders."


class BrokenFile(EnvironmentProblem):
    def __init__(self, path: object, why: object, line: int | None = None, hint: str = "") -> None:
        self.path, self.why, self.line = path, why, line
        self.hint = hint or "Fix the file, or delete it and run zanith_generate."
        super().__init__(path, why)

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return f"Migration file {place}: {self.why}"


class CannotWrite(EnvironmentProblem):
    def __init__(self, path: object, error: OSError) -> None:
        self.path, self.error = path, error
        self.hint = (
            "Check that its parent is a writable folder. zanith_baseline --no-files writes no "
            "files."
        )
        super().__init__(path, error)

    def __str__(self) -> str:
        return f"Cannot write {self.path}: {self.error.strerror}."


class MissingRight(EnvironmentProblem):
    def __init__(self, right: str, needed_for: str, hint: str) -> None:
        self.right, self.needed_for = right, needed_for
        self.hint = hint
        super().__init__(right)

    def __str__(self) -> str:
        return f"The database role lacks {self.right}, needed to {self.needed_for}."


class RefusedByServer(EnvironmentProblem):
    """An error that PostgreSQL reports for a statement of zanith, outside of any step."""

    _HINTS: Final = {
        INSUFFICIENT_PRIVILEGE: RIGHTS_HINT,
        "57014": "The role or the database may have a short statement_timeout (SHOW "
        "statement_timeout): raise it, or set it in OPTIONS of DATABASES.",
        "3F000": "Create the schema, or name an existing one: the setting search_path (SHOW "
        "search_path) comes from OPTIONS in DATABASES, from the role or from the database.",
    }

    def __init__(self, error: object, sqlstate: str) -> None:
        self.error, self.sqlstate = error, sqlstate
        self.hint = self._HINTS.get(sqlstate, "")
        super().__init__(error)

    def __str__(self) -> str:
        return f"PostgreSQL reports: {str(self.error).strip()}"


class LedgerDamaged(EnvironmentProblem):
    """A ledger table, or a column of one, does not exist."""

    hint = "Run zanith_apply: it repairs the tables of the ledger."

    def __init__(self, table: str, error: object) -> None:
        self.table, self.error = table, error
        super().__init__(table)

    def __str__(self) -> str:
        why = str(self.error).strip().splitlines()[0]
        return f"Ledger table {self.table} is damaged: {why}."


class LedgerHeld(EnvironmentProblem):
    """A column of the ledger cannot be repaired: a view depends on it, for instance."""

    hint = "Drop what depends on the column, run zanith_apply, and create it again."

    def __init__(self, statement: str, error: object) -> None:
        self.statement, self.error = statement, error
        super().__init__(statement)

    def __str__(self) -> str:
        return f"The ledger could not be repaired by {self.statement}\n  {str(self.error).strip()}"


class LedgerKeyLost(EnvironmentProblem):
    """A ledger table has no key column; `others` are its columns that zanith does not know."""

    def __init__(self, table: str, column: str, others: Iterable[str]) -> None:
        self.table, self.column, self.others = table, column, tuple(others)
        now = self.others[0] if len(self.others) == 1 else "<its name now>"
        self.hint = (
            f"If it was renamed: ALTER TABLE {table} RENAME COLUMN {now} TO {column}; "
            "If it was dropped, restore it from a backup."
        )
        super().__init__(table, column)

    def __str__(self) -> str:
        return f"Ledger table {self.table} has lost its key column {self.column}."


class PooledConnection(EnvironmentProblem):
    hint = 'Name an alias that bypasses the proxy: ZANITH = {"DIRECT": "direct"}.'

    def __str__(self) -> str:
        return (
            "The connection goes through a transaction-pooling proxy, which makes the run lock "
            "worthless."
        )


class ShadowUnreachable(EnvironmentProblem):
    def __init__(self, shadow: str, error: object, hint: str = "") -> None:
        self.shadow, self.error = shadow, error
        self.hint = hint or "Set ZANITH['SHADOW'] or --shadow to database URL, ephemeral or schema."
        super().__init__(shadow)

    def __str__(self) -> str:
        reason = masked(str(self.error)).strip().splitlines() or ["no reason given"]
        return f"The shadow ({self.shadow}) cannot be reached: {reason[0]}"


class ShadowUnsuited(EnvironmentProblem):
    """The shadow's shape cannot hold an object of the plan or of the live database."""

    def __init__(self, shadow: str, what: str, hint: str = "") -> None:
        self.shadow, self.what = shadow, what
        self.hint = hint or "Run zanith_verify --shadow ephemeral."
        super().__init__(shadow, what)

    def __str__(self) -> str:
        return f"The shadow ({self.shadow}) cannot hold {self.what}."


class ShadowFailed(EnvironmentProblem):
    """The run on the shadow ended with an error that is not due to the plan."""

    def __init__(self, shadow: str, error: str, hint: str = "") -> None:
        self.shadow, self.error, self.hint = shadow, error, hint
        super().__init__(shadow, error)

    def __str__(self) -> str:
        return f"The run on the shadow ({self.shadow}) failed: {masked(self.error)}"


class UnreadableGraph(EnvironmentProblem):
    """A text is not the JSON of a graph."""

    hint = "Write it with: zanith_diff live --format graph."

    def __init__(self, why: object) -> None:
        self.why = why
        super().__init__(why)

    def __str__(self) -> str:
        return f"This is not the JSON of a graph: {self.why}"


class UnknownGraphVersion(UnreadableGraph):
    def __init__(self, version: object, known: int) -> None:
        self.version, self.known = version, known
        self.hint = "Upgrade zanith_django, or take the snapshot again."
        super().__init__(version)

    def __str__(self) -> str:
        return f"This graph has version {self.version!r}; this zanith reads up to {self.known}."


class UnreadableModel(EnvironmentProblem):
    """PostgreSQL refused the DDL that Django writes for a model."""

    def __init__(self, model: str, error: object, passed_over: Sequence[str] = ()) -> None:
        """`passed_over`: statements of pending migrations that failed before, with their errors."""
        self.model, self.error, self.passed_over = model, error, tuple(passed_over)
        self.hint = (
            "Fix the model, or the SQL that creates the objects it needs. If pending Python "
            'computes that SQL, set ZANITH["SCRATCH"] to the alias or URL of a database that has '
            "them, until zanith_apply has run."
        )
        super().__init__(model)

    def __str__(self) -> str:
        reason = str(self.error).strip().splitlines() or ["no reason given"]
        table = f"PostgreSQL refuses the table of {self.model}: {reason[0]}"
        return "\n".join((table, *(f"Failed before: {each}" for each in self.passed_over)))
