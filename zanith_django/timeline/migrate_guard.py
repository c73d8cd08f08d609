"""Receivers of pre_migrate: a plain `migrate` during a zanith run, or one that removes the app."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.core.management.base import CommandError
from django.db import connections

from zanith_django.exceptions import HalfRolledBack
from zanith_django.ledger.ledger import Ledger
from zanith_django.postgres.run_lock import holder, is_running

APP = "zanith_django"

_OWN_RUN: ContextVar[bool] = ContextVar("zanith_own_run", default=False)


@contextmanager
def own_run() -> Iterator[None]:
    """Signals that are sent meanwhile belong to a run of our own."""
    token = _OWN_RUN.set(True)
    try:
        yield
    finally:
        _OWN_RUN.reset(token)


def report_leaving(using: str, **kwargs: Any) -> None:
    """Receiver of pre_migrate: `migrate zanith_django zero` drops no table; prints them."""
    plan = kwargs.get("plan") or []
    leaving = any(back and migration.app_label == APP for migration, back in plan)
    connection = connections[using]
    if not leaving or connection.vendor != "postgresql" or not kwargs.get("verbosity"):
        return
    ledger, output = Ledger(connection), kwargs.get("stdout") or sys.stdout
    kept = [row for row in ledger.artifacts() if row.expires_at is None]
    if ledger.exists():
        output.write("The tables of the ledger stay; docs/leave.md shows how to drop them.\n")
    if kept:
        output.write(
            f"So do {len(kept)} dropped columns and tables with their values: "
            "zanith_recover list names them, zanith_recover purge --all drops them.\n"
        )


def refuse_plain_migrate(using: str, **kwargs: Any) -> None:
    """Receiver of pre_migrate: refuses `migrate` while steps of ours are unfinished."""
    connection = connections[using]
    if _OWN_RUN.get() or connection.vendor != "postgresql":
        return
    ledger = Ledger(connection)
    half_undone, unfinished = ledger.half_rolled_back(), ledger.unfinished()
    if (half_undone or unfinished) and is_running(connection):
        raise CommandError(
            f"Another session of zanith is running: {holder(connection)}.\n"
            "Wait until it ends, then run migrate again."
        )
    for name in half_undone:
        error = HalfRolledBack(name)
        raise CommandError(f"{error}\n{error.hint}") from error
    if unfinished:
        row = unfinished[0]
        raise CommandError(
            f"Step {row.id} is {row.status}: zanith has not finished on database {using!r}.\n"
            "Run zanith_apply: it resumes there."
        )
