"""The gates of recover: a restore, a refill and a purge are plans of one step."""

from __future__ import annotations

from zanith_django.exceptions import GateRefused
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.operations import DropColumn, DropTable, Operation
from zanith_django.plan import gates
from zanith_django.plan.gates import Policy
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, Table
from zanith_django.timeline.timeline import Entry


def admit(database: str, migration_id: str, step: PlannedStep, policy: Policy) -> None:
    """Raises `GateRefused` before anything is changed."""
    planned = Plan(database, (PlannedMigration(Entry(migration_id), (step,)),))
    refusals = gates.check(planned, policy.without_fingerprint())
    if refusals:
        raise GateRefused(map(str, refusals), _HINT)


_HINT = "--max-risk SCORE raises the budget of restore and reseed, --yes confirms a purge."


def permanent_drop(artifact: ArtifactRow) -> Operation:
    """The permanent drop that a purge runs."""
    table = TableName(artifact.source_schema, artifact.source_table)
    if artifact.source_column:
        return DropColumn(table=table, column=Column(artifact.source_column, ""))
    return DropTable(table=Table(table))
