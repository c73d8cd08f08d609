"""Steps: a list that answers what failed, what was risky and when, and a page for each attempt."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Case, DurationField, ExpressionWrapper, F, Q, QuerySet, When
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils.formats import date_format
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext, gettext_lazy as _

from zanith_django.admin.later import later
from zanith_django.admin.pages import LISTED_TIMES, LedgerAdmin, LedgerList, cell
from zanith_django.models import MigrationStep

SECRET = ("sql", "error")

about_table = later("step_views", "about_table")
since_of = later("step_views", "since_of")


class Typed(admin.SimpleListFilter):
    """A filter whose value is typed above the list. It has nothing to choose from, so the sidebar
    shows it only while it is set."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(str(self.parameter_name), "")
        return [(chosen, chosen)] if chosen else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = str(self.value() or "").strip().replace("\0", "")
        return self.filtered(queryset, wanted) if wanted else queryset

    def filtered(self, queryset: QuerySet[Any], wanted: str) -> QuerySet[Any]:
        raise NotImplementedError


class TableFilter(Typed):
    """Steps about one table: `?table=users`."""

    title = _("table")
    parameter_name = "table"

    def filtered(self, queryset: QuerySet[Any], wanted: str) -> QuerySet[Any]:
        found: QuerySet[Any] = about_table(queryset, wanted)
        return found


class MigrationFilter(Typed):
    """Steps of migrations with this text in their name."""

    title = _("migration")
    parameter_name = "migration"

    def filtered(self, queryset: QuerySet[Any], wanted: str) -> QuerySet[Any]:
        return queryset.filter(migration_id__icontains=wanted)


class SinceFilter(Typed):
    """Attempts that began on that day or later, or have not begun: `?since=2026-03-01`. With a text
    that means no day there are none, and the page says why."""

    title = _("since")
    parameter_name = "since"

    def filtered(self, queryset: QuerySet[Any], wanted: str) -> QuerySet[Any]:
        start, problem = since_of(wanted)
        if problem or start is None:
            return queryset.none()
        return queryset.filter(Q(started_at__gte=start) | Q(started_at__isnull=True))


TYPED = (TableFilter, MigrationFilter, SinceFilter)


# Before PostgreSQL 17, times without end have no difference.
_SPENT = Case(
    When(
        started_at__range=LISTED_TIMES,
        finished_at__range=LISTED_TIMES,
        then=ExpressionWrapper(F("finished_at") - F("started_at"), DurationField()),
    ),
    output_field=DurationField(),
)


class StepList(LedgerList):
    """Gives each step of the page what it is about, with one query for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        cast(StepAdmin, self.model_admin).add_details(request, self.result_list)


class StepAdmin(LedgerAdmin):
    detail_template = "step"
    change_list_template = "zanith_django/admin/step_list.html"
    list_display = (
        "what",
        "target",
        "state",
        "risk",
        "finished_at",
        "took",
    )
    list_filter = (
        "status",
        "risk_level",
        *TYPED,
        "finished_at",
        ("operation_kind", admin.AllValuesFieldListFilter),
    )
    search_fields = ("migration_id",)
    search_help_text = _("Part of a migration, table, column, statement or error")
    # Descending, PostgreSQL puts what has not finished first; the index serves this order.
    ordering = ("-finished_at",)

    add_details = later("step_views", "add_details")
    detail_context = later("step_views", "detail_context")
    csv_view = later("step_views", "csv_view")

    def own_urls(self) -> list[URLPattern]:
        return [self.url("csv/", self.csv_view, "csv")]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return StepList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request)
        found = found.defer(*SECRET).alias(spent=_SPENT)
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Each word in the migration, or for those who may read it in the statement or the error;
        of `users.email` both parts in the statement."""
        texts = ("id", *(SECRET if self.links(request).may("view_sql") else ()))
        for word in search_term.replace("\0", "").split():
            found = Q()
            for field in texts:
                found |= Q(**{f"{field}__icontains": word})
            if "." in word and "sql" in texts:
                parts = [part for part in word.split(".") if part]
                both = Q()
                for part in parts:
                    both &= Q(sql__icontains=part)
                found |= both
            queryset = queryset.filter(found)
        return queryset, False

    @admin.display(description=_("step"), ordering="migration_id")
    def what(self, step: MigrationStep) -> str:
        return cell("step_what", step=step)

    @admin.display(description=_("target"))
    def target(self, step: Any) -> str:
        return cell("step_target", step=step, detail=step.detail)

    @admin.display(description=_("status"), ordering="status")
    def state(self, step: MigrationStep) -> str:
        return cell("status", status=step.status, sigil=step.sigil)

    @admin.display(description=_("risk"), ordering="risk_score")
    def risk(self, step: MigrationStep) -> str:
        return cell("risk", level=step.risk_level, score=step.risk_score)

    @admin.display(description=_("took"), ordering="spent")
    def took(self, step: MigrationStep) -> str:
        return step.took

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        typed = {str(each.parameter_name): each for each in TYPED}
        context = {
            **super().list_context(request),
            "csv_url": self.links(request).page("migrationstep_csv", **dict(request.GET.lists())),
            "typed": {name: request.GET.get(name, "") for name in typed},
        }
        start, context["since_problem"] = since_of(request.GET.get("since", "").strip())
        if table := request.GET.get("table", "").strip():
            context["headline"] = _what_happened(table, start)
        return context


def _what_happened(table: str, start: datetime | None) -> str:
    if start is None:
        return gettext("What happened to %(table)s") % {"table": table}
    local = localtime(start) if is_aware(start) else start
    when = date_format(local, "DATETIME_FORMAT" if local.time() > time.min else "DATE_FORMAT")
    return gettext("What happened to %(table)s since %(when)s") % {"table": table, "when": when}
