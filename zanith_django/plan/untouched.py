"""Tables that an interrupted run created and that never had a row: they count as fresh when it
resumes.

A first installation that was killed resumes in a database with tables. Changes and drops of these
tables have the same risk as in the plan that created them, as long as they never had a row.
"""

from __future__ import annotations

from collections.abc import Collection

from zanith_django.ledger.ledger import Ledger
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph
from zanith_django.timeline.timeline import PENDING, Timeline

# A table that never had a row has no page: PostgreSQL adds the first page for the first row.
_WITHOUT_PAGES = """\
SELECT name FROM unnest(%s::text[]) AS name
WHERE pg_relation_size(to_regclass(name)) = 0 AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_partition_tree(to_regclass(name)) AS part
    WHERE pg_relation_size(part.relid) > 0)"""


def untouched(
    ledger: Ledger, timeline: Timeline, graph: SchemaGraph, empty: Collection[TableName]
) -> frozenset[TableName]:
    """The tables among the `empty` ones of `graph` that the interrupted run created."""
    before = ledger.tables_before_run() if empty else None
    if before is None or _ran_elsewhere(ledger, timeline):
        return frozenset()
    adopted = _adopted(ledger, timeline)
    found = [
        name
        for name in graph.table_names
        if name in empty
        and name not in adopted
        and str(TableName(name.schema or graph.default_schema, name.name)) not in before
    ]
    return _without_pages(ledger, graph.default_schema, found)


def _ran_elsewhere(ledger: Ledger, timeline: Timeline) -> bool:
    """Django's migrate ran something too: the ledger does not say which tables that made."""
    known = ledger.applied()
    return any(entry.state != PENDING and entry.id not in known for entry in timeline.entries)


def _adopted(ledger: Ledger, timeline: Timeline) -> set[TableName]:
    """What steps of ours would have made, had it not been there."""
    files = {entry.id: entry.migration for entry in timeline.entries if entry.migration}
    made = set()
    for row in ledger.skipped():
        file = files.get(row.migration_id)
        operation = file.operations[row.step - 1 : row.step] if file else ()
        made |= {table.name for each in operation if (table := each.creates_table)}
    return made


def _without_pages(ledger: Ledger, schema: str, names: list[TableName]) -> frozenset[TableName]:
    spelled = {str(sql.table(name, schema)): name for name in names}
    if not spelled:
        return frozenset()
    with ledger.connection.cursor() as cursor:
        cursor.execute(_WITHOUT_PAGES, [list(spelled)])
        return frozenset(spelled[name] for (name,) in cursor.fetchall())
