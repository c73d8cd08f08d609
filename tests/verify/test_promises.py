"""What operations do is what they promise: every example of the contract, observed."""

from __future__ import annotations

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.examples import SETUP, Example, examples
from tests.place import Place
from tests.servers import Database
from zanith_django.operations.base import Statement
from zanith_django.plan.plan import PlannedStep
from zanith_django.plan.reasons import Level
from zanith_django.plan.risk import Assessment
from zanith_django.run.work import transactions
from zanith_django.verify.observing import Watch
from zanith_django.verify.surprises import Known, promises, surprises


def test_no_example_does_more_than_it_promises(
    ledgered: BaseDatabaseWrapper, fresh_database: Database
) -> None:
    connection, database = ledgered, fresh_database
    found = {}
    for title, example in examples():
        if connection.connection.info.server_version >= example.since:
            place = Place(database, connection.connection)
            try:
                found[title] = _observed(place, connection, example)
            finally:
                place.remove()
    assert "\n".join(f"{title}: {line}" for title in found for line in found[title]) == ""


def _observed(place: Place, connection: BaseDatabaseWrapper, example: Example) -> list[str]:
    """What the example does beyond its promise."""
    place.execute(SETUP)
    place.execute(example.setup)
    graph = place.read()
    operation = example.operation(graph)
    if example.undone:
        undo = operation.inverse()
        assert undo is not None
        place.apply(undo, place.context(graph))
        graph = place.read()
    statements = operation.statements(place.context(graph))
    watch = Watch(connection)
    watch.start()
    step = PlannedStep(1, operation, Assessment(Level.SAFE), statements)
    watch.begin("m", 1, step)
    for group in transactions(statements):
        if group[0].transactional:
            with transaction.atomic(connection.alias):
                for statement in group:
                    _run(watch, connection, statement)
        else:
            _run(watch, connection, group[0])
    known = Known(watch.before, watch.objects.names)
    return [each.message for each in surprises(watch.steps[0], promises(step), known)]


def _run(watch: Watch, connection: BaseDatabaseWrapper, statement: Statement) -> None:
    with watch.statement(statement), connection.cursor() as cursor:
        cursor.execute(statement.sql)
