"""Changes every column of the ledger and prints what a command then sends to the server.

    python -m tests.faults.tampering [case …] [--verbs VERB …] [--every N]

Exit 1 if a statement is sent that the same command does not send on an untouched ledger, or if a
command ends with an error that is not one of ours. The verb `resume` is an apply after one that was
killed: at a backfill's third batch, or before the deferred SQL of a Django migration.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import psycopg

from tests.faults.cases import Case, cases
from tests.faults.everything import DJANGO
from tests.faults.matrix import AnyCase, Matrix, configure
from tests.faults.runs import READING, REFUSED, Cut, Reading, Verb, noted, run_in_child
from tests.servers import Server, shared_server
from zanith_django.ledger.tables import TABLES

Tampered = Verb | Reading | Literal["resume"]
VERBS: tuple[Tampered, ...] = (
    "apply",
    "rollback",
    "restore",
    "reseed",
    "purge",
    *READING,
    "resume",
)
CASES = ("softDropColumn-1", "softDropTable-1", "archiveColumn-1", "archiveTable-1")

# Cases of `resume`: a part of the statement before which the run is killed, and which one of them.
STOPPED = {
    "backfill-batches": ('UPDATE "public"."t"', 2),
    "django": ('ALTER TABLE "faults_reply" ADD', 1),
}

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


# Transaction ids, which differ from run to run.
_TRANSACTIONS = re.compile(r"'\{?[\d,]*\}?'::(?:text\[\]|xid)")
_VALUE = re.compile(r"'(?:[^']|'')*'|\d+")


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

    def __init__(self, server: Server, folder: Path, verb: Tampered) -> None:
        self.resumes = verb == "resume"
        self.tampered_verb: Verb | Reading = "apply" if verb == "resume" else verb
        super().__init__(server, folder, verb=_earlier(verb))

    def tampered(self, case: AnyCase, every: int) -> Iterator[tuple[Tampering, list[str]]]:
        """(what was changed, what was wrong with the run)."""
        with self._database() as original:
            self._prepare(case, original)
            usual: set[str] = set()
            if self.resumes:  # without its checkpoint a backfill begins again
                usual |= {*self._sent(original, None)}
                self._stop(original, *STOPPED[case.name])
            usual |= {*self._sent(original, None)}
            for change in itertools.islice(tamperings(), 0, None, every):
                more = [text for text in self._sent(original, change) if text not in usual]
                yield change, more

    def _stop(self, database: str, part: str, count: int) -> None:
        """Kill an apply before a statement."""
        with self._database(database) as name:
            run_in_child(self.server.url(name), self._parameters(name), note=self.notes)
        statements = [(n, each.text) for n, each in enumerate(noted(self.notes), 1)]
        found = [(number, text) for number, text in statements if part in text]
        number, text = found[count - 1]
        cut = Cut(number, "kill before", text)
        run_in_child(self.server.url(database), self._parameters(database), cut=cut)

    def _sent(self, original: str, change: Tampering | None) -> list[str]:
        with self._database(original) as name:
            if change:
                with self._connect(name) as connection:
                    try:
                        connection.execute(change.sql.encode())
                    except psycopg.Error:
                        return []  # no such value can be there
            self.notes.write_text("")
            url, parameters = self.server.url(name), self._parameters(name)
            code = run_in_child(url, parameters, self.tampered_verb, note=self.notes)
            lines = [re.sub(r'"database": \d+', "", each.text) for each in noted(self.notes)]
            found = (_TRANSACTIONS.sub("?", text) for text in lines)
            sent = [text for text in found if not _is_harmless(text)]
            if self.resumes:  # batches are as large as the machine is quick
                sent = [_VALUE.sub("?", text) for text in sent]
            return sent if code in (0, 1, 2, 3, REFUSED) else [*sent, f"it ended with {code}"]


def _is_harmless(statement: str) -> bool:
    """One statement of ours about the ledger or the catalog, whatever its values are."""
    return bool(_HARMLESS.match(statement)) and ";" not in _VALUE.sub("?", statement)


def _earlier(verb: Tampered) -> Verb:
    """A verb of the matrix that prepares what this one needs."""
    if verb == "resume":
        return "apply"
    return "purge" if verb in READING else cast("Verb", verb)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=VERBS)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth change")
    given = parser.parse_args()
    server, wrong = shared_server(), 0
    with tempfile.TemporaryDirectory() as folder:
        configure(Path(folder), server)
        with psycopg.connect(server.maintenance_url) as connection:
            version = connection.info.server_version
        for verb in given.verbs:
            ledgers = Ledgers(server, Path(folder), verb)
            for case in _cases(version, given.cases, verb):
                wrong += sum(told(found) for found in ledgers.tampered(case, given.every))
                print(f"{case.name:<20}{verb}", flush=True)
    print(f"{wrong} changes of the ledger made a command send something else")
    return 1 if wrong else 0


def _cases(version: int, names: Sequence[str], verb: Tampered) -> Iterator[AnyCase]:
    if verb == "resume":
        yield from cases(version, "backfill-batches")
        yield DJANGO
        return
    for name in names or CASES:
        yield from (case for case in cases(version, name) if _has(case, verb))


def _has(case: Case, verb: Tampered) -> bool:
    """A table cannot be filled again from what is kept of it."""
    return verb != "reseed" or "Column" in case.name


def told(found: tuple[Tampering, list[str]]) -> bool:
    """Prints what was sent that should not have been; is there any?"""
    change, more = found
    for text in more:
        print(f"    {change}: {text[:200]}", flush=True)
    return bool(more)


if __name__ == "__main__":
    sys.exit(main())
