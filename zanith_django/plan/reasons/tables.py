"""Reasons of changes to whole tables."""

from __future__ import annotations

from zanith_django.plan.levels import Level
from zanith_django.plan.reasons.reason import Reason

REASONS = (
    Reason(
        "drops_table_with_data",
        Level.DESTRUCTIVE,
        "Drops or hides a table",
        "The table and its rows are no longer there for any query. The running release fails as "
        "soon as it uses the table. DROP TABLE locks the tables that it references too.",
        "Remove the model one release earlier, and keep the soft drop, which zanith_recover "
        "restore-table reverses.",
        "sql-droptable",
    ),
    Reason(
        "rename_table",
        Level.HIGH,
        "Renames a table",
        "Queries of the running release use the old name and fail until the new release runs.",
        "Keep the name in the database: Meta.db_table.",
        "ddl-alter#DDL-ALTER-RENAMING-TABLE",
    ),
    Reason(
        "sets_aside",
        Level.HIGH,
        "Hides a column or table in a rollback",
        "The rollback keeps the values, but queries that use the column or table fail.",
        "Deploy the older code before the rollback. zanith_recover brings the values back.",
        "ddl-alter",
    ),
    Reason(
        "rebuilds_table",
        Level.HIGH,
        "Copies a table and swaps the copy in",
        "Readers and writers continue during the copy. A trigger copies their writes, and the copy "
        "needs the size of the table and its indexes on disk again.",
        "Run it at a quiet hour, with room on the disk.",
        "sql-altertable#SQL-ALTERTABLE-NOTES",
    ),
    Reason(
        "unlogged_table",
        Level.HIGH,
        "Makes a table unlogged",
        "PostgreSQL empties an unlogged table after a crash. Replicas have no rows of it, and "
        "queries of the table fail there.",
        "Keep the table logged.",
        "sql-createtable#SQL-CREATETABLE-UNLOGGED",
    ),
    Reason(
        "detaches_partition",
        Level.HIGH,
        "Detaches a partition",
        "Queries of the partitioned table no longer find the rows of the partition. Without "
        "CONCURRENTLY, readers and writers of all partitions wait for the lock.",
        "Stop the code from reading those rows one release earlier, and use DETACH PARTITION "
        "CONCURRENTLY.",
        "sql-altertable#SQL-ALTERTABLE-DETACH-PARTITION",
    ),
    Reason(
        "rls_change",
        Level.HIGH,
        "Changes row security",
        "Roles see or write other rows than before, from the moment of the commit. A role that no "
        "policy allows sees no rows.",
        "Run zanith_verify, and test the policies with the roles that the application uses.",
        "ddl-rowsecurity",
    ),
)
