"""Snapshots: the list, a stored schema in readable tables, two compared, and one as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern
from django.utils.translation import gettext, gettext_lazy as _

from zanith_django.admin.pages import TEMPLATES, LedgerAdmin, clean, pretty, stand_ins
from zanith_django.exceptions import UnreadableGraph, ZanithError
from zanith_django.models import Migration, Phase, SchemaSnapshot as Snapshot

if TYPE_CHECKING:  # every process of a project imports the admin, only this page reads graphs
    from zanith_django.schema.graph import SchemaGraph

TABLES_PER_PAGE = 50
UNFOLDED = 3  # so few tables are shown open
CHOICES = 200  # snapshots to choose from when two are compared


class SchemaSnapshot(models.Model):  # noqa: DJ008  # there are no rows to name
    """Represents the real model in the admin's registry, which refuses composite primary keys.

    The admin takes an app's entries, on its index and in its sidebar, from the registry alone. All
    that it asks of an entry is names, so this class has the real one's names and nothing
    else. It lives in a registry of its own, as the model of Django's `MigrationRecorder` does:
    no migration, content type or permission comes of it, and no query ever goes to it.
    `SnapshotAdmin` works with the real model, which only `AdminSite.register` minds.
    """

    class Meta:
        apps = stand_ins()
        app_label = "zanith_django"
        managed = False
        default_permissions = ()
        verbose_name = _("schema snapshot")
        verbose_name_plural = _("schema snapshots")


class SnapshotList(ChangeList):
    """Links each row by both parts of its key."""

    def url_for_result(self, result: Any) -> str:
        links = cast(LedgerAdmin, self.model_admin).links(self.request)
        return links.detail(Snapshot, result.migration_id, result.phase)

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(request, *args, **kwargs)


class SnapshotAdmin(LedgerAdmin):
    detail_template = "snapshot"
    change_list_template = f"{TEMPLATES}/snapshot_list.html"
    list_display = ("migration_id", "phase", "captured_at")
    list_filter = ("phase", "captured_at")
    search_fields = ("migration_id",)
    search_help_text = _("Part of a migration's name")
    ordering = ("-captured_at",)

    def __init__(self, model: type[models.Model], admin_site: admin.AdminSite) -> None:
        super().__init__(Snapshot, admin_site)

    def get_urls(self) -> list[URLPattern]:
        return [
            self.url("", self.changelist_view, "changelist"),
            self.url("compare/", self.compare_view, "compare"),
            self.url("<str:migration_id>/<str:phase>/", self.snapshot_view, "change"),
            self.url("<str:migration_id>/<str:phase>/picture/", self.picture_view, "picture"),
            self.url("<str:migration_id>/<str:phase>/picture.svg", self.svg_view, "svg"),
            self.url("<str:migration_id>/<str:phase>/schema.mmd", self.mermaid_view, "mermaid"),
            self.url("<str:migration_id>/<str:phase>/schema.sql", self.ddl_view, "ddl"),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SnapshotList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("graph")

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        compare = self.links(request).page("schemasnapshot_compare")
        return {**super().list_context(request), "compare_url": compare}

    # --- one snapshot --------------------------------------------------------------------------

    def snapshot_view(self, request: HttpRequest, migration_id: str, phase: str) -> HttpResponse:
        if refusal := self.refusal(request):
            return refusal
        row = self._snapshot(migration_id, phase)
        return self.detail(request, row, self.detail_context(request, row))

    def _snapshot(self, migration_id: str, phase: str) -> Snapshot:
        key = {"migration_id": clean(unquote(migration_id)), "phase": clean(unquote(phase))}
        snapshot = Snapshot.objects.filter(**key).first()
        if snapshot is None:
            raise Http404("There is no snapshot {migration_id}:{phase}.".format(**key))
        return snapshot

    def detail_context(self, request: HttpRequest, row: Snapshot) -> dict[str, Any]:
        links = self.links(request)
        run = row.graph.get("run", {}) if isinstance(row.graph, dict) else {}
        context: dict[str, Any] = {
            "run": _run_lines(run),
            "others": self._other_phases(request, row),
            "migration_url": links.detail_if_seen(Migration, row.migration_id),
        }
        graph, problem = _graph(row)
        if graph is None:
            return {**context, "problem": problem}
        pages = ("picture", "svg", "mermaid", "ddl")
        urls = {n: links.page(f"schemasnapshot_{n}", row.migration_id, row.phase) for n in pages}
        return {**context, "urls": urls, **_tables(graph, request)}

    def _other_phases(self, request: HttpRequest, snapshot: Snapshot) -> list[tuple[str, str]]:
        """(phase, URL) of the same migration's other snapshots."""
        others = Snapshot.objects.filter(migration_id=snapshot.migration_id)
        phases = set(others.values_list("phase", flat=True)) - {snapshot.phase}
        order = [str(phase) for phase in Phase]
        links = self.links(request)
        return [
            (phase, links.detail(Snapshot, snapshot.migration_id, phase))
            for phase in sorted(phases, key=lambda p: (order.index(p) if p in order else 9, p))
        ]

    # --- as a picture and as files -------------------------------------------------------------

    def picture_view(self, request: HttpRequest, migration_id: str, phase: str) -> HttpResponse:
        """What is searched for and which table is in focus are in the address."""
        if refusal := self.refusal(request):
            return refusal
        from zanith_django.render.picture import picture

        row = self._snapshot(migration_id, phase)
        graph, problem = _graph(row)
        focus, search = request.GET.get("focus", "").strip(), request.GET.get("q", "").strip()
        links, key = self.links(request), (row.migration_id, row.phase)
        context = {
            "row": row,
            "problem": problem,
            "picture": picture(graph, focus=focus, search=search) if graph else None,
            "focus": focus,
            "wanted": search,
            "names": [str(table.name) for table in graph.tables] if graph else [],
            "detail_url": links.detail(Snapshot, *key),
            "query": request.GET.urlencode(),
            "urls": {n: links.page(f"schemasnapshot_{n}", *key) for n in ("svg", "mermaid")},
        }
        return self.render(request, "picture", gettext("Picture of %s") % row, context)

    def svg_view(self, request: HttpRequest, migration_id: str, phase: str) -> HttpResponse:
        def text(graph: SchemaGraph) -> str:
            from zanith_django.render.picture import picture

            chosen = {"focus": request.GET.get("focus", ""), "search": request.GET.get("q", "")}
            context = {"picture": picture(graph, **chosen), "alone": True}
            return render_to_string(f"{TEMPLATES}/picture.svg", context)

        return self._file(request, (migration_id, phase), "image/svg+xml", "schema.svg", text)

    def mermaid_view(self, request: HttpRequest, migration_id: str, phase: str) -> HttpResponse:
        def text(graph: SchemaGraph) -> str:
            from zanith_django.render.picture import mermaid

            return "\n".join(mermaid(graph)) + "\n"

        return self._file(request, (migration_id, phase), "text/plain", "schema.mmd", text)

    def ddl_view(self, request: HttpRequest, migration_id: str, phase: str) -> HttpResponse:
        """The statements that make the schema from nothing."""

        def text(graph: SchemaGraph) -> str:
            from zanith_django.diff.diff import diff
            from zanith_django.diff.differ import HARD
            from zanith_django.postgres.session import server_version
            from zanith_django.render.differences import diff_sql
            from zanith_django.schema.graph import SchemaGraph as Graph

            operations = diff(Graph(), graph, drop=HARD, overlapping=False)
            version = server_version(self.connection)
            return "\n".join(diff_sql("empty", "snapshot", operations, Graph(), version)) + "\n"

        return self._file(request, (migration_id, phase), "text/plain", "schema.sql", text)

    def _file(
        self, request: HttpRequest, key: tuple[str, str], kind: str, name: str, text: Any
    ) -> HttpResponse:
        if refusal := self.refusal(request):
            return refusal
        row = self._snapshot(*key)
        graph, problem = _graph(row)
        try:
            content = text(graph) if graph else None
        except (ZanithError, LookupError, ValueError) as error:
            content, problem = None, error
        if content is None:
            return self.detail(request, row, {"problem": problem})
        answer = HttpResponse(content, content_type=f"{kind}; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    # --- two of them ---------------------------------------------------------------------------

    def compare_view(self, request: HttpRequest) -> HttpResponse:
        if refusal := self.refusal(request):
            return refusal
        from zanith_django.admin.comparing import compared_context

        names = [clean(request.GET.get(name, "").strip()) for name in ("a", "b")]
        newest = Snapshot.objects.order_by("-captured_at").values_list("migration_id", "phase")
        context: dict[str, Any] = {
            "a": names[0],
            "b": names[1],
            "choices": [f"{migration}:{phase}" for migration, phase in newest[:CHOICES]],
        }
        if all(names):
            context |= compared_context(self.connection, *names)
        return self.render(request, "compare", _("Compare two schemas"), context)


def _graph(row: Snapshot) -> tuple[SchemaGraph | None, Exception | None]:
    """The graph, or why it cannot be read."""
    from zanith_django.schema.graph import SchemaGraph

    try:
        return SchemaGraph.from_json(row.graph), None
    except UnreadableGraph as error:
        return None, error


def _tables(graph: SchemaGraph, request: HttpRequest) -> dict[str, Any]:
    """One page of the tables whose name contains what was searched for."""
    from zanith_django.admin.graph_tables import TableView

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
