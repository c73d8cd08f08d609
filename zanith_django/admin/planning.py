"""Views of the pending plan and of drift, which are computed when they are asked for."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from zanith_django.admin.dashboard import DashboardAdmin, drift_key, shown_alias
from zanith_django.admin.pages import Links
from zanith_django.admin.words import documentation, reasons_of
from zanith_django.conf import conf
from zanith_django.exceptions import ZanithError
from zanith_django.ledger.ledger import LedgerReading
from zanith_django.plan import gates
from zanith_django.plan.comparison import LIVE, MODELS, Sources
from zanith_django.plan.gates import Policy
from zanith_django.plan.pending import pending_on
from zanith_django.plan.plan import Plan, PlannedStep
from zanith_django.run.details import target_of


def plan_view(pages: DashboardAdmin, request: HttpRequest) -> HttpResponse:
    """The pending plan, which is made when it is asked for."""
    alias = shown_alias(request)
    if refusal := pages.refusal(request, alias):
        return refusal
    if not pages.links(request).may("view_plan"):
        raise PermissionDenied
    links = pages.links(request)
    context = {**pages.shared(request, alias), **_plan_context(connections[alias], links)}
    return pages.render(request, "plan", _("Pending plan"), context)


def drift_view(pages: DashboardAdmin, request: HttpRequest) -> HttpResponse:
    """Compares models and database now, and remembers the result."""
    alias = shown_alias(request)
    if refusal := pages.refusal(request, alias):
        return refusal
    if not pages.links(request).may("view_plan"):
        raise PermissionDenied
    found: dict[str, Any] = {"at": timezone.now(), "operations": [], "problem": ""}
    try:
        found["operations"] = _drift_of(connections[alias])
        cache.set(drift_key(alias), found, timeout=None)
    except (ZanithError, DatabaseError) as error:
        found["problem"] = f"{error} {getattr(error, 'hint', '')}".strip()
    context = {**pages.shared(request, alias), "drift": found}
    return pages.render(request, "drift", _("Drift"), context)


def _plan_context(connection: BaseDatabaseWrapper, links: Links) -> dict[str, Any]:
    """Every pending step with its risk, and what the gates would refuse; or the problem."""
    try:
        found = pending_on(connection, ledger=LedgerReading(connection).known()).plan
    except (ZanithError, DatabaseError) as error:
        return {"problem": error, "hint": getattr(error, "hint", "")}
    return {
        "migrations": [
            (migration.id, [_shown(step, links) for step in migration.steps if step.waits])
            for migration in found.migrations
        ],
        "refusals": _refusals(found),
        "max_risk": conf.max_risk,
        "worst": found.worst,
    }


def _refusals(found: Plan) -> list[tuple[str, str]]:
    refused = gates.check(found, Policy.of().without_fingerprint())
    return [(refusal.migration, refusal.message) for refusal in refused]


def _shown(step: PlannedStep, links: Links) -> dict[str, Any]:
    return {
        "number": step.number,
        "kind": step.kind,
        "target": target_of(step.operation),
        "description": step.operation.describe(),
        "level": str(step.level),
        "score": step.score,
        "reasons": reasons_of(step.assessment.reasons, links),
        "documentation": documentation(step.kind, links),
        "estimate": str(step.duration) if step.duration.noticed else "",
    }


def _drift_of(connection: BaseDatabaseWrapper) -> list[tuple[str, str, str]]:
    """What the database would need to equal the models."""
    found = Sources(connection).compare(LIVE, MODELS)
    return [(each.kind, each.target, each.describe()) for each in found.operations]
