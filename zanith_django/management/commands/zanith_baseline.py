"""zanith_baseline: adopt an existing database; only the records of migrations change."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from zanith_django.baseline import Baseline, BaselineOptions, baseline
from zanith_django.management.arguments import add_lock_wait
from zanith_django.management.base import ZanithCommand
from zanith_django.render.text import near, waiting
from zanith_django.timeline.timeline import dotted


class Command(ZanithCommand):
    help = (
        "Adopts the current database as the beginning of the history: records Django migrations "
        "whose tables exist, writes covered_after, keeps a snapshot. Runs nothing."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--at",
            nargs="+",
            default=[],
            metavar="APP.MIGRATION",
            help="The last applied migration of an app, whichever tables exist; may be repeated.",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Print what would be recorded, and record nothing.",
        )
        parser.add_argument(
            "--no-files",
            action="store_true",
            help="Write no covered_after into the files of the project.",
        )
        add_lock_wait(parser)

    def run(self, **options: Any) -> None:
        connection = self.connect_directly(options["database"])
        given = BaselineOptions(
            at=tuple(options["at"]),
            dry_run=options["dry_run"],
            files=not options["no_files"],
            lock_wait=options["lock_wait"],
        )
        found = baseline(connection, given, self._waiting)
        self.say(_lines(found, dry_run=given.dry_run))

    def _waiting(self, holder: str) -> None:
        self.stdout.write(waiting(holder))
        self.stdout.flush()


def _lines(found: Baseline, *, dry_run: bool) -> list[str]:
    if not found.changes:
        return ["Nothing to do: the database is adopted already."]
    would = "would be " if dry_run else ""
    lines = [f"{would}recorded as applied: {dotted(key)}" for key in found.recorded]
    lines += [
        f"cannot be seen in the schema: the SQL or Python of {dotted(key)} · "
        f"if it did not run here: --at {dotted(before)}"
        for key, before in found.unseen
    ]
    lines += [f"{would}written: {near(file.path)}" for file in found.files]
    lines += [f"{would}accepted without a file: {name}" for name in found.accepted]
    if found.snapshot:
        lines.append(f"{would}kept: a snapshot of the schema, baseline:baseline")
    return lines
