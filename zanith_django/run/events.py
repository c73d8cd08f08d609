"""Reports the events of a run to the log and to signal receivers; neither can break the run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.dispatch import Signal
from psycopg.pq import TransactionStatus

from zanith_django import signals
from zanith_django.operations.base import Operation
from zanith_django.plan.reasons import Level

# The handler prevents that a line is printed twice on a terminal if the project has no LOGGING.
run_log = logging.getLogger("zanith_django.run")
run_log.addHandler(logging.NullHandler())
signal_log = logging.getLogger("zanith_django.signals")


@dataclass(frozen=True, slots=True)
class StepEvent:
    """A step as receivers and the log get it."""

    migration: str
    step: int
    operation: Operation
    level: Level | str
    score: int
    backwards: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """The reported fields; built only if there is a listener."""
        return {
            "migration": self.migration,
            "step": self.step,
            "kind": self.operation.kind,
            "target": self.operation.target,
            "level": str(self.level),
            "score": self.score,
            "backwards": self.backwards,
        }


class Events:
    """The events of one run on one database. `silent` is for a run on a shadow."""

    def __init__(self, connection: BaseDatabaseWrapper, *, silent: bool = False) -> None:
        self.connection, self.silent = connection, silent
        self.current: StepEvent | None = None

    @property
    def awaited(self) -> bool:
        """Is a receiver connected to the start or the end of steps?"""
        heard = (signals.step_started, signals.step_finished)
        return not self.silent and any(signal.has_listeners(Events) for signal in heard)

    def step_started(self, step: StepEvent) -> None:
        self.current = step
        self._report(logging.DEBUG, "step_started", step)

    def step_finished(self, step: StepEvent, seconds: float) -> None:
        self._report(logging.DEBUG, "step_finished", step, seconds=seconds)
        self.current = None

    def migration_applied(
        self, migration: str, steps: int, seconds: float, *, backwards: bool = False
    ) -> None:
        more = {"steps": steps, "seconds": seconds, "backwards": backwards}
        self._report(logging.INFO, "migration_applied", None, migration=migration, **more)

    def run_failed(self, error: BaseException) -> None:
        nowhere = {} if self.current else {"migration": "", "step": 0}
        self._report(logging.ERROR, "run_failed", self.current, **nowhere, error=error)

    def retrying(self, words: str) -> None:
        if not self.silent:
            at = self.current.fields if self.current else {}
            self._log(logging.WARNING, "lock_not_acquired", {**at, "error": words})

    # --- how -----------------------------------------------------------------------------------

    def _report(self, level: int, name: str, at: StepEvent | None, /, **more: Any) -> None:
        signal: Signal = getattr(signals, name)
        listening = run_log.isEnabledFor(level) or signal.receivers
        if self.silent or not listening:
            return
        fields = {**(at.fields if at else {}), **more}
        self._log(level, name, fields)
        if not signal.has_listeners(Events):
            return
        if self.connection.in_atomic_block:
            self._send_in_transaction(signal, fields)
        else:
            self._send(signal, fields)

    def _log(self, level: int, name: str, fields: dict[str, Any]) -> None:
        if not run_log.isEnabledFor(level):
            return
        words = [f"{key}={value}" for key, value in fields.items() if value not in ("", False)]
        extra = {"event": name, "database": self.connection.alias, **fields}
        if "error" in extra:
            extra["error"] = str(extra["error"])
        run_log.log(level, "%s %s", name, " ".join(words), extra=extra)

    def _send(self, signal: Signal, fields: dict[str, Any]) -> None:
        for receiver, answer in signal.send_robust(
            sender=Events, using=self.connection.alias, **fields
        ):
            if isinstance(answer, Exception):
                signal_log.error("A receiver failed: %r", receiver, exc_info=answer)

    def _send_in_transaction(self, signal: Signal, fields: dict[str, Any]) -> None:
        """Sends in a savepoint: a failing query of a receiver would abort an atomic migration of
        Django."""
        alias = self.connection.alias
        with transaction.atomic(using=alias):
            self._send(signal, fields)
            if self.connection.connection.info.transaction_status == TransactionStatus.INERROR:
                transaction.set_rollback(True, using=alias)


@contextmanager
def reporting_failure(events: Events) -> Iterator[None]:
    """Reports any error that ends a run, an interruption too."""
    try:
        yield
    except BaseException as error:
        events.run_failed(error)
        raise
