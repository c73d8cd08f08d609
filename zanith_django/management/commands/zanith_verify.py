"""zanith_verify: run the plan on a throwaway shadow and compare the result with the models."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from typing import Any

from zanith_django.conf import SHADOW_SHAPES
from zanith_django.exceptions import InvalidArgument, NotVerified
from zanith_django.management.arguments import add_refusals
from zanith_django.management.base import ZanithCommand, interrupted_by_signals
from zanith_django.management.progress import Stages
from zanith_django.render.text import waiting
from zanith_django.render.verdict import verdict_annotations, verdict_markdown, verdict_text
from zanith_django.verify.reading import VerifyOptions
from zanith_django.verify.verify import OK, verify


def _rows(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text} is no number of rows: it begins at 1")
    return int(text)


class Command(ZanithCommand):
    help = (
        "Runs the pending plan on a throwaway shadow. Exit 0: ok; 1: drift, a surprise or a failed "
        "step; 3: the shadow cannot be made."
    )

    checks_beside = True

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--shadow",
            default="",
            metavar="SHAPE",
            help=f"{', '.join(SHADOW_SHAPES)}, a database URL or an alias of DATABASES.",
        )
        parser.add_argument(
            "--from",
            dest="source",
            default="",
            metavar="FILE",
            help="The structure to start from: a file by zanith_diff live --format graph, or empty "
            "for the whole timeline; by default that of the live database.",
        )
        rows = parser.add_mutually_exclusive_group()
        rows.add_argument(
            "--sample",
            type=_rows,
            default=0,
            metavar="N",
            help="Copy up to N rows of each table, masked, and the rows that they point at.",
        )
        rows.add_argument(
            "--data",
            default="",
            metavar="DATABASE",
            help="Run on a copy of this database (a URL or an alias), such as a restored backup.",
        )
        parser.add_argument(
            "--reuse", action="store_true", help="Keep the structure as a template for later runs."
        )
        parser.add_argument("--keep", action="store_true", help="Keep the shadow for inspection.")
        add_refusals(parser)
        parser.add_argument(
            "--format", choices=("text", "json", "markdown", "github"), default="text"
        )

    def run(self, **options: Any) -> None:
        connection = self.connect_directly(options["database"])
        if options["source"] and (options["sample"] or options["data"]):
            raise InvalidArgument(
                "--from takes no rows.", "Leave out --from, or --sample and --data."
            )
        stages = Stages(self.stderr)
        chosen = VerifyOptions(
            shape=options["shadow"],
            source=options["source"],
            keep=options["keep"],
            refuse=options["refuse_drift"],
            allow_surprises=options["allow_surprises"],
            sample=options["sample"],
            data=options["data"],
            reuse=options["reuse"],
            check=self.check_project,
            on_stage=stages,
            on_wait=lambda holder: self.stderr.write(waiting(holder)),
        )
        with interrupted_by_signals(), stages:
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
