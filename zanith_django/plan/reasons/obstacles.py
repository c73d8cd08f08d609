"""Reasons of failures that are certain, and of objects in the way."""

from __future__ import annotations

from zanith_django.plan.levels import Level
from zanith_django.plan.reasons.reason import Reason

REASONS = (
    Reason(
        "missing_table",
        Level.BLOCKED,
        "Changes a table that does not exist",
        "The database has no table of that name, and no earlier step creates it: the step fails.",
        "Correct the name of the table.",
        "sql-altertable",
    ),
    Reason(
        "missing_object",
        Level.BLOCKED,
        "Names something that does not exist",
        "The table has no column, constraint or index of that name, and no earlier step creates "
        "it: the step fails.",
        "Correct the name, or write IF EXISTS.",
        "sql-altertable",
    ),
    Reason(
        "will_fail_on_data",
        Level.BLOCKED,
        "Fails on existing rows",
        "Existing NULLs, duplicates, missing targets or values that do not fit make the step fail.",
        "Fix the rows that zanith_plan --preflight shows.",
        "ddl-constraints",
    ),
    Reason(
        "no_room",
        Level.BLOCKED,
        "Needs more disk than there is",
        "New indexes, new files of a rewritten table, or new versions of all rows need more than "
        "the setting DISK_ROOM. A full disk stops the whole server.",
        "Make room first, or raise DISK_ROOM. A backfill in several runs, with a vacuum in "
        "between, uses the same place again.",
        "diskusage",
    ),
    Reason(
        "exists_already",
        Level.BLOCKED,
        "Creates something that exists",
        "A table, column, index or constraint of that name exists: the step fails.",
        "Rename or drop it. zanith_baseline adopts what a migration would create.",
        "ddl-schemas",
    ),
    Reason(
        "missing_right",
        Level.BLOCKED,
        "Lacks a privilege",
        "The role that runs the migration may not do this: the step fails.",
        "Run it as the owner, or grant the privilege: docs/privileges.md.",
        "ddl-priv",
    ),
    Reason(
        "cannot_be_done_online",
        Level.BLOCKED,
        "Cannot be done online",
        "The change rewrites the table, and an object makes a copy beside readers and writers "
        "impossible. The step names the object, and refuses to run while the table has rows.",
        "Remove the object first, or write in_place=True into the step: PostgreSQL then rewrites "
        "the table while no session can read or write it.",
        "sql-altertable#SQL-ALTERTABLE-NOTES",
    ),
    Reason(
        "dependent_objects",
        Level.BLOCKED,
        "Other objects depend on it",
        "An object that no model declares depends on the column or table. PostgreSQL refuses the "
        "change, or the object continues to read what the step hides.",
        "Drop the object in an earlier migration, and create it again in a later one.",
        "ddl-depend",
    ),
    Reason(
        "functions_name_it",
        Level.HIGH,
        "A function names it",
        "The text of a function contains the name of the column or table. PostgreSQL does not "
        "change the text, and the function fails when it runs.",
        "Replace the function in the same migration.",
        "xfunc-sql",
    ),
    Reason(
        "stops_subscribers",
        Level.HIGH,
        "Stops logical replication",
        "Subscribers find tables and columns by name. A subscriber stops at a name that it does "
        "not have, and gets no changes that a publication no longer sends.",
        "Change the tables of the subscribers first.",
        "logical-replication-restrictions",
    ),
    Reason(
        "replicated_table",
        Level.LOW,
        "Changes a replicated table",
        "Subscribers know the columns by name. Values are therefore archived instead of hidden, "
        "and a type is changed in place.",
        "Change the tables of the subscribers first if they need the new columns.",
        "logical-replication-restrictions",
    ),
)
