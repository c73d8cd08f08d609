"""One migration that holds every kind, between two migrations of Django's."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from tests.examples import EXAMPLES, SETUP, Example
from tests.faults.cases import FIRST, LAST, MARKS, OWN, run_undone
from tests.place import MORE
from zanith_django import operations as ops
from zanith_django.postgres.names import TableName
from zanith_django.schema.catalog import from_catalog

# The first example of a kind, or one with all the parts that it can have. Left out are kinds of
# which a database can hold one thing only, and that others stand on: `rawSql` is in FIRST and LAST.
CHOSEN = {"alterColumnType": 10, "splitColumn": 2, "rebuildTable": 2}
MANY_ROWS = ("addColumn-filled", "backfill-batches", "addIndex-many", "addUnique-many")
LEFT_OUT = ("createSchema", "rawSql")

MIGRATIONS = {
    "__init__.py": "",
    "0001_before.py": """
        from django.db import migrations, models


        def write(apps, editor):
            apps.get_model("faults", "Note").objects.create(pk=1, text="written once")


        class Migration(migrations.Migration):
            initial = True
            operations = [
                migrations.CreateModel(
                    "Note",
                    [("id", models.BigAutoField(primary_key=True)), ("text", models.TextField())],
                ),
                migrations.RunPython(write),
                migrations.AddField("note", "next", models.ForeignKey(
                    "faults.Note", models.CASCADE, null=True)),
            ]
        """,
    "0002_behind.py": """
        from django.db import migrations, models


        def write(apps, editor):
            apps.get_model("faults", "Note").objects.create(pk=2, text="written behind")


        class Migration(migrations.Migration):
            atomic = False
            dependencies = [("faults", "0001_before")]
            operations = [
                migrations.RunSQL("CREATE TABLE IF NOT EXISTS faults_more ()"),
                migrations.CreateModel(
                    "Reply",
                    [
                        ("id", models.BigAutoField(primary_key=True)),
                        ("text", models.CharField(max_length=20, db_index=True)),
                        ("to", models.ForeignKey("faults.Note", models.CASCADE)),
                    ],
                ),
                migrations.RunPython(write, atomic=True),
            ]
        """,
}


# Operations of Django's that run outside a transaction, each of which can be reversed.
CONCURRENT = {
    "__init__.py": "",
    "0001_before.py": """
        from django.db import migrations, models


        class Migration(migrations.Migration):
            initial = True
            operations = [
                migrations.CreateModel(
                    "Note",
                    [
                        ("id", models.BigAutoField(primary_key=True)),
                        ("text", models.TextField()),
                        ("pages", models.IntegerField(default=1)),
                    ],
                ),
                migrations.AddIndex("note", models.Index(fields=["pages"], name="note_pages")),
                migrations.RunSQL(
                    "INSERT INTO faults_note (text, pages) "
                    "SELECT n::text, n FROM generate_series(1, 2000) AS n",
                    "DELETE FROM faults_note",
                ),
            ]
        """,
    "0002_concurrently.py": """
        from django.contrib.postgres import operations
        from django.db import migrations, models

        POSITIVE = models.CheckConstraint(condition=models.Q(pages__gt=0), name="note_positive")


        class Migration(migrations.Migration):
            atomic = False
            dependencies = [("faults", "0001_before")]
            operations = [
                operations.AddIndexConcurrently(
                    "note", models.Index(fields=["text"], name="note_text")
                ),
                operations.AddConstraintNotValid("note", POSITIVE),
                operations.ValidateConstraint("note", "note_positive"),
                operations.RemoveIndexConcurrently("note", "note_pages"),
            ]
        """,
}


def _dedented(files: Mapping[str, str]) -> dict[str, str]:
    return {name: textwrap.dedent(text).lstrip() for name, text in files.items()}


@dataclass(frozen=True)
class Everything:
    """A case: each kind has a schema of its own, with the tables that examples begin with.
    Without `kinds`, what Django runs is all there is to cut."""

    name: str = "everything"
    kinds: bool = True
    requires: tuple[str, ...] = ("faults.0001_before",)
    files: Mapping[str, str] = field(default_factory=lambda: _dedented(MIGRATIONS))

    def prepare(self, connection: Connection[object]) -> tuple[ops.Operation, ...]:
        connection.execute(MARKS.encode())
        connection.execute(f"CREATE SCHEMA {MORE}".encode())
        made = [
            _made(connection, f"kind_{number:02d}", example)
            for number, example in enumerate(_examples(connection.info.server_version), 1)
            if self.kinds
        ]
        connection.execute("RESET search_path")
        return FIRST, *made, LAST


def _examples(version: int) -> Iterator[Example]:
    for kind, those in EXAMPLES.items():
        example = those[min(CHOSEN.get(kind, 1), len(those)) - 1]
        if kind not in LEFT_OUT and version >= example.since:
            yield example
    yield from (OWN[name] for name in MANY_ROWS)


def _made(connection: Connection[object], schema: str, example: Example) -> ops.Operation:
    connection.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}".encode())
    for text in (SETUP, example.setup):
        if text:
            connection.execute(text.encode())
    graph = from_catalog(connection.cursor(), schemas=[schema, MORE], default_schema=schema)
    moved = _moved(example.operation(graph), schema)
    assert isinstance(moved, ops.Operation)
    if example.undone:
        connection.execute("RESET search_path")
        run_undone(connection, moved, schema)
    return moved


def _moved(value: Any, schema: str) -> Any:
    """The same with tables of the default schema in another one."""
    if isinstance(value, TableName):
        return value if value.schema else TableName(schema, value.name)
    if isinstance(value, tuple):
        return tuple(_moved(item, schema) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        known = {
            item.name: getattr(value, item.name) for item in dataclasses.fields(value) if item.init
        }
        moved = {name: _moved(item, schema) for name, item in known.items()}
        changed = {name: item for name, item in moved.items() if item is not known[name]}
        return dataclasses.replace(value, **changed)
    return value


# Migrations of Django's alone.
DJANGO = Everything("django", kinds=False)
CONCURRENTLY = Everything("concurrently", kinds=False, files=_dedented(CONCURRENT))
