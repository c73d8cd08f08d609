"""What a shadow supports: a schema only plans without effects outside of it, a database on another
server only what that server has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError

from zanith_django.exceptions import EnvironmentProblem, ShadowUnreachable, ShadowUnsuited
from zanith_django.operations import Operation
from zanith_django.plan.plan import Plan
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph
from zanith_django.verify.shadow import SCHEMA, Shadow


def refuse_what_leaves(planned: Plan, graph: SchemaGraph, source: str) -> None:
    """Raises `ShadowUnsuited` for the first thing that a schema of the live database cannot take:
    it would be made, or changed, outside of it."""
    if source:
        raise ShadowUnsuited(SCHEMA, f"--from {source}")
    for table in graph.tables:
        if any(name.schema for name in _names(table)):
            raise ShadowUnsuited(SCHEMA, f"table {table.name}, which needs another schema")
    for _, step in planned.steps:
        refuse_operation(step.operation)


# Roles, tablespaces and available extensions belong to the server, not to the structure.
_OF_SERVER = """\
SELECT 'role', rolname FROM pg_roles
UNION ALL SELECT 'tablespace', spcname FROM pg_tablespace
UNION ALL SELECT 'extension', name FROM pg_available_extensions"""


@contextmanager
def naming_lack(connection: BaseDatabaseWrapper, shadow: Shadow) -> Iterator[None]:
    """Problems of the environment as `refuse_lack` has them, if that is their reason."""
    try:
        yield
    except EnvironmentProblem as error:
        refuse_lack(connection, shadow, str(error))
        raise


def refuse_lack(connection: BaseDatabaseWrapper, shadow: Shadow, error: str) -> None:
    """Raises `ShadowUnsuited` if the error names what the live server has and that of the shadow
    lacks: it would not come in production."""
    for kind, name in sorted(_lacking(connection, shadow) if error else ()):
        if f'{kind} "{name}"' in error:
            hint = "The live server has it. Create or install it on the server of the shadow."
            raise ShadowUnsuited(shadow.name, f'{kind} "{name}"', hint)


def _lacking(connection: BaseDatabaseWrapper, shadow: Shadow) -> set[tuple[str, str]]:
    """Nothing if a server cannot be asked: the error that led here is the one to report."""
    with suppress(psycopg.Error, DatabaseError, ShadowUnreachable):
        with shadow.connect() as session:
            there = set(session.execute(_OF_SERVER.encode()).fetchall())
        with connection.cursor() as cursor:
            cursor.execute(_OF_SERVER)
            return set(cursor.fetchall()) - there
    return set()


def refuse_operation(operation: Operation) -> None:
    if not operation.own_sql or any(name.schema for name in _names(operation)):
        raise ShadowUnsuited(SCHEMA, operation.describe())


def _names(value: Any) -> Iterator[TableName]:
    """Every table that a value names, at any depth."""
    if isinstance(value, TableName):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _names(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _names(getattr(value, field.name))
