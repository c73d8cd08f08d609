"""Keys and foreign keys of partitioned tables, prepared in one partition after the other.

PostgreSQL knows neither USING INDEX nor, before 18, NOT VALID on a partitioned table. But the table
adopts a constraint that all partitions have already, without reading a row.
https://www.postgresql.org/docs/current/ddl-partitioning.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from zanith_django.operations.base import Context, Statement, alter_table
from zanith_django.operations.constraint_clauses import (
    constraint_state,
    deferrable_clause,
    foreign_key_clause,
    index_of,
    primary_key_clause,
    unique_clause,
    validate,
)
from zanith_django.operations.indexes import build_concurrently, name_in_partition
from zanith_django.operations.online.scaffold import drop_constraint_if_exists
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import ForeignKey, PrimaryKey, SchemaGraph, Unique


def partitions_with_rows(table: TableName, graph: SchemaGraph) -> Iterator[TableName]:
    """The leaf partitions of a partitioned table."""
    for child in graph.tables:
        if child.partition_of == table and child.partition_key:
            yield from partitions_with_rows(child.name, graph)
        elif child.partition_of == table:
            yield child.name


@dataclass(frozen=True, slots=True)
class PartitionedKey:
    """A unique constraint or primary key of a partitioned table: `builds` takes long, `brief`
    belongs into one transaction. `of` names its parts, or else its name and columns do."""

    table: TableName
    key: Unique | PrimaryKey
    context: Context
    of: str = ""

    @property
    def _names(self) -> list[tuple[TableName, str]]:
        """(partition, name of its part) of all."""
        of = self.of or f"{self.key.name} {self.key.columns}"
        parts = partitions_with_rows(self.table, self.context.graph)
        return [(partition, name_in_partition(partition, of, "key")) for partition in parts]

    def builds(self) -> list[Statement]:
        index = index_of(self.key)
        return [
            build_concurrently(partition, dataclasses.replace(index, name=name), self.context)
            for partition, name in self._names
        ]

    def brief(self) -> list[Statement]:
        key, context = self.key, self.context
        primary = isinstance(key, PrimaryKey)
        clause = primary_key_clause(key) if isinstance(key, PrimaryKey) else unique_clause(key)
        parts = [
            alter_table(
                context,
                partition,
                "ADD CONSTRAINT {name} {what} USING INDEX {name}{deferrable}",
                name=sql.ident(name),
                what=sql.keyword("PRIMARY KEY" if primary else "UNIQUE"),
                deferrable=deferrable_clause(key.deferrable),
            )
            for partition, name in self._names
        ]
        whole = alter_table(context, self.table, "ADD {clause}", clause=clause)
        probe = constraint_state(self.table, key.name, context, validated=False)
        attached = [
            Statement(text, Lock.ACCESS_EXCLUSIVE, (partition,))
            for text, (partition, _) in zip(parts, self._names, strict=True)
        ]
        taken_over = Statement(whole, Lock.ACCESS_EXCLUSIVE, (self.table,), probe=probe)
        first, *rest = [*attached, taken_over]
        return [dataclasses.replace(first, separate=True), *rest]


def foreign_key_in_partitions(
    table: TableName, key: ForeignKey, context: Context
) -> Iterator[Statement]:
    """NOT VALID and validated in every partition, then taken over by the table."""
    for partition, name in foreign_keys_in_partitions(table, key.name, context):
        part = dataclasses.replace(key, name=name)
        tables = (partition, key.references)
        clause = foreign_key_clause(part, context)
        text = alter_table(context, partition, "ADD {key} NOT VALID", key=clause)
        probe = constraint_state(partition, part.name, context, validated=False)
        yield Statement(
            text,
            Lock.SHARE_ROW_EXCLUSIVE,
            tables,
            separate=True,
            probe=probe,
            cleanup=drop_constraint_if_exists(partition, name, context).sql,
            disruptive=f"foreign key {name} of {partition}",
        )
        yield validate(partition, part.name, context, tables)
    whole = alter_table(context, table, "ADD {key}", key=foreign_key_clause(key, context))
    probe = constraint_state(table, key.name, context, validated=False)
    tables = (table, key.references)
    yield Statement(whole, Lock.SHARE_ROW_EXCLUSIVE, tables, separate=True, probe=probe)


def foreign_keys_in_partitions(
    table: TableName, name: str, context: Context
) -> list[tuple[TableName, str]]:
    """(partition, name of its part) of a foreign key that is made so."""
    partitions = partitions_with_rows(table, context.graph)
    return [(partition, name_in_partition(partition, name, "fkey")) for partition in partitions]
