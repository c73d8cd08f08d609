"""The contract of every kind of operation, kept on a real server."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import psycopg
import pytest

from tests.database.examples import EXAMPLES, SETUP, Example, examples
from tests.database.place import Connection, Place
from tests.graphs import differences
from tests.servers import Database
from zanith_django import files
from zanith_django.execute import transactions
from zanith_django.operations import KINDS, Operation
from zanith_django.operations.base import Context, from_data, to_data
from zanith_django.schema.graph import SchemaGraph

NOT_OURS = {"djangoOperation", "runPython"}
ALL = list(examples())
EVERY_EXAMPLE = pytest.mark.parametrize(
    "example", [e for _, e in ALL], ids=[name for name, _ in ALL]
)
EVERY_STATE = pytest.mark.parametrize("fresh", [False, True], ids=["populated", "fresh"])


def begin(place: Place, example: Example) -> tuple[Operation, SchemaGraph]:
    """The operation, and the schema just before it."""
    place.execute(example.setup)
    graph = place.read()
    operation = example.operation(graph)
    if example.undone:
        undo = operation.inverse()
        assert undo is not None
        place.apply(undo, place.context(graph))
        graph = place.read()
    return operation, graph


def context_of(place: Place, graph: SchemaGraph, fresh: bool) -> Context:
    return place.context(graph, fresh=graph.table_names if fresh else ())


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(KINDS) - NOT_OURS
    assert all(EXAMPLES.values())


# --- as values -----------------------------------------------------------------------------------


@EVERY_EXAMPLE
def test_the_inverse_undoes_what_apply_to_does(place: Place, example: Example) -> None:
    operation, graph = begin(place, example)
    inverse = operation.inverse()
    if inverse is None:
        pytest.skip(f"{operation.kind} has no inverse")
    assert differences(inverse.apply_to(operation.apply_to(graph)), graph) == []
    assert inverse.inverse() is not None


@EVERY_EXAMPLE
def test_json_and_a_file_give_the_operation_back(
    place: Place, example: Example, tmp_path: Path
) -> None:
    operation, _ = begin(place, example)
    assert from_data(json.loads(json.dumps(to_data(operation)))) == operation
    path = tmp_path / "20260101_120000_example.py"
    path.write_text(files.render_migration([operation]))
    assert files.load(path, "app").operations == (operation,)


@EVERY_EXAMPLE
def test_the_description_names_what_is_changed(place: Place, example: Example) -> None:
    operation, graph = begin(place, example)
    names = [str(name) for name in operation.tables[:1]] or [operation.target]
    assert all(name in operation.describe() for name in names)
    assert operation.target
    assert not operation.describe().endswith(".")
    assert isinstance(operation.reasons(context_of(place, graph, False)), tuple)


# --- on the server -------------------------------------------------------------------------------


@EVERY_STATE
@EVERY_EXAMPLE
def test_the_catalog_arrives_where_apply_to_says_and_the_inverse_brings_it_back(
    place: Place, example: Example, fresh: bool
) -> None:
    operation, graph = begin(place, example)
    place.apply(operation, context_of(place, graph, fresh))
    after = place.read()
    assert differences(after, operation.apply_to(graph)) == []
    if inverse := operation.inverse():
        place.apply(inverse, context_of(place, after, fresh))
        assert differences(place.read(), graph) == []


@EVERY_STATE
@EVERY_EXAMPLE
def test_locks_and_rewrites_are_those_declared(place: Place, example: Example, fresh: bool) -> None:
    operation, graph = begin(place, example)
    for statement in operation.statements(context_of(place, graph, fresh)):
        measured = place.measured(statement)
        if measured:
            declared = (statement.sql, str(statement.lock), statement.rewrites)
            assert (statement.sql, str(measured.lock), measured.rewrites) == declared


@EVERY_EXAMPLE
def test_a_probe_tells_whether_its_statement_had_finished(place: Place, example: Example) -> None:
    operation, graph = begin(place, example)
    for group in transactions(operation.statements(context_of(place, graph, False))):
        probed = [statement for statement in group if statement.probe]
        assert all(place.probe(statement) != "done" for statement in probed)
        place.run(group)
        assert all(place.probe(statement) == "done" for statement in probed)


@EVERY_STATE
@EVERY_EXAMPLE
def test_a_run_that_was_killed_between_two_transactions_is_resumed(
    database: Database, shared_connection: Connection, example: Example, fresh: bool
) -> None:
    for done in itertools.count(1):
        place = Place(database, shared_connection)
        try:
            place.execute(SETUP)
            operation, graph = begin(place, example)
            statements = operation.statements(context_of(place, graph, fresh))
            groups = list(transactions(statements))
            for group in groups[:done]:
                place.run(group)
            # The last transaction commits together with the step's own `done`.
            if done >= len(groups) and groups[-1][0].transactional:
                break
            place.resume(statements)
            assert differences(place.read(), operation.apply_to(graph)) == []
            if done >= len(groups):
                break
        finally:
            place.remove()


INVALID = [
    example
    for kind in ("addIndex", "addUnique", "alterPrimaryKey")
    for example in EXAMPLES[kind]
    if kind != "alterPrimaryKey" or example is EXAMPLES[kind][0]
]


@pytest.mark.parametrize("example", INVALID)
def test_an_invalid_index_is_a_leftover_that_its_cleanup_removes(
    database: Database, place: Place, example: Example
) -> None:
    operation, graph = begin(place, example)
    statements = operation.statements(context_of(place, graph, False))
    build = statements[0]
    # An open snapshot keeps the build waiting until it is cancelled.
    with database.connect() as reader, reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1")
        place.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            place.execute(build.sql)
        place.execute("RESET statement_timeout")
    assert place.probe(build) == "leftover"
    with pytest.raises(psycopg.errors.DuplicateTable):
        place.execute(build.sql)
    place.execute(build.cleanup)
    assert place.probe(build) == ""
    place.resume(statements)
    assert differences(place.read(), operation.apply_to(graph)) == []
