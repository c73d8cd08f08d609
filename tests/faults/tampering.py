"""Changes every column of the ledger and prints what a command then sends to the server.

    python -m tests.faults.tampering [case …] [--verbs VERB …] [--every N]

Exit 1 where a statement is sent that the same command does not send on an untouched ledger.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.faults.cases import Case, cases
from tests.faults.matrix import Matrix, configure
from tests.faults.runs import Verb, run_in_child
from tests.servers import shared_server
from zanith_django.ledger_tables import TABLES

VERBS: tuple[Verb, ...] = ("apply", "rollback", "restore", "purge")
CASES = ("softDropColumn-1", "softDropTable-1", "archiveColumn-1", "archiveTable-1")

# Values that would do harm if they were executed, or if what they name were believed.
HOSTILE = ("x'); DROP TABLE p; --", "public.p", "p", "_zanith_kept._zanith_dropped_0123456789ab")
JSON = (
    """regexp_replace({column}::text, '"(text|id|a|b|d)"', '"0; DROP TABLE p"', 'g')::jsonb""",
    "'{{}}'::jsonb",
    "'1'::jsonb",
)
OTHERS = {
    "timestamp with time zone": ("NULL", "'2001-01-01'", "'2901-01-01'"),
    "bigint": ("NULL", "7"),
    "integer": ("NULL", "7"),
}

# What the ledger and the catalog are asked, and what the ledger is told: data, and no harm.
_HARMLESS = re.compile(
    r"(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|EXECUTE|WITH) .*"
    r"(?:_zanith_(?:migration|schema)|_zanith_turn|pg_catalog|pg_stat|set_config|current_setting)|"
    r"(?:SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT|SET LOCAL|SET|RESET|PREPARE) ",
    re.DOTALL,
)


@dataclass(frozen=True)
class Tampering:
    """One column of one table, set to another value."""

    table: str
    column: str
    value: str

    @property
    def sql(self) -> str:
        return f"UPDATE {self.table} SET {self.column} = {self.value}"


def tamperings() -> Iterator[Tampering]:
    for table in TABLES:
        for column in table.columns:
            kind = column.type.partition(" COLLATE")[0]
            for value in OTHERS.get(kind) or (JSON if kind == "jsonb" else map(_quoted, HOSTILE)):
                yield Tampering(table.name, column.name, value.format(column=column.name))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Ledgers(Matrix):
    """Runs a command on copies of a database whose ledgers were changed."""

    def tampered(self, case: Case, every: int) -> Iterator[tuple[Tampering, list[str]]]:
        """(what was changed, what was sent that should not have been)."""
        with self._database() as original:
            self._prepare(case, original)
            usual = set(self._sent(original, None))
            for change in itertools.islice(tamperings(), 0, None, every):
                more = [text for text in self._sent(original, change) if text not in usual]
                yield change, more

    def _sent(self, original: str, change: Tampering | None) -> list[str]:
        with self._database(original) as name:
            if change:
                with self._connect(name) as connection:
                    try:
                        connection.execute(change.sql.encode())
                    except psycopg.Error:
                        return []  # no such value can be there
            self.notes.write_text("")
            run_in_child(self.server.url(name), self._parameters(name), self.verb, note=self.notes)
            lines = re.sub(r'"database": \d+', "", self.notes.read_text()).splitlines()
            return [text for text in lines if not _HARMLESS.match(text)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("cases", nargs="*", default=CASES)
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=VERBS)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth change")
    given = parser.parse_args()
    server, wrong = shared_server(), 0
    with tempfile.TemporaryDirectory() as folder:
        configure(Path(folder), server)
        with psycopg.connect(server.maintenance_url) as connection:
            version = connection.info.server_version
        for name, verb in itertools.product(given.cases, given.verbs):
            ledgers = Ledgers(server, Path(folder), verb=verb)
            for case in cases(version, name):
                assert isinstance(case, Case)
                wrong += sum(told(found) for found in ledgers.tampered(case, given.every))
                print(f"{case.name:<20}{verb}", flush=True)
    print(f"{wrong} changes of the ledger made a command send something else")
    return 1 if wrong else 0


def told(found: tuple[Tampering, list[str]]) -> bool:
    """Prints what was sent that should not have been; is there any?"""
    change, more = found
    for text in more:
        print(f"    {change}: {text[:200]}", flush=True)
    return bool(more)


if __name__ == "__main__":
    sys.exit(main())
