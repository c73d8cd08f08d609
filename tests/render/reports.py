"""A plan with everything in it that a format has to show, and names that are as long as PostgreSQL
allows."""

from __future__ import annotations

from collections.abc import Sequence

from zanith_django.files.migration import LoadedMigration
from zanith_django.operations import AddColumn, DropColumn
from zanith_django.operations.base import Context
from zanith_django.plan import gates
from zanith_django.plan.collisions import Collision
from zanith_django.plan.durations import Duration
from zanith_django.plan.effects.running_code import Break
from zanith_django.plan.effects.values import Effect
from zanith_django.plan.findings import Finding
from zanith_django.plan.gates import Policy
from zanith_django.plan.integrity import Flaw
from zanith_django.plan.plan import SKIPPED, Plan, PlannedMigration, PlannedStep
from zanith_django.plan.risk import Assessment
from zanith_django.plan.ways_back import WayBack
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.render.report import PlanReport
from zanith_django.schema.dependents import Dependent
from zanith_django.schema.graph import Column, SchemaGraph, Table
from zanith_django.timeline.timeline import Entry

LONG = "a_name_that_is_as_long_as_postgresql_lets_a_name_be_63_bytes_ok"
SHORT = TableName("", "orders")
NASTY = (
    TableName(LONG, LONG),
    TableName("", "| table`with*markdown_<b>&\nand a line\x1b[2J, 100%: ::error::"),
    TableName("", "大きなテーブル名" * 2),
)


def dropping(
    table: TableName, number: int, *, column: str = "legacy", more: bool = False
) -> PlannedStep:
    """A drop of a column that is refused; with `more`, with all that a step may have."""
    dropped = Column(column, "text")
    operation = DropColumn(table=table, column=dropped)
    context = Context(graph=SchemaGraph((Table(table, (dropped,)),)))
    codes = ("drops_column_with_data", "breaks_running_code")
    statements = operation.statements(context)
    if not more:
        return PlannedStep(number, operation, Assessment.of(codes), statements)
    view = Dependent("view", f"{LONG}.{LONG}")
    return PlannedStep(
        number,
        operation,
        Assessment.of(codes),
        statements,
        rows=1_234_567,
        collisions=(Collision(f"The view {LONG}.{LONG} reads it", "drop it first", view),),
        findings=(Finding(f"3 rows of {table}", "fix them", True, "x", 3, ("id 1", "id 2")),),
        effects=(Effect("", {table: Lock.ACCESS_EXCLUSIVE, NASTY[0]: Lock.SHARE_ROW_EXCLUSIVE}),),
        breaks=(Break(table, "Selects", f"the column {column} is gone"),),
        back=WayBack(f"zanith_recover restore-column {table}.{column}", "its values are NULL"),
        duration=Duration(3700, 120),
    )


def adding(
    table: TableName, number: int, *, approved: str = "", status: str = "pending"
) -> PlannedStep:
    operation = AddColumn(table=table, column=Column("note", "text"))
    context = Context(graph=SchemaGraph((Table(table, ()),)))
    return PlannedStep(
        number,
        operation,
        Assessment.of(("adds_nullable_column",)),
        operation.statements(context),
        approved=approved,
        status=status,
    )


def migration(name: str, steps: Sequence[PlannedStep]) -> PlannedMigration:
    entry = Entry(name, (("shop", "0002_x"),), LoadedMigration(name, "shop", ()))
    return PlannedMigration(entry, tuple(steps))


def report(*migrations: PlannedMigration, max_risk: int = 35, verbosity: int = 1) -> PlanReport:
    """The plan with what the gates say of it."""
    plan = Plan("default", migrations)
    refusals = tuple(gates.check(plan, Policy(max_risk=max_risk)))
    return PlanReport(plan, refusals, "production", max_risk, verbosity=verbosity)


def nasty(verbosity: int = 1) -> PlanReport:
    steps = [dropping(table, n, column=LONG, more=True) for n, table in enumerate(NASTY, 1)]
    steps.append(adding(SHORT, 4, approved=f"because {LONG}{LONG} is not used"))
    steps.append(adding(SHORT, 5, status=SKIPPED))
    plan = Plan(
        "default",
        (migration(f"20260101_000000_{LONG}{LONG}", steps), migration("20260102_000000_b", ())),
        flaws=(Flaw("20260102_000000_b", 0, "was edited after it ran"),),
        uncovered=(("shop", "0003_floor"),),
        unseen=(f"{LONG}.{LONG}",),
    )
    refusals = tuple(gates.check(plan, Policy(max_risk=35, fail_on=("breaks_running_code",))))
    newer = (f"20270101_000000_{LONG}{LONG}",)
    receivers = (f"shop.{LONG}.add_operations",)
    return PlanReport(plan, refusals, "production", 35, newer, receivers, verbosity=verbosity)


def of_size(count: int) -> PlanReport:
    """A plan of that many steps in migrations of ten."""
    tables = [TableName("", f"table_{number}") for number in range(count)]
    made = []
    for start in range(0, count, 10):
        some = enumerate(tables[start : start + 10], 1)
        steps = [dropping(name, number, more=True) for number, name in some]
        made.append(migration(f"20260101_{start:06d}_many", steps))
    return report(*made)
