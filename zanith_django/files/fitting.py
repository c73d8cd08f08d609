"""Do the fields of a frozen value have their declared types? For files that are edited by hand."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from zanith_django.schema.encoding import stored_fields

_PLAIN = frozenset({str, bool, int, types.NoneType})


def misfits(value: Any, where: str = "") -> Iterator[str]:
    """Fields without their declared type: `column.nullable is 'no', not bool`."""
    for name, default, wanted in stored_fields(value.__class__):
        current = getattr(value, name)
        if current is not default:
            yield from _misfits(current, wanted, f"{where}{name}")


def _misfits(value: Any, wanted: Any, where: str) -> Iterator[str]:
    if wanted is Any or (value.__class__ is wanted and wanted in _PLAIN):
        return
    origin = typing.get_origin(wanted)
    if isinstance(wanted, types.UnionType):
        kinds = typing.get_args(wanted)
        if value.__class__ in kinds and value.__class__ in _PLAIN:
            return
        fits = [kind for kind in kinds if not any(_misfits(value, kind, where))]
        if not fits:
            yield _misfit(value, " or ".join(map(_name, kinds)), where)
    elif origin is tuple:
        if not isinstance(value, tuple):
            yield _misfit(value, "a tuple", where)
            return
        (kind, *_) = typing.get_args(wanted)
        for number, item in enumerate(value):
            yield from _misfits(item, kind, f"{where}[{number}]")
    elif origin is not None:
        if not isinstance(value, Mapping):
            yield _misfit(value, "a dict", where)
    elif not isinstance(value, wanted):
        yield _misfit(value, _name(wanted), where)
    elif dataclasses.is_dataclass(value):
        yield from misfits(value, f"{where}.")


def _misfit(value: Any, wanted: str, where: str) -> str:
    return f"{where} is {value!r:.60}, not {wanted}"


def _name(kind: Any) -> str:
    return "None" if kind is types.NoneType else getattr(kind, "__name__", str(kind))
