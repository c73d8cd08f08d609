"""`python -m tests.plan.table`: every case of a verdict in one table, with what it expects and
where a server measures it. The cases live in the modules that this one reads."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import django

from zanith_django.plan.reasons import REASONS, Level
from zanith_django.postgres.locks import Lock

MEASURED_RUN = "pg_locks, relfilenode, ORM of 0001"
MEASURED_SQL = "pg_locks, relfilenode, DEBUG1"
MEASURED_CODE = "queries of the release"
MEASURED_WHOLE = "plan and apply on a server"
FORMS = ("SeparateDatabaseAndState", "RunSQL", "RunPython")


@dataclass(frozen=True, slots=True)
class Row:
    """One case. `locks` are those of the plan, which the measurement compares; `measured` is empty
    for what a server cannot show, such as code that is not known before it runs."""

    change: str
    form: str
    size: str
    server: str
    previous: str
    level: str
    score: str
    reasons: str
    locks: str
    measured: str


def rows(locks: Mapping[str, str]) -> Iterator[Row]:
    """`locks` are the texts of `claimed_locks`, by app."""
    yield from _migrations(locks)
    yield from _generated()
    yield from _empty()
    yield from _statements()
    yield from _releases()
    yield from _runs()


def _score(level: str) -> str:
    return str(int(Level[level.upper()])) if level else ""


def claimed_locks() -> dict[str, str]:
    """{app of a case: the locks of its plan}."""
    from tests.plan.migrations import timeline_of
    from tests.plan.test_verdicts import judged
    from zanith_django.operations.base import Context

    with tempfile.TemporaryDirectory() as folder, timeline_of(Path(folder)) as timeline:
        planned = judged(timeline, Context())
    found = {}
    for app, migration in planned.items():
        locks: dict[str, Lock] = {}
        for step in migration.steps:
            for name, lock in step.locks.items():
                short = name.name.removeprefix(f"{app}_")
                locks[short] = max(lock, locks.get(short, Lock.NONE))
        found[app] = ", ".join(f"{name} {lock}" for name, lock in locks.items())
    return found


def _migrations(locks: Mapping[str, str]) -> Iterator[Row]:
    from tests.plan.migrations import CASES
    from tests.plan.test_measured import NOT_RUN

    for case in CASES:
        run = case.atomic and case.name not in NOT_RUN
        form = next((form for form in FORMS if f".{form}(" in case.operations), "Django's")
        yield Row(
            case.name, form, "rows", "15-18", "0001", case.level, _score(case.level),
            case.reasons, locks.get(case.app, ""), MEASURED_RUN if run else "",
        )  # fmt: skip


def _generated() -> Iterator[Row]:
    from tests.plan.test_forms import LEVELS

    for name, (_, level) in LEVELS.items():
        yield Row(
            name, "generated", "rows", "15-18", "0001", level, _score(level), "", "",
            "plan of a live database",
        )  # fmt: skip


def _empty() -> Iterator[Row]:
    from tests.plan.test_verdicts import ON_EMPTY_TABLES

    for name, level in ON_EMPTY_TABLES.items():
        yield Row(name, "Django's", "empty", "15-18", "0001", level, _score(level), "", "", "")


def _statements() -> Iterator[Row]:
    from tests.plan.statements import CASES

    for case in CASES:
        levels = [REASONS[code].level for code in case.codes.split()]
        level = str(max(levels, default=Level.SAFE))
        server = f"{case.since // 10000}-18" if case.since else "15-18"
        measured = MEASURED_SQL if case.measured else ""
        yield Row(
            case.sql, "SQL", "rows", server, "", level, _score(level), case.codes, case.locks,
            measured,
        )  # fmt: skip


def _releases() -> Iterator[Row]:
    from tests.plan.test_running_code import CASES

    for case in CASES:
        reasons = f"breaks: {case.fails}" if case.fails else ""
        level = "high" if case.fails else ""
        yield Row(
            case.sql, "SQL", "rows", "15-18", "the models of the test", level, _score(level),
            reasons, "", MEASURED_CODE,
        )  # fmt: skip


def _runs() -> Iterator[Row]:
    from tests.verdict.test_found import FOUND

    for name, example in FOUND.items():
        form = "generated" if example.covered_after else "Django's"
        size = f"{example.rows} rows"
        yield Row(name, form, size, "15-18", "0001", "", "", "", "", MEASURED_WHOLE)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    found = list(rows(claimed_locks()))
    sys.stdout.write("\t".join(Row.__slots__) + "\n")
    for row in found:
        sys.stdout.write("\t".join(" ".join(cell.split()) for cell in astuple(row)) + "\n")
    measured = sum(bool(row.measured) for row in found)
    sys.stderr.write(f"{len(found)} cases, {measured} of them measured\n")


if __name__ == "__main__":
    main()
