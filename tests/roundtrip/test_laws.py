"""The laws of the language, with random schemas on a real server."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import (
    HealthCheck,
    currently_in_test_context,
    given,
    note,
    settings,
    strategies as st,
)

from tests.graphs import differences
from tests.place import Connection, Place
from tests.roundtrip.schemas import Change, changes
from tests.servers import Database, Server
from zanith_django.diff.diff import diff
from zanith_django.diff.differ import ARCHIVE
from zanith_django.exceptions import CannotDrop
from zanith_django.operations import AlterColumnType, Context, Operation
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Check,
    Column,
    Exclusion,
    ForeignKey,
    Index,
    IndexKey,
    Policy,
    PrimaryKey,
    SchemaGraph,
    Table,
    Unique,
)


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    name = server.create_database()
    database = Database(name, server.url(name))
    with database.connect() as connection:
        connection.execute("CREATE TYPE public.mood AS ENUM ('sad', 'merry')")
    yield database
    server.drop_database(name)


@pytest.fixture(scope="module")
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as connection:
        yield connection


def folded(operations: tuple[Operation, ...], graph: SchemaGraph) -> SchemaGraph:
    return functools.reduce(lambda graph, operation: operation.apply_to(graph), operations, graph)


def perform(place: Place, operations: list[Operation], graph: SchemaGraph, fresh: bool) -> None:
    """Apply the operations one after the other, as a migration would."""
    for operation in operations:
        quiet = {*graph.table_names, *operation.apply_to(graph).table_names} if fresh else set()
        context = place.context(graph, fresh=quiet)
        if currently_in_test_context():
            note(operation.describe())
        place.apply(_possible(operation, context), context)
        graph = operation.apply_to(graph)


def _possible(operation: Operation, context: Context) -> Operation:
    """What cannot be done beside clients, and says so, is done without any."""
    if "cannot_be_done_online" not in operation.reasons(context):
        return operation
    assert isinstance(operation, AlterColumnType)
    return replace(operation, in_place=True)


def made(place: Place, schema: SchemaGraph) -> SchemaGraph:
    """The schema as PostgreSQL prints it, once it is there."""
    perform(
        place, list(diff(SchemaGraph(schemas=place.read().schemas), schema)), SchemaGraph(), True
    )
    return place.read()


def as_printed(database: Database, connection: Connection, schema: SchemaGraph) -> SchemaGraph:
    place = Place(database, connection)
    try:
        return made(place, schema)
    finally:
        place.remove()


def _operations(before: SchemaGraph, after: SchemaGraph, drop: str) -> tuple[Operation, ...]:
    """Nothing without a key can be archived."""
    try:
        return diff(before, after, drop=drop)
    except CannotDrop:
        if drop != ARCHIVE:
            raise
        return diff(before, after)


def check_laws(database: Database, connection: Connection, change: Change) -> None:
    after = as_printed(database, connection, change.after)
    place = Place(database, connection)
    try:
        before = made(place, change.before)
        operations = _operations(before, after, change.drop)
        assert diff(before, before) == ()
        assert differences(folded(operations, before), after) == []
        perform(place, list(operations), before, change.fresh)
        found = place.read()
        assert differences(found, after) == []
        assert diff(found, after) == ()
        inverses = [operation.inverse() for operation in reversed(operations)]
        undo = [inverse for inverse in inverses if inverse is not None]
        if len(undo) == len(inverses):
            if currently_in_test_context():
                note("--- and back")
            perform(place, undo, found, change.fresh)
            assert differences(place.read(), before) == []
    finally:
        place.remove()


def test_a_difference_leads_where_it_says_and_its_inverses_lead_back(
    database: Database, connection: Connection
) -> None:
    version = connection.info.server_version

    @settings(
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        check_laws(database, connection, data.draw(changes(version)))

    run()


# Going back, these have to be made when both columns are as they were, or PostgreSQL would print
# them with the casts of the time between.
READS_BOTH: dict[str, dict[str, Any]] = {
    "exclusion": {
        "exclusions": (
            Exclusion("t_x", "EXCLUDE USING gist (r WITH &&) WHERE (c > 0 AND d > 0)", ("c", "d")),
        )
    },
    "check": {"checks": (Check("t_c", "(c > 0 AND d > 0)", ("c", "d")),)},
    "index": {
        "indexes": (
            Index("t_i", (IndexKey("id"),), predicate="(c > 0 AND d > 0)", columns=("c", "d")),
        )
    },
    "policy": {"policies": (Policy("p", using="(c > 0 AND d > 0)"),)},
}


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("drop", ["soft", "archive", "hard"])
@pytest.mark.parametrize("part", READS_BOTH)
def test_what_reads_a_column_that_goes_and_one_that_changes_comes_back_as_it_was(
    database: Database, connection: Connection, part: str, drop: str, fresh: bool
) -> None:
    columns = (
        Column("id", "integer", nullable=False),
        Column("d", "integer"),
        Column("r", "int4range"),
    )
    key = PrimaryKey("t_pk", ("id",))
    t = TableName("", "t")
    before = Table(t, (*columns, Column("c", "integer")), key, **READS_BOTH[part])
    changed = [replace(c, type="numeric") if c.name == "d" else c for c in columns]
    after = Table(t, tuple(changed), key)
    schemas = (SchemaGraph(tables=(before,)), SchemaGraph(tables=(after,)))
    check_laws(database, connection, Change(*schemas, fresh=fresh, drop=drop))


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("key", ["unique", "primary key"])
def test_a_foreign_key_to_a_key_with_a_generated_column_is_restored(
    database: Database, connection: Connection, key: str, fresh: bool
) -> None:
    t = TableName("", "t")
    columns = (Column("code", "integer", nullable=False), Column("n", "integer"))
    doubled = Column("g", "numeric", generated="(n * 2)")
    keys: dict[str, Any] = {"uniques": (Unique("t_u", ("code",), include=("g",)),)}
    if key == "primary key":
        keys = {"primary_key": PrimaryKey("t_p", ("code",), include=("g",))}
    itself = ForeignKey("t_f", ("code",), t, ("code",))
    other = Table(
        TableName("", "u"),
        (Column("code", "integer"),),
        foreign_keys=(ForeignKey("u_f", ("code",), t, ("code",)),),
    )
    before = Table(t, (*columns, doubled), foreign_keys=(itself,), **keys)
    changed = tuple(replace(c, type="bigint") if c.name == "n" else c for c in before.columns)
    after = replace(before, columns=changed)
    schemas = (SchemaGraph(tables=(before, other)), SchemaGraph(tables=(after, other)))
    check_laws(database, connection, Change(*schemas, fresh=fresh, drop="soft"))
