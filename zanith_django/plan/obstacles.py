"""Rows that stand in the way of a constraint: counted, with a few of them as examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import IntegrityError

from zanith_django.plan.present_names import AS_NOW, PresentNames
from zanith_django.postgres import sql
from zanith_django.postgres.rows import one_value
from zanith_django.schema.graph import (
    Check,
    Column,
    Exclusion,
    ForeignKey,
    Index,
    IndexKey,
    Table,
    Unique,
)
from zanith_django.schema.parts import (
    CHECKS,
    COLUMNS,
    EXCLUSIONS,
    FOREIGN_KEYS,
    INDEXES,
    UNIQUES,
    Part,
)

SAMPLES = 5
_SHOWN_LETTERS = 40


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What would fail on the rows that are there. `rows` is 0 where nobody counted them.

    `part` and `name` say what it hinders: ("columns", "email") is a NOT NULL, ("checks", "age")
    a constraint; `missing` tells that the table which a foreign key points at is gone.
    """

    what: str
    rows: int = 0
    samples: tuple[str, ...] = ()
    missing: bool = False
    part: str = ""
    name: str = ""

    def __str__(self) -> str:
        if not self.rows:
            return "; ".join((self.what, *self.samples))
        noun = "row" if self.rows == 1 else "rows"
        return f"{self.what}: {self.rows:,} {noun}, such as {'; '.join(self.samples)}"


@dataclass(frozen=True, slots=True)
class Rows:
    """Where to look. `source` is a table or a query in parentheses that has the columns under the
    names that the constraints use; `key` names the columns by which a row is told to people;
    `names` are those that tables which foreign keys reference have in the database."""

    connection: BaseDatabaseWrapper
    source: sql.Fragment
    schema: str
    key: tuple[str, ...] = ()
    names: PresentNames = AS_NOW

    def against(self, wanted: Table) -> list[Obstacle]:
        """What hinders the constraints of `wanted` and the NOT NULL of its columns. Constraints
        that PostgreSQL would not check at once (NOT VALID, NOT ENFORCED) hinder nothing."""
        return [
            dataclasses.replace(obstacle, part=part.field, name=item.name)
            for part, question in _QUESTIONS.items()
            for item in part.of(wanted)
            if (obstacle := question(self, wanted, item))
        ]

    # --- one kind each -------------------------------------------------------------------------

    def _nulls(self, table: Table, column: Column) -> Obstacle | None:
        if column.nullable:
            return None
        missing = sql.clause("{column} IS NULL", column=sql.ident(column.name))
        return self._where(f"{table.name}.{column.name} must have a value", missing, ())

    def _violations(self, table: Table, check: Check) -> Obstacle | None:
        if not check.valid:
            return None
        broken = sql.clause("NOT ({it})", it=sql.catalog_text(check.expression))
        return self._where(f"check {check.name}", broken, check.columns)

    def _orphans(self, table: Table, key: ForeignKey) -> Obstacle | None:
        """Rows that point at nothing; a row with a NULL in the key points nowhere."""
        if not (key.valid and key.enforced):
            return None
        present = self.names.table(key.references)
        target = sql.table(present, self.schema)
        found = sql.compose(
            "SELECT to_regclass({name}) IS NOT NULL", name=sql.regclass(present, self.schema)
        )
        if not one_value(self.connection, found):
            what = f"foreign key {key.name}: table {key.references} is gone"
            return Obstacle(what, missing=True)
        there = [self.names.column(key.references, name) for name in key.referenced_columns]
        pairs = zip(there, key.columns, strict=True)
        same = sql.join(
            (
                sql.clause("parent.{there} = child.{here}", there=sql.ident(t), here=sql.ident(h))
                for t, h in pairs
            ),
            " AND ",
        )
        whole = sql.join(
            (sql.clause("{c} IS NOT NULL", c=sql.ident(column)) for column in key.columns), " AND "
        )
        orphan = sql.clause(
            "{whole} AND NOT EXISTS (SELECT FROM {target} AS parent WHERE {same})",
            whole=whole,
            target=target,
            same=same,
        )
        return self._where(f"foreign key {key.name} to {key.references}", orphan, key.columns)

    def _duplicates(self, table: Table, unique: Unique | Index) -> Obstacle | None:
        if isinstance(unique, Index) and not unique.unique:
            return None
        keys = [
            _key(key)
            for key in (
                unique.keys
                if isinstance(unique, Index)
                else [IndexKey(column=name) for name in unique.columns]
            )
        ]
        conditions = []
        if isinstance(unique, Index) and unique.predicate:
            conditions.append(sql.clause("({it})", it=sql.catalog_text(unique.predicate)))
        if not unique.nulls_not_distinct:
            conditions += [sql.clause("({key}) IS NOT NULL", key=key) for _, key in keys]
        twice = sql.clause(
            "SELECT {label} AS label, count(*) AS times FROM {source} AS child "
            "WHERE {conditions} "
            "GROUP BY {keys} HAVING count(*) > 1",
            label=_label(keys),
            source=self.source,
            conditions=sql.join(conditions, " AND ") if conditions else sql.keyword("true"),
            keys=sql.join(key for _, key in keys),
        )
        return self._counted(f"unique {unique.name}", twice, sql.clause("sum(times)"))

    def _conflicts(self, table: Table, exclusion: Exclusion) -> Obstacle | None:
        """Only PostgreSQL itself can tell: it tries the constraint on a copy of the columns."""
        copy = sql.compose(
            "CREATE TEMPORARY TABLE _zanith_copy ON COMMIT DROP "
            "AS SELECT {columns} FROM {source} AS child",
            columns=sql.idents(exclusion.columns),
            source=self.source,
        )
        tried = sql.compose(
            "ALTER TABLE _zanith_copy ADD {it}", it=sql.catalog_text(exclusion.definition)
        )
        try:
            with transaction.atomic(using=self.connection.alias):
                self._run(copy)
                self._run(tried)
                transaction.set_rollback(True, using=self.connection.alias)
        except IntegrityError as error:
            return Obstacle(f"exclusion {exclusion.name}", samples=(_detail(error),))
        return None

    # --- asking --------------------------------------------------------------------------------

    def _where(self, what: str, condition: sql.Fragment, columns: Sequence[str]) -> Obstacle | None:
        shown = [(name, sql.ident(name)) for name in dict.fromkeys((*self.key, *columns))]
        bad = sql.clause(
            "SELECT {label} AS label FROM {source} AS child WHERE {condition}",
            label=_label(shown) if shown else sql.literal("a row"),
            source=self.source,
            condition=condition,
        )
        return self._counted(what, bad, sql.clause("count(*)"))

    def _counted(self, what: str, bad: sql.Fragment, count: sql.Fragment) -> Obstacle | None:
        rows = one_value(
            self.connection, sql.compose("SELECT {count} FROM ({bad}) AS bad", count=count, bad=bad)
        )
        if not rows:
            return None
        some = sql.compose(
            "SELECT ARRAY(SELECT label FROM ({bad}) AS bad LIMIT {most})",
            bad=bad,
            most=sql.literal(SAMPLES),
        )
        samples = one_value(self.connection, some)
        return Obstacle(what, int(str(rows)), tuple(samples if isinstance(samples, list) else ()))

    def _run(self, text: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(text)


# Of each part that demands something of rows, what finds those in its way.
_QUESTIONS: Mapping[Part, Callable[[Rows, Table, Any], Obstacle | None]] = {
    COLUMNS: Rows._nulls,
    CHECKS: Rows._violations,
    FOREIGN_KEYS: Rows._orphans,
    UNIQUES: Rows._duplicates,
    INDEXES: Rows._duplicates,
    EXCLUSIONS: Rows._conflicts,
}


def _key(key: IndexKey) -> tuple[str, sql.Fragment]:
    """How people call a key of an index, and its SQL."""
    text = sql.ident(key.column) if key.column else sql.catalog_text(f"({key.expression})")
    if key.collation:
        text = sql.clause("{key} COLLATE {name}", key=text, name=sql.catalog_text(key.collation))
    return key.column or key.expression, text


def _label(shown: Sequence[tuple[str, sql.Fragment]]) -> sql.Fragment:
    """`id=4, code=7` as an SQL text."""
    parts = (
        sql.clause(
            "{name} || coalesce(left(({value})::text, {most}), 'NULL')",
            name=sql.literal(f"{name}="),
            value=value,
            most=sql.literal(_SHOWN_LETTERS),
        )
        for name, value in shown
    )
    return sql.clause("concat_ws(', ', {parts})", parts=sql.join(parts))


def _detail(error: Exception) -> str:
    """PostgreSQL's own words about two rows that exclude each other."""
    cause = error.__cause__ or error
    found = cause.diag.message_detail if isinstance(cause, psycopg.Error) else None
    return found.rstrip(".") if found else str(error).splitlines()[0]
