"""Extensions, schemas and collations: created before tables, dropped after them."""

from __future__ import annotations

from collections.abc import Iterator

from zanith_django import operations as ops
from zanith_django.diff.differ import Differ
from zanith_django.operations.base import Operation


def foundations(d: Differ) -> Iterator[Operation]:
    known = {item.name for item in d.now.extensions}
    for extension in d.after.extensions:
        if extension.name not in known:
            yield ops.CreateExtension(extension=extension)
    for schema in d.after.schemas:
        if schema not in d.now.schemas:
            yield ops.CreateSchema(name=schema)
    for collation in d.after.collations:
        if collation not in d.now.collations:
            yield ops.CreateCollation(collation=collation)


def dropped_foundations(d: Differ) -> Iterator[Operation]:
    for collation in d.now.collations:
        if collation not in d.after.collations:
            yield ops.DropCollation(collation=collation)
    wanted = {item.name for item in d.after.extensions}
    for extension in d.now.extensions:
        if extension.name not in wanted:
            yield ops.DropExtension(extension=extension)
