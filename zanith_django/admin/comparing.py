"""Two schemas side by side: the operations between them, and each table that differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.graph_tables import TableView
from zanith_django.admin.pages import clean
from zanith_django.admin.snapshots import SnapshotAdmin
from zanith_django.diff.diff import diff
from zanith_django.diff.differ import HARD
from zanith_django.exceptions import ZanithError
from zanith_django.operations import Operation
from zanith_django.plan.comparison import MODELS, Sources
from zanith_django.schema.graph import SchemaGraph, Table

MOST = 50  # tables that the page shows line by line
CHOICES = 200  # snapshots to choose from when two are compared


class Pair(NamedTuple):
    """One line of a table in both schemas; `mark` is +, -, ~ or empty."""

    mark: str
    name: str
    before: str
    after: str


class TablePair(NamedTuple):
    """One table that differs."""

    name: str
    mark: str
    lines: tuple[Pair, ...]


def compare_view(pages: SnapshotAdmin, request: HttpRequest) -> HttpResponse:
    if refusal := pages.refusal(request):
        return refusal
    names = [clean(request.GET.get(name, "").strip()) for name in ("a", "b")]
    taken = pages.get_queryset(request).order_by("-captured_at")
    newest = taken.values_list("migration_id", "phase")
    context: dict[str, Any] = {
        "a": names[0],
        "b": names[1],
        "choices": [f"{migration}:{phase}" for migration, phase in newest[:CHOICES]],
    }
    if all(names):
        context |= _compared_context(pages.connection(request), *names)
    return pages.render(request, "compare", _("Compare two schemas"), context)


def _compared_context(connection: BaseDatabaseWrapper, a: str, b: str) -> dict[str, Any]:
    """What the template shows, or the problem. Models are not read: that takes too long here."""
    try:
        before, after = (_graph(connection, name) for name in (a, b))
        operations = diff(before, after, drop=HARD, overlapping=False)
    except (ZanithError, LookupError, ValueError) as error:
        return {"problem": error, "hint": getattr(error, "hint", "")}
    tables = list(_tables(before, after))
    return {
        "operations": [_said(operation) for operation in operations],
        "tables": tables[:MOST],
        "more": len(tables) - MOST if len(tables) > MOST else 0,
        "compared": True,
    }


def _graph(connection: BaseDatabaseWrapper, name: str) -> SchemaGraph:
    """A snapshot, `live` or `empty`: no file, for the name comes from an address."""
    if name == MODELS:
        raise LookupError("zanith_diff models … compares with the models.")
    return Sources(connection, files=False).graph(name)


def _said(operation: Operation) -> tuple[str, str, str]:
    return operation.kind, operation.target, operation.describe()


def _tables(before: SchemaGraph, after: SchemaGraph) -> Iterator[TablePair]:
    old = {table.name: table for table in before.tables}
    new = {table.name: table for table in after.tables}
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            mark = "+" if name not in old else "-" if name not in new else "~"
            lines = tuple(_pairs(_lines(old.get(name)), _lines(new.get(name))))
            yield TablePair(str(name), mark, lines)


def _lines(table: Table | None) -> dict[str, str]:
    """{what it is: how it reads}."""
    if table is None:
        return {}
    view = TableView(table)
    found = {f"column {c.name}": _column(c) for c in view.columns}
    for line in (*view.keys, *view.constraints, *view.indexes, *view.rules):
        found[f"{line.kind} {line.name}"] = line.text
    return found


def _column(line: Any) -> str:
    parts = (line.type, "" if line.nullable else "NOT NULL", line.value, line.notes)
    return ", ".join(part for part in parts if part)


def _pairs(before: dict[str, str], after: dict[str, str]) -> Iterator[Pair]:
    for name in _both(before, after):
        old, new = before.get(name, ""), after.get(name, "")
        mark = "+" if name not in before else "-" if name not in after else "~"
        yield Pair("" if name in before and name in after and old == new else mark, name, old, new)


def _both(before: Iterable[str], after: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys((*before, *after))
