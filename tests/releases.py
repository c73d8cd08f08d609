"""A project that releases one migration of ours after the other, written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.project import Project
from zanith_django.files.files import render_init, render_migration
from zanith_django.operations import Operation


@dataclass(slots=True)
class Releases:
    """The app `people` of a project, whose first migration Django has run."""

    project: Project
    count: int = 1

    def start(self, models: str) -> None:
        self.project.write("people/models.py", models)
        self.project.manage("makemigrations", "people", "-n", "first", check=True)
        self.project.write(
            "people/zanith_migrations/__init__.py", render_init("people", "0001_first")
        )
        self.apply()

    def write(self, name: str, models: str, operations: Sequence[Operation]) -> str:
        """Change the models, let Django write its migration and cover it; returns our id."""
        self.count += 1
        self.project.write("people/models.py", models)
        self.project.manage("makemigrations", "people", "-n", name, check=True)
        return self.file(name, operations, covers=[f"people.{self.count:04d}_{name}"])

    def file(self, name: str, operations: Sequence[Operation], covers: Sequence[str] = ()) -> str:
        migration = f"20260101_{self.count:06d}_{name}"
        text = render_migration(operations, covers=covers)
        self.project.write(f"people/zanith_migrations/{migration}.py", text)
        return migration

    def apply(self) -> None:
        self.project.manage("zanith_apply", "--allow-destructive", "--max-risk", "100", check=True)

    def statuses(self, migration: str) -> list[str]:
        """The status of every attempt of every step, in order."""
        rows = self.project.sql(
            "SELECT status FROM _zanith_migration_steps WHERE migration_id = %s ORDER BY id",
            migration,
        )
        return [status for (status,) in rows]

    def newest(self, migration: str) -> list[str]:
        """The status of the newest attempt of each step, in order."""
        rows = self.project.sql(
            "SELECT DISTINCT ON (substring(id FROM '::[0-9]+')) status "
            "FROM _zanith_migration_steps WHERE migration_id = %s "
            "ORDER BY substring(id FROM '::[0-9]+'), length(id) DESC, id DESC",
            migration,
        )
        return [status for (status,) in rows]

    def applied(self) -> list[str]:
        rows = self.project.sql("SELECT id FROM _zanith_migrations ORDER BY applied_at")
        return [name for (name,) in rows if not name.startswith("django:")]

    def live(self) -> str:
        """What PostgreSQL's catalog says of the app's tables, without the order of columns."""
        rows = self.project.sql(
            "SELECT format('%s.%s %s %s', attrelid::regclass, attname, "
            "  format_type(atttypid, atttypmod), attnotnull) "
            "FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
            "WHERE c.relname IN ('users', 'orders') AND attnum > 0 AND NOT attisdropped "
            "UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename IN ('users', 'orders') "
            "UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) "
            "FROM pg_constraint WHERE conrelid::regclass::text IN ('users', 'orders') "
            "AND contype <> 'n'"
        )
        return "\n".join(sorted(line for (line,) in rows))
