"""The budget of waits for locks: short tries, and never more than it in any minute."""

from __future__ import annotations

import pytest

from zanith_django.postgres import patience
from zanith_django.postgres.patience import WINDOW, Budget, length


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock whose only item is the time."""
    now = [100.0]
    monkeypatch.setattr("zanith_django.postgres.patience.time.monotonic", lambda: now[0])
    return now


def test_tries_grow_from_a_twentieth_to_a_quarter_of_the_budget() -> None:
    budget = Budget(2.0)
    assert [length(n, budget, costly=False) for n in (1, 2, 3, 4, 9)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    assert length(1, budget, costly=True) == 0.5


def test_tries_that_fit_in_need_not_wait(clock: list[float]) -> None:
    budget = Budget(2.0)
    for _ in range(4):
        assert budget.seconds_until(0.5) == 0
        budget.spend(0.5)
    assert budget.seconds_until(0.5) == WINDOW


def test_what_was_spent_counts_for_a_minute(clock: list[float]) -> None:
    budget = Budget(2.0)
    budget.spend(0.4)
    clock[0] += 20
    budget.spend(1.5)
    assert budget.seconds_until(0.5) == 40
    assert budget.seconds_until(1.0) == WINDOW
    clock[0] += 40
    assert budget.seconds_until(0.5) == 0


def test_nothing_is_allowed_by_a_try_that_is_longer_than_the_budget(clock: list[float]) -> None:
    budget = Budget(0.0)
    assert budget.seconds_until(0.5) == 0  # there is nothing to wait for


def test_a_wait_ends_when_nothing_is_in_the_way_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LOOK", 0.01)
    left = iter([True, True, False])
    assert not patience.wait(60, lambda: next(left))
    assert patience.wait(0.02, lambda: True)
