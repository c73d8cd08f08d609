"""zanith_verify: run the plan on a throwaway shadow and compare the result with the models."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from zanith_django.exceptions import NotVerified
from zanith_django.management.base import ZanithCommand
from zanith_django.render.text import verdict_text
from zanith_django.verify import OK, verify


class Command(ZanithCommand):
    help = "Runs what is pending on a shadow. Exit 0 ok, 1 drift or apply-failed, 3 unreachable."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--shadow",
            default="",
            metavar="SHAPE",
            help="auto, ephemeral, schema, a database URL or an alias of DATABASES.",
        )
        parser.add_argument(
            "--from",
            dest="source",
            default="",
            metavar="FILE",
            help="A graph from zanith_diff live --format graph, or empty: replay everything.",
        )
        parser.add_argument("--keep", action="store_true", help="Leave the shadow to look at.")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def run(self, **options: Any) -> None:
        connection = self.connect(options["database"])
        verdict = verify(
            connection, shape=options["shadow"], source=options["source"], keep=options["keep"]
        )
        if options["format"] == "json":
            self.print_json(asdict(verdict))
        else:
            self.say(verdict_text(verdict, self.style))
        if verdict.verdict != OK:
            raise NotVerified(verdict.verdict)
