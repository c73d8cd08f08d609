"""The effects of a change of type on casts, checks, indexes and policies: asks PostgreSQL, without
any row."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.operations.dependents import containing
from zanith_django.plan.demands import Conversion
from zanith_django.plan.effects.columns import GIVEN
from zanith_django.plan.findings import Finding
from zanith_django.plan.probes import Probe
from zanith_django.postgres import sql
from zanith_django.postgres.rows import one_value
from zanith_django.schema.graph import Column, Table
from zanith_django.schema.parts import CHECKS, INDEXES, POLICIES

# No such cast, operator or function, or none that fits.
REFUSALS = frozenset(("42846", "42883", "42804", "42725"))


def retyped(
    connection: BaseDatabaseWrapper, old: Table, new: Table, conversion: Conversion
) -> Iterator[Probe]:
    """One question for each expression that PostgreSQL reads again with the new type."""
    column = conversion.new
    what = f"{new.name}.{column.name} from {conversion.old.type} to {column.type}"
    value = sql.clause(
        "({column})::{kind}", column=sql.ident(column.name), kind=sql.catalog_text(column.type)
    )
    if conversion.using:
        value = sql.catalog_text(conversion.using)
    yield _asked(connection, what, value, old)
    for name, text in _expressions(new, column):
        yield _asked(connection, f"{what}: {name}", sql.catalog_text(text), new)
    for name, text in _conditions(new, column):
        condition = sql.clause("CASE WHEN ({it}) THEN 1 END", it=sql.catalog_text(text))
        yield _asked(connection, f"{what}: {name}", condition, new)


def _expressions(table: Table, column: Column) -> Iterator[tuple[str, str]]:
    for index in table.indexes:
        for key in index.keys if column.name in index.columns else ():
            if key.expression and key.expression != GIVEN:
                yield f"index {index.name}", key.expression


def _conditions(table: Table, column: Column) -> Iterator[tuple[str, str]]:
    """Expressions that must be boolean."""
    found = [(f"check {c.name}", c.expression) for c in containing(CHECKS, table, column.name)]
    found += [(f"index {i.name}", i.predicate) for i in containing(INDEXES, table, column.name)]
    for policy in containing(POLICIES, table, column.name):
        found += [(f"policy {policy.name}", text) for text in (policy.using, policy.check)]
    return ((name, text) for name, text in found if text and text != GIVEN)


def _asked(connection: BaseDatabaseWrapper, what: str, value: sql.Fragment, table: Table) -> Probe:
    def ask() -> Iterator[Finding]:
        columns = sql.join(
            sql.clause(
                "NULL::{kind} AS {name}",
                kind=sql.catalog_text(each.type),
                name=sql.ident(each.name),
            )
            for each in table.columns
        )
        text = sql.compose(
            "SELECT count({value}) FROM (SELECT {columns}) AS {table} WHERE false",
            value=value,
            columns=columns,
            table=sql.ident(table.name.name),
        )
        one_value(connection, text)
        yield from ()

    return Probe(what, ask, refusals=REFUSALS)
