"""Steps: a list that answers what failed, what was risky and when, and a page for each attempt."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from zanith_django.admin.pages import TEMPLATES, LedgerAdmin, cell, detail_url, may_view
from zanith_django.models import Migration, MigrationStep


class StepAdmin(LedgerAdmin):
    detail_template = f"{TEMPLATES}/step.html"
    list_display = (
        "migration_id",
        "number",
        "operation_kind",
        "state",
        "risk",
        "finished_at",
        "took",
    )
    list_filter = (
        "status",
        "risk_level",
        "finished_at",
        ("operation_kind", admin.AllValuesFieldListFilter),
    )
    search_fields = ("migration_id",)
    search_help_text = "Part of a migration's name"
    # Descending, PostgreSQL puts what has not finished first; the index serves this order.
    ordering = ("-finished_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("sql", "error")

    @admin.display(description="step")
    def number(self, step: MigrationStep) -> str:
        return cell("step_number", step=step)

    @admin.display(description="status", ordering="status")
    def state(self, step: MigrationStep) -> str:
        return cell("status", status=step.status, sigil=step.sigil)

    @admin.display(description="risk", ordering="risk_score")
    def risk(self, step: MigrationStep) -> str:
        return cell("risk", level=step.risk_level, score=step.risk_score)

    @admin.display(description="took")
    def took(self, step: MigrationStep) -> str:
        return step.took

    def detail_context(self, request: HttpRequest, row: MigrationStep) -> dict[str, Any]:
        if not may_view(request, Migration):
            return {}
        return {"migration_url": detail_url(Migration, row.migration_id)}
