"""Runs many verifies at once, kills some at any moment, and looks for what they leave.

    python -m tests.faults.verifies [--runs 20] [--killed 10] [--seed N]

The runs share one live database and take every shape in turn: ephemeral, with rows, with a template
for later runs, a schema, and a database that is given. A killed run gets SIGKILL. The next run
drops what they left. Exit 1 if a run that was not killed did not end with `ok`, or if a new
database, schema, role, connection, lock or prepared transaction is left.
ZANITH_TEST_SERVER says on which server.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.copies import new_project
from tests.project import Project
from tests.servers import Server, shared_server
from tests.verify.test_shadows import verifying, with_a_release

LONGEST = 300.0  # seconds until a run must have ended

# The template of --reuse may stay: it is looked for apart.
FOUND = {
    "database": "SELECT datname FROM pg_database "
    "WHERE NOT starts_with(datname, '_zanith_template_') "
    "AND NOT starts_with(datname, 'zanith_test_')",  # other tests make and drop these
    "schema": "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'",
    "role": "SELECT rolname FROM pg_roles",
    "connection": "SELECT concat(datname, ' of ', pid) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND (datname = "
    "current_database() OR starts_with(datname, '_zanith_') OR datname = %(given)s)",
    "advisory lock": "SELECT concat(classid, ' ', objid) FROM pg_locks WHERE locktype = 'advisory' "
    "AND classid = 2053206888",
    "prepared transaction": "SELECT gid FROM pg_prepared_xacts",
}
TEMPLATES = "SELECT datname FROM pg_database WHERE starts_with(datname, '_zanith_template_')"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--killed", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None, help="repeats the moments of the kills")
    given = parser.parse_args()
    server = shared_server()
    with tempfile.TemporaryDirectory() as folder, _databases(server, Path(folder)) as (shop, other):
        problems = _Trial(shop, other, server, random.Random(given.seed)).run(
            given.runs, given.killed
        )
    print("\n".join(problems) or "nothing is left")
    return 1 if problems else 0


@contextmanager
def _databases(server: Server, folder: Path) -> Iterator[tuple[Project, str]]:
    """The project with a release that waits, and the name of an empty database."""
    made = new_project(folder, server)
    other = server.create_database()
    try:
        with_a_release(made)
        yield made.project, other
    finally:
        server.drop_database(other)
        server.drop_database(made.project.database.name)


class _Trial:
    def __init__(self, shop: Project, other: str, server: Server, dice: random.Random) -> None:
        self.shop, self.other, self.server, self.dice = shop, other, server, dice
        self.ephemeral = ["--shadow", "ephemeral"]
        self.given = ["--shadow", server.url(other)]
        more = (["--shadow", "schema"], ["--reuse"], ["--sample", "5"])
        self.shapes: Sequence[Sequence[str]] = (self.ephemeral, self.given, *more)

    def run(self, runs: int, killed: int) -> list[str]:
        """What is wrong, in words."""
        before, templates = self._there(), self._templates()
        began = time.monotonic()
        alone = verifying(self.shop, *self.ephemeral)
        alone.communicate(timeout=LONGEST)
        usual = time.monotonic() - began
        problems = self._at_once(runs, killed, usual)
        for shape in (self.ephemeral, self.given):
            said, code = _ended(verifying(self.shop, *shape))
            problems += [f"{' '.join(shape)} afterwards: exit {code}\n{said}"] if code else []
        problems += self._left(before)
        return problems + self._drop_templates(templates)

    def _at_once(self, runs: int, killed: int, usual: float) -> list[str]:
        """Some of them are killed at any moment of what all of them are expected to take."""
        shapes = [self.shapes[number % len(self.shapes)] for number in range(runs)]
        processes = [verifying(self.shop, *shape) for shape in shapes]
        victims = self.dice.sample(processes, min(killed, runs))
        span = usual * max(1, runs / 4)
        timers = [threading.Timer(self.dice.uniform(0, span), each.kill) for each in victims]
        for timer in timers:
            timer.start()
        problems, codes = [], Counter[int]()
        for process, shape in zip(processes, shapes, strict=True):
            said, code = _ended(process)
            codes[code] += 1
            if code and process not in victims:
                problems.append(f"{' '.join(shape)}: exit {code}\n{said}")
        for timer in timers:
            timer.cancel()
        ends = ", ".join(f"{number} with {code}" for code, number in sorted(codes.items()))
        print(f"{runs} runs within {span:.0f} s of kills ended: {ends}", flush=True)
        return problems

    def _there(self) -> dict[str, set[str]]:
        with self.shop.database.connect() as session:
            given = {"given": self.other}
            return {
                what: {name for (name,) in session.execute(query.encode(), given).fetchall()}
                for what, query in FOUND.items()
            }

    def _left(self, before: dict[str, set[str]]) -> list[str]:
        """A server needs a moment to see that a client is gone."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            now = self._there()
            left = [f"{what} {name} is left" for what in now for name in now[what] - before[what]]
            if not left:
                return self._marked()
            time.sleep(0.2)
        return left

    def _marked(self) -> list[str]:
        with psycopg.connect(self.server.url(self.other)) as session:
            query = (
                b"SELECT nspname FROM pg_namespace WHERE starts_with(nspname, '_zanith_shadow_')"
            )
            found = {name for (name,) in session.execute(query).fetchall()}
        return [f"schema {name} is left" for name in found - {"_zanith_shadow_marker"}]

    def _templates(self) -> set[str]:
        with self.shop.database.connect() as session:
            return {name for (name,) in session.execute(TEMPLATES.encode()).fetchall()}

    def _drop_templates(self, before: set[str]) -> list[str]:
        """One may stay: the structure did not change."""
        made = self._templates() - before
        for name in made:
            self.server.drop_database(name)
        return [] if len(made) <= 1 else [f"{len(made)} templates are left"]


def _ended(process: subprocess.Popen[str]) -> tuple[str, int]:
    said, _ = process.communicate(timeout=LONGEST)
    return said, process.returncode


if __name__ == "__main__":
    sys.exit(main())
