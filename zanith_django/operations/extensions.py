"""The foundations of tables: extensions, schemas and collations."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from zanith_django.operations.base import Context, Operation, Statement
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Collation, Extension, SchemaGraph

# PostgreSQL asks for CREATE on the database before it looks at IF NOT EXISTS.
_MAKE_SCHEMA = """\
DO $zanith$ BEGIN
  IF to_regnamespace({quoted}) IS NULL THEN CREATE SCHEMA {name}; END IF;
END $zanith$"""

# Columns that a rollback keeps have their type: their extension stays.
_DROP_EXTENSION = """\
DO $zanith$ BEGIN
  DROP EXTENSION IF EXISTS {name};
EXCEPTION WHEN dependent_objects_still_exist THEN
  IF NOT EXISTS (
    SELECT FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass
      AND d.refobjid = e.oid AND d.classid = 'pg_catalog.pg_type'::regclass AND d.deptype = 'e'
    JOIN pg_catalog.pg_type t ON t.oid = d.objid
    JOIN pg_catalog.pg_attribute a ON a.atttypid IN (t.oid, t.typarray) AND NOT a.attisdropped
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE e.extname = {quoted}
      AND (starts_with(a.attname, '_zanith_') OR starts_with(c.relname, '_zanith_'))
  ) THEN RAISE; END IF;
END $zanith$"""


def make_schema(name: str) -> Statement:
    """Creates a schema; if it exists already, this needs no right."""
    quoted = sql.literal(sql.ident(name))
    return Statement(sql.compose(_MAKE_SCHEMA, quoted=quoted, name=sql.ident(name)), Lock.NONE)


class _Foundation(Operation):
    """An operation that touches no table."""

    __slots__ = ()

    @property
    def tables(self) -> tuple[TableName, ...]:
        return ()

    @property
    def own_sql(self) -> bool:
        return False


class _OnExtension(_Foundation):
    __slots__ = ()
    extension: Extension

    @property
    def target(self) -> str:
        return self.extension.name


class _OnCollation(_Foundation):
    __slots__ = ()
    collation: Collation

    @property
    def target(self) -> str:
        return str(self.collation.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateExtension(_OnExtension):
    """Installs an extension unless it exists already."""

    kind = "createExtension"
    extension: Extension
    model: str = ""

    def describe(self) -> str:
        return f"create extension {self.extension.name}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        name = sql.ident(self.extension.name)
        text = sql.compose("CREATE EXTENSION IF NOT EXISTS {name}", name=name)
        return (Statement(text, Lock.NONE),)

    def inverse(self) -> Operation:
        return DropExtension(extension=self.extension, model=self.model)

    @property
    def foundation(self) -> str:
        return self.statements(Context())[0].sql

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        kept = [item for item in graph.extensions if item.name != self.extension.name]
        return dataclasses.replace(graph, extensions=(*kept, self.extension))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("adds_extension",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropExtension(_OnExtension):
    """Drops an extension. PostgreSQL refuses that while anything uses it; if kept columns do, the
    extension stays."""

    kind = "dropExtension"
    extension: Extension
    model: str = ""

    def describe(self) -> str:
        return f"drop extension {self.extension.name}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        name = self.extension.name
        text = sql.compose(_DROP_EXTENSION, name=sql.ident(name), quoted=sql.literal(name))
        return (Statement(text, Lock.NONE),)

    def inverse(self) -> Operation:
        return CreateExtension(extension=self.extension, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        kept = tuple(item for item in graph.extensions if item.name != self.extension.name)
        return dataclasses.replace(graph, extensions=kept)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_extension",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSchema(_Foundation):
    """Creates a schema unless it exists already. It has no inverse: others may use it."""

    kind = "createSchema"
    name: str
    model: str = ""

    @property
    def target(self) -> str:
        return self.name

    def describe(self) -> str:
        return f"create schema {self.name}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (make_schema(self.name),)

    def inverse(self) -> Operation | None:
        return None

    @property
    def foundation(self) -> str:
        return self.statements(Context())[0].sql

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return dataclasses.replace(graph, schemas=tuple({*graph.schemas, self.name}))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCollation(_OnCollation):
    """Creates a collation."""

    kind = "createCollation"
    collation: Collation
    model: str = ""

    def describe(self) -> str:
        return f"create collation {self.target}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (Statement(self._created(sql.EMPTY, context.table(self.collation.name)), Lock.NONE),)

    def _created(self, if_missing: sql.Fragment, name: sql.Fragment) -> str:
        it = self.collation
        return sql.compose(
            "CREATE COLLATION {if_missing}{name} (provider = {provider}, locale = {locale}, "
            "deterministic = {deterministic})",
            if_missing=if_missing,
            name=name,
            provider=sql.ident(it.provider),
            locale=sql.literal(it.locale),
            deterministic=sql.literal(it.deterministic),
        )

    def inverse(self) -> Operation:
        return DropCollation(collation=self.collation, model=self.model)

    @property
    def foundation(self) -> str:
        return self._created(sql.keyword("IF NOT EXISTS "), sql.ident(self.collation.name.name))

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        kept = [item for item in graph.collations if item.name != self.collation.name]
        return dataclasses.replace(graph, collations=(*kept, self.collation))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DropCollation(_OnCollation):
    """Drops a collation; refused by PostgreSQL while a column uses it."""

    kind = "dropCollation"
    collation: Collation
    model: str = ""

    def describe(self) -> str:
        return f"drop collation {self.target}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        name = context.table(self.collation.name)
        return (Statement(sql.compose("DROP COLLATION {name}", name=name), Lock.NONE),)

    def inverse(self) -> Operation:
        return CreateCollation(collation=self.collation, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        kept = tuple(item for item in graph.collations if item.name != self.collation.name)
        return dataclasses.replace(graph, collations=kept)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()
