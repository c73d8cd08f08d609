"""The difference of two graphs: which operations, in which order, and no more than needed."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass, field
from typing import Any

import pytest

from zanith_django.diff.diff import diff
from zanith_django.diff.differ import ARCHIVE, HARD, SOFT, Fill, Hints
from zanith_django.exceptions import CannotDrop
from zanith_django.operations import Operation
from zanith_django.postgres.names import TableName
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

T, U, V = TableName("", "t"), TableName("", "u"), TableName("", "v")
ID = Column("id", "integer", nullable=False)
A, B, C = Column("a", "integer"), Column("b", "text"), Column("c", "integer")
G = Column("g", "integer", generated="(a * 2)")
KEY = PrimaryKey("pk", ("id",))
UNIQUE, CHECK = Unique("u", ("a",)), Check("k", "(a > 0)", ("a",))
INDEX, POLICY = Index("i", (IndexKey("a"),)), Policy("o", using="(a > 0)")
EXCLUSION = Exclusion("x", "EXCLUDE USING gist (a WITH =)", ("a",))

put = dataclasses.replace


def key_to(name: TableName, column: str = "a", **fields: Any) -> ForeignKey:
    return ForeignKey(f"f_{name.name}", (column,), name, ("id",), **fields)


def table(name: TableName, *columns: Column, **parts: Any) -> Table:
    parts = {"primary_key": PrimaryKey(f"{name.name}_pk", ("id",)), **parts}
    return Table(name, (ID, *columns), **parts)


def schema(*tables: Table, **parts: Any) -> SchemaGraph:
    return SchemaGraph(tables, **parts)


def one(*columns: Column, **parts: Any) -> SchemaGraph:
    return schema(table(T, *columns, **parts))


@dataclass
class Case:
    """What happens on the way from one graph to another: kinds, or kinds with their targets."""

    name: str
    before: SchemaGraph
    after: SchemaGraph
    expected: str
    hints: Hints = field(default_factory=Hints)
    drop: str = SOFT


NOTHING = schema()
BOTH = schema(table(T, A), table(U, A))
CIRCLE = schema(table(T, A, foreign_keys=(key_to(U),)), table(U, A, foreign_keys=(key_to(T),)))
POINTING = schema(table(T, A, foreign_keys=(key_to(U),)), table(U))
WHOLE: dict[str, Any] = {
    "uniques": (UNIQUE,),
    "checks": (CHECK,),
    "exclusions": (EXCLUSION,),
    "indexes": (INDEX,),
    "policies": (POLICY,),
}

CASES = [
    # Nothing to do
    Case("equal graphs", one(A, B, **WHOLE), one(B, A, **WHOLE), ""),
    # Tables
    Case("a new table is one step", NOTHING, one(A, **WHOLE), "createTable:t"),
    Case("a dropped table is kept aside", one(A, **WHOLE), NOTHING, "softDropTable:t"),
    Case("a dropped table, for good", one(A, **WHOLE), NOTHING, "dropTable:t", drop=HARD),
    Case("an archived table", one(A, **WHOLE), NOTHING, "archiveTable:t", drop=ARCHIVE),
    Case("tables after those they point at", NOTHING, POINTING, "createTable:u createTable:t"),
    Case(
        "a circle of foreign keys is closed later",
        NOTHING,
        CIRCLE,
        "createTable:u createTable:t addForeignKey:u(a)",
    ),
    Case(
        "a circle of foreign keys is opened first",
        CIRCLE,
        NOTHING,
        "dropForeignKey:u.f_t softDropTable:t softDropTable:u",
    ),
    Case(
        "a table that points at itself",
        NOTHING,
        one(A, foreign_keys=(key_to(T),)),
        "createTable:t",
    ),
    Case(
        "tables go after those that point at them", POINTING, NOTHING, "softDropTable softDropTable"
    ),
    Case(
        "a table that another one points at",
        POINTING,
        schema(table(T, A)),
        "dropForeignKey:t.f_u softDropTable:u",
    ),
    Case(
        "a table is renamed, with all that names it",
        POINTING,
        schema(
            table(T, A, foreign_keys=(put(key_to(V), name="f_u"),)),
            put(table(V), primary_key=PrimaryKey("u_pk", ("id",))),
        ),
        "renameTable:u",
        Hints(tables={U: V}),
    ),
    Case(
        "two tables that swap names",
        schema(table(T, A), table(U, B)),
        schema(
            put(table(T, B), primary_key=PrimaryKey("u_pk", ("id",))),
            put(table(U, A), primary_key=PrimaryKey("t_pk", ("id",))),
        ),
        "renameTable renameTable renameTable",
        Hints(tables={T: U, U: T}),
    ),
    Case(
        "a chain of renamed tables",
        BOTH,
        schema(
            put(table(U, A), primary_key=PrimaryKey("t_pk", ("id",))),
            put(table(V, A), primary_key=PrimaryKey("u_pk", ("id",))),
        ),
        "renameTable:u renameTable:t",
        Hints(tables={T: U, U: V}),
    ),
    Case(
        "a table that holds the name of a new index goes early",
        one(A, indexes=(INDEX,)),
        schema(table(U, A, indexes=(INDEX,))),
        "softDropTable:t createTable:u",
    ),
    Case("the comment of a table", one(), one(comment="it's"), "setComment:t"),
    Case("options of a table", one(), one(options=("fillfactor=70",)), "alterTableOptions:t"),
    Case(
        "several tables, by phases",
        schema(table(T, A, checks=(CHECK,)), table(U, A, B)),
        schema(table(T, A, C), table(U, A, indexes=(INDEX,)), table(V)),
        "createTable:v addColumn:t.c addIndex:u(a) dropCheck:t.k softDropColumn:u.b",
    ),
    # Columns
    Case("a new column", one(), one(A), "addColumn:t.a"),
    Case(
        "a new generated column after what it is made of",
        one(),
        one(A, G),
        "addColumn addGeneratedColumn",
    ),
    Case(
        "a new column with a foreign key",
        schema(table(T), table(U)),
        POINTING,
        "addColumn addForeignKey",
    ),
    Case("a dropped column", one(A, B), one(A), "softDropColumn:t.b"),
    Case("a dropped column, for good", one(A), one(), "dropColumn:t.a", drop=HARD),
    Case("an archived column", one(A, B), one(A), "archiveColumn:t.b", drop=ARCHIVE),
    Case(
        "an archive takes along what hangs on the column",
        one(A, **WHOLE),
        one(),
        "archiveColumn:t.a",
        drop=ARCHIVE,
    ),
    Case(
        "a soft drop takes along what hangs on the column",
        one(A, **WHOLE),
        one(),
        "softDropColumn:t.a",
    ),
    Case(
        "a hard drop comes after what hangs on the column",
        one(A, uniques=(UNIQUE,), indexes=(INDEX,)),
        one(),
        "dropUnique dropIndex dropColumn",
        drop=HARD,
    ),
    Case(
        "an index that is to be something else does not go with its column",
        one(A, B, indexes=(INDEX,)),
        one(B, indexes=(put(INDEX, keys=(IndexKey("b"),), columns=("b",)),)),
        "addIndex dropIndex renameIndex softDropColumn",
    ),
    Case(
        "a column that ends, though its name comes again",
        one(A, B, checks=(Check("k", "(a > b)", ("a", "b")),)),
        one(A, B, checks=(Check("k", "(a > b)", ("a", "b")),)),
        "softDropColumn:t.a addColumn:t.a addCheck:t.k",
        Hints(ended_columns=[(T, "a")]),
    ),
    Case(
        "a column renamed to the name of one that ends",
        one(A, B),
        one(A),
        "softDropColumn:t.a renameColumn:t.b alterColumnType",
        Hints(columns={(T, "b"): "a"}, ended_columns=[(T, "a")]),
    ),
    Case(
        "a table that ends, though its name comes again",
        schema(table(T, A), table(U, A, foreign_keys=(key_to(T),))),
        schema(table(T, A), table(U, A)),
        "dropForeignKey:u.f_t softDropTable:t createTable:t",
        Hints(ended_tables=[T]),
    ),
    Case(
        "a table renamed to the name of one that ends",
        BOTH,
        schema(table(T, A)),
        "softDropTable:t renameTable:u renameConstraint",
        Hints(tables={U: T}, ended_tables=[T]),
    ),
    Case(
        "a generated column goes for good, and first",
        one(A, G),
        one(),
        "dropColumn:t.g softDropColumn:t.a",
    ),
    Case(
        "a renamed column, with all that names it",
        one(A, **WHOLE),
        one(
            put(A, name="n"),
            uniques=(Unique("u", ("n",)),),
            checks=(Check("k", "(n > 0)", ("n",)),),
            exclusions=(Exclusion("x", "EXCLUDE USING gist (n WITH =)", ("n",)),),
            indexes=(Index("i", (IndexKey("n"),)),),
            policies=(Policy("o", using="(n > 0)"),),
        ),
        "renameColumn:t.a",
        Hints(columns={(T, "a"): "n"}),
    ),
    Case(
        "two columns that swap names",
        one(A, put(B, name="c")),
        one(put(A, name="c"), put(B, name="a")),
        "renameColumn renameColumn renameColumn",
        Hints(columns={(T, "a"): "c", (T, "c"): "a"}),
    ),
    Case(
        "a renamed column of a renamed table, which changes its type too",
        one(A),
        schema(put(table(U, Column("n", "bigint")), primary_key=PrimaryKey("t_pk", ("id",)))),
        "renameTable renameColumn alterColumnType",
        Hints(tables={T: U}, columns={(U, "a"): "n"}),
    ),
    Case("type", one(A), one(put(A, type="bigint")), "alterColumnType"),
    Case(
        "type and default at once",
        one(A),
        one(put(A, type="bigint", default="7")),
        "alterColumnType",
    ),
    Case("collation", one(B), one(put(B, collation='pg_catalog."C"')), "alterColumnType"),
    Case("storage", one(B), one(put(B, storage="external", compression="lz4")), "alterColumnType"),
    Case("a default", one(A), one(put(A, default="7")), "alterColumnDefault"),
    Case("no default", one(put(A, default="7")), one(A), "alterColumnDefault"),
    Case("not null", one(A), one(put(A, nullable=False)), "alterColumnNullable"),
    Case("null", one(put(A, nullable=False)), one(A), "alterColumnNullable"),
    Case("the comment of a column", one(A), one(put(A, comment="it's")), "setComment:t.a"),
    Case(
        "identity needs NOT NULL first",
        one(A),
        one(put(A, nullable=False, identity="always")),
        "alterColumnNullable alterColumnIdentity",
    ),
    Case(
        "NULL needs no identity first",
        one(put(A, nullable=False, identity="always")),
        one(A),
        "alterColumnIdentity alterColumnNullable",
    ),
    Case(
        "the expression of a generated column",
        one(A, G),
        one(A, put(G, generated="(a * 3)")),
        "alterGenerated",
    ),
    Case(
        "a generated column becomes plain",
        one(A, G),
        one(A, put(G, generated="", nullable=False)),
        "alterGenerated alterColumnNullable",
    ),
    Case(
        "a plain column becomes generated",
        one(A, put(G, generated=""), indexes=(Index("gi", (IndexKey("g"),)),)),
        one(A, G, indexes=(Index("gi", (IndexKey("g"),)),)),
        "softDropColumn addGeneratedColumn addIndex",
    ),
    Case(
        "type under a generated column", one(A, G), one(put(A, type="bigint"), G), "alterColumnType"
    ),
    Case(
        "type and expression over it",
        one(A, G),
        one(put(A, type="bigint"), put(G, generated="(a * 3)")),
        "dropColumn:t.g alterColumnType addGeneratedColumn:t.g",
    ),
    # Values for rows that exist
    Case(
        "a constant for existing rows",
        one(),
        one(put(A, nullable=False)),
        "addColumn alterColumnDefault",
        Hints(fills={(T, "a"): Fill("7")}),
    ),
    Case(
        "a value for each row",
        one(),
        one(put(A, nullable=False)),
        "addColumn alterColumnDefault",
        Hints(fills={(T, "a"): Fill("gen_random_uuid()")}),
    ),
    Case(
        "a value where NULL is forbidden",
        one(A),
        one(put(A, nullable=False)),
        "backfill alterColumnNullable",
        Hints(fills={(T, "a"): Fill("7")}),
    ),
    Case(
        "the database's own default needs no other value",
        one(),
        one(put(A, nullable=False, default="1")),
        "addColumn",
        Hints(fills={(T, "a"): Fill("7")}),
    ),
    # Constraints, indexes, policies
    Case(
        "all parts come",
        one(A),
        one(A, **WHOLE),
        "addUnique addCheck addExclusion addIndex createPolicy",
    ),
    Case(
        "all parts go",
        one(A, **WHOLE),
        one(A),
        "dropPolicy dropExclusion dropCheck dropUnique dropIndex",
    ),
    Case(
        "all parts change",
        one(A, B, **WHOLE),
        one(
            A,
            B,
            uniques=(put(UNIQUE, columns=("b",)),),
            checks=(put(CHECK, expression="(a > 1)"),),
            indexes=(put(INDEX, method="hash"),),
            policies=(put(POLICY, using="(a > 1)"),),
            exclusions=(put(EXCLUSION, columns=("b",)),),
        ),
        "addUnique addCheck addExclusion addIndex dropExclusion dropCheck dropUnique dropIndex "
        "renameConstraint renameConstraint renameConstraint renameIndex "
        "alterPolicy",
    ),
    Case(
        "all parts get other names",
        one(A, primary_key=KEY, **{**WHOLE, "policies": ()}),
        one(
            A,
            primary_key=put(KEY, name="pk2"),
            uniques=(put(UNIQUE, name="u2"),),
            checks=(put(CHECK, name="k2"),),
            exclusions=(put(EXCLUSION, name="x2"),),
            indexes=(put(INDEX, name="i2"),),
        ),
        "renameConstraint renameConstraint renameConstraint renameIndex renameConstraint",
    ),
    Case(
        "a name that is free only once its owner is gone",
        schema(
            table(T, A, indexes=(INDEX,)), table(U, A, indexes=(Index("j", (IndexKey("id"),)),))
        ),
        schema(table(T, A, indexes=(put(INDEX, name="j"),)), table(U, A)),
        "dropIndex:j renameIndex:i",
    ),
    Case(
        "all parts get comments",
        one(A, **WHOLE),
        one(
            A,
            **{part: tuple(put(i, comment="it's") for i in items) for part, items in WHOLE.items()},
        ),
        "setComment setComment setComment setComment setComment",
    ),
    Case(
        "options of an index",
        one(A, indexes=(INDEX,)),
        one(A, indexes=(put(INDEX, options=("fillfactor=70",)),)),
        "alterIndexOptions:i",
    ),
    Case(
        "an invalid index is built anew",
        one(A, indexes=(put(INDEX, valid=False),)),
        one(A, indexes=(INDEX,)),
        "dropIndex addIndex",
    ),
    Case(
        "what was not valid is validated",
        schema(
            table(T, A, checks=(put(CHECK, valid=False),), foreign_keys=(key_to(U, valid=False),)),
            table(U),
        ),
        schema(table(T, A, checks=(CHECK,), foreign_keys=(key_to(U),)), table(U)),
        "validateConstraint:t.k validateConstraint:t.f_u",
    ),
    Case(
        "another primary key",
        one(A),
        one(A, primary_key=PrimaryKey("t_pk", ("id", "a"))),
        "alterPrimaryKey",
    ),
    Case(
        "a foreign key follows the key that it rests on",
        POINTING,
        schema(
            table(T, A, foreign_keys=(key_to(U),)),
            table(U, primary_key=None, uniques=(Unique("u", ("id",)),)),
        ),
        "dropForeignKey alterPrimaryKey addUnique addForeignKey",
    ),
    Case(
        "both ends of a foreign key grow",
        POINTING,
        schema(
            table(T, put(A, type="bigint"), foreign_keys=(key_to(U),)),
            Table(U, (put(ID, type="bigint"),), PrimaryKey("u_pk", ("id",))),
        ),
        "alterColumnType:t.a alterColumnType:u.id",
    ),
    Case(
        "both ends of a foreign key become something else",
        POINTING,
        schema(
            table(T, put(A, type="text"), foreign_keys=(key_to(U),)),
            Table(U, (put(ID, type="text"),), PrimaryKey("u_pk", ("id",))),
        ),
        "dropForeignKey alterColumnType:t.a alterColumnType:u.id addForeignKey",
    ),
    Case(
        "when a foreign key is checked",
        schema(table(T, A, foreign_keys=(key_to(U, deferrable="deferred"),)), table(U)),
        POINTING,
        "alterForeignKey",
    ),
    Case(
        "when a foreign key is checked, and its name and comment",
        schema(table(T, A, foreign_keys=(key_to(U, deferrable="deferred"),)), table(U)),
        schema(table(T, A, foreign_keys=(put(key_to(U), name="n", comment="c"),)), table(U)),
        "renameConstraint alterForeignKey setComment",
    ),
    # Row security
    Case("row security", one(), one(row_security=True), "enableRls"),
    Case(
        "row security for the owner too",
        one(row_security=True),
        one(row_security=True, force_row_security=True),
        "enableRls",
    ),
    Case(
        "policies come before row security",
        one(A),
        one(A, row_security=True, policies=(POLICY,)),
        "createPolicy enableRls",
    ),
    Case(
        "row security goes before its policies",
        one(A, row_security=True, policies=(POLICY,)),
        one(A),
        "disableRls dropPolicy",
    ),
    Case(
        "a policy under another name",
        one(A, policies=(POLICY,)),
        one(A, policies=(put(POLICY, name="p"),)),
        "alterPolicy",
    ),
    Case(
        "a policy for another command is never away for a moment",
        one(A, policies=(POLICY,)),
        one(A, policies=(put(POLICY, command="DELETE"),)),
        "alterPolicy",
    ),
    Case(
        "a policy lets a column go",
        one(A, B, policies=(POLICY,)),
        one(B, policies=(put(POLICY, using="(b > 0)"),)),
        "alterPolicy softDropColumn",
    ),
    Case(
        "a policy changes with the type of its column",
        one(A, policies=(POLICY,)),
        one(put(A, type="text"), policies=(put(POLICY, using="(a > 'a')"),)),
        "alterColumnType",
    ),
    Case(
        "a policy in the way of two new types",
        one(A, C, policies=(put(POLICY, using="(a > c)"),)),
        one(
            put(A, type="text"),
            put(C, type="text"),
            policies=(put(POLICY, using="(a > 'c')"),),
        ),
        "dropPolicy alterColumnType alterColumnType createPolicy",
    ),
    # What tables stand on
    Case(
        "foundations come first and go last",
        schema(table(T), extensions=(Extension("hstore"),)),
        schema(
            table(TableName("s", "t")),
            extensions=(Extension("citext"),),
            schemas=("s",),
            collations=(Collation(TableName("", "c"), "icu", "de"),),
        ),
        "createExtension createSchema createCollation createTable softDropTable dropExtension",
    ),
]


def spelled(operation: Operation, expected: str) -> str:
    return f"{operation.kind}:{operation.target}" if ":" in expected else operation.kind


def kinds(operations: tuple[Operation, ...], expected: str) -> str:
    """The kinds, with targets where the expected ones have them."""
    words = expected.split()
    pairs = zip(operations, [*words, *[""] * len(operations)], strict=False)
    return " ".join(spelled(operation, word) for operation, word in pairs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_difference_is_these_operations(case: Case) -> None:
    operations = diff(case.before, case.after, case.hints, drop=case.drop)
    assert kinds(operations, case.expected) == case.expected
    arrived = functools.reduce(lambda g, operation: operation.apply_to(g), operations, case.before)
    assert arrived == case.after


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_inverses_lead_back(case: Case) -> None:
    operations = diff(case.before, case.after, case.hints, drop=case.drop)
    inverses = [operation.inverse() for operation in reversed(operations)]
    if None in inverses:
        pytest.skip("one of the operations has no inverse")
    graph = case.after
    for inverse in inverses:
        assert inverse is not None
        graph = inverse.apply_to(graph)
    assert graph == case.before


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_schema_does_not_differ_from_itself(case: Case) -> None:
    assert diff(case.before, case.before) == diff(case.after, case.after) == ()


def test_operations_bear_the_model_of_their_table() -> None:
    [operation] = diff(one(), one(A), Hints(labels={T: "shop.Thing"}))
    assert operation.model == "shop.Thing"  # type: ignore[attr-defined]


def test_a_rename_to_a_name_that_another_table_keeps_is_left_out() -> None:
    assert diff(BOTH, BOTH, Hints(tables={T: U}, columns={(U, "a"): "id"})) == ()


def test_a_column_that_cannot_be_set_aside_is_refused() -> None:
    part = Table(T, (ID, A), partition_key="RANGE (a)")
    with pytest.raises(CannotDrop, match="partition key"):
        diff(schema(part), schema(put(part, columns=(ID,))))
