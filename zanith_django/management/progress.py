"""The output of a run: a line per migration, a line per step, and a progress bar for backfills;
without a terminal, a line about a backfill now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from django.core.management.base import OutputWrapper
from django.core.management.color import Style

from zanith_django.apply.reporter import ApplyReporter
from zanith_django.ledger.step_rows import DONE, FAILED
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.render.durations import spelled_seconds
from zanith_django.render.text import (
    SIGILS,
    counted,
    level_style,
    newer_text,
    status_style,
    waiting,
)
from zanith_django.run.audit import Outcome
from zanith_django.run.progress import Progress

BAR_WIDTH = 24
PATIENCE = 1.0  # seconds
LINE_SECONDS = 10  # between two lines of a backfill, at least


class TerminalReporter(ApplyReporter):
    """Prints to a command's stdout. Django's own migrations get one line unless verbose."""

    def __init__(self, stdout: OutputWrapper, style: Style, *, verbosity: int) -> None:
        self.stdout, self.style, self.verbosity = stdout, style, verbosity
        self.last_line = time.monotonic()

    def _say(self, text: str) -> None:
        if self.verbosity > 0:
            self.stdout.write(text)
            self.stdout.flush()  # each line is flushed, for the log of a deploy

    def waiting(self, holder: str) -> None:
        self._say(waiting(holder))

    def newer(self, names: Sequence[str]) -> None:
        for line in newer_text(names):
            self._say(line)

    def planned(self, plan: Plan) -> None:
        if not plan.migrations:
            self._say("Nothing to do: the database is at the end of the timeline.")

    def migration_started(self, migration: PlannedMigration) -> None:
        if migration.entry.migration or self.verbosity > 1:
            self._say(str(self.style.MIGRATE_HEADING(f"▸ {migration.id}")))
        if migration.adopted:
            self._say("  Django has applied it already: its steps are recorded as skipped")

    def _shows(self, migration: PlannedMigration) -> bool:
        return self.verbosity > 1 or bool(migration.entry.migration)

    def step_finished(self, migration: PlannedMigration, step: PlannedStep, seconds: float) -> None:
        if self._shows(migration):
            self._say(f"  {self._sigil(DONE)} {self._step(step)}  {spelled_seconds(seconds)}")

    def step_failed(self, migration: PlannedMigration, number: int, error: str) -> None:
        step = next((step for step in migration.steps if step.number == number), None)
        words = self._step(step) if step else f"step {number}"
        self._say(f"  {self._sigil(FAILED)} {words}")

    def _sigil(self, status: str) -> str:
        return status_style(self.style, status, SIGILS[status])

    def _step(self, step: PlannedStep) -> str:
        level = level_style(self.style, str(step.level), f"[{step.level}]")
        return f"step {step.number}: {level} {step.kind} {step.operation.target}"

    def migration_finished(self, migration: PlannedMigration, seconds: float) -> None:
        if not self._shows(migration):
            took = spelled_seconds(seconds)
            steps = counted(len(migration.steps), "step")
            self._say(f"{self._sigil(DONE)} {migration.id}  {steps}  {took}")

    def retrying(self, words: str) -> None:
        self._say(f"    {words}")

    def progress(self, progress: Progress) -> None:
        if not self._is_terminal():
            self._line(progress)
        elif self.verbosity > 0:
            self.stdout.write(f"\r    {_bar(progress)}   ", ending="")
            if progress.seconds_left == 0:
                self.stdout.write("")

    def _line(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self.last_line >= LINE_SECONDS:
            self.last_line = now
            self._say(f"    {progress.table}: {_numbers(progress)}")

    def _is_terminal(self) -> bool:
        return self.stdout.isatty()

    def done(self, outcome: Outcome) -> None:
        if outcome.migrations:
            self._say(
                str(
                    self.style.SUCCESS(
                        f"Applied {counted(outcome.migrations, 'migration')}, "
                        f"{counted(outcome.steps, 'step')}, "
                        f"in {spelled_seconds(outcome.seconds)}."
                    )
                )
            )


class Stages:
    """Prints the stage that a command is at, once it takes longer than a second."""

    def __init__(self, stream: OutputWrapper) -> None:
        self.stream, self.timer = stream, threading.Timer(PATIENCE, str)

    def __call__(self, stage: str) -> None:
        self.timer.cancel()
        self.timer = threading.Timer(PATIENCE, self.stream.write, [f"{stage} …"])
        self.timer.daemon = True
        self.timer.start()

    def __enter__(self) -> None:
        """The stage lasts until the end of the block."""

    def __exit__(self, *error: object) -> None:
        self.timer.cancel()


def _bar(progress: Progress) -> str:
    total: Any = progress.total_rows or 0
    share = min(progress.processed_rows / total, 1) if total else 0
    full = round(share * BAR_WIDTH)
    return f"[{'█' * full}{'░' * (BAR_WIDTH - full)}] {_numbers(progress)}"


def _numbers(progress: Progress) -> str:
    left = progress.seconds_left
    eta = f", {left:.0f} s left" if left is not None else ""
    return (
        f"{progress.processed_rows:,} of about {progress.total_rows:,} rows, "
        f"{progress.rows_per_second:,.0f}/s{eta}"
    )
