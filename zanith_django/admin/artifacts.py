"""Artifacts: the objects that recoverable drops kept, with export, restore and purge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db import connections, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.later import later
from zanith_django.admin.pages import LedgerAdmin, cell, pretty
from zanith_django.models import Migration, MigrationArtifact


class RecoverableFilter(admin.SimpleListFilter):
    """Artifacts that can be restored, or those that were restored or purged."""

    title = _("can be restored")
    parameter_name = "recoverable"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("yes")), ("no", _("no"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(expires_at__isnull=self.value() == "yes")
        return queryset


class ArtifactAdmin(LedgerAdmin):
    detail_template = "artifact"
    list_display = ("target", "state", "artifact_type", "rows", "created_at", "migration_id")
    list_filter = (
        RecoverableFilter,
        ("artifact_type", admin.AllValuesFieldListFilter),
        "created_at",
    )
    search_fields = ("id", "physical_name")
    search_help_text = _("Part of a migration's, table's or column's name")
    ordering = ("-created_at",)

    rows_view = later("artifact_views", "rows_view")
    export_view = later("artifact_views", "export_view")
    restore_view = later("artifact_views", "restore_view")
    purge_view = later("artifact_views", "purge_view")

    def own_urls(self) -> list[URLPattern]:
        return [
            self.url("<path:object_id>/rows/", self.rows_view, "rows"),
            self.url("<path:object_id>/export/", self.export_view, "export"),
            self.alone("<path:object_id>/restore/", self.restore_view, "restore"),
            self.alone("<path:object_id>/purge/", self.purge_view, "purge"),
        ]

    def alone(self, route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        """Outside the transaction that ATOMIC_REQUESTS puts around a view: steps have their own."""
        pattern = self.url(route, view, name)
        for alias in connections:
            pattern.callback = transaction.non_atomic_requests(alias)(pattern.callback)
        return pattern

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("recovery_sql", "metadata")

    @admin.display(description=_("what"), ordering="source_table")
    def target(self, artifact: MigrationArtifact) -> str:
        return artifact.target

    @admin.display(description=_("rows"), ordering="row_count")
    def rows(self, artifact: MigrationArtifact) -> str:
        return artifact.rows_text

    @admin.display(description=_("can be restored"), ordering="expires_at")
    def state(self, artifact: MigrationArtifact) -> str:
        return cell("recoverable", artifact=artifact)

    def detail_context(self, request: HttpRequest, row: MigrationArtifact) -> dict[str, Any]:
        links, live = self.links(request), row.expires_at is None
        pages = ("rows", "export") if links.may("view_sql") and live else ()
        verbs = [verb for verb in ("restore", "purge") if live and links.may(f"{verb}_artifact")]
        urls = {n: links.page(f"migrationartifact_{n}", row.id) for n in (*pages, *verbs)}
        return {
            "metadata": pretty(row.metadata) if links.may("view_sql") else "",
            "restore": _restore(row),
            "migration_url": links.detail_if_seen(Migration, row.migration_id),
            "urls": urls,
        }


def _restore(artifact: MigrationArtifact) -> str:
    """The arguments of zanith_recover that bring it back."""
    verb = "restore-column" if artifact.source_column else "restore-table"
    return f"{verb} {artifact.target}"
