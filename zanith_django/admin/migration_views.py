"""The page of a migration: who ran it, its steps as a timeline, and what it kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest

from zanith_django.admin.migrations import MigrationAdmin
from zanith_django.admin.pages import Links
from zanith_django.admin.summaries import LIGHT, in_order, summarise
from zanith_django.admin.words import Why, documentation, expected, next_command, reasons_of
from zanith_django.audit.history import who
from zanith_django.audit.steps import details_of
from zanith_django.audit.written import file_of
from zanith_django.files.migration import LoadedMigration
from zanith_django.ledger.details import StepDetail
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
    phases = pages.ledger.phases(row.id)
    context |= _run({phase: run for phase, _, run in phases})
    if links.may_view(MigrationStep):
        context |= _timeline(pages, links, row.id, request.GET.get("p"))
    if links.may_view(SchemaSnapshot):
        taken = [(phase, captured_at) for phase, captured_at, _ in phases]
        context |= _snapshots(links, row.id, taken)
    for name, model in (("artifacts", MigrationArtifact), ("checkpoints", MigrationCheckpoint)):
        if links.may_view(model):
            rows = model._default_manager.filter(migration_id=row.id).order_by("id")
            context[name] = [(item, links.detail(model, item.pk)) for item in rows[:SHOWN]]
    return context


def _timeline(
    pages: MigrationAdmin, links: Links, migration_id: str, page: str | None
) -> dict[str, Any]:
    """All steps without their texts for the sums and the order, then the texts of one page."""
    light = in_order(MigrationStep.objects.filter(migration_id=migration_id).only(*LIGHT))
    steps = Paginator(light, STEPS_PER_PAGE).get_page(page)
    full = in_order(MigrationStep.objects.filter(id__in=[step.id for step in steps]))
    details = details_of(pages.ledger, full)
    query = urlencode({"migration_id__exact": migration_id})
    shown = links.may("view_sql")
    return {
        "summary": summarise(migration_id, light),
        "page": steps,
        "steps": [_shown(step, details[step.id], links, with_sql=shown) for step in full],
        "steps_url": f"{links.list(MigrationStep)}?{query}",
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


def _run(runs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Who ran it, with which versions, and the runs that were rolled back."""
    before = runs.get("before", {})
    run = runs.get("after") or runs.get("baseline") or before
    past = before.get("past")
    undone = [each for each in past if isinstance(each, dict)] if isinstance(past, list) else []
    versions = run.get("versions")
    return {
        "who": who(run),
        "versions": versions if isinstance(versions, dict) else {},
        "past": [(who(each), each.get("applied_at"), _back(each)) for each in undone],
    }


def _back(run: dict[str, Any]) -> tuple[str, Any]:
    """(who, when) of a rollback."""
    undone = run.get("rolled_back")
    return (who(undone), undone.get("at")) if isinstance(undone, dict) else ("", "")


def _snapshots(
    links: Links, migration_id: str, phases: Sequence[tuple[str, datetime]]
) -> dict[str, Any]:
    """Links to the snapshots, and to what differs between them; the graphs stay unread."""
    names = {phase for phase, _ in phases}
    query = urlencode({"a": f"{migration_id}:before", "b": f"{migration_id}:after"})
    compare = f"{links.page('schemasnapshot_compare')}?{query}"
    return {
        "snapshots": [
            (phase, captured_at, links.detail(SchemaSnapshot, migration_id, phase))
            for phase, captured_at in phases
        ],
        "difference_url": compare if {"before", "after"} <= names else "",
    }
