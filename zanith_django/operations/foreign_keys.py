"""Foreign keys."""

from __future__ import annotations

from dataclasses import dataclass

from zanith_django.operations.base import (
    Context,
    Statement,
    alter_table,
    must_have,
)
from zanith_django.operations.constraint_clauses import (
    constraint_comment,
    constraint_state,
    drop_constraint,
    foreign_key_clause,
    validate,
)
from zanith_django.operations.online.partition_keys import (
    foreign_key_in_partitions,
    foreign_keys_in_partitions,
)
from zanith_django.operations.online.scaffold import drop_constraint_if_exists
from zanith_django.operations.parts import AddPart, DropPart
from zanith_django.operations.words import (
    foreign_key_facts,
    with_facts,
)
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import ForeignKey
from zanith_django.schema.parts import FOREIGN_KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class AddForeignKey(AddPart):
    """Adds a foreign key NOT VALID, then validates it in a transaction of its own."""

    kind = "addForeignKey"
    adds = FOREIGN_KEYS
    table: TableName
    foreign_key: ForeignKey
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}({', '.join(self.foreign_key.columns)})"

    @property
    def tables(self) -> tuple[TableName, ...]:
        return tuple(dict.fromkeys((self.table, self.foreign_key.references)))

    def describe(self) -> str:
        key = self.foreign_key
        to = f"{key.references}({', '.join(key.referenced_columns)})"
        text = f"add foreign key {key.name} from {self.target} to {to}"
        return with_facts(text, *foreign_key_facts(key))

    def statements(self, context: Context) -> tuple[Statement, ...]:
        key = self.foreign_key
        comment = constraint_comment(self.table, key.name, key.comment, context)
        if key.valid and context.quiet(self.table):
            clause = foreign_key_clause(key, context)
            text = alter_table(context, self.table, "ADD {key}", key=clause)
            return (Statement(text, Lock.SHARE_ROW_EXCLUSIVE, self.tables), *comment)
        partitioned = must_have(context.graph, self.table).partition_key
        if key.valid and partitioned and context.server_version < 180000:
            return (*foreign_key_in_partitions(self.table, key, context), *comment)
        not_valid = sql.keyword(" NOT VALID") if key.enforced else sql.EMPTY
        text = alter_table(
            context,
            self.table,
            "ADD {key}{not_valid}",
            key=foreign_key_clause(key, context),
            not_valid=not_valid,
        )
        probe = constraint_state(self.table, key.name, context, validated=False)
        add = Statement(
            text,
            Lock.SHARE_ROW_EXCLUSIVE,
            self.tables,
            probe=probe,
            cleanup=drop_constraint_if_exists(self.table, key.name, context).sql,
            disruptive=f"foreign key {key.name} of {self.table}",
        )
        if not key.valid:
            return (add, *comment)
        return (add, *comment, validate(self.table, key.name, context, self.tables))

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        name = self.foreign_key.name
        return (
            drop_constraint_if_exists(self.table, name, context, self.tables),
            *(
                drop_constraint_if_exists(partition, part, context, (partition, *self.tables[1:]))
                for partition, part in foreign_keys_in_partitions(self.table, name, context)
            ),
        )

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("adds_foreign_key",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropForeignKey(DropPart):
    """Drops a foreign key; PostgreSQL locks both tables for an instant."""

    kind = "dropForeignKey"
    drops = FOREIGN_KEYS
    table: TableName
    foreign_key: ForeignKey
    model: str = ""

    @property
    def tables(self) -> tuple[TableName, ...]:
        return tuple(dict.fromkeys((self.table, self.foreign_key.references)))

    def describe(self) -> str:
        return f"drop foreign key {self.foreign_key.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (drop_constraint(self.table, self.foreign_key.name, context, self.tables),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_foreign_key",)
