"""zanith_apply: run the pending plan, one audited step at a time, instead of migrate."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command

from zanith_django.apply.apply import apply
from zanith_django.apply.state import ApplyOptions
from zanith_django.exceptions import InvalidArgument
from zanith_django.management.arguments import (
    add_gate_arguments,
    add_lock_wait,
    add_range_arguments,
    add_refusals,
)
from zanith_django.management.base import ZanithCommand
from zanith_django.management.progress import TerminalReporter
from zanith_django.plan.observed import read_observed


class Command(ZanithCommand):
    help = "Brings the database up to date under one lock. Run it again to resume after a failure."
    shows = False

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_gate_arguments(parser)
        add_range_arguments(parser)
        parser.add_argument(
            "--verify",
            action="store_true",
            help="Run zanith_verify first, and stop unless its verdict is ok.",
        )
        add_refusals(parser)
        parser.add_argument(
            "--no-preflight",
            dest="preflight",
            action="store_false",
            help="Do not look for rows that would make a step fail.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Print the SQL and run nothing.")
        add_lock_wait(parser)
        parser.add_argument(
            "--no-input",
            "--noinput",
            action="store_true",
            help="Accepted for scripts; the command asks no question.",
        )

    def run(self, **options: Any) -> None:
        if options["dry_run"] and options["verify"]:
            hint = "Leave out --verify."
            raise InvalidArgument("--dry-run prints the SQL and runs nothing.", hint)
        if options["dry_run"]:
            given = (
                "max_risk",
                "allow_destructive",
                "fail_on",
                "verified",
                "observed",
                "steps",
                "to",
            )
            call_command(
                "zanith_plan",
                database=options["database"],
                format="sql",
                stdout=self.stdout,
                **{name: options[name] for name in given},
            )
            return
        connection = self.connect_directly(options["database"])
        if options["verify"]:
            call_command(
                "zanith_verify",
                database=options["database"],
                refuse_drift=options["refuse_drift"],
                allow_surprises=options["allow_surprises"],
                stdout=self.stdout,
            )
        reporter = TerminalReporter(self.stdout, self.style, verbosity=options["verbosity"])
        chosen = ApplyOptions(
            count=options["steps"],
            to=options["to"],
            max_risk=options["max_risk"],
            allow_destructive=options["allow_destructive"],
            fail_on=tuple(options["fail_on"]) if options["fail_on"] else None,
            lock_wait=options["lock_wait"],
            verified=options["verified"],
            observed=read_observed(options["observed"]) if options["observed"] else {},
            preflight=options["preflight"],
            verbosity=max(options["verbosity"] - 1, 0),
        )
        reporter.done(apply(connection, chosen, reporter))
