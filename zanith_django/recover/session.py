"""The arguments and the results of recover's verbs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from zanith_django.exceptions import (
    Refused,
)
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.operations.keep.kept import Restore
from zanith_django.plan.gates import Policy
from zanith_django.plan.obstacles import Obstacle


def silent(words: str) -> None:
    """Prints nothing."""


@dataclass(frozen=True, slots=True)
class Session:
    """How long to wait for another run (None: the setting), and the receiver of its messages.
    `policy` is what the gates allow; by default the settings, which do not allow a purge."""

    wait: float | None = None
    say: Callable[[str], None] = silent
    policy: Policy = field(default_factory=Policy.of)


@dataclass(frozen=True, slots=True)
class Restored:
    """The restored object and the number of its rows or values. With `before`, an earlier run
    restored it."""

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
