"""zanith_history: the migrations and steps that ran, from the ledger."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from zanith_django.audit.history import history
from zanith_django.audit.since import since
from zanith_django.exceptions import UnknownMigration
from zanith_django.ledger.ledger import Ledger
from zanith_django.management.base import ZanithCommand
from zanith_django.render.history import history_data, history_text


class Command(ZanithCommand):
    help = "Shows the migrations that ran; --verbose shows every step and attempt."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--verbose", action="store_true", help="Show every step and attempt, and snapshots."
        )
        parser.add_argument(
            "--since", metavar="WHEN", help="Only newer than this: 7d, 12h, 2026-03-01, March."
        )
        parser.add_argument("--id", default="", metavar="ID", help="Only this migration.")
        parser.add_argument(
            "--table", default="", metavar="TABLE", help="Only steps that touched this table."
        )
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def run(self, **options: Any) -> None:
        start = since(options["since"]) if options["since"] else None
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
