"""The names for which SQL of an author, or of Django, fails, as what is in the way of its step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from zanith_django.plan.collisions import Collision
from zanith_django.plan.effects.values import Effect
from zanith_django.schema.dependents import Dependent

TAKEN = "exists_already"
_REMEDIES = {
    "missing_table": "correct the name of the table",
    "missing_object": "correct the name, or write IF EXISTS",
    TAKEN: "rename or drop it first, or write another name",
    "dependent_objects": "drop it first, or change both in one statement",
}
_SHOWN = "look at it before it runs"


def missed(effects: Iterable[Effect]) -> Iterator[Collision]:
    """The collisions of missing and taken names: certain ones block the step, others are shown."""
    for miss in dict.fromkeys(miss for effect in effects for miss in effect.misses):
        remedy = _REMEDIES.get(miss.code, _SHOWN)
        named = Dependent("object", miss.what)
        yield Collision(miss.what, remedy, named, blocked=bool(miss.code), reason=miss.code)


def without_misses(effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """The effects without missing and taken names, for a step that an earlier run began: they may
    be the work of that run."""
    return tuple(replace(effect, misses=()) if effect.misses else effect for effect in effects)
