"""The contract of every kind of operation, kept on a real server."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.examples import EXAMPLES, SETUP, Example, examples
from tests.graphs import differences
from tests.operations.answers import ANSWERED
from tests.place import Connection, Place
from tests.servers import Database
from zanith_django.files import files
from zanith_django.operations import KINDS, Operation
from zanith_django.operations.base import QUESTIONS, Context, Statement, from_data, to_data
from zanith_django.plan.effects.statements import effects
from zanith_django.plan.effects.values import Scene
from zanith_django.plan.reasons import REASONS
from zanith_django.plan.shown import read
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.run.work import transactions
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.parts import CHANGED, COLUMNS, NAMED

NOT_OURS = {"djangoOperation", "runPython"}
ALL = list(examples())
EVERY_EXAMPLE = pytest.mark.parametrize(
    "example", [e for _, e in ALL], ids=[name for name, _ in ALL]
)
EVERY_STATE = pytest.mark.parametrize("fresh", [False, True], ids=["populated", "fresh"])


def begin(place: Place, example: Example) -> tuple[Operation, SchemaGraph]:
    """The operation, and the schema just before it."""
    if place.connection.info.server_version < example.since:
        pytest.skip(f"PostgreSQL {example.since // 10000} has it")
    place.execute(example.setup)
    graph = place.read()
    operation = example.operation(graph)
    if example.undone:
        undo = operation.inverse()
        assert undo is not None
        place.apply(undo, place.context(graph))
        graph = place.read()
    return operation, graph


_VALUES: dict[int, tuple[Operation, SchemaGraph]] = {}


@pytest.fixture
def value(
    database: Database, shared_connection: Connection, example: Example
) -> tuple[Operation, SchemaGraph]:
    """The operation of an example and the schema just before it, read once for all tests."""
    if id(example) not in _VALUES:
        place = Place(database, shared_connection)
        try:
            place.execute(SETUP)
            _VALUES[id(example)] = begin(place, example)
        finally:
            place.remove()
    return _VALUES[id(example)]


def context_of(place: Place, graph: SchemaGraph, fresh: bool) -> Context:
    return place.context(graph, fresh=graph.table_names if fresh else ())


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(KINDS) - NOT_OURS
    assert all(EXAMPLES.values())


# --- as values -----------------------------------------------------------------------------------


@EVERY_EXAMPLE
def test_the_inverse_undoes_what_apply_to_does(value: tuple[Operation, SchemaGraph]) -> None:
    operation, graph = value
    inverse = operation.inverse()
    if inverse is None:
        pytest.skip(f"{operation.kind} has no inverse")
    assert differences(inverse.apply_to(operation.apply_to(graph)), graph) == []
    assert inverse.inverse() is not None


@EVERY_EXAMPLE
def test_json_and_a_file_give_the_operation_back(
    value: tuple[Operation, SchemaGraph], tmp_path: Path
) -> None:
    operation, _ = value
    assert from_data(json.loads(json.dumps(to_data(operation)))) == operation
    path = tmp_path / "20260101_120000_example.py"
    path.write_text(files.render_migration([operation]))
    assert files.load(path, "app").operations == (operation,)


@EVERY_EXAMPLE
def test_the_description_names_what_is_changed(value: tuple[Operation, SchemaGraph]) -> None:
    operation, graph = value
    names = [str(name) for name in operation.tables[:1]] or [operation.target]
    assert all(name in operation.describe() for name in names)
    assert operation.target
    assert not operation.describe().endswith(".")
    assert set(operation.reasons(Context(graph=graph))) <= set(REASONS)


@EVERY_EXAMPLE
def test_the_reasons_say_what_the_statements_do(value: tuple[Operation, SchemaGraph]) -> None:
    operation, graph = value
    context = Context(graph=graph)
    statements, reasons = operation.statements(context), operation.reasons(context)
    assert any(s.rewrites for s in statements) == ("rewrites_table" in reasons)
    blocking = [s.lock for s in statements if s.scans and s.lock.blocks_writes and not s.rewrites]
    if any(lock.blocks_reads for lock in blocking):
        assert "locks_reads" in reasons
    elif blocking:
        assert {"locks_writes", "locks_reads"} & set(reasons)


@EVERY_EXAMPLE
def test_a_plan_reads_in_the_sql_what_the_operation_declares(
    value: tuple[Operation, SchemaGraph],
) -> None:
    operation, graph = value
    at = Scene(graph, graph.default_schema, 150000)
    for statement in operation.statements(Context(graph=graph, schema=graph.default_schema)):
        plain = type(statement) is Statement and not statement.raw
        found = read([statement], at) if plain else ()
        at = dataclasses.replace(at, graph=effects(statement.sql, at)[1])
        locks = [effect.locks.get(name, Lock.NONE) for effect in found for name in statement.tables]
        assert not locks or max(locks) == statement.lock, statement.sql
        rewritten = {name for effect in found for name in effect.rewrites}
        assert not found or bool(rewritten.intersection(statement.tables)) == statement.rewrites


def answered(kind: type[Operation]) -> set[str]:
    """The questions that a kind, or a family of kinds that it belongs to, answers itself."""
    families = [family for family in kind.__mro__ if family not in (Operation, object)]
    return {name for name in QUESTIONS if any(name in family.__dict__ for family in families)}


def test_every_kind_decides_about_every_question() -> None:
    found = {name: answered(kind) for name, kind in KINDS.items()}
    assert found == {name: set(answers.split()) for name, answers in ANSWERED.items()}


PARTS = [part.field for part in (COLUMNS, *CHANGED)]


def pieces_of(graph: SchemaGraph) -> dict[tuple[TableName, str, str], Any]:
    keys = {(t.name, "primary_key", t.primary_key.name): t for t in graph.tables if t.primary_key}
    return keys | {
        (table.name, part, item.name): item
        for table in graph.tables
        for part in PARTS
        for item in getattr(table, part)
    }


@EVERY_EXAMPLE
def test_what_it_adds_is_what_the_schema_has_more_afterwards(
    value: tuple[Operation, SchemaGraph],
) -> None:
    operation, graph = value
    if operation.renames_only:
        pytest.skip("a part under another name is not a new one")
    after = operation.apply_to(graph)
    created = [table for table in after.tables if table.name not in graph]
    assert created == [table for table in [operation.creates_table] if table]
    before = pieces_of(graph)
    more = {
        key: item
        for key, item in pieces_of(after).items()
        if key not in before and key[0] in graph and key[1] in PARTS
    }
    assert {(p.table, p.part.field, p.name): p.item for p in operation.pieces} == more


@EVERY_EXAMPLE
def test_what_it_renames_is_all_that_it_changes(value: tuple[Operation, SchemaGraph]) -> None:
    operation, graph = value
    before, after = pieces_of(graph), pieces_of(operation.apply_to(graph))
    if operation.renames_only:
        assert len(before) == len(after)
        assert before != after
    else:
        inverse = operation.inverse()
        assert not (inverse and inverse.renames_only)


@EVERY_EXAMPLE
def test_a_drop_for_good_names_what_it_loses_and_the_drop_that_keeps_it(
    value: tuple[Operation, SchemaGraph],
) -> None:
    operation, graph = value
    loss, kept = operation.loses, operation.keeping(graph)
    if loss is None:
        assert kept is None
        return
    assert graph.table(loss.table)
    if loss.column and loss.column.generated:
        assert kept is None
        return
    assert kept is not None
    assert kept.recoverable
    assert differences(kept.apply_to(graph), operation.apply_to(graph)) == []


@EVERY_EXAMPLE
def test_a_step_that_is_done_already_is_recognized_by_the_kinds_that_take_names_of_the_database(
    value: tuple[Operation, SchemaGraph],
) -> None:
    operation, graph = value
    after = operation.apply_to(graph)
    if "in_names_of" in answered(type(operation)) and (operation.pieces or operation.creates_table):
        assert operation.is_in(after)
    assert not operation.is_in(graph)


@EVERY_EXAMPLE
def test_a_drop_finds_a_constraint_or_index_under_another_name(
    value: tuple[Operation, SchemaGraph],
) -> None:
    operation, graph = value
    after = pieces_of(operation.apply_to(graph))
    gone = [key for key in pieces_of(graph) if key not in after]
    found_by_look = [part.field for part in NAMED if part.renamed]
    if len(gone) != 1 or gone[0][1] not in found_by_look or operation.renames_only:
        pytest.skip("it does not drop one constraint or index")
    table, part, name = gone[0]
    other = dataclasses.replace(pieces_of(graph)[gone[0]], name="another_name")
    live = graph.changed(table, lambda t: t.with_item(part, other, name))
    found = operation.in_names_of(live)
    assert found is not None
    assert (table, part, "another_name") not in pieces_of(found.apply_to(live))


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
def test_a_probe_shows_whether_its_statement_had_finished(place: Place, example: Example) -> None:
    operation, graph = begin(place, example)
    for group in transactions(operation.statements(context_of(place, graph, False))):
        probed = [statement for statement in group if statement.probe]
        assert all(place.probe(statement) != "done" for statement in probed)
        place.run(group)
        assert [s.sql for s in probed if place.probe(s) != "done"] == []


@EVERY_STATE
@EVERY_EXAMPLE
def test_a_run_that_was_killed_between_two_transactions_is_resumed(
    database: Database,
    shared_connection: Connection,
    example: Example,
    value: tuple[Operation, SchemaGraph],
    fresh: bool,
) -> None:
    for done in range(1, _cuts(*value, fresh=fresh, connection=shared_connection) + 1):
        place = Place(database, shared_connection)
        try:
            place.execute(SETUP)
            operation, graph = begin(place, example)
            statements = operation.statements(context_of(place, graph, fresh))
            for group in list(transactions(statements))[:done]:
                place.run(group)
            place.resume(statements, done)
            assert differences(place.read(), operation.apply_to(graph)) == []
        finally:
            place.remove()


def _cuts(operation: Operation, graph: SchemaGraph, *, fresh: bool, connection: Connection) -> int:
    """After how many transactions a run can be killed and be unfinished: the last one of a step,
    where it is one, commits together with what the ledger says of it."""
    names = frozenset(graph.table_names if fresh else ())
    version = connection.info.server_version
    context = Context(server_version=version, graph=graph, fresh=names)
    groups = list(transactions(operation.statements(context)))
    return len(groups) - groups[-1][0].transactional


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
