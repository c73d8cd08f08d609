"""When a foreign key is checked: at the end of the statement, or of the transaction."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from zanith_django.operations.base import Context, OnTable, Operation, Statement, alter_table
from zanith_django.operations.constraint_clauses import deferrable_clause
from zanith_django.operations.live_names import has_name, twin
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import ForeignKey, SchemaGraph, Table

_WORDS = {
    "": "at once",
    "immediate": "at once, or deferred if asked",
    "deferred": "at the end of the transaction",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterForeignKey(OnTable):
    """Changes when a foreign key is checked; no row is looked at.

    `old` and `new` are what `ForeignKey.deferrable` may be: "", "immediate" or "deferred".
    `foreign_key` is what it looks like before: a database of another past may call it otherwise.
    """

    kind = "alterForeignKey"
    table: TableName
    name: str
    old: str = ""
    new: str = ""
    foreign_key: ForeignKey | None = None
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.name}"

    def describe(self) -> str:
        return f"check foreign key {self.name} of {self.table} {_WORDS[self.new]}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = alter_table(
            context,
            self.table,
            "ALTER CONSTRAINT {name}{mode}",
            name=sql.ident(self.name),
            mode=deferrable_clause(self.new) if self.new else sql.keyword(" NOT DEFERRABLE"),
        )
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)

    def inverse(self) -> Operation:
        key = self.foreign_key and dataclasses.replace(self.foreign_key, deferrable=self.new)
        return dataclasses.replace(self, old=self.new, new=self.old, foreign_key=key)

    def in_names_of(self, graph: SchemaGraph) -> Operation:
        live = graph.table(self.table)
        if live is None or self.foreign_key is None or has_name(live.foreign_keys, self.name):
            return self
        found = twin(live, self.foreign_key)
        return dataclasses.replace(self, name=found.name, foreign_key=found) if found else self

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, self._altered)

    def _altered(self, table: Table) -> Table:
        keys = tuple(
            dataclasses.replace(key, deferrable=self.new) if key.name == self.name else key
            for key in table.foreign_keys
        )
        return dataclasses.replace(table, foreign_keys=keys)

    @property
    def breaks_unseen(self) -> bool:
        return True

    def reasons(self, context: Context) -> tuple[str, ...]:
        return () if self.new == "deferred" else ("breaks_running_code",)
