"""One example of the machine: a database, and the migrations that it is about to get."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from tests.migration_texts import IMPORTS, ITEM_FIELDS

HEADER = f"""{IMPORTS}
SILENT = migrations.RunPython.noop
"""

FIRST = (
    """
class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Maker", [
            ("id", models.BigAutoField(primary_key=True)),
            ("word", models.CharField(max_length=20, unique=True)),
            ("code", models.IntegerField(null=True)),
        ]),
        migrations.CreateModel("Tag", [
            ("id", models.BigAutoField(primary_key=True)),
            ("word", models.CharField(max_length=20)),
        ]),
        migrations.CreateModel("Item", ["""
    + ITEM_FIELDS
    + """
            ("words", arrays.ArrayField(models.CharField(max_length=10), null=True)),
            ("maker", models.ForeignKey("made.Maker", CASCADE, null=True)),
        ]),
        migrations.AddField("Item", "tags", models.ManyToManyField("made.Tag")),
        migrations.AddIndex("Item", models.Index(fields=["rank"], name="item_rank")),
        migrations.AddConstraint(
            "Item", models.CheckConstraint(condition=Q(rank__gte=0), name="item_ck")
        ),
        migrations.AddConstraint(
            "Item", models.UniqueConstraint(fields=["code", "rank"], name="item_uq")
        ),
    ]
"""
)

# What no model knows, on the tables of the first migration.
EXTRAS = {
    "view": "CREATE VIEW seen AS SELECT id, name, amount FROM made_item",
    "view of rows": "CREATE VIEW whole AS SELECT t FROM made_tag AS t",
    "materialized view": "CREATE MATERIALIZED VIEW kept AS SELECT price FROM made_item",
    "trigger": "CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RETURN NEW; END';"
    "CREATE TRIGGER touches BEFORE UPDATE OF note ON made_item FOR EACH ROW"
    " EXECUTE FUNCTION touched()",
    "index": "CREATE INDEX by_hand ON made_item (amount, name)",
    "check": "ALTER TABLE made_item ADD CONSTRAINT by_hand_ck CHECK (amount IS DISTINCT FROM -1)",
    "policy": "CREATE POLICY mine ON made_item USING (active)",
    "statistics": "CREATE STATISTICS together ON amount, rank FROM made_item",
    "foreign key": "CREATE TABLE other (item integer REFERENCES made_item, n integer);"
    "INSERT INTO other SELECT min(id), 1 FROM made_item",
    "function": "CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql"
    " BEGIN ATOMIC SELECT count(*) FROM made_tag; END",
}

FORMS = ("plain", "separate", "sql", "python")


@dataclass(frozen=True, slots=True)
class Written:
    """One operation as text, and the form in which it reaches the database: as it is, inside
    SeparateDatabaseAndState, or as the SQL of it in RunSQL or RunPython."""

    text: str
    form: str = "plain"
    code: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """`dirty` rows have NULLs, duplicates and long values. `covered_after` is the last migration
    of Django's that has no file of ours, "" if none has one. `rows` is of the table `made_item`."""

    migrations: tuple[tuple[Written, ...], ...]
    rows: int = 40
    dirty: bool = False
    extras: tuple[str, ...] = ()
    covered_after: str = ""
    drop: str = "soft"
    atomic: bool = True

    def as_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Example:
        data: dict[str, Any] = json.loads(text)
        migrations = tuple(tuple(Written(**each) for each in one) for one in data["migrations"])
        return cls(**{**data, "migrations": migrations, "extras": tuple(data["extras"])})

    def __str__(self) -> str:
        lines = [f"{self.rows} {'dirty' if self.dirty else 'clean'} rows, extras {self.extras}"]
        lines.append(f"covered after {self.covered_after or '-'} ({self.drop})")
        for number, operations in enumerate(self.migrations, 2):
            lines.append(f"{number:04d}:")
            lines += [f"    [{each.form}] {each.text}\n{each.code}" for each in operations]
        return "\n".join(lines)
