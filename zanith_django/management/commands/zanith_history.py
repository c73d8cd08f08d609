"""zanith_history: what ran, step by step, from the ledger."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

from zanith_django.conf import LONGEST_RETENTION
from zanith_django.exceptions import InvalidArgument, UnknownMigration
from zanith_django.ledger.ledger import Ledger
from zanith_django.management.base import ZanithCommand
from zanith_django.render.data import history_data
from zanith_django.render.text import history_text

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Command(ZanithCommand):
    help = "Shows the migrations that ran; --verbose shows every step and attempt."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--verbose", action="store_true", help="Show steps and snapshots.")
        parser.add_argument("--since", metavar="PERIOD", help="Only newer than this: 7d, 12h, 2w.")
        parser.add_argument("--id", default="", metavar="ID", help="Only this migration.")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def run(self, **options: Any) -> None:
        start = datetime.now(UTC) - period(options["since"]) if options["since"] else None
        ledger = Ledger(self.connect(options["database"]))
        applied = ledger.applied()
        steps = ledger.steps(options["id"] or None)
        if options["id"]:
            if options["id"] not in applied and not steps:
                raise UnknownMigration(options["id"], applied)
            applied = {name: when for name, when in applied.items() if name == options["id"]}
        if start:
            applied = {name: when for name, when in applied.items() if when >= start}
            begun = {r.migration_id for r in steps if r.started_at and r.started_at >= start}
            steps = [r for r in steps if r.migration_id in applied or r.migration_id in begun]
        tables = ledger.table_counts()
        if options["format"] == "json":
            self.print_json(history_data(applied, steps, tables))
        else:
            timed = options["verbosity"] > 1
            verbose = options["verbose"] or timed
            self.say(history_text(applied, steps, tables, self.style, verbose=verbose, timed=timed))


def period(text: str) -> timedelta:
    """`7d` → seven days. Raises `InvalidArgument`."""
    match = re.fullmatch(r"(\d+)([mhdw])", text)
    if match is None:
        raise InvalidArgument(f"{text!r} is no period.", "Write a number and m, h, d or w: 7d.")
    try:
        found = timedelta(**{_UNITS[match[2]]: int(match[1])})
    except (OverflowError, ValueError):  # of timedelta, or of a number with thousands of digits
        found = timedelta.max
    if found.days > LONGEST_RETENTION:
        raise InvalidArgument(f"{text} is too long.", f"Write at most {LONGEST_RETENTION}d.")
    return found
