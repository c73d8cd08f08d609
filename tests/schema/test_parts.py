"""The table of parts: it knows every field of a table, and every part has its operations."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from zanith_django.operations import KINDS
from zanith_django.schema.graph import Table
from zanith_django.schema.parts import CARRIED, CHANGED, COLUMNS, NAMED, PARTS, Part

by_field = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.field)


def test_every_field_of_a_table_that_holds_items_with_names_is_a_part() -> None:
    hints = typing.get_type_hints(Table)
    items = {name: typing.get_args(kind)[:1] for name, kind in hints.items() if name[0] != "_"}
    held = {
        name
        for name, kinds in items.items()
        if any(dataclasses.is_dataclass(kind) and "name" in _fields(kind) for kind in kinds)
    }
    assert held - {"dependents", "partition_of", "inherits"} == {part.field for part in PARTS}


@by_field
def test_a_part_names_only_fields_that_its_items_have(part: Part) -> None:
    named = {*part.texts, *part.altered, *part.changeable, *(each.name for each in part.settings)}
    assert named <= _fields(part.item)


@pytest.mark.parametrize("part", [COLUMNS, *CHANGED], ids=lambda part: part.field)
def test_a_part_that_operations_change_is_added_and_dropped_by_one(part: Part) -> None:
    kinds = [kind for kind in KINDS.values() if part in (kind.adds, kind.drops)]
    assert any(kind.adds for kind in kinds)
    assert any(kind.drops for kind in kinds)
    assert all(part.argument in _fields(kind) for kind in kinds)


@by_field
def test_a_part_that_is_renamed_has_an_operation_that_renames_it(part: Part) -> None:
    assert part.renamed is any(part in kind.renames for kind in KINDS.values())


@pytest.mark.parametrize("part", NAMED, ids=lambda part: part.field)
def test_no_operation_changes_a_part_that_is_read_only(part: Part) -> None:
    changing = [kind for kind in KINDS.values() if part in (kind.adds, kind.drops, *kind.renames)]
    assert part.read_only is not bool(changing)


@pytest.mark.parametrize("kind", ["softDropColumn", "archiveColumn", "restoreColumn"])
def test_what_keeps_a_column_has_a_field_for_each_part_that_it_carries(kind: str) -> None:
    assert {part.field for part in CARRIED} <= _fields(KINDS[kind])


def _fields(kind: typing.Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}
