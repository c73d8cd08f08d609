"""zanith_verify: run the plan on a throwaway shadow and compare the result with the models."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from zanith_django.exceptions import NotVerified
from zanith_django.management.base import ZanithCommand, add_refusals, interrupted_by_signals
from zanith_django.render.text import waiting
from zanith_django.render.verdict import verdict_annotations, verdict_markdown, verdict_text
from zanith_django.verify.verify import OK, Options, verify


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
        add_refusals(parser)
        parser.add_argument(
            "--format", choices=("text", "json", "markdown", "github"), default="text"
        )

    def run(self, **options: Any) -> None:
        connection = self.connect_directly(options["database"])
        chosen = Options(
            shape=options["shadow"],
            source=options["source"],
            keep=options["keep"],
            refuse=options["refuse_drift"],
            allow_surprises=options["allow_surprises"],
            on_wait=lambda holder: self.stderr.write(waiting(holder)),
        )
        with interrupted_by_signals():
            verdict = verify(connection, chosen)
        if options["format"] == "json":
            self.print_json(asdict(verdict))
        elif options["format"] == "markdown":
            self.say(verdict_markdown(verdict))
        elif options["format"] == "github":
            self.say(verdict_annotations(verdict))
        else:
            self.say(verdict_text(verdict, self.style, details=options["verbosity"] > 1))
        if verdict.verdict != OK:
            raise NotVerified(verdict.verdict)
