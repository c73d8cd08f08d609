"""The risk of a step: its effects, judged by the facts about the live tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zanith_django.operations.base import Context, Operation, Statement
from zanith_django.plan.collisions import Collision
from zanith_django.plan.effects.running_code import Break
from zanith_django.plan.effects.values import Effect
from zanith_django.plan.pending_triggers import PendingTriggers
from zanith_django.plan.reasons import REASONS, Level
from zanith_django.plan.table_facts import after_effect
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName

# The size from which a scan or a rewrite takes long.
LARGE_BYTES = 1_000_000_000
LARGE_ROWS = 1_000_000

# Reasons that apply to a table without rows too: code may read it, a role may see it.
_EMPTY_TOO = frozenset(
    (
        "breaks_running_code",
        "changes_rights",
        "changes_trigger",
        "detaches_partition",
        "drops_column_with_data",
        "drops_table_with_data",
        "drops_view",
        "rename_column",
        "rename_table",
        "rls_change",
        "unlogged_table",
    )
)


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict on one operation: the worst of its reasons decides."""

    level: Level
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(cls, codes: Iterable[str]) -> Assessment:
        given = dict.fromkeys(codes)
        reasons = tuple(code for code in given if REASONS[code].unless.isdisjoint(given))
        return cls(max((REASONS[code].level for code in reasons), default=Level.SAFE), reasons)

    @property
    def score(self) -> int:
        return int(self.level)

    def breaking(self, breaks: Sequence[Break]) -> Assessment:
        """The same for what code of the previous release fails on."""
        return Assessment.of((*self.reasons, "breaks_running_code")) if breaks else self


def assess(
    operation: Operation,
    context: Context,
    statements: tuple[Statement, ...],
    found: Iterable[Collision] = (),
    breaks: Sequence[Break] | None = None,
) -> Assessment:
    """Facts come from the operation, judgement from here.

    What touches only tables that the same plan made is safe. What touches only empty tables is
    safe too, but for drops and for what code of the previous release fails on: code may use what
    is empty. `found` is in the way of an empty table as well. `breaks` are the queries of the
    previous release that fail; None if that release is unknown.
    """
    tables = operation.tables
    if tables and all(name in context.fresh for name in tables):
        return Assessment(Level.SAFE)
    own = [*operation.reasons(context), *_size(context, statements)]
    if breaks is not None and not operation.breaks_unseen:
        own = [code for code in own if code != "breaks_running_code"]
    broken = ["breaks_running_code"] if breaks else []
    missing = ["missing_table"] if _is_missing(operation, context) else []
    codes = [*own, *(collision.reason for collision in found), *broken, *missing]
    judged = Assessment.of(codes)
    quiet = bool(tables) and all(context.quiet(name) for name in tables)
    if not quiet or missing or judged.level >= Level.DESTRUCTIVE:
        return judged
    return Assessment.of(broken)


def _is_missing(operation: Operation, context: Context) -> bool:
    """Does it change a table that the database does not have, and no step before it makes?"""
    if context.relations is None or not operation.needs_table:
        return False
    makes = {move.new for move in operation.moves}
    return any(
        name not in context.graph and name not in context.relations and name not in makes
        for name in operation.tables
    )


def _size(context: Context, statements: tuple[Statement, ...]) -> tuple[str, ...]:
    """`large_table` where a statement works through a large table while others wait."""
    for statement in statements:
        if not (statement.rewrites or (statement.scans and statement.lock.blocks_writes)):
            continue
        if any(_is_large(name, context) for name in statement.tables):
            return ("large_table",)
    return ()


def _is_large(name: TableName, context: Context) -> bool:
    facts = context.facts.get(name)
    return bool(facts and (facts.bytes >= LARGE_BYTES or facts.rows >= LARGE_ROWS))


# --- what was read from the code of its author ---------------------------------------------------


@dataclass(slots=True)
class Transaction:
    """The state of a transaction between statements: the locks that it holds, and its triggers.
    Without `atomic`, each `query` is a transaction."""

    atomic: bool = True
    query: str = ""
    held: dict[TableName, Lock] = field(default_factory=dict)
    triggers: PendingTriggers = field(default_factory=PendingTriggers)

    def has(self, effect: Effect) -> bool:
        """Does a statement run in it, with others?"""
        return self.atomic or bool(effect.query)

    def begin(self, effect: Effect) -> None:
        """Forgets what ended before a statement that runs outside of it, or in the next query."""
        ended = not self.atomic and effect.query != self.query
        if ended or not (self.has(effect) and effect.transactional):
            self.held.clear()
            self.triggers.end()
        self.query = effect.query

    def take(self, effect: Effect) -> Mapping[TableName, Lock]:
        """Every lock that is held while a statement runs."""
        for name, lock in effect.locks.items():
            self.held[name] = max(lock, self.held.get(name, Lock.NONE))
        held = dict(self.held)
        if not effect.transactional:
            self.held.clear()
        return held


def judged(
    operation: Operation, effects: Sequence[Effect], context: Context, transaction: Transaction
) -> Assessment:
    """The verdict on code of an author, by what its statements do, one after the other."""
    codes: list[str] = []
    for effect in effects:
        transaction.begin(effect)
        if effect.within and not transaction.has(effect):
            codes.append("needs_transaction")
            continue
        held = transaction.take(effect)
        codes += _blocking(effect, context, held)
        codes += [f.code for f in effect.findings if _holds(f.code, f.table, context)]
        codes += [miss.code for miss in effect.misses if miss.code]
        if transaction.has(effect) and transaction.triggers.refuse(effect, context):
            codes.append("alters_after_writes")
        if not effect.transactional and transaction.has(effect):
            codes.append("fails_in_transaction")
        if any(_is_large(name, context) for name in effect.work):
            codes.append("large_table")
        context = after_effect(context, effect)
    if effects:
        codes += operation.reasons(context)
    return Assessment.of(codes)


def _holds(code: str, table: TableName | None, context: Context) -> bool:
    if table is None:
        return True
    if table in context.fresh:
        return False
    return code in _EMPTY_TOO or table not in context.empty


def _blocking(effect: Effect, context: Context, held: Mapping[TableName, Lock]) -> Iterator[str]:
    """The reasons for locks that other sessions wait for while rows are read or written."""
    busy = effect.opaque or effect.waits or any(not context.quiet(name) for name in effect.work)
    for name, lock in held.items() if busy else ():
        if name not in context.fresh and lock.blocks_writes:
            yield "locks_reads" if lock.blocks_reads else "locks_writes"
