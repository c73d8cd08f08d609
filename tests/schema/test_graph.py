"""The graph as a value: its JSON, its fingerprint, what equality sees."""

from __future__ import annotations

import dataclasses
import json
import random
import typing
from typing import Any

import pytest

from zanith_django.exceptions import InvalidName, UnknownGraphVersion, UnreadableGraph
from zanith_django.postgres.names import TableName
from zanith_django.schema import dependents, graph as language
from zanith_django.schema.encoding import stored_fields
from zanith_django.schema.graph import Column, Extension, Index, IndexKey, SchemaGraph, Table
from zanith_django.schema.stored import decode, encode

KINDS = [
    language.Column,
    language.PrimaryKey,
    language.Unique,
    language.ForeignKey,
    language.Check,
    language.Exclusion,
    language.IndexKey,
    language.Index,
    language.Policy,
    dependents.Trigger,
    dependents.Rule,
    dependents.Statistics,
    language.Table,
    language.Extension,
    language.Collation,
]


def full(kind: Any, seed: int = 1) -> Any:
    """A value of this type in which nothing is the default."""
    if dataclasses.is_dataclass(kind) and kind is not TableName:
        fields = stored_fields(typing.cast(type, kind))
        return kind(**{name: full(hint, seed) for name, _, hint in fields})  # type: ignore[operator]
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        return tuple(full(item, number) for number in (1, 2))
    return _plain(kind, seed)


def _plain(kind: Any, seed: int) -> Any:
    if kind is TableName or kind == TableName | None:
        return TableName("other", f't."{seed}')
    if kind is bool:
        return True
    if kind == language.PrimaryKey | None:
        return full(language.PrimaryKey)
    return f"text {seed} 'é%'"


def other(value: Any, name: str, default: Any) -> Any:
    """A value unlike the one that stands in the field, the default where there is one."""
    current = getattr(value, name)
    if isinstance(current, bool):
        return not current
    if default is not dataclasses.MISSING:
        return default
    return TableName("", "other") if isinstance(current, TableName) else type(current)()


def graph() -> SchemaGraph:
    return SchemaGraph(
        tables=(full(Table), Table(TableName("", "users"), columns=(Column("id", "bigint"),))),
        extensions=(full(Extension),),
        collations=(full(language.Collation),),
        schemas=("audit", "other"),
        default_schema="app",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_json_gives_every_kind_back(kind: type) -> None:
    value = full(kind)
    assert decode(kind, json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_left_out_of_json_and_come_back(kind: type) -> None:
    required = [f for f in stored_fields(kind) if f[1] is dataclasses.MISSING]
    value = kind(**{name: full(hint) for name, _, hint in required})
    assert set(encode(value)) <= {name for name, _, _ in required} | {"columns"}
    assert decode(kind, encode(value)) == value


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_distinguishes_two_values(kind: type) -> None:
    value = full(kind)
    compared = {f.name for f in dataclasses.fields(kind) if f.compare} | {"columns"}
    for name, default, _ in stored_fields(kind):
        if name not in compared or (kind is Index and name == "columns"):
            continue
        assert dataclasses.replace(value, **{name: other(value, name, default)}) != value, name


def test_json_gives_a_whole_graph_back() -> None:
    data = json.loads(json.dumps(graph().to_json()))
    again = SchemaGraph.from_json(data)
    assert again == graph()
    assert again.default_schema == "app"
    assert again.to_json() == graph().to_json()
    assert again.fingerprint() == graph().fingerprint()


@pytest.mark.parametrize("schema", ["public", "extensions"])
def test_what_two_equal_values_may_differ_in_is_read_as_it_was_written(schema: str) -> None:
    """Where an extension lives is told, and not compared."""
    written = SchemaGraph(extensions=(language.Extension("citext", schema=schema),))
    assert SchemaGraph.from_json(written.to_json()).extensions[0].schema == schema


def test_json_names_the_default_schema() -> None:
    assert "app.users" in graph().to_json()["tables"]


@pytest.mark.parametrize("data", [{"version": 99}, {}, [], None])
def test_an_unknown_version_is_refused(data: Any) -> None:
    with pytest.raises(UnknownGraphVersion):
        SchemaGraph.from_json(data)


@pytest.mark.parametrize(
    "change",
    [
        {"default_schema": None},
        {"tables": []},
        {"tables": {"a.b.c": {}}},
        {"tables": {"t": {"colour": "red"}}},
        {"tables": {"t": {"columns": [{"type": "text"}]}}},
        {"extensions": 7},
    ],
)
def test_what_is_no_graph_is_refused(change: dict[str, Any]) -> None:
    whole = {**SchemaGraph().to_json(), **change}
    with pytest.raises(UnreadableGraph) as caught:
        SchemaGraph.from_json({key: value for key, value in whole.items() if value is not None})
    assert caught.value.returncode == 3


def test_the_order_of_anything_is_no_difference() -> None:
    shuffled = random.Random(7)

    def shuffle(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(shuffled.sample(items, len(items)))

    columns = tuple(Column(name, "text") for name in "abcdef")
    indexes = tuple(Index(name, (IndexKey("a"),)) for name in "xyz")
    tables = tuple(Table(TableName("", name), columns, indexes=indexes) for name in "stu")
    one = SchemaGraph(tables=tables)
    two = SchemaGraph(
        tables=shuffle(
            tuple(
                dataclasses.replace(t, columns=shuffle(columns), indexes=shuffle(indexes))
                for t in tables
            )
        )
    )
    assert one == two
    assert hash(one) == hash(two)
    assert one.fingerprint() == two.fingerprint()


def test_a_table_keeps_the_order_of_its_columns() -> None:
    table = Table(TableName("", "t"), (Column("b", "text"), Column("a", "text")))
    assert table.column_names == ("b", "a")
    assert decode(Table, encode(table)).column_names == ("b", "a")


def test_the_default_schema_and_versions_of_extensions_are_no_difference() -> None:
    table = Table(TableName("", "t"))
    one = SchemaGraph((table,), (Extension("citext", "public", "1.5"),), default_schema="public")
    two = SchemaGraph((table,), (Extension("citext", "app", "1.6"),), default_schema="app")
    assert one == two
    assert one.fingerprint() == two.fingerprint()


def test_a_change_of_one_column_changes_the_fingerprint() -> None:
    one = SchemaGraph((Table(TableName("", "t"), (Column("a", "text"),)),))
    two = SchemaGraph((Table(TableName("", "t"), (Column("a", "text", comment="why"),)),))
    assert one != two
    assert one.fingerprint() != two.fingerprint()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("users", TableName("", "users")),
        ("audit.users", TableName("audit", "users")),
        ('"audit"."my.table"', TableName("audit", "my.table")),
        ('"a""b"', TableName("", 'a"b')),
    ],
)
def test_a_table_name_is_read_and_spelled_back(text: str, expected: TableName) -> None:
    assert TableName.of(text) == expected
    assert TableName.of(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "a.b.c", "a.", ".a", '"a'])
def test_what_is_no_table_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        TableName.of(text)
