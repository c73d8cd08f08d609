"""Every reason why an operation is risky: its code, level, effect, and the safer way."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from zanith_django.exceptions import UnknownReason


class Level(enum.IntEnum):
    """How much risk; the value is the score."""

    SAFE = 5
    LOW = 15
    MEDIUM = 35
    HIGH = 60
    DESTRUCTIVE = 80
    BLOCKED = 95

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `effect` says what happens, `safer` what to do instead."""

    code: str
    level: Level
    effect: str
    safer: str


def _reasons(*reasons: Reason) -> dict[str, Reason]:
    return {reason.code: reason for reason in reasons}


REASONS = _reasons(
    Reason(
        "adds_nullable_column",
        Level.SAFE,
        "Adds a column, NULL or with a value for all rows: no scan and no rewrite, a brief lock.",
        "Nothing: this is the safe form.",
    ),
    Reason(
        "adds_required_column_without_default",
        Level.HIGH,
        "Adds a NOT NULL column that has no default in the database once the step is done.",
        "Give the field a db_default, or add it nullable, fill it, then set NOT NULL.",
    ),
    Reason(
        "adds_index",
        Level.LOW,
        "Builds an index: reads the whole table, without blocking reads or writes.",
        "Run it at a quiet hour when the table is large.",
    ),
    Reason(
        "adds_unique_constraint",
        Level.MEDIUM,
        "Every row must be unique already; duplicates make the step fail.",
        "Look for duplicates first: zanith_plan --preflight.",
    ),
    Reason(
        "adds_foreign_key",
        Level.MEDIUM,
        "Every row must point at an existing row; writes to both tables stop for an instant.",
        "Look for orphans first: zanith_plan --preflight.",
    ),
    Reason(
        "adds_extension",
        Level.LOW,
        "Installs an extension: its files must be on the server and the role allowed to do it.",
        "Have an administrator install it beforehand.",
    ),
    Reason(
        "drops_column_with_data",
        Level.DESTRUCTIVE,
        "Takes a column and its values away from everybody who reads it.",
        "Keep the soft drop, which zanith_recover restore-column undoes; stop the code from "
        "reading it one release earlier.",
    ),
    Reason(
        "drops_table_with_data",
        Level.DESTRUCTIVE,
        "Takes a table and its rows away from everybody who reads it.",
        "Keep the soft drop, which zanith_recover restore-table undoes; stop the code from "
        "reading it one release earlier.",
    ),
    Reason(
        "sets_aside",
        Level.HIGH,
        "A rollback hides a column or table with its values: code that reads it fails.",
        "Deploy the older code first; zanith_recover brings it back.",
    ),
    Reason(
        "drops_index",
        Level.LOW,
        "Queries that used the index read the whole table from now on.",
        "Look at pg_stat_user_indexes.idx_scan first.",
    ),
    Reason(
        "drops_unique_constraint",
        Level.MEDIUM,
        "Duplicates may come in from now on, and may stand in the way of adding it again.",
        "Drop it only when the replacement is in place.",
    ),
    Reason(
        "drops_foreign_key",
        Level.MEDIUM,
        "Rows may reference nothing from now on; both tables are locked for an instant.",
        "Drop it only when the code keeps the reference itself.",
    ),
    Reason(
        "drops_extension",
        Level.DESTRUCTIVE,
        "Functions, types and operators of the extension are gone.",
        "Make sure that no column, index or query uses them.",
    ),
    Reason(
        "narrows_column_type",
        Level.HIGH,
        "Values that do not fit the narrower type make the step fail or lose digits.",
        "Look for values that do not fit first: zanith_plan --preflight.",
    ),
    Reason(
        "changes_column_type",
        Level.MEDIUM,
        "Changes the type of a column that running code reads and writes.",
        "Change the code so that it works with both types first.",
    ),
    Reason(
        "changes_column_nullable_to_not_null",
        Level.MEDIUM,
        "A NULL that is there, or that running code still writes, is an error.",
        "Fill the NULLs and deploy code that writes a value first.",
    ),
    Reason(
        "rebuilds_table",
        Level.HIGH,
        "Copies the table and swaps the copy in: needs its size again on disk.",
        "Run it at a quiet hour, with room on the disk.",
    ),
    Reason(
        "updates_all_rows",
        Level.HIGH,
        "Writes every row of a table in one statement: its rows stay locked against other writers "
        "until the end, and the table grows by its size.",
        "Use the operation backfill, which writes short batches that can be resumed.",
    ),
    Reason(
        "loops_over_rows",
        Level.MEDIUM,
        "Loads every row of a table into Python and saves each by itself, in one transaction.",
        "Use the operation backfill, or a query for a short range of keys at a time.",
    ),
    Reason(
        "inserts_rows",
        Level.LOW,
        "Adds rows to a table.",
        "Nothing: this is the usual form.",
    ),
    Reason(
        "locks_rows",
        Level.LOW,
        "Locks rows that it reads against other writers until the transaction ends.",
        "Read without FOR UPDATE.",
    ),
    Reason(
        "deletes_rows",
        Level.HIGH,
        "Deletes rows of a table; nothing keeps them.",
        "Archive the rows first, and delete them in short batches.",
    ),
    Reason(
        "deletes_all_rows",
        Level.DESTRUCTIVE,
        "Deletes every row of a table; nothing keeps them.",
        "Archive the table first: archiveTable.",
    ),
    Reason(
        "may_drop",
        Level.DESTRUCTIVE,
        "Runs code that could not be read and that names DROP, DELETE or TRUNCATE.",
        "Write the statement with constant names, so that it can be read.",
    ),
    Reason(
        "calls_functions",
        Level.HIGH,
        "Calls a function whose body is not known here.",
        "Write the statements of the function into the migration.",
    ),
    Reason(
        "python_code",
        Level.MEDIUM,
        "Runs Python that could not be read: a function of a package, or one built when it runs.",
        "Write the queries into the function of the migration.",
    ),
    Reason(
        "imports_models",
        Level.MEDIUM,
        "Imports a model of today: a later release that changes it breaks this migration.",
        "Take the historical model: apps.get_model().",
    ),
    Reason(
        "adds_check",
        Level.LOW,
        "Rows that the check refuses can no longer be written; existing ones make it fail.",
        "Look for rows that fail first: zanith_plan --preflight.",
    ),
    Reason(
        "rebuilds_indexes",
        Level.HIGH,
        "Builds the indexes of a column again while the table can be neither read nor written.",
        "Add a new column with the type, fill it, build its indexes concurrently, and swap.",
    ),
    Reason(
        "reindexes",
        Level.HIGH,
        "Builds an index again: writes to the table wait, and so do queries that could use it.",
        "REINDEX CONCURRENTLY, outside of a transaction.",
    ),
    Reason(
        "drops_index_blocking",
        Level.MEDIUM,
        "Takes ACCESS EXCLUSIVE on the table until the transaction ends: one long query makes all "
        "later ones wait.",
        "DROP INDEX CONCURRENTLY, outside of a transaction: RemoveIndexConcurrently, dropIndex.",
    ),
    Reason(
        "accepts_existing",
        Level.MEDIUM,
        "IF NOT EXISTS accepts whatever has the name: another definition, or an index that is "
        "invalid since its build failed.",
        "Leave IF NOT EXISTS out; the operations addIndex and createTable check the definition.",
    ),
    Reason(
        "detaches_partition",
        Level.HIGH,
        "The rows of the partition vanish from its parent.",
        "Stop the code from reading them one release earlier.",
    ),
    Reason(
        "changes_trigger",
        Level.MEDIUM,
        "Changes what else happens when a row of the table is written.",
        "Try it on a shadow with the queries of the application.",
    ),
    Reason(
        "changes_rights",
        Level.MEDIUM,
        "Changes who may read or write an object, or who owns it.",
        "Try it with the role that the application uses.",
    ),
    Reason(
        "changes_object",
        Level.LOW,
        "Changes an object other than a table: a view, a function, a sequence, a type.",
        "Try it on a shadow with the queries of the application.",
    ),
    Reason(
        "adds_view",
        Level.SAFE,
        "Adds a view.",
        "Nothing: it locks no table against readers or writers.",
    ),
    Reason(
        "drops_view",
        Level.HIGH,
        "Drops or renames a view: queries that use it fail.",
        "Stop the code from reading it one release earlier.",
    ),
    Reason(
        "drops_object",
        Level.HIGH,
        "Drops an object other than a table: a type, a function, a sequence, a schema.",
        "Make sure that no column, default, view or query uses it.",
    ),
    Reason(
        "drops_with_cascade",
        Level.DESTRUCTIVE,
        "CASCADE drops everything that depends on the object, without naming it.",
        "Drop each dependent object by its name first.",
    ),
    Reason(
        "renames_object",
        Level.HIGH,
        "Renames an object other than a table: queries that use the old name fail.",
        "Add a new one, move the code over, and drop the old one in a later release.",
    ),
    Reason(
        "ends_transaction",
        Level.HIGH,
        "Ends or begins a transaction itself: what ran before cannot be rolled back.",
        "Leave BEGIN and COMMIT out; write atomic = False into the migration.",
    ),
    Reason(
        "fails_in_transaction",
        Level.BLOCKED,
        "PostgreSQL refuses to run the statement inside of a transaction.",
        "Write atomic = False into the migration.",
    ),
    Reason(
        "missing_table",
        Level.BLOCKED,
        "The database has no table of that name, and no step before this one creates it.",
        "Correct the name of the table.",
    ),
    Reason(
        "requires_backfill",
        Level.MEDIUM,
        "Writes rows: a backfill in small batches that can be resumed, code of a migration as "
        "its author wrote it.",
        "Run it at a quiet hour; set BACKFILL PAUSE to spare replicas.",
    ),
    Reason(
        "rls_change",
        Level.HIGH,
        "Changes which rows a role sees or writes.",
        "Try the policies on the shadow with the roles that the application uses.",
    ),
    Reason(
        "raw_sql",
        Level.HIGH,
        "Runs code that zanith cannot see through: its locks and effects are the author's.",
        "Use an operation with a name where one exists; verify on a shadow.",
    ),
    Reason(
        "rename_table",
        Level.HIGH,
        "Code that still runs knows the table by its old name.",
        "Keep the name in the database: Meta.db_table.",
    ),
    Reason(
        "rename_column",
        Level.HIGH,
        "Code that still runs knows the column by its old name.",
        "Keep the name in the database: db_column.",
    ),
    Reason(
        "locks_writes",
        Level.MEDIUM,
        "Writes to the table wait while this reads it.",
        "Use the concurrent form, or an empty table.",
    ),
    Reason(
        "locks_reads",
        Level.HIGH,
        "Reads and writes of the table wait while this works through it.",
        "Split it: a quick form without checking first, the check afterwards.",
    ),
    Reason(
        "rewrites_table",
        Level.HIGH,
        "PostgreSQL writes the whole table and its indexes anew while nobody may read it.",
        "Use a new column, a backfill and a swap.",
    ),
    Reason(
        "scans_table",
        Level.LOW,
        "Reads every row of the table; reads and writes go on.",
        "Run it at a quiet hour when the table is large.",
    ),
    Reason(
        "large_table",
        Level.MEDIUM,
        "The table is large: what is instant elsewhere takes long here.",
        "Run it at a quiet hour and watch it.",
    ),
    Reason(
        "breaks_running_code",
        Level.HIGH,
        "Code of the previous release, still running during the deploy, fails on it.",
        "Deploy in two steps: first code that needs neither form, then the change.",
    ),
    Reason(
        "cannot_be_done_online",
        Level.BLOCKED,
        "Writes the table anew, and there is no way to do that beside its clients: the step refuses"
        " while the table has rows, and names what is in the way.",
        "Take away what is in the way first, or write in_place=True into the step: then the table"
        " is written anew while nobody can read or write it.",
    ),
    Reason(
        "dependent_objects",
        Level.BLOCKED,
        "An object that no model names depends on what this changes: PostgreSQL refuses the change,"
        " or the object goes on reading what is hidden.",
        "Drop the object in a migration before this one, and create it again after it.",
    ),
    Reason(
        "functions_name_it",
        Level.HIGH,
        "The text of a function names what this renames or takes away; PostgreSQL does not change"
        " the text, and the function fails when it runs.",
        "Replace the function in the same migration.",
    ),
    Reason(
        "stops_subscribers",
        Level.HIGH,
        "Logical replication finds tables and columns by name: a subscriber stops at a name that"
        " it does not have.",
        "Change the tables of the subscribers first.",
    ),
    Reason(
        "replicated_table",
        Level.LOW,
        "A logical replication slot sends the table to subscribers, which know its columns by name:"
        " values are archived instead of hidden, a type is changed in place.",
        "Change the tables of the subscribers first if they need the new columns.",
    ),
    Reason(
        "will_fail_on_data",
        Level.BLOCKED,
        "The data that is there now makes this step fail for certain.",
        "Fix the rows that zanith_plan --preflight shows.",
    ),
    Reason(
        "exists_already",
        Level.BLOCKED,
        "Something of the name that this step gives exists already.",
        "Rename or drop it; zanith_baseline adopts what a migration was to make.",
    ),
    Reason(
        "missing_right",
        Level.BLOCKED,
        "The role that runs this may not do it.",
        "Run it as the owner, or grant the right: docs/privileges.md.",
    ),
    Reason(
        "irreversible",
        Level.MEDIUM,
        "Cannot be undone by zanith_rollback.",
        "Give it a reverse, or take a backup first.",
    ),
    Reason(
        "invalid_leftover",
        Level.LOW,
        "An invalid index of that name is left from an earlier failure; it is dropped and rebuilt.",
        "Nothing: the step takes care of it.",
    ),
)


def reason(code: str) -> Reason:
    """The reason of that code; raises `UnknownReason`."""
    try:
        return REASONS[code]
    except KeyError:
        raise UnknownReason(code, REASONS) from None
