"""Cuts runs at every statement and prints what came of it.

    python -m tests.faults [case …] [--verb VERB] [--ways WORD …] [--every N] [--world] [--random N]
    python -m tests.faults --whole [--ways WORD …] [--every N] [--commits] [--random N]

A case is the beginning of a name such as `addIndex`; none means the first example of each kind, and
`everything` one migration that holds every kind, between two of Django's, `django` those two with
next to nothing between them, `concurrently` Django's operations outside a transaction, and
`together` a migration whose steps go to the server several at a time.
A run is killed or its backend ended, before, inside and after a statement, or while a concurrent
build waits ("held"). `--verb` says what is cut: `apply`, the `rollback` of what it did, or
`restore`, `reseed` and `purge` of what a drop kept. With `--world` the server restarts, the disk
fills, the network drops or hangs.
With `--random N` each case is killed N times at any moment in the place of every statement.
`--whole` runs every verb over all that it can be cut in, then each verb N times at random (100),
and prints a table of the verbs.
ZANITH_TEST_SERVER says on which server; `--world` makes one of its own.
Exit 1 where one more run did not set everything right.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.faults import runs, world
from tests.faults.cases import Together, cases
from tests.faults.everything import CONCURRENTLY, DJANGO, Everything
from tests.faults.matrix import AnyCase, Matrix, NoWayBack, Result, configure, every
from tests.servers import Server, shared_server

WORLD_CASES = [
    "backfill-large",
    "addIndex-large",
    "addIndex-many",
    "alterColumnNullable-many",
    "softDropTable-1",
]
_KEEPING = ("softDropColumn", "archiveColumn", "softDropTable", "archiveTable")
KEEPING = {"restore": _KEEPING, "purge": _KEEPING, "reseed": _KEEPING[:2]}
NAMED: dict[str, AnyCase] = {
    "everything": Everything(),
    "django": DJANGO,
    "concurrently": CONCURRENTLY,
    "together": Together(),
}

# What `--whole` cuts: at every statement, and at random.
WHOLE: dict[runs.Verb, tuple[Sequence[str], Sequence[str]]] = {
    "apply": (("", *NAMED), ("everything", "concurrently")),
    "rollback": (("", "concurrently"), ("concurrently", "alterColumnType-1", "softDropTable-1")),
    "restore": (_KEEPING, ("softDropTable-1", "archiveTable-1")),
    "reseed": (_KEEPING[:2], ("archiveColumn-1",)),
    "purge": (_KEEPING, ("softDropTable-1", "archiveTable-1")),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which cuts are made: cases by name, in which ways, each Nth, or only before those
    statements that begin a transaction; or so many at random."""

    verb: runs.Verb
    names: Sequence[str]
    ways: Sequence[str]
    every: int = 1
    random: int = 0
    commits: bool = False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--ways", nargs="+", default=[""])
    parser.add_argument("--verb", choices=runs.VERBS, default="apply")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth cut")
    parser.add_argument("--world", action="store_true", help="faults of server, disk and network")
    parser.add_argument("--random", type=int, metavar="N", help="kill at N moments at random")
    parser.add_argument("--commits", action="store_true", help="only where a transaction begins")
    parser.add_argument("--whole", action="store_true", help="every verb, and a table of them")
    given = parser.parse_args()
    around = world.World() if given.world else None
    with (
        tempfile.TemporaryDirectory() as folder,
        around.running() if around else nullcontext(shared_server()) as server,
    ):
        configure(Path(folder), server)
        table = [(chosen, ran(chosen, server, Path(folder), around)) for chosen in _chosen(given)]
    return report(table)


def _chosen(given: argparse.Namespace) -> Iterator[Chosen]:
    all_ways = world.WAYS if given.world else runs.WAYS
    ways = [way for way in all_ways if any(word in way for word in given.ways)]
    if given.whole:
        for verb, (names, _) in WHOLE.items():
            yield Chosen(verb, names, ways, given.every, commits=given.commits)
        for verb, (_, names) in WHOLE.items():
            yield Chosen(verb, names, [runs.RANDOM], random=given.random or 100)
        return
    kept = list(KEEPING[given.verb]) if given.verb in KEEPING else [""]
    names = given.cases or (WORLD_CASES if given.world else kept)
    ways = [runs.RANDOM] if given.random else ways
    yield Chosen(given.verb, names, ways, given.every, given.random or 0, given.commits)


def ran(chosen: Chosen, server: Server, folder: Path, around: world.World | None) -> list[Result]:
    ways = chosen.ways
    print(f"{chosen.verb:<28}{'cuts':>6}  " + "".join(f"{way:>16}" for way in ways), flush=True)
    matrix = Matrix(server, folder, around, chosen.verb)
    results: list[Result] = []
    for case in _cases(chosen.names, server):
        try:
            cuts = (
                matrix.run_at_random(case, chosen.random)
                if chosen.random
                else matrix.run(case, ways, every(chosen.every), commits=chosen.commits)
            )
            results += one(case.name, cuts, ways)
        except NoWayBack:
            print(f"{case.name:<28} cannot be undone", flush=True)
    ends = ", ".join(f"{way}: {code} ({n} times)" for (way, code), n in sorted(matrix.ends.items()))
    print(f"exit codes of the runs that were cut: {ends}", flush=True)
    return results


def _cases(names: Sequence[str], server: Server) -> Iterator[AnyCase]:
    with psycopg.connect(server.maintenance_url) as connection:
        version = connection.info.server_version
    for name in names:
        yield from [NAMED[name]] if name in NAMED else cases(version, name)


def one(name: str, cuts: Iterator[Result], ways: Sequence[str]) -> list[Result]:
    started = time.monotonic()
    results = []
    for result in cuts:
        results.append(result)
        for problem in result.problems:
            print(f"    {result.cut.way} {result.cut.number}: {problem}")
            print(f"        at {result.cut.statement[:160]}", flush=True)
        if len(results) % 50 == 0:
            print(line(f"{name} …", results, ways), flush=True)
    print(line(name, results, ways) + f"  {time.monotonic() - started:6.1f} s", flush=True)
    return results


def line(name: str, results: list[Result], ways: Sequence[str]) -> str:
    """How many cuts of each way there were, and how many of them were not set right."""
    cut = Counter(result.cut.way for result in results)
    wrong = Counter(result.cut.way for result in results if result.problems)
    cells = (f"{cut[way]} ({wrong[way]} ✗)" if wrong[way] else f"{cut[way]} ✓" for way in ways)
    return f"{name:<28}{len(results):>6}  " + "".join(f"{cell:>16}" for cell in cells)


def report(table: Sequence[tuple[Chosen, list[Result]]]) -> int:
    print()
    for chosen, results in table:
        print(line(chosen.verb, results, chosen.ways))
    results = [result for _, those in table for result in those]
    wrong = [result for result in results if result.problems]
    print(f"{len(results)} cuts, {len(wrong)} of them not set right by one more run")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
