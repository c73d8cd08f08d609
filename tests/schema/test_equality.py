"""Where Django says equal, rule by rule, and the differences that no rule may hide."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from zanith_django.postgres.names import TableName
from zanith_django.schema.dependents import Rule, Statistics, Trigger
from zanith_django.schema.equality import DeclaredFacts, as_declared, beyond_operations
from zanith_django.schema.findings import Comparison
from zanith_django.schema.graph import (
    Check,
    Collation,
    Column,
    Exclusion,
    Extension,
    ForeignKey,
    Index,
    IndexKey,
    Policy,
    PrimaryKey,
    SchemaGraph,
    Table,
    Unique,
)

T, OTHER = TableName("", "t"), TableName("", "other")
KEY = Column("id", "bigint", nullable=False, identity="by default")
NAME = Column("name", "character varying(30)", nullable=False)
LIKE = Index("t_name_1a2b_like", (IndexKey("name", opclass="pg_catalog.varchar_pattern_ops"),))
BASE = Table(T, columns=(KEY, NAME), primary_key=PrimaryKey("t_pkey", ("id",)))


def table(*columns: Column, **parts: Any) -> Table:
    return dataclasses.replace(BASE, columns=(KEY, NAME, *columns), **parts)


def compare(live: Table, declared: Table, facts: DeclaredFacts | None = None) -> Comparison:
    return as_declared(SchemaGraph((live,)), SchemaGraph((declared,)), facts)


def named(*names: str) -> DeclaredFacts:
    return DeclaredFacts(named=frozenset((T, name) for name in names))


def texts(comparison: Comparison) -> list[str]:
    return [extra.description for extra in comparison.extras]


def foreign_key(name: str, column: str = "a", **changes: Any) -> ForeignKey:
    return ForeignKey(name, (column,), OTHER, ("id",), deferrable="deferred", **changes)


def index(name: str, *keys: str, **changes: Any) -> Index:
    return Index(name, tuple(IndexKey(key) for key in keys), **changes)


def in_list(*spelled: str) -> Check:
    return Check("t_a_check", f"((a)::text = ANY ({''.join(spelled)}))", columns=("a",))


A_INTEGER, A_BIGINT = Column("a", "integer"), Column("a", "bigint")
A_TEXT = Column("a", "text")

EQUAL: list[tuple[str, Table, Table]] = [
    (
        "serial and identity by default",
        table(Column("a", "integer", nullable=False, identity="serial")),
        table(Column("a", "integer", nullable=False, identity="by default")),
    ),
    (
        "another name of the primary key",
        table(primary_key=PrimaryKey("old_pk", ("id",))),
        table(),
    ),
    (
        "another name of an unnamed unique",
        table(uniques=(Unique("t_name_1a2b_uniq", ("name",)),)),
        table(uniques=(Unique("t_name_key", ("name",)),)),
    ),
    (
        "another name of a foreign key",
        table(A_BIGINT, foreign_keys=(foreign_key("t_a_fkey"),)),
        table(A_BIGINT, foreign_keys=(foreign_key("t_a_1a2b_fk_other_id"),)),
    ),
    (
        "names of two foreign keys swapped",
        table(A_BIGINT, foreign_keys=(foreign_key("x", "a"), foreign_key("y", "id"))),
        table(A_BIGINT, foreign_keys=(foreign_key("y", "a"), foreign_key("x", "id"))),
    ),
    (
        "another name of a field's check",
        table(checks=(Check("t_id_check1", "(id >= 0)", columns=("id",)),)),
        table(checks=(Check("t_id_check", "(id >= 0)", columns=("id",)),)),
    ),
    (
        "another name of an unnamed index",
        table(indexes=(index("t_name", "name"),)),
        table(indexes=(index("t_name_1a2b", "name"),)),
    ),
    (
        "a list in a check, before and after a restore",
        table(
            A_TEXT,
            checks=(
                in_list(
                    "ARRAY[('a, b'::character varying)::text, ('it''s'::character varying)::text]"
                ),
            ),
        ),
        table(
            A_TEXT,
            checks=(
                in_list("(ARRAY['a, b'::character varying, 'it''s'::character varying])::text[]"),
            ),
        ),
    ),
    (
        "a pattern index kept when varchar became text",
        table(indexes=(LIKE,)),
        table(
            indexes=(
                dataclasses.replace(
                    LIKE, keys=(IndexKey("name", opclass="pg_catalog.text_pattern_ops"),)
                ),
            )
        ),
    ),
    (
        "a default NULL and none",
        table(Column("a", "text", default="NULL::text")),
        table(A_TEXT),
    ),
    (
        "a default from before the column became varchar",
        table(Column("a", "character varying(9)", default="'x'::text")),
        table(Column("a", "character varying(9)", default="'x'::character varying")),
    ),
]


@pytest.mark.parametrize(("live", "declared"), [c[1:] for c in EQUAL], ids=[c[0] for c in EQUAL])
def test_what_django_calls_equal_is_equal(live: Table, declared: Table) -> None:
    comparison = compare(live, declared)
    assert comparison == Comparison(SchemaGraph((declared,)))


UNEQUAL: list[tuple[str, Table, Table]] = [
    (
        "identity always",
        table(Column("a", "integer", identity="always")),
        table(Column("a", "integer", identity="by default")),
    ),
    ("no generator", table(A_INTEGER), table(dataclasses.replace(A_INTEGER, identity="serial"))),
    ("a wider column that is no key", table(A_BIGINT), table(A_INTEGER)),
    ("a missing column", table(), table(A_INTEGER)),
    ("a default that was forgotten", table(Column("a", "text", default="''::text")), table(A_TEXT)),
    (
        "a default of another type",
        table(Column("a", "integer", default="'1'::text")),
        table(Column("a", "integer", default="'1'::character varying")),
    ),
    ("a nullable column", table(A_TEXT), table(dataclasses.replace(A_TEXT, nullable=False))),
    ("a lost collation", table(A_TEXT), table(dataclasses.replace(A_TEXT, collation="x.y"))),
    ("a lost comment", table(A_TEXT), table(dataclasses.replace(A_TEXT, comment="why"))),
    ("storage", table(dataclasses.replace(A_TEXT, storage="external")), table(A_TEXT)),
    ("another primary key", table(primary_key=PrimaryKey("t_pkey", ("name",))), table()),
    (
        "a foreign key that is not valid",
        table(A_BIGINT, foreign_keys=(foreign_key("x", valid=False),)),
        table(A_BIGINT, foreign_keys=(foreign_key("y"),)),
    ),
    (
        "a foreign key that cascades",
        table(A_BIGINT, foreign_keys=(foreign_key("x", on_delete="CASCADE"),)),
        table(A_BIGINT, foreign_keys=(foreign_key("x"),)),
    ),
    (
        "a unique that is deferrable",
        table(uniques=(Unique("x", ("name",), deferrable="deferred"),)),
        table(uniques=(Unique("y", ("name",)),)),
    ),
    (
        "columns of a unique in another order",
        table(uniques=(Unique("x", ("name", "id")),)),
        table(uniques=(Unique("x", ("id", "name")),)),
    ),
    (
        "an index that is not valid",
        table(indexes=(index("x", "name", valid=False),)),
        table(indexes=(index("y", "name"),)),
    ),
    (
        "an index of another order",
        table(indexes=(Index("x", (IndexKey("name", order="DESC"),)),)),
        table(indexes=(index("x", "name"),)),
    ),
    (
        "another value in a list of a check",
        table(A_TEXT, checks=(in_list("ARRAY[('a'::character varying)::text]"),)),
        table(A_TEXT, checks=(in_list("(ARRAY['b'::character varying])::text[]"),)),
    ),
    ("a missing index", table(), table(indexes=(index("x", "name"),))),
    ("row security that is off", table(), table(row_security=True)),
    ("a lost comment of the table", table(), table(comment="why")),
]


@pytest.mark.parametrize(
    ("live", "declared"), [c[1:] for c in UNEQUAL], ids=[c[0] for c in UNEQUAL]
)
def test_what_postgresql_behaves_by_stays_a_difference(live: Table, declared: Table) -> None:
    comparison = compare(live, declared)
    assert comparison.live.tables[0] != declared
    assert comparison.live.tables[0] == live
    assert (comparison.extras, comparison.notes) == ((), ())


def test_a_name_in_meta_is_compared() -> None:
    live = table(indexes=(index("old", "name"),), uniques=(Unique("was", ("name",)),))
    declared = table(indexes=(index("new", "name"),), uniques=(Unique("is", ("name",)),))
    comparison = compare(live, declared, named("new", "is"))
    assert comparison.live.tables == (live,)
    assert comparison.extras == ()


def test_a_name_in_meta_finds_its_own_before_anything_else_does() -> None:
    live = table(indexes=(index("given", "name"), index("t_name_9f", "name")))
    declared = table(indexes=(index("given", "name"), index("t_name_1a", "name")))
    assert compare(live, declared, named("given")).live.tables == (declared,)


EXTRAS: list[tuple[Table, Table, list[str]]] = [
    (table(A_TEXT), table(), ["column a on t"]),
    (table(indexes=(index("i", "name"),)), table(), ["index i on t"]),
    (table(uniques=(Unique("u", ("name",)),)), table(), ["unique constraint u on t"]),
    (table(checks=(Check("c", "(id > 0)"),)), table(), ["check constraint c on t"]),
    (table(foreign_keys=(foreign_key("f", "id"),)), table(), ["foreign key f on t"]),
    (table(exclusions=(Exclusion("x", "EXCLUDE …"),)), table(), ["exclusion constraint x on t"]),
    (table(policies=(Policy("p"),)), table(), ["policy p on t"]),
    (table(triggers=(Trigger("g", "…"),)), table(), ["trigger g on t"]),
    (table(rules=(Rule("r", "…"),)), table(), ["rule r on t"]),
    (table(statistics=(Statistics("s", "…"),)), table(), ["extended statistics s on t"]),
    (table(inherits=(OTHER,)), table(), ["inheritance of t"]),
    (table(replica_identity="full"), table(), ["replica identity of t"]),
    (table(tablespace="fast"), table(), ["tablespace of t"]),
    (
        table(Column("a", "bigint", identity="serial", sequence="CYCLE")),
        table(Column("a", "bigint", identity="by default")),
        ["sequence of column a on t"],
    ),
    (
        table(indexes=(index("old", "name", options=("fillfactor=70",)),)),
        table(indexes=(index("i", "name"),)),
        ["storage parameters of index old on t"],
    ),
    (
        table(indexes=(index("i", "name", tablespace="fast"),)),
        table(indexes=(index("i", "name"),)),
        ["tablespace of index i on t"],
    ),
    (table(comment="why"), table(), ["comment of t"]),
    (table(row_security=True), table(), ["row security of t"]),
    (table(options=("fillfactor=70",)), table(), ["storage parameters of t"]),
    (table(unlogged=True), table(), ["unlogged storage of t"]),
    (table(partition_key="LIST (id)"), table(), ["partitioning of t"]),
    (
        table(dataclasses.replace(A_TEXT, collation='pg_catalog."C"')),
        table(A_TEXT),
        ["collation of column a on t"],
    ),
    (
        table(dataclasses.replace(A_TEXT, comment="why")),
        table(A_TEXT),
        ["comment of column a on t"],
    ),
    (
        table(indexes=(index("i", "name", comment="why"),)),
        table(indexes=(index("i", "name"),)),
        ["comment of index i on t"],
    ),
    (
        table(primary_key=PrimaryKey("t_pkey", ("id",), comment="why")),
        table(),
        ["comment of primary key t_pkey on t"],
    ),
    (
        table(uniques=(Unique("one", ("name",)), Unique("two", ("name",)))),
        table(uniques=(Unique("one", ("name",)),)),
        ["unique constraint two on t"],
    ),
]


@pytest.mark.parametrize(("live", "declared", "expected"), EXTRAS, ids=[c[2][0] for c in EXTRAS])
def test_what_no_model_names_is_extra(live: Table, declared: Table, expected: list[str]) -> None:
    comparison = compare(live, declared)
    assert texts(comparison) == expected
    assert comparison.live == SchemaGraph((declared,))


def test_what_a_model_says_of_storage_is_compared() -> None:
    declared = table(indexes=(index("i", "name", options=("fillfactor=70",)),))
    live = table(indexes=(index("old", "name", options=("fillfactor=90",)),))
    comparison = compare(live, declared)
    assert comparison.live.tables == (live,)
    assert comparison.extras == ()


def test_a_pattern_index_that_is_not_valid_is_no_like_index() -> None:
    comparison = compare(table(indexes=(dataclasses.replace(LIKE, valid=False),)), table())
    assert texts(comparison) == [f"index {LIKE.name} on t"]


def test_a_property_that_no_operation_changes_is_reported() -> None:
    one = table(A_BIGINT, triggers=(Trigger("a", "…"), Trigger("b", "…")), tablespace="fast")
    cycling = dataclasses.replace(A_BIGINT, sequence="CYCLE")
    two = table(cycling, triggers=(Trigger("b", "…", "disabled"),), rules=(Rule("r", "…"),))
    more = dataclasses.replace(BASE, name=OTHER)
    told = beyond_operations(SchemaGraph((one, more)), SchemaGraph((two,)))
    assert [extra.description for extra in told] == [
        "tablespace of t",
        "trigger a on t",
        "trigger b on t",
        "rule r on t",
        "sequence of column a on t",
    ]


def test_a_like_index_is_a_note_there_or_not() -> None:
    missing = compare(table(), table(indexes=(LIKE,)))
    assert missing.live.tables == (table(indexes=(LIKE,)),)
    leftover = compare(table(indexes=(LIKE,)), table())
    assert leftover.live.tables == (table(),)
    for comparison in (missing, leftover):
        assert comparison.extras == ()
        assert [note.name for note in comparison.notes] == [LIKE.name]


def test_a_unique_index_equals_an_unnamed_constraint() -> None:
    live = table(indexes=(index("u", "name", unique=True),))
    declared = table(uniques=(Unique("t_name_key", ("name",)),))
    comparison = compare(live, declared)
    assert comparison.live.tables == (declared,)
    assert [note.name for note in comparison.notes] == ["u"]


@pytest.mark.parametrize("change", [{"valid": False}, {"predicate": "(id > 0)"}, {"unique": False}])
def test_another_index_does_not_equal_a_constraint(change: dict[str, Any]) -> None:
    stands = index("u", "name", unique=True)
    live = table(indexes=(dataclasses.replace(stands, **change),))
    declared = table(uniques=(Unique("t_name_key", ("name",)),))
    comparison = compare(live, declared)
    assert comparison.live.tables == (table(),)
    assert texts(comparison) == ["index u on t"]


def keyed(kind: str) -> Table:
    key = dataclasses.replace(KEY, type=kind)
    return Table(OTHER, columns=(key,), primary_key=PrimaryKey("o_pkey", ("id",)))


AUTOMATIC = DeclaredFacts(automatic=frozenset({(OTHER, "id"), (T, "a")}))


@pytest.mark.parametrize(
    ("live_key", "live_column", "equal"),
    [
        ("bigint", "bigint", (True, True)),
        ("bigint", "integer", (True, True)),
        ("integer", "bigint", (True, False)),
        ("smallint", "integer", (False, True)),
    ],
)
def test_a_wider_automatic_key_is_equal_and_so_is_what_points_at_it(
    live_key: str, live_column: str, equal: tuple[bool, bool]
) -> None:
    keys = (foreign_key("f"),)
    live = SchemaGraph((keyed(live_key), table(Column("a", live_column), foreign_keys=keys)))
    declared = SchemaGraph((keyed("integer"), table(A_INTEGER, foreign_keys=keys)))
    found = as_declared(live, declared, AUTOMATIC).live
    assert (
        found.table(OTHER) == declared.table(OTHER),
        found.table(T) == declared.table(T),
    ) == equal


def test_the_unique_pair_of_a_many_to_many_has_no_order() -> None:
    live = table(uniques=(Unique("x", ("name", "id")),))
    declared = table(uniques=(Unique("y", ("id", "name")),))
    facts = DeclaredFacts(many_to_many=frozenset({T}))
    assert compare(live, declared, facts).live.tables == (declared,)


def test_only_what_is_declared_is_looked_at() -> None:
    live = SchemaGraph(
        (table(), Table(OTHER)),
        extensions=(Extension("citext"), Extension("hstore")),
        collations=(Collation(T, "icu", "und"), Collation(OTHER, "icu", "und")),
        schemas=("audit", "else"),
    )
    declared = SchemaGraph(
        (table(), Table(TableName("", "new"))),
        extensions=(Extension("citext"),),
        collations=(Collation(T, "icu", "und"),),
        schemas=("audit",),
    )
    comparison = as_declared(live, declared)
    assert comparison.live == declared.without_table(TableName("", "new"))
    assert comparison.extras == ()


def test_a_graph_is_equal_to_itself() -> None:
    whole = table(
        A_TEXT,
        indexes=(LIKE, index("i", "name")),
        uniques=(Unique("u", ("name",)),),
        checks=(Check("c", "(id > 0)"),),
        foreign_keys=(foreign_key("f", "id"),),
        policies=(Policy("p"),),
        triggers=(Trigger("g", "…"),),
        comment="why",
    )
    assert compare(whole, whole) == Comparison(SchemaGraph((whole,)))
