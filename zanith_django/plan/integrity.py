"""Flaws of migration files: edited after they ran, missing, or naming objects that no longer
exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zanith_django.exceptions import DefaultGone
from zanith_django.files.migration import LoadedMigration, is_djangos, is_recovery
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import FINISHED
from zanith_django.operations import Operation
from zanith_django.operations.answers import DjangoCode
from zanith_django.operations.base import Default, counts_rows
from zanith_django.operations.data import WHOLE, callable_at
from zanith_django.timeline.defaults import filling_at
from zanith_django.timeline.django_kinds import is_data_step, title
from zanith_django.timeline.timeline import Timeline, key_of


@dataclass(frozen=True, slots=True)
class Flaw:
    """A flaw of a file; `step` 0 means the whole file, `missing` that the file does not exist."""

    migration: str
    step: int
    message: str
    missing: bool = False


def flaws(ledger: Ledger | None, timeline: Timeline) -> list[Flaw]:
    """A file that ran, or whose steps ran, has not been edited since; none that ran is missing;
    what pending steps name exists. Without a ledger only the last of these."""
    found = [*moved(timeline), *_unmade(timeline)]
    if ledger is None:
        return found
    here = (entry for entry in timeline.entries if not entry.taken_back)
    files = [entry.migration for entry in here if entry.migration]
    missing = missing_files(ledger, timeline)
    gone = (Flaw(name, 0, words, missing=True) for name, words in missing.items())
    return [*edited(ledger, files), *found, *gone]


def moved(timeline: Timeline) -> list[Flaw]:
    """A data step names the operation of a Django migration by its position: since the file was
    written, another operation may be at that position."""
    return [
        Flaw(name, number, f"Step {number:02d} of {name} {words}")
        for name, number, step in _waiting(timeline)
        if step.runs and (words := _moved(timeline, step.runs))
    ]


def _unmade(timeline: Timeline) -> list[Flaw]:
    """Steps whose values need a callable that does not exist."""
    return [
        Flaw(name, number, f"Step {number:02d} {words}")
        for name, number, step in _waiting(timeline)
        if (words := _without_maker(step) or _without_default(timeline, step))
    ]


def _waiting(timeline: Timeline) -> Iterator[tuple[str, int, Operation]]:
    """(migration, number, operation) of each step of ours that is not applied."""
    for entry in timeline.pending:
        if entry.migration:
            for number, step in enumerate(entry.migration.operations, 1):
                yield entry.id, number, step


def _without_default(timeline: Timeline, step: Operation) -> str:
    default = step.filled_by
    if not isinstance(default, Default):
        return ""
    migration = timeline.loader.disk_migrations.get(key_of(default.migration))
    if migration is None:
        return f"takes a default of {default.migration}, which does not exist"
    try:
        filling_at(migration, default)
    except DefaultGone as error:
        return f"takes the default of {error.place}, which {error.now}: {error.hint}"
    return ""


def _without_maker(step: Operation) -> str:
    path = step.filled_by
    if not path or isinstance(path, Default):
        return ""
    try:
        callable_at(path)
    except (ImportError, AttributeError, ValueError) as error:
        return f"has its values made by {path}, which does not exist: {error}"
    return ""


def _moved(timeline: Timeline, step: DjangoCode) -> str:
    migration = timeline.loader.disk_migrations.get(key_of(step.migration))
    if migration is None:
        return f"runs {step}, which does not exist: bring {step.migration} back"
    if step.position == WHOLE:
        return ""
    at = dict(enumerate(migration.operations, 1))
    here = at.get(step.position)
    if here and is_data_step(here) and step.description in (title(here), here.describe()):
        return ""
    named = [n for n, each in at.items() if step.description in (title(each), each.describe())]
    if here and is_data_step(here) and not named:  # in the author's own words
        return ""
    now = f"is {here.describe()!r} now" if here else "does not exist"
    where = f", and {step.description!r} is #{named[0]}" if named else ""
    return (
        f"runs {step}, which {now}{where}: correct its position, or delete the file and run "
        "zanith_generate"
    )


def missing_files(ledger: Ledger, timeline: Timeline) -> dict[str, str]:
    """{migration of ours that is applied or half way: what is wrong}, of those without a file,
    but for `newer_than_files`. zanith_baseline accepts them."""
    runs = ledger.runs()
    begun = {row.migration_id for row in ledger.unfinished()}
    newer = set(newer_than_files(ledger, timeline)) - begun
    gone = [name for name in (*ledger.applied(), *sorted(begun)) if name not in newer]
    return {
        name: f"{name} {'stopped half way' if name in begun else 'is applied'}, and its file "
        f"{_path(name, runs)} is gone"
        for name in _without_file(gone, ledger, timeline)
    }


def newer_than_files(ledger: Ledger, timeline: Timeline) -> list[str]:
    """Migrations of ours that are applied and newer than every file here: an older release is
    deployed again, and has nothing to do about them."""
    files = [entry.id for entry in timeline.entries if entry.migration]
    if not (files or _lacks_applied(timeline)):
        return []
    gone = _without_file(ledger.applied(), ledger, timeline)
    return [name for name in gone if name > max(files, default="")]


def _lacks_applied(timeline: Timeline) -> bool:
    """Has the database Django migrations that this release does not have? The release before our
    first file has none of ours."""
    loader = timeline.loader
    replaced = {key for each in loader.disk_migrations.values() for key in each.replaces}
    known = {*loader.disk_migrations, *replaced}
    return any(
        key not in known for key in loader.applied_migrations if key[0] in loader.migrated_apps
    )


def _without_file(names: Iterable[str], ledger: Ledger, timeline: Timeline) -> list[str]:
    here = {entry.id for entry in timeline.entries if entry.migration} | set(ledger.accepted())
    others = (name for name in names if not (is_djangos(name) or is_recovery(name)))
    return [name for name in others if name not in here]


def _path(name: str, runs: Mapping[tuple[str, str], dict[str, Any]]) -> str:
    run = runs.get((name, "after")) or runs.get((name, "before")) or {}
    return str(run.get("path") or f"{name}.py")


def edited(ledger: Ledger, files: Iterable[LoadedMigration]) -> list[Flaw]:
    """A file that ran, or whose steps ran, has not been edited since."""
    runs = ledger.runs()
    found = []
    for file in files:
        run = runs.get((file.id, "after")) or runs.get((file.id, "before")) or {}
        words = _edited(file, run, ledger if (file.id, "after") not in runs else None)
        if words:
            found.append(Flaw(file.id, 0, words))
    return found


def _edited(file: LoadedMigration, run: dict[str, object], unfinished: Ledger | None) -> str:
    """What was edited in a file after it ran. In an unfinished one only steps count that are done,
    or that began to write what only the same operation can continue."""
    known = run.get("steps")
    if not isinstance(known, list):
        return ""
    if unfinished is None:
        pairs = zip(known, file.digests, strict=False)
        changed = [number for number, (old, new) in enumerate(pairs, 1) if old != new]
        if changed or len(known) != len(file.digests):
            steps = ", ".join(f"{n:02d}" for n in changed) or "number of steps"
            return f"The file of {file.id} was edited after it ran ({steps})"
        return ""
    begun = unfinished.checkpointed(file.id)
    for number, row in unfinished.latest(file.id).items():
        if known[number - 1 : number] == list(file.digests[number - 1 : number]):
            continue
        step = f"Step {number:02d} of {file.id} was edited after it"
        if row.status in FINISHED and number <= len(known):
            return f"{step} was done"
        if number in begun and not counts_rows(row.operation_kind):
            return f"{step} began; with the old file zanith_rollback --steps 1 undoes what it did"
    return ""
