"""The dashboard: what is pending, what ran, what is kept, who waits, and the questions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.charts import chart_of
from zanith_django.admin.pages import Links, SitePages, stand_ins
from zanith_django.audit.questions import QUESTIONS, Answer, ask_all
from zanith_django.audit.sessions import waits
from zanith_django.exceptions import ZanithError
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


class Dashboard(models.Model):  # noqa: DJ008  # there are no rows to name
    """Represents a page without a table in the admin's registry, so that the site's navigation has
    it; see `SchemaSnapshot` of the snapshots."""

    class Meta:
        apps = stand_ins()
        app_label = "zanith_django"
        managed = False
        default_permissions = ()
        verbose_name = _("dashboard")
        verbose_name_plural = _("dashboard")


class DashboardAdmin(SitePages, admin.ModelAdmin):
    """Pages that no single table is the subject of."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        links = self.links(request)
        return any(links.may_view(model) for model in (MigrationRow, MigrationStep))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        pages = {
            "changelist": ("", self.dashboard_view),
            "backfills": ("backfills/", self.backfills_view),
            "locks": ("locks/", self.locks_view),
            "plan": ("plan/", self.plan_view),
            "drift": ("drift/", self.drift_view),
        }
        return [
            path(route, self.admin_site.admin_view(view), name=f"zanith_django_dashboard_{name}")
            for name, (route, view) in pages.items()
        ]

    # --- pages ---------------------------------------------------------------------------------

    def dashboard_view(self, request: HttpRequest) -> HttpResponse:
        alias = _alias(request)
        if refusal := self._refusal(request, alias):
            return refusal
        connection, links = connections[alias], self.links(request)
        cards, problem = list[dict[str, Any]](), ""
        try:
            with transaction.atomic(using=alias):
                cards = _cards(connection, links)
        except DatabaseError as error:
            problem = str(error)
        context = {
            **self._shared(request, alias),
            "cards": cards,
            "problem": problem,
            "waits": waits(connection) if links.may_view(MigrationStep) else [],
            "backfills": _backfills(alias) if links.may_view(MigrationCheckpoint) else [],
            "drift": cache.get(_drift_key(alias)),
            "may_plan": links.may("view_plan"),
        }
        return self.render(request, "dashboard", _("Dashboard"), context)

    def backfills_view(self, request: HttpRequest) -> HttpResponse:
        """The part of the dashboard that a script asks for again and again."""
        alias = _alias(request)
        if refusal := self._refusal(request, alias):
            return refusal
        if not self.links(request).may_view(MigrationCheckpoint):
            raise PermissionDenied
        context = {**self._shared(request, alias), "backfills": _backfills(alias)}
        return self.render(request, "backfills", _("Running backfills"), context)

    def locks_view(self, request: HttpRequest) -> HttpResponse:
        alias = _alias(request)
        if refusal := self._refusal(request, alias):
            return refusal
        if not self.links(request).may_view(MigrationStep):
            raise PermissionDenied
        context = {**self._shared(request, alias), "waits": waits(connections[alias])}
        return self.render(request, "locks", _("Locks"), context)

    def plan_view(self, request: HttpRequest) -> HttpResponse:
        """The pending plan, which is made when it is asked for."""
        alias = _alias(request)
        if refusal := self._refusal(request, alias):
            return refusal
        if not self.links(request).may("view_plan"):
            raise PermissionDenied
        from zanith_django.admin.planning import plan_context

        context = {**self._shared(request, alias), **plan_context(connections[alias])}
        return self.render(request, "plan", _("Pending plan"), context)

    def drift_view(self, request: HttpRequest) -> HttpResponse:
        """Compares models and database now, and remembers the result."""
        alias = _alias(request)
        if refusal := self._refusal(request, alias):
            return refusal
        if not self.links(request).may("view_plan"):
            raise PermissionDenied
        from zanith_django.admin.planning import drift_of

        found: dict[str, Any] = {"at": timezone.now(), "operations": [], "problem": ""}
        try:
            found["operations"] = drift_of(connections[alias])
            cache.set(_drift_key(alias), found, timeout=None)
        except (ZanithError, DatabaseError) as error:
            found["problem"] = f"{error} {getattr(error, 'hint', '')}".strip()
        context = {**self._shared(request, alias), "drift": found}
        return self.render(request, "drift", _("Drift"), context)

    # --- what they share -----------------------------------------------------------------------

    def _refusal(self, request: HttpRequest, alias: str) -> HttpResponse | None:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return self.nothing_to_read(request, alias)

    def _shared(self, request: HttpRequest, alias: str) -> dict[str, Any]:
        links = self.links(request)
        names = ("changelist", "backfills", "locks", "plan", "drift")
        return {
            "alias": alias,
            "aliases": [*_aliases()],
            "urls": {name: f"{links.page(f'dashboard_{name}')}?database={alias}" for name in names},
            "steps_url": links.list(MigrationStep) if links.may_view(MigrationStep) else "",
        }


def _aliases() -> list[str]:
    return [alias for alias in connections if connections[alias].vendor == "postgresql"]


def _alias(request: HttpRequest) -> str:
    """The database that the address names; another one than those of the settings is not found."""
    name = request.GET.get("database", DEFAULT_DB_ALIAS)
    if name not in list(connections):
        raise Http404
    return name


def _drift_key(alias: str) -> str:
    return f"zanith_django:drift:{alias}"


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
