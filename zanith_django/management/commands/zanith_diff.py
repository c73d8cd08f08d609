"""zanith_diff: what turns one schema into another: models, live, a snapshot, a file."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from zanith_django.compare import compare, with_sizes
from zanith_django.exceptions import Differs, InvalidArgument
from zanith_django.management.base import ZanithCommand
from zanith_django.render.data import diff_data
from zanith_django.render.text import diff_text


class Command(ZanithCommand):
    help = (
        "Shows the operations that turn A into B. Each is: models, live, empty, a migration's id "
        "(its snapshot after), <id>:before, or a snapshot file. Exit 1 when they differ."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("a", metavar="A")
        parser.add_argument("b", metavar="B", nargs="?")
        parser.add_argument("--format", choices=("text", "json", "graph"), default="text")

    def run(self, **options: Any) -> None:
        connection = self.connect(options["database"])
        before, after = options["a"], options["b"]
        if options["format"] == "graph":
            if after is not None:
                raise InvalidArgument("--format graph takes one argument.", "Leave B out.")
            self.print_json(with_sizes(connection, before))
            return
        if after is None:
            raise InvalidArgument("Two schemas are compared.", "For instance: models live.")
        result = compare(connection, before, after)
        if options["format"] == "json":
            self.print_json(diff_data(before, after, result.operations, result.extras))
        else:
            verbose = options["verbosity"] > 1
            self.say(
                diff_text(
                    before, after, result.operations, result.extras, result.notes, verbose=verbose
                )
            )
        if result.operations:
            raise Differs(before, after)
