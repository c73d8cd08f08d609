"""Stops a plain `migrate` while a run of ours is under way or has stopped half way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.core.management.base import CommandError
from django.db import connections

from zanith_django.exceptions import HalfRolledBack
from zanith_django.ledger import Ledger

_OWN_RUN: ContextVar[bool] = ContextVar("zanith_own_run", default=False)


@contextmanager
def own_run() -> Iterator[None]:
    """Signals sent meanwhile are those of our own run."""
    token = _OWN_RUN.set(True)
    try:
        yield
    finally:
        _OWN_RUN.reset(token)


def refuse_plain_migrate(using: str, **kwargs: Any) -> None:
    """Receiver of pre_migrate: `migrate` would run past steps that are not done."""
    connection = connections[using]
    if _OWN_RUN.get() or connection.vendor != "postgresql":
        return
    ledger = Ledger(connection)
    for name in ledger.half_rolled_back():
        error = HalfRolledBack(name)
        raise CommandError(f"{error}\n{error.hint}") from error
    unfinished = ledger.unfinished()
    if unfinished:
        row = unfinished[0]
        raise CommandError(
            f"Step {row.id} is {row.status}: zanith has not finished on database {using!r}.\n"
            "Run zanith_apply: it resumes there."
        )
