"""Schemas by the names that users type (models, live, empty, a snapshot of the ledger, a file), and
their differences."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.diff.diff import diff
from zanith_django.diff.differ import HARD, Hints
from zanith_django.exceptions import UnknownSchema, UnreadableGraph
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.snapshots import is_phase
from zanith_django.operations import Operation
from zanith_django.plan.search_path import found_elsewhere, unqualified
from zanith_django.schema.equality import as_declared, beyond_operations
from zanith_django.schema.findings import Extra, Note
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.models import Declared
from zanith_django.timeline.ignored import compared
from zanith_django.timeline.project import declared, live_graph

MODELS, LIVE, EMPTY = "models", "live", "empty"


@dataclass(frozen=True, slots=True)
class Difference:
    """The operations that turn one schema into another. Extras are objects that no model names or
    no operation changes; notes exist only if one of the two is `models`. `before` is the schema
    that the operations start from."""

    operations: tuple[Operation, ...]
    extras: tuple[Extra, ...] = ()
    notes: tuple[Note, ...] = ()
    before: SchemaGraph = field(default_factory=SchemaGraph)


class Sources:
    """Finds schemas by the names that users type; `models` are the project's unless given, and
    `live` is read unless it is known. Without `files`, no name means a file."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        models: Declared | None = None,
        *,
        live: SchemaGraph | None = None,
        files: bool = True,
    ) -> None:
        self.connection, self.files = connection, files
        self._declared, self._live = models, live

    @property
    def declared(self) -> Declared:
        if self._declared is None:
            self._declared = declared(self.connection)
        return self._declared

    def graph(self, name: str) -> SchemaGraph:
        """The schema of that name. Raises `UnknownSchema` and `UnreadableGraph`."""
        if name == MODELS:
            return self.declared.graph
        if name == LIVE:
            return self._live or live_graph(self.connection)
        if name == EMPTY:
            return SchemaGraph()
        return SchemaGraph.from_json(self._stored(name))

    def _stored(self, name: str) -> dict[str, Any]:
        migration_id, _, phase = name.rpartition(":")
        if not is_phase(phase) or not migration_id:
            migration_id, phase = name, "after"
        found = Ledger(self.connection).snapshot(migration_id, phase)
        if found is not None:
            return found
        path = Path(name)
        if not self.files or not path.is_file():
            known = (MODELS, LIVE, EMPTY, *Ledger(self.connection).applied())
            raise UnknownSchema(name, known)
        try:
            return dict(json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise UnreadableGraph(f"{path}: {error}") from error

    def compare(self, before: str, after: str) -> Difference:
        """The operations from one to the other. If exactly one is `models`, the rules of
        `schema/equality.py` apply to the other."""
        if (before == MODELS) == (after == MODELS):
            graphs = compared(self.graph(before)), compared(self.graph(after))
            operations = diff(*graphs, drop=HARD, overlapping=False)
            return Difference(operations, tuple(beyond_operations(*graphs)), before=graphs[0])
        other = after if before == MODELS else before
        wanted = self.declared
        found = compared(unqualified(self.graph(other), found_elsewhere(self.connection)))
        comparison = as_declared(found, wanted.graph, wanted.facts)
        pair = (wanted.graph, comparison.live)
        ends = pair if before == MODELS else pair[::-1]
        operations = diff(*ends, Hints(labels=wanted.labels), drop=HARD, overlapping=False)
        extras = (*comparison.extras, *beyond_operations(*ends))
        return Difference(operations, extras, comparison.notes, ends[0])
