"""Statements and their effects: what a plan shows of a step, and what is read of our own SQL."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from zanith_django.operations import Operation, Statement
from zanith_django.operations.base import Batches, Context, PythonCall, Rounds
from zanith_django.plan.effects.statements import effects
from zanith_django.plan.effects.values import Effect, Scene
from zanith_django.plan.plan import PlannedStep
from zanith_django.postgres.locks import Lock


def scene(context: Context) -> Scene:
    """What is known where the next statement runs."""
    return Scene(
        context.graph,
        context.schema,
        context.server_version,
        context.elsewhere,
        context.domains,
        context.relations,
        context.dangers,
    )


def read(statements: Sequence[Statement], at: Scene) -> tuple[Effect, ...]:
    """The effects of our own statements; those that no grammar knows do what they declare."""
    found: list[Effect] = []
    for statement in statements:
        if isinstance(statement, Batches | Rounds | PythonCall):
            found.append(_declared(statement))
            continue
        known, graph = effects(statement.sql, at)
        if any(effect.opaque for effect in known):
            found.append(_declared(statement))
        else:
            found += known
            at = dataclasses.replace(at, graph=graph)
    return tuple(found)


def _declared(statement: Statement) -> Effect:
    works = statement.tables if statement.scans or statement.rewrites else ()
    locks = dict.fromkeys(statement.tables, statement.lock)
    return Effect(statement.sql, locks, works, transactional=statement.transactional)


def shown(operation: Operation, found: Iterable[Effect], context: Context) -> tuple[Statement, ...]:
    """The statements of a step that runs code of its author: the SQL of that code."""
    if operation.runs is None:
        return tuple(_named(operation, found, context))
    title = operation.statements(context)[0]
    quiet = dataclasses.replace(title, lock=Lock.NONE, tables=())
    return (quiet, *(_statement(effect) for effect in found if effect.sql and not effect.titled))


def _named(operation: Operation, found: Iterable[Effect], context: Context) -> Iterator[Statement]:
    """SQL runs as its author wrote it, in one piece."""
    known = [_statement(effect) for effect in found]
    strongest = max(known, key=lambda each: each.lock, default=Statement("", Lock.NONE))
    for statement in operation.statements(context):
        yield dataclasses.replace(
            statement,
            lock=strongest.lock,
            tables=strongest.tables,
            rewrites=any(each.rewrites for each in known),
            scans=any(each.scans for each in known),
        )


_HOLDING = frozenset(("locks_reads", "locks_writes"))


def holding(steps: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
    """The steps of one transaction, with `held` set on the statements whose locks others feel: a
    later statement works through rows."""
    works = False
    found: list[PlannedStep] = []
    for step in reversed(steps):
        statements: list[Statement] = []
        felt = not _HOLDING.isdisjoint(step.assessment.reasons)
        # Python works without a statement that is shown, after LOCK TABLE anything may follow.
        works = works or (felt and not any(s.scans or s.rewrites for s in step.statements))
        for statement in reversed(step.statements):
            statements.append(dataclasses.replace(statement, held=works))
            works = works or (felt and (statement.scans or statement.rewrites))
        found.append(dataclasses.replace(step, statements=tuple(reversed(statements))))
    return tuple(reversed(found))


def _statement(effect: Effect) -> Statement:
    lock = max(effect.locks.values(), default=Lock.NONE)
    tables = tuple(name for name, each in effect.locks.items() if each == lock)
    return Statement(
        effect.sql,
        lock,
        tables,
        transactional=effect.transactional,
        rewrites=bool(effect.rewrites),
        scans=bool(effect.work),
    )
