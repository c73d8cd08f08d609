"""The artifacts of drops."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zanith_django.ledger.access import Access, read_as
from zanith_django.operations.artifact_ids import ARCHIVES, ArtifactId
from zanith_django.operations.base import Artifact


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """One row of `_zanith_migration_artifacts`."""

    id: str
    migration_id: str
    artifact_type: str
    source_schema: str
    source_table: str
    source_column: str | None
    physical_name: str
    row_count: int | None
    checksum: str | None
    recovery_sql: str
    metadata: dict[str, Any]
    created_at: datetime
    expires_at: datetime | None

    @property
    def target(self) -> str:
        """`users` or `users.legacy_uuid`, as in the artifact's id."""
        known = ArtifactId.parse(self.id)
        return known.target if known else self.id

    @property
    def archived(self) -> bool:
        """Is it kept as a copy? A soft drop keeps the object itself."""
        return self.artifact_type in ARCHIVES


class Artifacts(Access):
    """`_zanith_migration_artifacts`: the objects that drops kept."""

    def write_artifact(
        self,
        migration_id: str,
        artifact: Artifact,
        schema: str,
        row_count: int | None,
        checksum: str,
    ) -> None:
        """Writes the row. Idempotent: if the same drop runs again, its artifact becomes restorable
        again."""
        self._run(
            "INSERT INTO _zanith_migration_artifacts (id, migration_id, artifact_type, "
            "source_schema, source_table, source_column, physical_name, row_count, checksum, "
            "recovery_sql, metadata, created_at) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, clock_timestamp()) "
            "ON CONFLICT (id) DO UPDATE SET row_count = excluded.row_count, "
            "physical_name = excluded.physical_name, "
            "checksum = excluded.checksum, recovery_sql = excluded.recovery_sql, "
            "metadata = excluded.metadata, created_at = excluded.created_at, expires_at = NULL",
            [
                artifact.id,
                migration_id,
                artifact.type,
                artifact.table.schema or schema,
                artifact.table.name,
                artifact.column or None,
                artifact.physical_name,
                row_count,
                checksum,
                artifact.recovery_sql,
                json.dumps(artifact.metadata),
            ],
        )

    def artifacts(self) -> list[ArtifactRow]:
        """All artifacts, newest first."""
        if not self.exists():
            return []
        columns = ", ".join(read_as(field.name) for field in dataclasses.fields(ArtifactRow))
        rows = self._rows(
            f"SELECT {columns} FROM _zanith_migration_artifacts ORDER BY created_at DESC, id"
        )
        return [
            ArtifactRow(*row[:10], json.loads(row[10]), row[11], row[12])  # type: ignore[call-arg]
            for row in rows
        ]

    def count_artifact(self, artifact_id: str, row_count: int) -> None:
        self._run(
            "UPDATE _zanith_migration_artifacts SET row_count = %s WHERE id = %s",
            [row_count, artifact_id],
        )

    def expire_artifacts(self, artifact_ids: Sequence[str]) -> None:
        """Records that these artifacts were restored or purged: they can no longer be restored."""
        self._run(
            "UPDATE _zanith_migration_artifacts SET expires_at = clock_timestamp() "
            "WHERE id = ANY (%s) AND expires_at IS NULL",
            [list(artifact_ids)],
        )
