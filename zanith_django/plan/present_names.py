"""The current names of tables and columns, by the names that planned steps give them. A rollback
queries rows before anything runs, and some of its steps rename tables and columns that others
query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from zanith_django.operations import Operation
from zanith_django.postgres.names import TableName


@dataclass(frozen=True, slots=True)
class PresentNames:
    """Names in the database by names after the planned steps; a name that is not in it has not
    changed."""

    tables: Mapping[TableName, TableName] = field(default_factory=dict)
    columns: Mapping[tuple[TableName, str], str] = field(default_factory=dict)

    def table(self, name: TableName) -> TableName:
        return self.tables.get(name, name)

    def column(self, table: TableName, name: str) -> str:
        return self.columns.get((table, name), name)

    def planned(self, table: TableName, columns: Iterable[str]) -> dict[str, str]:
        """{the name that the steps give a column: its name in the database}."""
        given = {now: name for (each, name), now in self.columns.items() if each == table}
        return {given.get(name, name): name for name in columns}

    def at(self, table: TableName, place: TableName) -> PresentNames:
        """The same with a table that a step brings back from another place."""
        return PresentNames({**self.tables, table: place}, self.columns)

    def with_column(self, table: TableName, name: str, present: str) -> PresentNames:
        """The same with a column that a step brings back from its hidden name."""
        return PresentNames(self.tables, {**self.columns, (table, name): present})

    def after(self, operation: Operation) -> PresentNames:
        """The same after one more planned step."""
        tables, columns = dict(self.tables), dict(self.columns)
        for move in operation.moves:
            if move.old and move.new:
                tables[move.new] = tables.pop(move.old, move.old)
                for table, name in [key for key in columns if key[0] == move.old]:
                    columns[move.new, name] = columns.pop((table, name))
        if renamed := operation.renamed_column:
            key = renamed.table, renamed.old
            columns[renamed.table, renamed.new] = columns.pop(key, renamed.old)
        return PresentNames(tables, columns)


AS_NOW: Final = PresentNames()
"""Without a planned step, everything has the name that it has."""
