"""zanith_diff: the operations that turn one schema into another: models, live, a snapshot, a
file."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from zanith_django.compare import compare, with_sizes
from zanith_django.exceptions import Differs, InvalidArgument
from zanith_django.management.base import ZanithCommand
from zanith_django.plan.comparison import Difference
from zanith_django.postgres.session import server_version
from zanith_django.render.data import diff_data
from zanith_django.render.differences import diff_markdown, diff_sql
from zanith_django.render.text import diff_text


class Command(ZanithCommand):
    help = (
        "Shows the operations that turn A into B. Each is: models, live, empty, a migration's id "
        "(its snapshot after), <id>:before, or a snapshot file. Exit 1 when they differ."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("a", metavar="A", help="The schema to start from.")
        parser.add_argument(
            "b",
            metavar="B",
            nargs="?",
            help="The schema to reach; omit it with --format graph, which prints A.",
        )
        formats = ("text", "json", "markdown", "sql", "graph")
        parser.add_argument("--format", choices=formats, default="text")

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
        self._show(result, options, server_version(connection))
        if result.operations:
            raise Differs(before, after)

    def _show(self, found: Difference, options: dict[str, Any], version: int) -> None:
        before, after, form = options["a"], options["b"], options["format"]
        operations, extras = found.operations, found.extras
        if form == "json":
            self.print_json(diff_data(before, after, operations, extras))
        elif form == "markdown":
            self.say(diff_markdown(before, after, operations, extras))
        elif form == "sql":
            self.say(diff_sql(before, after, operations, found.before, version))
        else:
            verbose = options["verbosity"] > 1
            self.say(diff_text(before, after, operations, extras, found.notes, verbose=verbose))
