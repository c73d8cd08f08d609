"""The common parts of runs that change a database: session, user, failure of a step."""

from __future__ import annotations

import getpass
import platform
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import django
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError, InterfaceError, OperationalError

from zanith_django import __version__
from zanith_django.conf import conf
from zanith_django.exceptions import ConnectionFailed, ConnectionLost, LockLost, StepFailed
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import split_step_id
from zanith_django.operations.artifact_ids import ArtifactId
from zanith_django.operations.base import Artifact
from zanith_django.postgres.rows import one_value
from zanith_django.postgres.run_lock import check_held, run_lock
from zanith_django.postgres.session import (
    is_open,
    own_timeouts,
    server_version,
    sqlstate,
    unprepared,
)
from zanith_django.run.keeping import count_of, locate, write_note
from zanith_django.timeline.migrate_guard import own_run

INTERRUPTED = "interrupted: the run ended here without an error"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run."""

    migrations: int
    steps: int
    seconds: float


@contextmanager
def working_session(
    connection: BaseDatabaseWrapper,
    *,
    wait: float | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """The run lock and our timeouts. With `wait` None, the setting LOCK_WAIT decides. Raises
    `ConnectionLost` if the connection is lost, or `ConnectionFailed` before the lock is
    acquired."""
    seconds = conf.lock_wait if wait is None else wait
    try:
        with (
            run_lock(connection, wait=seconds, on_wait=on_wait),
            own_run(),
            unprepared(connection),
            own_timeouts(connection, conf.statement_timeout),
            _lost_between_steps(connection),
        ):
            yield
    except (OperationalError, InterfaceError) as error:
        if not is_open(connection):
            raise ConnectionFailed(connection.alias, error) from error
        raise


@contextmanager
def _lost_between_steps(connection: BaseDatabaseWrapper) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if is_ours(connection):
            raise
        place = "the work between two steps"
        raise ConnectionLost(connection.alias, place, error_text(error), "the command") from error


def about(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """The user, host and versions of the run, stored beside the graph of a snapshot."""
    return {
        "user": user_name(),
        "host": socket.gethostname(),
        "database_user": connection.settings_dict.get("USER") or "",
        "versions": versions(connection),
    }


@contextmanager
def failing(
    connection: BaseDatabaseWrapper,
    mark: Callable[[str], str],
    describe: Callable[[], str],
    again: str,
) -> Iterator[None]:
    """Turns any error of a step into `StepFailed` or `ConnectionLost`. `mark(error)` records it in
    the ledger and returns the id of the step's row; `again` is the command that resumes the run.
    """
    try:
        yield
    except BaseException as error:
        text = error_text(error)
        if isinstance(error, LockLost):
            raise  # the session that holds the lock now also owns the rows of the ledger
        if not is_ours(connection):
            if not isinstance(error, Exception):
                raise
            raise ConnectionLost(connection.alias, describe(), text, again) from error
        row_id = mark(text)
        if not isinstance(error, Exception):
            raise
        raise StepFailed(row_id, describe(), text, again, sqlstate(error)) from error


def mark_failed(ledger: Ledger, row_id: str) -> Callable[[str], str]:
    """The `mark` of a step with one row: a running step becomes failed, a done one stays done."""

    def mark(error: str) -> str:
        ledger.fail_running(split_step_id(row_id)[0], error)
        return row_id

    return mark


def keep(ledger: Ledger, migration_id: str, artifact: Artifact, schema: str) -> None:
    """Writes the row of the artifact, in the transaction of the drop. Rows are counted later,
    unless a checksum has counted them: readers and writers wait for the lock that is held here."""
    rows, checksum = None, ""
    if artifact.checksum:
        rows = int(one_value(ledger.connection, artifact.count))
        checksum = str(one_value(ledger.connection, artifact.checksum))
    ledger.write_artifact(migration_id, artifact, schema, rows, checksum)
    write_note(ledger.connection, artifact, schema)


def count_kept(ledger: Ledger, artifact: Artifact) -> None:
    """Counts the rows of an artifact after its drop is committed."""
    if not artifact.checksum:
        ledger.count_artifact(artifact.id, int(one_value(ledger.connection, artifact.count)))


def count_uncounted(ledger: Ledger, migration_id: str) -> None:
    """Counts the rows of artifacts of a run, or of its rollback, that was killed before it counted
    them. An artifact that is no longer in the database stays uncounted.
    """
    for row in ledger.artifacts():
        made = ArtifactId.parse(row.id)
        if not (made and made.is_of(migration_id)) or row.row_count is not None or row.expires_at:
            continue
        place = locate(ledger.connection, row)
        if place and place.hidden:
            ledger.count_artifact(row.id, count_of(ledger.connection, place))


def error_text(error: BaseException) -> str:
    """The message of the error, or the name of the interruption, with the notes about the
    cleanup."""
    interrupted = isinstance(error, KeyboardInterrupt)
    text = "interrupted by the user" if interrupted else str(error).strip()
    notes = getattr(error, "__notes__", ())
    return "\n".join([*(text.splitlines() or [type(error).__name__]), *notes])


def is_ours(connection: BaseDatabaseWrapper) -> bool:
    """Does this connection hold the run lock? Django may have opened another one when it left a
    transaction whose connection was lost."""
    if not is_open(connection):
        return False
    try:
        check_held(connection)
    except (LockLost, DatabaseError, InterfaceError):
        return False
    return True


def user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def versions(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """The versions of the software that a run depends on."""
    return {
        "zanith_django": __version__,
        "django": django.get_version(),
        "python": platform.python_version(),
        "postgresql": "{}.{}".format(*divmod(server_version(connection), 10_000)),
    }
