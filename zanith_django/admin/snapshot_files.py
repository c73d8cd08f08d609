"""A snapshot as a picture, and as files: SVG, Mermaid, SQL."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext

from zanith_django.admin.pages import TEMPLATES
from zanith_django.admin.snapshot_views import graph_of
from zanith_django.admin.snapshots import SnapshotAdmin
from zanith_django.diff.diff import diff
from zanith_django.diff.differ import HARD
from zanith_django.exceptions import ZanithError
from zanith_django.models import SchemaSnapshot as Snapshot
from zanith_django.postgres.session import server_version
from zanith_django.render.differences import diff_sql
from zanith_django.render.picture import mermaid, picture
from zanith_django.schema.graph import SchemaGraph


def picture_view(
    pages: SnapshotAdmin, request: HttpRequest, migration_id: str, phase: str
) -> HttpResponse:
    """What is searched for and which table is in focus are in the address."""
    if refusal := pages.refusal(request):
        return refusal
    row = pages.snapshot(request, migration_id, phase)
    graph, problem = graph_of(row)
    focus, search = request.GET.get("focus", "").strip(), request.GET.get("q", "").strip()
    links, key = pages.links(request), (row.migration_id, row.phase)
    context = {
        "row": row,
        "problem": problem,
        "picture": picture(graph, focus=focus, search=search) if graph else None,
        "focus": focus,
        "wanted": search,
        "names": [str(table.name) for table in graph.tables] if graph else [],
        "detail_url": links.detail(Snapshot, *key),
        "urls": {
            "svg": links.page("schemasnapshot_svg", *key, **dict(request.GET.lists())),
            "mermaid": links.page("schemasnapshot_mermaid", *key),
        },
    }
    return pages.render(request, "picture", gettext("Picture of %s") % row, context)


def svg_view(
    pages: SnapshotAdmin, request: HttpRequest, migration_id: str, phase: str
) -> HttpResponse:
    def text(graph: SchemaGraph) -> str:
        chosen = {"focus": request.GET.get("focus", ""), "search": request.GET.get("q", "")}
        context = {"picture": picture(graph, **chosen), "alone": True}
        return render_to_string(f"{TEMPLATES}/picture.svg", context)

    return _file(pages, request, (migration_id, phase), "image/svg+xml", "schema.svg", text)


def mermaid_view(
    pages: SnapshotAdmin, request: HttpRequest, migration_id: str, phase: str
) -> HttpResponse:
    def text(graph: SchemaGraph) -> str:
        return "\n".join(mermaid(graph)) + "\n"

    return _file(pages, request, (migration_id, phase), "text/plain", "schema.mmd", text)


def ddl_view(
    pages: SnapshotAdmin, request: HttpRequest, migration_id: str, phase: str
) -> HttpResponse:
    """The statements that make the schema from nothing."""

    def text(graph: SchemaGraph) -> str:
        operations = diff(SchemaGraph(), graph, drop=HARD, overlapping=False)
        version = server_version(pages.connection(request))
        return "\n".join(diff_sql("empty", "snapshot", operations, SchemaGraph(), version)) + "\n"

    return _file(pages, request, (migration_id, phase), "text/plain", "schema.sql", text)


def _file(
    pages: SnapshotAdmin,
    request: HttpRequest,
    key: tuple[str, str],
    kind: str,
    name: str,
    text: Callable[[SchemaGraph], str],
) -> HttpResponse:
    if refusal := pages.refusal(request):
        return refusal
    row = pages.snapshot(request, *key)
    graph, problem = graph_of(row)
    try:
        content = text(graph) if graph else None
    except (ZanithError, LookupError, ValueError) as error:
        content, problem = None, error
    if content is None:
        return pages.detail(request, row, {"problem": problem})
    answer = HttpResponse(content, content_type=f"{kind}; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
