"""The ledger in Django's admin, to read: lists and detail pages, nothing that writes."""

from django.contrib import admin

from zanith_django import models
from zanith_django.admin.artifacts import ArtifactAdmin
from zanith_django.admin.checkpoints import CheckpointAdmin
from zanith_django.admin.migrations import MigrationAdmin
from zanith_django.admin.snapshots import SchemaSnapshot, SnapshotAdmin
from zanith_django.admin.steps import StepAdmin

admin.site.register(models.Migration, MigrationAdmin)
admin.site.register(models.MigrationStep, StepAdmin)
admin.site.register(models.MigrationArtifact, ArtifactAdmin)
admin.site.register(models.MigrationCheckpoint, CheckpointAdmin)
admin.site.register(SchemaSnapshot, SnapshotAdmin)
