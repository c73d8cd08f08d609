"""The DDL of models by Django's schema editor, and facts that need no DDL."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Columns, IndexColumns, Statement
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.backends.utils import split_identifier
from django.db.models import Field, ForeignKey as ModelForeignKey, Model

from zanith_django.exceptions import UnreadableModel
from zanith_django.postgres.names import TableName
from zanith_django.postgres.sql import NAME_BYTES
from zanith_django.schema.graph import ForeignKey, Index, IndexKey, Table
from zanith_django.schema.object_names import unquote

# The placeholder for the name of a table while its DDL is collected; `TableDDL.under` replaces it.
NEUTRAL = "_zs_table_"

# Replaces the percent sign of a name in text that Django fills parameters into.
_PERCENT = "\ufdd0"


@dataclass(frozen=True, slots=True)
class TableDDL:
    """The DDL of one model's table, written for a table named `NEUTRAL`.

    Its foreign keys and plain indexes are values: PostgreSQL could add nothing to them, and
    creating them takes more than half of the time of all DDL.
    """

    name: TableName
    label: str
    statements: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...]
    indexes: tuple[Index, ...]

    def completed(self, table: Table) -> Table:
        """The table as it was read, with the foreign keys and indexes that are known without
        reading."""
        indexes = (*table.indexes, *self.indexes)
        return replace(table, foreign_keys=self.foreign_keys, indexes=indexes)

    def under(self, name: str) -> tuple[str, ...]:
        """The statements for a table of that name."""
        return tuple(statement.replace(NEUTRAL, name) for statement in self.statements)


class ScratchName(str):
    """The name of the table whose DDL is being collected.

    It equals the real name, so that names derived from it are right and other threads notice
    nothing; only `quote_name` of our editor writes the placeholder for it.
    """

    __slots__ = ()


class CollectingEditor(BaseDatabaseSchemaEditor):
    """Collects the DDL of one model; foreign keys and plain indexes become values.

    It is mixed in before the connection's own editor class, which writes the SQL. It is not used
    with `with`, because leaving that would merge the deferred SQL of several models.
    `default_schema` is that of the connection, `collations` maps each one to whether it is
    deterministic.
    """

    connection: Any
    collected_sql: list[str]
    deferred_sql: list[Any]

    def __init__(
        self, connection: BaseDatabaseWrapper, default_schema: str, collations: Mapping[str, bool]
    ) -> None:
        super().__init__(connection, collect_sql=True, atomic=False)
        plain = self.sql_create_table
        self.sql_create_table = plain.replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1)
        self.default_schema = default_schema
        self.collations = collations
        self.foreign_keys: list[ForeignKey] = []
        self.indexes: list[Index] = []
        self.collecting = False

    def collect(self, model: type[Model]) -> TableDDL:
        """The DDL of one model. Raises `UnreadableModel`, also for DDL that names the table without
        `quote_name`."""
        self.collected_sql, self.deferred_sql = [], []
        self.foreign_keys, self.indexes = [], []
        name = table_name(model, self.default_schema)
        with _scratch_name(model):
            try:
                self.create_model(model)
                deferred = [text for statement in self.deferred_sql if (text := str(statement))]
            except Exception as error:  # of any field, index or constraint of any package
                raise UnreadableModel(model._meta.label, error) from error
        statements = []
        texts = (text.replace(_PERCENT, "%") for text in (*self.collected_sql, *deferred))
        for statement in map(_bare, texts):
            if f'"{NEUTRAL}"' in statement or f'"{name.name}"' not in statement:
                statements.append(statement)
            elif not _makes_triggers_alone(statement):
                # This DDL would lock or change the real table.
                raise UnreadableModel(model._meta.label, f"SQL around quote_name(): {statement}")
        values = tuple(self.foreign_keys), tuple(self.indexes)
        return TableDDL(name, model._meta.label, tuple(statements), *values)

    def create_model(self, model: type[Model]) -> None:
        """Leaves out the many-to-many tables, which Django's own method creates too."""
        if self.collecting:
            return
        self.collecting = True
        try:
            super().create_model(model)
        finally:
            self.collecting = False

    def quote_name(self, name: str) -> str:
        quoted = super().quote_name(NEUTRAL if isinstance(name, ScratchName) else name)
        return quoted.replace("%", _PERCENT)

    def execute(self, sql: Any, params: Any = ()) -> None:
        """Collects as Django does. A text without parameters may contain a percent sign, in a
        comment for instance: if Django fails on it as a placeholder, the text is collected
        unchanged."""
        try:
            super().execute(sql, params)
        except (psycopg.Error, TypeError, ValueError):
            if params:
                raise
            super().execute(sql, None)

    def _create_fk_sql(self, model: type[Model], field: Field[Any, Any], suffix: str) -> Statement:
        made = super()._create_fk_sql(model, field, suffix)  # type: ignore[misc]  # no stub
        if made:
            self.foreign_keys.append(_foreign_key(made, self.default_schema))
        return Statement("")

    def _create_index_sql(self, model: type[Model], **given: Any) -> Statement:
        made = super()._create_index_sql(model, **given)  # type: ignore[misc]  # no stub
        fields = given.get("fields") or ()
        index = _plain_index(made, fields, self.connection)
        if not index:
            return cast(Statement, made)
        self.indexes.append(index)
        return Statement("")

    def _is_collation_deterministic(self, collation_name: str) -> bool | None:
        return self.collations.get(collation_name)


@functools.cache
def _editor_class(base: type[BaseDatabaseSchemaEditor]) -> type[CollectingEditor]:
    return type("CollectingEditor", (CollectingEditor, base), {})


def collect(
    connection: BaseDatabaseWrapper,
    models: Iterable[type[Model]],
    default_schema: str,
    collations: Mapping[str, bool],
) -> Iterable[TableDDL]:
    """The DDL of the models, by an editor on top of the connection's own.

    The editor of a third party takes part and may query the database: with one, everything is
    collected at once. Django's editor queries only `collations`, so its DDL can be collected while
    the connection is busy.
    """
    own = type(connection.schema_editor())
    editor = _editor_class(own)(connection, default_schema, collations)
    collected = map(editor.collect, models)
    return collected if own.__module__.startswith("django.") else list(collected)


def table_name(model: type[Model], default_schema: str) -> TableName:
    """The table of a model; `"schema"."table"` in `db_table` names a schema."""
    return table_of(model._meta.db_table, default_schema)


@functools.lru_cache(maxsize=10_000)
def table_of(db_table: str, default_schema: str) -> TableName:
    """The table that `db_table` names."""
    schema, name = split_identifier(db_table)
    schema = unquote(schema)
    return TableName("" if schema == default_schema else schema, unquote(name))


@contextmanager
def _scratch_name(model: type[Model]) -> Iterator[None]:
    real = model._meta.db_table
    model._meta.db_table = ScratchName(real)
    try:
        yield
    finally:
        model._meta.db_table = real


def _bare(statement: str) -> str:
    return statement.strip().removesuffix(";").rstrip()


# Texts in which a semicolon ends no command; quoted names are matched so that they stay.
_QUOTED = re.compile(
    r"""("[^"]*")|\$(\w*)\$.*?\$\2\$|'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/""", re.DOTALL
)
_OF_TRIGGERS = re.compile(
    r"""CREATE\s+(OR\s+REPLACE\s+)?(CONSTRAINT\s+)?(FUNCTION|TRIGGER)\b
    |DROP\s+(FUNCTION|TRIGGER)\b
    |COMMENT\s+ON\s+(FUNCTION|TRIGGER)\b
    |ALTER\s+TABLE\s+\S+\s+(ENABLE|DISABLE)\s+(ALWAYS\s+|REPLICA\s+)?TRIGGER\s+\S+$""",
    re.IGNORECASE | re.VERBOSE,
)


def _makes_triggers_alone(text: str) -> bool:
    """Does the text only create triggers and their functions? A schema editor of a third party may
    do so with a table. Tables of models are compared without triggers, which are reported as extra.
    """
    bare = _QUOTED.sub(lambda match: match[1] or " ", text)
    commands = (command.strip() for command in bare.split(";"))
    return all(_OF_TRIGGERS.match(command) for command in commands if command)


def _name(quoted: object) -> str:
    return unquote(str(quoted).replace(_PERCENT, "%"))


_ACTION = r"(NO ACTION|RESTRICT|CASCADE|SET (?:NULL|DEFAULT)(?: \([^)]*\))?)"
_ON_DELETE = re.compile(f"ON DELETE {_ACTION}")
_ON_UPDATE = re.compile(f"ON UPDATE {_ACTION}")


def _foreign_key(statement: Statement, default_schema: str) -> ForeignKey:
    """The foreign key that a statement of the schema editor adds."""
    parts: dict[str, Any] = statement.parts
    return ForeignKey(
        name=_name(parts["name"]),
        columns=tuple(map(unquote, parts["column"].columns)),
        references=table_of(str(parts["to_table"].table), default_schema),
        referenced_columns=tuple(map(unquote, parts["to_column"].columns)),
        **_clauses(statement.template.partition("%(to_column)s")[2] % parts),
    )


@functools.lru_cache(maxsize=100)
def _clauses(tail: str) -> Mapping[str, Any]:
    """The clauses after the columns: a project has few different ones."""
    on_delete, on_update = _ON_DELETE.search(tail), _ON_UPDATE.search(tail)
    return {
        "on_delete": on_delete[1] if on_delete else "NO ACTION",
        "on_update": on_update[1] if on_update else "NO ACTION",
        "match": "FULL" if "MATCH FULL" in tail else "SIMPLE",
        "deferrable": _deferrable(tail),
        "valid": "NOT VALID" not in tail,
    }


def _deferrable(tail: str) -> str:
    if "INITIALLY DEFERRED" in tail:
        return "deferred"
    return "immediate" if "DEFERRABLE" in tail and "NOT DEFERRABLE" not in tail else ""


# Types of columns, without a length, that a btree index orders on every server.
_ORDERED = frozenset(
    {"bigint", "boolean", "bytea", "char", "date", "double precision", "inet", "integer"}
    | {"interval", "jsonb", "numeric", "smallint", "text", "time", "time without time zone"}
    | {"timestamp with time zone", "timestamp without time zone", "uuid", "varchar"}
)
_LENGTH = re.compile(r"\(\d+(, ?\d+)?\)$")
_MOST_KEYS = 32


def _plain_index(
    statement: Statement, fields: Sequence[Field[Any, Any]], connection: BaseDatabaseWrapper
) -> Index | None:
    """The index on `fields` that a statement of the schema editor creates. None if it has more than
    a name, columns and the operator class for LIKE, or if the server might refuse it.
    """
    parts: dict[str, Any] = statement.parts
    clauses = [parts.get(part) for part in ("using", "include", "extra", "condition")]
    columns: Any = parts.get("columns")
    name = _name(parts.get("name"))
    if (
        statement.template != DatabaseSchemaEditor.sql_create_index
        or any(clauses)
        or type(columns) not in (Columns, IndexColumns)
        or any(columns.col_suffixes)
        or not 0 < len(fields) <= _MOST_KEYS
        or len(name.encode()) > NAME_BYTES
    ):
        return None
    opclasses = getattr(columns, "opclasses", None) or [""] * len(fields)
    if not all(_has_opclass(*pair, connection) for pair in zip(fields, opclasses, strict=True)):
        return None
    keys = [
        IndexKey(column=unquote(column), opclass=opclass and f"pg_catalog.{opclass}")
        for column, opclass in zip(columns.columns, opclasses, strict=True)
    ]
    return Index(name=name, keys=tuple(keys))


def _has_opclass(field: Field[Any, Any], opclass: str, connection: BaseDatabaseWrapper) -> bool:
    """Does the type of a field's column have this btree operator class, or a default one if
    `opclass` is ""?"""
    if isinstance(field, ModelForeignKey) and not opclass:
        return True
    declared = _LENGTH.sub("", field.db_type(connection) or "")
    virtual = getattr(field, "generated", False)
    return not virtual and declared in _ORDERED and opclass in ("", f"{declared}_pattern_ops")
