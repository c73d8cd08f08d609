"""Snapshots: the list, a stored schema in readable tables, two compared, and one as a picture."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.later import later
from zanith_django.admin.pages import TEMPLATES, LedgerAdmin, LedgerList, clean, stand_ins
from zanith_django.models import SchemaSnapshot as Snapshot


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


class SnapshotList(LedgerList):
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

    detail_context = later("snapshot_views", "detail_context")
    picture_view = later("snapshot_files", "picture_view")
    svg_view = later("snapshot_files", "svg_view")
    mermaid_view = later("snapshot_files", "mermaid_view")
    ddl_view = later("snapshot_files", "ddl_view")
    compare_view = later("comparing", "compare_view")

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

    def snapshot_view(self, request: HttpRequest, migration_id: str, phase: str) -> HttpResponse:
        if refusal := self.refusal(request):
            return refusal
        row = self.snapshot(request, migration_id, phase)
        return self.detail(request, row, self.detail_context(request, row))

    def snapshot(self, request: HttpRequest, migration_id: str, phase: str) -> Snapshot:
        key = {"migration_id": clean(unquote(migration_id)), "phase": clean(unquote(phase))}
        snapshot = Snapshot.objects.using(self.alias(request)).filter(**key).first()
        if snapshot is None:
            raise Http404("There is no snapshot {migration_id}:{phase}.".format(**key))
        return snapshot
