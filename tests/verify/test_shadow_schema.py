"""A shadow schema: every operation runs in it as apply runs it, and nothing leaves it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import environ
import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker

from tests.examples import Example, examples
from tests.fingerprint import fingerprint
from tests.graphs import differences
from tests.operations.test_contract import begin
from tests.place import Connection, Place
from tests.servers import Database
from zanith_django.exceptions import ShadowUnsuited
from zanith_django.ledger.ledger import Ledger
from zanith_django.operations.base import Context, Operation
from zanith_django.postgres.session import server_version
from zanith_django.run.audit import working_session
from zanith_django.run.executor import Executor
from zanith_django.run.work import Attempt, Finish
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import SchemaGraph
from zanith_django.verify.shadow import Shadow, in_schema
from zanith_django.verify.shadow_fit import refuse_operation
from zanith_django.verify.shadow_structure import load_live

ALL = list(examples())
EVERY_EXAMPLE = pytest.mark.parametrize(
    "example", [e for _, e in ALL], ids=[name for name, _ in ALL]
)

# Kinds of which some part is outside of the schema of their table, at least sometimes.
LEAVE = {
    *("createExtension", "dropExtension", "createSchema", "createCollation", "dropCollation"),
    *("archiveColumn", "archiveTable", "restoreColumn", "restoreTable", "softDropTable"),
    *("alterColumnType", "rebuildTable", "endDualWrite", "renameTable", "rawSql"),
}

Connect = Callable[[dict[str, object]], DatabaseWrapper]


@pytest.fixture
def connecting(database: Database, django_db_blocker: DjangoDbBlocker) -> Iterator[Connect]:
    """Django's connection of an alias `shadowed` with these settings beside the database's own."""
    address = environ.Env.db_url_config(database.url)
    opened: list[DatabaseWrapper] = []

    def connect(settings: dict[str, object]) -> DatabaseWrapper:
        known = {**connections["default"].settings_dict, **address, **settings}
        opened.append(DatabaseWrapper(known, alias="shadowed"))
        connections["shadowed"] = opened[-1]
        return opened[-1]

    with django_db_blocker.unblock():
        yield connect
        for wrapper in opened:
            wrapper.close()
    if opened:
        del connections["shadowed"]


def run(wrapper: DatabaseWrapper, operation: Operation, graph: SchemaGraph, schema: str) -> None:
    """As a step of apply runs, on tables that count as populated."""
    ledger = Ledger(wrapper)
    ledger.ensure()
    context = Context(server_version(wrapper), schema, graph, migration_id="m1")
    with working_session(wrapper):
        step = Attempt("m1::0001", "m1", schema)
        Executor(wrapper, ledger).run(step, operation.statements(context), Finish())


@EVERY_EXAMPLE
def test_the_shadow_arrives_where_apply_to_says_and_the_live_schema_is_as_it_was(
    place: Place,
    shared_connection: Connection,
    example: Example,
    connecting: Connect,
) -> None:
    operation, graph = begin(place, example)
    before = fingerprint(shared_connection)
    try:
        refuse_operation(operation)
    except ShadowUnsuited:
        assert operation.kind in LEAVE
        return
    live = connecting({"OPTIONS": {"options": f"-c search_path={place.schema}"}})
    try:
        with in_schema(live) as shadow:
            load_live(live, graph, shadow)
            run(connecting(dict(shadow.settings)), operation, graph, shadow.schema)
            assert differences(read(shadow), tables_of(operation.apply_to(graph))) == []
    except ShadowUnsuited as error:
        pytest.skip(str(error))
    finally:
        connections["shadowed"].close()
    assert fingerprint(shared_connection) == before


def read(shadow: Shadow) -> SchemaGraph:
    with shadow.connect() as session:
        return tables_of(
            from_catalog(session.cursor(), schemas=[shadow.schema], default_schema=shadow.schema)
        )


def tables_of(graph: SchemaGraph) -> SchemaGraph:
    return dataclasses.replace(graph, schemas=(), extensions=(), collations=())
