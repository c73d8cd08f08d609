"""The five tables of the ledger: their definitions, and how tables that differ are repaired.

They differ if an older version of zanith created them, or if they were changed by hand. No row and
no column is ever removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from zanith_django.ledger.marks import UNDONE_BY
from zanith_django.postgres import sql

TEXT, ID, TIME, JSON = "text", 'text COLLATE "C"', "timestamp with time zone", "jsonb"
NOW, CLOCK = "now()", "clock_timestamp()"


@dataclass(frozen=True, slots=True)
class LedgerColumn:
    """A column; `fill` is the value of a required column in rows that existed before it."""

    name: str
    type: str
    required: bool = True
    default: str = ""
    fill: str = "''"

    @property
    def ddl(self) -> str:
        default = f" DEFAULT {self.default}" if self.default else ""
        return f"{self.name} {self.type}{' NOT NULL' if self.required else ''}{default}"


@dataclass(frozen=True, slots=True)
class LedgerTable:
    """A table with its primary key. `options` are storage parameters of a new table; an existing
    table keeps its own."""

    name: str
    key: tuple[str, ...]
    columns: tuple[LedgerColumn, ...]
    options: str = ""

    @property
    def names(self) -> set[str]:
        return {column.name for column in self.columns}

    @property
    def ddl(self) -> str:
        lines = [column.ddl for column in self.columns]
        lines.append(f"PRIMARY KEY ({', '.join(self.key)})")
        options = f" WITH ({self.options})" if self.options else ""
        body = ",\n    ".join(lines)
        return f"CREATE TABLE IF NOT EXISTS {self.name} (\n    {body}\n){options}"


_C = LedgerColumn


# A step with an unknown status never counts as done; `sql` shows whether it was undone.
_STATUS: Final = f"""\
CASE WHEN position({sql.literal(UNDONE_BY)} IN sql) > 0 THEN 'rolled_back'
     WHEN error IS NOT NULL THEN 'failed'
     WHEN finished_at IS NOT NULL OR EXISTS (
         SELECT FROM _zanith_migrations AS m WHERE m.id = migration_id) THEN 'done'
     WHEN started_at IS NOT NULL THEN 'running'
     ELSE 'pending' END"""

TABLES: Final = (
    LedgerTable(
        "_zanith_migrations", ("id",), (_C("id", TEXT), _C("applied_at", TIME, default=NOW))
    ),
    LedgerTable(
        "_zanith_migration_steps",
        ("id",),
        (
            _C("id", ID),
            _C("migration_id", ID, fill="split_part(id, '::', 1)"),
            _C("operation_kind", TEXT),
            _C("status", TEXT, fill=_STATUS),
            _C("sql", TEXT, default="''"),
            _C("risk_level", TEXT, fill="'safe'"),
            _C("risk_score", "integer", fill="0"),
            _C("error", TEXT, required=False),
            _C("started_at", TIME, required=False),
            _C("finished_at", TIME, required=False),
        ),
        # Each row is updated when its step begins and when it ends. With room in its page and no
        # index on the changed columns, the update touches no index
        # (https://www.postgresql.org/docs/current/storage-hot.html).
        options="fillfactor = 50",
    ),
    LedgerTable(
        "_zanith_schema_snapshots",
        ("migration_id", "phase"),
        (
            _C("migration_id", ID),
            _C("phase", TEXT, fill="'after'"),
            _C("graph", JSON, fill="'{}'"),
            _C("captured_at", TIME, default=CLOCK),
        ),
    ),
    LedgerTable(
        "_zanith_migration_artifacts",
        ("id",),
        (
            _C("id", ID),
            _C("migration_id", ID, fill="split_part(id, '::', 1)"),
            _C("artifact_type", TEXT, fill="split_part(id, '::', 2)"),
            _C("source_schema", TEXT, fill="current_schema()"),
            _C("source_table", TEXT, fill="split_part(split_part(id, '::', 3), '.', 1)"),
            _C("source_column", TEXT, required=False),
            _C("physical_name", TEXT),
            _C("row_count", "bigint", required=False),
            _C("checksum", TEXT, required=False),
            _C("recovery_sql", TEXT),
            _C("metadata", JSON, default="'{}'"),
            _C("created_at", TIME, default=CLOCK),
            _C("expires_at", TIME, required=False),
        ),
    ),
    LedgerTable(
        "_zanith_migration_checkpoints",
        ("id",),
        (
            _C("id", ID),
            _C("migration_id", ID, fill="split_part(id, '::', 1)"),
            _C("cursor", JSON, required=False),
            _C("processed_rows", "bigint", default="0"),
            _C("total_rows", "bigint", required=False),
            _C("status", TEXT, fill="'running'"),  # a finished backfill is never written again
            _C("updated_at", TIME, default=CLOCK),
        ),
    ),
)

# Indexes by migration, by time (for lists and questions about the last days), and of unfinished
# steps.
INDEXES: Final[Mapping[str, str]] = {
    "_zanith_migration_steps_migration_id": "_zanith_migration_steps (migration_id)",
    "_zanith_migration_steps_finished_at": "_zanith_migration_steps (finished_at)",
    "_zanith_migration_steps_unfinished": "_zanith_migration_steps (status) "
    "WHERE status IN ('pending', 'running', 'failed')",
}

# The existing columns and indexes, in one query: a row for each column, and one for each index,
# whose type is "".
THERE: Final = """\
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
         || CASE WHEN k.collname = 'C' THEN ' COLLATE "C"' ELSE '' END,
       a.attnotnull, a.atthasdef OR a.attidentity <> '',
       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_collation k ON k.oid = a.attcollation
WHERE c.oid = ANY (SELECT to_regclass(name) FROM unnest(%s::text[]) AS name)
UNION ALL
SELECT name, '', '', false, false, false FROM unnest(%s::text[]) AS name
WHERE to_regclass(name) IS NOT NULL"""


class There(NamedTuple):
    """A row of `THERE`."""

    table: str
    column: str
    type: str
    required: bool
    default: bool
    keyed: bool


def lost_keys(there: Iterable[There]) -> Iterator[tuple[str, str, list[str]]]:
    """(table, column, its other columns) of each missing key column: the ids of the rows are
    lost."""
    rows = list(there)
    for table in TABLES:
        mine = [row.column for row in rows if row.table == table.name and row.column]
        for column in table.key if mine else ():
            if column not in mine:
                yield table.name, column, [name for name in mine if name not in table.names]


def repairs(there: Iterable[There]) -> Iterator[str]:
    """The statements that repair the tables; none if the tables are right."""
    rows = list(there)
    known = {(row.table, row.column): row for row in rows}
    for table in TABLES:
        mine = [row for row in rows if row.table == table.name]
        if not mine:
            yield table.ddl
            yield _only_read(table.name)
            continue
        for column in table.columns:  # all of them first: values are computed from other columns
            if (table.name, column.name) not in known:
                yield f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.type}"
        for column in table.columns:
            yield from _repaired(table.name, column, known.get((table.name, column.name)))
        for row in mine:
            if row.column not in table.names and row.required and not row.default:
                # Drops the NOT NULL of a column of another version: it would refuse every new row.
                other = sql.ident(row.column)
                yield f"ALTER TABLE {table.name} ALTER COLUMN {other} DROP NOT NULL"
        if not mine[0].keyed:
            yield f"ALTER TABLE {table.name} ADD PRIMARY KEY ({', '.join(table.key)})"
    for name, place in INDEXES.items():
        if (name, "") not in known:
            yield f"CREATE INDEX IF NOT EXISTS {name} ON {place}"


# Revokes default privileges, which are meant for the tables of the project: a role that may write
# the ledger could deceive zanith.
_ONLY_READ: Final = """\
DO $zanith$ DECLARE it text; BEGIN
  FOR it IN
    SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
    FROM pg_catalog.pg_class, aclexplode(relacl)
    WHERE oid = {table}::regclass AND grantee <> relowner
  LOOP
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %s FROM %s',
                   {table}::regclass, it);
  END LOOP;
END $zanith$"""


def _only_read(table: str) -> str:
    return sql.compose(_ONLY_READ, table=sql.literal(table))


def _repaired(table: str, column: LedgerColumn, there: There | None) -> Iterator[str]:
    alter = f"ALTER TABLE {table} ALTER COLUMN {column.name}"
    fits = there is not None and _fits(there.type, column.type)
    if there and not fits:
        plain = column.type.partition(" COLLATE")[0]
        if there.default:
            yield f"{alter} DROP DEFAULT"
        yield f"{alter} TYPE {column.type} USING {column.name}::{plain}"
    if column.default and not (there and there.default and fits):
        yield f"{alter} SET DEFAULT {column.default}"
    if column.required and not (there and there.required):
        value = column.default or column.fill
        yield f"UPDATE {table} SET {column.name} = {value} WHERE {column.name} IS NULL"
        yield f"{alter} SET NOT NULL"


def _fits(there: str, wanted: str) -> bool:
    """Has the column a type that holds these values? A varchar without a length holds any text."""
    return there.replace("character varying", "text", 1) == wanted
