"""Compares what a plan had said with what its run did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.verdict.gauge import Gauge
from tests.verdict.world import Column, Contents
from zanith_django.files.migration import is_djangos
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.plan.reasons import REASONS, Level
from zanith_django.postgres.locks import Lock
from zanith_django.verify.catalog_objects import SILENT, CatalogObject
from zanith_django.verify.observing import SeenStep

UNKNOWN = {"raw_sql", "may_drop", "calls_functions"}
"""The plan says that it cannot read the code, and scores it high."""

UNREAD = UNKNOWN | {"python_code"}
CHANGES_ROWS = UNREAD | {
    "updates_all_rows", "requires_backfill", "loops_over_rows", "rewrites_table",
    "changes_column_type", "narrows_column_type",
}  # fmt: skip
STOPS_READERS = UNKNOWN | {"locks_reads", "rewrites_table", "rebuilds_indexes", "reindexes"}
STOPS_WRITERS = STOPS_READERS | {"locks_writes"}
WRITES_ROWS = {
    "inserts_rows", "requires_backfill", "updates_all_rows", "loops_over_rows", "deletes_rows",
    "deletes_all_rows",
}  # fmt: skip

# What only a plan with a database knows.
LIVE_ONLY = {
    "large_table", "missing_table", "missing_object", "will_fail_on_data", "exists_already",
    "missing_right",
    "dependent_objects", "functions_name_it", "stops_subscribers", "replicated_table",
    "invalid_leftover", "cannot_be_done_online",
}  # fmt: skip

# What zanith refuses though PostgreSQL would not.
REFUSED_ONLY = {"dependent_objects", "cannot_be_done_online"}

UNSEEN = "not looked at"

BY_ITS_AUTHOR = "of its author"
"""In the error of code that raises by itself: what it raises cannot be known."""


@dataclass(frozen=True)
class Trial:
    """A plan, the same plan without a database, and what the run did."""

    plan: Plan
    offline: Plan
    gauge: Gauge
    before: dict[int, Contents]
    after: dict[int, Contents]
    error: BaseException | None


Key = tuple[str, int]
Steps = dict[Key, PlannedStep]


def complaints(trial: Trial) -> Iterator[str]:
    """All that the plan had not said."""
    ran = list({(seen.migration, seen.number): seen for seen in trial.gauge.steps}.values())
    yield from _lost(trial, ran)
    yield from _destroyed(trial, ran)
    yield from _waits(trial)
    yield from _locks(trial, ran)
    yield from _failed(trial, ran)
    yield from _held_up(trial, ran)
    yield from _offline(trial)


# --- what a step of the run is in the plan -------------------------------------------------------


def _migration(trial: Trial, name: str) -> PlannedMigration:
    return next(each for each in trial.plan.migrations if each.id == name)


def _planned(trial: Trial, migration: str, number: int) -> list[PlannedStep]:
    """The step; all steps of a migration for SQL that Django deferred to its end. Receivers of
    pre_migrate add operations to a run that move the numbers, such as renames of content types."""
    steps = _migration(trial, migration).steps
    own = [s for s in trial.gauge.steps if s.migration == migration and s.number == number]
    if own and own[-1].step:
        words = own[-1].step.operation.describe()
        return [step for step in steps if step.operation.describe() == words]
    return list(steps)


def _reasons(steps: Iterable[PlannedStep]) -> set[str]:
    return {code for step in steps for code in step.assessment.reasons}


def _of(trial: Trial, seen: SeenStep) -> list[PlannedStep]:
    return _planned(trial, seen.migration, seen.number)


def _words(seen: SeenStep) -> str:
    what = seen.step.operation.describe() if seen.step else "deferred SQL"
    return f"{seen.migration}::{seen.number} {what}"


# --- rows, columns, values -----------------------------------------------------------------------


def _lost(trial: Trial, ran: list[SeenStep]) -> Iterator[str]:
    steps = [step for seen in ran for step in _of(trial, seen)]
    reasons = _reasons(steps)
    destructive = any(step.destructive for step in steps)
    deletes = destructive or reasons & (UNREAD | {"deletes_rows"})
    changes = destructive or reasons & CHANGES_ROWS
    for table in trial.before.values():
        now = _now(trial, table)
        if (now is None or now.kept) and not destructive:
            yield f"LOST table {table.name} with {table.rows} rows: reasons {sorted(reasons)}"
        if now is None or now.kept:
            continue
        if now.rows < table.rows and not deletes:
            yield f"LOST {table.rows - now.rows} rows of {table.name}: reasons {sorted(reasons)}"
        for number, column in table.columns.items():
            found = _same(column, number, table, now)
            moved = number in now.columns and "rename_column" in reasons  # set aside, renamed
            if found is None and not destructive and not moved:
                yield f"LOST column {table.name}.{column.name}: reasons {sorted(reasons)}"
            elif found and now.rows == table.rows and found.values != column.values and not changes:
                yield f"CHANGED values of {table.name}.{column.name}: reasons {sorted(reasons)}"


def _now(trial: Trial, table: Contents) -> Contents | None:
    """The table after the run, or what took its place with its name."""
    if table.oid in trial.after:
        return trial.after[table.oid]
    named = (each for each in trial.after.values() if each.name == table.name and not each.kept)
    return next(named, None)


def _same(column: Column, number: int, old: Contents, new: Contents) -> Column | None:
    """The column after the run, by number, or by the name of one that took its place."""
    found = new.columns.get(number) if old.oid == new.oid else None
    if found and not found.name.startswith("_zanith"):
        return found
    return new.named(column.name)


# --- objects -------------------------------------------------------------------------------------


def _destroyed(trial: Trial, ran: list[SeenStep]) -> Iterator[str]:
    """Objects of users that existed before the run and are gone."""
    for seen in ran:
        made = {each.words for s in seen.statements.values() for each in s.made}
        steps = _of(trial, seen)
        dropped = [each for s in seen.statements.values() for each in s.dropped]
        relations = {each.it.relation for each in dropped if each.it.kind == "column"}
        for each in dropped:
            new = each.it.key not in trial.gauge.before or each.words in made
            silent = each.it.kind in SILENT and each.it.relation in relations
            silent = silent or (each.it.kind == "constraint" and not _is_used(each.it, trial))
            if new or silent or _is_ours(each.it) or _said(each.it, steps):
                continue
            yield f"DESTROYED {each.words} by {_words(seen)}: {sorted(_reasons(steps))}"


def _is_used(gone: CatalogObject, trial: Trial) -> bool:
    """A constraint of a table without rows is missed by no one."""
    return gone.relation in trial.gauge.in_use


def _is_ours(gone: CatalogObject) -> bool:
    return "_zanith" in gone.name or gone.kind in ("type",)


def _said(gone: CatalogObject, steps: list[PlannedStep]) -> bool:
    reasons = _reasons(steps)
    if gone.kind in ("table", "column", "materialized view"):
        return any(step.destructive for step in steps) or bool(reasons & UNKNOWN)
    name = gone.name.rpartition(".")[2]
    shown = " ".join(
        [step.sql for step in steps]
        + [effect.sql for step in steps for effect in step.effects]
        + [str(found) for step in steps for found in (*step.collisions, *step.findings)]
    )
    if gone.kind == "constraint" and reasons & {"drops_foreign_key", "drops_unique_constraint"}:
        return True
    return name in shown or bool(reasons & UNKNOWN)


# --- locks ---------------------------------------------------------------------------------------


def _waits(trial: Trial) -> Iterator[str]:
    """Tables in use that were locked while rows were worked through."""
    found = set()
    for wait in trial.gauge.waits:
        steps = _planned(trial, wait.migration, wait.number)
        wanted = STOPS_READERS if wait.lock.blocks_reads else STOPS_WRITERS
        reasons = _reasons(steps)
        if not reasons & wanted:
            what = "readers" if wait.lock.blocks_reads else "writers"
            found.add(
                f"WAITS: {what} of {wait.table} ({wait.lock}) during "
                f"{wait.migration}::{wait.number} {wait.sql[:120]!r}: {sorted(reasons)}"
            )
    yield from sorted(found)


def _locks(trial: Trial, ran: list[SeenStep]) -> Iterator[str]:
    for seen in ran:
        steps = _of(trial, seen)
        if seen.failed or _reasons(steps) & (UNREAD | {"reindexes"}):
            continue
        claimed: dict[str, Lock] = {}
        for step in steps:
            for name, lock in step.locks.items():
                claimed[str(name)] = max(lock, claimed.get(str(name), Lock.NONE))
        taken: dict[int, Lock] = {}
        for statement in seen.statements.values():
            for oid, lock in statement.locks.items():
                taken[oid] = max(lock, taken.get(oid, Lock.NONE))
        for oid, lock in taken.items():
            names = trial.gauge.objects.names[oid]
            said = max((claimed.get(name, Lock.NONE) for name in names), default=Lock.NONE)
            after = trial.after.get(oid)
            emptied = after is not None and not after.rows
            if oid in trial.gauge.in_use and lock.blocks_writes and said < lock and not emptied:
                yield f"LOCK {lock} on {names[0]} by {_words(seen)}, said {said or 'nothing'}"


# --- failures ------------------------------------------------------------------------------------


def _failed(trial: Trial, ran: list[SeenStep]) -> Iterator[str]:
    if trial.error is None or BY_ITS_AUTHOR in str(trial.error):
        return
    steps = _of(trial, ran[-1]) if ran else []
    found = [str(each) for step in steps for each in (*step.findings, *step.collisions)]
    if any(UNSEEN not in words for words in found):
        return
    if any(step.level == Level.BLOCKED for step in steps):
        return
    if _reasons(steps) & (UNREAD | {"alters_after_writes"}):
        return
    if ran and _cannot_be_known(trial, ran, steps):
        return
    words = _words(ran[-1]) if ran else "before any step"
    yield f"FAILED {words}: {trial.error}: {sorted(_reasons(steps))}"


def _cannot_be_known(trial: Trial, ran: list[SeenStep], steps: list[PlannedStep]) -> bool:
    """The kinds that docs/verdict.md lists: which rows an author's code writes, and what is gone
    after an author's code dropped it."""
    words = str(trial.error)
    together = [step for seen in ran if _shares(seen, ran[-1]) for step in _of(trial, seen)]
    reasons = _reasons(steps) | _reasons(together)
    if reasons & WRITES_ROWS and ("violates" in words or "duplicate key" in words):
        return True
    if "pending trigger events" in words and reasons & UNREAD:
        return True
    before = [step for seen in ran[:-1] for step in _of(trial, seen)]
    dropped = any(step.destructive and step.operation.authored for step in before)
    return dropped and "does not exist" in words


def _shares(seen: SeenStep, last: SeenStep) -> bool:
    """Has it the transaction of the last one? Deferred constraints are checked at its end."""
    return seen.migration == last.migration and is_djangos(last.migration)


def _held_up(trial: Trial, ran: list[SeenStep]) -> Iterator[str]:
    """Steps that were certain to fail, and did not."""
    done = ran[:-1] if trial.error else ran
    for seen in done:
        if seen.failed or seen.step is None:
            continue
        for step in _of(trial, seen):
            certain = [str(found) for found in step.findings if found.certain]
            blocked = [c for c in step.assessment.reasons if REASONS[c].level == Level.BLOCKED]
            blocked = [c for c in blocked if c not in REFUSED_ONLY]
            if _is_gone(step, trial):
                blocked = [c for c in blocked if c != "missing_table"]
            if (certain or blocked) and not _rolled_back(trial, seen):
                yield f"HELD UP {_words(seen)}: {certain or blocked}"


def _is_gone(step: PlannedStep, trial: Trial) -> bool:
    """Does its table not exist? A step that drops a part of it then has nothing to do."""
    there = {each.name for each in trial.after.values()}
    return all(table.name not in there for table in step.operation.tables)


def _rolled_back(trial: Trial, seen: SeenStep) -> bool:
    """With the rest of its migration, which failed: constraints may wait for the end of it."""
    return bool(trial.error) and trial.gauge.steps[-1].migration == seen.migration


# --- without a database --------------------------------------------------------------------------


def _offline(trial: Trial) -> Iterator[str]:
    """Without a database no reason is missing that needs none."""
    offline = {(m.id, s.number): s for m in trial.offline.migrations for s in m.steps}
    for migration in trial.plan.migrations:
        for step in migration.steps:
            other = offline.get((migration.id, step.number))
            given = set(other.assessment.reasons) if other else set()
            if REFUSED_ONLY & set(step.assessment.reasons):
                continue  # what is in the way decides how the step would run
            missing = set(step.assessment.reasons) - given - LIVE_ONLY
            missing = {code for code in missing if REASONS[code].level >= Level.MEDIUM}
            if missing and (other is None or other.level < step.level):
                words = f"{migration.id}::{step.number} {step.operation.describe()}"
                yield f"OFFLINE {words} lacks {sorted(missing)}: {sorted(given)}"
