"""A ledger with believable rows, written by the ledger itself, and people who look at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client

from zanith_django.ledger.checkpoints import Checkpoint
from zanith_django.ledger.details import StepDetail, spelled
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import DONE, FAILED, RUNNING
from zanith_django.ledger.steps import PendingStep
from zanith_django.operations.base import Artifact
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import (
    Check,
    Column,
    ForeignKey,
    Index,
    IndexKey,
    Policy,
    PrimaryKey,
    SchemaGraph,
    Table,
    Unique,
)

APPLIED = "20260501_113022_user_last_login"
BROKEN = "20260502_090000_unique_email"
DJANGO = "django:auth.0012_alter_user_first_name_max_length"
ARTIFACT = f"{APPLIED}::soft_drop_column::users.legacy_uuid"
RUN = {"user": "deploy", "host": "web-1", "versions": {"zanith_django": "0.1.0"}}

DETAILS = {
    f"{APPLIED}::0001": StepDetail(
        target="users.last_login",
        description="add column users.last_login (timestamp with time zone)",
        lock="ACCESS EXCLUSIVE",
        reasons=("adds_nullable_column",),
        tables=("users",),
        by="deploy@web-1",
    ),
    f"{APPLIED}::0002": StepDetail(target="users.legacy_uuid", tables=("users",)),
}

USERS = Table(
    TableName("", "users"),
    columns=(
        Column("id", "bigint", nullable=False, identity="by default"),
        Column("email", "text", nullable=False, collation="C"),
        Column("shop_id", "bigint"),
        Column("created_at", "timestamp with time zone", nullable=False, default="now()"),
    ),
    primary_key=PrimaryKey("users_pkey", ("id",)),
    uniques=(Unique("users_email_key", ("email",)),),
    foreign_keys=(
        ForeignKey("users_shop_fk", ("shop_id",), TableName("", "shops"), ("id",), "CASCADE"),
    ),
    checks=(Check("users_email_has_at", "(email ~~ '%@%'::text)", ("email",), valid=False),),
    indexes=(
        Index(
            "users_created",
            (IndexKey(column="created_at", order="DESC"),),
            predicate="(shop_id IS NOT NULL)",
        ),
    ),
    policies=(Policy("own_rows", using="(id = 1)"),),
    row_security=True,
)
GRAPH = SchemaGraph(tables=(USERS, Table(TableName("", "shops"), (Column("id", "bigint"),))))


@pytest.fixture
def ledger(db: None) -> Ledger:
    """The five tables, empty."""
    ledger = Ledger(connection)
    ledger.ensure()
    return ledger


@pytest.fixture
def history(ledger: Ledger) -> Ledger:
    """One applied migration, one of Django's, one that failed."""
    _applied(ledger)
    _django(ledger)
    _broken(ledger)
    return ledger


def _applied(ledger: Ledger) -> None:
    ledger.write_snapshot(APPLIED, "before", GRAPH, {**RUN, "details": spelled(DETAILS)})
    ledger.add_pending(
        APPLIED,
        [
            PendingStep(
                1, "addColumn", "ALTER TABLE users ADD COLUMN last_login timestamptz", "safe", 5
            ),
            PendingStep(2, "softDropColumn", "ALTER TABLE users RENAME …", "destructive", 80),
        ],
    )
    for step in (1, 2):
        ledger.start(f"{APPLIED}::{step:04d}")
        ledger.finish(f"{APPLIED}::{step:04d}", DONE)
    ledger.write_snapshot(APPLIED, "after", GRAPH, RUN)
    ledger.write_artifact(
        APPLIED,
        Artifact(
            id=ARTIFACT,
            type="soft_drop_column",
            table=TableName("", "users"),
            column="legacy_uuid",
            physical_name="_zanith_dropped_0123456789ab",
            recovery_sql="ALTER TABLE users RENAME COLUMN _zanith_dropped_0123456789ab TO …",
            count="SELECT 1",
            metadata={"column": {"type": "uuid"}},
        ),
        "public",
        1234,
        "c0ffee",
    )
    ledger.record(APPLIED)


def _django(ledger: Ledger) -> None:
    ledger.add_pending(DJANGO, [PendingStep(1, "djangoOperation", "ALTER TABLE …", "low", 15)])
    ledger.start(f"{DJANGO}::0001")
    ledger.finish(f"{DJANGO}::0001", DONE)
    ledger.record(DJANGO)


def _broken(ledger: Ledger) -> None:
    """Step 1 runs a backfill, step 2 failed once and waits for its second attempt."""
    ledger.add_pending(
        BROKEN,
        [
            PendingStep(1, "backfill", "UPDATE users SET email = lower(email)", "medium", 35),
            PendingStep(2, "addUnique", "CREATE UNIQUE INDEX <users_email>", "medium", 35),
        ],
    )
    ledger.start(f"{BROKEN}::0001")
    ledger.start(f"{BROKEN}::0002")
    ledger.finish(f"{BROKEN}::0002", FAILED, error="duplicate key: <b>ann@example.org</b>")
    ledger.save_checkpoint(Checkpoint(f"{BROKEN}::0001", BROKEN, [4200], 420, 1000, RUNNING))


@pytest.fixture
def superuser(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """A client of a staff user with the view permissions of these models."""

    def login(*models: str) -> Client:
        user = User.objects.create_user("staff", is_staff=True)
        names = [f"view_{model}" for model in models]
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="zanith_django", codename__in=names)
        )
        client = Client()
        client.force_login(user)
        return client

    return login
