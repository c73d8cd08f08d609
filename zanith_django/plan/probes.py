"""The questions of preflight: the demands of a step on rows, as queries on the current table."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.operations.online.rewrites import INTEGERS, assigns, narrows
from zanith_django.plan.demands import Conversion, Demands
from zanith_django.plan.effects.columns import GIVEN
from zanith_django.plan.findings import Finding
from zanith_django.plan.obstacles import QUESTIONS, Obstacle, Rows
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.postgres.session import LOCK_NOT_AVAILABLE, server_version, sqlstate
from zanith_django.schema.graph import ForeignKey, Table
from zanith_django.schema.parts import Part

FAILS = "will_fail_on_data"

# Violating rows are counted up to this number.
_MOST = 1_000
# The largest sample, of a table for which reading all rows takes too long.
_SAMPLE_BYTES = 64_000_000

_FORBIDDEN, _TOO_LONG = "42501", "57014"

_RETYPE = "change these values first, or write a using expression into the step"

Way = Callable[[], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Source:
    """A table of a later schema, where it is now. `renamed` maps its later columns to the present
    ones, `places` later tables to the present ones, None for one that does not exist yet. `later`
    columns are not there yet, or have no value that counts; `given` are the values of those which
    have one for all rows, as SQL."""

    connection: BaseDatabaseWrapper
    table: Table
    live: TableName
    schema: str
    renamed: Mapping[str, str]
    later: frozenset[str]
    given: Mapping[str, str]
    places: Callable[[TableName], TableName | None]
    bytes: int = 0
    masked: bool = True

    @property
    def percent(self) -> float:
        """How much of the table a sample reads."""
        return min(100.0, 100 * _SAMPLE_BYTES / max(self.bytes, 1))

    def converted(self, types: Iterable[Conversion]) -> Source:
        """The table with the values that columns have in their new types."""
        values = dict(self.given)
        for each in types:
            name = each.new.name
            if name not in self.later and name not in values:
                column = sql.ident(self.renamed.get(name, name))
                kind = sql.catalog_text(each.new.type)
                cast = sql.clause("({column})::{kind}", column=column, kind=kind)
                values[name] = each.using or cast
        return dataclasses.replace(self, given=values) if values != self.given else self

    def rows(self, *, sampled: bool = False) -> Rows:
        key = self.table.primary_key.columns if self.table.primary_key else ()
        given = self._text(sampled=sampled)
        return Rows(self.connection, given, self.schema, key, most=_MOST, masked=self.masked)

    def _text(self, *, sampled: bool) -> sql.Fragment:
        place = sql.table(self.live, self.schema)
        if not self.renamed and not self.given and not sampled:
            return place
        columns = sql.join(
            sql.clause("{now} AS {later}", now=now, later=sql.ident(later))
            for later, now in self._columns()
        )
        part = sql.clause(" TABLESAMPLE SYSTEM ({it})", it=sql.literal(self.percent))
        return sql.clause(
            "(SELECT {columns} FROM {place}{part})",
            columns=columns,
            place=place,
            part=part if sampled else sql.EMPTY,
        )

    def _columns(self) -> Iterator[tuple[str, sql.Fragment]]:
        """(later name, present name or value) of the columns whose values are known."""
        for name in self.table.column_names:
            if name not in self.later and name not in self.given:
                yield name, sql.ident(self.renamed.get(name, name))
        for name, value in self.given.items():
            yield name, sql.catalog_text(value)


@dataclass(frozen=True, slots=True)
class Probe:
    """One question: to all rows, and to a sample of them if a sample can answer it. An error of
    `refusals` is one that the step gets as well."""

    what: str
    whole: Way
    sample: Way | None = None
    converts: bool = False
    masked: bool = True
    refusals: frozenset[str] = frozenset()

    def failed(self, error: BaseException) -> Finding:
        """The finding for an error of the question."""
        state = sqlstate(error)
        if self.converts and state[:2] in ("22", "23"):
            return Finding(f"{self.what}: {self._words(error)}", _RETYPE, True, FAILS)
        if state in self.refusals:
            return Finding(f"{self.what}: {self._words(error)}", _RETYPE, True, FAILS)
        if state == LOCK_NOT_AVAILABLE:
            return Finding(f"{self.what}: not looked at, another session locks the table")
        if state == _FORBIDDEN:
            return Finding(f"{self.what}: not looked at, this role may not read the table")
        return Finding(f"{self.what}: not looked at ({str(error).splitlines()[0]})")

    def _words(self, error: BaseException) -> str:
        """The error without the value, which PostgreSQL quotes if it cannot convert it."""
        text = str(error).splitlines()[0]
        return re.sub(r'"[^"]*"$', '"•••"', text) if self.masked else text


def too_long(error: BaseException) -> bool:
    return sqlstate(error) == _TOO_LONG


def asked(demand: Demands, source: Source) -> Iterator[Probe]:
    """A question for each thing that the step demands."""
    for column in demand.missing:
        yield _missing(f"{demand.table}.{column}", source)
    for part in QUESTIONS:
        for item in part.of(demand.wanted):
            if _is_unread(item):
                yield _unread(f"{demand.table}.{item.name}")
            else:
                yield _constraint(demand.wanted, part, item, source.converted(demand.conversions))
    for conversion in demand.conversions:
        yield from _conversion(demand.table, conversion, source)


def _missing(target: str, source: Source) -> Probe:
    what = f"{target} is NOT NULL and has no value for existing rows"
    remedy = "give the field a db_default, or add it nullable and fill it"

    def ask() -> Iterator[Finding]:
        if source.rows().any():
            yield Finding(what, remedy, True, FAILS)

    return Probe(what, ask)


def _constraint(wanted: Table, part: Part, item: Any, source: Source) -> Probe:
    only: dict[str, Any] = {part.field: (_here(item, source),)}
    alone, question = Table(wanted.name, **only), QUESTIONS[part]

    def ask(*, sampled: bool = False) -> Iterator[Finding]:
        for obstacle in source.rows(sampled=sampled).against(alone):
            yield _found(obstacle, question.remedy, sampled=sampled)

    def sample() -> Iterator[Finding]:
        yield from ask(sampled=True)
        yield _only_sampled(f"{part.noun} {item.name}", source)

    return Probe(f"{wanted.name}.{item.name}", ask, None if question.pairs else sample)


def _is_unread(item: Any) -> bool:
    """Does it have an expression that was read in SQL and that is not known as text?"""
    texts = [getattr(item, name, "") for name in ("expression", "predicate", "definition")]
    return GIVEN in (*texts, *(key.expression for key in getattr(item, "keys", ())))


def _unread(what: str) -> Probe:
    def ask() -> Iterator[Finding]:
        yield Finding(f"{what}: not looked at, the plan cannot read its expression")

    return Probe(what, ask)


def _here(item: Any, source: Source) -> Any:
    """A foreign key points at the table as it is called now."""
    place = source.places(item.references) if isinstance(item, ForeignKey) else None
    return dataclasses.replace(item, references=place) if place else item


def _found(obstacle: Obstacle, remedy: str, *, sampled: bool) -> Finding:
    seen = f"{obstacle.counted}{' in a sample' if sampled else ''}"
    return Finding(seen, remedy, True, FAILS, obstacle.rows, obstacle.samples)


def _only_sampled(what: str, source: Source) -> Finding:
    return Finding(f"{what}: {source.percent:.2g} % of the table looked at, not all rows")


# --- types ---------------------------------------------------------------------------------------

_LENGTH = re.compile(r"(?:character varying|character|bpchar)\((\d+)\)")


def _conversion(table: TableName, change: Conversion, source: Source) -> Iterator[Probe]:
    old, new = change.old, change.new
    what = f"{table}.{new.name} from {old.type} to {new.type}"
    if not change.using and assigns(old.type, new.type):
        length = _LENGTH.fullmatch(new.type)
        if length and not _fits(old.type, int(length[1])):
            yield _lengths(what, new.name, int(length[1]), source)
        return
    if change.using or not {old.type, new.type} <= INTEGERS or narrows(old.type, new.type):
        yield _casts(what, change, source)


def _fits(old: str, length: int) -> bool:
    known = _LENGTH.fullmatch(old)
    return bool(known) and int(known[1] if known else 0) <= length


def _lengths(what: str, column: str, most: int, source: Source) -> Probe:
    """Blanks at the end are cut without an error."""
    condition = sql.clause(
        "char_length(rtrim(({column})::text)) > {most}",
        column=sql.ident(column),
        most=sql.literal(most),
    )

    def ask(*, sampled: bool = False) -> Iterator[Finding]:
        found = source.rows(sampled=sampled).where(f"{what}: values too long", condition, (column,))
        if found:
            yield _found(found, _RETYPE, sampled=sampled)

    def sample() -> Iterator[Finding]:
        yield from ask(sampled=True)
        yield _only_sampled(what, source)

    return Probe(what, ask, sample)


def _casts(what: str, change: Conversion, source: Source) -> Probe:
    """PostgreSQL converts the values, without keeping them; it raises an error at the first that
    does not fit. Which rows they are it can say from version 16 on, for plain casts."""
    column, kind = sql.ident(change.new.name), sql.catalog_text(change.new.type)
    made = sql.clause("({column})::{kind}", column=column, kind=kind)
    if change.using:
        made = sql.catalog_text(change.using)
    wrong = sql.clause(
        "{column} IS NOT NULL AND NOT pg_input_is_valid(({column})::text, {kind})",
        column=column,
        kind=sql.literal(change.new.type),
    )
    textual = change.old.type.startswith(("text", "character"))
    named = textual and not change.using and server_version(source.connection) >= 160000

    def ask(*, sampled: bool = False) -> Iterator[Finding]:
        rows, name = source.rows(sampled=sampled), change.new.name
        found = rows.where(f"{what}: values that cannot be cast", wrong, (name,)) if named else None
        if found:
            yield _found(found, _RETYPE, sampled=sampled)
        else:
            rows.convert(made)

    def sample() -> Iterator[Finding]:
        yield from ask(sampled=True)
        yield _only_sampled(what, source)

    return Probe(what, ask, sample, converts=True, masked=source.masked)
