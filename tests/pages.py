"""`python -m tests.pages`: writes what the pages of docs/operations/ show of each kind's example.

The words of a page are written by hand. The text between `<!-- begin: … -->` and
`<!-- end -->` comes from the operation itself: the example as a migration file spells it, its
SQL, locks and reverse. A test fails when a page is stale.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.examples import PAGES, SETUP, Example
from tests.place import Connection, Place
from tests.servers import Database, shared_server
from zanith_django.files import files
from zanith_django.operations import (
    KINDS,
    Context,
    DjangoOperation,
    Operation,
    RawSql,
    RunPython,
    Statement,
)
from zanith_django.operations.base import Batches, PythonCall, Rounds
from zanith_django.plan.risk import assess
from zanith_django.postgres.locks import Lock
from zanith_django.run.work import transactions
from zanith_django.schema.graph import SchemaGraph

FOLDER = Path(__file__).parent.parent / "docs" / "operations"
INDEX = FOLDER / "README.md"
VERSIONS = (15, 16, 17, 18)
MIGRATION = "20260501_113022_example"
SECTIONS = ("When to use", "Example", "SQL", "Locks", "Reverse")
BLOCKS = ("example", "sql", "locks", "reverse")

_BLOCK = re.compile(r"(<!-- begin: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def written(kind: str, operation: Operation, graph: SchemaGraph) -> str:
    """The text that the page of this kind should have; `graph` is the schema just before."""
    blocks = _Blocks(operation, graph)
    text = page(kind).read_text()
    return _BLOCK.sub(lambda m: f"{m[1]}{getattr(blocks, m[2])()}\n{m[3]}", text)


def written_index() -> str:
    """The text that the index should have: each block names the kinds that it lists."""
    return _BLOCK.sub(lambda m: f"{m[1]}{_table_of(m[2].split()[1:])}\n{m[3]}", INDEX.read_text())


def listed_kinds() -> list[str]:
    return [kind for match in _BLOCK.finditer(INDEX.read_text()) for kind in match[2].split()[1:]]


def page(kind: str) -> Path:
    return FOLDER / f"{kind}.md"


def operation_on(place: Place, example: Example) -> tuple[Operation, SchemaGraph]:
    """The example's operation, and the schema just before it."""
    place.execute(SETUP)
    place.execute(example.setup)
    graph = place.read()
    operation = example.operation(graph)
    undo = operation.inverse() if example.undone else None
    return operation, undo.apply_to(graph) if undo else graph


class _Blocks:
    """What a page shows of one operation."""

    def __init__(self, operation: Operation, graph: SchemaGraph) -> None:
        self.operation, self.graph = operation, graph

    def example(self) -> str:
        text = files.render_migration([self.operation]).partition("operations = ")[2]
        return _fenced("python", f"operations = {_outdented(text)}")

    def sql(self) -> str:
        in_use = _in_versions(self.operation, self.graph)
        new = _script(self.operation.statements(_context(self.graph, fresh=True)))
        if new in in_use:
            return in_use
        words = "On an empty table, or one that the same plan created:"
        return f"{in_use}\n\n{words}\n\n{_fenced('sql', new)}"

    def locks(self) -> str:
        context = _context(self.graph)
        statements = self.operation.statements(context)
        rows = dict.fromkeys(_lock_row(statement) for statement in statements)
        head = _table(("lock", "on", "effect", "how long"), rows)
        if isinstance(self.operation, RawSql | RunPython | DjangoOperation):
            return f"{head}\n\nRisk: that of each of its statements, as the plan reads them."
        judged = assess(self.operation, context, statements)
        reasons = ", ".join(f"`{code}`" for code in judged.reasons) or "no reason"
        risk = f"Risk on a table in use: {judged.level}, {judged.score} ({reasons})."
        return "\n".join([head, "", risk])

    def reverse(self) -> str:
        inverse = self.operation.inverse()
        if self.operation.passed_over:
            return "None is needed: `zanith_rollback` skips it, and the constraint stays valid."
        if inverse is None and self.operation.loses_nothing:
            return (
                "None: which rows had no value is not recorded. `zanith_rollback` refuses to undo\n"
                "it, unless undoing the same migration also removes the column or table that it\n"
                "wrote to. `zanith_rollback --keep-values` leaves the values of a step without\n"
                "`where`; one with `where` may have replaced values."
            )
        if inverse is None:
            return (
                "None: `zanith_rollback` refuses to undo it, unless undoing the same migration\n"
                "also removes the column or table that the step wrote to."
            )
        gone = "irreversible" in self.operation.reasons(_context(self.graph))
        lost = ", of the structure alone: `zanith_rollback` refuses, because the data is lost"
        after = self.operation.apply_to(self.graph)
        head = f"[`{inverse.kind}`]({inverse.kind}.md){lost if gone else ''}:"
        return f"{head}\n\n{_in_versions(inverse, after)}"


# --- SQL -----------------------------------------------------------------------------------------


def _context(graph: SchemaGraph, version: int = VERSIONS[0], *, fresh: bool = False) -> Context:
    return Context(
        server_version=version * 10_000,
        schema="public",
        graph=graph,
        fresh=frozenset(graph.table_names if fresh else ()),
        migration_id=MIGRATION,
    )


def _in_versions(operation: Operation, graph: SchemaGraph) -> str:
    """The SQL of each range of versions that has its own, on a table in use."""
    texts = {v: _script(operation.statements(_context(graph, v))) for v in VERSIONS}
    parts = []
    for text in dict.fromkeys(texts.values()):
        those = [version for version in VERSIONS if texts[version] == text]
        whole = len(those) == len(VERSIONS)
        parts += [] if whole else [f"{_range(those)}:"]
        parts.append(_fenced("sql", text))
    return "\n\n".join(parts)


def _range(versions: Sequence[int]) -> str:
    if len(versions) == 1:
        return f"PostgreSQL {versions[0]}"
    return f"PostgreSQL {versions[0]} to {versions[-1]}"


def _script(statements: Sequence[Statement]) -> str:
    parts = []
    for phase, those in itertools.groupby(statements, key=lambda statement: statement.phase):
        parts += [f"-- {phase}"] if phase else []
        parts += ["\n".join(_group(group)) for group in transactions([*those])]
    return "\n\n".join(parts) or "-- nothing to do"


def _group(group: Sequence[Statement]) -> Iterator[str]:
    """A transaction of several statements, or a single statement without BEGIN and COMMIT."""
    first = group[0]
    if isinstance(first, Batches):
        yield "-- in batches of key ranges, each committed with its checkpoint"
    elif isinstance(first, Rounds):
        yield f"-- repeated until at most {first.enough} keys remain"
    elif isinstance(first, PythonCall):
        pass
    elif not first.transactional:
        yield "-- outside a transaction"
    several = len(group) > 1
    if several:
        yield "BEGIN;"
    yield from (_ended(statement.sql) for statement in group)
    if several:
        yield "COMMIT;"


def _ended(text: str) -> str:
    return text if text.startswith("--") else f"{text};"


# --- locks ---------------------------------------------------------------------------------------


def _lock_row(statement: Statement) -> tuple[str, str, str, str]:
    tables = ", ".join(map(str, statement.tables)) or "whatever it touches"
    if statement.lock is Lock.NONE:
        tables = tables if statement.tables else "no table"
        return "none", tables, "blocks nothing", "an instant"
    return str(statement.lock), tables, statement.lock.effect, how_long(statement)


def how_long(statement: Statement) -> str:
    if statement.sql.startswith("--") or not statement.tables:
        return "as long as it runs"
    if isinstance(statement, Batches | Rounds):
        return "one batch at a time"
    if statement.rewrites:
        return "while it rewrites the table"
    if statement.scans:
        return "while it reads every row"
    return "an instant"


# --- Markdown ------------------------------------------------------------------------------------


def _outdented(text: str) -> str:
    return text.replace("\n    ", "\n").rstrip()


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _table_of(kinds: Iterable[str]) -> str:
    rows = [(f"[`{kind}`]({kind}.md)", _summary(kind)) for kind in kinds]
    return _table(("kind", "what it does"), rows)


def _summary(kind: str) -> str:
    """The first sentence under the title of its page."""
    paragraph = page(kind).read_text().split("\n\n")[1].replace("\n", " ")
    return re.split(r"(?<=\.) ", paragraph)[0]


# --- the command ---------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Writes the pages of the kinds named, or of all."""
    server = shared_server()
    name = server.create_database()
    database = Database(name, server.url(name))
    try:
        with database.connect() as connection:
            for kind in arguments or sorted(KINDS):
                _write(kind, database, connection)
    finally:
        server.drop_database(name)
    INDEX.write_text(written_index())
    return 0


def _write(kind: str, database: Database, connection: Connection) -> None:
    place = Place(database, connection)
    try:
        operation, graph = operation_on(place, PAGES[kind])
    finally:
        place.remove()
    page(kind).write_text(written(kind, operation, graph))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
