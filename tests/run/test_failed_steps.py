"""Wherever a step fails, nothing stays that makes queries of others fail, and it can go on.

By default of one example of each kind that takes several transactions; `ZANITH_CUTS=all` takes
every example.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import DataError

from tests.examples import SETUP, Example
from tests.graphs import differences
from tests.operations.test_contract import begin
from tests.place import Place
from tests.run.test_retreats import CASES, returnable
from tests.servers import Database
from zanith_django.ledger.ledger import Ledger
from zanith_django.operations.base import Statement
from zanith_django.postgres.locks import Lock
from zanith_django.run.executor import Executor
from zanith_django.run.work import Attempt, Finish, transactions

BROKEN = Statement("SELECT 1 / 0", Lock.NONE, separate=True)

# What may refuse a row of the tables that were there: constraints, unique indexes and those that
# evaluate something, triggers of ours but for the two kinds that never fail.
FELT = """
SELECT 'constraint', conname::text FROM pg_constraint
WHERE conrelid IN ('t'::regclass, 'p'::regclass)
UNION ALL SELECT 'index', indexrelid::regclass::text FROM pg_index
WHERE indrelid IN ('t'::regclass, 'p'::regclass)
  AND (indisunique OR indpred IS NOT NULL OR indexprs IS NOT NULL)
UNION ALL SELECT 'trigger', tgname FROM pg_trigger JOIN pg_proc f ON f.oid = tgfoid
WHERE tgrelid IN ('t'::regclass, 'p'::regclass) AND NOT tgisinternal
  AND f.proname !~ '^_zanith_(journal|emptied)_' AND f.prosrc !~ 'WHEN OTHERS'
ORDER BY 1, 2
"""


@pytest.fixture
def new_place(ledgered: DatabaseWrapper, fresh_database: Database) -> Iterator[Any]:
    """Makes places in a database with a ledger, in which Django's connection works."""
    with fresh_database.connect() as connection:

        def make() -> Place:
            place = Place(fresh_database, connection)
            place.execute(SETUP)
            with ledgered.cursor() as cursor:
                cursor.execute(f"SET search_path = {place.schema}, public")
            return place

        yield make


@pytest.mark.parametrize("example", CASES.values(), ids=CASES)
def test_a_step_that_fails_anywhere_leaves_nothing_that_others_feel(
    new_place: Any, ledgered: DatabaseWrapper, example: Example
) -> None:
    stop, last = 0, 1
    while stop < last:
        place, stop = new_place(), stop + 1
        operation, graph = begin(place, example)
        statements = operation.statements(place.context(graph))
        groups = list(transactions(statements))
        last = returnable(groups)
        before = place.execute(FELT)
        done = [statement for group in groups[:stop] for statement in group]
        executor = Executor(ledgered, Ledger(ledgered))
        row = Attempt("m1::0001", "m1", place.schema)
        with pytest.raises(DataError, match="division by zero"):
            executor.run(row, [*done, BROKEN], Finish())
        assert place.execute(FELT) == before, f"after {stop} of {len(groups)} transactions"

        again = Attempt("m1::0001.2", "m1", place.schema, resumed=True)
        executor.run(again, statements, Finish())
        assert differences(place.read(), operation.apply_to(graph)) == []
        with ledgered.cursor() as cursor:
            cursor.execute("DELETE FROM public._zanith_migration_checkpoints")
        place.remove()
