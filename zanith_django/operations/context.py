"""The facts about a database that operations may use for their SQL and their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zanith_django.operations.artifact_ids import ArtifactId
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph


@dataclass(frozen=True, slots=True)
class TableFacts:
    """The statistics of a live table: estimated rows, bytes with indexes; rows written and scans
    begun since the statistics were reset."""

    rows: int = 0
    bytes: int = 0
    writes: int = 0
    reads: int = 0


@dataclass(frozen=True, slots=True)
class Context:
    """The facts just before one operation of a migration.

    `graph` is the schema. `fresh` are the tables that a step of the same plan created and that no
    step has filled since, `empty` those without rows; every other table counts as populated and in
    use. `facts` are the statistics of tables. `labels` are the models of tables that steps created
    or renamed. `plan/table_facts.py` moves all of these past an operation. `elsewhere` are tables
    that an unqualified name finds in a later schema of the search path. `relations` are all tables,
    views and foreign tables of the database, None if it was not read or if an earlier step may have
    created others. `domains` are the domains that have a constraint, `dangers` functions that an
    earlier step created and that may drop or delete. `unseen` are tables that
    another session locks: their rows were not read.
    """

    server_version: int = 150000
    schema: str = "public"
    graph: SchemaGraph = field(default_factory=SchemaGraph)
    fresh: frozenset[TableName] = frozenset()
    empty: frozenset[TableName] = frozenset()
    facts: Mapping[TableName, TableFacts] = field(default_factory=dict)
    labels: Mapping[TableName, str] = field(default_factory=dict)
    migration_id: str = ""
    elsewhere: Mapping[str, TableName] = field(default_factory=dict)
    relations: frozenset[TableName] | None = None
    domains: frozenset[str] = frozenset()
    unseen: frozenset[TableName] = frozenset()
    dangers: frozenset[str] = frozenset()

    def quiet(self, name: TableName) -> bool:
        """No other session can be using the table: it is new, or it is empty."""
        return name in self.fresh or name in self.empty

    def table(self, name: TableName) -> sql.Fragment:
        return sql.table(name, self.schema)

    def artifact_id(self, artifact_type: str, target: str) -> str:
        return str(ArtifactId(self.migration_id, artifact_type, target))
