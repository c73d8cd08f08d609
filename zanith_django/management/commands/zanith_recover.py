"""zanith_recover: list, restore, export or purge the artifacts of drops."""

from __future__ import annotations

import argparse
import contextlib
import os
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, TextIO, cast

from zanith_django.audit.since import period
from zanith_django.conf import conf
from zanith_django.exceptions import InvalidArgument, NotPurged
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.ledger.ledger import Ledger
from zanith_django.management.arguments import add_lock_wait, add_max_risk
from zanith_django.management.base import ZanithCommand
from zanith_django.plan.gates import Policy
from zanith_django.recover.export import FORMATS, export
from zanith_django.recover.fields import field_of
from zanith_django.recover.recover import cleanup, purge, reseed, restore
from zanith_django.recover.session import Session
from zanith_django.render.recover import (
    artifact_data,
    artifact_text,
    artifacts_text,
    left_off_text,
    restored_text,
)
from zanith_django.render.text import counted
from zanith_django.run.artifacts import find, older_than

_WHAT = "An artifact's id, or its target (users.legacy_uuid): the newest artifact of that."


class Command(ZanithCommand):
    help = "Restores dropped columns and tables, or shows, exports or purges their kept values."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

        def verb(name: str, words: str, *, artifact: bool = True) -> ArgumentParser:
            made: ArgumentParser = verbs.add_parser(name, help=words, description=words)
            made.add_argument("--database", default=argparse.SUPPRESS, metavar="ALIAS")
            if artifact:
                made.add_argument("artifact", metavar="ARTIFACT", help=_WHAT)
            return made

        listed = verb("list", "List the artifacts.", artifact=False)
        listed.add_argument(
            "--all", action="store_true", help="Also those that were restored or purged."
        )
        inspected = verb("inspect", "Show all details of one artifact.")
        for shown in (listed, inspected):
            shown.add_argument("--format", choices=("text", "json"), default="text")
        saved = verb("export", "Export the kept values.")
        saved.add_argument("--format", choices=FORMATS, default="csv")
        saved.add_argument(
            "--output", metavar="FILE", help="The file to write; by default standard output."
        )
        restored = [
            verb("restore-column", "Restore a column with its values."),
            verb("restore-table", "Restore a table with its rows."),
        ]
        for back in restored:
            back.add_argument(
                "--strict",
                action="store_true",
                help="Restore nothing if rows violate a constraint; by default, omit it.",
            )
        changing = [
            *restored,
            verb("reseed", "Refill the NULLs of a column that exists again."),
        ]
        purged = verb("purge", "Drop kept columns and tables permanently.", artifact=False)
        purged.add_argument("artifact", nargs="?", metavar="ARTIFACT", help=_WHAT)
        purged.add_argument("--all", action="store_true", help="All artifacts.")
        purged.add_argument(
            "--missing",
            action="store_true",
            help="Record artifacts that the database no longer has as purged.",
        )
        cleaned = verb("cleanup", "Purge all artifacts of some age.", artifact=False)
        cleaned.add_argument(
            "--older-than",
            metavar="PERIOD",
            help="The age of what is purged, such as 30d; by default RETENTION_DAYS.",
        )
        cleaned.add_argument("--dry-run", action="store_true", help="Only list them.")
        for run in changing:
            add_max_risk(run)
        for gone in (purged, cleaned):
            gone.add_argument("--yes", action="store_true", help="Confirm the permanent drop.")
        for run in (*changing, purged, cleaned):
            add_lock_wait(run)

    def run(self, **options: Any) -> None:
        self.connection = self.connect_directly(options["database"])
        self.ledger = Ledger(self.connection)
        getattr(self, f"_{options['verb'].replace('-', '_')}")(options)

    # --- looking -------------------------------------------------------------------------------

    def _list(self, options: dict[str, Any]) -> None:
        rows = self.ledger.artifacts()
        if options["format"] == "json":
            shown = [row for row in rows if options["all"] or row.expires_at is None]
            self.print_json([artifact_data(row) for row in shown])
        else:
            self.say(artifacts_text(rows, self.style, every=options["all"]))

    def _inspect(self, options: dict[str, Any]) -> None:
        artifact = find(self.ledger, options["artifact"])
        if options["format"] == "json":
            self.print_json(artifact_data(artifact))
        else:
            self.say(artifact_text(artifact))

    def _export(self, options: dict[str, Any]) -> None:
        artifact = find(self.ledger, options["artifact"])
        with self._output(options["output"]) as output:
            count = export(self.connection, artifact, output, options["format"])
        if options["output"]:
            self.stdout.write(f"Wrote {counted(count, 'row')} to {options['output']}.")

    @contextlib.contextmanager
    def _output(self, path: str | None) -> Iterator[TextIO]:
        try:
            if path is None:
                # Not by the command's wrapper, which adds a line ending.
                stream = cast("TextIO | None", self.stdout._out)
                if stream is None:
                    raise InvalidArgument("Standard output is closed.", "Add --output FILE.")
                yield stream
                stream.flush()
                return
            with open(path, "w", encoding="utf-8", newline="", opener=_private) as file:
                yield file
        except BrokenPipeError:
            pass  # the reader closed the pipe
        except OSError as error:
            raise InvalidArgument(f"{path or 'Standard output'}: {error.strerror}") from error
        except UnicodeEncodeError as error:
            hint = "Add --output FILE: it is written as UTF-8."
            raise InvalidArgument(f"Standard output: {error}", hint) from error

    # --- taking back ---------------------------------------------------------------------------

    def _restore_column(self, options: dict[str, Any]) -> None:
        self._restore(options, column=True)

    def _restore_table(self, options: dict[str, Any]) -> None:
        self._restore(options, column=False)

    def _restore(self, options: dict[str, Any], *, column: bool) -> None:
        done = restore(
            self.connection,
            options["artifact"],
            column=column,
            session=self._session(options),
            strict=options["strict"],
        )
        thing = "column" if column else "table"
        target = done.operation.target if done.operation else done.artifact.target
        if done.before:
            self.stdout.write(f"Nothing to do: {thing} {target} was restored already.")
            return
        kept = counted(done.count, "value" if column else "row")
        self.stdout.write(str(self.style.SUCCESS(f"Restored {thing} {target} with its {kept}.")))
        self.say(left_off_text(done.left_off, self.style))
        if done.operation and done.operation.one_column:
            field = field_of(self.connection, done.artifact, done.operation)
            self.say(restored_text(done.operation, field))

    def _reseed(self, options: dict[str, Any]) -> None:
        rows = reseed(self.connection, options["artifact"], self._session(options))
        self.stdout.write(f"Refilled {counted(rows, 'row')} of {options['artifact']}.")

    # --- letting go ----------------------------------------------------------------------------

    def _purge(self, options: dict[str, Any]) -> None:
        if options["all"] is bool(options["artifact"]):
            raise InvalidArgument(
                "Name an artifact, or add --all.",
                "Run manage.py zanith_recover purge --help to see the options.",
            )
        if options["all"]:
            self._purge_all(options)
            return
        artifact = find(self.ledger, options["artifact"])
        if not options["yes"]:
            raise InvalidArgument(
                f"Purging {artifact.target} drops its values permanently.", "Add --yes to confirm."
            )
        session = self._session(options)
        gone = purge(self.connection, artifact.id, session, missing=options["missing"])
        self._say_gone(gone)
        if not gone:
            text = f"Nothing to do: {artifact.target} was restored or purged already."
            self.stdout.write(text)

    def _purge_all(self, options: dict[str, Any]) -> None:
        found = [row for row in self.ledger.artifacts() if row.expires_at is None]
        if not found:
            self.stdout.write("Nothing to do: nothing is kept.")
        elif not options["yes"]:
            self.stdout.write("Kept, to be dropped permanently:")
            self.say(f"  {row.target}  {row.id}" for row in found)
            raise InvalidArgument("Nothing was dropped.", "Add --yes to mean it.")
        else:
            self._clean(timedelta(), options)

    def _say_gone(self, gone: Iterable[ArtifactRow]) -> None:
        for row in gone:
            self.stdout.write(f"Purged {row.target}.")

    def _clean(self, age: timedelta, options: dict[str, Any]) -> None:
        """Exit 1 if an artifact could not be purged, after the others are purged."""
        done = cleanup(
            self.connection, age, self._session(options), missing=options.get("missing", False)
        )
        self._say_gone(done.gone)
        for error in done.failed:
            self.stderr.write(f"{error}\n{error.hint}", self.style.ERROR)
        if done.failed:
            raise NotPurged(len(done.failed))

    def _cleanup(self, options: dict[str, Any]) -> None:
        age = (
            period(options["older_than"])
            if options["older_than"]
            else timedelta(days=conf.retention_days)
        )
        found = older_than(self.ledger, age)
        if not found:
            self.stdout.write(f"Nothing to do: nothing kept is older than {_days(age)}.")
            return
        if options["dry_run"] or not options["yes"]:
            self.stdout.write(f"Older than {_days(age)}, to be dropped permanently:")
            self.say(f"  {row.target}  {row.id}" for row in found)
            if options["dry_run"]:
                return
            raise InvalidArgument("Nothing was dropped.", "Add --yes to mean it.")
        self._clean(age, options)

    def _session(self, options: dict[str, Any]) -> Session:
        """--yes is the consent to a purge."""
        policy = Policy.of(max_risk=options.get("max_risk"))
        if options.get("yes"):
            policy = policy.with_consent()
        return Session(options["lock_wait"], self._say, policy)

    def _say(self, words: str) -> None:
        """Messages of waits and retries go to stderr; stdout is for the result."""
        self.stderr.write(words, self.style.NOTICE)


def _private(path: str, flags: int) -> int:
    """Create the file readable by its owner only: it may contain data that the database guards."""
    return os.open(path, flags, 0o600)


def _days(age: timedelta) -> str:
    return f"{age.days} days" if not age.seconds else str(age)
