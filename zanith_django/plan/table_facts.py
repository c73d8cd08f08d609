"""Facts about tables, moved past operations that create, rename, fill and drop tables: whether a
table is new, empty, and how large it is.

Rows, sizes, whether a table is empty and whether the plan created it belong to the table and not
to its name. What is unknown counts as populated and in use.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from zanith_django.operations.base import Context, Operation
from zanith_django.operations.moves import TableMove
from zanith_django.plan.effects.values import Effect
from zanith_django.postgres.names import TableName
from zanith_django.schema.values import replaced

V = TypeVar("V")

_HEAD = re.compile(r"^\s*(@.*\s+)*def \w+\([^)]*\)")
# Code that passes the models to other code, which is written elsewhere.
_HANDED_ON = re.compile(r"\bapps\b(?!\.get_model\b)")


def after(
    context: Context,
    operation: Operation,
    texts: Collection[str | None] = (),
    effects: Sequence[Effect] = (),
    *,
    runs: bool = True,
) -> Context:
    """The context after the operation.

    `texts` are SQL and Python of its author, None for code that cannot be read. An operation that
    ran already, so not `runs`, changes the graph alone: the facts were read after it.
    """
    context = replaced(context, graph=operation.apply_to(context.graph))
    if not runs:
        return context
    if texts and not _is_plain_sql(effects):
        context = _filled(context, texts)
    for effect in effects:
        context = after_effect(context, effect)
    model = str(getattr(operation, "model", ""))
    if any(effect.moves for effect in effects):
        named = {move.new: model for move in operation.moves if move.new and model}
        return replaced(context, labels={**context.labels, **named})
    for move in operation.moves:
        context = _moved(context, move, model)
    return context


def _is_plain_sql(effects: Sequence[Effect]) -> bool:
    """Do the effects say everything that their text may fill? Not those of Python."""
    return bool(effects) and not any(effect.opaque or effect.titled for effect in effects)


def after_effect(context: Context, effect: Effect) -> Context:
    """What is known after a statement whose effect was read."""
    for move in effect.moves:
        context = _moved(context, move, "")
    context = replaced(
        context,
        relations=effect.known(context.relations),
        domains=context.domains | ({effect.domain} - {""}),
        dangers=context.dangers | ({effect.danger} - {""}),
    )
    if not effect.fills:
        return context
    filled = frozenset(effect.fills)
    return replaced(context, fresh=context.fresh - filled, empty=context.empty - filled)


def _moved(context: Context, move: TableMove, model: str) -> Context:
    """The facts of the old name become those of the new one."""
    fresh, labels = _followed(context.fresh, move), _carried(context.labels, move)
    if move.new and move.old is None:
        fresh |= {move.new}
    if move.new and model:
        labels[move.new] = model
    return replaced(
        context,
        fresh=fresh,
        empty=_followed(context.empty, move),
        facts=_carried(context.facts, move),
        labels=labels,
        relations=_known(context.relations, move),
    )


def _known(relations: frozenset[TableName] | None, move: TableMove) -> frozenset[TableName] | None:
    if relations is None:
        return None
    rest = relations - {move.old} if move.old else relations
    return rest | {move.new} if move.new else rest


def _followed(names: frozenset[TableName], move: TableMove) -> frozenset[TableName]:
    rest = names - {move.old, move.new}
    return rest | {move.new} if move.new and move.old in names else rest


def _carried(values: Mapping[TableName, V], move: TableMove) -> dict[TableName, V]:
    rest = {**values}
    for name in filter(None, (move.old, move.new)):
        rest.pop(name, None)
    if move.old and move.new and move.old in values:
        rest[move.new] = values[move.old]
    return rest


def _filled(context: Context, texts: Collection[str | None]) -> Context:
    """The context in which tables that the texts may fill count as new or empty no longer."""

    def unfilled(names: frozenset[TableName]) -> frozenset[TableName]:
        return frozenset(n for n in names if not may_write(n, context.labels, texts))

    return replaced(context, fresh=unfilled(context.fresh), empty=unfilled(context.empty))


def may_write(
    name: TableName, labels: Mapping[TableName, str], texts: Collection[str | None]
) -> bool:
    """Does a text name the table or its model? A many-to-many table belongs to the model whose
    name its own begins with."""
    words = [name.name, labels.get(name, "").rpartition(".")[2].partition("_")[0]]
    pattern = "|".join(rf"(?<!\w){re.escape(word)}" for word in words if word)
    return any(
        text is None or _HANDED_ON.search(_body(text)) or re.search(pattern, text, re.IGNORECASE)
        for text in texts
    )


def _body(text: str) -> str:
    """A Python function without its parameters; SQL as it is."""
    return _HEAD.sub("", text, count=1)
