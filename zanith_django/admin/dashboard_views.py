"""Views of the dashboard: what ran, what is kept, who waits, and the questions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.charts import chart_of
from zanith_django.admin.dashboard import DashboardAdmin, alias_of, drift_key
from zanith_django.admin.pages import Links
from zanith_django.audit.questions import QUESTIONS, Answer, ask_all
from zanith_django.audit.sessions import waits
from zanith_django.models import (
    Migration as MigrationRow,
    MigrationArtifact,
    MigrationCheckpoint,
    MigrationStep,
)

_SEEN_BY = {
    "recoverable": MigrationArtifact,
    "backfills": MigrationCheckpoint,
    "latest": MigrationRow,
}
_SECRET = ("error", "last_error")


def dashboard_view(pages: DashboardAdmin, request: HttpRequest) -> HttpResponse:
    alias = alias_of(request)
    if refusal := pages.refusal(request, alias):
        return refusal
    connection, links = connections[alias], pages.links(request)
    cards, problem = list[dict[str, Any]](), ""
    try:
        with transaction.atomic(using=alias):
            cards = _cards(connection, links)
    except DatabaseError as error:
        problem = str(error)
    context = {
        **pages.shared(request, alias),
        "cards": cards,
        "problem": problem,
        "waits": waits(connection) if links.may_view(MigrationStep) else [],
        "backfills": _backfills(alias) if links.may_view(MigrationCheckpoint) else [],
        "drift": cache.get(drift_key(alias)),
        "may_plan": links.may("view_plan"),
    }
    return pages.render(request, "dashboard", _("Dashboard"), context)


def backfills_view(pages: DashboardAdmin, request: HttpRequest) -> HttpResponse:
    """The part of the dashboard that a script asks for again and again."""
    alias = alias_of(request)
    if refusal := pages.refusal(request, alias):
        return refusal
    if not pages.links(request).may_view(MigrationCheckpoint):
        raise PermissionDenied
    context = {**pages.shared(request, alias), "backfills": _backfills(alias)}
    return pages.render(request, "backfills", _("Running backfills"), context)


def locks_view(pages: DashboardAdmin, request: HttpRequest) -> HttpResponse:
    alias = alias_of(request)
    if refusal := pages.refusal(request, alias):
        return refusal
    if not pages.links(request).may_view(MigrationStep):
        raise PermissionDenied
    context = {**pages.shared(request, alias), "waits": waits(connections[alias])}
    return pages.render(request, "locks", _("Locks"), context)


def _backfills(alias: str) -> list[MigrationCheckpoint]:
    """Those that run, newest first; a value that is kept, or a run as a whole, is none."""
    found = MigrationCheckpoint.objects.using(alias).filter(
        status="running", total_rows__isnull=False, id__contains="::"
    )
    return list(found.order_by("-updated_at")[:10])


def _cards(connection: BaseDatabaseWrapper, links: Links) -> list[dict[str, Any]]:
    """A card for each question whose rows the user may see."""
    quick = [question for question in QUESTIONS if not question.costly]
    seen = [q for q in quick if links.may_view(_SEEN_BY.get(q.name, MigrationStep))]
    if not seen:
        return []
    return [_card(answer, links) for answer in ask_all(connection, seen)]


def _card(answer: Answer, links: Links) -> dict[str, Any]:
    shown = [name for name in answer.columns if links.may("view_sql") or name not in _SECRET]
    places = [answer.columns.index(name) for name in shown]
    rows = [[_cell(answer.columns[n], row[n], links) for n in places] for row in answer.rows[:20]]
    chart = chart_of(answer.bars)
    return {"question": answer.question, "columns": shown, "rows": rows, "chart": chart}


def _cell(column: str, value: Any, links: Links) -> tuple[Any, str]:
    """(value, its page)."""
    if column.endswith("_at") or column.startswith("last_"):
        value = _time(value)
    if column == "migration_id" and links.may_view(MigrationRow):
        return value, links.detail(MigrationRow, str(value or ""))
    return value, ""


def _time(value: Any) -> Any:
    """The time that PostgreSQL spelled, unless Python has none such."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
