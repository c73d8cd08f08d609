"""Views of an artifact: its rows, all of them as CSV, restoring and purging."""

from __future__ import annotations

import dataclasses
import io
import itertools
from collections.abc import Callable
from typing import cast

from django.contrib import messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext

from zanith_django.admin.artifacts import ArtifactAdmin
from zanith_django.admin.pages import clean
from zanith_django.exceptions import ZanithError
from zanith_django.exceptions.masking import masked
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.models import MigrationArtifact
from zanith_django.plan.gates import Policy
from zanith_django.recover.export import export, exported
from zanith_django.recover.recover import purge, restore
from zanith_django.recover.session import Session
from zanith_django.run.artifacts import find

FIRST = 20  # rows that the page shows


def _at_once() -> Session:
    """The session of a request, which does not wait for another run."""
    return Session(wait=0)


def rows_view(pages: ArtifactAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """The first rows."""
    if refusal := pages.refusal(request):
        return refusal
    artifact = _readable(pages, request, object_id)
    lines, problem = _Lines(), ""
    try:
        with transaction.atomic(using=pages.alias(request)):
            export(pages.connection(request), artifact, lines, "jsonl", limit=FIRST)
    except (ZanithError, DatabaseError) as error:
        problem = masked(str(error))
    context = {
        "artifact": artifact,
        "rows": lines.taken(),
        "first": FIRST,
        "problem": problem,
        "back_url": pages.links(request).detail(MigrationArtifact, artifact.id),
    }
    return pages.render(request, "artifact_rows", artifact.id, context)


def export_view(pages: ArtifactAdmin, request: HttpRequest, object_id: str) -> HttpResponseBase:
    """All rows as CSV, as a stream."""
    if refusal := pages.refusal(request):
        return refusal
    artifact = _readable(pages, request, object_id)
    try:
        rows = exported(pages.connection(request), artifact)
        first = next(rows, "")
    except (ZanithError, DatabaseError) as error:
        return _back(pages, request, artifact, masked(str(error)), messages.ERROR)
    answer = StreamingHttpResponse(
        itertools.chain([first], rows), content_type="text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = 'attachment; filename="artifact.csv"'
    return answer


def _readable(pages: ArtifactAdmin, request: HttpRequest, object_id: str) -> ArtifactRow:
    if not pages.links(request).may("view_sql"):
        raise PermissionDenied
    return _artifact(pages, request, object_id)


def _artifact(pages: ArtifactAdmin, request: HttpRequest, object_id: str) -> ArtifactRow:
    row = pages.row(request, clean(unquote(object_id)))
    return find(pages.ledger(request), row.id)


def restore_view(pages: ArtifactAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    def work(artifact: ArtifactRow) -> str:
        column = bool(artifact.source_column)
        done = restore(pages.connection(request), artifact.id, column=column, session=_at_once())
        target = artifact.target
        if done.before:
            return gettext("%(target)s was restored already.") % {"target": target}
        return gettext("Restored %(target)s: %(count)d rows.") % {
            "target": target,
            "count": done.count,
        }

    return _confirmed(pages, request, object_id, "restore", CHANGE, work)


def purge_view(pages: ArtifactAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    def work(artifact: ArtifactRow) -> str:
        confirmed = dataclasses.replace(_at_once(), policy=Policy.of().with_consent())
        gone = purge(pages.connection(request), artifact.id, confirmed)
        words = gettext("Purged %(target)s.") if gone else gettext("%(target)s was purged already.")
        return words % {"target": artifact.target}

    return _confirmed(pages, request, object_id, "purge", DELETION, work)


def _confirmed(
    pages: ArtifactAdmin,
    request: HttpRequest,
    object_id: str,
    verb: str,
    flag: int,
    work: Callable[[ArtifactRow], str],
) -> HttpResponse:
    """Runs the work after the user has typed the target, and logs it."""
    if refusal := pages.refusal(request, ("POST",)):
        return refusal
    if not pages.links(request).may(f"{verb}_artifact"):
        raise PermissionDenied
    artifact = _artifact(pages, request, object_id)
    if request.POST.get("confirm", "").strip() != artifact.target:
        text = gettext("Nothing was done: type %(target)s to confirm.")
        return _back(pages, request, artifact, text % {"target": artifact.target}, messages.ERROR)
    try:
        result = work(artifact)
    except (ZanithError, DatabaseError) as error:
        hint = getattr(error, "hint", "")
        text = masked(f"{error} {hint}".strip())
        return _back(pages, request, artifact, text, messages.ERROR)
    _log(request, artifact, flag, f"zanith_recover {verb}: {result}")
    return _back(pages, request, artifact, result, messages.SUCCESS)


def _back(
    pages: ArtifactAdmin, request: HttpRequest, artifact: ArtifactRow, result: str, level: int
) -> HttpResponse:
    pages.message_user(request, result, level)
    return HttpResponseRedirect(pages.links(request).detail(MigrationArtifact, artifact.id))


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
    """A file that collects the lines of an export."""

    def taken(self) -> list[str]:
        return self.getvalue().splitlines()
