"""zanith_rollback: undo the newest migrations, step by step, under the lock of zanith_apply."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import OutputWrapper
from django.core.management.color import Style

from zanith_django.diff.differ import HARD, SOFT
from zanith_django.ledger.step_rows import ROLLED_BACK
from zanith_django.management.arguments import add_budget_arguments, add_lock_wait
from zanith_django.management.base import ZanithCommand
from zanith_django.plan.gates import Refusal
from zanith_django.plan.plan import PlannedStep
from zanith_django.render.durations import spelled_seconds
from zanith_django.render.text import SIGILS, counted, waiting
from zanith_django.rollback.reporter import RollbackOptions, RollbackReporter
from zanith_django.rollback.rollback import rollback
from zanith_django.rollback.selection import UndoMigration, UndoStep
from zanith_django.run.audit import Outcome


class Command(ZanithCommand):
    help = "Undoes migrations, newest first. Refuses beforehand what cannot be undone."
    shows = False

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--steps", type=int, metavar="N", help="Undo the newest N migrations.")
        parser.add_argument(
            "--to",
            default="",
            metavar="ID",
            help="Undo every migration that is newer than this one.",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Print the SQL and the risk of each step, and run nothing.",
        )
        parser.add_argument(
            "--drop",
            choices=(SOFT, HARD),
            default=SOFT,
            help="soft (the default) keeps removed columns and tables; hard drops them.",
        )
        parser.add_argument(
            "--keep-values",
            action="store_true",
            help="Also undo steps that gave values to rows without one; these values stay.",
        )
        add_budget_arguments(
            parser, "Allow --drop hard to drop columns and tables that hold anything."
        )
        parser.add_argument(
            "--no-input", "--noinput", action="store_true", help="Ask no question on a terminal."
        )
        add_lock_wait(parser)

    def run(self, **options: Any) -> None:
        connection = self.connect_directly(options["database"])
        chosen = RollbackOptions(
            count=options["steps"],
            to=options["to"],
            drop=options["drop"],
            allow_destructive=options["allow_destructive"],
            keep_values=options["keep_values"],
            max_risk=options["max_risk"],
            dry_run=options["dry_run"],
            lock_wait=options["lock_wait"],
            verbosity=max(options["verbosity"] - 1, 0),
        )
        reporter = _TerminalReporter(self.stdout, self.style, chosen, options["verbosity"])
        reporter.asks = not options["no_input"] and sys.stdin is not None and sys.stdin.isatty()
        reporter.done(rollback(connection, chosen, reporter))


class _TerminalReporter(RollbackReporter):
    """A line per migration, a line per step; in a dry run the SQL."""

    def __init__(
        self, stdout: OutputWrapper, style: Style, options: RollbackOptions, verbosity: int
    ) -> None:
        self.stdout, self.style = stdout, style
        self.options, self.verbosity = options, verbosity
        self.asks = False

    def _say(self, text: str) -> None:
        if self.verbosity > 0:
            self.stdout.write(text)

    def waiting(self, holder: str) -> None:
        self._say(waiting(holder))

    def retrying(self, words: str) -> None:
        self._say(f"    {words}")

    def staying(self, labels: Sequence[str]) -> None:
        if labels:
            mark = "-- " if self.options.dry_run else ""
            apps = ", ".join(labels)
            self._say(f"{mark}Migrations of {apps} are newer and were run by Django. They stay;")
            self._say(f"{mark}manage.py migrate <app> <migration> undoes them.")

    def setting_aside(self, targets: Sequence[str]) -> None:
        mark = "-- " if self.options.dry_run else ""
        self._say(f"{mark}Kept with their values, for zanith_recover to restore or purge:")
        for target in targets:
            self._say(f"{mark}  {target}")

    def may_set_aside(self) -> bool:
        return not self.asks or input("Roll back? [y/N] ").strip().lower() in ("y", "yes")

    def migration_started(self, migration: UndoMigration) -> None:
        if not self.options.dry_run:
            self._say(str(self.style.MIGRATE_HEADING(f"▸ {migration.id}")))

    def step_judged(self, step: PlannedStep) -> None:
        reasons = ", ".join(step.assessment.reasons)
        self.stdout.write(f"-- {step.level} {step.score}{': ' if reasons else ''}{reasons}")
        for finding in step.findings:
            self.stdout.write(f"--   {finding}")

    def refused(self, refusals: Sequence[Refusal]) -> None:
        for refusal in refusals:
            self.stdout.write(f"-- refused: {refusal}")

    def step_undone(self, step: UndoStep, sql: str, seconds: float) -> None:
        if self.options.dry_run:
            self.stdout.write(f"-- undo {step.row.id}: {step.operation.describe()}\n{sql}")
            return
        words = f"step {step.row.step}: {step.row.operation_kind} {step.operation.target}"
        self._say(f"  {SIGILS[ROLLED_BACK]} {words}  {spelled_seconds(seconds)}")

    def done(self, outcome: Outcome) -> None:
        if self.options.dry_run:
            return
        if not outcome.migrations:
            self._say("Nothing to roll back.")
            return
        text = (
            f"Rolled back {counted(outcome.migrations, 'migration')}, "
            f"{counted(outcome.steps, 'step')}, "
            f"in {spelled_seconds(outcome.seconds)}."
        )
        self._say(str(self.style.SUCCESS(text)))
