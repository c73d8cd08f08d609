"""One column made of several, or several of one, while both forms are written: split, merge, end.

A trigger keeps both forms right as long as both exist: whichever a row is written by, the other
follows. It changes the row that is being written and writes none itself, so that nothing loops.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from zanith_django.operations.base import (
    Batches,
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    apart,
    own_name,
)
from zanith_django.operations.column_clauses import alter, column_settings
from zanith_django.operations.columns import add_column, set_default, update_in_batches
from zanith_django.operations.dependents import without_column
from zanith_django.operations.not_null import NotNull
from zanith_django.operations.online.rewrites import volatile
from zanith_django.operations.online.scaffold import (
    drop_column_if_there,
    felt_as_a_whole,
    take_away,
)
from zanith_django.operations.touches import Effect, Touch
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table

KEEPS = ("old", "new")

# A form is written when an insert gives it another value than its default, or an update changes
# it. What an update makes just as it follows from the other form is right already: a fill of rows
# comes so, and may not spell the other form anew. Images compare values of any type byte by byte.
_FUNCTION = """\
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql
SET search_path = {schema}, pg_temp AS $zanith$
#variable_conflict use_column
DECLARE
  _zanith_old boolean;
  _zanith_new boolean;
  _zanith_right boolean := false;
  _zanith_row record := NEW;
BEGIN
  IF TG_OP = 'INSERT' THEN
    _zanith_old := NOT record_image_eq(ROW({new_olds}), ROW({old_defaults}));
    _zanith_new := NOT record_image_eq(ROW({new_news}), ROW({new_defaults}));
  ELSE
    _zanith_old := NOT record_image_eq(ROW({new_olds}), ROW({old_olds}));
    _zanith_new := NOT record_image_eq(ROW({new_news}), ROW({old_news}));
  END IF;
  IF _zanith_old AND NOT _zanith_new THEN
    IF TG_OP = 'UPDATE' THEN
      SELECT {back} INTO {row_olds} FROM (SELECT NEW.*) AS written;
      _zanith_right := record_image_eq(ROW({row_olds}), ROW({new_olds}));
    END IF;
    IF NOT _zanith_right THEN
      SELECT {forth} INTO {new_news} FROM (SELECT NEW.*) AS written;
    END IF;
  ELSIF _zanith_new AND NOT _zanith_old THEN
    IF TG_OP = 'UPDATE' THEN
      SELECT {forth} INTO {row_news} FROM (SELECT NEW.*) AS written;
      _zanith_right := record_image_eq(ROW({row_news}), ROW({new_news}));
    END IF;
    IF NOT _zanith_right THEN
      SELECT {back} INTO {new_olds} FROM (SELECT NEW.*) AS written;
    END IF;
  ELSIF TG_OP = 'INSERT' AND NOT _zanith_old THEN
    SELECT {back_if_null} INTO {new_olds} FROM (SELECT NEW.*) AS written;
    SELECT {forth_if_null} INTO {new_news} FROM (SELECT NEW.*) AS written;
  END IF;
  RETURN NEW;
END $zanith$"""

_TRIGGER_STATE = """\
SELECT 'done' FROM pg_catalog.pg_trigger
WHERE tgrelid = to_regclass({table}) AND tgname = {name}"""


@dataclass(frozen=True, slots=True)
class Derived:
    """A column of one form, and the SQL expression that makes its value of the other form."""

    column: Column
    value: str

    @property
    def name(self) -> str:
        return self.column.name


@dataclass(frozen=True, slots=True)
class _Forms:
    """Both forms of a table's columns, and the SQL that keeps them right."""

    table: TableName
    old: tuple[Derived, ...]
    new: tuple[Derived, ...]

    def refuse_nonsense(self, kind: str) -> None:
        """Raises `ValueError` for what cannot be kept right."""
        derived = (*self.old, *self.new)
        for item in derived:
            if not isinstance(item, Derived) or not isinstance(item.column, Column):
                raise ValueError(f"{kind} of {self.table}: {item!r} is no Derived(column, value)")
            where = f"{kind} of {self.table}.{item.name}"
            if not isinstance(item.value, str) or not item.value.strip():
                raise ValueError(f"{where}: no SQL expression makes its value of the other form")
            if item.column.generated or item.column.identity:
                raise ValueError(f"{where}: PostgreSQL makes its values, so nobody can write both")
            if volatile(item.column.default):
                raise ValueError(
                    f"{where}: its default {item.column.default} is another for every row, so "
                    "that nobody can tell whether it was written"
                )
        names = [item.name for item in derived]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{kind} of {self.table}: {twice[0]} stands in it twice")

    @property
    def name(self) -> str:
        """Of the trigger and its function."""
        names = ",".join(item.name for item in (*self.old, *self.new))
        return own_name("dual", f"{self.table}:{names}")

    # --- statements ----------------------------------------------------------------------------

    def begin(self, context: Context) -> list[Statement]:
        function = self._function(context)
        trigger = sql.compose(
            "CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION {function}()",
            name=sql.ident(self.name),
            table=context.table(self.table),
            function=function,
        )
        probe = sql.compose(
            _TRIGGER_STATE,
            table=sql.regclass(self.table, context.schema),
            name=sql.literal(self.name),
        )
        return [
            Statement(self._function_text(context), Lock.NONE),
            Statement(
                trigger,
                Lock.SHARE_ROW_EXCLUSIVE,
                (self.table,),
                probe=probe,
                felt=f"trigger {self.name} of {self.table}",
            ),
        ]

    def end(self, context: Context) -> list[Statement]:
        trigger = sql.compose(
            "DROP TRIGGER {name} ON {table}",
            name=sql.ident(self.name),
            table=context.table(self.table),
        )
        function = sql.compose("DROP FUNCTION {it}()", it=self._function(context))
        return [
            Statement(trigger, Lock.ACCESS_EXCLUSIVE, (self.table,)),
            Statement(function, Lock.NONE),
        ]

    def fill_new(self, context: Context) -> Batches:
        """Rows of which nothing is in the new form, while there is something to be."""
        empty = sql.join(
            (sql.clause("{name} IS NULL", name=sql.ident(item.name)) for item in self.new),
            " AND ",
        )
        something = sql.join(
            (sql.clause("({it}) IS NOT NULL", it=_value(item)) for item in self.new), " OR "
        )
        where = sql.clause("{empty} AND ({something})", empty=empty, something=something)
        return update_in_batches(self.table, _assignments(self.new), where, context)

    def fill_old(self, context: Context) -> Batches:
        """Rows whose old form is another than the new one makes it."""
        where = sql.clause(
            "NOT record_image_eq(ROW({olds}), ROW({made}))",
            olds=sql.idents(item.name for item in self.old),
            made=sql.join(
                sql.clause(
                    "({it})::{type}", it=_value(item), type=sql.catalog_text(item.column.type)
                )
                for item in self.old
            ),
        )
        return update_in_batches(self.table, _assignments(self.old), where, context)

    def _function(self, context: Context) -> sql.Composable:
        return sql.qualified(self.table.schema or context.schema, self.name)

    def _function_text(self, context: Context) -> str:
        return sql.compose(
            _FUNCTION,
            function=self._function(context),
            schema=sql.ident(self.table.schema or context.schema),
            new_olds=_fields("NEW", self.old),
            new_news=_fields("NEW", self.new),
            old_olds=_fields("OLD", self.old),
            old_news=_fields("OLD", self.new),
            row_olds=_fields("_zanith_row", self.old),
            row_news=_fields("_zanith_row", self.new),
            old_defaults=_defaults(self.old),
            new_defaults=_defaults(self.new),
            back=sql.join(map(_value, self.old)),
            forth=sql.join(map(_value, self.new)),
            back_if_null=_if_null(self.old),
            forth_if_null=_if_null(self.new),
        )


def _value(item: Derived) -> sql.Composable:
    return sql.catalog_text(item.value)


def _assignments(items: Iterable[Derived]) -> sql.Composable:
    return sql.join(
        sql.clause("{name} = {value}", name=sql.ident(item.name), value=_value(item))
        for item in items
    )


def _fields(record: str, items: Iterable[Derived]) -> sql.Composable:
    return sql.join(
        sql.clause("{record}.{name}", record=sql.keyword(record), name=sql.ident(item.name))
        for item in items
    )


def _defaults(items: Iterable[Derived]) -> sql.Composable:
    return sql.join(
        sql.clause(
            "({default})::{type}",
            default=sql.catalog_text(item.column.default or "NULL"),
            type=sql.catalog_text(item.column.type),
        )
        for item in items
    )


def _if_null(items: Iterable[Derived]) -> sql.Composable:
    return sql.join(
        sql.clause("coalesce({name}, {value})", name=sql.ident(item.name), value=_value(item))
        for item in items
    )


class _DualWrite(OnTable):
    """What splitting and merging have in common: they begin to write both forms."""

    __slots__ = ()
    resumed: bool
    model: str

    @property
    def forms(self) -> _Forms:
        raise NotImplementedError

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return felt_as_a_whole(self._staged(context), self.retreat(context))

    def _staged(self, context: Context) -> tuple[Statement, ...]:
        """The new columns and the trigger at once, then the rows that are there, then what is
        demanded of every row."""
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
        """Its default is for new rows: old ones get their value of the other form."""
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
        """A form that is not made from the start was there before."""
        staged = take_away(self._staged(context), self.tables, context)
        made = () if self.resumed else self.forms.new
        return (*staged, *(drop_column_if_there(self.table, it.name, context) for it in made))

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
    """Makes several columns of one; until `endDualWrite`, code may write either form.

    Each expression stands beside the column whose value it makes: those of `into` read the
    source, that of `source` reads them. `resumed` tells that both forms exist already, and
    that the old one is to follow the new one again.
    """

    kind = "splitColumn"
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
    def forms(self) -> _Forms:
        return _Forms(self.table, (self.source,), self.into)

    @property
    def target(self) -> str:
        return f"{self.table}.{self.source.name}"

    def describe(self) -> str:
        targets = ", ".join(item.name for item in self.into)
        return f"split column {self.target} into {targets}; both forms are kept right"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeColumns(_DualWrite):
    """Makes one column of several; until `endDualWrite`, code may write either form.

    Each expression stands beside the column whose value it makes: that of `into` reads the
    sources, those of `sources` read it. `resumed` is as in `splitColumn`.
    """

    kind = "mergeColumns"
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
    def forms(self) -> _Forms:
        return _Forms(self.table, self.sources, (self.into,))

    @property
    def target(self) -> str:
        return f"{self.table}.{self.into.name}"

    def describe(self) -> str:
        sources = ", ".join(item.name for item in self.sources)
        return f"merge columns {sources} into {self.target}; both forms are kept right"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDualWrite(OnTable):
    """Ends what `splitColumn` or `mergeColumns` began: from now on one form is written.

    `keeps` "new": the old columns stay and are no longer demanded of anybody; `softDropColumn`
    takes them away next. `keeps` "old": the new columns are dropped, the change is off.
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
    def forms(self) -> _Forms:
        return _Forms(self.table, self.old, self.new)

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
        return False  # it ends triggers of ours, which no graph has

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

    def reasons(self, context: Context) -> tuple[str, ...]:
        lost = ("drops_column_with_data",) if self.keeps == "old" else ()
        return (*lost, "breaks_running_code")
