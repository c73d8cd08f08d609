"""What operations do is what they promise: every example of the contract, observed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.examples import SETUP, Example, examples
from tests.place import Place
from tests.servers import Database
from zanith_django.operations.base import Statement
from zanith_django.plan.plan import PlannedStep
from zanith_django.plan.reasons import Level
from zanith_django.plan.risk import Assessment
from zanith_django.postgres.locks import Lock
from zanith_django.run.work import transactions
from zanith_django.verify.observing import SeenStep, Watch
from zanith_django.verify.surprises import Known, Promise, promises, strongest, surprises


def test_no_example_does_more_than_it_promises(
    ledgered: BaseDatabaseWrapper, fresh_database: Database
) -> None:
    connection, database = ledgered, fresh_database
    found: dict[str, list[str]] = {}
    otherwise: set[str] = set()
    for title, example in examples():
        if connection.connection.info.server_version >= example.since:
            place = Place(database, connection.connection)
            try:
                seen, known = _observed(place, connection, example)
                assert seen.step
                promised = promises(seen.step)
                found[title] = [each.message for each in surprises(seen, promised, known)]
                otherwise |= set(_otherwise(seen, promised, known))
            finally:
                place.remove()
    assert "\n".join(f"{title}: {line}" for title in found for line in found[title]) == ""
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()
    explained = {row.rpartition(" | ")[0] for row in page.splitlines() if row.startswith("| `")}
    assert sorted(otherwise - explained) == []


def _otherwise(seen: SeenStep, promised: Sequence[Promise], known: Known) -> Iterator[str]:
    """Rows of the table in docs/verify.md. No session but a run uses what zanith keeps."""
    assert seen.step
    locks = strongest(seen.statements.values())
    observed = {known.names[o][0]: locks[o] for o in locks if ("relation", o, 0) in known.objects}
    for name in {*observed, *(name for promise in promised for name in promise.tables)}:
        fitting = (each.lock for each in promised if not each.tables or name in each.tables)
        limit, taken = max(fitting, default=Lock.NONE), observed.get(name, Lock.NONE)
        if "_zanith_" in name or taken == limit or max(taken, limit) < Lock.ROW_SHARE:
            continue
        yield f"| `{seen.step.operation.kind}` | {limit or 'none'} | {taken or 'none'}"


def _observed(
    place: Place, connection: BaseDatabaseWrapper, example: Example
) -> tuple[SeenStep, Known]:
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
    return watch.steps[0], Known(watch.before, watch.objects.names)


def _run(watch: Watch, connection: BaseDatabaseWrapper, statement: Statement) -> None:
    with watch.statement(statement), connection.cursor() as cursor:
        cursor.execute(statement.sql)
