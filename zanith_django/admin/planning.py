"""The pending plan and drift, for the dashboard: made when they are asked for."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.conf import conf
from zanith_django.exceptions import ZanithError
from zanith_django.ledger.ledger import Ledger
from zanith_django.plan import gates
from zanith_django.plan.comparison import LIVE, MODELS, Sources
from zanith_django.plan.gates import Policy
from zanith_django.plan.live_facts import live_context
from zanith_django.plan.plan import Plan
from zanith_django.plan.planner import plan
from zanith_django.run.details import target_of
from zanith_django.timeline.project import live_graph, read_timeline


def plan_context(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Every pending step with its risk, and what the gates would refuse; or the problem."""
    try:
        timeline = read_timeline(connection)
        context = live_context(connection, live_graph(connection), timeline)
        found = plan(
            timeline, database=connection.alias, context=context, ledger=Ledger(connection)
        )
    except (ZanithError, DatabaseError) as error:
        return {"problem": error, "hint": getattr(error, "hint", "")}
    return {
        "migrations": [
            (migration.id, [_shown(step) for step in migration.steps if step.waits])
            for migration in found.migrations
        ],
        "refusals": _refusals(found),
        "max_risk": conf.max_risk,
        "worst": found.worst,
    }


def _refusals(found: Plan) -> list[tuple[str, str]]:
    refused = gates.check(found, Policy.of().without_fingerprint())
    return [(refusal.migration, refusal.message) for refusal in refused]


def _shown(step: Any) -> dict[str, Any]:
    return {
        "number": step.number,
        "kind": step.kind,
        "target": target_of(step.operation),
        "description": step.operation.describe(),
        "level": str(step.level),
        "score": step.score,
        "reasons": step.assessment.reasons,
    }


def drift_of(connection: BaseDatabaseWrapper) -> list[tuple[str, str, str]]:
    """What the database would need to equal the models."""
    found = Sources(connection).compare(LIVE, MODELS)
    return [(each.kind, each.target, each.describe()) for each in found.operations]
