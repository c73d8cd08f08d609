"""Artifacts: what recoverable drops left behind; restoring is `zanith_recover`'s work."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from zanith_django.admin.pages import TEMPLATES, LedgerAdmin, cell, detail_url, may_view, pretty
from zanith_django.models import Migration, MigrationArtifact


class RecoverableFilter(admin.SimpleListFilter):
    """Those that can still be brought back, or those that were restored or purged."""

    title = "can be restored"
    parameter_name = "recoverable"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "yes"), ("no", "no")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(expires_at__isnull=self.value() == "yes")
        return queryset


class ArtifactAdmin(LedgerAdmin):
    detail_template = f"{TEMPLATES}/artifact.html"
    list_display = ("target", "state", "artifact_type", "rows", "created_at", "migration_id")
    list_filter = (
        RecoverableFilter,
        ("artifact_type", admin.AllValuesFieldListFilter),
        "created_at",
    )
    search_fields = ("id", "physical_name")
    search_help_text = "Part of a migration's, table's or column's name"
    ordering = ("-created_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("recovery_sql", "metadata")

    @admin.display(description="what", ordering="source_table")
    def target(self, artifact: MigrationArtifact) -> str:
        return artifact.target

    @admin.display(description="rows", ordering="row_count")
    def rows(self, artifact: MigrationArtifact) -> str:
        return artifact.rows_text

    @admin.display(description="can be restored", ordering="expires_at")
    def state(self, artifact: MigrationArtifact) -> str:
        return cell("recoverable", artifact=artifact)

    def detail_context(self, request: HttpRequest, row: MigrationArtifact) -> dict[str, Any]:
        context: dict[str, Any] = {"metadata": pretty(row.metadata), "restore": _restore(row)}
        if may_view(request, Migration):
            context["migration_url"] = detail_url(Migration, row.migration_id)
        return context


def _restore(artifact: MigrationArtifact) -> str:
    """The arguments of zanith_recover that bring it back."""
    verb = "restore-column" if artifact.source_column else "restore-table"
    return f"{verb} {artifact.target}"
