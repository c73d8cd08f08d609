"""What a plan says of a step that works in several phases."""

from __future__ import annotations

from django.core.management.color import no_style

from zanith_django.operations import AlterColumnType
from zanith_django.operations.base import Context
from zanith_django.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.render.text import plan_text
from zanith_django.risk import assess
from zanith_django.schema.graph import Column, SchemaGraph, Table, TableName
from zanith_django.timeline import Entry

ORDERS = TableName("", "orders")


def test_a_plan_tells_the_phases_of_a_step_with_the_lock_of_each_and_how_to_undo_it() -> None:
    old, new = Column("total", "integer"), Column("total", "bigint")
    operation = AlterColumnType(table=ORDERS, old=old, new=new)
    context = Context(graph=SchemaGraph((Table(ORDERS, (old,)),)))
    statements = operation.statements(context)
    step = PlannedStep(1, operation, assess(operation, context, statements), statements)
    migration = PlannedMigration(Entry("20260101_000000_totals", (("shop", "0002"),)), (step,))
    text = "\n".join(plan_text(Plan("default", (migration,)), (), 100, no_style()))
    told = [line.strip() for line in text.splitlines() if "phase:" in line or "lock:" in line]
    assert told == [
        "phase: expand: a new column, and a trigger that keeps it in step",
        "lock: ACCESS EXCLUSIVE on orders, for an instant; blocks reads and writes",
        "phase: fill: the rows that are there, in batches",
        "lock: ROW EXCLUSIVE on orders, while the table is read; blocks nothing",
        "phase: prepare: indexes and constraints of the new column, while everybody",
        "lock: ACCESS EXCLUSIVE on orders, for an instant; blocks reads and writes",
        "phase: swap: one short transaction; the old column stays, hidden",
        "lock: ACCESS EXCLUSIVE on orders, for an instant; blocks reads and writes",
    ]
    assert "undo: zanith_rollback" in text
