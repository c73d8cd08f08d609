"""Surprises: effects of a step on the shadow that its plan did not promise."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zanith_django.operations.base import KEPT_SCHEMA, to_data
from zanith_django.plan.effects.values import Effect
from zanith_django.plan.plan import PlannedStep
from zanith_django.postgres.locks import Lock
from zanith_django.verify.catalog_objects import SILENT, TABLES, CatalogObject, Key, Named
from zanith_django.verify.observing import SeenStatement, SeenStep

LOCK, DROP, REWRITE = "lock", "drop", "rewrite"

_WORD = re.compile(r'"((?:[^"]|"")+)"|([\w$]+)')


@dataclass(frozen=True, slots=True)
class Surprise:
    """One thing that a step did and its plan did not promise. `what` is lock, drop or rewrite."""

    what: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Promise:
    """A lock that the plan shows for a statement, on these tables or, without any, on any."""

    lock: Lock
    tables: tuple[str, ...] = ()
    rewrites: bool = False
    scans: bool = False


def promises(step: PlannedStep) -> tuple[Promise, ...]:
    """The locks, rewrites and scans that the plan shows for a step: those of the effects that it
    read, and if one of them is opaque, those of the statements too."""
    stated = tuple(
        Promise(each.lock, tuple(map(str, each.tables)), each.rewrites, each.scans)
        for each in step.statements
    )
    if not step.effects:
        return stated
    known = (promise for effect in step.effects for promise in _of_effect(effect))
    return (*known, *(stated if any(effect.opaque for effect in step.effects) else ()))


def _of_effect(effect: Effect) -> Iterator[Promise]:
    for table, lock in effect.locks.items():
        scans = table in effect.work
        yield Promise(lock, (str(table),), table in effect.rewrites, scans)


@dataclass(frozen=True, slots=True)
class Known:
    """The facts before the run: keys of all objects, every name of each table, and the names of the
    tables that hold rows in production; None if that is unknown."""

    objects: Collection[Key]
    names: Mapping[int, Sequence[str]]
    occupied: Collection[str] | None = None

    def in_use(self, oid: int) -> bool:
        """The table existed before the run and may hold rows; no session uses what zanith keeps."""
        kept = self.names[oid][0].startswith(f"{KEPT_SCHEMA}.")
        if kept or ("relation", oid, 0) not in self.objects:
            return False
        return self.occupied is None or any(name in self.occupied for name in self.names[oid])


def surprises(seen: SeenStep, promised: Sequence[Promise], known: Known) -> list[Surprise]:
    """The effects of the step that its plan did not promise."""
    return [
        *_locks(seen, promised, known),
        *_rewrites(seen, promised, known),
        *_drops(seen, known),
    ]


# --- locks ---------------------------------------------------------------------------------------


def strongest(statements: Iterable[SeenStatement]) -> dict[int, Lock]:
    """The strongest lock on each table."""
    found: dict[int, Lock] = {}
    for statement in statements:
        for oid, lock in statement.locks.items():
            found[oid] = max(lock, found.get(oid, Lock.NONE))
    return found


def _locks(seen: SeenStep, promised: Sequence[Promise], known: Known) -> Iterator[Surprise]:
    """Only what makes other sessions wait counts: the others are taken by any query."""
    for oid, lock in strongest(seen.statements.values()).items():
        limit = _promised_lock(promised, known.names[oid])
        if lock > limit and lock.blocks_writes and known.in_use(oid):
            name = known.names[oid][0]
            than = f"the plan promises {limit}" if limit else "the plan promises no lock on it"
            yield Surprise(LOCK, name, f"takes {lock} on {name}, which {lock.effect}; {than}")


def _promised_lock(promised: Iterable[Promise], names: Sequence[str]) -> Lock:
    """A promise that names no table is for any."""
    fitting = (p.lock for p in promised if not p.tables or not set(p.tables).isdisjoint(names))
    return max(fitting, default=Lock.NONE)


# --- rewrites ------------------------------------------------------------------------------------


def _rewrites(seen: SeenStep, promised: Sequence[Promise], known: Known) -> Iterator[Surprise]:
    announced = {table for promise in promised if promise.rewrites for table in promise.tables}
    rewritten = {
        each.it.oid: each.it
        for statement in seen.statements.values()
        for each in statement.rewrites
        if each.it.kind in TABLES
    }
    for oid in rewritten:
        if known.in_use(oid) and announced.isdisjoint(known.names[oid]):
            name = known.names[oid][0]
            message = f"writes {name} into a new file, which the plan does not announce"
            yield Surprise(REWRITE, name, message)


# --- drops ---------------------------------------------------------------------------------------


def _drops(seen: SeenStep, known: Known) -> Iterator[Surprise]:
    """Objects that existed before the run, that neither the operation nor the SQL names."""
    made = {each.words for statement in seen.statements.values() for each in statement.made}
    named = set(_words_of(to_data(seen.step.operation))) if seen.step else set()
    dropped = [
        (statement, each)
        for statement in seen.statements.values()
        for each in statement.dropped
        if each.it.key in known.objects and each.words not in made
    ]
    objects = [each.it for _, each in dropped]
    for statement, each in dropped:
        if _goes_silently(each.it, objects) or _is_named(each, named | words(statement.sql)):
            continue
        yield Surprise(DROP, each.words, f"drops {each.words}, which no operation names")


def _goes_silently(one: CatalogObject, dropped: Iterable[CatalogObject]) -> bool:
    """Does PostgreSQL drop it with its column, without CASCADE? An owned sequence is also dropped
    with its identity."""
    if one.kind == "sequence" and one.relation:
        return True
    if one.kind not in SILENT or not any(one.columns):
        return False
    gone = {each.sub for each in dropped if each.kind == "column" and each.relation == one.relation}
    return {number for number in one.columns if number} <= gone


def _is_named(each: Named, named: Collection[str]) -> bool:
    """By its name with or without a schema; both may contain dots."""
    parts = each.it.name.split(".")
    return any(".".join(parts[start:]) in named for start in range(len(parts)))


def words(text: str) -> set[str]:
    """The names that a text of SQL may contain."""
    found = set()
    for quoted, plain in _WORD.findall(text):
        found |= {quoted.replace('""', '"')} if quoted else {plain, plain.lower()}
    return found


def _words_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        yield from words(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _words_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _words_of(item)
