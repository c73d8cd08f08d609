"""Cuts runs at every statement and prints what came of it.

    python -m tests.faults [case …] [--verb VERB] [--ways WORD …] [--every N] [--world] [--random N]

A case is the beginning of a name such as `addIndex`; none means the first example of each kind, and
`everything` one migration that holds every kind, between two of Django's, `django` those two with
next to nothing between them, and `together` one whose steps go to the server several at a time.
A run is killed or its backend ended, before, inside and after a statement, or while a concurrent
build waits ("held"). `--verb` says what is cut: `apply`, the `rollback` of what it did, or
`restore`, `reseed` and `purge` of what a drop kept. With `--world` the server restarts, the disk
fills, the network drops or hangs.
With `--random N` each case is killed N times at any moment in the place of every statement.
ZANITH_TEST_SERVER says on which server; `--world` makes one of its own.
Exit 1 where one more run did not set everything right.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import psycopg

from tests.faults import runs, world
from tests.faults.cases import Together, cases
from tests.faults.everything import Everything
from tests.faults.matrix import AnyCase, Matrix, NoWayBack, Result, configure, every
from tests.servers import shared_server

WORLD_CASES = [
    "backfill-large",
    "addIndex-large",
    "addIndex-many",
    "alterColumnNullable-many",
    "softDropTable-1",
]
_KEEPING = ("softDropColumn", "archiveColumn", "softDropTable", "archiveTable")
KEEPING = {"restore": _KEEPING, "purge": _KEEPING, "reseed": _KEEPING[:2]}
WHOLE: dict[str, list[AnyCase]] = {
    "everything": [Everything()],
    "django": [Everything("django", kinds=False)],
    "together": [Together()],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--ways", nargs="+", default=[""])
    parser.add_argument("--verb", choices=runs.VERBS, default="apply")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth cut")
    parser.add_argument("--world", action="store_true", help="faults of server, disk and network")
    parser.add_argument("--random", type=int, metavar="N", help="kill at N moments at random")
    given = parser.parse_args()
    all_ways = world.WAYS if given.world else runs.WAYS
    ways = [way for way in all_ways if any(word in way for word in given.ways)]
    ways = [runs.RANDOM] if given.random else ways
    kept = list(KEEPING[given.verb]) if given.verb in KEEPING else [""]
    names = given.cases or (WORLD_CASES if given.world else kept)
    around = world.World() if given.world else None
    results: list[Result] = []
    print(f"{'case':<28}{'cuts':>6}  " + "".join(f"{way:>16}" for way in ways), flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        around.running() if around else nullcontext(shared_server()) as server,
    ):
        configure(Path(folder), server)
        matrix = Matrix(server, Path(folder), around, given.verb)
        with psycopg.connect(server.maintenance_url) as connection:
            version = connection.info.server_version
        for name in names:
            for case in WHOLE.get(name) or cases(version, name):
                try:
                    cuts = (
                        matrix.run_at_random(case, given.random)
                        if given.random
                        else matrix.run(case, ways, every(given.every))
                    )
                    results += one(case.name, cuts, ways)
                except NoWayBack:
                    print(f"{case.name:<28} cannot be undone", flush=True)
    ends = ", ".join(f"{way}: {code} ({n} times)" for (way, code), n in sorted(matrix.ends.items()))
    print(f"exit codes of the runs that were cut: {ends}")
    return report(results, ways)


def one(name: str, cuts: Iterator[Result], ways: list[str]) -> list[Result]:
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


def line(name: str, results: list[Result], ways: list[str]) -> str:
    """How many cuts of each way there were, and how many of them were not set right."""
    cut = Counter(result.cut.way for result in results)
    wrong = Counter(result.cut.way for result in results if result.problems)
    cells = (f"{cut[way]} ({wrong[way]} ✗)" if wrong[way] else f"{cut[way]} ✓" for way in ways)
    return f"{name:<28}{len(results):>6}  " + "".join(f"{cell:>16}" for cell in cells)


def report(results: list[Result], ways: list[str]) -> int:
    wrong = [result for result in results if result.problems]
    print(line("all", results, ways))
    print(f"{len(results)} cuts, {len(wrong)} of them not set right by one more run")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
