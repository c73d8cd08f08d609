"""Checkpoints: how far each backfill came."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from zanith_django.admin.pages import TEMPLATES, LedgerAdmin, cell, detail_url, may_view, pretty
from zanith_django.models import Migration, MigrationCheckpoint


class CheckpointAdmin(LedgerAdmin):
    detail_template = f"{TEMPLATES}/checkpoint.html"
    list_display = ("id", "progress", "state", "updated_at")
    list_filter = ("status", "updated_at")
    search_fields = ("id",)
    search_help_text = "Part of a migration's name"
    ordering = ("-updated_at",)

    @admin.display(description="progress")
    def progress(self, checkpoint: MigrationCheckpoint) -> str:
        return cell("progress", checkpoint=checkpoint)

    @admin.display(description="status", ordering="status")
    def state(self, checkpoint: MigrationCheckpoint) -> str:
        return cell("status", status=checkpoint.status, sigil=checkpoint.sigil)

    def detail_context(self, request: HttpRequest, row: MigrationCheckpoint) -> dict[str, Any]:
        context: dict[str, Any] = {"cursor": pretty(row.cursor)}
        if may_view(request, Migration):
            context["migration_url"] = detail_url(Migration, row.migration_id)
        return context
