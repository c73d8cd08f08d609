"""The arguments and the results of recover's verbs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zanith_django.exceptions import (
    Refused,
)
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.operations.keep.kept import Restore
from zanith_django.plan.obstacles import Obstacle


def silent(words: str) -> None:
    """Prints nothing."""


@dataclass(frozen=True, slots=True)
class Session:
    """How long to wait for another run (None: the setting), and the receiver of its messages."""

    wait: float | None = None
    say: Callable[[str], None] = silent


@dataclass(frozen=True, slots=True)
class Restored:
    """The restored object, and how many rows or values it has; `before`: an earlier run restored
    it."""

    artifact: ArtifactRow
    operation: Restore | None = None
    count: int = 0
    left_off: tuple[Obstacle, ...] = ()

    @property
    def before(self) -> bool:
        return self.operation is None


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The artifacts that a cleanup purged, and the errors of the others."""

    gone: tuple[ArtifactRow, ...] = ()
    failed: tuple[Refused, ...] = ()
