"""Operations and values of a schema as JSON data."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from zanith_django.postgres.names import TableName
from zanith_django.schema.encoding import Reader, Writer


def qualifier(default_schema: str) -> Callable[[TableName], str]:
    return functools.cache(lambda name: str(TableName(name.schema or default_schema, name.name)))


def unqualifier(default_schema: str) -> Callable[[str], TableName]:
    def parse(text: str) -> TableName:
        name = TableName.of(text)
        return TableName("", name.name) if name.schema == default_schema else name

    return functools.cache(parse)


def encode(value: Any) -> Any:
    """A frozen value as plain JSON data; the default schema stays empty."""
    return _WRITER.write(value)


def decode(wanted: type, data: Any) -> Any:
    """Inverse of `encode`."""
    return reader().read(wanted, data)


def reader() -> Reader:
    """A reader for many values, which share equal parts."""
    return Reader(TableName, TableName.of)


_WRITER = Writer(TableName, str)
