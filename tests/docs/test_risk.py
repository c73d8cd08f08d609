"""docs/risk.md: everyday changes with the scores that a plan gives them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages import how_long
from zanith_django import operations as ops
from zanith_django.operations import Operation
from zanith_django.operations.base import Context, Default, TableFacts
from zanith_django.plan.risk import assess
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Check,
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

PAGE = Path(__file__).parents[2] / "docs/risk.md"
USERS, TEAMS, NEW = TableName("", "users"), TableName("", "teams"), TableName("", "tags")
ID = Column("id", "bigint", nullable=False)
NAME = Column("name", "character varying(20)", nullable=False)
AGE = Column("age", "integer")
TEAM = Column("team_id", "bigint")
KEY = ForeignKey("users_team_fk", ("team_id",), TEAMS, ("id",))
BY_NAME = Index("users_name_idx", (IndexKey("name"),))
ONE_NAME = Unique("users_name_key", ("name",))
GROWN_UP = Check("users_age_check", "(age >= 18)", ("age",))
ROOM = Exclusion("users_room", "EXCLUDE USING gist (name WITH =)", ("name",))
POLICY = Policy("own_rows", using="(true)")
table = Table(
    USERS,
    (ID, NAME, AGE, TEAM),
    primary_key=PrimaryKey("users_pkey", ("id",)),
    foreign_keys=(KEY,),
    indexes=(BY_NAME,),
    uniques=(ONE_NAME,),
    checks=(GROWN_UP,),
    policies=(POLICY,),
)
GRAPH = SchemaGraph((table, Table(TEAMS, (ID,), primary_key=PrimaryKey("teams_pkey", ("id",)))))
FACTS = {name: TableFacts(50_000, 5_000_000) for name in (USERS, TEAMS)}
CONTEXT = Context(graph=GRAPH, facts=FACTS, migration_id="m")
new = Table(NEW, (ID, NAME), primary_key=PrimaryKey("tags_pkey", ("id",)))


def added(name: str, kind: str, **options: object) -> Operation:
    default = options.pop("filled", None)
    column = Column(name, kind, **options)  # type: ignore[arg-type]
    return ops.AddColumn(table=USERS, column=column, default=default)  # type: ignore[arg-type]


def retyped(old: Column, kind: str) -> Operation:
    return ops.AlterColumnType(table=USERS, old=old, new=Column(old.name, kind, old.nullable))


def on(kind: type[Operation], **fields: object) -> Operation:
    return kind(table=USERS, **fields)  # type: ignore[call-arg]


CHANGES: dict[str, Operation] = {
    "create a table": ops.CreateTable(table=new),
    "add a nullable column": added("note", "text"),
    "add a column with `db_default`": added("rank", "integer", nullable=False, default="0"),
    "add a NOT NULL column without a default in the database": added("x", "text", nullable=False),
    "add a column with `db_default=gen_random_uuid()`": added(
        "token", "uuid", nullable=False, default="gen_random_uuid()"
    ),
    "add a NOT NULL column filled by a callable": added(
        "code", "text", nullable=False, filled=Default("shop.0002", 1)
    ),
    "add a stored generated column": on(
        ops.AddGeneratedColumn, column=Column("double", "integer", generated="(age * 2)")
    ),
    "rename a column": on(ops.RenameColumn, old="name", new="title"),
    "rename a table": ops.RenameTable(old=USERS, new=TableName("", "people")),
    "drop a column softly": on(ops.SoftDropColumn, column=AGE),
    "drop a column for good": on(ops.DropColumn, column=AGE),
    "drop a table softly": ops.SoftDropTable(table=table),
    "drop a table for good": ops.DropTable(table=table),
    "archive a column": ops.ArchiveColumn.of(table, AGE),
    "add an index": on(ops.AddIndex, index=Index("i", (IndexKey("age"),))),
    "add a unique index": on(ops.AddIndex, index=Index("i", (IndexKey("age"),), unique=True)),
    "drop an index": on(ops.DropIndex, index=BY_NAME),
    "rename an index": on(ops.RenameIndex, old="users_name_idx", new="by_name"),
    "add a unique constraint": on(ops.AddUnique, unique=Unique("u", ("age",))),
    "drop a unique constraint": on(ops.DropUnique, unique=ONE_NAME),
    "add a foreign key": on(
        ops.AddForeignKey, foreign_key=ForeignKey("fk", ("team_id",), TEAMS, ("id",))
    ),
    "drop a foreign key": on(ops.DropForeignKey, foreign_key=KEY),
    "add a check": on(ops.AddCheck, check=Check("c", "(age > 0)", ("age",))),
    "add a check NOT VALID": on(ops.AddCheck, check=Check("c", "(age > 0)", ("age",), valid=False)),
    "validate a constraint": on(ops.ValidateConstraint, name="users_age_check"),
    "drop a check": on(ops.DropCheck, check=GROWN_UP),
    "add an exclusion constraint": on(ops.AddExclusion, exclusion=ROOM),
    "set NOT NULL": on(ops.AlterColumnNullable, column="age", nullable=False),
    "set NOT NULL with a value for NULLs": on(
        ops.AlterColumnNullable, column="age", nullable=False, fill="0"
    ),
    "drop NOT NULL": on(ops.AlterColumnNullable, column="name", nullable=True),
    "set a default": on(ops.AlterColumnDefault, column="age", new="18"),
    "widen varchar(20) to varchar(50)": retyped(NAME, "character varying(50)"),
    "varchar to text": retyped(NAME, "text"),
    "shrink varchar(20) to varchar(10)": retyped(NAME, "character varying(10)"),
    "integer to bigint": retyped(AGE, "bigint"),
    "integer to smallint": retyped(AGE, "smallint"),
    "backfill a column": on(ops.Backfill, column="age", value="0"),
    "change a comment": on(ops.SetComment, old="", new="People"),
    "create an extension": ops.CreateExtension(extension=Extension("citext")),
    "drop an extension": ops.DropExtension(extension=Extension("citext")),
    "enable row security": on(ops.EnableRls),
    "add a policy": on(ops.CreatePolicy, policy=POLICY),
    "rebuild a table": on(ops.RebuildTable),
}


def judged(operation: Operation) -> str:
    """Score, reasons and strongest lock of a change, as the page has them."""
    statements = operation.statements(CONTEXT)
    found = assess(operation, CONTEXT, statements)
    reasons = ", ".join(f"`{code}`" for code in found.reasons)
    worst = max(statements, key=lambda statement: statement.lock)
    lock = f"{worst.lock}, {how_long(worst)}" if worst.lock is not Lock.NONE else "none"
    return f"{found.score} | {reasons} | {lock}"


def written() -> dict[str, str]:
    """{change: what the page says of it}."""
    rows = re.findall(r"^\| ([^|]+?) \| (\d+ \| .*) \|$", PAGE.read_text(), re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("change", CHANGES)
def test_the_page_has_the_verdict_on_a_change(change: str) -> None:
    assert written()[change] == judged(CHANGES[change])


def test_the_page_has_no_other_change_and_at_least_forty() -> None:
    assert written().keys() == CHANGES.keys()
    assert len(CHANGES) >= 40


# Reasons that a team does not live with every day.
HARD = {
    *("adds_required_column_without_default", "breaks_running_code", "rename_column"),
    *("rename_table", "drops_column_with_data", "drops_table_with_data", "drops_extension"),
    *("locks_reads", "rewrites_table", "narrows_column_type", "rls_change", "rebuilds_table"),
}


def test_the_budget_of_the_readme_is_one_to_live_with() -> None:
    readme = (PAGE.parents[1] / "README.md").read_text()
    budgets = {int(score) for score in re.findall(r"zanith_plan[^`\n]*--max-risk (\d+)", readme)}
    (budget,) = budgets
    assert f"With a budget of {budget} a" in PAGE.read_text()
    scores = {
        change: assess(each, CONTEXT, each.statements(CONTEXT)) for change, each in CHANGES.items()
    }
    within = [change for change, found in scores.items() if found.score <= budget]
    assert len(scores) >= 40
    words = (
        f"Of the {len(scores)} everyday changes in [docs/risk.md](docs/risk.md), {len(within)} are"
    )
    assert words in " ".join(readme.split())
    for change, found in scores.items():
        assert (change in within) is HARD.isdisjoint(found.reasons), change
