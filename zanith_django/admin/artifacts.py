"""Artifacts: what recoverable drops kept, to look at, to export, to restore and to purge."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from django.utils.translation import gettext, gettext_lazy as _

from zanith_django.admin.pages import LedgerAdmin, cell, clean, pretty
from zanith_django.exceptions import ZanithError
from zanith_django.exceptions.masking import masked
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.models import Migration, MigrationArtifact
from zanith_django.recover.export import export, exported
from zanith_django.recover.recover import purge, restore
from zanith_django.recover.session import Session
from zanith_django.run.artifacts import find

FIRST = 20  # rows that the page shows
AT_ONCE = Session(wait=0)
"""A request waits for no other run."""


class RecoverableFilter(admin.SimpleListFilter):
    """Those that can still be brought back, or those that were restored or purged."""

    title = _("can be restored")
    parameter_name = "recoverable"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("yes")), ("no", _("no"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(expires_at__isnull=self.value() == "yes")
        return queryset


class ArtifactAdmin(LedgerAdmin):
    detail_template = "artifact"
    list_display = ("target", "state", "artifact_type", "rows", "created_at", "migration_id")
    list_filter = (
        RecoverableFilter,
        ("artifact_type", admin.AllValuesFieldListFilter),
        "created_at",
    )
    search_fields = ("id", "physical_name")
    search_help_text = _("Part of a migration's, table's or column's name")
    ordering = ("-created_at",)

    def own_urls(self) -> list[URLPattern]:
        return [
            self.url("<path:object_id>/rows/", self.rows_view, "rows"),
            self.url("<path:object_id>/export/", self.export_view, "export"),
            self.alone("<path:object_id>/restore/", self.restore_view, "restore"),
            self.alone("<path:object_id>/purge/", self.purge_view, "purge"),
        ]

    def alone(self, route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        """Outside the transaction that ATOMIC_REQUESTS puts around a view: steps have their own."""
        pattern = self.url(route, view, name)
        pattern.callback = transaction.non_atomic_requests(pattern.callback)
        return pattern

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("recovery_sql", "metadata")

    @admin.display(description=_("what"), ordering="source_table")
    def target(self, artifact: MigrationArtifact) -> str:
        return artifact.target

    @admin.display(description=_("rows"), ordering="row_count")
    def rows(self, artifact: MigrationArtifact) -> str:
        return artifact.rows_text

    @admin.display(description=_("can be restored"), ordering="expires_at")
    def state(self, artifact: MigrationArtifact) -> str:
        return cell("recoverable", artifact=artifact)

    def detail_context(self, request: HttpRequest, row: MigrationArtifact) -> dict[str, Any]:
        links, live = self.links(request), row.expires_at is None
        pages = ("rows", "export") if links.may("view_sql") and live else ()
        verbs = [verb for verb in ("restore", "purge") if live and links.may(f"{verb}_artifact")]
        urls = {n: links.page(f"migrationartifact_{n}", row.id) for n in (*pages, *verbs)}
        return {
            "metadata": pretty(row.metadata) if links.may("view_sql") else "",
            "restore": _restore(row),
            "migration_url": links.detail_if_seen(Migration, row.migration_id),
            "urls": urls,
        }

    # --- what is kept --------------------------------------------------------------------------

    def rows_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The first rows."""
        if refusal := self.refusal(request):
            return refusal
        artifact = self._readable(request, object_id)
        lines, problem = _Lines(), ""
        try:
            with transaction.atomic(using=self.alias):
                export(self.connection, artifact, lines, "jsonl", limit=FIRST)
        except (ZanithError, DatabaseError) as error:
            problem = masked(str(error))
        context = {
            "artifact": artifact,
            "rows": lines.taken(),
            "first": FIRST,
            "problem": problem,
            "back_url": self.links(request).detail(MigrationArtifact, artifact.id),
        }
        return self.render(request, "artifact_rows", artifact.id, context)

    def export_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """All rows as CSV, as a stream."""
        if refusal := self.refusal(request):
            return refusal
        artifact = self._readable(request, object_id)
        try:
            rows = exported(self.connection, artifact)
            first = next(rows, "")
        except (ZanithError, DatabaseError) as error:
            return self._back(request, artifact, masked(str(error)), messages.ERROR)
        answer = StreamingHttpResponse(
            itertools.chain([first], rows), content_type="text/csv; charset=utf-8"
        )
        answer["Content-Disposition"] = 'attachment; filename="artifact.csv"'
        return answer

    def _readable(self, request: HttpRequest, object_id: str) -> ArtifactRow:
        if not self.links(request).may("view_sql"):
            raise PermissionDenied
        return self._artifact(request, object_id)

    def _artifact(self, request: HttpRequest, object_id: str) -> ArtifactRow:
        row = self.row(request, clean(unquote(object_id)))
        return find(self.ledger, row.id)

    # --- what changes --------------------------------------------------------------------------

    def restore_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def work(artifact: ArtifactRow) -> str:
            column = bool(artifact.source_column)
            done = restore(self.connection, artifact.id, column=column, session=AT_ONCE)
            target = artifact.target
            if done.before:
                return gettext("%(target)s was restored already.") % {"target": target}
            return gettext("Restored %(target)s: %(count)d rows.") % {
                "target": target,
                "count": done.count,
            }

        return self._confirmed(request, object_id, "restore", CHANGE, work)

    def purge_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def work(artifact: ArtifactRow) -> str:
            gone = purge(self.connection, artifact.id, AT_ONCE)
            words = (
                gettext("Purged %(target)s.") if gone else gettext("%(target)s was purged already.")
            )
            return words % {"target": artifact.target}

        return self._confirmed(request, object_id, "purge", DELETION, work)

    def _confirmed(
        self,
        request: HttpRequest,
        object_id: str,
        verb: str,
        flag: int,
        work: Callable[[ArtifactRow], str],
    ) -> HttpResponse:
        """Runs the work once the user has typed what it is about, and logs it."""
        if refusal := self.refusal(request, ("POST",)):
            return refusal
        if not self.links(request).may(f"{verb}_artifact"):
            raise PermissionDenied
        artifact = self._artifact(request, object_id)
        if request.POST.get("confirm", "").strip() != artifact.target:
            text = gettext("Nothing was done: type %(target)s to confirm.")
            return self._back(request, artifact, text % {"target": artifact.target}, messages.ERROR)
        try:
            said = work(artifact)
        except (ZanithError, DatabaseError) as error:
            hint = getattr(error, "hint", "")
            text = masked(f"{error} {hint}".strip())
            return self._back(request, artifact, text, messages.ERROR)
        _log(request, artifact, flag, f"zanith_recover {verb}: {said}")
        return self._back(request, artifact, said, messages.SUCCESS)

    def _back(
        self, request: HttpRequest, artifact: ArtifactRow, said: str, level: int
    ) -> HttpResponse:
        self.message_user(request, said, level)
        return HttpResponseRedirect(self.links(request).detail(MigrationArtifact, artifact.id))


def _log(request: HttpRequest, artifact: ArtifactRow, flag: int, words: str) -> None:
    LogEntry.objects.create(
        user_id=cast(int, request.user.pk),
        content_type_id=ContentType.objects.get_for_model(MigrationArtifact).pk,
        object_id=artifact.id,
        object_repr=artifact.id[:200],
        action_flag=flag,
        change_message=words,
    )


class _Lines(io.StringIO):
    """Takes what an export writes."""

    def taken(self) -> list[str]:
        return self.getvalue().splitlines()


def _restore(artifact: MigrationArtifact) -> str:
    """The arguments of zanith_recover that bring it back."""
    verb = "restore-column" if artifact.source_column else "restore-table"
    return f"{verb} {artifact.target}"
