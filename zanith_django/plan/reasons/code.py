"""Reasons of SQL and Python that an author wrote."""

from __future__ import annotations

from zanith_django.plan.levels import Level
from zanith_django.plan.reasons.reason import Reason

REASONS = (
    Reason(
        "raw_sql",
        Level.HIGH,
        "Runs SQL that the plan cannot read",
        "The grammar does not accept the text, the plan does not know this kind of statement, or "
        "the text is built at run time. Its locks and effects are unknown.",
        "Use an operation with a name, or a constant text. zanith_verify observes what it does.",
        "sql-commands",
    ),
    Reason(
        "may_drop",
        Level.DESTRUCTIVE,
        "May drop or delete",
        "Code that the plan cannot read contains DROP, DELETE or TRUNCATE.",
        "Write the statement with constant names, so that the plan can read it.",
        "sql-droptable",
    ),
    Reason(
        "calls_functions",
        Level.HIGH,
        "Calls a function with an unknown body",
        "The function may lock, write or drop anything; the plan does not see its body.",
        "Write the statements of the function into the migration.",
        "xfunc-volatility",
    ),
    Reason(
        "python_code",
        Level.MEDIUM,
        "Runs Python that the plan cannot read",
        "The function belongs to a package or is built at run time. Its queries are unknown.",
        "Write the queries into the function of the migration.",
        "sql-commands",
    ),
    Reason(
        "imports_models",
        Level.MEDIUM,
        "Imports a current model",
        "A later release that changes the model breaks this migration on a new database.",
        "Use the historical model: apps.get_model().",
        "ddl-alter",
    ),
    Reason(
        "ends_transaction",
        Level.HIGH,
        "Begins or ends a transaction",
        "The statements before it can no longer be rolled back if the migration fails.",
        "Leave BEGIN and COMMIT out, and set atomic = False in the migration.",
        "sql-commit",
    ),
    Reason(
        "alters_after_writes",
        Level.HIGH,
        "Changes a table after writing its rows",
        "Deferred foreign keys check written rows at the end of the transaction. Until then "
        "PostgreSQL refuses to change the table, and the migration fails if it wrote a row.",
        "Write the rows in one migration and change the table in the next one.",
        "sql-set-constraints",
    ),
    Reason(
        "fails_in_transaction",
        Level.BLOCKED,
        "Cannot run inside a transaction",
        "PostgreSQL refuses the statement inside a transaction, and the migration fails.",
        "Set atomic = False in the migration.",
        "sql-createindex#SQL-CREATEINDEX-CONCURRENTLY",
    ),
    Reason(
        "needs_transaction",
        Level.BLOCKED,
        "Runs only inside a transaction",
        "PostgreSQL refuses the statement outside a transaction, and the migration fails. A lock "
        "would end with its own statement.",
        "Take the lock in a migration that is atomic, together with what needs it.",
        "sql-lock",
    ),
    Reason(
        "irreversible",
        Level.MEDIUM,
        "Cannot be reversed",
        "zanith_rollback refuses to reverse the step, or runs a reverse of its author, which may "
        "not bring removed values back.",
        "Give it a reverse, or take a backup first.",
        "backup",
    ),
)
