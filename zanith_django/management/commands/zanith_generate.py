"""zanith_generate: write zanith migrations for changes of the models."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.conf import conf
from zanith_django.exceptions import ChangesFound, InvalidArgument, UnreadableModel
from zanith_django.files.files import other_apps, select_apps
from zanith_django.generate.generate import (
    STAMP,
    Generated,
    Request,
    empty_file,
    generate,
    pending_changes,
    without_migrations,
)
from zanith_django.generate.makemigrations import make_django_migrations, missing_django_migrations
from zanith_django.generate.unexplained import (
    generate_from_diff,
    generate_from_empty,
    without_django_migrations,
)
from zanith_django.management.base import ZanithCommand
from zanith_django.render.text import kind_width, near, unexplained_text


class Command(ZanithCommand):
    help = (
        "Writes a zanith migration beside each Django migration that has none, after running "
        "makemigrations if models have changed."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("apps", nargs="*", metavar="app", help="By default every managed app.")
        parser.add_argument("--name", default="", help="The slug of the new files.")
        parser.add_argument(
            "--from-diff",
            action="store_true",
            help="Also write differences from the database that no Django migration explains.",
        )
        parser.add_argument(
            "--from",
            choices=("empty",),
            dest="start",
            help="Write files that create the tables of apps without Django migrations.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Print the files instead of writing them."
        )
        parser.add_argument(
            "--check", action="store_true", help="Write nothing; exit 1 if a migration is missing."
        )
        parser.add_argument(
            "--empty",
            metavar="APP",
            help="Write a file without operations, to be completed by hand.",
        )
        parser.add_argument(
            "--drop",
            choices=("soft", "archive", "hard"),
            help="How to drop columns and tables; by default the setting DROP.",
        )
        parser.add_argument(
            "--drop-extra",
            action="store_true",
            help="With --from-diff: drop objects that no model declares, on tables of managed "
            "apps: columns, constraints, indexes, policies, row security, comments, storage "
            "parameters. The others (triggers, rules, statistics, collations) are reported and "
            "stay.",
        )
        parser.add_argument(
            "--timestamp",
            metavar="YYYYMMDD_HHMMSS",
            help="The time in the name of the first file; by default now.",
        )
        parser.add_argument(
            "--no-input",
            "--noinput",
            action="store_true",
            help="Ask no question; a change that needs an answer is refused.",
        )

    def run(self, **options: Any) -> None:
        _refuse_ignored(options)
        configs = select_apps(options["apps"])
        if options["name"] and not options["name"].isidentifier():
            raise InvalidArgument(
                f"--name {options['name']!r} is no slug.", "Use letters, digits and underscores."
            )
        if options["check"]:
            self._check_only(configs, options)
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
        if options["dry_run"] and made.summaries:
            if options["from_diff"]:
                self._say("--from-diff: other differences show once these files exist.", options)
            return
        if options["from_diff"]:
            more = generate_from_diff(connection, request)
            self._give(more, options)
            made = more if more.summaries else made
        if not made.summaries:
            self._no_changes(configs, options)
        if not options["from_diff"]:
            self._drift(connection, request, options)

    def _drift(
        self, connection: BaseDatabaseWrapper, request: Request, options: dict[str, Any]
    ) -> None:
        """Differences that no file explains are printed; --from-diff writes them."""
        try:
            found = generate_from_diff(connection, request)
        except UnreadableModel as error:
            self._say(f"Drift is unknown: {error}", options)
            return
        drift = [operation for _, operations in found.summaries for operation in operations]
        for line in unexplained_text(drift):
            self._say(line, options)

    def _check_only(self, configs: list[AppConfig], options: dict[str, Any]) -> None:
        changes = pending_changes(configs)
        if changes:
            raise ChangesFound(changes)
        self._no_changes(configs, options)

    def _no_changes(self, configs: list[AppConfig], options: dict[str, Any]) -> None:
        """Prints the apps without changes, because an app that is not managed may have some."""
        bare = without_migrations(configs)
        self._say("No changes: every migration has its file.", options)
        self._say(f"Managed: {_listed(c for c in configs if c not in bare)}.", options)
        if not options["apps"]:
            others = _listed(other_apps(configs))
            self._say(f"Not managed, Django runs their migrations: {others}.", options)
        for config in bare:
            label = config.label
            self._say(
                f"{label} has models and no migrations: run makemigrations {label}, or "
                f"zanith_generate {label} --from empty.",
                options,
            )

    def _say(self, text: str, options: dict[str, Any]) -> None:
        if options["verbosity"] > 0:
            self.stdout.write(text)

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
        """Runs makemigrations if models have changed; False if a dry run has to stop there."""
        missing = missing_django_migrations(labels)
        if not missing.migrations:
            return True
        if options["dry_run"]:
            for rename in missing.renames:
                self.stdout.write(f"makemigrations would ask: renamed {rename}?")
            for migration in missing.migrations:
                self.stdout.write(f"makemigrations would write {migration}:")
                for operation in migration.operations:
                    self.stdout.write(f"  {operation.describe()}")
            self.stdout.write("Run it without --dry-run to write both files.")
            return False
        interactive = not options["no_input"] and sys.stdin.isatty()
        make_django_migrations(
            missing,
            options["name"],
            interactive=interactive,
            output=self.stdout,
            verbosity=options["verbosity"],
        )
        return True

    def _give(self, made: Generated, options: dict[str, Any]) -> None:
        for file in made.files:
            if options["dry_run"]:
                self.stdout.write(f"# {file.path}\n{file.text}")
            else:
                file.write()
        if not options["dry_run"]:
            self._report(made, options)
        for extra in made.left:
            self._say(f"Not dropped, no operation does: {extra}", options)

    def _report(self, made: Generated, options: dict[str, Any]) -> None:
        """Every file that was written; with -v 2 each operation in words too."""
        inits = [file for file in made.files if file.path.stem == "__init__"]
        for file in inits:
            self._say(f"Wrote {near(file.path)}", options)
        files = [file for file in made.files if file not in inits]
        for (name, operations), file in zip(made.summaries, files, strict=True):
            self._say(self.style.MIGRATE_HEADING(f"▸ {name}"), options)
            self._say(f"  {near(file.path)}", options)
            width = kind_width(operation.kind for operation in operations)
            for number, operation in enumerate(operations, 1):
                kind = f"{operation.kind:<{width}}"
                self._say(f"    {number:02d} {kind} {operation.target}", options)
                if options["verbosity"] > 1:
                    self._say(f"       {operation.describe()}", options)


# {a flag: those that it would ignore}. --dry-run and --no-input hold for each: none of them asks
# anything, and --check writes nothing either.
_ALONE: Mapping[str, tuple[str, ...]] = {
    "check": ("name", "from_diff", "start", "empty", "drop", "drop_extra", "timestamp"),
    "empty": ("apps", "from_diff", "start", "drop", "drop_extra"),
    "start": ("from_diff", "drop", "drop_extra"),
}
_FLAGS = {"start": "--from", "apps": "an app"}


def _refuse_ignored(options: Mapping[str, Any]) -> None:
    """Refuses a flag that would be ignored."""
    for name, others in _ALONE.items():
        for other in others if options[name] else ():
            if options[other]:
                both = f"{_flag(name)} and {_flag(other)} exclude each other."
                raise InvalidArgument(both, "Give one of them.")
    if options["drop_extra"] and not options["from_diff"]:
        raise InvalidArgument("--drop-extra needs --from-diff.")


def _flag(name: str) -> str:
    return _FLAGS.get(name, f"--{name.replace('_', '-')}")


def _listed(configs: Iterable[AppConfig]) -> str:
    return ", ".join(sorted(config.label for config in configs)) or "none"


def _stamp(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, STAMP)  # the author's own clock
    except ValueError as error:
        raise InvalidArgument(
            f"--timestamp {text!r} is no stamp.", "Write YYYYMMDD_HHMMSS."
        ) from error
