"""zanith_history: what ran, step by step, from the ledger."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

from zanith_django.audit.history import history
from zanith_django.conf import LONGEST_RETENTION
from zanith_django.exceptions import InvalidArgument, UnknownMigration
from zanith_django.ledger.ledger import Ledger
from zanith_django.management.base import ZanithCommand
from zanith_django.render.history import history_data, history_text

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Command(ZanithCommand):
    help = "Shows the migrations that ran; --verbose shows every step and attempt."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--verbose", action="store_true", help="Show every step and attempt, and snapshots."
        )
        parser.add_argument("--since", metavar="PERIOD", help="Only this far back: 12h, 7d, 2w.")
        parser.add_argument("--id", default="", metavar="ID", help="Only this migration.")
        parser.add_argument(
            "--table", default="", metavar="TABLE", help="Only steps that touched this table."
        )
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def run(self, **options: Any) -> None:
        start = datetime.now(UTC) - period(options["since"]) if options["since"] else None
        wanted, table = options["id"], options["table"]
        connection = self.connect(options["database"])
        records = history(connection, migration=wanted, since=start, table=table)
        if wanted and not records and not table and not start:
            raise UnknownMigration(wanted, Ledger(connection).applied())
        if options["format"] == "json":
            self.print_json(history_data(records))
            return
        verbose = options["verbose"] or bool(table) or options["verbosity"] > 1
        self.say(history_text(records, self.style, verbose=verbose))


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
