"""Every error of zanith, in one tree; words for people live in `__str__`, the next step in `hint`.

ZanithError
├── Refusal              exit 1: the answer is no
│   ├── Blocked, Differs, NotVerified: what was shown says why
│   ├── GateRefused, StepFailed, LockNotHad, ChangesFound
│   ├── FileEdited, PartlyApplied, SeveralEnds, LockLost, HalfRolledBack, CannotUndo, CannotAlter,
│   │   CannotDrop, CannotRestore, NotAdopted, CannotAdopt, FileMissing, NobodyToAsk,
│   │   RenameUnanswered, DefaultGone, InconsistentRecord, RowsHidden, RowsLeft, IndexTaken
├── UsageError           exit 2: what was typed is wrong
│   ├── InvalidName, UnknownApp, UnknownMigration, UnknownSchema, UnknownReason, UnknownArtifact
│   └── InvalidArgument
└── EnvironmentProblem   exit 3: settings, connection, rights, versions, files that do not import
    ├── NotPostgreSQL, ServerTooOld, ConnectionFailed, ConnectionLost, BadSetting, BrokenFile,
    │   CannotWrite, NoManagedApps
    ├── MissingRight, PooledConnection, ShadowUnreachable, ShadowUnsuited, ShadowFailed,
    │   UnreadableModel
    ├── LedgerDamaged, LedgerHeld, LedgerKeyLost, RefusedByServer
    └── UnreadableGraph      a graph's JSON that is broken; UnknownGraphVersion: that is too new
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

from zanith_django.exceptions.masking import masked


class ZanithError(Exception):
    """Base of all; `returncode` is the exit code of a command that ends with it."""

    returncode = 1
    hint = ""


class Refusal(ZanithError):
    returncode = 1


class UsageError(ZanithError):
    returncode = 2


class EnvironmentProblem(ZanithError):
    returncode = 3


# --- the answer is no ----------------------------------------------------------------------------


class GateRefused(Refusal):
    """A gate refused the plan. `refusals` are lines, one each."""

    def __init__(self, refusals: Iterable[str], hint: str = "") -> None:
        self.refusals = tuple(refusals)
        self.hint = hint or "Run zanith_plan to see the whole plan."
        super().__init__(*self.refusals)

    def __str__(self) -> str:
        return "The plan is blocked.\n" + "\n".join(f"  {line}" for line in self.refusals)


class Blocked(Refusal):
    """A plan was shown with its refusals."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        super().__init__(refusals)

    def __str__(self) -> str:
        return f"The plan is blocked ({self.refusals} refused)."


class Differs(Refusal):
    """A difference was shown."""

    def __init__(self, before: str, after: str) -> None:
        self.before, self.after = before, after
        super().__init__(before, after)

    def __str__(self) -> str:
        return f"{self.before} and {self.after} differ."


class NotVerified(Refusal):
    """A verdict other than ok was shown."""

    def __init__(self, verdict: str) -> None:
        self.verdict = verdict
        super().__init__(verdict)

    def __str__(self) -> str:
        return f"The shadow says: {self.verdict}."


class ChangesFound(Refusal):
    """Models or files are behind: `zanith_generate --check` found something to write."""

    def __init__(self, changes: Iterable[str]) -> None:
        self.changes = tuple(changes)
        self.hint = "Run zanith_generate and commit what it writes."
        super().__init__(*self.changes)

    def __str__(self) -> str:
        return "Changes without a migration:\n" + "\n".join(f"  {c}" for c in self.changes)


INSUFFICIENT_PRIVILEGE = "42501"
RIGHTS_HINT = "docs/privileges.md says which grants the role needs, and which tables it owns."


class StepFailed(Refusal):
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


class LockNotHad(Refusal):
    def __init__(self, holder: str, waited: float) -> None:
        self.holder, self.waited = holder, waited
        self.hint = "Wait for that run to end, or give --lock-wait more seconds."
        super().__init__(holder)

    def __str__(self) -> str:
        return f"Another run holds the lock: {self.holder} (waited {self.waited:.0f} s)."


class LockLost(Refusal):
    hint = "Run zanith_apply again: it resumes where this run stopped."

    def __str__(self) -> str:
        return "The run lock was lost in the middle of the run; nothing more was started."


class HalfRolledBack(Refusal):
    def __init__(self, migration_id: str) -> None:
        self.migration_id = migration_id
        self.hint = "Run zanith_rollback --steps 1: it goes on where it stopped."
        super().__init__(migration_id)

    def __str__(self) -> str:
        return f"A rollback of {self.migration_id} stopped half way."


class FileEdited(Refusal):
    def __init__(self, migration_id: str, what: str) -> None:
        self.migration_id, self.what = migration_id, what
        self.hint = "Restore the file from version control, or write the change as a new migration."
        super().__init__(migration_id)

    def __str__(self) -> str:
        return f"{self.what}."


class DefaultGone(Refusal):
    """A step calls the default of a field that its Django migration no longer has there."""

    def __init__(self, place: str, now: str) -> None:
        self.place, self.now = place, now
        self.hint = "Delete the file and run zanith_generate, or correct the position in it."
        super().__init__(place)

    def __str__(self) -> str:
        return f"It takes the default of {self.place}, which {self.now}."


class PartlyApplied(Refusal):
    def __init__(self, migration_id: str, applied: Iterable[str], missing: Iterable[str]) -> None:
        self.migration_id = migration_id
        self.applied, self.missing = tuple(applied), tuple(missing)
        self.hint = (
            f"Finish them with `manage.py migrate {' '.join(self.missing[0].split('.', 1))}`, or "
            f"go back with `manage.py migrate {self.applied[0].split('.')[0]} <the one before>`."
        )
        super().__init__(migration_id)

    def __str__(self) -> str:
        return (
            f"Migration {self.migration_id} covers Django migrations of which some are applied "
            f"({', '.join(self.applied)}) and some are not ({', '.join(self.missing)})."
        )


class InconsistentRecord(Refusal):
    """Django's record lacks a migration on which a recorded one stands."""

    hint = "Run zanith_baseline: it records what the tables show to be applied."

    def __init__(self, name: str, missing: str) -> None:
        self.name, self.missing = name, missing
        super().__init__(name, missing)

    def __str__(self) -> str:
        return (
            f"Django's record has {self.name} as applied, and not {self.missing}, on which it "
            "stands."
        )


class SeveralEnds(Refusal):
    def __init__(self, app_label: str, names: Iterable[str]) -> None:
        self.app_label, self.names = app_label, tuple(sorted(names))
        self.hint = f"Run manage.py makemigrations --merge {app_label}, then zanith_generate."
        super().__init__(app_label)

    def __str__(self) -> str:
        ends = ", ".join(self.names)
        return f"App {self.app_label} has several ends: {ends}."


class IndexTaken(Refusal):
    def __init__(self, name: str, definition: str) -> None:
        self.name, self.definition = name, definition
        self.hint = f"Rename or drop it: DROP INDEX CONCURRENTLY {name}."
        super().__init__(name, definition)

    def __str__(self) -> str:
        return (
            f"An index {self.name} with another definition exists: {self.definition}.\n{self.hint}"
        )


class InTheWay(Refusal):
    """Objects that no model names are in the way of a step that is about to run. A line each."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__(*self.lines)

    def __str__(self) -> str:
        return "\n".join(self.lines)


class CannotUndo(Refusal):
    def __init__(self, step: str, why: str, hint: str = "") -> None:
        self.step, self.why = step, why
        self.hint = hint or "Run zanith_recover list to see what can be brought back."
        super().__init__(step, why)

    def __str__(self) -> str:
        return f"{self.step} cannot be undone: {self.why}."


class CannotDrop(Refusal):
    def __init__(self, target: str, why: str, hint: str = "") -> None:
        self.target, self.why = target, why
        self.hint = hint or "Lift what depends on it in a migration of its own first."
        super().__init__(target, why)

    def __str__(self) -> str:
        return f"{self.target} cannot be dropped: {self.why}."


class CannotAlter(Refusal):
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


class CannotRestore(Refusal):
    def __init__(self, artifact: str, why: str, hint: str = "") -> None:
        self.artifact, self.why = artifact, why
        self.hint = hint or f"Run zanith_recover inspect {artifact} to see it."
        super().__init__(artifact, why)

    def __str__(self) -> str:
        return f"Refusing to restore {self.artifact}: {self.why}."


class CannotPurge(Refusal):
    def __init__(self, target: str, why: str, hint: str = "") -> None:
        self.target, self.why = target, why
        self.hint = hint or "Run zanith_recover list to see what is kept."
        super().__init__(target, why)

    def __str__(self) -> str:
        return f"Refusing to purge {self.target}: {self.why}."


class NotPurged(Refusal):
    """The rest is purged."""

    hint = "Fix what is reported, then run the same command again."

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(count)

    def __str__(self) -> str:
        return f"{self.count} could not be purged."


class DeferredChanged(Refusal):
    """What the ledger says is left of a Django migration is not what its operations leave."""

    hint = "Restore the file from version control, or the row from a backup of the ledger."

    def __init__(self, migration: str) -> None:
        self.migration = migration
        super().__init__(migration)

    def __str__(self) -> str:
        return (
            f"The SQL left for the end of {self.migration} in the ledger is not what its "
            "operations leave: the file was edited, or the row."
        )


class ArtifactForged(Refusal):
    """A row of the ledger was changed by someone else: nothing is run because of it."""

    hint = "Restore the row from a backup of the ledger, and see who may write the ledger."

    def __init__(self, artifact: str, what: str) -> None:
        self.artifact, self.what = artifact, what
        super().__init__(artifact, what)

    def __str__(self) -> str:
        return f"The ledger's row of {self.artifact} is invalid: {self.what}."


class ArtifactMissing(Refusal):
    """The database does not have what an artifact stands for."""

    def __init__(self, artifact: str, target: str) -> None:
        self.artifact, self.target = artifact, target
        self.hint = f"zanith_recover purge {target} --missing --yes records that it was dropped."
        super().__init__(artifact)

    def __str__(self) -> str:
        return f"What {self.artifact} kept is not in the database: nothing was dropped."


class RowsHidden(Refusal):
    """A backfill would leave rows that the role does not see."""

    hint = "Run it as a role with BYPASSRLS."

    def __init__(self, table: str, role: str) -> None:
        self.table, self.role = table, role
        super().__init__(table, role)

    def __str__(self) -> str:
        return f"cannot write all rows of {self.table}: row security hides rows from {self.role}"


class RowsLeft(Refusal):
    """A backfill came to its end, and `rows` of its rows were not written."""

    def __init__(self, table: str, rows: int, where: str) -> None:
        self.table, self.rows, self.where = table, rows, where
        super().__init__(table, rows, where)

    def __str__(self) -> str:
        return (
            f"cannot write {self.rows} rows of {self.table} where {self.where}: a trigger that "
            "returns NULL, a rule or row security may keep them as they are"
        )


class FileMissing(Refusal):
    def __init__(self, migration_id: str, what: str) -> None:
        self.migration_id, self.what = migration_id, what
        self.hint = (
            "Bring the file back from version control, or deploy the code that has it. Was it "
            "taken out for good, then zanith_baseline accepts the database as it is."
        )
        super().__init__(migration_id)

    def __str__(self) -> str:
        return f"{self.what}."


class CannotAdopt(Refusal):
    """No state of an app's migrations fits its tables; `differences` are those to the nearest."""

    def __init__(self, nearest: str, differences: Iterable[str], told: str) -> None:
        self.nearest, self.differences = nearest, tuple(differences)
        self.hint = (
            f"Fix the tables first, or say how far they have come: zanith_baseline --at {told}"
        )
        super().__init__(nearest)

    def __str__(self) -> str:
        app_label = self.nearest.split(".")[0]
        lines = "\n".join(f"  {line}" for line in self.differences)
        return (
            f"The tables of {app_label} are not what its migrations make. Nearest is "
            f"{self.nearest}, which would need:\n{lines}"
        )


class NotAdopted(Refusal):
    def __init__(self, table: str, app_label: str) -> None:
        self.table, self.app_label = table, app_label
        self.hint = "Run zanith_baseline to adopt the tables that exist already."
        super().__init__(table)

    def __str__(self) -> str:
        return (
            f"Table {self.table} exists, but Django's history says that no migration of "
            f"{self.app_label} made it."
        )


# --- what was typed is wrong ---------------------------------------------------------------------


class InvalidArgument(UsageError):
    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


class InvalidName(UsageError):
    def __init__(self, name: str, why: str = "is not a table name") -> None:
        self.name, self.why = name, why
        self.hint = 'Write table, schema.table, or "schema"."table" with quotes.'
        super().__init__(name)

    def __str__(self) -> str:
        return f"{self.name!r} {self.why}."


class NameTooLong(InvalidName):
    def __init__(self, name: str) -> None:
        super().__init__(name, "is longer than the 63 bytes that PostgreSQL keeps of a name")
        self.hint = "Choose a shorter name: PostgreSQL would cut it without a word."


class NobodyToAsk(Refusal):
    def __init__(self, labels: Iterable[str]) -> None:
        self.hint = f"Run makemigrations {' '.join(labels)} in a terminal, then this again."
        super().__init__("makemigrations has a question, and nobody is there to answer it.")


class RenameUnanswered(Refusal):
    """makemigrations would ask whether something is renamed. `renames` are "old to new"."""

    def __init__(self, renames: Iterable[str], labels: Iterable[str]) -> None:
        self.renames, apps = tuple(renames), " ".join(labels)
        self.hint = (
            f"If so, run makemigrations {apps} in a terminal and answer yes. If not, run "
            f"makemigrations --no-input {apps}: the old one is removed, and the new one is empty."
        )
        super().__init__(*self.renames)

    def __str__(self) -> str:
        lines = "\n".join(f"  {rename}" for rename in self.renames)
        return f"Renamed? There is no terminal to ask:\n{lines}"


class UnknownApp(UsageError):
    def __init__(
        self, label: str, known: Iterable[str], why: str = "is not an installed app"
    ) -> None:
        self.label, self.known, self.why = label, tuple(sorted(known)), why
        self.hint = f"Managed apps: {', '.join(self.known) or 'none'}."
        super().__init__(label)

    def __str__(self) -> str:
        return f"{self.label!r} {self.why}."


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """A question that a hint begins with; "" where nothing is near."""
    names = list(known)
    near = get_close_matches(typed, names, n=1) or [name for name in names if typed in name]
    return f"Did you mean {near[0]}? " if near else ""


class UnknownMigration(UsageError):
    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        self.hint = f"{did_you_mean(name, known)}Run zanith_status --all to see the migrations."
        super().__init__(name)

    def __str__(self) -> str:
        return f"There is no migration {self.name!r}."


class UnknownSchema(UsageError):
    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        self.hint = did_you_mean(name, known) + (
            "Type models, live, empty, the id of an applied migration (zanith_history lists them) "
            "or the path of a graph file."
        )
        super().__init__(name)

    def __str__(self) -> str:
        return f"There is no schema {self.name!r}."


class UnknownReason(UsageError):
    def __init__(self, code: str, known: Iterable[str]) -> None:
        self.code = code
        codes = list(known)
        self.hint = f"{did_you_mean(code, codes)}Known reasons: {', '.join(codes)}."
        super().__init__(code)

    def __str__(self) -> str:
        return f"There is no reason {self.code!r}."


class UnknownArtifact(UsageError):
    def __init__(self, name: str) -> None:
        self.name = name
        self.hint = "Run zanith_recover list to see what can be brought back."
        super().__init__(name)

    def __str__(self) -> str:
        return f"There is no artifact for {self.name!r}."


# --- the environment is wrong --------------------------------------------------------------------


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
    """The server, or the way to it, went away in the middle of a step."""

    def __init__(self, alias: str, description: str, error: str, again: str) -> None:
        self.alias, self.description, self.error = alias, description, error
        self.hint = f"See that the server runs, then run {again} again: it resumes at this step."
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
    """`folders` were searched for the project's own apps; none where the setting says so."""

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
            "See that its folder is one and can be written to. zanith_baseline --no-files writes "
            "no files."
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
    """What PostgreSQL says of a statement of ours, outside of any step."""

    _HINTS: Final = {
        INSUFFICIENT_PRIVILEGE: RIGHTS_HINT,
        "57014": "The role or the database may have a short statement_timeout (SHOW "
        "statement_timeout): raise it, or set it in OPTIONS of DATABASES.",
        "3F000": "Make the schema, or name one that is there: the setting search_path (SHOW "
        "search_path) comes from OPTIONS in DATABASES, from the role or from the database.",
    }

    def __init__(self, error: object, sqlstate: str) -> None:
        self.error, self.sqlstate = error, sqlstate
        self.hint = self._HINTS.get(sqlstate, "")
        super().__init__(error)

    def __str__(self) -> str:
        return f"PostgreSQL says: {str(self.error).strip()}"


class LedgerDamaged(EnvironmentProblem):
    """A ledger table, or a column of one, is not there."""

    hint = "Run zanith_apply: it mends its tables."

    def __init__(self, table: str, error: object) -> None:
        self.table, self.error = table, error
        super().__init__(table)

    def __str__(self) -> str:
        why = str(self.error).strip().splitlines()[0]
        return f"Table {self.table} is not what the ledger needs: {why}."


class LedgerHeld(EnvironmentProblem):
    """A column of the ledger cannot be mended: a view stands on it, for instance."""

    hint = "Drop what depends on the column, run zanith_apply, and make it again."

    def __init__(self, statement: str, error: object) -> None:
        self.statement, self.error = statement, error
        super().__init__(statement)

    def __str__(self) -> str:
        return f"The ledger cannot be mended by {self.statement}\n  {str(self.error).strip()}"


class LedgerKeyLost(EnvironmentProblem):
    """A key column of a ledger table is not there; `others` are columns that are not ours."""

    def __init__(self, table: str, column: str, others: Iterable[str]) -> None:
        self.table, self.column, self.others = table, column, tuple(others)
        now = self.others[0] if len(self.others) == 1 else "<its name now>"
        self.hint = (
            f"Give it its name back: ALTER TABLE {table} RENAME COLUMN {now} TO {column}; "
            "Was it dropped, only a backup has it."
        )
        super().__init__(table, column)

    def __str__(self) -> str:
        return f"Table {self.table} has lost its column {self.column}, which names its rows."


class PooledConnection(EnvironmentProblem):
    hint = 'Name an alias that goes past the proxy: ZANITH = {"DIRECT": "direct"}.'

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
    """The shape of the shadow cannot hold something of the plan or of the live database."""

    def __init__(self, shadow: str, what: str, hint: str = "") -> None:
        self.shadow, self.what = shadow, what
        self.hint = hint or "Run zanith_verify --shadow ephemeral."
        super().__init__(shadow, what)

    def __str__(self) -> str:
        return f"The shadow ({self.shadow}) cannot take {self.what}."


class ShadowFailed(EnvironmentProblem):
    """The run on the shadow ended with an error that says nothing about the plan."""

    def __init__(self, shadow: str, error: str, hint: str = "") -> None:
        self.shadow, self.error, self.hint = shadow, error, hint
        super().__init__(shadow, error)

    def __str__(self) -> str:
        return f"The run on the shadow ({self.shadow}) failed: {masked(self.error)}"


class UnreadableGraph(EnvironmentProblem):
    """What should be the JSON of a graph is something else."""

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
            "Fix the model, or the SQL that is to make what it needs. If a pending RunPython makes "
            'it, set ZANITH["SCRATCH"] to the alias or URL of a database that has it, until '
            "zanith_apply has run."
        )
        super().__init__(model)

    def __str__(self) -> str:
        reason = str(self.error).strip().splitlines() or ["no reason given"]
        table = f"PostgreSQL refuses the table of {self.model}: {reason[0]}"
        return "\n".join((table, *(f"Failed before: {each}" for each in self.passed_over)))
