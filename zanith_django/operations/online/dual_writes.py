"""One column split into several, or several merged into one, while code writes both forms. A
trigger keeps both forms consistent as long as both exist: if a statement writes one, the trigger
computes the other. It only changes the row that is being written, so that there is no loop.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from zanith_django.operations.answers import Piece
from zanith_django.operations.base import (
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    apart,
)
from zanith_django.operations.column_clauses import alter, column_settings
from zanith_django.operations.column_sql import add_column, set_default
from zanith_django.operations.dependents import without_column
from zanith_django.operations.not_null import NotNull
from zanith_django.operations.online.forms import KEEPS, Derived, Forms
from zanith_django.operations.online.scaffold import (
    drop_column_if_exists,
    remove_scaffold,
    removed_as_a_whole,
)
from zanith_django.operations.touches import Effect, Touch
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table
from zanith_django.schema.parts import COLUMNS


class _DualWrite(OnTable):
    """The base of split and merge, which begin a dual write."""

    __slots__ = ()
    resumed: bool
    model: str

    @property
    def forms(self) -> Forms:
        raise NotImplementedError

    @property
    def pieces(self) -> tuple[Piece, ...]:
        made = () if self.resumed else self.forms.new
        return tuple(Piece(self.table, COLUMNS, item.column) for item in made)

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.forms.new)

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return removed_as_a_whole(self._staged(context), self.retreat(context))

    def _staged(self, context: Context) -> tuple[Statement, ...]:
        """First the new columns with the trigger, then the existing rows, then the constraints."""
        forms = self.forms
        if self.resumed:
            added, filled, required = [], forms.fill_old(context), forms.old
        else:
            added = [s for item in forms.new for s in self._added(item.column, context)]
            filled, required = forms.fill_new(context), forms.new
        stages = [
            NotNull.of(self.table, item.name, context)
            for item in required
            if not item.column.nullable
        ]
        return (
            *added,
            *forms.begin(context),
            filled,
            *(statement for stage in stages for statement in stage.claim),
            *(statement for stage in stages for statement in stage.check),
            *apart([statement for stage in stages for statement in stage.end]),
        )

    def _added(self, column: Column, context: Context) -> list[Statement]:
        """Adds a column. Its default is only for new rows: existing ones get a value from the other
        form."""
        bare = dataclasses.replace(column, nullable=True, default=None)
        added = [add_column(self.table, bare, context)]
        added += column_settings(self.table, bare, context)
        if column.default is not None:
            added.append(set_default(self.table, column, context))
        return added

    def inverse(self) -> Operation:
        forms = self.forms
        return EndDualWrite(
            table=self.table,
            old=forms.old,
            new=forms.new,
            keeps="new" if self.resumed else "old",
            model=self.model,
        )

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        """Removes the new form, unless it existed before the step."""
        staged = remove_scaffold(self._staged(context), self.tables, context)
        made = () if self.resumed else self.forms.new
        return (*staged, *(drop_column_if_exists(self.table, it.name, context) for it in made))

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        if self.resumed:
            for item in self.forms.old:
                graph = alter(graph, self.table, item.name, nullable=item.column.nullable)
            return graph
        columns = [item.column for item in self.forms.new]
        return graph.changed(self.table, lambda table: _with_columns(table, columns))

    def reasons(self, context: Context) -> tuple[str, ...]:
        required = self.forms.old if self.resumed else self.forms.new
        demanding = any(not item.column.nullable for item in required)
        demands = ("changes_column_nullable_to_not_null", "scans_table") if demanding else ()
        return ("adds_nullable_column", "requires_backfill", *demands)


def _with_columns(table: Table, columns: Iterable[Column]) -> Table:
    for column in columns:
        table = table.with_item("columns", column)
    return table


def _without_columns(table: Table, columns: Iterable[str]) -> Table:
    for column in columns:
        table = without_column(table, column)
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitColumn(_DualWrite):
    """Splits a column into several; until `endDualWrite`, code may write either form.

    Each column has the expression that computes its value: those of `into` read the source, that of
    `source` reads them. With `resumed`, both forms exist already, and the old one follows the new
    one again.
    """

    kind = "splitColumn"
    derived = False
    table: TableName
    source: Derived
    into: tuple[Derived, ...]
    resumed: bool = False
    model: str = ""

    def __post_init__(self) -> None:
        OnTable.__post_init__(self)
        if len(self.into) < 2:
            raise ValueError(f"{self.kind} of {self.table}: a split is into two columns or more")
        self.forms.refuse_nonsense(self.kind)

    @property
    def forms(self) -> Forms:
        return Forms(self.table, (self.source,), self.into)

    @property
    def target(self) -> str:
        return f"{self.table}.{self.source.name}"

    def describe(self) -> str:
        targets = ", ".join(item.name for item in self.into)
        return f"split column {self.target} into {targets}; both forms are kept right"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeColumns(_DualWrite):
    """Merges several columns into one; until `endDualWrite`, code may write either form.

    Each column has the expression that computes its value: that of `into` reads the sources,
    those of `sources` read it. `resumed` is as in `splitColumn`.
    """

    kind = "mergeColumns"
    derived = False
    table: TableName
    sources: tuple[Derived, ...]
    into: Derived
    resumed: bool = False
    model: str = ""

    def __post_init__(self) -> None:
        OnTable.__post_init__(self)
        if len(self.sources) < 2:
            raise ValueError(f"{self.kind} of {self.table}: a merge is of two columns or more")
        self.forms.refuse_nonsense(self.kind)

    @property
    def forms(self) -> Forms:
        return Forms(self.table, self.sources, (self.into,))

    @property
    def target(self) -> str:
        return f"{self.table}.{self.into.name}"

    def describe(self) -> str:
        sources = ", ".join(item.name for item in self.sources)
        return f"merge columns {sources} into {self.target}; both forms are kept right"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDualWrite(OnTable):
    """Ends what `splitColumn` or `mergeColumns` began: from now on one form is written.

    `keeps` "new": the old columns stay and are no longer required on insert; `softDropColumn`
    removes them next. `keeps` "old": the new columns are dropped, the change is cancelled.
    """

    kind = "endDualWrite"
    table: TableName
    old: tuple[Derived, ...]
    new: tuple[Derived, ...]
    keeps: str = "new"
    model: str = ""

    def __post_init__(self) -> None:
        OnTable.__post_init__(self)
        if self.keeps not in KEEPS:
            raise ValueError(f'{self.kind} of {self.table}: keeps is "old" or "new"')
        if 1 not in (len(self.old), len(self.new)) or len(self.old) + len(self.new) < 3:
            raise ValueError(
                f"{self.kind} of {self.table}: one column on one side, more on the other"
            )
        self.forms.refuse_nonsense(self.kind)

    @property
    def forms(self) -> Forms:
        return Forms(self.table, self.old, self.new)

    @property
    def target(self) -> str:
        return f"{self.table}.{self._single.name}"

    @property
    def _single(self) -> Derived:
        return self.old[0] if len(self.old) == 1 else self.new[0]

    def describe(self) -> str:
        kept = ", ".join(item.name for item in (self.new if self.keeps == "new" else self.old))
        return f"write only {kept} of {self.table} from now on"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        changes = [
            sql.clause("ALTER COLUMN {name} DROP NOT NULL", name=sql.ident(item.name))
            for item in self.old
            if not item.column.nullable
        ]
        if self.keeps == "old":
            changes = [
                sql.clause("DROP COLUMN {name}", name=sql.ident(item.name)) for item in self.new
            ]
        ended = self.forms.end(context)
        if changes:
            text = alter_table(context, self.table, "{changes}", changes=sql.join(changes))
            ended.append(Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)))
        return tuple(ended)

    @property
    def own_sql(self) -> bool:
        return False  # it drops zanith's triggers, which no graph contains

    def inverse(self) -> Operation:
        resumed = self.keeps == "new"
        if len(self.old) == 1:
            return SplitColumn(
                table=self.table,
                source=self.old[0],
                into=self.new,
                resumed=resumed,
                model=self.model,
            )
        return MergeColumns(
            table=self.table,
            sources=self.old,
            into=self.new[0],
            resumed=resumed,
            model=self.model,
        )

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        if self.keeps == "old":
            names = [item.name for item in self.new]
            return graph.changed(self.table, lambda table: _without_columns(table, names))
        for item in self.old:
            graph = alter(graph, self.table, item.name, nullable=True)
        return graph

    def touches(self, context: Context) -> tuple[Touch, ...]:
        if self.keeps == "new":
            return ()
        return (Touch(Effect.DROP_COLUMN, self.table, tuple(item.name for item in self.new)),)

    @property
    def breaks_unseen(self) -> bool:
        return True

    def reasons(self, context: Context) -> tuple[str, ...]:
        lost = ("drops_column_with_data",) if self.keeps == "old" else ()
        return (*lost, "breaks_running_code")
