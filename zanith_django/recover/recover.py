"""Recover: restore the artifact of a drop, refill a column from it, or purge it.

Each restore, reseed and purge is an audited step of the migration `recover:<artifact id>`.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import (
    ArtifactForged,
    ArtifactMissing,
    CannotPurge,
    CannotRestore,
    InvalidArgument,
    Refused,
    StepFailed,
)
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.ledger.ledger import Ledger
from zanith_django.operations.keep.kept import Restore
from zanith_django.postgres.names import TableName
from zanith_django.recover.purging import purge_artifact
from zanith_django.recover.session import Cleaned, Restored, Session
from zanith_django.recover.work import ArtifactWork
from zanith_django.run.artifacts import (
    archive_changed,
    as_rows_allow,
    blocked,
    find,
    older_than,
    rows_in_the_way,
)
from zanith_django.run.audit import working_session
from zanith_django.run.keeping import (
    Place,
    count_of,
)
from zanith_django.schema.graph import SchemaGraph


def restore(
    connection: BaseDatabaseWrapper,
    name: str,
    *,
    column: bool,
    session: Session,
    strict: bool = False,
) -> Restored:
    """Restore a column or table with its data, constraints and indexes.

    If a name is taken or the hidden object was changed, it changes nothing. If rows that were
    inserted since the drop violate constraints, it restores the data without these constraints and
    reports them; `strict` refuses that too. A column without a default accepts NULL until a model
    has it again: running code does not know it. After a kill another call resumes; after its end
    another call does nothing. Raises `UnknownArtifact`, `InvalidArgument`, `ArtifactForged`,
    `CannotRestore`, `StepFailed`.
    """
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        artifact = find(ledger, name, column=column)
        _must_be(artifact, column)
        work = ArtifactWork(connection, ledger, artifact, session)
        if artifact.expires_at:
            work.refuse_purged()
            work.complete_if_killed()
            return Restored(artifact)
        place, operation = work.kept()
        why = _elsewhere(place, operation) or blocked(
            connection,
            artifact,
            place,
            operation,
            work.graph,
            begun=not place.hidden or work.begun(operation.kind) is not None,
            strict=strict,
        )
        if why:
            raise CannotRestore(artifact.id, why)
        left_off = rows_in_the_way(connection, artifact, place, operation, work.graph)
        work.restore(as_rows_allow(operation, left_off))
        count = count_of(connection, _back(operation, place, work.graph))
        return Restored(artifact, operation, count, tuple(left_off))


def purge(
    connection: BaseDatabaseWrapper, name: str, session: Session, *, missing: bool = False
) -> list[ArtifactRow]:
    """Drop the hidden column or table, and with a table its hidden columns; returns the purged
    artifacts, none if it was restored or purged before.

    `missing` records artifacts that the database no longer has. Raises `ArtifactMissing`,
    `ArtifactForged`, `InvalidArgument`, `StepFailed`.
    """
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        return purge_artifact(connection, ledger, find(ledger, name), session, missing=missing)


def cleanup(
    connection: BaseDatabaseWrapper, age: timedelta, session: Session, *, missing: bool = False
) -> Cleaned:
    """Purge every live artifact that is older than `age`; one that cannot be purged stops none."""
    gone: list[ArtifactRow] = []
    failed: list[Refused] = []
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        for row in older_than(ledger, age):
            if row.id in {other.id for other in gone}:  # purged with its table
                continue
            try:
                gone += purge_artifact(connection, ledger, row, session, missing=missing)
            except _OF_ONE as error:
                failed.append(error)
    return Cleaned(tuple(gone), tuple(failed))


# Errors of one artifact; the others are purged.
_OF_ONE = (StepFailed, ArtifactForged, ArtifactMissing, CannotPurge)


def reseed(connection: BaseDatabaseWrapper, name: str, session: Session) -> int:
    """Refill the NULLs of a column that exists again from the hidden one; returns the number of
    rows written. The artifact stays."""
    with working_session(connection, wait=session.wait, on_wait=session.say):
        ledger = Ledger(connection)
        artifact = find(ledger, name, column=True)
        _must_be(artifact, column=True)
        work = ArtifactWork(connection, ledger, artifact, session)
        if artifact.expires_at:
            raise InvalidArgument(
                f"{artifact.id} was restored or purged: nothing is left to refill from."
            )
        place, operation = work.kept()
        _refuse_reseed(connection, artifact, place, operation, work.graph)
        return work.refill(operation, place)


def _elsewhere(place: Place, operation: Restore) -> str:
    """Refuses a column whose table is hidden: the table must be restored first."""
    if operation.one_column is None or operation.key or not place.aside:
        return ""
    return (
        f"its table is hidden itself, as {place.table} "
        f"(zanith_recover restore-table {operation.home} restores it first)"
    )


def _back(operation: Restore, place: Place, graph: SchemaGraph) -> Place:
    """The place of the object after its restore."""
    name, column = operation.home, operation.one_column
    table = TableName(name.schema or graph.default_schema, name.name)
    return dataclasses.replace(place, table=table, column=column.name if column else "")


# --- reseed and purge ----------------------------------------------------------------------------


def _must_be(artifact: ArtifactRow, column: bool) -> None:
    if bool(artifact.source_column) is column:
        return
    kind, other = ("table", "column") if column else ("column", "table")
    raise InvalidArgument(
        f"{artifact.target} is a {kind}, not a {other}.",
        f"Run zanith_recover restore-{kind} {artifact.target}."
        if artifact.expires_at is None
        else "",
    )


def _refuse_reseed(
    connection: BaseDatabaseWrapper,
    artifact: ArtifactRow,
    place: Place,
    operation: Restore,
    graph: SchemaGraph,
) -> None:
    why = (
        archive_changed(connection, artifact, place, operation, graph) if artifact.archived else ""
    )
    why = why or _elsewhere(place, operation)
    if why:
        raise CannotRestore(artifact.id, why)
    live, (was,) = graph.table(operation.home), operation.restored.columns
    column = live.column(was.name) if live else None
    if column is None:
        raise InvalidArgument(
            f"There is no column {operation.target} to refill.",
            f"Run zanith_recover restore-column {operation.target} to restore it.",
        )
    if column.type != was.type:
        raise InvalidArgument(
            f"{operation.target} was {was.type} and is {column.type} now.",
            f"Run zanith_recover export {operation.target} and convert the values yourself.",
        )
