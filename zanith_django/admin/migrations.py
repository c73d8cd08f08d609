"""Migrations: the list, what is unfinished above it, and a page with the steps as a timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.pages import LISTED_TIMES, TEMPLATES, LedgerAdmin, Links, cell
from zanith_django.admin.summaries import LIGHT, in_order, summaries, summarise, unfinished
from zanith_django.admin.words import Why, documentation, next_command, reasons_of
from zanith_django.audit.history import who
from zanith_django.audit.steps import details_of
from zanith_django.audit.written import file_of
from zanith_django.files.migration import LoadedMigration
from zanith_django.ledger.details import StepDetail
from zanith_django.models import (
    DJANGO_PREFIX,
    Migration,
    MigrationArtifact,
    MigrationCheckpoint,
    MigrationStep,
    RiskLevel,
    SchemaSnapshot,
)
from zanith_django.render.sql_words import Word, words_of

STEPS_PER_PAGE = 200
SHOWN = 100  # artifacts and checkpoints on a migration's page


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


class MigrationList(ChangeList):
    """Gives each migration of the page its summary, with one query for all. What is asked of
    `queryset` after the page is known is which dates there are."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.queryset = self.queryset.filter(applied_at__range=LISTED_TIMES)
        if not cast(LedgerAdmin, self.model_admin).links(request).may_view(MigrationStep):
            return
        self.result_list = list(self.result_list)
        found = summaries(migration.id for migration in self.result_list)
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
            for summary in unfinished()
        ]
        return {**context, "unfinished": begun}

    def row(self, request: HttpRequest, object_id: str) -> Migration:
        """The migration, not saved and without `applied_at` where it has only steps."""
        migration = self.get_object(request, object_id)
        if isinstance(migration, Migration):
            return migration
        begun = MigrationStep.objects.filter(migration_id=object_id)
        if self.links(request).may_view(MigrationStep) and begun.exists():
            return Migration(id=object_id)
        raise Http404(f"There is no migration {object_id!r}.")

    def detail_context(self, request: HttpRequest, row: Migration) -> dict[str, Any]:
        links = self.links(request)
        context: dict[str, Any] = {"snapshots": (), "artifacts": (), "checkpoints": ()}
        file = file_of(row.id)
        context |= {"covers": file.covers if file else (), "path": _near(file) if file else ""}
        phases = self.ledger.phases(row.id)
        context |= _run({phase: run for phase, _, run in phases})
        if links.may_view(MigrationStep):
            context |= self._timeline(links, row.id, request.GET.get("p"))
        if links.may_view(SchemaSnapshot):
            taken = [(phase, captured_at) for phase, captured_at, _ in phases]
            context |= _snapshots(links, row.id, taken)
        for name, model in (("artifacts", MigrationArtifact), ("checkpoints", MigrationCheckpoint)):
            if links.may_view(model):
                rows = model._default_manager.filter(migration_id=row.id).order_by("id")
                context[name] = [(item, links.detail(model, item.pk)) for item in rows[:SHOWN]]
        return context

    def _timeline(self, links: Links, migration_id: str, page: str | None) -> dict[str, Any]:
        """All steps without their texts for the sums and the order, then the texts of one page."""
        light = in_order(MigrationStep.objects.filter(migration_id=migration_id).only(*LIGHT))
        steps = Paginator(light, STEPS_PER_PAGE).get_page(page)
        full = in_order(MigrationStep.objects.filter(id__in=[step.id for step in steps]))
        details = details_of(self.ledger, full)
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


def _shown(step: MigrationStep, detail: StepDetail, links: Links, *, with_sql: bool) -> Shown:
    return Shown(
        step,
        detail,
        reasons_of(detail),
        words_of(step.sql) if with_sql else (),
        next_command(step),
        documentation(step.operation_kind),
        links.detail(MigrationStep, step.id),
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
