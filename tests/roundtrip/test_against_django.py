"""Django's own migration of populated tables, and zanith's: the same schema, the same rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.migration import Migration
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ProjectState

from tests.graphs import differences
from tests.place import Place
from tests.roundtrip.django_changes import CHANGES, Change, State
from tests.servers import Database
from zanith_django.diff.differ import HARD
from zanith_django.operations import Operation
from zanith_django.postgres.names import TableName
from zanith_django.schema.equality import as_declared
from zanith_django.schema.graph import Column, SchemaGraph
from zanith_django.schema.models import Declared, from_models
from zanith_django.timeline.states import RecordingState, render
from zanith_django.timeline.walk import Walk

NAMES = ("renameConstraint", "renameIndex")


class Answers(MigrationQuestioner):
    """Somebody who says yes to every rename, and has one value for rows that exist."""

    def __init__(self, answer: Any) -> None:
        super().__init__(dry_run=True)
        self.answer = answer

    def ask_initial(self, *_: Any) -> bool:
        return True

    def ask_rename(self, *_: Any) -> bool:
        return True

    def ask_rename_model(self, *_: Any) -> bool:
        return True

    def ask_not_null_addition(self, *_: Any) -> Any:
        return self.answer

    def ask_not_null_alteration(self, *_: Any) -> Any:
        return self.answer


def migration(name: str, before: State, after: State, answer: Any) -> list[Migration]:
    """What makemigrations would write."""
    old, new = ProjectState(), ProjectState()
    for state, models in ((old, before), (new, after)):
        for model in models:
            state.add_model(model)
    detector = MigrationAutodetector(old, new, Answers(answer))
    found = detector.changes(graph=MigrationGraph(), migration_name=name)
    return list(found.get("made", []))


def by_django(
    connection: DatabaseWrapper, migrations: list[Migration], state: ProjectState
) -> ProjectState:
    for step in migrations:
        with connection.schema_editor(atomic=step.atomic) as editor:
            state = step.apply(state, editor)
    return state


VALUES = {
    "boolean": "true",
    "jsonb": "'{}'",
    "date": "date '2026-01-01' + n",
    "timestamp with time zone": "timestamptz '2026-01-01' + n * interval '1 hour'",
    "interval": "n * interval '1 hour'",
    "daterange": "daterange(date '2026-01-01' + n, date '2026-01-02' + n)",
    "uuid": "md5(n::text)::uuid",
}


def filled(place: Place) -> None:
    """Three rows in every table, all in one transaction: foreign keys wait for its end."""
    with place.connection.transaction():
        for table in place.read().tables:
            columns = [column for column in table.columns if not column.generated]
            values = ", ".join(_value(column) for column in columns)
            names = ", ".join(f'"{column.name}"' for column in columns)
            place.execute(
                f'INSERT INTO "{table.name.name}" ({names}) OVERRIDING SYSTEM VALUE '
                f"SELECT {values} FROM generate_series(1, 3) AS n"
            )


def _value(column: Column) -> str:
    if column.nullable and not column.name.endswith("_id"):
        return "CASE WHEN n = 1 THEN NULL ELSE " + _some(column) + " END"
    return _some(column)


def _some(column: Column) -> str:
    if column.type.endswith("[]"):
        return f"ARRAY[n]::{column.type}"
    return VALUES.get(column.type, f"n::{column.type}")


def rows(place: Place, graph: SchemaGraph, without: frozenset[str]) -> dict[TableName, Any]:
    found = {}
    for table in graph.tables:
        names = sorted(set(table.column_names) - without)
        columns = ", ".join(f'"{name}"::text' for name in names)
        text = f'SELECT {columns} FROM "{table.name.name}"'
        found[table.name] = (names, sorted(map(repr, place.execute(text))))
    return found


def operations(
    connection: DatabaseWrapper, first: list[Migration], then: list[Migration]
) -> list[Operation]:
    walk = Walk(connection, HARD)
    for step in first:
        walk.skip(step)
    return [operation for step in then for operation in walk.operations(step)]


def performed(place: Place, found: list[Operation], migration: str = "m1") -> None:
    graph = place.read()
    for operation in found:
        here = operation.in_names_of(graph)
        if here is not None:
            place.apply(here, place.context(graph, migration=migration))
            graph = here.apply_to(graph)


def declared(connection: DatabaseWrapper, state: ProjectState) -> Declared:
    recording = RecordingState.of(state)
    return from_models(connection, render(recording, recording.models))


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_same_schema_and_rows_as_by_django(
    change: Change, connection: DatabaseWrapper, database: Database
) -> None:
    first = migration("initial", [], change.before(), None)
    then = migration("change", change.before(), change.after(), change.answer)
    assert then
    connection.ensure_connection()
    ours = Place(database, connection.connection)
    theirs = Place(database, connection.connection)
    try:
        old = by_django(connection, first, ProjectState())
        filled(theirs)
        wanted = declared(connection, by_django(connection, then, old.clone()))
        found = theirs.read()
        expected = as_declared(found, wanted.graph, wanted.facts)
        kept = rows(theirs, found, change.random)

        ours.execute(f"SET search_path = {ours.schema}")
        by_django(connection, first, ProjectState())
        filled(ours)
        made = operations(connection, first, then)
        performed(ours, made)
        result = as_declared(ours.read(), wanted.graph, wanted.facts)

        assert differences(result.live, expected.live) == []
        assert differences(result.live, wanted.graph) == []
        assert {e.description for e in result.extras} == {e.description for e in expected.extras}
        assert rows(ours, found, change.random) == kept
        told = change.kinds.split()
        kinds = [made_one.kind for made_one in made]
        assert [kind for kind in kinds if kind in told or kind not in NAMES] == told
    finally:
        ours.remove()
        theirs.remove()
