"""Views of the dashboard: failed and running steps, artifacts, waiting sessions, and the
questions."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.backfills import running_backfills
from zanith_django.admin.charts import chart_of
from zanith_django.admin.dashboard import DashboardAdmin, drift_key, shown_alias
from zanith_django.admin.pages import Links
from zanith_django.admin.summaries import attention
from zanith_django.admin.words import lasting, next_command
from zanith_django.audit.kept import KEPT, kept
from zanith_django.audit.questions import QUESTIONS, Answer, ask_all, is_time, readable
from zanith_django.audit.sessions import Wait, waits
from zanith_django.audit.steps import details_of
from zanith_django.ledger.ledger import Ledger
from zanith_django.models import (
    Migration as MigrationRow,
    MigrationArtifact,
    MigrationCheckpoint,
    MigrationStep,
)

_SEEN_BY: dict[str, type[models.Model]] = {
    "kept": MigrationArtifact,
    "recoverable": MigrationArtifact,
    "backfills": MigrationCheckpoint,
    "latest": MigrationRow,
}
_SECRET = ("error", "last_error")


def dashboard_view(pages: DashboardAdmin, request: HttpRequest) -> HttpResponse:
    alias = shown_alias(request)
    if refusal := pages.refusal(request, alias):
        return refusal
    connection, links = connections[alias], pages.links(request)
    answers, problem = dict[str, Any](), ""
    try:
        with transaction.atomic(using=alias):
            answers = _answers(connection, links)
    except DatabaseError as error:
        problem = str(error)
    context = {
        **pages.shared(request, alias),
        **answers,
        "problem": problem,
        "waits": _waits(connection) if links.may_view(MigrationStep) else [],
        "backfills": running_backfills(alias) if links.may_view(MigrationCheckpoint) else [],
        "attention": _attention(alias, links) if links.may_view(MigrationStep) else [],
        "drift": cache.get(drift_key(alias)),
        "may_plan": links.may("view_plan"),
    }
    return pages.render(request, "dashboard", _("Dashboard"), context)


def backfills_view(pages: DashboardAdmin, request: HttpRequest) -> HttpResponse:
    """The part of the dashboard that a script refreshes."""
    alias = shown_alias(request)
    if refusal := pages.refusal(request, alias):
        return refusal
    if not pages.links(request).may_view(MigrationCheckpoint):
        raise PermissionDenied
    context = {**pages.shared(request, alias), "backfills": running_backfills(alias)}
    return pages.render(request, "backfills", _("Running backfills"), context)


def locks_view(pages: DashboardAdmin, request: HttpRequest) -> HttpResponse:
    alias = shown_alias(request)
    if refusal := pages.refusal(request, alias):
        return refusal
    if not pages.links(request).may_view(MigrationStep):
        raise PermissionDenied
    context = {**pages.shared(request, alias), "waits": _waits(connections[alias])}
    return pages.render(request, "locks", _("Locks"), context)


def _waits(connection: BaseDatabaseWrapper) -> list[tuple[Wait, str, str]]:
    """Each with how long the one has waited, and how old the transaction of the other is."""
    found = waits(connection)
    return [(each, lasting(each.waiting.seconds), lasting(each.blocker.seconds)) for each in found]


def _attention(alias: str, links: Links) -> list[dict[str, Any]]:
    """Steps that failed or run, with what they are about and what to do next."""
    steps = attention(alias)
    details = details_of(Ledger(connections[alias]).known(), steps)
    return [
        {
            "step": step,
            "detail": details[step.id],
            "error": step.error_start if links.may("view_sql") else "",  # type: ignore[attr-defined]
            "next_command": next_command(step, step.error_start),  # type: ignore[attr-defined]
            "url": links.detail(MigrationStep, step.id),
            "migration_url": links.detail_if_seen(MigrationRow, step.migration_id),
        }
        for step in steps
    ]


def _answers(connection: BaseDatabaseWrapper, links: Links) -> dict[str, Any]:
    """A card for each question whose rows the user may see, and what can be brought back."""
    quick = [question for question in (KEPT, *QUESTIONS) if not question.costly]
    seen = [q for q in quick if links.may_view(_SEEN_BY.get(q.name, MigrationStep))]
    if not seen:
        return {}
    answers = {each.question: each for each in ask_all(connection, seen, known=True)}
    own = _kept(answers.pop(KEPT), links) if KEPT in answers else {}
    return {"cards": [_card(answer, links) for answer in answers.values()], **own}


def _kept(answer: Answer, links: Links) -> dict[str, Any]:
    found, more = kept(answer)
    return {
        "kept": [(each, links.detail(MigrationArtifact, each.id)) for each in found],
        "kept_more": more,
        "artifacts_url": links.list(MigrationArtifact, recoverable="yes"),
    }


def _card(answer: Answer, links: Links) -> dict[str, Any]:
    shown = [name for name in answer.columns if links.may("view_sql") or name not in _SECRET]
    places = [answer.columns.index(name) for name in shown]
    name = answer.question.name
    rows = [
        [_cell(name, answer.columns[n], row[n], links) for n in places] for row in answer.rows[:20]
    ]
    chart = chart_of(answer.bars)
    return {"question": answer.question, "columns": shown, "rows": rows, "chart": chart}


def _cell(question: str, column: str, value: Any, links: Links) -> tuple[Any, str]:
    """(value, its page)."""
    if is_time(column):
        value = readable(value)
    columns: dict[str, type[models.Model] | None] = {
        "id": _SEEN_BY.get(question),
        "migration_id": MigrationRow,
    }
    about = columns.get(column)
    return value, links.detail_if_seen(about, str(value or "")) if about else ""
