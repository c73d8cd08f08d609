"""zanith_apply: run what is pending, one audited step at a time; in the place of migrate."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command

from zanith_django.apply.apply import apply
from zanith_django.apply.state import ApplyOptions
from zanith_django.management.base import ZanithCommand, add_lock_wait, add_refusals
from zanith_django.management.commands.zanith_plan import add_gate_arguments
from zanith_django.management.progress import TerminalReporter
from zanith_django.plan.observed import read_observed


class Command(ZanithCommand):
    help = "Brings the database up to date under one lock. Run it again to resume after a failure."
    shows = False

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_gate_arguments(parser)
        parser.add_argument(
            "--steps", type=int, metavar="N", help="Run the next N migrations only."
        )
        parser.add_argument("--to", default="", metavar="ID", help="Stop after this migration.")
        parser.add_argument(
            "--verify", action="store_true", help="Verify on a shadow first, and stop on drift."
        )
        add_refusals(parser)
        parser.add_argument(
            "--verified",
            default="",
            metavar="FINGERPRINT",
            help="Refuse anything but what zanith_verify printed this for.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Print the SQL, run nothing.")
        add_lock_wait(parser)
        parser.add_argument(
            "--no-input", "--noinput", action="store_true", help="Ask nothing (it never does)."
        )

    def run(self, **options: Any) -> None:
        if options["dry_run"]:
            call_command(
                "zanith_plan",
                database=options["database"],
                max_risk=options["max_risk"],
                allow_destructive=options["allow_destructive"],
                fail_on=options["fail_on"],
                observed=options["observed"],
                format="sql",
                stdout=self.stdout,
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
            allow_destructive=options["allow_destructive"] or None,
            fail_on=tuple(options["fail_on"]) if options["fail_on"] else None,
            lock_wait=options["lock_wait"],
            verified=options["verified"],
            observed=read_observed(options["observed"]) if options["observed"] else {},
            verbosity=max(options["verbosity"] - 1, 0),
        )
        reporter.done(apply(connection, chosen, reporter))
