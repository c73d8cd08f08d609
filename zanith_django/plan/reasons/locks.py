"""Reasons of locks that are held, and of the work under them."""

from __future__ import annotations

from zanith_django.plan.levels import Level
from zanith_django.plan.reasons.reason import Reason

REASONS = (
    Reason(
        "locks_writes",
        Level.MEDIUM,
        "Blocks writers",
        "Inserts, updates and deletes wait while the statement reads the table.",
        "Use the concurrent form, or separate the scan from the statement that takes the lock.",
        "explicit-locking#LOCKING-TABLES",
    ),
    Reason(
        "locks_reads",
        Level.HIGH,
        "Blocks readers and writers",
        "All queries of the table wait while the transaction reads or writes its rows.",
        "Use two transactions: add the constraint NOT VALID, then validate it. Zanith's operations "
        "do so.",
        "explicit-locking#LOCKING-TABLES",
    ),
    Reason(
        "rewrites_table",
        Level.HIGH,
        "Rewrites the table",
        "PostgreSQL writes the whole table and its indexes again while no session can read it, "
        "and needs their size on disk.",
        "Add a new column, fill it in batches, and swap. The operations of zanith do so.",
        "sql-altertable#SQL-ALTERTABLE-NOTES",
    ),
    Reason(
        "scans_table",
        Level.LOW,
        "Reads every row",
        "The statement reads the whole table. Readers and writers continue.",
        "Run it at a quiet hour if the table is large.",
        "sql-altertable#SQL-ALTERTABLE-NOTES",
        unless=frozenset(("locks_reads", "locks_writes", "rewrites_table")),
    ),
    Reason(
        "large_table",
        Level.MEDIUM,
        "Blocks sessions on a large table",
        "The table has a million rows or a gigabyte, and other sessions wait while the statement "
        "works through it.",
        "Use the online form, or run it at a quiet hour and watch zanith_status.",
        "monitoring-stats#MONITORING-PG-STAT-ALL-TABLES-VIEW",
    ),
)
