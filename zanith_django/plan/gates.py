"""The gates: yes-or-no questions that a plan must pass before it runs. Plain functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from django.apps import AppConfig

from zanith_django.exceptions import BrokenFile, DefaultGone
from zanith_django.files.files import covered_after, folder_of
from zanith_django.files.migration import LoadedMigration, is_djangos, is_recovery
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import FINISHED
from zanith_django.operations import Operation
from zanith_django.operations.answers import DjangoCode
from zanith_django.operations.base import Default
from zanith_django.operations.data import WHOLE, Backfill, callable_at
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.plan.reasons import Level, reason
from zanith_django.timeline.defaults import filling_at
from zanith_django.timeline.django_kinds import is_data_step, title
from zanith_django.timeline.timeline import Key, Timeline, django_order, dotted, key_of


@dataclass(frozen=True, slots=True)
class Refusal:
    """One "no". `record` is what the ledger says of a refused step; `step` 0 is the migration."""

    gate: str
    migration: str
    step: int
    message: str
    record: str = ""


def budget(plan: Plan, max_risk: int) -> list[Refusal]:
    """No step scores over the budget; `approved` lifts it for single steps."""
    return [
        Refusal(
            "budget",
            migration.id,
            step.number,
            f"Step {step.number:02d} ({step.kind}) scores {step.score} · "
            f"over the budget of {max_risk}",
            f"max risk {max_risk}",
        )
        for migration, step in _unapproved(plan)
        if step.score > max_risk
    ]


def consent(plan: Plan, allow_destructive: bool) -> list[Refusal]:
    """Nothing is taken away without being asked for."""
    if allow_destructive:
        return []
    return [
        Refusal(
            "consent",
            migration.id,
            step.number,
            f"Step {step.number:02d} ({step.kind}) is destructive · needs --allow-destructive",
            "destructive not allowed",
        )
        for migration, step in _unapproved(plan)
        if step.level == Level.DESTRUCTIVE
    ]


def reasons(plan: Plan, fail_on: Sequence[str]) -> list[Refusal]:
    """No step has one of these reasons. Raises `UnknownReason`."""
    unwanted = {reason(code).code for code in fail_on}
    return [
        Refusal(
            "reasons",
            migration.id,
            step.number,
            f"Step {step.number:02d} ({step.kind}) has the reason {code} · in --fail-on",
            f"fail on {code}",
        )
        for migration, step in plan.steps
        for code in step.assessment.reasons
        if code in unwanted
    ]


DEPENDENTS = "dependents"


def dependents(plan: Plan) -> list[Refusal]:
    """No object that models do not know is in the way of a step; `approved` lifts it."""
    return [
        Refusal(
            DEPENDENTS,
            migration.id,
            step.number,
            f"Step {step.number:02d} ({step.kind}) is blocked: {collision}",
            collision.what,
        )
        for migration, step in _unapproved(plan)
        for collision in step.collisions
        if collision.blocked
    ]


def hint(refusals: Iterable[Refusal]) -> str:
    """What to do about refusals where it is the same for all; "" for the usual."""
    if any(refusal.gate == DEPENDENTS for refusal in refusals):
        return "Do what each line says after its dot; zanith_plan shows the whole plan."
    return ""


def verified(plan: Plan, given: str, now: str) -> list[Refusal]:
    """The plan is exactly the one that zanith_verify found ok: same files, models and tables."""
    if given == now or not plan.migrations:
        return []
    message = (
        f"The fingerprint is {now}, not {given}: files, models or tables changed since"
        if given
        else "The plan was not verified"
    )
    first = plan.migrations[0].id
    return [Refusal("verified", first, 0, f"{message} · run zanith_verify")]


def _unapproved(plan: Plan) -> Iterable[tuple[PlannedMigration, PlannedStep]]:
    return ((migration, step) for migration, step in plan.steps if not step.approved)


def coverage(timeline: Timeline, managed: Iterable[AppConfig], policy: str) -> list[Refusal]:
    """Every Django migration of a managed app after its `covered_after` has a file.

    An app without a folder of ours has not come over to zanith yet: Django runs its migrations,
    unless `policy` (setting UNCOVERED) is "refuse".
    """
    strict = [
        config
        for config in managed
        if policy == "refuse" or (folder_of(config) / "__init__.py").exists()
    ]
    return [
        Refusal(
            "coverage",
            dotted(key),
            0,
            f"{dotted(key)} has no zanith migration · run zanith_generate {key[0]}",
        )
        for key in uncovered(timeline, strict)
    ]


def uncovered(
    timeline: Timeline, managed: Iterable[AppConfig], since: Mapping[str, str] | None = None
) -> list[Key]:
    """Django migrations of managed apps that need a file and have none, in order. `since` says
    for each app the last one that needs none; by default its folder does."""
    after = since or {config.label: last_free(timeline, config) for config in managed}
    covered = {key for entry in timeline.entries if entry.migration for key in entry.covers}
    missing = []
    passed = {label for label, last in after.items() if not last}
    for key in django_order(timeline.loader):
        if key[0] in passed and key not in covered and not _covered_parts(timeline, key, covered):
            missing.append(key)
        if after.get(key[0]) == key[1]:
            passed.add(key[0])
    return missing


def last_free(timeline: Timeline, config: AppConfig) -> str:
    """`covered_after` of an app, or the squash that stands for it now. Raises `BrokenFile`."""
    last = covered_after(config)
    label, graph = config.label, timeline.loader.graph
    names = [key[1] for key in graph.nodes if key[0] == label]
    if not last or not names or last in names:
        return last
    (standing,) = timeline.resolved([(label, last)])
    if standing in graph.nodes:
        return standing[1]
    (near,) = get_close_matches(last, names, n=1, cutoff=0)
    raise BrokenFile(
        folder_of(config) / "__init__.py",
        f"covered_after names {last!r}, which {label} does not have; did you mean {near!r}?",
        hint="Write the last Django migration that needs no file of ours.",
    )


def _covered_parts(timeline: Timeline, key: Key, covered: set[Key]) -> bool:
    """A squash whose replaced migrations are all covered."""
    parts = set(timeline.replaced(key)) - timeline.loader.replacements.keys()
    return bool(parts) and parts <= covered


def integrity(ledger: Ledger, timeline: Timeline) -> list[Refusal]:
    """A file that ran, or whose steps ran, has not been edited since; none that ran is missing."""
    standing = (entry for entry in timeline.entries if not entry.taken_back)
    files = [entry.migration for entry in standing if entry.migration]
    missing = missing_files(ledger, timeline)
    return [
        *edited(ledger, files),
        *moved(timeline),
        *_unmade(timeline),
        *(Refusal(MISSING, name, 0, words) for name, words in missing.items()),
    ]


MISSING = "missing"


def moved(timeline: Timeline) -> list[Refusal]:
    """A data step names the operation of a Django migration by its position: since the file was
    written, another one may have come to stand there."""
    return [
        Refusal("integrity", name, number, f"Step {number:02d} of {name} {words}")
        for name, number, step in _waiting(timeline)
        if step.runs and (words := _moved(timeline, step.runs))
    ]


def _unmade(timeline: Timeline) -> list[Refusal]:
    """Steps whose values a callable makes that does not exist."""
    return [
        Refusal("integrity", name, number, f"Step {number:02d} {words}")
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
    if here and is_data_step(here) and not named:  # in somebody's own words
        return ""
    now = f"is {here.describe()!r} now" if here else "does not exist"
    where = f", and {step.description!r} is #{named[0]}" if named else ""
    return (
        f"runs {step}, which {now}{where}: mend its position, or delete the file and run "
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
    gone = _without_file(ledger.applied(), ledger, timeline)
    return [name for name in gone if files and name > max(files)]


def _without_file(names: Iterable[str], ledger: Ledger, timeline: Timeline) -> list[str]:
    here = {entry.id for entry in timeline.entries if entry.migration} | set(ledger.accepted())
    ours = (name for name in names if not (is_djangos(name) or is_recovery(name)))
    return [name for name in ours if name not in here]


def _path(name: str, runs: Mapping[tuple[str, str], dict[str, Any]]) -> str:
    run = runs.get((name, "after")) or runs.get((name, "before")) or {}
    return str(run.get("path") or f"{name}.py")


def edited(ledger: Ledger, files: Iterable[LoadedMigration]) -> list[Refusal]:
    """A file that ran, or whose steps ran, has not been edited since."""
    runs = ledger.runs()
    refusals = []
    for file in files:
        run = runs.get((file.id, "after")) or runs.get((file.id, "before")) or {}
        words = _edited(file, run, ledger if (file.id, "after") not in runs else None)
        if words:
            refusals.append(Refusal("integrity", file.id, 0, words))
    return refusals


def _edited(file: LoadedMigration, run: dict[str, object], unfinished: Ledger | None) -> str:
    """What was edited in a file after it ran; of an unfinished one steps count that are done, or
    that began to write somewhere what only the same operation can go on with."""
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
        if number in begun and row.operation_kind != Backfill.kind:
            return (
                f"{step} began; with the old file zanith_rollback --steps 1 takes back what it did"
            )
    return ""
