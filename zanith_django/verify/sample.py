"""Copies some rows of each live table to a shadow, with the rows that they point at."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.conf import conf
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.verify.masks import Masks, SampledColumn
from zanith_django.verify.shadow import Shadow
from zanith_django.verify.shadow_names import Session
from zanith_django.verify.shadow_rows import PRIVILEGES, advance_sequences, copying, reading_rows

BATCH = 1_000
"""The number of keys in one query."""

_TABLES = """\
SELECT n.nspname, c.relname, pg_table_is_visible(c.oid), current_schema() FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema$|_zanith_(kept_)?shadow_)'
  AND c.relname !~ '^_zanith_' AND c.relname <> 'django_migrations'
  AND has_table_privilege(c.oid, 'SELECT')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2"""

_COLUMNS = """\
SELECT a.attname, CASE WHEN t.typname = 'citext' THEN 'citext' ELSE format_type(t.oid, NULL) END,
       CASE WHEN a.atttypmod > 4 AND t.typname IN ('varchar', 'bpchar') THEN a.atttypmod - 4 END,
       NOT a.attnotnull
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attgenerated = ''
ORDER BY a.attnum"""

_KEYS = """\
SELECT cn.nspname, r.relname, array_agg(a.attname ORDER BY k.place),
       pn.nspname, p.relname, array_agg(b.attname ORDER BY k.place)
FROM pg_constraint c
CROSS JOIN unnest(c.conkey, c.confkey) WITH ORDINALITY AS k(own, other, place)
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own
JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.other
JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace cn ON cn.oid = r.relnamespace
JOIN pg_class p ON p.oid = c.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE c.contype = 'f' AND c.conparentid = 0
GROUP BY c.oid, cn.nspname, r.relname, pn.nspname, p.relname ORDER BY c.oid"""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns of one table that name rows of another."""

    table: TableName
    columns: tuple[str, ...]
    parent: TableName
    keys: tuple[str, ...]

    @property
    def named(self) -> Iterator[str]:
        """Its columns and those that they point at, with their tables."""
        yield from (f"{self.table}.{column}" for column in self.columns)
        yield from (f"{self.parent}.{column}" for column in self.keys)


def copy_sample(
    connection: BaseDatabaseWrapper, shadow: Shadow, rows: int, whole: Collection[str]
) -> None:
    """Copy up to `rows` rows of each table, and the rows that they point at, to a shadow that has
    the tables and no key on them yet. Tables in `whole` have all their rows already.

    One snapshot of the live database is read, and never more than a batch of rows is in memory.
    """
    with (
        shadow.connect() as session,
        reading_rows(connection),
        transaction.atomic(using=connection.alias),
        connection.cursor() as cursor,
    ):
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _Sampler(connection, session, shadow).copy(rows, whole)


class _Sampler:
    """Copies rows; `copied` counts them. `visible` has the tables that a name without a schema
    means, as in settings."""

    def __init__(self, connection: BaseDatabaseWrapper, session: Session, shadow: Shadow) -> None:
        self.connection, self.session, self.shadow = connection, session, shadow
        self.copied: dict[TableName, int] = {}
        self.default = "public"
        self.masks = Masks({})
        self.visible: dict[str, str] = {}

    def copy(self, rows: int, whole: Collection[str]) -> None:
        """Up to `rows` rows of each table, then the rows that they point at, in any order."""
        tables, keys = list(self._tables()), list(self._foreign_keys())
        linked = frozenset(name for key in keys for name in key.named)
        self.masks = Masks(dict(self._masks()), linked)
        limit = sql.clause(" LIMIT {rows}", rows=sql.literal(rows))
        copied = {self.visible.get(name, name) for name in whole}
        for table in tables:
            if str(table) not in copied:
                self._copy(table, limit)
        inside = [key for key in keys if key.parent in self.copied]
        while sum(self._close(key) for key in inside):
            pass
        for table in self.copied:
            advance_sequences(self.session, sql.table(table, self.default))

    def _tables(self) -> Iterator[TableName]:
        with self.connection.cursor() as cursor:
            cursor.execute(_TABLES)
            for schema, name, visible, self.default in cursor.fetchall():
                table = self._name(schema, name)
                if visible:
                    self.visible[name] = str(table)
                yield table

    def _masks(self) -> Iterator[tuple[str, str]]:
        for name, method in conf.mask.items():
            table, _, column = name.rpartition(".")
            yield f"{self.visible.get(table, table)}.{column}", method

    def _name(self, schema: str, name: str) -> TableName:
        return TableName("" if schema == self.default else schema, name)

    def _foreign_keys(self) -> Iterator[ForeignKey]:
        with self.connection.cursor() as cursor:
            cursor.execute(_KEYS)
            for schema, name, columns, other, parent, keys in cursor.fetchall():
                table, target = self._name(schema, name), self._name(other, parent)
                yield ForeignKey(table, tuple(columns), target, tuple(keys))

    def _close(self, key: ForeignKey) -> bool:
        """Copies the rows that the foreign key references and the shadow lacks. Returns whether
        there were any."""
        own = sql.join([sql.clause("c.{it}", it=sql.ident(name)) for name in key.columns])
        equal = [
            sql.clause("p.{key} = c.{own}", key=sql.ident(other), own=sql.ident(name))
            for name, other in zip(key.columns, key.keys, strict=True)
        ]
        filled = [sql.clause("c.{it} IS NOT NULL", it=sql.ident(name)) for name in key.columns]
        text = sql.compose(
            "SELECT DISTINCT {own} FROM {table} c WHERE {filled} "
            "AND NOT EXISTS (SELECT FROM {parent} p WHERE {equal}) LIMIT {batch}",
            own=own,
            table=sql.table(key.table, self.default),
            filled=sql.join(filled, " AND "),
            parent=sql.table(key.parent, self.default),
            equal=sql.join(equal, " AND "),
            batch=sql.literal(BATCH),
        )
        progress = False
        while missing := self.session.execute(text.encode()).fetchall():
            before = self.copied[key.parent]
            self._copy(key.parent, _among(key.keys, missing))
            if self.copied[key.parent] == before:
                break  # orphans in the live database: the foreign key will show them
            progress = True
        return progress

    def _copy(self, table: TableName, which: sql.Fragment) -> None:
        name = sql.table(table, self.default)
        with self.connection.cursor() as cursor, self.session.cursor() as target:
            cursor.execute(_COLUMNS, [str(name)])
            columns = [SampledColumn(*row) for row in cursor.fetchall()]
            if not columns:
                return
            out_text = sql.compose(
                "COPY (SELECT {columns} FROM {table}{which}) TO STDOUT",
                columns=self.masks.selected(str(table), columns),
                table=name,
                which=which,
            )
            in_text = sql.compose(
                "COPY {table} ({columns}) FROM STDIN",
                table=name,
                columns=sql.idents(column.name for column in columns),
            )
            hint = (
                f"{PRIVILEGES} If a mask is the reason: "
                f"ZANITH['MASK'] = {{'{table}.<column>': 'keep'}}."
            )
            with (
                copying(self.shadow, table, hint),
                cursor.copy(out_text) as out,
                target.copy(in_text.encode()) as into,
            ):
                for chunk in out:
                    into.write(chunk)
            self.copied[table] = self.copied.get(table, 0) + target.rowcount


def _among(keys: Sequence[str], values: Sequence[Sequence[Any]]) -> sql.Fragment:
    """` WHERE (keys) IN (values)`."""
    rows = [
        sql.clause("({row})", row=sql.join([sql.literal(value) for value in row])) for row in values
    ]
    return sql.clause(" WHERE ({keys}) IN ({rows})", keys=sql.idents(keys), rows=sql.join(rows))
