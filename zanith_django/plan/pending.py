"""The plan of a project: what is pending on a database, or files alone without any database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.files.files import managed_apps, select_apps
from zanith_django.ledger.ledger import LedgerReading
from zanith_django.operations.base import Context
from zanith_django.plan.coverage import covered
from zanith_django.plan.live_facts import offline_context, pending_context
from zanith_django.plan.plan import Plan
from zanith_django.plan.planner import plan
from zanith_django.plan.since import changed_since, missing_at
from zanith_django.plan.sizes import read_sizes
from zanith_django.timeline.project import offline_timeline, read_timeline
from zanith_django.timeline.sources import django_path
from zanith_django.timeline.timeline import Key, Timeline


@dataclass(frozen=True, slots=True)
class Pending:
    """A plan with what it was made from; `context.graph` is the schema before it."""

    plan: Plan
    timeline: Timeline
    context: Context


def pending_on(
    connection: BaseDatabaseWrapper,
    *,
    previous: str | None = None,
    ledger: LedgerReading | None = None,
) -> Pending:
    """What is pending on this database. `previous` is the git ref of the running release."""
    ledger = ledger or LedgerReading(connection)
    timeline = read_timeline(connection, ledger)
    context = pending_context(connection, timeline)
    planned = plan(
        timeline,
        database=connection.alias,
        context=context,
        ledger=ledger,
        absent=_absent(previous, timeline),
    )
    return Pending(covered(planned, timeline), timeline, context)


def pending_files(
    *,
    since: str | None = None,
    only: Sequence[str] = (),
    sizes: str | None = None,
    previous: str | None = None,
    database: str,
) -> Pending:
    """The files that changed since a git ref, or those of `only`, scored without a database.
    `sizes` is a file that has the rows of production."""
    select_apps([])  # without a managed app there is no file to score
    timeline = offline_timeline()
    ids = changed_since(since, timeline) if since else [timeline.find(name).id for name in only]
    context = offline_context(read_sizes(sizes) if sizes else None)
    planned = plan(
        timeline,
        database=database,
        context=context,
        only=set(ids),
        absent=_absent(previous, timeline),
    )
    return Pending(covered(planned, timeline), timeline, context)


def _absent(ref: str | None, timeline: Timeline) -> frozenset[Key] | None:
    """The migrations of managed apps that the release at this git ref does not have."""
    if ref is None:
        return None
    labels = {config.label for config in managed_apps()}
    own = {key: m for key, m in timeline.loader.disk_migrations.items() if key[0] in labels}
    files = {key: django_path(migration) for key, migration in own.items()}
    return missing_at(ref, {key: path for key, path in files.items() if path})
