"""The observations of a run on a shadow, as the JSON data of zanith_verify."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from zanith_django.plan.observed import digest
from zanith_django.verify.catalog_objects import Named
from zanith_django.verify.observing import ROWS, SeenStatement, SeenStep, Watch
from zanith_django.verify.surprises import Known, Promise, promises, strongest, surprises


def observations(watch: Watch, occupied: Collection[str] | None) -> list[dict[str, Any]]:
    """Every step that ran, in order. `occupied` are the tables that hold rows in production, None
    if that is unknown."""
    known = Known(watch.before, watch.objects.names, occupied)
    return [_step(seen, _promised(seen, watch.steps), known) for seen in _last(watch.steps)]


def _last(steps: Iterable[SeenStep]) -> list[SeenStep]:
    """The last attempt of each step: a Django migration is retried as a whole."""
    return list({(seen.migration, seen.number): seen for seen in steps}.values())


def _promised(seen: SeenStep, steps: Iterable[SeenStep]) -> tuple[Promise, ...]:
    """What the plan shows; SQL that Django deferred belongs to all steps of its migration."""
    if seen.step:
        return promises(seen.step)
    same = (each.step for each in steps if each.migration == seen.migration and each.step)
    return tuple(promise for step in same for promise in promises(step))


def _step(seen: SeenStep, promised: tuple[Promise, ...], known: Known) -> dict[str, Any]:
    statements = list(seen.statements.values())
    operation = seen.step.operation if seen.step else None
    made = [each for statement in statements for each in statement.made]
    dropped = [each for statement in statements for each in statement.dropped]
    gone, locks = _gone(dropped, made), strongest(statements)
    return {
        "migration": seen.migration,
        "step": seen.number,
        "kind": operation.kind if operation else "deferred",
        "target": operation.target if operation else seen.migration,
        "description": operation.describe() if operation else "SQL that Django deferred",
        "level": str(seen.step.level) if seen.step else "",
        "digest": digest(seen.step) if seen.step else "",
        "failed": seen.failed,
        "seconds": sum(statement.seconds for statement in statements),
        "wal_bytes": sum(statement.wal for statement in statements),
        "promised": [_promise(statement) for statement in promised],
        "in_use": sorted(known.names[oid][0] for oid in locks if known.in_use(oid)),
        "locks": _by_name(locks, known, str),
        "made": [each.words for each in made],
        "made_kinds": sorted({each.it.kind for each in made}),
        "dropped": [each.words for each in dropped],
        "changed": [words for statement in statements for words in statement.changed],
        "dropped_kinds": sorted({each.it.kind for each in gone if each.it.key in known.objects}),
        "surprises": [dataclasses.asdict(each) for each in surprises(seen, promised, known)],
        "statements": [_statement(statement, known) for statement in statements],
    }


def _gone(dropped: Iterable[Named], made: Iterable[Named]) -> list[Named]:
    """The objects that a step dropped and did not create again."""
    again = {each.words for each in made}
    return [each for each in dropped if each.words not in again]


def _promise(promise: Promise) -> dict[str, Any]:
    return {**dataclasses.asdict(promise), "lock": str(promise.lock)}


def _statement(seen: SeenStatement, known: Known) -> dict[str, Any]:
    return {
        "sql": seen.sql,
        "times": seen.times,
        "seconds": seen.seconds,
        "wal_bytes": seen.wal,
        "unseen": seen.unseen,
        "locks": _by_name(seen.locks, known, str),
        "rewrites": [_first_name(each, known) for each in seen.rewrites],
        "rows": _by_name(seen.rows, known, lambda rows: dict(zip(ROWS, rows, strict=True))),
        "work": seen.work,
        "made": [each.words for each in seen.made],
        "dropped": [each.words for each in seen.dropped],
    }


def _first_name(each: Named, known: Known) -> str:
    """That of the table in production; an index has one name."""
    return known.names.get(each.it.oid, (each.it.name,))[0]


def _by_name(
    values: Mapping[int, Any], known: Known, shown: Callable[[Any], Any]
) -> dict[str, Any]:
    named = ((known.names[oid][0], value) for oid, value in values.items() if oid in known.names)
    return {name: shown(value) for name, value in sorted(named)}
