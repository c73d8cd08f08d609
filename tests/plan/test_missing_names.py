"""A statement that names what does not exist, or creates what exists, is certain to fail."""

from __future__ import annotations

import pytest

from zanith_django.plan.effects.statements import effects
from zanith_django.plan.effects.values import Scene
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Check,
    Column,
    ForeignKey,
    Index,
    IndexKey,
    SchemaGraph,
    Table,
)

ITEM, PART = TableName("", "item"), TableName("", "part")
GRAPH = SchemaGraph(
    tables=(
        Table(
            ITEM,
            (Column("id", "bigint", nullable=False), Column("a", "integer")),
            checks=(Check("positive", "a > 0", ("a",)),),
            indexes=(Index("by_a", (IndexKey(column="a"),), columns=("a",)),),
        ),
        Table(
            PART,
            (Column("item_id", "bigint"),),
            foreign_keys=(ForeignKey("part_fk", ("item_id",), ITEM, ("id",)),),
        ),
    )
)
LIVE = Scene(GRAPH, relations=frozenset([ITEM, PART, TableName("", "seen")]))

MISSES = {
    "ALTER TABLE itm ADD COLUMN b integer": "missing_table",
    "DROP TABLE itm": "missing_table",
    "DELETE FROM itm": "missing_table",
    "UPDATE itm SET a = 1": "missing_table",
    "INSERT INTO itm VALUES (1)": "missing_table",
    "TRUNCATE itm": "missing_table",
    "CREATE INDEX i ON itm (a)": "missing_table",
    "ALTER TABLE itm RENAME TO item2": "missing_table",
    "ALTER TABLE item DROP COLUMN b": "missing_object",
    "ALTER TABLE item ALTER COLUMN b SET NOT NULL": "missing_object",
    "ALTER TABLE item ALTER COLUMN b TYPE bigint": "missing_object",
    "ALTER TABLE item RENAME COLUMN b TO c": "missing_object",
    "ALTER TABLE item DROP CONSTRAINT negative": "missing_object",
    "ALTER TABLE item VALIDATE CONSTRAINT negative": "missing_object",
    "CREATE INDEX i ON item (b)": "missing_object",
    "ALTER TABLE item ADD UNIQUE (b)": "missing_object",
    "ALTER TABLE item ADD CHECK (b > 0)": "missing_object",
    "ALTER TABLE item ADD FOREIGN KEY (b) REFERENCES part": "missing_object",
    "ALTER TABLE item ADD COLUMN a integer": "exists_already",
    "ALTER TABLE item ADD CONSTRAINT positive CHECK (a > 1)": "exists_already",
    "ALTER TABLE item RENAME COLUMN id TO a": "exists_already",
    "ALTER TABLE item RENAME TO seen": "exists_already",
    "CREATE INDEX by_a ON item (a)": "exists_already",
    "CREATE TABLE part (id integer)": "exists_already",
    "TRUNCATE item": "dependent_objects",
}

HITS = (
    "ALTER TABLE IF EXISTS itm ADD COLUMN b integer",
    "DROP TABLE IF EXISTS itm",
    "ALTER TABLE item DROP COLUMN IF EXISTS b",
    "ALTER TABLE item ADD COLUMN IF NOT EXISTS a integer",
    "ALTER TABLE item DROP CONSTRAINT IF EXISTS negative",
    "ALTER TABLE item ADD COLUMN b integer, ALTER COLUMN b SET NOT NULL",
    "ALTER TABLE item DROP COLUMN a, ADD COLUMN a text",
    "ALTER TABLE item RENAME TO thing; ALTER TABLE thing RENAME TO item",
    "CREATE INDEX IF NOT EXISTS by_a ON item (a)",
    "CREATE TABLE other (id integer); INSERT INTO other VALUES (1); DROP TABLE other",
    "DROP TABLE part; CREATE TABLE part (id integer)",
    "CREATE TEMPORARY TABLE kept (id integer); DELETE FROM kept",
    "WITH gone AS (SELECT 1) SELECT * FROM gone",
    "SELECT * FROM pg_class",
    "SELECT clean_up(); DELETE FROM what_it_made",
    "TRUNCATE item, part",
    "TRUNCATE item CASCADE",
)


def misses(text: str, scene: Scene) -> list[str]:
    return [miss.code for effect in effects(text, scene)[0] for miss in effect.misses]


@pytest.mark.parametrize("text", MISSES)
def test_what_is_certain_to_fail_is_known(text: str) -> None:
    assert misses(text, LIVE) == [MISSES[text]]


@pytest.mark.parametrize("text", HITS)
def test_what_works_is_not_held_up(text: str) -> None:
    assert misses(text, LIVE) == []


def test_a_not_null_has_a_name_that_no_graph_has() -> None:
    newer = Scene(GRAPH, relations=LIVE.relations, version=180000)
    assert misses("ALTER TABLE item DROP CONSTRAINT item_id_not_null", newer) == [""]


def test_without_a_database_nothing_is_known_to_be_missing() -> None:
    known = {text for text in MISSES if misses(text, Scene(GRAPH))}
    assert known == {"TRUNCATE item"}
