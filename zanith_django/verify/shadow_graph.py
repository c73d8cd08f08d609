"""Makes the structure of a shadow from a graph and its surroundings, by operations of ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import psycopg

from zanith_django.diff.diff import diff
from zanith_django.exceptions import ShadowUnsuited
from zanith_django.operations.base import Context
from zanith_django.operations.extensions import make_schema
from zanith_django.postgres import sql
from zanith_django.postgres.grammar import parse, strings, walk
from zanith_django.postgres.session import without_event_triggers
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import LONE_SEQUENCE, Column, SchemaGraph, Table
from zanith_django.schema.surroundings import Surrounding
from zanith_django.verify import tablespaces
from zanith_django.verify.shadow import Shadow
from zanith_django.verify.shadow_names import Session, first_line


def load_graph(
    graph: SchemaGraph, shadow: Shadow, others: Sequence[Surrounding] | None = None
) -> None:
    """Make the tables, and what they need. `others` is what the graph does not have; None if that
    is not known. Raises `ShadowUnsuited`."""
    for each in others or ():
        if not each.sql:
            raise ShadowUnsuited(shadow.name, each.name, _HINT)
    with shadow.connect() as session:
        try:
            _make_graph(session, graph, shadow.schema, others)
        except psycopg.Error as error:
            hint = "" if shadow.schema else _HINT
            raise ShadowUnsuited(shadow.name, f"the tables: {first_line(error)}", hint) from error
        except _Unmade as error:
            raise ShadowUnsuited(shadow.name, str(error), _HINT) from error


_HINT = (
    "pg_dump makes it: run zanith_verify without --from on a copy of the structure, with pg_dump "
    "of the server's version. A file of an earlier release lacks types and functions: write it "
    "again with zanith_diff live --format graph."
)


def _make_graph(
    session: Session, graph: SchemaGraph, inside: str, others: Sequence[Surrounding] | None
) -> None:
    """A sequence by itself is one of `others`; without these, one is made for its column."""
    schema, version = inside or graph.default_schema, session.info.server_version
    graph = tablespaces.of_graph(graph, tablespaces.usable(session))
    if inside:
        graph = dataclasses.replace(graph, extensions=(), collations=(), schemas=())
    bare = dataclasses.replace(graph, tables=())
    # Their functions may need tables that are not there yet.
    session.execute(without_event_triggers(local=False).encode())
    _run(session, _schema_of(schema))
    _run(session, _with_their_schemas(graph))
    installed = SchemaGraph(extensions=graph.extensions)
    _run(session, creation(installed, bare, version, schema))
    left = _make_others(session, others or ())
    if others is None:
        for name in () if inside else _named_sequences(graph):
            session.execute(f"CREATE SEQUENCE IF NOT EXISTS {name}".encode())
    tables = _with_owners(graph) if others is None else graph
    _run(session, creation(bare, tables, version, schema))
    if others is None:
        _disown(session, graph, schema)
    _run(session, _attached(tables, schema))
    if unmade := _make_others(session, left):
        raise _Unmade(*unmade.popitem())


def _with_their_schemas(graph: SchemaGraph) -> Iterator[str]:
    """The extensions. A migration names none of these schemas, so no operation does."""
    for extension in graph.extensions:
        yield make_schema(extension.schema).sql
        yield sql.compose(
            "CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA {schema} CASCADE",
            name=sql.ident(extension.name),
            schema=sql.ident(extension.schema),
        )


def _attached(graph: SchemaGraph, schema: str) -> Iterator[str]:
    """Operations make a partition as a table of its own."""
    for table in graph.tables:
        name = sql.table(table.name, schema)
        if table.partition_of:
            yield sql.compose(
                "ALTER TABLE {parent} ATTACH PARTITION {name} {bound}",
                parent=sql.table(table.partition_of, schema),
                name=name,
                bound=sql.catalog_text(table.partition_bound),
            )
        for parent in table.inherits:
            yield sql.compose(
                "ALTER TABLE {name} INHERIT {parent}", name=name, parent=sql.table(parent, schema)
            )


class _Unmade(Exception):
    """PostgreSQL refuses an object."""

    def __init__(self, what: Surrounding, error: psycopg.Error) -> None:
        super().__init__(f"{what.name}: {first_line(error)}")


def _make_others(
    session: Session, wanted: Iterable[Surrounding]
) -> dict[Surrounding, psycopg.Error]:
    """Make what can be made by now, in as many rounds as it takes; returns the others."""
    session.execute(b"SET check_function_bodies = off")
    todo, left = tuple(wanted), dict[Surrounding, psycopg.Error]()
    while todo:
        left = {}
        for each in todo:
            try:
                with session.transaction():
                    session.execute(each.sql.encode())
            except psycopg.Error as error:
                left[each] = error
        if len(left) == len(todo):
            break
        todo = tuple(left)
    return left


def _run(session: Session, texts: Iterable[str]) -> None:
    for text in texts:
        session.execute(text.encode())


def _schema_of(name: str) -> Iterator[str]:
    if name != "public":
        yield make_schema(name).sql


def _named_sequences(graph: SchemaGraph) -> Iterator[sql.Fragment]:
    """Sequences that belong to no key, which a graph has only by their name in a default."""
    defaults = (column.default for table in graph.tables for column in table.columns)
    for default in filter(None, defaults):
        parsed = [node for _, node in parse(f"SELECT {default}") or ()]
        calls = (inner for name, inner in walk(parsed) if name == "FuncCall")
        for call in calls:
            if strings(call["funcname"])[-1] == "nextval":
                constants = (inner for name, inner in walk(call["args"]) if name == "A_Const")
                texts = (each["sval"]["sval"] for each in constants if "sval" in each)
                yield from map(sql.catalog_text, texts)


def _lone(table: Table) -> Iterator[Column]:
    """The columns of which no column owns the sequence: its name is part of their default."""
    return (column for column in table.columns if column.sequence == LONE_SEQUENCE)


def _with_owners(graph: SchemaGraph) -> SchemaGraph:
    """A sequence that a column owns where none does: one of the shadow's own has to be made."""
    for table in graph.tables:
        for column in _lone(table):
            owner = dataclasses.replace(column, identity="serial", default=None, sequence="")
            graph = graph.with_table(table := table.with_item("columns", owner))
    return graph


def _disown(session: Session, graph: SchemaGraph, schema: str) -> None:
    for table in graph.tables:
        name = sql.table(table.name, schema)
        for column in _lone(table):
            query = "SELECT pg_get_serial_sequence(%s, %s)"
            (sequence,) = session.execute(query, [name, column.name]).fetchone() or ("",)
            session.execute(f"ALTER SEQUENCE {sql.catalog_text(sequence)} OWNED BY NONE".encode())


def refuse_inexact(graph: SchemaGraph, shadow: Shadow) -> None:
    """Raises `ShadowUnsuited` unless the tables are what they should be: an invalid index, a
    partition or a trigger is nothing that operations make."""
    schema = shadow.schema or graph.default_schema
    inside = [schema] if shadow.schema else None
    with shadow.connect() as session:
        made = from_catalog(session.cursor(), schemas=inside, default_schema=schema)
        graph = tablespaces.of_graph(graph, tablespaces.usable(session))
    for table in graph.tables:
        found = made.table(table.name)
        if found is None or _comparable(found) != _comparable(table):
            raise ShadowUnsuited(shadow.name, f"table {table.name} exactly as it is")


def _comparable(table: Table) -> Table:
    """The table without the names of its lone sequences."""
    for column in _lone(table):
        table = table.with_item("columns", dataclasses.replace(column, default=None))
    return table


def creation(before: SchemaGraph, after: SchemaGraph, version: int, schema: str) -> Iterator[str]:
    """The SQL that makes what only the second has."""
    context = Context(
        server_version=version, schema=schema, fresh=frozenset(after.table_names), graph=after
    )
    for operation in diff(before, after):
        for statement in operation.statements(context):
            yield statement.sql
