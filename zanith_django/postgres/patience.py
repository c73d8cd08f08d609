"""How a step waits for a lock that makes other sessions queue: in short attempts, within a budget.
A session that asks for a table after a waiting request waits as well. So each attempt is short, the
pauses between them grow, and the total cost for other sessions is limited in any minute.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW = 60.0  # seconds in which all attempts together may use the whole budget
FIRST, LONGEST = 1 / 20, 1 / 4  # shares of the budget that one attempt may use

PAUSE, LONGEST_PAUSE = 0.5, 30.0
LOOK = 0.25  # seconds between two checks whether the blockers are gone


@dataclass(slots=True)
class Budget:
    """The time for which failed attempts may block other sessions: `seconds` of any `WINDOW`."""

    seconds: float
    spent: deque[tuple[float, float]] = field(default_factory=deque)

    def spend(self, seconds: float) -> None:
        self.spent.append((time.monotonic(), seconds))

    def seconds_until(self, wanted: float) -> float:
        """How long to wait until an attempt of `wanted` seconds is within the budget."""
        now = time.monotonic()
        while self.spent and self.spent[0][0] <= now - WINDOW:
            self.spent.popleft()
        over = sum(seconds for _, seconds in self.spent) + wanted - self.seconds
        for at, seconds in self.spent if over > 1e-6 else ():
            over -= seconds
            if over <= 1e-6:
                return at + WINDOW - now
        return 0.0


def length(number: int, budget: Budget, *, costly: bool) -> float:
    """The lock timeout of this attempt, in seconds. An attempt that is `costly` to repeat gets the
    longest one at once."""
    share = LONGEST if costly else min(FIRST * 2 ** (number - 1), LONGEST)
    return float(budget.seconds * share)


def pause(number: int) -> float:
    """Seconds to wait after this attempt has failed."""
    return float(min(PAUSE * 2 ** (number - 1), LONGEST_PAUSE) * random.uniform(0.8, 1.2))


def wait(seconds: float, blocked: Callable[[], bool]) -> bool:
    """Wait for `seconds`, or until nothing blocks. Returns whether something still blocks."""
    end = time.monotonic() + seconds
    while True:
        still = blocked()
        left = end - time.monotonic()
        if left <= 0 or not still:
            return still
        time.sleep(min(LOOK, left))
