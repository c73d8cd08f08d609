"""Reasons of changes to indexes."""

from __future__ import annotations

from zanith_django.plan.levels import Level
from zanith_django.plan.reasons.reason import Reason

REASONS = (
    Reason(
        "adds_index",
        Level.LOW,
        "Builds an index",
        "The build reads the whole table. Built concurrently it blocks neither readers nor "
        "writers, but waits for transactions that are older than itself.",
        "Build it concurrently, and at a quiet hour if the table is large.",
        "sql-createindex#SQL-CREATEINDEX-CONCURRENTLY",
    ),
    Reason(
        "drops_index",
        Level.LOW,
        "Drops an index",
        "Queries that used the index read the whole table from then on.",
        "Make sure that it is unused first: idx_scan in pg_stat_user_indexes.",
        "monitoring-stats#MONITORING-PG-STAT-ALL-INDEXES-VIEW",
    ),
    Reason(
        "drops_index_blocking",
        Level.MEDIUM,
        "Drops an index under ACCESS EXCLUSIVE",
        "The lock on the table is held until the transaction ends. While it waits for a long "
        "query, all later readers and writers wait too.",
        "Use DROP INDEX CONCURRENTLY outside a transaction: RemoveIndexConcurrently, dropIndex.",
        "sql-dropindex",
    ),
    Reason(
        "rebuilds_indexes",
        Level.HIGH,
        "Rebuilds indexes while the table is locked",
        "Readers and writers of the table wait until all indexes of the column are built.",
        "Add a column of the new type, fill it, build its indexes concurrently, and swap. The "
        "operation alterColumnType does so.",
        "sql-altertable#SQL-ALTERTABLE-NOTES",
    ),
    Reason(
        "reindexes",
        Level.HIGH,
        "Rebuilds an index with REINDEX",
        "Writers of the table wait, and so do readers whose queries could use the index.",
        "Use REINDEX CONCURRENTLY outside a transaction.",
        "sql-reindex#SQL-REINDEX-CONCURRENTLY",
    ),
    Reason(
        "accepts_existing",
        Level.MEDIUM,
        "Accepts an existing object",
        "IF NOT EXISTS skips the statement if the name exists, even if the definition differs or "
        "the index is invalid because its build failed.",
        "Leave IF NOT EXISTS out. The operations addIndex and createTable compare the definition.",
        "sql-createindex#SQL-CREATEINDEX-CONCURRENTLY",
    ),
    Reason(
        "invalid_leftover",
        Level.LOW,
        "Replaces an invalid index",
        "An earlier build failed and left an invalid index of that name, which still costs writes "
        "time. The step drops it and builds it again.",
        "None is needed: the step replaces it.",
        "sql-createindex#SQL-CREATEINDEX-CONCURRENTLY",
    ),
)
