"""One operation of a Django migration that Django itself runs, under our lock and ledger."""

from __future__ import annotations

from dataclasses import dataclass

from zanith_django.operations.answers import DjangoCode
from zanith_django.operations.base import Context, Operation, Statement
from zanith_django.operations.moves import TableMove
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class DjangoOperation(Operation):
    """The operation at `position` of `migration` ("auth.0012_alter…"), run by Django.

    `operation` is its class name; `table` the table of the model that it names, where it does;
    `moves` the tables that it creates, renames or ends.
    """

    kind = "djangoOperation"
    migration: str
    position: int
    operation: str
    description: str = ""
    table: TableName | None = None
    reversible: bool = True
    state_only: bool = False
    model: str = ""
    moves: tuple[TableMove, ...] = ()

    @property
    def target(self) -> str:
        return f"{self.migration}#{self.position}"

    @property
    def tables(self) -> tuple[TableName, ...]:
        return () if self.table is None else (self.table,)

    def describe(self) -> str:
        return f"Django: {self.description or self.operation}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        lock = Lock.ROW_EXCLUSIVE if self.operation == "RunPython" else Lock.ACCESS_EXCLUSIVE
        return (Statement(f"-- {self.describe()}", lock, self.tables),)

    def inverse(self) -> Operation | None:
        return None

    @property
    def authored(self) -> tuple[str | None, ...]:
        return (None,)

    @property
    def runs(self) -> DjangoCode:
        description = self.description or self.operation
        return DjangoCode(self.migration, self.position, description, self.reversible)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph

    def reasons(self, context: Context) -> tuple[str, ...]:
        return () if self.reversible or self.state_only else ("irreversible",)

    @property
    def own_sql(self) -> bool:
        return False
