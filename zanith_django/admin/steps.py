"""Steps: a list that answers what failed, what was risky and when, and a page for each attempt."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import connections
from django.db.models import Case, DurationField, ExpressionWrapper, F, Q, QuerySet, When
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.pages import LISTED_TIMES, LedgerAdmin, cell
from zanith_django.admin.words import documentation, next_command, reasons_of
from zanith_django.audit.steps import UNKNOWN, details_of, touches
from zanith_django.ledger.details import StepDetail
from zanith_django.ledger.ledger import Ledger
from zanith_django.models import Migration, MigrationStep, Status
from zanith_django.render.answers import plain_cell
from zanith_django.render.sql_words import words_of

EXPORTED = 100_000
_AT_ONCE = 500
COLUMNS = (
    "id",
    "migration_id",
    "operation_kind",
    "target",
    "description",
    "status",
    "risk_level",
    "risk_score",
    "lock",
    "reasons",
    "seconds",
    "by",
    "started_at",
    "finished_at",
)
_SECRET = ("sql", "error")


class TableFilter(admin.SimpleListFilter):
    """Steps about one table: `?table=users`. It has no list to choose from, so the sidebar shows
    it only while it is set."""

    title = _("table")
    parameter_name = "table"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name, "")
        return [(chosen, chosen)] if chosen else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those whose SQL has the name are looked up: what they are about decides."""
        name = self.value()
        if not name:
            return queryset
        table = name.rpartition(".")[2]
        named = Q(sql__icontains=table) | Q(operation_kind="djangoOperation")
        rows = list(queryset.model._default_manager.filter(named).only(*_IDENTITY)[:EXPORTED])
        details = details_of(Ledger(connections[queryset.db]).known(), rows)
        return queryset.filter(id__in=[row.id for row in rows if touches(details[row.id], name)])


_IDENTITY = ("id", "migration_id", "started_at")


# Before PostgreSQL 17, times without end have no difference.
_SPENT = Case(
    When(
        started_at__range=LISTED_TIMES,
        finished_at__range=LISTED_TIMES,
        then=ExpressionWrapper(F("finished_at") - F("started_at"), DurationField()),
    ),
    output_field=DurationField(),
)


class StepList(ChangeList):
    """Gives each step of the page what it is about, with one query for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        details = details_of(cast(StepAdmin, self.model_admin).ledger, self.result_list)
        for step in self.result_list:
            step.detail = details[step.id]


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
        TableFilter,
        "finished_at",
        ("operation_kind", admin.AllValuesFieldListFilter),
    )
    search_fields = ("migration_id",)
    search_help_text = _("Part of a migration, table, column, statement or error")
    # Descending, PostgreSQL puts what has not finished first; the index serves this order.
    ordering = ("-finished_at",)

    def own_urls(self) -> list[URLPattern]:
        return [self.url("csv/", self.csv_view, "csv")]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return StepList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request)
        found = found.defer(*_SECRET).alias(spent=_SPENT)
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Each word in the migration, or for those who may read it in the statement or the error;
        of `users.email` both parts in the statement."""
        texts = ("id", *(_SECRET if self.links(request).may("view_sql") else ()))
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
        query = request.GET.urlencode()
        url = self.links(request).page("migrationstep_csv")
        return {**super().list_context(request), "csv_url": f"{url}?{query}" if query else url}

    def detail_context(self, request: HttpRequest, row: MigrationStep) -> dict[str, Any]:
        links = self.links(request)
        (detail,) = details_of(self.ledger, [row]).values()
        return {
            "detail": detail,
            "reasons": reasons_of(detail),
            "words": words_of(row.sql) if links.may("view_sql") else (),
            "next_command": next_command(row),
            "documentation": documentation(row.operation_kind),
            "migration_url": links.detail_if_seen(Migration, row.migration_id),
            "undoes_url": links.detail(MigrationStep, detail.undoes) if detail.undoes else "",
        }

    def csv_view(self, request: HttpRequest) -> HttpResponseBase:
        """The list as it is filtered and sorted, as a stream."""
        if refusal := self.refusal(request):
            return refusal
        found = self.get_changelist_instance(request).get_queryset(request)
        columns = (*COLUMNS, *(_SECRET if self.links(request).may("view_sql") else ()))
        lines = self._lines(found[:EXPORTED], columns)
        answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="zanith-steps.csv"'
        return answer

    def _lines(self, found: QuerySet[Any], columns: Sequence[str]) -> Iterator[str]:
        writer = csv.writer(_Echo())
        yield writer.writerow(columns)
        wanted = found.defer(None) if "sql" in columns else found
        batch: list[MigrationStep] = []
        for step in wanted.iterator(chunk_size=_AT_ONCE):
            batch.append(step)
            if len(batch) == _AT_ONCE:
                yield from self._rows(writer, batch, columns)
                batch = []
        yield from self._rows(writer, batch, columns)

    def _rows(
        self, writer: Any, batch: Sequence[MigrationStep], columns: Sequence[str]
    ) -> Iterator[str]:
        details = details_of(self.ledger, batch)
        for step in batch:
            values = _values(step, details.get(step.id, UNKNOWN))
            yield writer.writerow([plain_cell(values.get(name)) for name in columns])


def _values(step: MigrationStep, detail: StepDetail) -> dict[str, Any]:
    stored = {name: value for name, value in vars(step).items() if not name.startswith("_")}
    spent = step.duration
    return {
        **stored,
        "target": detail.target,
        "description": detail.description,
        "lock": detail.lock,
        "reasons": " ".join(detail.reasons),
        "seconds": "" if spent is None else spent.total_seconds(),
        "by": detail.by,
        "status": Status(step.status).value if step.status in Status else step.status,
    }


class _Echo:
    """Hands a line back that the writer of CSV writes."""

    def write(self, line: str) -> str:
        return line
