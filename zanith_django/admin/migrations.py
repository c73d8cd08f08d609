"""Migrations: the list, what is unfinished above it, and a page with the steps as a timeline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest

from zanith_django.admin.pages import TEMPLATES, LedgerAdmin, cell, detail_url, list_url, may_view
from zanith_django.admin.summaries import LIGHT, in_order, summaries, summarise, unfinished
from zanith_django.models import (
    DJANGO_PREFIX,
    Migration,
    MigrationArtifact,
    MigrationCheckpoint,
    MigrationStep,
    RiskLevel,
    SchemaSnapshot,
)

STEPS_PER_PAGE = 200
SHOWN = 100  # artifacts and checkpoints on a migration's page


class SourceFilter(admin.SimpleListFilter):
    """Ours, or those that installed apps brought."""

    title = "source"
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("zanith", "zanith"), ("django", "django")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "django":
            return queryset.filter(id__startswith=DJANGO_PREFIX)
        if self.value() == "zanith":
            return queryset.exclude(id__startswith=DJANGO_PREFIX)
        return queryset


class RiskFilter(admin.SimpleListFilter):
    """Migrations with a step of that level."""

    title = "risk of a step"
    parameter_name = "risk"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in RiskLevel.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        steps = MigrationStep.objects.filter(migration_id=OuterRef("id"), risk_level=self.value())
        return queryset.filter(Exists(steps))


# Times of which Django can list years and months; PostgreSQL has earlier and later ones.
LISTED_TIMES = (datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC))


class MigrationList(ChangeList):
    """Gives each migration of the page its summary, with one query for all. What is asked of
    `queryset` after the page is known is which dates there are."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.queryset = self.queryset.filter(applied_at__range=LISTED_TIMES)
        if not may_view(request, MigrationStep):
            return
        self.result_list = list(self.result_list)
        found = summaries(migration.id for migration in self.result_list)
        for migration in self.result_list:
            migration.summary = found[migration.id]


class MigrationAdmin(LedgerAdmin):
    detail_template = f"{TEMPLATES}/migration.html"
    change_list_template = f"{TEMPLATES}/migration_list.html"
    list_display = ("id", "source", "applied_at")
    list_filter = (SourceFilter, "applied_at")
    date_hierarchy = "applied_at"
    search_fields = ("id",)
    search_help_text = "Part of a migration's name"
    ordering = ("-applied_at",)
    about_steps: ClassVar = ("steps", "worst_risk", "time")

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        first, *rest = self.list_display
        about_steps = self.about_steps if may_view(request, MigrationStep) else ()
        return (first, *about_steps, *rest)

    def get_list_filter(self, request: HttpRequest) -> tuple[Any, ...]:
        extra = (RiskFilter,) if may_view(request, MigrationStep) else ()
        return (*self.list_filter, *extra)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return MigrationList

    @admin.display(description="source")
    def source(self, migration: Migration) -> str:
        return migration.source

    @admin.display(description="steps")
    def steps(self, migration: Any) -> str:
        return cell("counts", counts=migration.summary.counts)

    @admin.display(description="worst risk")
    def worst_risk(self, migration: Any) -> str:
        summary = migration.summary
        return cell("risk", level=summary.risk_level, score=summary.risk_score)

    @admin.display(description="time")
    def time(self, migration: Any) -> str:
        return str(migration.summary.took)

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().list_context(request)
        if not may_view(request, MigrationStep):
            return context
        begun = [
            {"summary": summary, "url": detail_url(Migration, summary.migration_id)}
            for summary in unfinished()
        ]
        return {**context, "unfinished": begun}

    def row(self, request: HttpRequest, object_id: str) -> Migration:
        """The migration, not saved and without `applied_at` where it has only steps."""
        migration = self.get_object(request, object_id)
        if isinstance(migration, Migration):
            return migration
        begun = MigrationStep.objects.filter(migration_id=object_id)
        if may_view(request, MigrationStep) and begun.exists():
            return Migration(id=object_id)
        raise Http404(f"There is no migration {object_id!r}.")

    def detail_context(self, request: HttpRequest, row: Migration) -> dict[str, Any]:
        context: dict[str, Any] = {"snapshots": (), "artifacts": (), "checkpoints": ()}
        if may_view(request, MigrationStep):
            context |= _timeline(row.id, request.GET.get("p"))
        if may_view(request, SchemaSnapshot):
            context |= _snapshots(row.id)
        for name, model in (("artifacts", MigrationArtifact), ("checkpoints", MigrationCheckpoint)):
            if may_view(request, model):
                rows = model._default_manager.filter(migration_id=row.id).order_by("id")
                context[name] = [(item, detail_url(model, item.pk)) for item in rows[:SHOWN]]
        return context


def _timeline(migration_id: str, page: str | None) -> dict[str, Any]:
    """All steps without their texts for the sums and the order, then the texts of one page."""
    light = in_order(MigrationStep.objects.filter(migration_id=migration_id).only(*LIGHT))
    steps = Paginator(light, STEPS_PER_PAGE).get_page(page)
    full = in_order(MigrationStep.objects.filter(id__in=[step.id for step in steps]))
    return {
        "summary": summarise(migration_id, light),
        "page": steps,
        "steps": [(step, detail_url(MigrationStep, step.id)) for step in full],
        "steps_url": list_url(MigrationStep),
    }


def _snapshots(migration_id: str) -> dict[str, Any]:
    """Links to the snapshots, and what the newest says of the run; the graphs stay unread."""
    found = SchemaSnapshot.objects.filter(migration_id=migration_id).order_by("captured_at")
    rows = list(found.values_list("phase", "captured_at", "graph__run"))
    return {
        "snapshots": [
            (phase, captured_at, detail_url(SchemaSnapshot, migration_id, phase))
            for phase, captured_at, _ in rows
        ],
        "run": rows[-1][2] if rows else None,
    }
