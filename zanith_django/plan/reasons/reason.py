"""The value of a reason: why an operation is risky, and what to do instead."""

from __future__ import annotations

from dataclasses import dataclass

from zanith_django.plan.levels import Level

_MANUAL = "https://www.postgresql.org/docs/current"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `effect` is what happens to readers, writers and the running release, `safer`
    what to do instead, `manual` a page of PostgreSQL's manual, with its anchor. It is left out
    beside a reason of `unless`, which says the opposite."""

    code: str
    level: Level
    title: str
    effect: str
    safer: str
    manual: str
    unless: frozenset[str] = frozenset()

    @property
    def url(self) -> str:
        page, _, anchor = self.manual.partition("#")
        return f"{_MANUAL}/{page}.html{anchor and '#'}{anchor}"

    @property
    def page(self) -> str:
        return f"docs/reasons/{self.code}.md"
