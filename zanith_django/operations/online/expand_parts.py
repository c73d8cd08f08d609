"""The new column of an expansion: names, indexes and constraints."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from zanith_django.operations.artifact_ids import SOFT_DROP_COLUMN
from zanith_django.operations.base import (
    Context,
    Operation,
    Statement,
    dropped_name,
)
from zanith_django.operations.constraint_clauses import (
    drop_constraint,
    index_of,
)
from zanith_django.operations.constraints import AddCheck
from zanith_django.operations.dependents import (
    in_primary_key,
    referrers_of,
    renamed_in,
    what_contains,
)
from zanith_django.operations.foreign_keys import AddForeignKey
from zanith_django.operations.indexes import (
    build_concurrently,
    build_in_partitions,
    index_comment,
)
from zanith_django.operations.not_null import NotNull
from zanith_django.operations.online.partition_keys import PartitionedKey
from zanith_django.operations.policies import PolicyPairs
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, ForeignKey, Index, Table


@dataclass(frozen=True, slots=True)
class ExpansionParts:
    """The names of the objects of an expansion, and the indexes and constraints of its new
    column."""

    table: Table
    old: Column
    new: Column
    using: str
    context: Context
    undo: bool = False
    policies: PolicyPairs = ()

    # --- zanith's names ------------------------------------------------------------------------

    @property
    def name(self) -> TableName:
        return self.table.name

    @property
    def _partitioned(self) -> bool:
        return bool(self.table.partition_key)

    @property
    def target(self) -> str:
        return f"{self.name}.{self.old.name}"

    @property
    def artifact_id(self) -> str:
        return self.context.artifact_id(SOFT_DROP_COLUMN, self.target)

    @property
    def hidden(self) -> str:
        return dropped_name(self.artifact_id)

    def made(self, part: str = "") -> str:
        """The name of a new object until the swap."""
        way = "undo" if self.undo else ""
        return dropped_name(self.artifact_id, f"new{way} {part}").replace("dropped", "new")

    @property
    def fresh(self) -> str:
        return self.made()

    # --- 3: dependent objects, created for the new column while the table is in use -------------

    def _renamed(self, item: Any) -> Any:
        """An index, constraint or key of the table as it is for the new column until the swap."""
        item = renamed_in(item, self.name.name, self.old.name, self.fresh)
        return dataclasses.replace(item, name=self.made(item.name))

    @property
    def _parts(self) -> dict[str, Any]:
        return what_contains(self.table, self.old.name)

    @property
    def _key(self) -> Any:
        return self.table.primary_key if in_primary_key(self.table, self.old.name) else None

    @property
    def _uniques(self) -> list[Any]:
        return [*([self._key] if self._key else []), *self._parts["uniques"]]

    def _indexes(self) -> Iterator[Statement]:
        made: list[Index] = [self._renamed(item) for item in self._parts["indexes"]]
        if self._partitioned:
            yield from self._in_partitions(made)
        else:
            keys = [index_of(self._renamed(key)) for key in self._uniques]
            for index in (*made, *keys):
                yield build_concurrently(self.name, index, self.context)
        for index in made:
            yield from index_comment(self.name, index, self.context)

    def _in_partitions(self, indexes: Iterable[Index]) -> Iterator[Statement]:
        """Indexes of a partitioned table, where a unique constraint is created as one from the
        beginning; a table cannot have two primary keys."""
        for index in indexes:
            yield from build_in_partitions(self.name, index, self.context)
        for key in self._uniques:
            made = self._partitioned_key(key, self._renamed(key))
            yield from made.builds()
            if key is not self._key:
                yield from made.brief()

    def _partitioned_key(self, key: Any, now: Any) -> PartitionedKey:
        """The current form of the future `key`."""
        return PartitionedKey(self.name, now, self.context, of=self.made(key.name))

    def _checks(self) -> list[Operation]:
        return [
            AddCheck(table=self.name, check=self._renamed(check)) for check in self._parts["checks"]
        ]

    def _foreign_keys(self) -> list[tuple[TableName, ForeignKey]]:
        """(table, foreign key) of all foreign keys from or to this column."""
        arriving = referrers_of(self.context.graph, self.name, self.old.name)
        own = [(self.name, key) for key in self._parts["foreign_keys"]]
        return [*own, *(pair for pair in arriving if pair not in own)]

    def _new_keys(self) -> Iterator[AddForeignKey]:
        for table, key in self._foreign_keys():
            new = renamed_in(key, "", self.old.name, self.fresh) if table == self.name else key
            if key.references == self.name:
                names = (self.fresh if c == self.old.name else c for c in key.referenced_columns)
                new = dataclasses.replace(new, referenced_columns=tuple(names))
            new = dataclasses.replace(new, name=self.made(key.name))
            yield AddForeignKey(table=table, foreign_key=new)

    def _required(self) -> NotNull:
        """The proof that the new column may be NOT NULL, or that no value is missing."""
        if not self.old.nullable:
            return NotNull.of(self.name, self.fresh, self.context)
        if self.using:
            return NotNull()
        proof = sql.clause(
            "CHECK ({old} IS NULL OR {fresh} IS NOT NULL)",
            old=sql.ident(self.old.name),
            fresh=sql.ident(self.fresh),
        )
        name = self.made("complete")
        claimed = NotNull.claimed(self.name, name, proof, self.context, ours=True)
        drop = drop_constraint(self.name, name, self.context)
        return dataclasses.replace(claimed, end=(drop,))
