"""Reasons of statements that write rows."""

from __future__ import annotations

from zanith_django.plan.levels import Level
from zanith_django.plan.reasons.reason import Reason

REASONS = (
    Reason(
        "requires_backfill",
        Level.MEDIUM,
        "Writes rows",
        "The operation backfill writes them in short batches that can be resumed; code of an "
        "author writes them as it is written, in one transaction. Other writers of the same rows "
        "wait.",
        "Run it at a quiet hour; BACKFILL PAUSE spares replicas.",
        "explicit-locking#LOCKING-ROWS",
    ),
    Reason(
        "updates_all_rows",
        Level.HIGH,
        "Updates all rows in one statement",
        "Other writers wait for the rows until the transaction ends. The table grows by its size, "
        "and replicas fall behind.",
        "Use the operation backfill, which writes short batches that can be resumed.",
        "routine-vacuuming#VACUUM-FOR-SPACE-RECOVERY",
    ),
    Reason(
        "loops_over_rows",
        Level.MEDIUM,
        "Loops over all rows in Python",
        "Every row is loaded into memory and saved on its own, in one long transaction. Other "
        "writers of the rows wait.",
        "Use the operation backfill, or one query for a short range of keys at a time.",
        "routine-vacuuming#VACUUM-FOR-SPACE-RECOVERY",
    ),
    Reason(
        "inserts_rows",
        Level.LOW,
        "Inserts rows",
        "The step adds rows to a table. Readers and writers continue.",
        "None is needed: this is the usual form.",
        "sql-insert",
    ),
    Reason(
        "locks_rows",
        Level.LOW,
        "Locks rows that it reads",
        "Other writers of these rows wait until the transaction ends.",
        "Read without FOR UPDATE.",
        "explicit-locking#LOCKING-ROWS",
    ),
    Reason(
        "deletes_rows",
        Level.HIGH,
        "Deletes rows",
        "The rows are gone for good; nothing keeps a copy.",
        "Archive the rows first, and delete them in short batches.",
        "sql-delete",
    ),
    Reason(
        "deletes_all_rows",
        Level.DESTRUCTIVE,
        "Deletes all rows of a table",
        "All rows are gone for good; nothing keeps a copy. TRUNCATE also blocks readers.",
        "Keep the rows: archiveTable writes them to an archive that zanith_recover restores.",
        "sql-truncate",
    ),
)
