"""Assertions for the tests of a project: its migrations are within a budget, and no schema drifted.

Both fail with the migration, the step, the reason and the command to type next. A wrong argument,
an unreachable database or a broken file raises the error that the commands print.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS

from zanith_django.exceptions import InvalidArgument, ZanithError
from zanith_django.files.files import select_apps
from zanith_django.generate.generate import Request
from zanith_django.generate.unexplained import generate_from_diff
from zanith_django.plan import gates
from zanith_django.plan.gates import Policy
from zanith_django.plan.pending import pending_files, pending_on
from zanith_django.plan.plan import Plan
from zanith_django.plan.reasons import REASONS
from zanith_django.postgres.session import connect
from zanith_django.render.report import PlanReport
from zanith_django.timeline.project import read_timeline


def assert_plan_within(
    max_risk: int,
    *,
    apps: Sequence[str] | None = None,
    since: str | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    """No step of the plan scores more than `max_risk`, and no gate refuses it for another reason.

    With `since`, a git ref, the plan is that of the files that changed since then, and needs no
    database; without it, what is pending on the database `using`. A test database has everything
    applied: then an empty plan without `since` gives a warning. `apps` are labels, by default all.
    """
    __tracebackhide__ = True
    with _hints():
        _check_arguments(max_risk, apps, since)
        labels = {config.label for config in select_apps(apps)} if apps else None
        if since:
            plan = pending_files(since=since, database=using).plan
        else:
            plan = pending_on(connect(using)).plan
    plan = plan if labels is None else _of_apps(plan, labels)
    if not since and next(plan.steps, None) is None:
        words = f"Nothing is pending on {using!r}: name a git ref, such as since='origin/main'."
        warnings.warn(words, stacklevel=2)
    policy = Policy.of(max_risk=max_risk, allow_destructive=True).without_fingerprint()
    refusals = tuple(gates.check(plan, policy.for_files() if since else policy))
    report = PlanReport(plan, refusals, max_risk=max_risk)
    if refusals:
        raise AssertionError("\n".join(_refused(report, since)))


def assert_no_drift(using: str = DEFAULT_DB_ALIAS) -> None:
    """The database has what the models of the managed apps ask for, once everything pending has
    run. Tables and objects that no model names are no drift."""
    __tracebackhide__ = True
    with _hints():
        request = Request(tuple(select_apps([])))
        found = generate_from_diff(connect(using), request).summaries
        waiting = [e.id for e in read_timeline(connect(using)).pending if e.migration is None]
    drift = [operation for _, operations in found for operation in operations]
    if drift:
        lines = [f"The database {using!r} differs from the models, and no migration explains it:"]
        lines += [f"  {each.kind} {each.target}: {each.describe()}" for each in drift]
        if waiting:
            lines.append(f"Pending migrations may: {', '.join(waiting)}. Run zanith_apply first.")
        else:
            lines.append("Run zanith_generate --from-diff to write a migration for it.")
        raise AssertionError("\n".join(lines))


def _check_arguments(max_risk: object, apps: object, since: object) -> None:
    """A value that a command would refuse, such as that of an unset variable."""
    if isinstance(max_risk, bool) or not isinstance(max_risk, int) or not 0 <= max_risk <= 100:
        raise InvalidArgument(f"max_risk is {max_risk!r}, not a number from 0 to 100.")
    if isinstance(apps, str) or not isinstance(apps, Collection | None):
        raise InvalidArgument(f"apps is {apps!r}, not a list of labels.")
    if since is not None and not (isinstance(since, str) and since):
        raise InvalidArgument(f"since is {since!r}, not a git ref.")


def _of_apps(plan: Plan, labels: Collection[str]) -> Plan:
    kept = tuple(each for each in plan.migrations if each.entry.app_label in labels)
    ids = {migration.id for migration in kept}
    return dataclasses.replace(
        plan,
        migrations=kept,
        flaws=tuple(flaw for flaw in plan.flaws if flaw.migration in ids),
        uncovered=tuple(key for key in plan.uncovered if key[0] in labels),
    )


def _refused(report: PlanReport, since: str | None) -> Iterator[str]:
    yield f"The plan is not within {report.max_risk}:"
    yield from (f"  {refusal}" for refusal in report.loose)
    for _, step, refusals in report.judged:
        yield from (f"  {refusal}" for refusal in refusals)
        for code in step.assessment.reasons if refusals else ():
            yield f"    {code}: {REASONS[code].effect} Safer: {REASONS[code].safer}"
    files = f" --since {since}" if since else ""
    yield f"Run zanith_plan{files} --max-risk {report.max_risk} to see the whole plan."


@contextmanager
def _hints() -> Iterator[None]:
    """Any other error ends the test with its hint."""
    try:
        yield
    except ZanithError as error:
        if error.hint:
            error.add_note(error.hint)
        raise
