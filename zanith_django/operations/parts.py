"""The operations that add, drop and rename a part of a table, and their common bases.

`schema/parts.py` has the properties of each kind of part. A kind of operation joins by its base:
declaring a subclass registers it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from zanith_django.operations.base import OnTable, Operation, must_have
from zanith_django.operations.live_names import counterpart, has_name, twin
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.parts import PRIMARY_KEY, Part, part_of

_ADDS: dict[str, type[Operation]] = {}
_DROPS: dict[str, type[Operation]] = {}
_RENAMES: dict[str, type[Operation]] = {}


class OnItem(OnTable):
    """An operation on one item of a part, which the argument of the part holds."""

    __slots__ = ()
    model: str

    @property
    def target(self) -> str:
        return f"{self.table}.{self.item.name}"


class AddPart(OnItem):
    """Adds an item of the part `adds`."""

    __slots__ = ()
    adds: ClassVar[Part]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _ADDS[cls.adds.field] = cls

    def inverse(self) -> Operation:
        return dropping(self.table, self.item, self.model)

    def in_names_of(self, graph: SchemaGraph) -> Operation | None:
        live = graph.table(self.table)
        return None if live and self.item in self.adds.of(live) else self

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        part, item = self.adds.field, self.item
        return graph.changed(self.table, lambda table: table.with_item(part, item))


class DropPart(OnItem):
    """Drops an item of the part `drops`."""

    __slots__ = ()
    drops: ClassVar[Part]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _DROPS[cls.drops.field] = cls

    def inverse(self) -> Operation:
        return adding(self.table, self.item, self.model)

    def in_names_of(self, graph: SchemaGraph) -> Operation | None:
        live = graph.table(self.table)
        if live is None or not self.drops.renamed:
            return self
        found = counterpart(live, self.item)
        if found is self.item:
            return self
        return dropping(self.table, found, self.model) if found else None

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        part, name = self.drops.field, self.item.name
        return graph.changed(self.table, lambda table: table.without_item(part, name))


class RenamePart(OnTable):
    """Renames an item of one of the parts `renames` in place. At most one of their arguments is
    the item under its old name: another database may have another name for it."""

    __slots__ = ()
    renames: ClassVar[tuple[Part, ...]]
    old: str
    new: str
    model: str

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _RENAMES.update({part.field: cls for part in cls.renames})

    @property
    def known(self) -> tuple[Any, ...]:
        """The item under its old name, if the operation has it."""
        items = (getattr(self, part.argument, None) for part in self.renames)
        return tuple(item for item in items if item is not None)

    def in_names_of(self, graph: SchemaGraph) -> Operation | None:
        """If the table does not have the name, the item with the same definition is meant."""
        live = graph.table(self.table)
        if live is None or any(has_name(part.of(live), self.old) for part in self.renames):
            return self
        for wanted in self.known:
            found = twin(live, wanted)
            if found and found.name != self.new:
                return renaming(self.table, found, found.name, self.new, self.model)
        return None

    def inverse(self) -> Operation:
        known: dict[str, Any] = {
            part_of(item).argument: dataclasses.replace(item, name=self.new) for item in self.known
        }
        return dataclasses.replace(self, old=self.new, new=self.old, **known)  # type: ignore[type-var]

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        table = must_have(graph, self.table)
        for part in self.renames:
            for item in part.of(table):
                if item.name == self.old:
                    renamed = dataclasses.replace(item, name=self.new)
                    return graph.with_table(table.with_item(part.field, renamed, self.old))
        return graph


def adding(table: TableName, item: Any, model: str = "") -> Operation:
    """The operation that adds this unique, foreign key, index, … to the table."""
    return _with_item(_ADDS, table, item, model)


def dropping(table: TableName, item: Any, model: str = "") -> Operation:
    """The operation that drops it from the table."""
    return _with_item(_DROPS, table, item, model)


def renaming(table: TableName, item: Any, old: str, new: str, model: str = "") -> Operation:
    """The operation that renames the item from `old` to `new`. A table has only one primary key,
    which is found without its definition."""
    part = part_of(item)
    looks = {} if part is PRIMARY_KEY else {part.argument: dataclasses.replace(item, name=old)}
    kind: Any = _RENAMES[part.field]
    renamed: Operation = kind(table=table, old=old, new=new, model=model, **looks)
    return renamed


def _with_item(
    kinds: dict[str, type[Operation]], table: TableName, item: Any, model: str
) -> Operation:
    part = part_of(item)
    kind: Any = kinds[part.field]
    operation: Operation = kind(table=table, model=model, **{part.argument: item})
    return operation
