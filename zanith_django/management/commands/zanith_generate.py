"""zanith_generate: write zanith migrations for what the models ask for."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.apps import AppConfig

from zanith_django.conf import conf
from zanith_django.exceptions import ChangesFound, InvalidArgument
from zanith_django.files import select_apps
from zanith_django.generate import (
    STAMP,
    Generated,
    Request,
    empty_file,
    generate,
    make_django_migrations,
    missing_django_migrations,
    pending_changes,
)
from zanith_django.management.base import ZanithCommand
from zanith_django.render.text import kind_width, near
from zanith_django.unexplained import (
    generate_from_diff,
    generate_from_empty,
    without_django_migrations,
)


class Command(ZanithCommand):
    help = (
        "Writes a zanith migration beside each Django migration that has none, after running "
        "makemigrations where models have moved on."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("apps", nargs="*", metavar="app", help="By default every managed app.")
        parser.add_argument("--name", default="", help="The slug of the new files.")
        parser.add_argument(
            "--from-diff",
            action="store_true",
            help="Also write what the database lacks and no Django migration explains.",
        )
        parser.add_argument(
            "--from",
            choices=("empty",),
            dest="start",
            help="Write what makes apps without Django migrations from nothing.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Print the files, write none.")
        parser.add_argument(
            "--check", action="store_true", help="Exit 1 when there is anything to write."
        )
        parser.add_argument("--empty", metavar="APP", help="Write a file to be filled by hand.")
        parser.add_argument(
            "--drop", choices=("soft", "archive", "hard"), help="How columns and tables go."
        )
        parser.add_argument(
            "--drop-extra",
            action="store_true",
            help="With --from-diff: drop what no model names, on tables of managed apps: columns, "
            "constraints, indexes, policies, row security, comments, storage parameters. The "
            "rest (triggers, rules, statistics, collations) is told and stays.",
        )
        parser.add_argument(
            "--timestamp", metavar="YYYYMMDD_HHMMSS", help="The stamp of the first file."
        )
        parser.add_argument(
            "--no-input", "--noinput", action="store_true", help="Let makemigrations ask nothing."
        )

    def run(self, **options: Any) -> None:
        configs = select_apps(options["apps"])
        if options["name"] and not options["name"].isidentifier():
            raise InvalidArgument(
                f"--name {options['name']!r} is no slug.", "Use letters, digits and underscores."
            )
        if options["check"]:
            self._check_only(configs)
            return
        request = Request(
            tuple(configs),
            options["name"],
            options["drop"] or conf.drop,
            _stamp(options["timestamp"]),
            options["drop_extra"],
        )
        if options["empty"]:
            self._empty(options, request)
            return
        if options["start"]:
            self._from_empty(options, request)
            return
        # Before makemigrations writes anything, for a database that cannot be used.
        connection = self.connect(options["database"])
        if not self._django_first([config.label for config in configs], options):
            return
        made = generate(connection, request)
        self._give(made, options)
        if options["from_diff"] and not (options["dry_run"] and made.summaries):
            more = generate_from_diff(connection, request)
            self._give(more, options)
            made = more if more.summaries else made
        if not made.summaries:
            self.stdout.write("No changes: every migration has its file.")

    def _check_only(self, configs: list[AppConfig]) -> None:
        changes = pending_changes(configs)
        if changes:
            raise ChangesFound(changes)
        self.stdout.write("No changes: every migration has its file.")

    def _empty(self, options: dict[str, Any], request: Request) -> None:
        (config,) = select_apps([options["empty"]])
        file = empty_file(self.connect(options["database"]), config, request)
        if options["dry_run"]:
            self.stdout.write(file.text)
        else:
            file.write()
            self.stdout.write(f"Wrote {file.path}")

    def _from_empty(self, options: dict[str, Any], request: Request) -> None:
        connection = self.connect(options["database"])
        chosen = without_django_migrations(connection, request.apps, bool(options["apps"]))
        made = generate_from_empty(connection, replace(request, apps=chosen))
        self._give(made, options)
        if not made.summaries:
            self.stdout.write("No changes: the files make what the models ask for.")

    def _django_first(self, labels: list[str], options: dict[str, Any]) -> bool:
        """Runs makemigrations where models moved on; False where a dry run has to stop there."""
        missing = missing_django_migrations(labels)
        if not missing:
            return True
        if options["dry_run"]:
            for migration in missing:
                self.stdout.write(f"makemigrations would write {migration}:")
                for operation in migration.operations:
                    self.stdout.write(f"  {operation.describe()}")
            self.stdout.write("Run it without --dry-run to write both files.")
            return False
        interactive = not options["no_input"] and sys.stdin.isatty()
        touched = sorted({migration.app_label for migration in missing})
        make_django_migrations(
            touched, options["name"], interactive=interactive, output=self.stdout
        )
        return True

    def _give(self, made: Generated, options: dict[str, Any]) -> None:
        for file in made.files:
            if options["dry_run"]:
                self.stdout.write(f"# {file.path}\n{file.text}")
            else:
                file.write()
        for (name, operations), file in zip(
            made.summaries, (f for f in made.files if f.path.stem != "__init__"), strict=True
        ):
            if not options["dry_run"]:
                self.stdout.write(self.style.MIGRATE_HEADING(f"▸ {name}"))
                self.stdout.write(f"  {near(file.path)}")
                width = kind_width(operation.kind for operation in operations)
                for number, operation in enumerate(operations, 1):
                    kind = f"{operation.kind:<{width}}"
                    self.stdout.write(f"    {number:02d} {kind} {operation.target}")
        for extra in made.left:
            self.stdout.write(f"Not dropped, no operation does: {extra}")


def _stamp(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, STAMP)  # the author's own clock
    except ValueError as error:
        raise InvalidArgument(
            f"--timestamp {text!r} is no stamp.", "Write YYYYMMDD_HHMMSS."
        ) from error
