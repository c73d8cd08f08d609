"""Python that hides what it deletes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from zanith_django.plan.effects.python import python_effects
from zanith_django.plan.effects.values import Scene
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, SchemaGraph, Table

ITEM = Table(TableName("", "a_item"), (Column("id", "integer"), Column("data", "jsonb")))
SCENE = Scene(SchemaGraph((ITEM, Table(TableName("", "a_item_tags")))))


def flushes(apps: Any, editor: Any) -> None:
    editor.connection.ops.execute_sql_flush(["x"])


def assigns_in_a_condition(apps: Any, editor: Any) -> None:
    if rows := apps.get_model("a", "Item").objects.all():
        rows.delete()


def asks_every_model(apps: Any, editor: Any) -> None:
    for model in apps.get_models():
        model.objects.all().delete()


def clears_relations(apps: Any, editor: Any) -> None:
    for row in apps.get_model("a", "Item").objects.all():
        row.tags.clear()


def clears_a_value(apps: Any, editor: Any) -> None:
    for row in apps.get_model("a", "Item").objects.all():
        row.data.clear()


def updates_in_an_insert(apps: Any, editor: Any) -> None:
    item = apps.get_model("a", "Item")
    item.objects.bulk_create([item()], update_conflicts=True, update_fields=["data"])


def locks(apps: Any, editor: Any) -> None:
    list(apps.get_model("a", "Item").objects.select_for_update())


def codes(code: Callable[..., None]) -> set[str]:
    found, _ = python_effects(
        code, SCENE, lambda app, name: TableName("", f"{app}_{name.lower()}"), lambda table: []
    )
    return {each for effect in found for each in effect.codes}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (flushes, "may_drop"),
        (assigns_in_a_condition, "deletes_all_rows"),
        (asks_every_model, "deletes_all_rows"),
        (clears_relations, "deletes_all_rows"),
    ],
)
def test_what_deletes_all_rows_is_destructive(code: Callable[..., None], reason: str) -> None:
    assert reason in codes(code)


def test_rows_that_an_insert_updates_are_written() -> None:
    assert codes(updates_in_an_insert) == {"requires_backfill"}


def test_rows_that_python_locks_are_named() -> None:
    assert codes(locks) == {"locks_rows"}


def test_a_value_of_a_column_may_be_cleared() -> None:
    assert codes(clears_a_value) == {"loops_over_rows"}
