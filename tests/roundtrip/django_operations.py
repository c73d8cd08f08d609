"""Random Django operations on three models: things end, and their names come again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from django.db import models
from django.db.migrations import operations as django
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from tests.roundtrip.django_changes import model

APP = "made"
MODELS = ("Ant", "Bee", "Cow", "Doe")
FIELDS = ("a", "b", "c", "d")
TABLES = ("made_ant", "made_bee", "other", None)


def first() -> list[ModelState]:
    """The models that every sequence begins with."""
    return [
        model(
            "Ant",
            {"constraints": [models.UniqueConstraint(fields=["a", "c"], name="both")]},
            a=models.IntegerField(),
            b=models.CharField(max_length=20, null=True, db_index=True),
            c=models.IntegerField(unique=True),
        ),
        model(
            "Bee",
            a=models.ForeignKey("made.Ant", models.CASCADE, null=True),
            b=models.ManyToManyField("made.Ant"),
            c=models.BooleanField(default=True),
        ),
        model(
            "Cow",
            {"indexes": [models.Index(fields=["a"], name="one")], "unique_together": {("a", "b")}},
            a=models.IntegerField(),
            b=models.ForeignKey("made.Bee", models.CASCADE, db_column="bee"),
        ),
    ]


class Sequence:
    """Operations that each make sense after the ones before."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # no secret
        self.state = ProjectState()
        for each in first():
            self.state.add_model(each)
        self.operations: list[Operation] = []

    def of(self, length: int) -> list[Operation]:
        while len(self.operations) < length:
            for operation in self.random.choice(KINDS)(self):
                operation.state_forwards(APP, self.state)
                self.operations.append(self._wrapped(operation))
        return self.operations

    def _wrapped(self, operation: Operation) -> Operation:
        if self.random.random() < 0.9:
            return operation
        return django.SeparateDatabaseAndState([operation], [operation])

    # --- what there is --------------------------------------------------------------------------

    def concrete(self) -> list[ModelState]:
        return [each for each in self.state.models.values() if not each.options.get("proxy")]

    def any_model(self) -> ModelState:
        return self.random.choice(self.concrete())

    def fields(self, of: ModelState) -> list[str]:
        return [name for name, field in of.fields.items() if not field.primary_key]

    def named(self, of: ModelState) -> set[str]:
        """Fields that a constraint or an index names: Django renames or removes none of those."""
        items = (*of.options.get("constraints", ()), *of.options.get("indexes", ()))
        together = of.options.get("unique_together", ())
        return {name for item in items for name in item.fields} | {
            name for names in together for name in names
        }

    def unnamed(self, of: ModelState) -> list[str]:
        return [name for name in self.fields(of) if name not in self.named(of)]

    def free_field(self, of: ModelState) -> str | None:
        free = [name for name in FIELDS if name not in of.fields]
        return self.random.choice(free) if free else None

    def free_model(self) -> str | None:
        free = [name for name in MODELS if (APP, name.lower()) not in self.state.models]
        return self.random.choice(free) if free else None

    def pointing_at(self, target: ModelState) -> Iterator[tuple[ModelState, str]]:
        for each in self.state.models.values():
            for name, field in each.fields.items():
                to = field.remote_field and str(field.remote_field.model)
                if to and to.lower() == f"{APP}.{target.name_lower}":
                    yield each, name

    def is_base(self, target: ModelState) -> bool:
        named = f"{APP}.{target.name_lower}"
        return any(named in each.bases for each in self.state.models.values())

    def new_field(self) -> models.Field[Any, Any]:
        target = f"{APP}.{self.any_model().name}"
        makers: list[Callable[[], models.Field[Any, Any]]] = [
            lambda: models.IntegerField(null=True),
            lambda: models.IntegerField(default=7),
            lambda: models.IntegerField(null=True, db_column=self.random.choice(FIELDS)),
            lambda: models.CharField(max_length=20, default="new", db_index=True),
            lambda: models.TextField(null=True),
            lambda: models.UUIDField(null=True, unique=True),
            lambda: models.BooleanField(default=False),
            lambda: models.ForeignKey(target, models.CASCADE, null=True, related_name="+"),
            lambda: models.OneToOneField(target, models.CASCADE, null=True, related_name="+"),
            lambda: models.ManyToManyField(target, related_name="+"),
        ]
        return self.random.choice(makers)()


Kind = Callable[[Sequence], list[Operation]]


def remove_field(s: Sequence) -> list[Operation]:
    of = s.any_model()
    names = s.unnamed(of)
    return [django.RemoveField(of.name, s.random.choice(names))] if names else []


def add_field(s: Sequence) -> list[Operation]:
    of = s.any_model()
    name = s.free_field(of)
    return [django.AddField(of.name, name, s.new_field())] if name else []


def replace_field(s: Sequence) -> list[Operation]:
    of = s.any_model()
    names = s.fields(of)
    if not names:
        return []
    name, new = s.random.choice(names), s.new_field()
    if new.many_to_many and name in s.named(of):
        return []
    return [django.RemoveField(of.name, name), django.AddField(of.name, name, new)]


def rename_field(s: Sequence) -> list[Operation]:
    of = s.any_model()
    names, new = s.unnamed(of), s.free_field(of)
    return [django.RenameField(of.name, s.random.choice(names), new)] if names and new else []


def rename_onto(s: Sequence) -> list[Operation]:
    of = s.any_model()
    names = s.unnamed(of)
    if len(names) < 2:
        return []
    gone, old = s.random.sample(names, 2)
    return [django.RemoveField(of.name, gone), django.RenameField(of.name, old, gone)]


def swap_fields(s: Sequence) -> list[Operation]:
    of = s.any_model()
    names = s.unnamed(of)
    if len(names) < 2:
        return []
    one, two = s.random.sample(names, 2)
    steps = ((one, "aside"), (two, one), ("aside", two))
    return [django.RenameField(of.name, old, new) for old, new in steps]


def alter_field(s: Sequence) -> list[Operation]:
    of = s.any_model()
    names = s.fields(of)
    if not names:
        return []
    name = s.random.choice(names)
    field = of.fields[name].clone()
    if isinstance(field, models.ManyToManyField):
        field = models.ManyToManyField(f"{APP}.{s.any_model().name}", related_name="+")
    elif isinstance(field, models.ForeignKey):
        field.db_column = s.random.choice((None, "link"))
    elif isinstance(field, models.IntegerField):
        field = models.BigIntegerField(default=5, db_index=s.random.random() < 0.5)
    elif isinstance(field, models.CharField):
        field = models.TextField(null=field.null, default="x")
    else:
        field.db_column = s.random.choice((None, "spelled"))
    return [django.AlterField(of.name, name, field)]


def delete_model(s: Sequence) -> list[Operation]:
    of = s.random.choice(list(s.state.models.values()))
    if s.is_base(of) or len(s.concrete()) < 2:
        return []
    pointing: list[Operation] = []
    for each, name in s.pointing_at(of):
        if name in s.named(each):
            return []
        pointing.append(django.RemoveField(each.name, name))
    return [*pointing, django.DeleteModel(of.name)]


def create_model(s: Sequence) -> list[Operation]:
    name = s.free_model()
    return [_created(s, name)] if name else []


def _created(s: Sequence, name: str) -> Operation:
    key = ("id", models.BigAutoField(primary_key=True))
    fields: list[tuple[str, models.Field[Any, Any]]] = [
        key,
        ("a", models.IntegerField(null=True)),
        ("b", s.new_field()),
    ]
    return django.CreateModel(name, fields)


def recreate_model(s: Sequence) -> list[Operation]:
    of = s.any_model()
    if any(True for _ in s.pointing_at(of)) or s.is_base(of):
        return []
    return (
        [django.DeleteModel(of.name), _created(s, of.name)] if of.bases == (models.Model,) else []
    )


def unmanage(s: Sequence) -> list[Operation]:
    found = recreate_model(s)
    for each in found:
        if isinstance(each, django.CreateModel):
            each.options["managed"] = False
    return found


def create_child(s: Sequence) -> list[Operation]:
    name, base = s.free_model(), s.any_model()
    named = f"{APP}.{base.name_lower}"
    link = models.OneToOneField(
        named, models.CASCADE, auto_created=True, parent_link=True, primary_key=True
    )
    extra: models.Field[Any, Any] = models.IntegerField(default=1)
    fields: list[tuple[str, models.Field[Any, Any]]] = [("up", link), ("extra", extra)]
    return [django.CreateModel(name, fields, bases=(named,))] if name else []


def drop_constraint(s: Sequence) -> list[Operation]:
    of = s.any_model()
    found: list[Operation] = [
        django.RemoveConstraint(of.name, item.name) for item in of.options.get("constraints", ())
    ]
    found += [django.RemoveIndex(of.name, item.name) for item in of.options.get("indexes", ())]
    if of.options.get("unique_together"):
        found.append(django.AlterUniqueTogether(of.name, set()))
    return found


def add_constraint(s: Sequence) -> list[Operation]:
    of = s.any_model()
    names = [name for name in s.fields(of) if not of.fields[name].many_to_many]
    if not names or s.named(of):
        return []
    fields = s.random.sample(names, min(2, len(names)))
    made: list[Operation] = [
        django.AddConstraint(of.name, models.UniqueConstraint(fields=fields, name="both")),
        django.AddIndex(of.name, models.Index(fields=fields, name="one")),
        django.AlterUniqueTogether(of.name, {tuple(fields)}),
    ]
    return [s.random.choice(made)]


def pause(s: Sequence) -> list[Operation]:
    """A data step, which cuts what is seen at once."""
    return [django.RunPython(django.RunPython.noop, django.RunPython.noop)]


def create_proxy(s: Sequence) -> list[Operation]:
    name, base = s.free_model(), s.any_model()
    bases = (f"{APP}.{base.name_lower}",)
    return [django.CreateModel(name, [], {"proxy": True}, bases=bases)] if name else []


def proxy_to_concrete(s: Sequence) -> list[Operation]:
    proxies = [each for each in s.state.models.values() if each.options.get("proxy")]
    if not proxies:
        return []
    name = s.random.choice(proxies).name
    return [django.DeleteModel(name), _created(s, name)]


def concrete_to_proxy(s: Sequence) -> list[Operation]:
    of, base = s.any_model(), s.any_model()
    if of is base or any(True for _ in s.pointing_at(of)) or s.is_base(of):
        return []
    bases = (f"{APP}.{base.name_lower}",)
    return [
        django.DeleteModel(of.name),
        django.CreateModel(of.name, [], {"proxy": True}, bases=bases),
    ]


def rename_model(s: Sequence) -> list[Operation]:
    of, new = s.random.choice(list(s.state.models.values())), s.free_model()
    return [django.RenameModel(of.name, new)] if new else []


def rename_model_onto(s: Sequence) -> list[Operation]:
    found = delete_model(s)
    if not found:
        return []
    last = found[-1]
    gone = last.name if isinstance(last, django.DeleteModel) else ""
    others = [each for each in s.state.models.values() if each.name != gone]
    return [*found, django.RenameModel(s.random.choice(others).name, gone)]


def alter_table(s: Sequence) -> list[Operation]:
    of, table = s.any_model(), s.random.choice(TABLES)
    taken = {
        each.options.get("db_table") or f"{APP}_{each.name_lower}"
        for each in s.concrete()
        if each is not of
    }
    wanted = table or f"{APP}_{of.name_lower}"
    return [] if wanted in taken else [django.AlterModelTable(of.name, table)]


def another_key(s: Sequence) -> list[Operation]:
    of = s.any_model()
    keys = [name for name, field in of.fields.items() if field.primary_key]
    if any(True for _ in s.pointing_at(of)) or s.is_base(of) or keys != ["id"]:
        return []
    numbers = [name for name, field in of.fields.items() if getattr(field, "unique", False)]
    made = models.BigAutoField(primary_key=True)
    changes: list[Operation] = [
        django.AddField(of.name, s.random.choice(("id", "number")), made),
        *(
            django.AlterField(of.name, name, models.IntegerField(primary_key=True))
            for name in numbers
            if name != "id" and isinstance(of.fields[name], models.IntegerField)
        ),
    ]
    return [django.RemoveField(of.name, "id"), s.random.choice(changes)]


KINDS: tuple[Kind, ...] = (
    remove_field,
    add_field,
    replace_field,
    replace_field,
    rename_field,
    rename_onto,
    rename_onto,
    swap_fields,
    alter_field,
    alter_field,
    delete_model,
    create_model,
    recreate_model,
    recreate_model,
    create_proxy,
    proxy_to_concrete,
    concrete_to_proxy,
    rename_model,
    rename_model_onto,
    alter_table,
    another_key,
    unmanage,
    create_child,
    drop_constraint,
    drop_constraint,
    add_constraint,
    pause,
)
