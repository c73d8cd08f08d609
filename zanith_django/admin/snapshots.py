"""Snapshots: the list, and a page that shows a stored schema in readable tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps.registry import Apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path

from zanith_django.admin.pages import TEMPLATES, LedgerAdmin, detail_url, may_view, pretty
from zanith_django.exceptions import UnreadableGraph
from zanith_django.models import Migration, Phase, SchemaSnapshot as Snapshot

if TYPE_CHECKING:  # every process of a project imports the admin, only this page reads graphs
    from zanith_django.schema.graph import SchemaGraph

TABLES_PER_PAGE = 50
UNFOLDED = 3  # so few tables are shown open


class SchemaSnapshot(models.Model):  # noqa: DJ008  # there are no rows to name
    """Stands for the real model in the admin's registry, which refuses composite primary keys.

    The admin takes an app's entries, on its index and in its sidebar, from the registry alone. All
    that it asks of what stands there is names, so this class has the real one's names and nothing
    else. It lives in a registry of its own, as the model of Django's `MigrationRecorder` does:
    no migration, content type or permission comes of it, and no query ever goes to it.
    `SnapshotAdmin` works with the real model, which only `AdminSite.register` minds.
    """

    class Meta:
        apps = Apps()
        app_label = "zanith_django"
        managed = False
        default_permissions = ()
        verbose_name = "schema snapshot"
        verbose_name_plural = "schema snapshots"


class SnapshotList(ChangeList):
    """Links each row by both parts of its key."""

    def url_for_result(self, result: Any) -> str:
        return detail_url(Snapshot, result.migration_id, result.phase)


class SnapshotAdmin(LedgerAdmin):
    detail_template = f"{TEMPLATES}/snapshot.html"
    list_display = ("migration_id", "phase", "captured_at")
    list_filter = ("phase", "captured_at")
    search_fields = ("migration_id",)
    search_help_text = "Part of a migration's name"
    ordering = ("-captured_at",)

    def __init__(self, model: type[models.Model], admin_site: admin.AdminSite) -> None:
        super().__init__(Snapshot, admin_site)

    def get_urls(self) -> list[URLPattern]:
        site, name = self.admin_site, f"{self.opts.app_label}_{self.opts.model_name}"
        detail = site.admin_view(self.snapshot_view)
        return [
            path("", site.admin_view(self.changelist_view), name=f"{name}_changelist"),
            path("<str:migration_id>/<str:phase>/", detail, name=f"{name}_change"),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SnapshotList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("graph")

    def snapshot_view(self, request: HttpRequest, migration_id: str, phase: str) -> HttpResponse:
        if refusal := self.refusal(request):
            return refusal
        key = {"migration_id": unquote(migration_id), "phase": unquote(phase)}
        if "\0" in "".join(key.values()):
            raise Http404
        snapshot = Snapshot.objects.filter(**key).first()
        if snapshot is None:
            raise Http404("There is no snapshot {migration_id}:{phase}.".format(**key))
        return self.detail(request, snapshot, self.detail_context(request, snapshot))

    def detail_context(self, request: HttpRequest, row: Snapshot) -> dict[str, Any]:
        from zanith_django.schema.graph import SchemaGraph

        run = row.graph.get("run", {}) if isinstance(row.graph, dict) else {}
        context: dict[str, Any] = {"run": _run_lines(run), "others": _other_phases(row)}
        if may_view(request, Migration):
            context["migration_url"] = detail_url(Migration, row.migration_id)
        try:
            graph = SchemaGraph.from_json(row.graph)
        except UnreadableGraph as error:
            return {**context, "problem": error}
        return {**context, **_tables(graph, request)}


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


def _run_lines(run: Any) -> list[tuple[str, str, bool]]:
    """(name, value, whether it spans lines) of what stands beside the graph: who ran the
    migration, from which file."""
    if not isinstance(run, dict):
        return []
    return [
        (name.replace("_", " "), _value(value), isinstance(value, dict | list))
        for name, value in sorted(run.items())
        if value not in (None, "", [], {})
    ]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else pretty(value)


def _other_phases(snapshot: Snapshot) -> list[tuple[str, str]]:
    """(phase, URL) of the same migration's other snapshots."""
    others = Snapshot.objects.filter(migration_id=snapshot.migration_id)
    phases = set(others.values_list("phase", flat=True)) - {snapshot.phase}
    order = [str(phase) for phase in Phase]
    return [
        (phase, detail_url(Snapshot, snapshot.migration_id, phase))
        for phase in sorted(phases, key=lambda p: (order.index(p) if p in order else 9, p))
    ]
