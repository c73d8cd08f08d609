"""Writes random migrations: each operation makes sense on the models as they are before it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from django.db import models
from django.db.migrations.state import ModelState, ProjectState

from tests.verdict.example import FIRST, FORMS, HEADER, Written

APP = "made"
NEW_NAMES = ("first", "second", "third", "fourth")
NEW_MODELS = ("Extra", "Other", "More")

NEW_FIELDS = (
    "models.IntegerField(null=True)",
    "models.IntegerField(default=7)",
    "models.IntegerField(db_default=7)",
    "models.IntegerField(null=True, unique=True)",
    "models.IntegerField(default=7, unique=True)",
    "models.CharField(max_length=20, default='new', db_index=True)",
    "models.TextField(null=True)",
    "models.UUIDField(default=uuid.uuid4)",
    "models.UUIDField(default=uuid.uuid4, unique=True)",
    "models.UUIDField(db_default=RandomUUID())",
    "models.FloatField(db_default=Random())",
    "models.DateTimeField(db_default=Now())",
    "models.ForeignKey('made.Maker', CASCADE, null=True, related_name='+')",
    "models.ForeignKey('made.Maker', CASCADE, default=1, related_name='+')",
    "models.ForeignKey('made.Maker', CASCADE, default=999, related_name='+')",
    "models.OneToOneField('made.Tag', CASCADE, null=True, related_name='+')",
    "models.ManyToManyField('made.Maker', related_name='+')",
    "models.GeneratedField(expression=F('id') + 1, output_field=models.BigIntegerField(),"
    " db_persist=True)",
    "models.PositiveIntegerField(null=True)",
    "models.PositiveIntegerField(default=-1)",
    "models.JSONField(default=dict)",
)

OTHER_FIELDS = (
    "models.BigIntegerField(null=True)",
    "models.SmallIntegerField(null=True)",
    "models.IntegerField()",
    "models.IntegerField(null=True, db_index=True)",
    "models.IntegerField(null=True, unique=True)",
    "models.PositiveIntegerField(null=True)",
    "models.IntegerField(default=5)",
    "models.IntegerField(null=True, db_column='spelled')",
    "models.IntegerField(null=True, help_text='x')",
    "models.CharField(max_length=100, null=True)",
    "models.CharField(max_length=5, null=True)",
    "models.CharField(max_length=50, null=True, unique=True)",
    "models.CharField(max_length=50, default='none')",
    "models.CharField(max_length=50)",
    "models.TextField(null=True)",
    "models.TextField(null=True, db_index=True)",
    "models.DecimalField(max_digits=12, decimal_places=2, null=True)",
    "models.DecimalField(max_digits=10, decimal_places=1, null=True)",
    "models.DecimalField(max_digits=4, decimal_places=2, null=True)",
    "models.FloatField(null=True)",
    "models.DateField(null=True)",
    "models.BooleanField(default=False)",
    "models.BooleanField(null=True)",
    "models.JSONField(null=True)",
    "models.ForeignKey('made.Maker', SET_NULL, null=True)",
    "models.ForeignKey('made.Maker', CASCADE, null=True, db_constraint=False)",
    "models.ForeignKey('made.Maker', CASCADE)",
    "models.ForeignKey('made.Tag', CASCADE, null=True)",
    "models.OneToOneField('made.Maker', CASCADE, null=True)",
    "models.BigAutoField(primary_key=True)",
    "arrays.ArrayField(models.CharField(max_length=20), null=True)",
    "arrays.ArrayField(models.TextField(), null=True)",
)


def names() -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(HEADER, found)  # our own text
    return found


class Author:
    """Draws from `random`; `state` is that after what it has written."""

    def __init__(self, source: random.Random) -> None:
        self.random, self.names = source, names()
        self.state = ProjectState()
        self.number = 0
        exec(FIRST, self.names)  # our own text
        for operation in self.names["Migration"].operations:
            operation.state_forwards(APP, self.state)

    def operations(self, length: int) -> list[Written]:
        found: list[Written] = []
        while len(found) < length:
            made = self.random.choice(KINDS)(self)
            for each in made:
                found.append(each if isinstance(each, Written) else self._formed(each))
                for operation in self._read(found[-1].text):
                    operation.state_forwards(APP, self.state)
        return found

    def _formed(self, text: str) -> Written:
        plain = self.random.random() < 0.5
        return Written(text, "plain" if plain else self.random.choice(FORMS))

    def _read(self, text: str) -> list[Any]:
        known = {**self.names, f"code_{self.number}": lambda apps, editor: None}
        return [eval(text, known)]  # our own text

    # --- the models ------------------------------------------------------------------------------

    def model(self) -> ModelState:
        models: list[ModelState] = list(self.state.models.values())
        heavy = [each for each in models if each.name_lower == "item"]
        return self.random.choice([*models, *heavy * 3])

    def fields(self, of: ModelState) -> list[str]:
        return [name for name, each in of.fields.items() if not each.primary_key]

    def free(self, of: ModelState) -> list[str]:
        """Fields that no constraint and no index names."""
        items = (*of.options.get("constraints", ()), *of.options.get("indexes", ()))
        named = {name for item in items for name in getattr(item, "fields", ())}
        named |= {n for group in of.options.get("unique_together") or () for n in group}
        conditions = (getattr(item, "condition", None) for item in items)
        named |= {path.partition("__")[0] for q in conditions if q for path, _ in q.children}
        return [name for name in self.fields(of) if name not in named]

    def columns(self, of: ModelState) -> list[str]:
        return [column_of(n, f) for n, f in of.fields.items() if not f.many_to_many]

    def table(self, of: ModelState) -> str:
        return str(of.options.get("db_table") or f"{APP}_{of.name_lower}")

    def pointing_at(self, target: ModelState) -> Iterator[tuple[ModelState, str]]:
        for each in self.state.models.values():
            for name, field in each.fields.items():
                to = field.remote_field and str(field.remote_field.model)
                if to and to.lower() == f"{APP}.{target.name_lower}":
                    yield each, name

    def fresh(self, given: tuple[str, ...], taken: Any) -> str:
        return next((name for name in given if name not in taken), "")


def column_of(name: str, field: models.Field[Any, Any]) -> str:
    if field.db_column:
        return str(field.db_column)
    return f"{name}_id" if field.remote_field else name


Text = str | Written
Kind = Callable[[Author], list[Text]]


def add_field(a: Author) -> list[Text]:
    of = a.model()
    name = a.fresh(NEW_NAMES, of.fields)
    field = a.random.choice(NEW_FIELDS)
    return [f'migrations.AddField("{of.name}", "{name}", {field})'] if name else []


def remove_field(a: Author) -> list[Text]:
    of = a.model()
    free = a.free(of)
    return [f'migrations.RemoveField("{of.name}", "{a.random.choice(free)}")'] if free else []


def alter_field(a: Author) -> list[Text]:
    of = a.model()
    text = a.random.choice(OTHER_FIELDS)
    field = eval(text, a.names)  # our own text
    keys = [name for name, each in of.fields.items() if each.primary_key]
    free = keys if field.primary_key else [n for n in a.fields(of) if _fits(of.fields[n], field)]
    if not free or (field.primary_key and isinstance(of.fields[keys[0]], models.BigAutoField)):
        return []
    return [f'migrations.AlterField("{of.name}", "{a.random.choice(free)}", {text})']


def _fits(old: models.Field[Any, Any], new: models.Field[Any, Any]) -> bool:
    """Django changes no relation to a value, and no generated field."""
    if old.many_to_many or getattr(old, "generated", False):
        return False
    return bool(old.remote_field) == bool(new.remote_field)


def rename_field(a: Author) -> list[Text]:
    of = a.model()
    free, new = a.free(of), a.fresh(NEW_NAMES, of.fields)
    if not (free and new):
        return []
    return [f'migrations.RenameField("{of.name}", "{a.random.choice(free)}", "{new}")']


def create_model(a: Author) -> list[Text]:
    name = a.fresh(NEW_MODELS, [each.name for each in a.state.models.values()])
    field = a.random.choice(NEW_FIELDS)
    key = '("id", models.BigAutoField(primary_key=True))'
    return [f'migrations.CreateModel("{name}", [{key}, ("first", {field})])'] if name else []


def delete_model(a: Author) -> list[Text]:
    of = a.model()
    pointing = [(m, n) for m, n in a.pointing_at(of) if m is not of]
    if any(n not in a.free(m) for m, n in pointing) or len(a.state.models) < 2:
        return []
    gone: list[Text] = [f'migrations.RemoveField("{m.name}", "{n}")' for m, n in pointing]
    return [*gone, f'migrations.DeleteModel("{of.name}")']


def rename_model(a: Author) -> list[Text]:
    of, new = a.model(), a.fresh(NEW_MODELS, [m.name for m in a.state.models.values()])
    return [f'migrations.RenameModel("{of.name}", "{new}")'] if new else []


def alter_table(a: Author) -> list[Text]:
    of = a.model()
    name = a.random.choice((f"shop_{of.name_lower}", f"{APP}_{of.name_lower}"))
    return [f'migrations.AlterModelTable("{of.name}", "{name}")']


def add_constraint(a: Author) -> list[Text]:
    of = a.model()
    a.number += 1
    name = f"made_{a.number}"
    plain = [n for n in a.fields(of) if not of.fields[n].many_to_many]
    numbers = [n for n in plain if isinstance(of.fields[n], models.IntegerField)]
    if not plain:
        return []
    field = a.random.choice(plain)
    some = ", ".join(f'"{n}"' for n in a.random.sample(plain, min(2, len(plain))))
    made = [
        f'models.UniqueConstraint(fields=["{field}"], name="{name}")',
        f'models.UniqueConstraint(fields=[{some}], name="{name}")',
        f'models.CheckConstraint(condition=Q({field}__isnull=False), name="{name}")',
        f'models.UniqueConstraint(fields=["{field}"], name="{name}", condition=Q(id__gt=3))',
    ]
    if numbers:
        n = a.random.choice(numbers)
        made.append(f'models.CheckConstraint(condition=Q({n}__gte=0), name="{name}")')
        made.append(f'models.CheckConstraint(condition=Q({n}__lt=20), name="{name}")')
    return [f'migrations.AddConstraint("{of.name}", {a.random.choice(made)})']


def not_valid(a: Author) -> list[Text]:
    of = a.model()
    a.number += 1
    check = f'models.CheckConstraint(condition=Q(id__lt=30), name="made_{a.number}")'
    made: list[Text] = [Written(f'AddConstraintNotValid("{of.name}", {check})')]
    if a.random.random() < 0.6:
        made.append(Written(f'ValidateConstraint("{of.name}", "made_{a.number}")'))
    return made


def add_index(a: Author) -> list[Text]:
    of = a.model()
    a.number += 1
    plain = [n for n in a.fields(of) if not of.fields[n].many_to_many]
    if not plain:
        return []
    index = f'models.Index(fields=["{a.random.choice(plain)}"], name="made_{a.number}")'
    return [f'migrations.AddIndex("{of.name}", {index})']


def remove_item(a: Author) -> list[Text]:
    of = a.model()
    found = [f'migrations.RemoveIndex("{of.name}", "{i.name}")' for i in of.options["indexes"]]
    found += [
        f'migrations.RemoveConstraint("{of.name}", "{c.name}")' for c in of.options["constraints"]
    ]
    return [a.random.choice(found)] if found else []


def rename_index(a: Author) -> list[Text]:
    of = a.model()
    a.number += 1
    names = [index.name for index in of.options["indexes"]]
    new = f"made_{a.number}"
    text = f'migrations.RenameIndex("{of.name}", "{new}", old_name="{{}}")'
    return [text.format(a.random.choice(names))] if names else []


def together(a: Author) -> list[Text]:
    of = a.model()
    if of.options.get("unique_together"):
        return [f'migrations.AlterUniqueTogether("{of.name}", set())']
    plain = [n for n in a.fields(of) if not of.fields[n].many_to_many]
    some = tuple(a.random.sample(plain, min(2, len(plain))))
    return [f'migrations.AlterUniqueTogether("{of.name}", {{{some!r}}})'] if some else []


# --- data and code of authors --------------------------------------------------------------------


def run_sql(a: Author) -> list[Text]:
    of = a.model()
    table, column = a.table(of), a.random.choice(a.columns(of))
    text = a.random.choice(STATEMENTS).format(t=f'"{table}"', c=f'"{column}"', n=table)
    return [Written(f"migrations.RunSQL({text!r}, migrations.RunSQL.noop)")]


STATEMENTS = (
    "UPDATE {t} SET {c} = {c}",
    "UPDATE {t} SET {c} = DEFAULT WHERE id = 1",
    "UPDATE {t} SET {c} = NULL WHERE id > 3",
    "DELETE FROM {t} WHERE id > 5",
    "DELETE FROM {t}",
    "TRUNCATE {t}",
    "TRUNCATE {t} CASCADE",
    "DROP TABLE {t} CASCADE",
    "ALTER TABLE {t} DROP COLUMN {c}",
    "ALTER TABLE {t} DROP COLUMN {c} CASCADE",
    "ALTER TABLE {t} ALTER COLUMN {c} SET NOT NULL",
    "ALTER TABLE {t} ALTER COLUMN {c} DROP NOT NULL",
    "ALTER TABLE {t} ALTER COLUMN {c} DROP DEFAULT",
    "ALTER TABLE {t} ALTER COLUMN {c} TYPE text USING {c}::text",
    "ALTER TABLE {t} RENAME COLUMN {c} TO was_there",
    "ALTER TABLE {t} RENAME TO gone_{n}; DROP TABLE gone_{n} CASCADE",
    "ALTER TABLE {t} RENAME TO gone_{n}; DELETE FROM gone_{n}; ALTER TABLE gone_{n} RENAME TO {t}",
    "ALTER TABLE {t} SET UNLOGGED",
    "ALTER TABLE {t} SET (fillfactor = 70)",
    "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE {t} ADD COLUMN by_sql timestamptz DEFAULT now()",
    "ALTER TABLE {t} ADD COLUMN by_sql timestamptz DEFAULT clock_timestamp()",
    "ALTER TABLE {t} ADD COLUMN by_sql serial",
    "ALTER TABLE {t} ADD COLUMN by_sql integer CHECK (by_sql > 0)",
    "ALTER TABLE {t} ADD COLUMN by_sql bigint REFERENCES made_maker",
    "ALTER TABLE {t} ADD COLUMN by_sql bigint UNIQUE",
    "ALTER TABLE {t} ADD CHECK ({c} IS NOT NULL) NOT VALID",
    "ALTER TABLE {t} ADD CONSTRAINT by_sql UNIQUE ({c})",
    "ALTER TABLE {t} ADD EXCLUDE USING btree ({c} WITH =)",
    "ALTER TABLE {t} DISABLE TRIGGER ALL",
    "CREATE INDEX by_sql ON {t} ({c})",
    "CREATE UNIQUE INDEX by_sql ON {t} ({c})",
    "CREATE INDEX IF NOT EXISTS by_hand ON {t} ({c})",
    "DROP INDEX item_rank",
    "DROP INDEX IF EXISTS by_hand",
    "DROP VIEW IF EXISTS seen",
    "CREATE VIEW by_sql AS SELECT {c} FROM {t}",
    "CREATE TABLE by_sql AS SELECT * FROM {t}",
    "CREATE TABLE by_sql (LIKE {t} INCLUDING ALL)",
    "CREATE TRIGGER by_sql BEFORE UPDATE ON {t} FOR EACH ROW"
    " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "LOCK TABLE {t}",
    "REINDEX TABLE {t}",
    "CLUSTER made_item USING item_rank",
    "ANALYZE {t}",
    "COMMENT ON TABLE {t} IS 'x'",
    "DO $$ BEGIN DELETE FROM {t} WHERE id = 2; END $$",
    "DO $$ BEGIN EXECUTE 'DROP TABLE {n} CASCADE'; END $$",
    "WITH gone AS (DELETE FROM {t} RETURNING *) SELECT count(*) FROM gone",
    "INSERT INTO made_tag (word) VALUES ('more')",
    "INSERT INTO made_maker (word) VALUES ('maker 1')",
    "SELECT setval(pg_get_serial_sequence('made_item', 'id'), 1000)",
    "MERGE INTO {t} USING made_maker m ON {t}.id = m.id WHEN MATCHED THEN DELETE",
)

CODE = (
    "    for row in model.objects.all():\n        row.delete()",
    "    for row in model.objects.all():\n        row.save()",
    "    for row in model.objects.filter(pk__gt=3):\n        row.delete()",
    "    model.objects.all().delete()",
    "    model.objects.filter(pk=1).delete()",
    "    model.objects.update(**{model._meta.fields[1].name: F(model._meta.fields[1].name)})",
    "    model._base_manager.filter(pk__lt=3).update(**{model._meta.fields[-1].name: None})",
    "    rows = model.objects.order_by('pk')\n    rows.first() and rows.first().delete()",
    "    [row.delete() for row in model.objects.all()[:2]]",
    "    model.objects.bulk_update([*model.objects.all()], [model._meta.fields[1].name])",
    "    editor.execute(f'DELETE FROM {model._meta.db_table}')",
    "    editor.delete_model(model)",
    "    with editor.connection.cursor() as cursor:\n"
    "        cursor.execute('DELETE FROM \"%s\"' % model._meta.db_table)",
    "    raise ValueError('of its author')",
    "    model.objects.count()",
)


def run_python(a: Author) -> list[Text]:
    of = a.model()
    a.number += 1
    name = f"code_{a.number}"
    code = f'def {name}(apps, editor):\n    model = apps.get_model("{APP}", "{of.name}")\n'
    code += a.random.choice(CODE) + "\n\n\n"
    return [Written(f"migrations.RunPython({name}, SILENT)", code=code)]


KINDS: tuple[Kind, ...] = (
    add_field,
    add_field,
    remove_field,
    alter_field,
    alter_field,
    alter_field,
    rename_field,
    create_model,
    delete_model,
    rename_model,
    alter_table,
    add_constraint,
    add_constraint,
    not_valid,
    add_index,
    remove_item,
    rename_index,
    together,
    run_sql,
    run_sql,
    run_sql,
    run_python,
    run_python,
)
