"""Views of steps: what they are about, the page of one, and the list as CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.db import connections
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.timezone import make_naive

from zanith_django.admin.steps import SECRET, StepAdmin
from zanith_django.admin.words import documentation, expected, next_command, reasons_of
from zanith_django.audit.since import since
from zanith_django.audit.steps import UNKNOWN, details_of, touches
from zanith_django.exceptions import InvalidArgument
from zanith_django.ledger.details import StepDetail
from zanith_django.ledger.ledger import Ledger
from zanith_django.models import Migration, MigrationStep, Status
from zanith_django.operations import DjangoOperation, RunPython
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
    "estimate",
    "by",
    "started_at",
    "finished_at",
)
_IDENTITY = ("id", "migration_id", "started_at")


# Their SQL may not name the tables that they touch.
_UNNAMED = (DjangoOperation.kind, RunPython.kind)


def about_table(queryset: QuerySet[Any], name: str) -> QuerySet[Any]:
    """Those whose SQL has the name as a word are looked up: what they are about decides."""
    table = name.rpartition(".")[2].replace('"', '""')
    word = f"(^|\\W){re.escape(table)}(\\W|$)"
    named = Q(sql__icontains=table, sql__iregex=word) | Q(operation_kind__in=_UNNAMED)
    all_rows = queryset.model._default_manager.using(queryset.db)
    rows = list(all_rows.filter(named).only(*_IDENTITY)[:EXPORTED])
    details = details_of(Ledger(connections[queryset.db]).known(), rows)
    return queryset.filter(id__in=[row.id for row in rows if touches(details[row.id], name)])


def since_of(text: str) -> tuple[datetime | None, str]:
    """(the moment that is meant, what is wrong with the text), as the models' times are."""
    if not text:
        return None, ""
    try:
        start = since(text)
    except InvalidArgument as error:
        return None, f"{error} {error.hint}"
    return (start if settings.USE_TZ else make_naive(start)), ""


def add_details(pages: StepAdmin, request: HttpRequest, steps: Sequence[Any]) -> None:
    """Gives each step what it is about, with one query for all."""
    details = details_of(pages.ledger(request), steps)
    for step in steps:
        step.detail = details[step.id]


def detail_context(pages: StepAdmin, request: HttpRequest, row: MigrationStep) -> dict[str, Any]:
    links = pages.links(request)
    (detail,) = details_of(pages.ledger(request), [row]).values()
    return {
        "detail": detail,
        "expected": expected(detail),
        "reasons": reasons_of(detail.reasons, links),
        "words": words_of(row.sql) if links.may("view_sql") else (),
        "next_command": next_command(row, row.error),
        "documentation": documentation(row.operation_kind, links),
        "migration_url": links.detail_if_seen(Migration, row.migration_id),
        "locks_url": links.page("dashboard_locks") if row.status == Status.FAILED else "",
        "undoes_url": links.detail(MigrationStep, detail.undoes) if detail.undoes else "",
    }


def csv_view(pages: StepAdmin, request: HttpRequest) -> HttpResponseBase:
    """The list as it is filtered and sorted, as a stream."""
    if refusal := pages.refusal(request):
        return refusal
    links = pages.links(request)
    if since_of(request.GET.get("since", "").strip())[1]:  # the list shows what is wrong with it
        return HttpResponseRedirect(links.list(MigrationStep, **dict(request.GET.lists())))
    try:
        found = pages.get_changelist_instance(request).get_queryset(request)
    except IncorrectLookupParameters:  # the list shows that the address is wrong
        return HttpResponseRedirect(links.list(MigrationStep, **{ERROR_FLAG: "1"}))
    columns = (*COLUMNS, *(SECRET if links.may("view_sql") else ()))
    lines = _lines(pages.ledger(request), found[:EXPORTED], columns)
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="zanith-steps.csv"'
    return answer


def _lines(ledger: Ledger, found: QuerySet[Any], columns: Sequence[str]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    wanted = found.defer(None) if "sql" in columns else found
    batch: list[MigrationStep] = []
    for step in wanted.iterator(chunk_size=_AT_ONCE):
        batch.append(step)
        if len(batch) == _AT_ONCE:
            yield from _rows(ledger, writer, batch, columns)
            batch = []
    yield from _rows(ledger, writer, batch, columns)


def _rows(
    ledger: Ledger, writer: Any, batch: Sequence[MigrationStep], columns: Sequence[str]
) -> Iterator[str]:
    details = details_of(ledger, batch)
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
        "estimate": "" if detail.estimate is None else detail.estimate,
        "by": detail.by,
        "status": Status(step.status).value if step.status in Status else step.status,
    }


class _Echo:
    """Hands a line back that the writer of CSV writes."""

    def write(self, line: str) -> str:
        return line
