"""Which fields the constraints and indexes of `Meta` contain, and the same with one renamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import F, Q
from django.db.models.constants import LOOKUP_SEP


def named_by(item: Any) -> Iterator[str]:
    """The fields that a constraint or an index lists."""
    for name in getattr(item, "fields", ()):
        yield name.removeprefix("-")


def names_in(item: Any) -> set[str]:
    """The fields that a constraint or an index contains, also in its conditions and expressions;
    for a lookup over a relation, its first field."""
    parts = (*getattr(item, "expressions", ()), getattr(item, "condition", None))
    flat = [part[0] if isinstance(part, tuple | list) else part for part in parts]
    return {*named_by(item), *getattr(item, "include", ())} | {
        name for part in flat if part is not None for name in _references(part)
    }


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part.removeprefix("-")
    elif isinstance(part, Q):
        for child in part.children:
            if isinstance(child, tuple):
                yield child[0].split(LOOKUP_SEP)[0]
                if not isinstance(child[1], str):  # a text is a value
                    yield from _references(child[1])
            else:
                yield from _references(child)
    elif isinstance(part, F):
        yield str(getattr(part, "name", "")).split(LOOKUP_SEP)[0]
    elif hasattr(part, "get_source_expressions"):
        for inner in part.get_source_expressions():
            if inner is not None:
                yield from _references(inner)


def with_renamed(item: Any, old: str, new: str) -> Any:
    """A constraint or an index in which one field has a new name, in all of its parts."""
    made = item.clone()
    for attribute in ("fields", "include"):
        if names := getattr(made, attribute, ()):
            setattr(made, attribute, type(names)(_name(name, old, new) for name in names))
    if orders := getattr(made, "fields_orders", ()):
        made.fields_orders = [(_name(name, old, new), order) for name, order in orders]
    if expressions := getattr(made, "expressions", ()):
        made.expressions = type(expressions)(_part(part, old, new) for part in expressions)
    if getattr(made, "condition", None) is not None:
        made.condition = _part(made.condition, old, new)
    return made


def _part(part: Any, old: str, new: str) -> Any:
    """The same for what an exclusion, a condition or an expression consists of."""
    if isinstance(part, str):
        return _name(part, old, new)
    if isinstance(part, tuple | list):  # of an exclusion constraint: expression and operator
        return (_part(part[0], old, new), *part[1:])
    if isinstance(part, Q):
        children = [_child(child, old, new) for child in part.children]
        return Q(*children, _connector=part.connector, _negated=part.negated)
    if isinstance(part, F):
        return type(part)(_name(str(getattr(part, "name", "")), old, new))
    if not getattr(part, "get_source_expressions", list)():
        return part
    made = part.copy()
    sources = part.get_source_expressions()
    made.set_source_expressions([each and _part(each, old, new) for each in sources])
    return made


def _child(child: Any, old: str, new: str) -> Any:
    if not isinstance(child, tuple):
        return _part(child, old, new)
    lookup, value = child
    is_text = isinstance(value, str | tuple | list)
    return _name(lookup, old, new), value if is_text else _part(value, old, new)


def _name(name: str, old: str, new: str) -> str:
    """A name, maybe with `-` before it or a lookup after it."""
    bare = name.removeprefix("-")
    first, *rest = bare.split(LOOKUP_SEP)
    if first != old:
        return name
    return name[: len(name) - len(bare)] + LOOKUP_SEP.join((new, *rest))
