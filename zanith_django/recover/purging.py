"""The objects that a purge drops, and those that it must leave."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import (
    ArtifactMissing,
    CannotPurge,
)
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.ledger.ledger import Ledger
from zanith_django.operations import Statement
from zanith_django.operations.artifact_ids import SOFT_DROP_COLUMN
from zanith_django.plan.plan import PlannedStep
from zanith_django.plan.risk import Assessment
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.recover.admission import permanent_drop
from zanith_django.recover.session import Session
from zanith_django.recover.work import ArtifactWork
from zanith_django.run.artifacts import (
    PURGE,
)
from zanith_django.run.keeping import (
    Place,
    locate,
)


def purge_artifact(
    connection: BaseDatabaseWrapper,
    ledger: Ledger,
    artifact: ArtifactRow,
    session: Session,
    *,
    missing: bool = False,
) -> list[ArtifactRow]:
    work = ArtifactWork(connection, ledger, artifact, session)
    if artifact.expires_at:
        work.complete_if_killed()
        return []
    place = locate(connection, artifact)
    if place is None and not missing:
        raise ArtifactMissing(artifact.id, artifact.target)
    if place and work.half_restored(place):
        raise CannotPurge(
            artifact.target,
            "a restore of it is half done",
            f"Run zanith_recover restore-{'column' if artifact.source_column else 'table'} "
            f"{artifact.target}.",
        )
    gone = [artifact, *(_hidden_in(connection, ledger, place) if place else ())]
    drop = (_drop(artifact, place),) if place else ()
    lost = f"drops_{'column' if artifact.source_column else 'table'}_with_data"
    judged = Assessment.of((lost, "irreversible"))
    work.audited(
        PURGE,
        f"purge {artifact.target}",
        PlannedStep(1, permanent_drop(artifact), judged, drop),
        lambda: ledger.expire_artifacts([row.id for row in gone]),
    )
    return gone


def _drop(artifact: ArtifactRow, place: Place) -> Statement:
    spelled = sql.table(place.table, place.table.schema)
    if artifact.source_column and not artifact.archived:
        column = sql.ident(place.column)
        template = sql.compose(
            "ALTER TABLE {table} DROP COLUMN {column}", table=spelled, column=column
        )
        return Statement(template, Lock.ACCESS_EXCLUSIVE, (place.table,))
    text = sql.compose("DROP TABLE {table}", table=spelled)
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (place.table,))


def _hidden_in(connection: BaseDatabaseWrapper, ledger: Ledger, place: Place) -> list[ArtifactRow]:
    """Columns that were soft-dropped before their table was."""
    if place.column:
        return []
    columns = [
        row
        for row in ledger.artifacts()
        if row.artifact_type == SOFT_DROP_COLUMN and row.expires_at is None
    ]
    return [row for row in columns if (found := locate(connection, row)) and found.oid == place.oid]
