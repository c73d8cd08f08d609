"""The statements that a step sends to the server: SQL with its lock, or its replacement."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL text with its lock and whether it may run in a transaction.

    Statements of one operation share a transaction with their neighbours unless `separate` is
    set: then the statements before it are committed first. `rewrites` and `scans` report whether
    it rewrites its table or reads every row. `probe` is a query with one text value that shows,
    when a killed run is resumed, whether this statement had finished: "done", "leftover" (then
    `cleanup` runs first), or anything else. The last statement needs one only when it cannot run
    in a transaction. `disruptive` names an object that it creates and that makes queries of other
    sessions fail or slows them down: after a failure of the step, `cleanup` removes it before the
    run ends. `makes` has names that zanith chose: their objects are useless once the step is done.
    `raw` marks SQL that its author wrote: it may be several statements. `phase` names the part of
    a long operation that it belongs to. With `held`, its transaction continues with reads or
    writes of table rows and holds the lock until it ends.
    """

    sql: str
    lock: Lock = Lock.ACCESS_EXCLUSIVE
    tables: tuple[TableName, ...] = ()
    transactional: bool = True
    separate: bool = False
    rewrites: bool = False
    scans: bool = False
    probe: str = ""
    cleanup: str = ""
    disruptive: str = ""
    makes: tuple[str, ...] = ()
    raw: bool = False
    phase: str = ""
    held: bool = False


_NOWHERE = TableName("", "")


@dataclass(frozen=True, slots=True)
class Default:
    """The default of the field that an operation of a Django migration adds or alters. The step
    calls it when it runs, on the database that is migrated: once, or with `each` for each row.

    `position` counts the operations of the migration from 1, `within` those of each
    SeparateDatabaseAndState on the way. `calls` names the callable for people.
    """

    migration: str
    position: int
    within: tuple[int, ...] = ()
    calls: str = ""
    each: bool = False

    def __str__(self) -> str:
        return f"{self.calls or '.'.join((self.migration, *map(str, self._place)))}()"

    @property
    def _place(self) -> tuple[int, ...]:
        return (self.position, *self.within)


@dataclass(frozen=True, slots=True)
class WithDefault(Statement):
    """Calls `default` and runs what `given` makes of its value, in one transaction. `sql` shows
    the statement without the value."""

    default: Default = Default("", 0)
    given: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Batches(Statement):
    """Writes every row that `where` selects, in batches of closed key ranges.

    `sql`, which is shown to people, writes all of them at once; the runner writes range after
    range.

    `column` is the column whose value is made while the batches run: by `python`, a dotted path,
    for each row; by `default`; or by the SQL expression `once`, a single time for all rows.
    """

    table: TableName = _NOWHERE
    assignments: str = ""
    where: str = ""
    column: str = ""
    python: str = ""
    default: Default | None = None
    once: str = ""


@dataclass(frozen=True, slots=True)
class Copies(Batches):
    """Copies every row that `where` selects to another table, range after range.

    `insert` is `INSERT INTO … SELECT …`; the runner adds the table, known as `alias`, the range
    and `ending`. A journal records the rows that change after they are copied.
    """

    alias: str = "t"
    insert: str = ""
    ending: str = "ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Rounds(Statement):
    """Runs again and again, each time in a transaction of its own, until `left`, a query with one
    number, returns at most `enough`; it also ends if the changes come too fast."""

    left: str = ""
    enough: int = 0


@dataclass(frozen=True, slots=True)
class PythonCall(Statement):
    """Runs a RunPython of a Django migration with the historical models of that point."""

    migration: str = ""
    position: int = 0
    backwards: bool = False


def phased(phase: str, statements: Iterable[Statement]) -> list[Statement]:
    """The same statements as parts of that phase."""
    return [dataclasses.replace(statement, phase=phase) for statement in statements]


def script(statements: Iterable[Statement]) -> str:
    """The SQL of a step as the ledger and a plan show it: a statement a line, each terminated."""
    return "\n".join(f"{statement.sql};" for statement in statements)


def apart(statements: Iterable[Statement], probe: str | None = None) -> list[Statement]:
    """The same in one transaction of their own; `probe` shows whether it finished."""
    made = [dataclasses.replace(item, separate=n == 0) for n, item in enumerate(statements)]
    if probe is None:
        return made
    return [dataclasses.replace(item, probe="" if n else probe) for n, item in enumerate(made)]
