"""The rows of an example, and what a database has before and after a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.verdict.example import EXTRAS, Example
from zanith_django.operations.base import KEPT_SCHEMA

CLEAN = """
INSERT INTO made_maker (id, word, code) SELECT n, 'maker ' || n, n FROM generate_series(1, 10) n;
INSERT INTO made_tag (id, word) SELECT n, 'tag ' || n FROM generate_series(1, 10) n;
INSERT INTO made_item
    (amount, name, rank, price, note, made, active, words, maker_id, indexed, code)
SELECT n, 'n' || n, n, n, n::text, timestamptz '2026-01-01' + n * interval '1 day', n % 2 = 0,
       ARRAY['w' || n], 1 + n % 10, 'i' || n, 'c' || n FROM generate_series(1, {rows}) n;
INSERT INTO made_item_tags (item_id, tag_id) SELECT id, 1 + id % 10 FROM made_item;
SELECT setval('made_maker_id_seq', 100), setval('made_tag_id_seq', 100);
"""

DIRTY = """
INSERT INTO made_maker (id, word, code) SELECT n, 'maker ' || n, nullif(n % 3, 0)
    FROM generate_series(1, 10) n;
INSERT INTO made_tag (id, word) SELECT n, 'tag ' || n % 4 FROM generate_series(1, 10) n;
INSERT INTO made_item
    (amount, name, rank, price, note, made, active, words, maker_id, indexed, code)
SELECT CASE WHEN n % 5 > 0 THEN (n % 7 - 3) * 20000 END,
       CASE WHEN n % 4 > 0 THEN 'name ' || n % 6 END,
       n, CASE WHEN n % 3 > 0 THEN 1.25 * n * 100 END,
       CASE WHEN n % 3 > 0 THEN repeat('x', n * 9) END,
       CASE WHEN n % 4 > 0 THEN timestamptz '2026-01-01 10:00' + n * interval '7 hours' END,
       n % 2 = 0, CASE WHEN n % 2 > 0 THEN ARRAY['w' || n, 'w'] END,
       CASE WHEN n % 3 > 0 THEN 1 + n % 10 END, 'i' || n % 8, 'c' || n % 9
FROM generate_series(1, {rows}) n;
INSERT INTO made_item_tags (item_id, tag_id) SELECT id, 1 + id % 10 FROM made_item;
SELECT setval('made_maker_id_seq', 100), setval('made_tag_id_seq', 100);
"""


def fill(url: str, example: Example) -> None:
    """In a session of its own: what a session wrote counts there for a while longer."""
    text = (DIRTY if example.dirty else CLEAN).format(rows=example.rows)
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(text.encode())
        for name in example.extras:
            session.execute(EXTRAS[name].encode())


TABLES = b"""
SELECT c.oid::bigint, n.nspname, c.relname, c.relrowsecurity
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND c.relname !~ '^(_zanith_migration|django_|auth_|_zanith_)'"""

COLUMNS = b"""
SELECT attrelid::bigint, attnum, attname, format_type(atttypid, atttypmod)
FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid = ANY (%s)"""


@dataclass
class Column:
    """A column and its values, as text, counted."""

    name: str
    type: str
    values: Counter[str]


@dataclass
class Contents:
    """A table with its rows."""

    oid: int
    schema: str
    name: str
    rows: int = 0
    columns: dict[int, Column] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Hidden from users, by zanith."""
        return self.schema == KEPT_SCHEMA

    def named(self, name: str) -> Column | None:
        return next((each for each in self.columns.values() if each.name == name), None)


def contents(session: Any) -> dict[int, Contents]:
    """{oid: the table with its rows} of all tables but the ledger's and Django's own."""
    found = {
        oid: Contents(oid, schema, name)
        for oid, schema, name, _ in session.execute(TABLES).fetchall()
    }
    for oid, number, name, kind in session.execute(COLUMNS, [list(found)]).fetchall():
        found[oid].columns[number] = Column(name, kind, Counter())
    for table in found.values():
        _read(session, table)
    return found


def _read(session: Any, table: Contents) -> None:
    columns = list(table.columns.values())
    names = ", ".join(f'"{column.name}"::text' for column in columns) or "1"
    rows = session.execute(f'SELECT {names} FROM "{table.schema}"."{table.name}"'.encode())
    listed = rows.fetchall()
    table.rows = len(listed)
    for place, column in enumerate(columns):
        column.values = Counter(str(row[place]) for row in listed)
