"""`python -m tests.corpus`: what zanith says of real projects, against what is expected of it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.corpus import building, expected, observed, release, structure
from tests.corpus.project import REPOSITORY, CorpusProject, Failed
from tests.servers import CHOICE, shared_server

HEADINGS = (
    "project", "tables", "columns", "constraints", "indexes",
    "differences", "extras", "independent", "seconds", "verdict",
)  # fmt: skip
WIDTHS = (18, 7, 8, 12, 8, 12, 7, 12, 8, 0)


@dataclass(frozen=True, slots=True)
class Result:
    """What was found of one project; `problems` is empty when all is as expected."""

    counts: tuple[int, ...]
    differences: int
    extras: int
    independent: int
    seconds: float
    lines: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def cells(self) -> tuple[object, ...]:
        verdict = f"{len(self.problems)} not as expected" if self.problems else "as expected"
        found = (self.differences, self.extras, self.independent)
        return (*self.counts, *found, f"{self.seconds:.1f}", verdict)


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    if options.server:
        os.environ[CHOICE] = options.server
    if options.from_empty:
        return int(_run(building.HEADINGS, building.WIDTHS, _build, options))
    if options.observed:
        return int(_run(observed.HEADINGS, observed.WIDTHS, _observe, options))
    if options.release is not None:
        return int(_run(release.HEADINGS, release.WIDTHS, _release, options))
    return int(_run(HEADINGS, WIDTHS, _check, options))


def _run(
    headings: Sequence[str],
    widths: Sequence[int],
    check: Callable[
        [str, argparse.Namespace], Result | building.Built | release.Released | observed.Observed
    ],
    options: argparse.Namespace,
) -> bool:
    """Print a line per project; true when one of them is not as expected."""
    print(_row(headings, widths))
    failed = False
    for name in options.names or expected.names():
        try:
            result = check(name, options)
        except (Failed, ValueError, OSError) as error:
            print(f"{name}: {error}")
            failed = True
            continue
        print(_row((name, *result.cells), widths), flush=True)
        for line in result.lines if options.lines else result.problems:
            print(f"  {line}")
        failed = failed or bool(result.problems)
    return failed


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="default: every expected file")
    parser.add_argument("--corpus", type=Path, default=REPOSITORY.parent / "shared" / "corpus")
    parser.add_argument("--server", help=f"a URL or a word of {CHOICE}; see tests/servers.py")
    parser.add_argument(
        "--environments", type=Path, default=REPOSITORY / ".corpus", help="one folder a project"
    )
    parser.add_argument(
        "--migrate", action="store_true", help="run Django's own migrate; default: restore its dump"
    )
    parser.add_argument(
        "--from-empty",
        action="store_true",
        help="make every schema by zanith's own operations, and compare it with Django's",
    )
    parser.add_argument(
        "--release",
        nargs="*",
        choices=release.SOURCES,
        help="generate a release of one more app, verify it on these sources, spoil it, and verify "
        "it again; default: all of them",
    )
    parser.add_argument(
        "--observed",
        action="store_true",
        help="run the whole history of each project on a shadow, and compare each operation with "
        "its plan",
    )
    parser.add_argument("--lines", action="store_true", help="print every line that was found")
    return parser.parse_args(arguments)


def _project(wanted: expected.Expected, options: argparse.Namespace) -> CorpusProject:
    return CorpusProject(
        options.corpus.resolve() / wanted.project,
        options.environments.resolve() / wanted.project,
        shared_server(),
        wanted.environment,
    )


def _build(name: str, options: argparse.Namespace) -> building.Built:
    wanted = expected.load(name)
    return building.check(_project(wanted, options), wanted, migrate=options.migrate)


def _release(name: str, options: argparse.Namespace) -> release.Released:
    sources = options.release or release.SOURCES
    return release.check(_project(expected.load(name), options), sources, migrate=options.migrate)


def _observe(name: str, options: argparse.Namespace) -> observed.Observed:
    return observed.check(_project(expected.load(name), options), migrate=options.migrate)


def _check(name: str, options: argparse.Namespace) -> Result:
    wanted = expected.load(name)
    project = _project(wanted, options)
    with project.migrated(migrate=options.migrate) as url:
        began = time.perf_counter()
        found = project.diff(url)
        seconds = time.perf_counter() - began
        counts = structure.rows(url, (structure.HERE / "counts.sql").read_text())[0]
        with project.fresh(url, restored=not options.migrate) as fresh:
            apart = structure.compare(fresh, url)
        told = [f"{o['kind']} {o['description']}" for o in found["operations"]]
        told += [f"extra {description}" for description in found["extra"]]
        equal = [item.line for item in apart if not item.is_told_by(told)]
        problems = (
            *_compared(wanted.lines, {*told, *equal}, "line"),
            *_compared(wanted.django, project.changes_django_sees(url), "change of Django's"),
            *_unseen(told, apart),
            *_disproved(url, wanted.blocks),
        )
    return Result(
        counts,
        len(found["operations"]),
        len(found["extra"]),
        len(apart),
        seconds,
        (*told, *equal, *problems),
        problems,
    )


def _compared(wanted: set[str], found: set[str], what: str) -> Iterator[str]:
    yield from (f"unexpected {what}: {line}" for line in sorted(found - wanted))
    yield from (f"missing {what}: {line}" for line in sorted(wanted - found))


def _unseen(told: Iterable[str], apart: list[structure.Apart]) -> Iterator[str]:
    """What zanith says and the independent opinion does not; names of indexes it leaves aside."""
    for line in told:
        named_only = line.startswith(("renameIndex", "renameConstraint"))
        if not named_only and not any(item.is_told_by([line]) for item in apart):
            yield f"only zanith says: {line}"


def _disproved(url: str, blocks: Iterable[expected.Block]) -> Iterator[str]:
    for block in blocks:
        answer = {_answer(row) for row in structure.rows(url, block.proof)}
        if answer != set(block.answer):
            yield f"the proof answers {sorted(answer)}: {block.proof}"


def _answer(row: tuple[Any, ...]) -> str:
    return " | ".join("nothing" if value is None else str(value) for value in row)


def _row(cells: Iterable[object], widths: Iterable[int]) -> str:
    pairs = zip(cells, widths, strict=True)
    texts = [
        f"{cell:<18}" if i == 0 else f"{cell:>{width}}" for i, (cell, width) in enumerate(pairs)
    ]
    return " ".join(texts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
