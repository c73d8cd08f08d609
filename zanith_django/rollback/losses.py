"""The values that would be lost permanently if a step were undone."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.operations.answers import Loss
from zanith_django.operations.online.rewrites import volatile
from zanith_django.plan.live_facts import empty_tables
from zanith_django.postgres import sql
from zanith_django.postgres.row_security import blinded_role
from zanith_django.postgres.rows import one_value
from zanith_django.run.artifacts import columns_of

# A column is searched for values in a table of at most this many rows; in a larger one it is always
# kept.
LOOKED_AT = 10_000

_NO_VALUE = """\
SELECT count(*) <= {most} AND count(*) FILTER (WHERE {holds}) = 0
FROM (SELECT {column} AS value FROM {table} LIMIT {most} + 1) AS looked_at"""


def holds_nothing(connection: BaseDatabaseWrapper, loss: Loss, schema: str) -> bool:
    """Is there nothing to keep? That is true for an empty table, a column in which no row has a
    value other than its first default, and a generated column."""
    name, column = loss.table, loss.column
    if (column and column.generated) or empty_tables(connection, schema, [name]):
        return True
    if column is None or column.name not in columns_of(connection, name, schema):
        return False
    if blinded_role(connection, sql.regclass(name, schema)):
        return False
    holds = sql.clause("value IS NOT NULL")
    if column.default is not None and not volatile(column.default):
        holds = sql.clause(
            "value::text IS DISTINCT FROM (({default})::{type})::text",
            default=sql.catalog_text(column.default),
            type=sql.catalog_text(column.type),
        )
    text = sql.compose(
        _NO_VALUE,
        most=sql.literal(LOOKED_AT),
        holds=holds,
        column=sql.ident(column.name),
        table=sql.table(name, schema),
    )
    return bool(one_value(connection, text))
