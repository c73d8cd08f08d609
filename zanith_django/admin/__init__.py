"""The ledger in Django's admin. Lists and pages for reading; restore and purge need permissions of
their own."""

from django.contrib import admin

from zanith_django import models
from zanith_django.admin.artifacts import ArtifactAdmin
from zanith_django.admin.checkpoints import CheckpointAdmin
from zanith_django.admin.dashboard import Dashboard, DashboardAdmin
from zanith_django.admin.migrations import MigrationAdmin
from zanith_django.admin.snapshots import SchemaSnapshot, SnapshotAdmin
from zanith_django.admin.steps import StepAdmin


def register(site: admin.AdminSite) -> None:
    """Adds the pages to an admin site of your own; the default site has them."""
    site.register(Dashboard, DashboardAdmin)
    site.register(models.Migration, MigrationAdmin)
    site.register(models.MigrationStep, StepAdmin)
    site.register(models.MigrationArtifact, ArtifactAdmin)
    site.register(models.MigrationCheckpoint, CheckpointAdmin)
    site.register(SchemaSnapshot, SnapshotAdmin)


register(admin.site)
