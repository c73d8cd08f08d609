"""The entry of the dashboard in the admin: its permissions, its addresses and its databases."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS, models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.later import later
from zanith_django.admin.pages import SitePages, aliases, named_database, stand_ins
from zanith_django.models import Migration as MigrationRow, MigrationStep


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
    """Pages about more than one table."""

    dashboard_view = later("dashboard_views", "dashboard_view")
    backfills_view = later("dashboard_views", "backfills_view")
    locks_view = later("dashboard_views", "locks_view")
    plan_view = later("planning", "plan_view")
    drift_view = later("planning", "drift_view")
    reason_view = later("explained", "reason_view")
    kind_view = later("explained", "kind_view")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        links = self.links(request)
        return any(links.may_view(model) for model in (MigrationRow, MigrationStep))

    def get_urls(self) -> list[URLPattern]:
        pages = {
            "changelist": ("", self.dashboard_view),
            "backfills": ("backfills/", self.backfills_view),
            "locks": ("locks/", self.locks_view),
            "plan": ("plan/", self.plan_view),
            "drift": ("drift/", self.drift_view),
            "reason": ("reasons/<str:code>/", self.reason_view),
            "kind": ("operations/<str:kind>/", self.kind_view),
        }
        return [
            path(route, self.admin_site.admin_view(view), name=f"zanith_django_dashboard_{name}")
            for name, (route, view) in pages.items()
        ]

    def refusal(self, request: HttpRequest, alias: str) -> HttpResponse | None:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return self.nothing_to_read(request, alias)

    def shared(self, request: HttpRequest, alias: str) -> dict[str, Any]:
        links = self.links(request)
        names = ("changelist", "backfills", "locks", "plan", "drift")
        return {
            "alias": alias,
            "aliases": aliases(),
            "urls": {name: links.page(f"dashboard_{name}") for name in names},
            "steps_url": links.list(MigrationStep) if links.may_view(MigrationStep) else "",
        }


def shown_alias(request: HttpRequest) -> str:
    return named_database(request) or DEFAULT_DB_ALIAS


def drift_key(alias: str) -> str:
    return f"zanith_django:drift:{alias}"
