"""Steps of a file that Django's own `migrate` cannot have done: they were added by hand."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from zanith_django.operations import Operation
from zanith_django.operations.answers import Piece
from zanith_django.operations.live_names import comparison
from zanith_django.schema.graph import SchemaGraph


def added_by_hand(operations: Sequence[Operation], live: SchemaGraph | None) -> frozenset[int]:
    """Numbers, from 1, of the steps that remain after Django did the work of a file.

    These are kinds that are never derived from a Django migration, and what is to be there at the
    end of the file and is not. `live` is the schema as Django left it, None before it did.
    """
    numbered = list(enumerate(operations, 1))
    if live is None:
        return frozenset(number for number, each in numbered if not each.derived)
    end = functools.reduce(lambda graph, operation: operation.apply_to(graph), operations, live)
    return frozenset(number for number, each in numbered if _is_left(each, live, end))


def _is_left(operation: Operation, live: SchemaGraph, end: SchemaGraph) -> bool:
    if not operation.derived:
        return True
    if table := operation.creates_table:
        return table.name in end and table.name not in live
    return any(_is_missing(piece, live, end) for piece in operation.pieces)


def _is_missing(piece: Piece, live: SchemaGraph, end: SchemaGraph) -> bool:
    """Is it missing under any name? Django and an old database may have others."""
    part, item = piece.part, piece.item
    found, wanted = live.table(piece.table), end.table(piece.table)
    if found is None or wanted is None or item not in part.of(wanted):
        return False
    if any(known.name == item.name for known in part.of(found)):
        return False
    return item not in part.of(comparison(found, part, item).live.tables[0])
