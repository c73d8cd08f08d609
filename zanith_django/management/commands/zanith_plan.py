"""zanith_plan: the pending steps, their risk, and the refusals of the gates."""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser
from typing import Any, cast

from zanith_django.conf import conf
from zanith_django.exceptions import Blocked, InvalidArgument
from zanith_django.ledger.ledger import Ledger
from zanith_django.management.arguments import add_gate_arguments, add_range_arguments, policy_of
from zanith_django.management.base import ZanithCommand
from zanith_django.management.output import Output
from zanith_django.plan import gates
from zanith_django.plan.fingerprint import fingerprinted
from zanith_django.plan.gates import Policy
from zanith_django.plan.integrity import newer_than_files
from zanith_django.plan.observed import read_observed, with_observed
from zanith_django.plan.pending import Pending, pending_files, pending_on
from zanith_django.plan.plan import until
from zanith_django.plan.preflight import Look, looked_at
from zanith_django.plan.reasons import reason
from zanith_django.render.formats import FORMATS, Format
from zanith_django.render.report import PlanReport
from zanith_django.render.text import reason_text
from zanith_django.run.django_signals import receivers
from zanith_django.timeline.sources import sources_of

# Options that need a live database, and options of a plan without one.
_LIVE_ONLY = ("preflight", "show_values", "verified", "steps", "to")
_OFFLINE_ONLY = ("sizes",)
_OF_A_PLAN = (
    *("max_risk", "allow_destructive", "fail_on", "observed", "verified"),
    *("steps", "to", "since", "only", "sizes", "previous", "preflight", "show_values"),
)


class Command(ZanithCommand):
    help = "Shows what zanith_apply would run, with the risk of each step. Exit 1 when blocked."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_gate_arguments(parser)
        add_range_arguments(parser)
        parser.add_argument(
            "--since",
            metavar="REF",
            help="Score files that changed since a git ref; needs no database.",
        )
        parser.add_argument(
            "--only",
            nargs="+",
            metavar="ID",
            help="Score only these migrations; needs no database.",
        )
        parser.add_argument(
            "--sizes",
            metavar="FILE",
            help="With --since or --only: rows of tables, by zanith_diff live --format graph.",
        )
        parser.add_argument(
            "--previous",
            metavar="REF",
            help="The git ref of the running release; by default that of the applied migrations.",
        )
        parser.add_argument(
            "--preflight",
            action="store_true",
            help="Look at the rows too: what would fail on them is blocked. Reads only, for a "
            "bounded time, as zanith_apply does before it begins.",
        )
        parser.add_argument(
            "--show-values",
            action="store_true",
            help="With --preflight: print values of rows that block a step, not only keys.",
        )
        parser.add_argument(
            "--explain", metavar="CODE", help="Explain a reason instead of planning."
        )
        parser.add_argument("--format", choices=tuple(FORMATS), default="text")

    def run(self, **options: Any) -> None:
        if options["explain"]:
            self._explain(options)
            return
        offline = bool(options["since"] or options["only"])
        _refuse_ignored(options, offline=offline)
        policy = policy_of(options)
        found, newer = self._offline(options) if offline else self._live(options, policy)
        policy = policy.for_files() if offline else policy
        planned = found.plan
        if options["observed"]:
            planned = with_observed(planned, read_observed(options["observed"]))
        form = FORMATS[options["format"]]
        entries = (migration.entry for migration in planned.migrations if form.places)
        report = PlanReport(
            plan=planned,
            refusals=tuple(gates.check(planned, policy)),
            mode=conf.mode,
            max_risk=policy.max_risk,
            newer=newer,
            receivers=tuple(receivers()) if planned.migrations and not offline else (),
            sources=sources_of(found.timeline, entries),
            style=self.style,
            verbosity=options["verbosity"],
        )
        self._show(report, form)
        if report.refusals:
            raise Blocked(len(report.refusals))

    def _show(self, report: PlanReport, form: Format) -> None:
        rendered = form.render(report)
        if isinstance(rendered, dict):
            self.print_json(rendered)
            return
        for line in rendered:
            cast(Output, self.stdout).write(line, exact=form.exact)

    def _live(self, options: dict[str, Any], policy: Policy) -> tuple[Pending, tuple[str, ...]]:
        connection = self.connect(options["database"])
        ledger = Ledger(connection)
        found = pending_on(connection, previous=options["previous"])
        timeline, context = found.timeline, found.context
        planned = until(found.plan, timeline, count=options["steps"], to=options["to"])
        if options["preflight"]:
            look = Look(show_values=options["show_values"])
            begun = {(row.migration_id, row.step) for row in ledger.unfinished()}
            planned = looked_at(connection, planned, context, look, begun)
        if policy.asks_fingerprint:
            planned = fingerprinted(connection, planned, context.graph)
        newer = tuple(newer_than_files(ledger, timeline))
        return dataclasses.replace(found, plan=planned), newer

    def _offline(self, options: dict[str, Any]) -> tuple[Pending, tuple[str, ...]]:
        found = pending_files(
            since=options["since"],
            only=options["only"] or (),
            sizes=options["sizes"],
            previous=options["previous"],
            database=options["database"],
        )
        return found, ()

    def _explain(self, options: dict[str, Any]) -> None:
        found = reason(options["explain"])
        given = [name for name in _OF_A_PLAN if _is_given(options[name])]
        if options["format"] != "text":
            given.append("format")
        if given:
            raise InvalidArgument(
                f"--explain makes no plan: --{given[0].replace('_', '-')} would be ignored.",
                "Leave one of them out.",
            )
        self.say(reason_text(found))


def _refuse_ignored(options: dict[str, Any], *, offline: bool) -> None:
    """Refuses a flag that would be ignored."""
    if options["since"] and options["only"]:
        raise InvalidArgument("--since and --only exclude each other.", "Give one of them.")
    names = _LIVE_ONLY if offline else _OFFLINE_ONLY
    for name in names:
        if _is_given(options[name]):
            flag = f"--{name.replace('_', '-')}"
            needs = "a database: leave out --since and --only" if offline else "--since or --only"
            raise InvalidArgument(f"{flag} needs {needs}.")
    if options["show_values"] and not options["preflight"]:
        raise InvalidArgument("--show-values needs --preflight.")


def _is_given(value: Any) -> bool:
    return value is not None and value is not False and value != ""
