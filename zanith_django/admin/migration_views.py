"""The page of a migration: who ran it, its steps as a timeline, and what it kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from django.core.paginator import Paginator
from django.http import HttpRequest

from zanith_django.admin.migrations import MigrationAdmin
from zanith_django.admin.pages import Links
from zanith_django.admin.summaries import LIGHT, in_order, summarise
from zanith_django.admin.words import Why, documentation, expected, moment, next_command, reasons_of
from zanith_django.audit.history import End, end_of, who
from zanith_django.audit.steps import details_of
from zanith_django.audit.written import file_of
from zanith_django.files.migration import LoadedMigration
from zanith_django.ledger.details import StepDetail
from zanith_django.ledger.snapshots import ran_in_past
from zanith_django.models import (
    Migration,
    MigrationArtifact,
    MigrationCheckpoint,
    MigrationStep,
    SchemaSnapshot,
)
from zanith_django.render.sql_words import Word, words_of

STEPS_PER_PAGE = 200
SHOWN = 100  # artifacts and checkpoints on a migration's page


def detail_context(pages: MigrationAdmin, request: HttpRequest, row: Migration) -> dict[str, Any]:
    links = pages.links(request)
    context: dict[str, Any] = {"snapshots": (), "artifacts": (), "checkpoints": ()}
    file = file_of(row.id)
    context |= {"covers": file.covers if file else (), "path": _near(file) if file else ""}
    phases = pages.ledger(request).phases(row.id)
    runs = {phase: run for phase, _, run in phases}
    context |= _run(links, row.id, runs)
    if links.may_view(MigrationStep):
        kept = {row.id: details} if (details := _details(runs.get("before", {}))) else None
        context |= _timeline(pages, request, row.id, kept)
    if links.may_view(SchemaSnapshot):
        taken = [(phase, captured_at) for phase, captured_at, _ in phases]
        context |= _snapshots(links, row.id, taken, runs)
    for name, model in (("artifacts", MigrationArtifact), ("checkpoints", MigrationCheckpoint)):
        if links.may_view(model):
            found = model._default_manager.using(pages.alias(request))
            rows = found.filter(migration_id=row.id).order_by("id")
            context[name] = [(item, links.detail(model, item.pk)) for item in rows[:SHOWN]]
    return context


def _details(run: dict[str, Any]) -> dict[str, Any]:
    details = run.get("details")
    return details if isinstance(details, dict) else {}


def _timeline(
    pages: MigrationAdmin,
    request: HttpRequest,
    migration_id: str,
    kept: Mapping[str, dict[str, Any]] | None,
) -> dict[str, Any]:
    """The steps of one page with their texts; of many, all without them for the sums and the
    order first."""
    links = pages.links(request)
    rows = MigrationStep.objects.using(pages.alias(request)).filter(migration_id=migration_id)
    light = in_order(rows[: STEPS_PER_PAGE + 1])
    few = len(light) <= STEPS_PER_PAGE
    if not few:
        light = in_order(rows.only(*LIGHT))
    steps = Paginator(light, STEPS_PER_PAGE).get_page(request.GET.get("p"))
    full = light if few else in_order(rows.filter(id__in=[step.id for step in steps]))
    details = details_of(pages.ledger(request), full, kept)
    shown = links.may("view_sql")
    return {
        "summary": summarise(migration_id, light),
        "page": steps,
        "steps": [_shown(step, details[step.id], links, with_sql=shown) for step in full],
        "steps_url": links.list(MigrationStep, migration_id__exact=migration_id),
    }


class Shown(NamedTuple):
    """A step as the timeline shows it."""

    step: MigrationStep
    detail: StepDetail
    reasons: Sequence[Why]
    words: Sequence[Word]
    next_command: str
    documentation: str
    url: str
    expected: str


def _shown(step: MigrationStep, detail: StepDetail, links: Links, *, with_sql: bool) -> Shown:
    return Shown(
        step,
        detail,
        reasons_of(detail.reasons, links),
        words_of(step.sql) if with_sql else (),
        next_command(step, step.error),
        documentation(step.operation_kind, links),
        links.detail(MigrationStep, step.id),
        expected(detail),
    )


def _near(file: LoadedMigration) -> str:
    path = Path(file.path)
    return "/".join((file.app_label, path.parent.name, path.name))


def _run(links: Links, migration_id: str, runs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Who ran it, with which versions, and the earlier runs."""
    before = runs.get("before", {})
    after = {} if _of_earlier_run(runs) else runs.get("after", {})
    run = after or runs.get("baseline") or before
    past = before.get("past")
    undone = [each for each in past if isinstance(each, dict)] if isinstance(past, list) else []
    versions = run.get("versions")
    return {
        "who": who(run),
        "versions": versions if isinstance(versions, dict) else {},
        "past": [
            _past(each, _change(links, migration_id, runs, n)) for n, each in enumerate(undone, 1)
        ],
    }


def _past(run: Mapping[str, Any], change: str) -> tuple[str, str, End, str, str]:
    end = end_of(run)
    return who(run), moment(run.get("applied_at")), end, moment(end.at), change


def _of_earlier_run(runs: Mapping[str, dict[str, Any]]) -> bool:
    """`after` is that of an earlier run, and the migration has begun again since."""
    return ran_in_past(runs.get("after", {})) and not ran_in_past(runs.get("before", {}))


def _change(links: Links, name: str, runs: Mapping[str, dict[str, Any]], number: int) -> str:
    """The comparison of what an earlier run found with what it made, once it has run again."""
    phases = (f"before.{number}", f"after.{number}")
    if not links.may_view(SchemaSnapshot) or not runs.keys() >= set(phases):
        return ""
    return _comparison(links, name, *phases)


def _comparison(links: Links, name: str, before: str, after: str) -> str:
    return links.page("schemasnapshot_compare", a=f"{name}:{before}", b=f"{name}:{after}")


def _snapshots(
    links: Links,
    migration_id: str,
    phases: Sequence[tuple[str, datetime]],
    runs: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """Links to the snapshots, and to what differs between them; the graphs stay unread."""
    both = {"before", "after"} <= {phase for phase, _ in phases} and not _of_earlier_run(runs)
    return {
        "snapshots": [
            (phase, captured_at, links.detail(SchemaSnapshot, migration_id, phase))
            for phase, captured_at in phases
        ],
        "difference_url": _comparison(links, migration_id, "before", "after") if both else "",
    }
