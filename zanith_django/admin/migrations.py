"""Migrations: the list, what is unfinished above it, and a page with the steps as a timeline."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.later import later
from zanith_django.admin.pages import LISTED_TIMES, TEMPLATES, LedgerAdmin, LedgerList, cell
from zanith_django.admin.summaries import summaries, unfinished
from zanith_django.models import DJANGO_PREFIX, Migration, MigrationStep, RiskLevel


class SourceFilter(admin.SimpleListFilter):
    """Ours, or those that installed apps brought."""

    title = _("source")
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

    title = _("risk of a step")
    parameter_name = "risk"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in RiskLevel.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        steps = MigrationStep.objects.filter(migration_id=OuterRef("id"), risk_level=self.value())
        return queryset.filter(Exists(steps))


class MigrationList(LedgerList):
    """Gives each migration of the page its summary, with one query for all. What is asked of
    `queryset` after the page is known is which dates there are."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.queryset = self.queryset.filter(applied_at__range=LISTED_TIMES)
        if not cast(LedgerAdmin, self.model_admin).links(request).may_view(MigrationStep):
            return
        self.result_list = list(self.result_list)
        found = summaries(self.queryset.db, [migration.id for migration in self.result_list])
        for migration in self.result_list:
            migration.summary = found[migration.id]


class MigrationAdmin(LedgerAdmin):
    detail_template = "migration"
    change_list_template = f"{TEMPLATES}/migration_list.html"
    list_display = ("id", "source", "applied_at")
    list_filter = (SourceFilter, "applied_at")
    date_hierarchy = "applied_at"
    search_fields = ("id",)
    search_help_text = _("Part of a migration's name")
    ordering = ("-applied_at",)
    about_steps: ClassVar = ("steps", "worst_risk", "time")
    detail_context = later("migration_views", "detail_context")

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        first, *rest = self.list_display
        about_steps = self.about_steps if self.links(request).may_view(MigrationStep) else ()
        return (first, *about_steps, *rest)

    def get_list_filter(self, request: HttpRequest) -> tuple[Any, ...]:
        extra = (RiskFilter,) if self.links(request).may_view(MigrationStep) else ()
        return (*self.list_filter, *extra)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return MigrationList

    @admin.display(description=_("source"))
    def source(self, migration: Migration) -> str:
        return migration.source

    @admin.display(description=_("steps"))
    def steps(self, migration: Any) -> str:
        return cell("counts", counts=migration.summary.counts)

    @admin.display(description=_("worst risk"))
    def worst_risk(self, migration: Any) -> str:
        summary = migration.summary
        return cell("risk", level=summary.risk_level, score=summary.risk_score)

    @admin.display(description=_("time"))
    def time(self, migration: Any) -> str:
        return str(migration.summary.took)

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().list_context(request)
        links = self.links(request)
        if not links.may_view(MigrationStep):
            return context
        begun = [
            {"summary": summary, "url": links.detail(Migration, summary.migration_id)}
            for summary in unfinished(self.alias(request))
        ]
        return {**context, "unfinished": begun}

    def row(self, request: HttpRequest, object_id: str) -> Migration:
        """The migration, not saved and without `applied_at` where it has only steps."""
        migration = self.get_object(request, object_id)
        if isinstance(migration, Migration):
            return migration
        steps = MigrationStep.objects.using(self.alias(request))
        begun = steps.filter(migration_id=object_id)
        if self.links(request).may_view(MigrationStep) and begun.exists():
            return Migration(id=object_id)
        raise Http404(f"There is no migration {object_id!r}.")
