"""Reasons of changes to columns, and of what they do to the running release."""

from __future__ import annotations

from zanith_django.plan.levels import Level
from zanith_django.plan.reasons.reason import Reason

REASONS = (
    Reason(
        "adds_nullable_column",
        Level.SAFE,
        "Adds a column",
        "The column allows NULL or has a default in the database. PostgreSQL changes only its "
        "catalog, under a brief ACCESS EXCLUSIVE lock, and the running release does not notice.",
        "None is needed: this is the safe form.",
        "sql-altertable#SQL-ALTERTABLE-NOTES",
        unless=frozenset(
            (
                "adds_required_column_without_default",
                "breaks_running_code",
                "locks_reads",
                "rewrites_table",
            )
        ),
    ),
    Reason(
        "adds_required_column_without_default",
        Level.HIGH,
        "Adds a NOT NULL column without a default",
        "After the step the column is NOT NULL and has no default in the database. Inserts of the "
        "running release, which does not know the column, fail.",
        "Give the field a db_default, or add it nullable, fill it, and set NOT NULL in the next "
        "release.",
        "ddl-default",
    ),
    Reason(
        "drops_column_with_data",
        Level.DESTRUCTIVE,
        "Drops or hides a column",
        "The column and its values are no longer there for any query. The running release fails "
        "as soon as it reads or writes the column.",
        "Remove the field from the models one release earlier, and keep the soft drop, which "
        "zanith_recover restore-column reverses.",
        "ddl-alter#DDL-ALTER-REMOVING-A-COLUMN",
    ),
    Reason(
        "rename_column",
        Level.HIGH,
        "Renames a column",
        "Queries of the running release use the old name and fail until the new release runs.",
        "Keep the name in the database: db_column. Or add a new column, write both, and drop the "
        "old one in a later release.",
        "ddl-alter#DDL-ALTER-RENAMING-COLUMN",
    ),
    Reason(
        "narrows_column_type",
        Level.HIGH,
        "Changes a column to a narrower type",
        "A value that does not fit makes the step fail, or loses digits. The running release may "
        "still write such values.",
        "Look for values that do not fit with zanith_plan --preflight, and deploy code that writes "
        "only values that fit first.",
        "sql-altertable",
    ),
    Reason(
        "changes_column_type",
        Level.MEDIUM,
        "Changes the type of a column",
        "The running release reads and writes the column as another type. Most changes rewrite "
        "the table; zanith copies the values into a new column beside its readers and writers.",
        "Deploy code that works with both types first.",
        "sql-altertable#SQL-ALTERTABLE-NOTES",
    ),
    Reason(
        "changes_column_nullable_to_not_null",
        Level.MEDIUM,
        "Sets NOT NULL",
        "An existing NULL makes the step fail, and the running release gets an error if it still "
        "writes NULL.",
        "Fill the NULLs and deploy code that always writes a value first.",
        "ddl-constraints#DDL-CONSTRAINTS-NOT-NULL",
    ),
    Reason(
        "breaks_running_code",
        Level.HIGH,
        "Breaks the previous release",
        "Queries of the previous release fail from this step until its last process has stopped. "
        "The plan names the queries.",
        "Use two releases: first code that works with both the old and the new schema, then this "
        "step.",
        "ddl-alter",
    ),
)
