"""The page of a snapshot: its data, and its tables in lines."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest

from zanith_django.admin.graph_tables import TableView
from zanith_django.admin.pages import pretty
from zanith_django.admin.snapshots import SnapshotAdmin
from zanith_django.exceptions import UnreadableGraph
from zanith_django.models import Migration, Phase, SchemaSnapshot as Snapshot
from zanith_django.schema.graph import SchemaGraph

TABLES_PER_PAGE = 50
UNFOLDED = 3  # so few tables are shown open


def detail_context(pages: SnapshotAdmin, request: HttpRequest, row: Snapshot) -> dict[str, Any]:
    links = pages.links(request)
    run = row.graph.get("run", {}) if isinstance(row.graph, dict) else {}
    context: dict[str, Any] = {
        "run": _run_lines(run),
        "others": _other_phases(pages, request, row),
        "migration_url": links.detail_if_seen(Migration, row.migration_id),
    }
    graph, problem = graph_of(row)
    if graph is None:
        return {**context, "problem": problem}
    files = ("picture", "svg", "mermaid", "ddl")
    urls = {n: links.page(f"schemasnapshot_{n}", row.migration_id, row.phase) for n in files}
    return {**context, "urls": urls, **_tables(graph, request)}


def _other_phases(
    pages: SnapshotAdmin, request: HttpRequest, snapshot: Snapshot
) -> list[tuple[str, str]]:
    """(phase, URL) of the same migration's other snapshots."""
    others = pages.get_queryset(request).filter(migration_id=snapshot.migration_id)
    phases = set(others.values_list("phase", flat=True)) - {snapshot.phase}
    order = [str(phase) for phase in Phase]
    links = pages.links(request)
    return [
        (phase, links.detail(Snapshot, snapshot.migration_id, phase))
        for phase in sorted(phases, key=lambda p: (order.index(p) if p in order else 9, p))
    ]


def graph_of(row: Snapshot) -> tuple[SchemaGraph | None, Exception | None]:
    """The graph, or why it cannot be read."""
    try:
        return SchemaGraph.from_json(row.graph), None
    except UnreadableGraph as error:
        return None, error


def _tables(graph: SchemaGraph, request: HttpRequest) -> dict[str, Any]:
    """One page of the tables whose name contains what was searched for."""
    wanted = request.GET.get("q", "").strip()
    found = [table for table in graph.tables if wanted.lower() in str(table.name).lower()]
    page = Paginator(found, TABLES_PER_PAGE).get_page(request.GET.get("p"))
    return {
        "graph": graph,
        "wanted": wanted,
        "page": page,
        "tables": [TableView(table) for table in page],
        "unfold": len(found) <= UNFOLDED,
    }


# Of these the pages of migrations and steps show all that there is to know.
_ELSEWHERE = ("details", "past")


def _run_lines(run: Any) -> list[tuple[str, str, bool]]:
    """(name, value, whether it spans lines) of the data beside the graph: who ran the
    migration, from which file."""
    if not isinstance(run, dict):
        return []
    return [
        (name.replace("_", " "), _value(value), isinstance(value, dict | list))
        for name, value in sorted(run.items())
        if value not in (None, "", [], {}) and name not in _ELSEWHERE
    ]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else pretty(value)
