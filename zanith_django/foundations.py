"""What tables stand on: extensions and collations, which Django's migrations make and no model
declares."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.postgres.operations import (
    CollationOperation,
    CreateCollation,
    CreateExtension,
    RemoveCollation,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation as DjangoOperation

from zanith_django import operations as ops
from zanith_django import sql
from zanith_django.migration import LoadedMigration
from zanith_django.operations import Operation
from zanith_django.schema.graph import Collation, Extension, TableName


def foundations(operation: DjangoOperation) -> tuple[Operation, ...]:
    """The operation in ours, where it makes or removes an extension or a collation."""
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


def prelude_of(operations: Iterable[DjangoOperation]) -> list[str]:
    """SQL that makes in a scratch what these operations make, where it is not there already."""
    return _where_missing(found for operation in operations for found in foundations(operation))


def _where_missing(operations: Iterable[Operation]) -> list[str]:
    texts = []
    for operation in operations:
        if isinstance(operation, ops.CreateExtension | ops.CreateSchema):
            texts.append(operation.statements(ops.Context())[0].sql)
        elif isinstance(operation, ops.CreateCollation):
            texts.append(_collation_where_missing(operation.collation))
    return texts


def _collation_where_missing(collation: Collation) -> str:
    return sql.compose(
        "CREATE COLLATION IF NOT EXISTS {name} (provider = {provider}, locale = {locale}, "
        "deterministic = {deterministic})",
        name=sql.ident(collation.name.name),
        provider=sql.ident(collation.provider),
        locale=sql.literal(collation.locale),
        deterministic=sql.literal(collation.deterministic),
    )


def prelude_of_migrations(files: Iterable[LoadedMigration]) -> list[str]:
    """The same of every migration on disk, and of our own `files`: pending ones are about to make
    theirs."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    migrations = loader.disk_migrations.values()
    operations = [operation for migration in migrations for operation in migration.operations]
    ours = _where_missing(operation for file in files for operation in file.operations)
    return list(dict.fromkeys((*prelude_of(operations), *ours)))
