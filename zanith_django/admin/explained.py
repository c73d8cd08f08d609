"""Pages that explain what a step shows: a reason of its risk, and a kind of operation."""

from __future__ import annotations

import inspect

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed

from zanith_django.admin.dashboard import DashboardAdmin
from zanith_django.models import MigrationStep
from zanith_django.operations import KINDS
from zanith_django.plan.reasons import REASONS


def reason_view(pages: DashboardAdmin, request: HttpRequest, code: str) -> HttpResponse:
    """What `zanith_plan --explain` prints."""
    if refusal := _refusal(pages, request):
        return refusal
    code = unquote(code)
    if code not in REASONS:
        raise Http404
    return pages.render(request, "reason", code, {"reason": REASONS[code]})


def kind_view(pages: DashboardAdmin, request: HttpRequest, kind: str) -> HttpResponse:
    """What a kind of operation does, and the steps of that kind."""
    if refusal := _refusal(pages, request):
        return refusal
    kind = unquote(kind)
    if kind not in KINDS:
        raise Http404
    links = pages.links(request)
    seen = links.may_view(MigrationStep)
    context = {
        "paragraphs": inspect.cleandoc(KINDS[kind].__doc__ or "").split("\n\n"),
        "file": f"docs/operations/{kind}.md",
        "kind_url": links.list(MigrationStep, operation_kind=kind) if seen else "",
    }
    return pages.render(request, "kind", kind, context)


def _refusal(pages: DashboardAdmin, request: HttpRequest) -> HttpResponse | None:
    """These pages read no database."""
    if not pages.has_view_permission(request):
        raise PermissionDenied
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    return None
