"""What a plan says of a step that works in several phases."""

from __future__ import annotations

from pathlib import Path

from zanith_django.operations import AddColumn, AlterColumnDefault, AlterColumnType
from zanith_django.operations.base import Context
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.plan.risk import assess
from zanith_django.plan.ways_back import WayBack
from zanith_django.postgres.names import TableName
from zanith_django.render.report import PlanReport
from zanith_django.render.text import near, plan_text
from zanith_django.schema.graph import Column, SchemaGraph, Table
from zanith_django.timeline.timeline import Entry

ORDERS = TableName("", "orders")


def test_a_plan_shows_the_phases_of_a_step_with_their_locks_and_its_undo() -> None:
    old, new = Column("total", "integer"), Column("total", "bigint")
    operation = AlterColumnType(table=ORDERS, old=old, new=new)
    context = Context(graph=SchemaGraph((Table(ORDERS, (old,)),)))
    statements = operation.statements(context)
    verdict = assess(operation, context, statements)
    step = PlannedStep(1, operation, verdict, statements, back=WayBack("zanith_rollback"))
    migration = PlannedMigration(Entry("20260101_000000_totals", (("shop", "0002"),)), (step,))
    text = "\n".join(plan_text(PlanReport(Plan("default", (migration,)))))
    told = [line.strip() for line in text.splitlines() if "phase:" in line or "lock:" in line]
    assert told == [
        "phase: expand: a new column, and a trigger that keeps it in step",
        "lock: ACCESS EXCLUSIVE on orders, for an instant; blocks reads and writes",
        "phase: fill: the existing rows, in batches",
        "lock: ROW EXCLUSIVE on orders, while the table is read; blocks only",
        "phase: prepare: indexes and constraints of the new column, while the table",
        "lock: ACCESS EXCLUSIVE on orders, for an instant; blocks reads and writes",
        "phase: swap: one short transaction; the old column stays, hidden",
        "lock: ACCESS EXCLUSIVE on orders, for an instant; blocks reads and writes",
    ]
    assert "undo: zanith_rollback" in text


def test_the_targets_of_a_migration_are_aligned() -> None:
    old = Column("total", "integer")
    table = Table(ORDERS, (old,))
    operations = (
        AddColumn(table=ORDERS, column=Column("note", "text")),
        AlterColumnDefault(table=ORDERS, column="total", new="0"),
    )
    context = Context(graph=SchemaGraph((table,)))
    steps = []
    for number, operation in enumerate(operations, 1):
        statements = operation.statements(context)
        steps.append(
            PlannedStep(number, operation, assess(operation, context, statements), statements)
        )
    migration = PlannedMigration(Entry("20260101_000000_totals", (("shop", "0002"),)), tuple(steps))
    lines = plan_text(PlanReport(Plan("default", (migration,)), verbosity=2))
    assert {line.index("orders.") for line in lines if line.startswith("  0")} == {43}


def test_a_path_is_printed_as_a_user_would_type_it() -> None:
    assert near(Path.cwd() / "shop" / "a.py") == Path("shop/a.py")
    assert near(Path("/elsewhere/a.py")) == Path("/elsewhere/a.py")
