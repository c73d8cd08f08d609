"""The ledger's tables as unmanaged models: nothing but state and permissions comes of it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Migration",
            fields=[
                (
                    "id",
                    models.TextField(primary_key=True, serialize=False, verbose_name="migration"),
                ),
                ("applied_at", models.DateTimeField(verbose_name="applied")),
            ],
            options={
                "verbose_name": "migration",
                "verbose_name_plural": "migrations",
                "db_table": "_zanith_migrations",
                "permissions": [("view_plan", "Can view the pending plan")],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="MigrationArtifact",
            fields=[
                (
                    "id",
                    models.TextField(primary_key=True, serialize=False, verbose_name="artifact"),
                ),
                ("migration_id", models.TextField(verbose_name="migration")),
                ("artifact_type", models.TextField(verbose_name="kind")),
                ("source_schema", models.TextField(verbose_name="schema")),
                ("source_table", models.TextField(verbose_name="table")),
                ("source_column", models.TextField(null=True, verbose_name="column")),
                ("physical_name", models.TextField(verbose_name="kept as")),
                ("row_count", models.BigIntegerField(null=True, verbose_name="rows")),
                ("checksum", models.TextField(null=True, verbose_name="checksum")),
                ("recovery_sql", models.TextField(verbose_name="recovery SQL")),
                ("metadata", models.JSONField(verbose_name="metadata")),
                ("created_at", models.DateTimeField(verbose_name="created")),
                ("expires_at", models.DateTimeField(null=True, verbose_name="restored or purged")),
            ],
            options={
                "verbose_name": "artifact",
                "verbose_name_plural": "artifacts",
                "db_table": "_zanith_migration_artifacts",
                "permissions": [
                    ("restore_artifact", "Can restore an artifact"),
                    ("purge_artifact", "Can purge an artifact"),
                ],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="MigrationCheckpoint",
            fields=[
                (
                    "id",
                    models.TextField(primary_key=True, serialize=False, verbose_name="checkpoint"),
                ),
                ("migration_id", models.TextField(verbose_name="migration")),
                ("cursor", models.JSONField(null=True, verbose_name="last key")),
                ("processed_rows", models.BigIntegerField(verbose_name="rows done")),
                ("total_rows", models.BigIntegerField(null=True, verbose_name="rows in all")),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("pending", "pending"),
                            ("running", "running"),
                            ("done", "done"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                            ("rolled_back", "rolled back"),
                        ],
                        verbose_name="status",
                    ),
                ),
                ("updated_at", models.DateTimeField(verbose_name="updated")),
            ],
            options={
                "verbose_name": "backfill checkpoint",
                "verbose_name_plural": "backfill checkpoints",
                "db_table": "_zanith_migration_checkpoints",
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="MigrationStep",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False, verbose_name="step")),
                ("migration_id", models.TextField(verbose_name="migration")),
                ("operation_kind", models.TextField(verbose_name="kind")),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("pending", "pending"),
                            ("running", "running"),
                            ("done", "done"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                            ("rolled_back", "rolled back"),
                        ],
                        verbose_name="status",
                    ),
                ),
                ("sql", models.TextField(verbose_name="SQL")),
                (
                    "risk_level",
                    models.TextField(
                        choices=[
                            ("safe", "safe"),
                            ("low", "low"),
                            ("medium", "medium"),
                            ("high", "high"),
                            ("destructive", "destructive"),
                            ("blocked", "blocked"),
                        ],
                        verbose_name="risk level",
                    ),
                ),
                ("risk_score", models.IntegerField(verbose_name="risk score")),
                ("error", models.TextField(null=True, verbose_name="error")),
                ("started_at", models.DateTimeField(null=True, verbose_name="started")),
                ("finished_at", models.DateTimeField(null=True, verbose_name="finished")),
            ],
            options={
                "verbose_name": "migration step",
                "verbose_name_plural": "migration steps",
                "db_table": "_zanith_migration_steps",
                "permissions": [("view_sql", "Can view SQL, errors and kept values")],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="SchemaSnapshot",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "migration_id",
                        "phase",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("migration_id", models.TextField(verbose_name="migration")),
                (
                    "phase",
                    models.TextField(
                        choices=[
                            ("baseline", "baseline"),
                            ("before", "before"),
                            ("after", "after"),
                        ],
                        verbose_name="phase",
                    ),
                ),
                ("graph", models.JSONField(verbose_name="schema")),
                ("captured_at", models.DateTimeField(verbose_name="captured")),
            ],
            options={
                "verbose_name": "schema snapshot",
                "verbose_name_plural": "schema snapshots",
                "db_table": "_zanith_schema_snapshots",
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
    ]
