"""The two forms of columns, and the trigger that keeps them consistent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zanith_django.operations.base import (
    Batches,
    Context,
    Statement,
    own_name,
)
from zanith_django.operations.column_sql import update_in_batches
from zanith_django.operations.online.rewrites import volatile
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column

KEEPS = ("old", "new")

# A form is written when an insert gives it another value than its default, or an update changes
# it. A value that already follows from the other form is right: a fill of rows writes such values,
# and must not recompute the other form. Images compare values of any type byte by byte.
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
    """A column of one form, and the SQL expression that computes its value from the other form."""

    column: Column
    value: str

    @property
    def name(self) -> str:
        return self.column.name


@dataclass(frozen=True, slots=True)
class Forms:
    """Both forms of a table's columns, and the SQL that keeps them consistent."""

    table: TableName
    old: tuple[Derived, ...]
    new: tuple[Derived, ...]

    def refuse_nonsense(self, kind: str) -> None:
        """Raises `ValueError` for forms that cannot be kept consistent."""
        derived = (*self.old, *self.new)
        for item in derived:
            if not isinstance(item, Derived) or not isinstance(item.column, Column):
                raise ValueError(f"{kind} of {self.table}: {item!r} is no Derived(column, value)")
            where = f"{kind} of {self.table}.{item.name}"
            if not isinstance(item.value, str) or not item.value.strip():
                raise ValueError(f"{where}: no SQL expression derives it from the other form")
            if item.column.generated or item.column.identity:
                raise ValueError(f"{where}: PostgreSQL computes it, so no code can write both")
            if volatile(item.column.default):
                raise ValueError(
                    f"{where}: its default {item.column.default} differs for every row, so a "
                    "written value cannot be recognized"
                )
        names = [item.name for item in derived]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{kind} of {self.table}: {twice[0]} is named twice")

    @property
    def name(self) -> str:
        """The name of the trigger and of its function."""
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
            Statement(self._function_text(context), Lock.NONE, makes=(self.name,)),
            Statement(
                trigger,
                Lock.SHARE_ROW_EXCLUSIVE,
                (self.table,),
                probe=probe,
                disruptive=f"trigger {self.name} of {self.table}",
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
        """Fills rows that have no value in the new form, if the old form has one."""
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
        """Updates rows whose old form differs from the one computed from the new form."""
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

    def _function(self, context: Context) -> sql.Fragment:
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


def _value(item: Derived) -> sql.Fragment:
    return sql.catalog_text(item.value)


def _assignments(items: Iterable[Derived]) -> sql.Fragment:
    return sql.join(
        sql.clause("{name} = {value}", name=sql.ident(item.name), value=_value(item))
        for item in items
    )


def _fields(record: str, items: Iterable[Derived]) -> sql.Fragment:
    return sql.join(
        sql.clause("{record}.{name}", record=sql.keyword(record), name=sql.ident(item.name))
        for item in items
    )


def _defaults(items: Iterable[Derived]) -> sql.Fragment:
    return sql.join(
        sql.clause(
            "({default})::{type}",
            default=sql.catalog_text(item.column.default or "NULL"),
            type=sql.catalog_text(item.column.type),
        )
        for item in items
    )


def _if_null(items: Iterable[Derived]) -> sql.Fragment:
    return sql.join(
        sql.clause("coalesce({name}, {value})", name=sql.ident(item.name), value=_value(item))
        for item in items
    )
