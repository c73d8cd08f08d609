"""Checkpoints: the progress of each backfill."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.pages import LedgerAdmin, cell, pretty
from zanith_django.models import Migration, MigrationCheckpoint


class CheckpointAdmin(LedgerAdmin):
    detail_template = "checkpoint"
    list_display = ("id", "progress", "state", "updated_at")
    list_filter = ("status", "updated_at")
    search_fields = ("id",)
    search_help_text = _("Part of a migration's name")
    ordering = ("-updated_at",)

    @admin.display(description=_("progress"))
    def progress(self, checkpoint: MigrationCheckpoint) -> str:
        return cell("progress", checkpoint=checkpoint)

    @admin.display(description=_("status"), ordering="status")
    def state(self, checkpoint: MigrationCheckpoint) -> str:
        return cell("status", status=checkpoint.status, sigil=checkpoint.sigil)

    def detail_context(self, request: HttpRequest, row: MigrationCheckpoint) -> dict[str, Any]:
        links = self.links(request)
        cursor = pretty(row.cursor) if links.may("view_sql") else ""
        return {
            "cursor": cursor,
            "migration_url": links.detail_if_seen(Migration, row.migration_id),
        }
