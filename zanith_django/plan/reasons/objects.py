"""Reasons of changes to views, functions, triggers, extensions and rights."""

from __future__ import annotations

from zanith_django.plan.levels import Level
from zanith_django.plan.reasons.reason import Reason

REASONS = (
    Reason(
        "adds_extension",
        Level.LOW,
        "Installs an extension",
        "The step fails if the server lacks the files of the extension, or if the role may not "
        "create it.",
        "Let an administrator install it before the deploy.",
        "sql-createextension",
    ),
    Reason(
        "drops_extension",
        Level.DESTRUCTIVE,
        "Drops an extension",
        "Functions, types and operators of the extension are gone, and queries that use them fail.",
        "Make sure that no column, index or query uses them.",
        "sql-dropextension",
    ),
    Reason(
        "adds_view",
        Level.SAFE,
        "Adds a view",
        "The step locks no table against readers or writers.",
        "None is needed.",
        "sql-createview",
    ),
    Reason(
        "drops_view",
        Level.HIGH,
        "Drops or renames a view",
        "Queries that use the view fail.",
        "Stop the code from reading it one release earlier.",
        "sql-dropview",
    ),
    Reason(
        "changes_object",
        Level.LOW,
        "Changes an object other than a table",
        "A view, function, sequence or type behaves differently from the commit on.",
        "Run zanith_verify, and test the queries of the application on the shadow.",
        "sql-commands",
    ),
    Reason(
        "changes_used_function",
        Level.HIGH,
        "Changes a function that an index or constraint calls",
        "Entries of indexes and generated values keep the results of the old body, and rows that a "
        "check accepted stay. Queries that use the index miss rows.",
        "Create a new function, and build a new index or constraint with it.",
        "sql-createindex",
    ),
    Reason(
        "resets_sequence",
        Level.HIGH,
        "Restarts or limits a sequence",
        "The sequence may give keys that rows have already, or soon none: inserts fail, or two "
        "rows have the same key.",
        "Set it to the largest key: setval(sequence, (SELECT max(id) FROM table)).",
        "sql-altersequence",
    ),
    Reason(
        "renames_object",
        Level.HIGH,
        "Renames an object other than a table",
        "Queries that use the old name fail.",
        "Add a new object, deploy code that uses it, and drop the old one in a later release.",
        "sql-commands",
    ),
    Reason(
        "drops_object",
        Level.HIGH,
        "Drops an object other than a table",
        "Queries that use the type, function, sequence or schema fail.",
        "Make sure that no column, default, view or query uses it.",
        "ddl-depend",
    ),
    Reason(
        "drops_with_cascade",
        Level.DESTRUCTIVE,
        "Drops with CASCADE",
        "PostgreSQL also drops everything that depends on the object, without naming it.",
        "Drop each dependent object by its name first.",
        "ddl-depend",
    ),
    Reason(
        "changes_trigger",
        Level.MEDIUM,
        "Changes a trigger or rule",
        "Writes of the table do more, less or something else from the commit on. Writers wait for "
        "a brief lock.",
        "Run zanith_verify, and test the queries of the application on the shadow.",
        "sql-createtrigger",
    ),
    Reason(
        "changes_rights",
        Level.MEDIUM,
        "Changes owners or privileges",
        "Another set of roles may read or write the object from the commit on.",
        "Test it with the role that the application uses.",
        "ddl-priv",
    ),
)
