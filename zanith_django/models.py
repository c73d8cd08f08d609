"""The five tables of the ledger as Django models, for reading: only `ledger/` creates and fills
them.

None has a foreign key: a migration that failed has steps and snapshots but no row of its own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext, gettext_lazy as _

from zanith_django.ledger import step_rows
from zanith_django.plan.levels import Level

DJANGO_PREFIX = "django:"


class LedgerTime(models.DateTimeField):  # type: ignore[type-arg]  # none at run time
    """A time field that reads every value of a row. In migrations it is Django's own field."""

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        return step_rows.readable_time(sql), [*params] * 5

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.DateTimeField", [*args], kwargs


class Status(models.TextChoices):
    """The status of a step."""

    PENDING = step_rows.PENDING, _("pending")
    RUNNING = step_rows.RUNNING, _("running")
    DONE = step_rows.DONE, _("done")
    FAILED = step_rows.FAILED, _("failed")
    SKIPPED = step_rows.SKIPPED, _("skipped")
    ROLLED_BACK = step_rows.ROLLED_BACK, _("rolled back")


SIGILS: dict[str, str] = {
    Status.PENDING: "○",
    Status.RUNNING: "↻",
    Status.DONE: "✓",
    Status.FAILED: "✗",
    Status.SKIPPED: "–",  # noqa: RUF001  # as wide as the others
    Status.ROLLED_BACK: "↶",
}


class Phase(models.TextChoices):
    """When a snapshot was taken."""

    BASELINE = "baseline", _("baseline")
    BEFORE = "before", _("before")
    AFTER = "after", _("after")


class RiskLevel(models.TextChoices):
    """The levels of `plan/levels.py`, as stored."""

    SAFE = str(Level.SAFE), _("safe")
    LOW = str(Level.LOW), _("low")
    MEDIUM = str(Level.MEDIUM), _("medium")
    HIGH = str(Level.HIGH), _("high")
    DESTRUCTIVE = str(Level.DESTRUCTIVE), _("destructive")
    BLOCKED = str(Level.BLOCKED), _("blocked")


class Migration(models.Model):
    """A migration that ran to its end; one that failed has steps, but no row here."""

    id = models.TextField(_("migration"), primary_key=True)
    applied_at = LedgerTime(_("applied"))

    class Meta:
        managed = False
        db_table = "_zanith_migrations"
        default_permissions = ("view",)
        permissions: ClassVar = [("view_plan", "Can view the pending plan")]
        verbose_name = _("migration")
        verbose_name_plural = _("migrations")

    def __str__(self) -> str:
        return self.id

    @property
    def source(self) -> str:
        """`django` for a Django migration that has no file, else `zanith`."""
        return "django" if self.id.startswith(DJANGO_PREFIX) else "zanith"


class MigrationStep(models.Model):
    """One attempt at one operation of a migration."""

    id = models.TextField(_("step"), primary_key=True)
    migration_id = models.TextField(_("migration"))
    operation_kind = models.TextField(_("kind"))
    status = models.TextField(_("status"), choices=Status)
    sql = models.TextField(_("SQL"))
    risk_level = models.TextField(_("risk level"), choices=RiskLevel)
    risk_score = models.IntegerField(_("risk score"))
    error = models.TextField(_("error"), null=True)  # noqa: DJ001  # as the table has it
    started_at = LedgerTime(_("started"), null=True)
    finished_at = LedgerTime(_("finished"), null=True)

    class Meta:
        managed = False
        db_table = "_zanith_migration_steps"
        default_permissions = ("view",)
        permissions: ClassVar = [("view_sql", "Can view SQL, errors and kept values")]
        verbose_name = _("migration step")
        verbose_name_plural = _("migration steps")

    def __str__(self) -> str:
        return self.id

    @property
    def step(self) -> int:
        return step_rows.split_step_id(self.id)[1]

    @property
    def attempt(self) -> int:
        return step_rows.split_step_id(self.id)[2]

    @property
    def sigil(self) -> str:
        return sigil(self.status)

    @property
    def duration(self) -> timedelta | None:
        if self.started_at is None or self.finished_at is None:
            return None
        took: timedelta = self.finished_at - self.started_at
        return took

    @property
    def took(self) -> str:
        return spoken(self.duration)


class SchemaSnapshot(models.Model):
    """The schema before or after a migration; `graph["run"]` has the user and the file."""

    pk = models.CompositePrimaryKey("migration_id", "phase")
    migration_id = models.TextField(_("migration"))
    phase = models.TextField(_("phase"), choices=Phase)
    graph = models.JSONField(_("schema"))
    captured_at = LedgerTime(_("captured"))

    class Meta:
        managed = False
        db_table = "_zanith_schema_snapshots"
        default_permissions = ("view",)
        verbose_name = _("schema snapshot")
        verbose_name_plural = _("schema snapshots")

    def __str__(self) -> str:
        return f"{self.migration_id}:{self.phase}"


class MigrationArtifact(models.Model):
    """The kept object of a recoverable drop."""

    id = models.TextField(_("artifact"), primary_key=True)
    migration_id = models.TextField(_("migration"))
    artifact_type = models.TextField(_("kind"))
    source_schema = models.TextField(_("schema"))
    source_table = models.TextField(_("table"))
    source_column = models.TextField(_("column"), null=True)  # noqa: DJ001  # as the table has it
    physical_name = models.TextField(_("kept as"))
    row_count = models.BigIntegerField(_("rows"), null=True)
    checksum = models.TextField(_("checksum"), null=True)  # noqa: DJ001  # as the table has it
    recovery_sql = models.TextField(_("recovery SQL"))
    metadata = models.JSONField(_("metadata"))
    created_at = LedgerTime(_("created"))
    expires_at = LedgerTime(_("restored or purged"), null=True)

    class Meta:
        managed = False
        db_table = "_zanith_migration_artifacts"
        default_permissions = ("view",)
        permissions: ClassVar = [
            ("restore_artifact", "Can restore an artifact"),
            ("purge_artifact", "Can purge an artifact"),
        ]
        verbose_name = _("artifact")
        verbose_name_plural = _("artifacts")

    def __str__(self) -> str:
        return self.id

    @property
    def target(self) -> str:
        """`users` or `users.legacy_uuid`, as zanith_recover takes it."""
        return self.id.rsplit("::", 1)[-1]

    @property
    def rows_text(self) -> str:
        return "" if self.row_count is None else f"{self.row_count:,}"

    @property
    def recoverable(self) -> bool:
        return self.expires_at is None


class MigrationCheckpoint(models.Model):
    """The progress of a backfill."""

    id = models.TextField(_("checkpoint"), primary_key=True)
    migration_id = models.TextField(_("migration"))
    cursor = models.JSONField(_("last key"), null=True)
    processed_rows = models.BigIntegerField(_("rows done"))
    total_rows = models.BigIntegerField(_("rows in all"), null=True)
    status = models.TextField(_("status"), choices=Status)
    updated_at = LedgerTime(_("updated"))

    class Meta:
        managed = False
        db_table = "_zanith_migration_checkpoints"
        default_permissions = ("view",)
        verbose_name = _("backfill checkpoint")
        verbose_name_plural = _("backfill checkpoints")

    def __str__(self) -> str:
        return self.id

    @property
    def percent(self) -> int | None:
        """0 to 100; None while the number of rows is unknown."""
        if self.total_rows is None:
            return None
        if self.processed_rows >= self.total_rows:
            return 100
        return 100 * self.processed_rows // self.total_rows

    @property
    def rows_text(self) -> str:
        """`42,000 of 100,000 rows`."""
        done = f"{self.processed_rows:,}"
        if self.total_rows is None:
            return gettext("%(done)s rows") % {"done": done}
        return gettext("%(done)s of %(total)s rows") % {
            "done": done,
            "total": f"{self.total_rows:,}",
        }

    @property
    def sigil(self) -> str:
        return sigil(self.status)


def sigil(status: str) -> str:
    """The sign of a status; "?" for one that a later release may have stored."""
    return SIGILS.get(status, "?")


def spoken(duration: timedelta | None) -> str:
    """`3 min 20 s`; empty for None."""
    from zanith_django.render.durations import spelled_seconds  # every process imports the models

    return "" if duration is None else spelled_seconds(duration.total_seconds())
