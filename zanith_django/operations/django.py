"""One operation of a Django migration that Django itself runs, under our lock and ledger."""

from __future__ import annotations

from dataclasses import dataclass

from zanith_django.operations.base import Context, Operation, Statement
from zanith_django.operations.moves import TableMove
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph

# What Django's own SQL for an operation class does to a populated table.
_REASONS: dict[str, tuple[str, ...]] = {
    "AddField": ("adds_nullable_column",),
    "AlterField": ("changes_column_type", "locks_reads"),
    "AddIndex": ("adds_index", "locks_writes"),
    "AddIndexConcurrently": ("adds_index",),
    "RemoveIndex": ("drops_index",),
    "RemoveIndexConcurrently": ("drops_index",),
    "AddConstraint": ("adds_unique_constraint", "locks_reads"),
    "AddConstraintNotValid": (),
    "ValidateConstraint": ("scans_table",),
    "AlterUniqueTogether": ("adds_unique_constraint", "locks_reads"),
    "AlterIndexTogether": ("adds_index", "locks_writes"),
    "RemoveConstraint": ("drops_unique_constraint",),
    "RemoveField": ("drops_column_with_data", "breaks_running_code", "irreversible"),
    "DeleteModel": ("drops_table_with_data", "breaks_running_code", "irreversible"),
    "RenameModel": ("rename_table", "breaks_running_code"),
    "AlterModelTable": ("rename_table", "breaks_running_code"),
    "RenameField": ("rename_column", "breaks_running_code"),
    "RunPython": ("requires_backfill",),
    "RunSQL": ("raw_sql",),
    "CreateExtension": ("adds_extension",),
    "SeparateDatabaseAndState": ("raw_sql",),
    "CreateModel": (),
    "AlterModelOptions": (),
    "AlterModelManagers": (),
    "AlterOrderWithRespectTo": ("adds_nullable_column",),
    "AlterModelTableComment": (),
    "RenameIndex": (),
    "CreateCollation": (),
}


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
    required: bool = False
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
        return (Statement(f"-- {self.describe()}", Lock.ACCESS_EXCLUSIVE, self.tables),)

    def inverse(self) -> Operation | None:
        return None

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph

    def reasons(self, context: Context) -> tuple[str, ...]:
        if self.state_only:
            return ()
        if self.operation == "AddField" and self.required:
            return ("adds_required_column_without_default", "breaks_running_code")
        return _REASONS.get(self.operation, ("raw_sql",))

    @property
    def own_sql(self) -> bool:
        return False
