"""The foundations of tables: extensions, collations, types and functions, which migrations create
and no model declares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from django.contrib.postgres.operations import (
    CollationOperation,
    CreateCollation,
    CreateExtension,
    RemoveCollation,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunPython, RunSQL
from django.db.migrations.operations.base import Operation as MigrationOperation

from zanith_django import operations as ops
from zanith_django.files.migration import LoadedMigration
from zanith_django.operations import Operation
from zanith_django.postgres import sql
from zanith_django.postgres.grammar import refusal
from zanith_django.postgres.names import TableName
from zanith_django.postgres.raw_sql import makes_foundation, statements
from zanith_django.schema.graph import Collation, Extension
from zanith_django.schema.scratch import PASSED_OVER
from zanith_django.timeline.code_strings import strings_in
from zanith_django.timeline.django_kinds import reaching_database
from zanith_django.timeline.timeline import django_order


def foundations(operation: MigrationOperation) -> tuple[Operation, ...]:
    """The same as operations of zanith, if it creates or removes an extension or a collation."""
    if isinstance(operation, CreateExtension):
        return (ops.CreateExtension(extension=Extension(operation.name)),)
    if isinstance(operation, CreateCollation):
        return (ops.CreateCollation(collation=_collation(operation)),)
    if isinstance(operation, RemoveCollation):
        return (ops.DropCollation(collation=_collation(operation)),)
    return ()


def _collation(operation: CollationOperation) -> Collation:
    name = TableName("", operation.name)
    return Collation(name, operation.provider, operation.locale, operation.deterministic)


def prelude_of(operations: Iterable[MigrationOperation]) -> list[str]:
    """SQL that creates the objects of these operations in a scratch, unless they exist already."""
    return _where_missing(found for operation in operations for found in foundations(operation))


def _where_missing(operations: Iterable[Operation]) -> list[str]:
    return [text for operation in operations if (text := operation.foundation)]


def raw_prelude_of(authored: Iterable[Authored]) -> list[str]:
    """The same for SQL of an author: statements that create an object and touch no table. Existing
    objects stay. Other errors are reported with the table that needs the object, if that cannot be
    created."""
    found = {each: text.is_sql for text in authored for each in statements(text.text)}
    return [text for each, is_sql in found.items() if (text := _attempted(each, is_sql))]


def _attempted(statement: str, is_sql: bool) -> str:
    """The SQL that the scratch runs for a statement of an author; "" for none."""
    reported = {"state": sql.literal(PASSED_OVER), "statement": sql.literal(statement)}
    if makes_foundation(statement):
        body = sql.compose(
            "BEGIN EXECUTE {statement}; EXCEPTION "
            "WHEN duplicate_object OR duplicate_function OR duplicate_schema OR duplicate_table "
            "THEN NULL; "
            "WHEN OTHERS THEN RAISE WARNING USING ERRCODE = {state}, MESSAGE = SQLERRM, "
            "DETAIL = {statement}; END",
            **reported,
        )
    elif is_sql and (error := refusal(statement)):
        body = sql.compose(
            "BEGIN RAISE WARNING USING ERRCODE = {state}, MESSAGE = {error}, "
            "DETAIL = {statement}; END",
            error=sql.literal(error),
            **reported,
        )
    else:
        return ""
    return sql.compose("DO {body}", body=sql.literal(body))


@dataclass(frozen=True, slots=True)
class Authored:
    """A text in an operation of an author: SQL, or a string of its code that may be SQL."""

    text: str
    is_sql: bool = True


def authored_in(operations: Iterable[MigrationOperation]) -> Iterator[Authored]:
    """The SQL of each RunSQL that takes no parameters, and the strings in the code of the others
    that are not Django's."""
    for operation in chain.from_iterable(map(reaching_database, operations)):
        if isinstance(operation, RunSQL):
            given = [operation.sql] if isinstance(operation.sql, str) else operation.sql
            parts = (part if isinstance(part, list | tuple) else (part, None) for part in given)
            yield from (Authored(text) for text, parameters in parts if not parameters)
        else:
            yield from (Authored(text, is_sql=False) for text in _strings_of(operation))


def _strings_of(operation: MigrationOperation) -> Iterator[str]:
    if isinstance(operation, RunPython):
        yield from strings_in(operation.code)
    elif not type(operation).__module__.startswith("django."):
        yield from (value for value in vars(operation).values() if isinstance(value, str))
        yield from strings_in(operation.database_forwards)


def preludes_of_migrations(files: Iterable[LoadedMigration]) -> tuple[list[str], list[str]]:
    """(SQL of operations, SQL of authors) that creates the foundations of every Django migration on
    disk and of our own `files`, pending ones included."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    migrations = [loader.graph.nodes[key] for key in django_order(loader)]
    operations = [operation for migration in migrations for operation in migration.operations]
    steps = [operation for file in files for operation in file.operations]
    texts = (Authored(text) for step in steps for text in step.authored if text)
    made = dict.fromkeys((*prelude_of(operations), *_where_missing(steps)))
    return list(made), raw_prelude_of((*authored_in(operations), *texts))
