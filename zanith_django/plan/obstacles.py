"""Rows that violate a constraint: their number, with a few as examples."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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
_MASK = "•••"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A demand that existing rows do not meet. `rows` is 0 if they were not counted.

    `part` and `name` are what it hinders: a NOT NULL if it is a column, else a constraint or an
    index. `missing` means that the table which a foreign key points at is gone.
    """

    what: str
    rows: int = 0
    samples: tuple[str, ...] = ()
    missing: bool = False
    part: Part | None = None
    name: str = ""
    more: bool = False

    def __str__(self) -> str:
        if not self.rows:
            return "; ".join((self.what, *self.samples))
        shown = f", such as {'; '.join(self.samples)}" if self.samples else ""
        return f"{self.counted}{shown}"

    @property
    def counted(self) -> str:
        """The obstacle with the number of its rows."""
        if not self.rows:
            return self.what
        noun = "row" if self.rows == 1 else "rows"
        more = " or more" if self.more else ""
        return f"{self.what}: {self.rows:,}{more} {noun}"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows to search. `source` is a table or a query in parentheses that has the columns under
    the names that the constraints use; `key` names the columns that identify a row for people;
    `names` are those that tables which foreign keys reference have in the database.

    At most `most` rows are counted, 0 for all. `masked` shows the key alone, no other value.
    """

    connection: BaseDatabaseWrapper
    source: sql.Fragment
    schema: str
    key: tuple[str, ...] = ()
    names: PresentNames = AS_NOW
    most: int = 0
    masked: bool = False

    def against(self, wanted: Table) -> list[Obstacle]:
        """What hinders the constraints of `wanted` and the NOT NULL of its columns. Constraints
        that PostgreSQL would not check at once (NOT VALID, NOT ENFORCED) hinder nothing."""
        return [
            dataclasses.replace(obstacle, part=part, name=item.name)
            for part, question in QUESTIONS.items()
            for item in part.of(wanted)
            if (obstacle := question.ask(self, wanted, item))
        ]

    def any(self) -> bool:
        """Is there a row?"""
        text = sql.compose("SELECT EXISTS (SELECT FROM {source} AS child)", source=self.source)
        return bool(one_value(self.connection, text))

    def convert(self, value: sql.Fragment) -> None:
        """Computes an expression for every row and keeps nothing of it. Raises what PostgreSQL
        raises at the first row that it cannot be computed for."""
        made = sql.compose(
            "SELECT count({value}) FROM {source} AS child", value=value, source=self.source
        )
        one_value(self.connection, made)

    # --- one kind each -------------------------------------------------------------------------

    def _nulls(self, table: Table, column: Column) -> Obstacle | None:
        if column.nullable:
            return None
        missing = sql.clause("{column} IS NULL", column=sql.ident(column.name))
        return self.where(f"{table.name}.{column.name} must have a value", missing, ())

    def _violations(self, table: Table, check: Check) -> Obstacle | None:
        if not check.valid:
            return None
        broken = sql.clause("NOT ({it})", it=sql.catalog_text(check.expression))
        return self.where(f"check {check.name}", broken, check.columns)

    def _orphans(self, table: Table, key: ForeignKey) -> Obstacle | None:
        """Rows without a referenced row; a row with a NULL in the key references none."""
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
        return self.where(f"foreign key {key.name} to {key.references}", orphan, key.columns)

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
            label=self._twins() if self.masked else _label(keys),
            source=self.source,
            conditions=sql.join(conditions, " AND ") if conditions else sql.keyword("true"),
            keys=sql.join(key for _, key in keys),
        )
        return self._counted(f"unique {unique.name}", twice, sql.clause("sum(times)"))

    def _conflicts(self, table: Table, exclusion: Exclusion) -> Obstacle | None:
        return self._pairs(exclusion) if self.most else self._tried(exclusion)

    def _pairs(self, exclusion: Exclusion) -> Obstacle | None:
        """Compares rows with each other, for a transaction that may not create a copy."""
        keys, operators, predicate = _excluded(exclusion.definition)
        named = [sql.ident(f"k{number}") for number, _ in enumerate(keys)]
        values = sql.join(
            sql.clause("({key}) AS {name}", key=sql.catalog_text(key), name=name)
            for key, name in zip(keys, named, strict=True)
        )
        keyed = sql.clause(
            "SELECT row_number() OVER () AS n, {label} AS label, {values} "
            "FROM {source} AS child WHERE {predicate}",
            label=_label([(name, sql.ident(name)) for name in self.key] or [_A_ROW]),
            values=values,
            source=self.source,
            predicate=sql.catalog_text(predicate or "true"),
        )
        same = sql.join(
            (
                sql.clause("one.{k} {operator} other.{k}", k=name, operator=sql.catalog_text(it))
                for name, it in zip(named, operators, strict=True)
            ),
            " AND ",
        )
        bad = sql.clause(
            "SELECT one.label || ' and ' || other.label AS label FROM ({keyed}) AS one "
            "JOIN ({keyed}) AS other ON one.n < other.n AND {same}",
            keyed=keyed,
            same=same,
        )
        return self._counted(f"exclusion {exclusion.name}", bad, sql.clause("count(*)"))

    def _tried(self, exclusion: Exclusion) -> Obstacle | None:
        """PostgreSQL tries the constraint on a copy of the columns."""
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

    def where(self, what: str, condition: sql.Fragment, columns: Sequence[str]) -> Obstacle | None:
        """The rows for which the condition is true; `columns` are those that it looks at."""
        names = self.key if self.masked else dict.fromkeys((*self.key, *columns))
        shown = [(name, sql.ident(name)) for name in names]
        bad = sql.clause(
            "SELECT {label} AS label FROM {source} AS child WHERE {condition}",
            label=_label(shown) if shown else sql.literal("a row"),
            source=self.source,
            condition=condition,
        )
        return self._counted(what, bad, sql.clause("count(*)"))

    def _twins(self) -> sql.Fragment:
        """Two of the rows that are equal, by their keys."""
        if not self.key:
            return sql.literal(_MASK)
        label = _label([(name, sql.ident(name)) for name in self.key])
        return sql.clause("min({label}) || ' and ' || max({label})", label=label)

    def _counted(self, what: str, bad: sql.Fragment, count: sql.Fragment) -> Obstacle | None:
        """Counts and examples of one pass: a second one could see other rows."""
        found = sql.clause("SELECT * FROM ({bad}) AS every", bad=bad)
        if self.most:
            found = sql.clause("{found} LIMIT {most}", found=found, most=sql.literal(self.most))
        text = sql.compose(
            "WITH bad AS MATERIALIZED ({found}) SELECT (SELECT {count} FROM bad), "
            "(SELECT count(*) FROM bad), ARRAY(SELECT label FROM bad LIMIT {samples})",
            found=found,
            count=count,
            samples=sql.literal(SAMPLES),
        )
        with self.connection.cursor() as cursor:
            cursor.execute(text)
            rows, groups, samples = cursor.fetchone()
        if not rows:
            return None
        return Obstacle(what, int(rows), tuple(samples), more=groups == self.most)

    def _run(self, text: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(text)


@dataclass(frozen=True, slots=True)
class Question:
    """What finds the rows in the way of an item, and what to do about them. `pairs`: it compares
    rows with each other, which a sample would separate."""

    ask: Callable[[Rows, Table, Any], Obstacle | None]
    remedy: str
    pairs: bool = False


_UNIQUE = Question(Rows._duplicates, "remove the duplicates first", pairs=True)

QUESTIONS: Mapping[Part, Question] = {
    COLUMNS: Question(Rows._nulls, "fill them first, or give the step a value for them"),
    CHECKS: Question(Rows._violations, "fix these rows first"),
    FOREIGN_KEYS: Question(
        Rows._orphans, "remove these rows or give them an existing target first"
    ),
    UNIQUES: _UNIQUE,
    INDEXES: _UNIQUE,
    EXCLUSIONS: Question(Rows._conflicts, "remove one of each pair first", pairs=True),
}
"""Of each part that demands something of rows."""


def _key(key: IndexKey) -> tuple[str, sql.Fragment]:
    """The words for a key of an index, and its SQL."""
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


_A_ROW = ("", sql.literal("a row"))
_OPCLASS = re.compile(r'(\s+COLLATE\s+\S+)?(\s+[\w."]+_ops(\([^)]*\))?)?$')


def _excluded(definition: str) -> tuple[list[str], list[str], str]:
    """The keys of an exclusion constraint, their operators, and its predicate."""
    inside, rest = _in_parentheses(definition)
    pairs = [item.rsplit(" WITH ", 1) for item in _split(inside)]
    keys = [_OPCLASS.sub("", key.strip()) for key, _ in pairs]
    found = re.match(r"\s*WHERE\s", rest)
    predicate = _in_parentheses(rest)[0] if found else ""
    return keys, [operator.strip() for _, operator in pairs], predicate


def _in_parentheses(text: str) -> tuple[str, str]:
    """What is in the first parentheses of the text, and what follows them."""
    start = text.index("(")
    depth = 0
    for place, letter in _outside_quotes(text, start):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if not depth:
            return text[start + 1 : place], text[place + 1 :]
    return text[start + 1 :], ""


def _split(text: str) -> list[str]:
    """The parts between commas that are in no parentheses."""
    parts, depth, start = [], 0, 0
    for place, letter in _outside_quotes(text, 0):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _outside_quotes(text: str, start: int) -> Iterator[tuple[int, str]]:
    quote = ""
    for place in range(start, len(text)):
        letter = text[place]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            yield place, letter


def _detail(error: Exception) -> str:
    """PostgreSQL's message about two rows that exclude each other."""
    cause = error.__cause__ or error
    found = cause.diag.message_detail if isinstance(cause, psycopg.Error) else None
    return found.rstrip(".") if found else str(error).splitlines()[0]
