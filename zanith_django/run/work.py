"""A step in execution: its statements in transactions, and the end of the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from zanith_django.operations.base import Batches, PythonCall, Statement, WithDefault


@dataclass(frozen=True, slots=True)
class Finish:
    """The work that commits together with a step's last statements: `call`, then `sql`. `after` is
    called when all of it is committed and all locks are released.

    Without `call`, the statements, their end and the beginning of the next step are sent as one
    text, in one round trip and one commit. Unless the commit is `durable`, it does not wait for the
    disk, because another step follows: a server that crashes right after it loses the step and its
    `done` together, and any later commit, also of another session, flushes both.
    """

    sql: str = ""
    durable: bool = True
    call: Callable[[], None] | None = None
    after: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """Statements that commit together, and with them `finish`, if they are the last of a step.

    `seconds` is how long other sessions may wait for its locks, `begin` the first statement of the
    transaction. `text` is the whole transaction if it can be sent as one text, else "": 300 quick
    steps, one at a time, take 1.7 s instead of 2.6 s.
    """

    statements: Sequence[Statement]
    finish: Finish
    seconds: float
    begin: str
    text: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a step: its row in the ledger, and its statements in `transactions`, which
    `Executor.ready` adds. `resumed` means that an earlier attempt began it. With `keeps`, a failure
    removes no object, because it may belong to a user."""

    row_id: str
    migration_id: str
    schema: str
    resumed: bool = False
    keeps: bool = False
    transactions: Sequence[Transaction] = ()

    @property
    def text(self) -> str:
        """The whole step, if it is one transaction that can be sent as one text."""
        return self.transactions[0].text if len(self.transactions) == 1 else ""

    @property
    def statements(self) -> Iterator[Statement]:
        return (statement for part in self.transactions for statement in part.statements)


def is_transactional(group: Sequence[Statement]) -> bool:
    return not group or group[0].transactional


def transactions(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    """Statements grouped by the transaction that they share."""
    group: list[Statement] = []
    for statement in statements:
        if group and (not statement.transactional or statement.separate):
            yield group
            group = []
        if statement.transactional:
            group.append(statement)
        else:
            yield [statement]
    if group:
        yield group


def is_plain(statement: Statement) -> bool:
    """Is it one statement of our own, which can be part of a text with others? Raw SQL may be
    anything."""
    return type(statement) is Statement and statement.transactional and not statement.raw


def is_costly(group: Sequence[Statement]) -> bool:
    """May another attempt take long? The cost of the project's own code is unknown."""
    return any(map(is_foreign, group))


def is_foreign(statement: Statement) -> bool:
    """Is it an author's code, which may change the settings of the session?"""
    if isinstance(statement, Batches):
        return bool(statement.python or statement.default)
    return statement.raw or isinstance(statement, PythonCall | WithDefault)
