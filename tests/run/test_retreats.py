"""A step that stopped in the middle is taken back: nothing of it stays, nothing else goes.

By default of one example of each kind that takes several transactions; `ZANITH_CUTS=all` takes
every example.
"""

from __future__ import annotations

import os

import pytest

from tests.examples import Example, examples
from tests.graphs import differences
from tests.operations.test_contract import begin
from tests.place import Place
from zanith_django.operations.base import Statement
from zanith_django.operations.online.rebuild_swap import SWAP
from zanith_django.run.work import transactions

# What brings something back can only be finished: half of it may be in use already.
ONWARD = ("restoreColumn", "restoreTable")
LONGEST = {"addColumn": 5, "alterColumnType": 10, "rebuildTable": 2, "splitColumn": 2}
STAGED = (
    "addCheck addColumn addForeignKey addIndex addUnique alterColumnNullable alterColumnType "
    "alterPrimaryKey archiveColumn archiveTable mergeColumns rebuildTable splitColumn"
)
CASES = {
    name: example
    for name, example in examples()
    if (kind := name.rpartition("-")[0]) not in ONWARD
    and (
        os.environ.get("ZANITH_CUTS") == "all"
        or (kind in STAGED.split() and name == f"{kind}-{LONGEST.get(kind, 1)}")
    )
}

# Triggers, functions, columns, constraints and tables under names of ours.
OURS = """
SELECT 'trigger', tgname FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', proname FROM pg_proc
UNION ALL SELECT 'column', attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
  WHERE c.relkind = 'r' AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT 'constraint', conname FROM pg_constraint WHERE contype <> 'n'
UNION ALL SELECT 'table', relname FROM pg_class WHERE relkind IN ('r', 'i')
"""
LEFT = f"SELECT * FROM ({OURS}) AS of_all (kind, name) WHERE name ~ '^~?_zanith_' ORDER BY 1, 2"


def returnable(groups: list[list[Statement]]) -> int:
    """How many transactions may be done before there is no way back but the inverse's."""
    swap = [number for number, group in enumerate(groups) if group[0].phase == SWAP]
    return min([len(groups) - 1, *swap])


@pytest.mark.parametrize("last", [False, True], ids=["begun", "almost"])
@pytest.mark.parametrize("example", CASES.values(), ids=CASES)
def test_a_step_that_stopped_leaves_nothing_when_it_is_taken_back(
    place: Place, example: Example, last: bool
) -> None:
    operation, graph = begin(place, example)
    context = place.context(graph)
    groups = list(transactions(operation.statements(context)))
    stop = returnable(groups) if last else 1
    if len(groups) < 2 or (last and stop == 1):
        pytest.skip("it is one transaction, or two")
    before = place.execute(LEFT)
    for group in groups[:stop]:
        place.run(group)

    retreat = operation.retreat(place.context(place.read()))
    assert retreat is not None, f"{operation.kind} has no way back from the middle"
    for _ in range(2):  # as often as one likes
        for group in transactions(retreat):
            place.run(group)

    assert differences(place.read(), graph) == []
    assert place.execute(LEFT) == before
