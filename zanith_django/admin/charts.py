"""Bars of a small chart, in the units of its SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST = 10
ROW, LONGEST = 22, 200


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label and value, and where it lies."""

    label: str
    value: float
    y: int
    width: int

    @property
    def text_y(self) -> int:
        return self.y + 13

    @property
    def text_x(self) -> int:
        return 250 + self.width


@dataclass(frozen=True, slots=True)
class Chart:
    """All bars, and the height that they take."""

    bars: tuple[Bar, ...]

    @property
    def height(self) -> int:
        return ROW * len(self.bars)


def chart_of(values: Sequence[tuple[str, float]]) -> Chart | None:
    """The first few, in order; the longest fills the width. None without values."""
    if not values:
        return None
    largest = max(value for _, value in values) or 1
    return Chart(
        tuple(
            Bar(_short(label), value, n * ROW, max(round(LONGEST * max(value, 0) / largest), 1))
            for n, (label, value) in enumerate(values[:MOST])
        )
    )


def _short(label: str) -> str:
    """The end of a long label distinguishes it from others: the beginning is often a date."""
    return label if len(label) <= 34 else f"…{label[-33:]}"
