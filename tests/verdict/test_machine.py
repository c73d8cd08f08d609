"""Random migrations on a real server: whatever a run takes away, blocks or fails on, the plan had
said before.

`pytest --hypothesis-profile nightly tests/verdict` tries many more.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings, strategies as st

from tests.servers import Server
from tests.verdict.author import Author
from tests.verdict.base import Base
from tests.verdict.example import EXTRAS, Example

NIGHTLY = settings().max_examples > 100
SHRINKS = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)


@pytest.fixture(scope="module")
def base(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    made = Base(server, tmp_path_factory.mktemp("machine"))
    yield made
    made.close()


@st.composite
def examples(draw: st.DrawFn) -> Example:
    author = Author(draw(st.randoms(use_true_random=False)))
    migrations = [tuple(author.operations(draw(st.integers(1, 3)))) for _ in range(2)]
    count = draw(st.sampled_from((1, 1, 2)))
    return Example(
        tuple(migrations[:count]),
        rows=draw(st.sampled_from((40, 40, 40, 0))),
        dirty=draw(st.booleans()),
        extras=tuple(sorted(draw(st.sets(st.sampled_from(sorted(EXTRAS)), max_size=2)))),
        covered_after=draw(st.sampled_from(("", "0001_initial", "0002_case")[: count + 1])),
        drop=draw(st.sampled_from(("soft", "archive", "hard"))),
        atomic=draw(st.sampled_from((True, True, True, False))),
    )


@settings(
    max_examples=500 if NIGHTLY else 10,
    deadline=None,
    derandomize=not NIGHTLY,  # CI fails for what was changed, not for what it happens to find
    suppress_health_check=list(HealthCheck),
    phases=SHRINKS if NIGHTLY else SHRINKS[:3],
)
@given(example=examples())
def test_a_plan_says_what_its_run_does(example: Example, base: Base) -> None:
    note(str(example))
    assert base.tried(example) == []
