"""zanith_status: the applied, pending and unfinished migrations."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from zanith_django.ledger.ledger import Ledger
from zanith_django.management.base import ZanithCommand
from zanith_django.plan.integrity import missing_files, newer_than_files
from zanith_django.render.text import Status, status_text
from zanith_django.timeline.project import read_timeline


class Command(ZanithCommand):
    help = "Shows which migrations of the timeline are applied, pending or unfinished."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="List applied migrations too.")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def run(self, **options: Any) -> None:
        connection = self.connect(options["database"])
        timeline = read_timeline(connection)
        ledger = Ledger(connection)
        status = Status(
            ledger.unfinished(),
            ledger.half_rolled_back(),
            newer_than_files(ledger, timeline),
            [*missing_files(ledger, timeline).values()],
        )
        if options["format"] == "json":
            self.print_json(
                {
                    "migrations": [
                        {"id": e.id, "source": e.source, "state": e.state, "late": e.late}
                        for e in timeline.entries
                    ],
                    "unfinished": [
                        {"id": r.id, "status": r.status, "error": r.error}
                        for r in status.unfinished
                    ],
                    "half_rolled_back": status.half_undone,
                    "newer": status.newer,
                    "missing": status.missing,
                }
            )
        else:
            every = options["all"]
            self.say(status_text(timeline, status, self.style, every=every))
