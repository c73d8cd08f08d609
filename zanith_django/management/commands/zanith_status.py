"""zanith_status: what is applied, what is pending, what stopped half way."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from zanith_django.ledger import Ledger
from zanith_django.management.base import ZanithCommand
from zanith_django.project import read_timeline
from zanith_django.render.text import status_text


class Command(ZanithCommand):
    help = "Shows where the database stands on the timeline."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="List applied migrations too.")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def run(self, **options: Any) -> None:
        connection = self.connect(options["database"])
        timeline = read_timeline(connection)
        ledger = Ledger(connection)
        unfinished, half_undone = ledger.unfinished(), ledger.half_rolled_back()
        if options["format"] == "json":
            self.print_json(
                {
                    "migrations": [
                        {"id": e.id, "source": e.source, "state": e.state, "late": e.late}
                        for e in timeline.entries
                    ],
                    "unfinished": [
                        {"id": r.id, "status": r.status, "error": r.error} for r in unfinished
                    ],
                    "half_rolled_back": half_undone,
                }
            )
        else:
            every = options["all"]
            self.say(status_text(timeline, unfinished, half_undone, self.style, every=every))
