"""Existing obstacles of a step: taken names and missing rights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.operations.base import Context, Operation
from zanith_django.plan.findings import Finding
from zanith_django.plan.taken_names import taken_names
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.parts import index_names

_KINDS = {
    "r": "table",
    "p": "table",
    "i": "index",
    "I": "index",
    "v": "view",
    "m": "materialized view",
    "S": "sequence",
    "f": "foreign table",
    "c": "type",
}

_RELATIONS = """\
SELECT n.nspname, c.relname, c.relkind, i.indrelid IS NOT NULL AND NOT i.indisvalid,
       pg_has_role(c.relowner, 'USAGE'), pg_get_userbyid(c.relowner),
       coalesce(has_table_privilege(c.oid, 'REFERENCES'), true)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind <> 't'"""

_SCHEMAS = """\
SELECT nspname, has_schema_privilege(oid, 'CREATE') FROM pg_catalog.pg_namespace
WHERE nspname !~ '^pg_'"""

_EXTENSIONS = """\
SELECT e.name, e.installed_version IS NOT NULL,
       (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
       OR (v.trusted AND has_database_privilege(current_database(), 'CREATE'))
FROM pg_catalog.pg_available_extensions e
JOIN pg_catalog.pg_available_extension_versions v
  ON v.name = e.name AND v.version = e.default_version"""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation with its schema and name."""

    kind: str
    invalid: bool
    owned: bool
    owner: str
    referable: bool = True


@dataclass(slots=True)
class Existing:
    """The existing names in the database, without those that a step of the plan frees."""

    schema: str
    relations: dict[tuple[str, str], Relation]
    creatable: Mapping[str, bool]
    extensions: Mapping[str, tuple[bool, bool]]
    role: str
    made: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def of(cls, connection: BaseDatabaseWrapper, schema: str) -> Existing:
        with connection.cursor() as cursor:
            cursor.execute(_RELATIONS)
            rows = cursor.fetchall()
            cursor.execute(_SCHEMAS)
            schemas = dict(cursor.fetchall())
            cursor.execute(_EXTENSIONS)
            extensions = {name: (there, may) for name, there, may in cursor.fetchall()}
            cursor.execute("SELECT current_user")
            (role,) = cursor.fetchone()
        relations = {
            (row[0], row[1]): Relation(_KINDS.get(row[2], "relation"), *row[3:]) for row in rows
        }
        return cls(schema, relations, schemas, extensions, role)

    def findings(
        self, operation: Operation, context: Context, changed: SchemaGraph
    ) -> Iterator[Finding]:
        """The findings about existing objects and rights, in the schema before the operation.
        `changed` is the schema after it, also of an operation that Django runs."""
        before, after = context.graph, operation.apply_to(context.graph)
        yield from self._owners(operation, before, after)
        yield from self._references(operation, before, after)
        yield from self._schemas(operation)
        known = {extension.name for extension in before.extensions}
        for extension in after.extensions:
            if extension.name not in known:
                yield from self._extension(extension.name)
        gone, come = _names(operation, before), _names(operation, after)
        for name in (gone - come) | (gone - _names(operation, changed)):
            self.relations.pop(self._spelled(name), None)
        given = {move.new for move in operation.moves if move.new}
        for name in sorted((come - gone) | given):
            yield from self._taken(name)
            self.made.add(self._spelled(name))
        for taken in taken_names(operation, before):
            if taken.part:  # a relation, which has been looked at
                yield _left_over(taken.name) if taken.invalid else _exists(str(taken))

    def _spelled(self, name: TableName) -> tuple[str, str]:
        return name.schema or self.schema, name.name

    def _taken(self, name: TableName) -> Iterator[Finding]:
        place = self._spelled(name)
        found = self.relations.get(place)
        if found is None or place in self.made:
            return
        yield _left_over(name) if found.invalid else _exists(f"{found.kind} {name}")

    def _owners(
        self, operation: Operation, before: SchemaGraph, after: SchemaGraph
    ) -> Iterator[Finding]:
        for name in operation.tables if operation.own_sql else ():
            found = self.relations.get(self._spelled(name))
            if found is None or found.owned or self._spelled(name) in self.made:
                continue
            if before.table(name) != after.table(name):
                what = f"{name} belongs to {found.owner}, and role {self.role} is no member of it"
                yield _forbidden(what, "run it as the owner: docs/privileges.md")

    def _references(
        self, operation: Operation, before: SchemaGraph, after: SchemaGraph
    ) -> Iterator[Finding]:
        """A foreign key needs a right on the table that it references."""
        for name in operation.tables if operation.own_sql else ():
            old, new = before.table(name), after.table(name)
            known = {key.name for key in old.foreign_keys} if old else set()
            for key in new.foreign_keys if new else ():
                found = self.relations.get(self._spelled(key.references))
                made = self._spelled(key.references) in self.made
                if key.name not in known and found and not found.referable and not made:
                    what = f"role {self.role} may not reference {key.references}"
                    remedy = f"GRANT REFERENCES ON {key.references}: docs/privileges.md"
                    yield _forbidden(what, remedy)

    def _schemas(self, operation: Operation) -> Iterator[Finding]:
        for move in operation.moves:
            schema = move.new.schema or self.schema if move.new else ""
            if schema and not self.creatable.get(schema, True):
                what = f"role {self.role} may not create anything in schema {schema}"
                yield _forbidden(what, f"GRANT CREATE ON SCHEMA {schema}: docs/privileges.md")

    def _extension(self, name: str) -> Iterator[Finding]:
        there, allowed = self.extensions.get(name, (False, False))
        if name not in self.extensions:
            what = f"the server has no files of extension {name}"
            yield _forbidden(what, "install its package on the server")
        elif not there and not allowed:
            what = f"role {self.role} may not create extension {name}"
            yield _forbidden(what, "have an administrator create it")


def _forbidden(what: str, remedy: str) -> Finding:
    return Finding(what, remedy, certain=True, code="missing_right")


def _exists(what: str) -> Finding:
    remedy = "rename or drop it; zanith_baseline adopts what a migration was to make"
    return Finding(f"{what} exists already", remedy, certain=True, code="exists_already")


def _left_over(name: object) -> Finding:
    remedy = "the step drops it and builds it again"
    what = f"an invalid index {name} is left from an earlier failure"
    return Finding(what, remedy, code="invalid_leftover")


def _names(operation: Operation, graph: SchemaGraph) -> set[TableName]:
    """The relations of the operation's tables: themselves, and what owns an index."""
    moved = [name for move in operation.moves for name in (move.old, move.new) if name]
    names = set()
    for name in {*operation.tables, *moved}:
        table = graph.table(name)
        if table is None:
            continue
        names |= {name, *(TableName(name.schema, index) for index in index_names(table))}
    return names
