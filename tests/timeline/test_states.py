"""Historical states rendered model by model have the same tables as when rendered whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.contrib.auth.models import UserManager
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.test import override_settings

from tests.declared import group, model, text
from zanith_django.exceptions import UnreadableModel
from zanith_django.schema.ddl import TableDDL, collect
from zanith_django.schema.models import with_many_to_many
from zanith_django.timeline.relations import with_referrers
from zanith_django.timeline.states import RecordingState, render
from zanith_django.timeline.unstated import Key


def state_of(*made: ModelState, real_apps: set[str] | None = None) -> RecordingState:
    return RecordingState({(m.app_label, m.name_lower): m for m in made}, real_apps)


def to(target: str, **options: Any) -> models.ForeignKey:
    return models.ForeignKey(target, models.CASCADE, **options)


def link(target: str) -> models.OneToOneField:
    return models.OneToOneField(target, models.CASCADE, primary_key=True)


def parent_link(target: str) -> models.OneToOneField:
    return models.OneToOneField(
        target,
        models.CASCADE,
        auto_created=True,
        parent_link=True,
        primary_key=True,
        serialize=False,
    )


def ddl(connection: BaseDatabaseWrapper, made: Sequence[type[models.Model]]) -> dict[str, TableDDL]:
    every = list(with_many_to_many(connection, made))
    return {each.label: each for each in collect(connection, every, "public", {})}


def whole(connection: BaseDatabaseWrapper, state: ProjectState) -> dict[str, TableDDL]:
    """As Django renders it."""
    copy = ProjectState({k: m.clone() for k, m in state.models.items()}, state.real_apps)
    return ddl(connection, copy.apps.get_models())


class Mixin:
    """A base that is no model."""


class Stamped(models.Model):
    """An abstract base that a migration names as a class, with a relation of its own."""

    at = models.DateTimeField(db_index=True)
    by = models.ForeignKey("made.Group", models.CASCADE, related_name="+")

    class Meta:
        abstract = True
        app_label = "made"


PROXY = ModelState("made", "Proxy", {}, {"proxy": True}, bases=("made.group",))
SECOND_PROXY = ModelState("made", "Second", {}, {"proxy": True}, bases=("made.proxy",))
CHILD = ModelState(
    "made", "Child", {"group_ptr": parent_link("made.Group"), "a": text()}, bases=("made.group",)
)

STATES: dict[str, tuple[ModelState, ...]] = {
    "keys of keys": (
        model("Group", pk_=models.UUIDField(primary_key=True), next=to("made.Last", null=True)),
        model("Deep", g=link("made.Group")),
        model("Deeper", d=link("made.Deep")),
        model("Last", {"db_table": "last"}, d=to("made.Deeper")),
    ),
    "text columns": (
        *group("Group"),
        model("Thing", code=models.OneToOneField("made.Group", models.CASCADE, to_field="code")),
        model("Third", thing=to("made.Thing", to_field="code")),
    ),
    "proxies": (
        *group("Group"),
        PROXY,
        SECOND_PROXY,
        model("Thing", g=to("made.Second"), many=models.ManyToManyField("made.Proxy")),
    ),
    "inheritance": (
        *group("Group"),
        CHILD,
        ModelState(
            "made", "Grandchild", {"child_ptr": parent_link("made.Child")}, bases=("made.child",)
        ),
        model("Thing", g=to("made.Grandchild"), many=models.ManyToManyField("made.Child")),
    ),
    "inherited key without a link in the file": (
        *group("Group"),
        ModelState("made", "Child", {"a": text()}, bases=("made.group",)),
        model("Thing", c=to("made.Child")),
    ),
    "mixins and abstract bases": (
        *group("Group"),
        ModelState(
            "made",
            "Thing",
            {"id": models.AutoField(primary_key=True), "group": to("made.Group")},
            {
                "unique_together": {("group", "by")},
                "indexes": [models.Index(fields=["at"], name="i")],
            },
            bases=(Mixin, Stamped),  # type: ignore[arg-type]  # Django takes any class
        ),
        model("Other", thing=to("made.Thing")),
    ),
    "managers": (
        ModelState(
            "made",
            "Person",
            {"id": models.AutoField(primary_key=True)},
            managers=[("objects", UserManager())],
        ),
        model("Thing", p=to("made.Person")),
    ),
    "many to many": (
        *group("Group"),
        model(
            "Thing",
            groups=models.ManyToManyField("made.Group", related_name="a"),
            friends=models.ManyToManyField("self"),
            through=models.ManyToManyField("made.Group", through="made.Between", related_name="b"),
        ),
        model("Between", group=to("made.Group"), thing=to("made.Thing")),
    ),
    "circles": (
        model("One", two=to("made.Two"), self_=to("self")),
        model("Two", three=to("made.Three")),
        model("Three", one=to("made.One"), all=models.ManyToManyField("made.Two")),
    ),
    "composite keys": (
        *group("Group"),
        model(
            "Thing",
            pk=models.CompositePrimaryKey("group", "n"),
            group=to("made.Group"),
            n=models.IntegerField(unique=True),
        ),
        model("Other", thing=to("made.Thing", to_field="n")),
    ),
    "order": (
        *group("Group"),
        model("Thing", {"order_with_respect_to": "group"}, group=to("made.Group")),
        model("Other", thing=to("made.Thing")),
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_each_model_alone_has_the_table_of_a_whole_render(
    within: BaseDatabaseWrapper, name: str
) -> None:
    state = state_of(*STATES[name])
    wanted = whole(within, state)
    assert ddl(within, render(state, state.models)) == wanted
    alone: dict[str, TableDDL] = {}
    for key in state.models:
        alone |= ddl(within, render(state, [key]))
    assert alone == wanted


def test_a_swapped_model_is_left_out_and_its_setting_followed(within: BaseDatabaseWrapper) -> None:
    user = model("User", {"swappable": "AUTH_USER_MODEL"}, nick=text())
    state = state_of(user, *group("Person"), model("Thing", owner=to("made.Person")))
    with override_settings(AUTH_USER_MODEL="made.Person"):
        made = render(state, state.models)
        assert ddl(within, made) == whole(within, state)
    assert [each.__name__ for each in made] == ["Person", "Thing"]


def test_a_model_may_point_at_an_app_without_migrations(within: BaseDatabaseWrapper) -> None:
    real_apps = {"auth", "contenttypes"}
    state = state_of(model("Thing", owner=to("auth.User")), real_apps=real_apps)
    (thing,) = render(state, [("made", "thing")])
    assert ddl(within, [thing])["made.Thing"] == whole(within, state)["made.Thing"]


def test_models_that_are_gone_are_left_out() -> None:
    assert render(state_of(*group("Group")), [("made", "gone")]) == []


def test_a_relation_that_leads_nowhere_is_named() -> None:
    state = state_of(model("Thing", gone=to("made.Gone")))
    with pytest.raises(UnreadableModel, match=r"made\.thing: it points at made\.gone"):
        render(state, [("made", "thing")])


def test_a_base_that_does_not_exist_is_named() -> None:
    heir = ModelState(
        "shop", "Heir", [("base_ptr", parent_link("shop.heir"))], bases=("shop.base",)
    )

    with pytest.raises(UnreadableModel, match=r"shop\.heir.*base shop\.base does not exist"):
        render(state_of(heir), [("shop", "heir")])


# --- recording --------------------------------------------------------------------------------

BEFORE = (
    *group("Group"),
    PROXY,
    model(
        "Thing",
        {
            "indexes": [models.Index(fields=["a"], name="i")],
            "constraints": [models.UniqueConstraint(fields=["a"], name="u")],
        },
        a=text(),
        c=text(unique=True),
        group=to("made.Group"),
    ),
    model("Owned", thing=link("made.Thing"), code=to("made.Group", to_field="code")),
    model("Tag", owned=models.ManyToManyField("made.Owned"), proxy=to("made.Proxy")),
    model("Free", n=models.IntegerField()),
)

BIG = models.UUIDField(primary_key=True)
TOUCHED: list[tuple[Operation, set[str], set[str]]] = [
    (ops.CreateModel("New", [("id", models.AutoField(primary_key=True))]), {"new"}, set()),
    (ops.DeleteModel("Free"), {"free"}, set()),
    (ops.RenameModel("Free", "Bound"), {"free", "bound"}, set()),
    (ops.RenameModel("Thing", "Item"), {"thing", "item", "owned"}, {"tag"}),
    (ops.AlterModelTable("Free", "free"), {"free"}, set()),
    (ops.AlterModelTable("Owned", "owned"), {"owned"}, {"tag"}),
    (ops.AlterModelTable("Group", "groups"), {"group"}, {"thing", "owned", "tag"}),
    (ops.AlterUniqueTogether("Thing", {("a", "group")}), {"thing"}, set()),
    (ops.AlterModelOptions("Thing", {"ordering": ["a"]}), {"thing"}, set()),
    (ops.AlterModelTableComment("Thing", "said"), {"thing"}, set()),
    (ops.AddField("Thing", "b", text(null=True)), {"thing"}, set()),
    (ops.RemoveField("Thing", "c"), {"thing"}, set()),
    (ops.AlterField("Thing", "a", models.TextField()), {"thing"}, set()),
    (ops.AlterField("Thing", "id", BIG), {"thing"}, {"owned", "tag"}),
    (ops.AlterField("Group", "id", BIG), {"group"}, {"thing", "tag"}),
    (ops.AlterField("Group", "slug", models.TextField()), {"group"}, set()),
    (ops.AlterField("Group", "code", models.TextField(unique=True)), {"group"}, {"owned"}),
    (ops.RenameField("Thing", "c", "b"), {"thing"}, set()),
    (ops.RenameField("Thing", "id", "key"), {"thing"}, {"owned", "tag"}),
    (ops.RenameField("Group", "code", "sign"), {"group"}, {"owned"}),
    (ops.AddIndex("Thing", models.Index(fields=["a"], name="j")), {"thing"}, set()),
    (ops.RemoveIndex("Thing", "i"), {"thing"}, set()),
    (ops.RenameIndex("Thing", "j", old_name="i"), {"thing"}, set()),
    (
        ops.AddConstraint("Thing", models.UniqueConstraint(fields=["a"], name="v")),
        {"thing"},
        set(),
    ),
    (ops.RemoveConstraint("Thing", "u"), {"thing"}, set()),
]


def keys(names: set[str]) -> set[Key]:
    return {("made", name) for name in names}


@pytest.mark.parametrize(
    ("operation", "touched", "following"), TOUCHED, ids=lambda v: getattr(v, "describe", str)()
)
def test_an_operation_touches_these_models_and_these_follow(
    within: BaseDatabaseWrapper, operation: Operation, touched: set[str], following: set[str]
) -> None:
    state = state_of(*(made.clone() for made in BEFORE))
    before, before_tables = state.clone(), whole(within, state)
    operation.state_forwards("made", state)
    recorded = state.take_touched()
    changed = with_referrers(before, state, recorded)
    assert recorded == keys(touched)
    assert changed == keys(touched | following)
    assert state.take_touched() == frozenset()
    assert whole(within, before) == before_tables

    def untouched(tables: dict[str, TableDDL]) -> dict[str, TableDDL]:
        """The tables of models that are said to be as they were."""
        names = {f"made.{name}" for _, name in changed}
        return {k: t for k, t in tables.items() if k.lower().partition("_")[0] not in names}

    after_tables = whole(within, state)
    assert untouched(after_tables) == untouched(before_tables)
    assert ddl(within, render(state, changed)).items() <= after_tables.items()
    assert "apps" not in state.__dict__


def test_a_copy_has_recorded_nothing_and_shares_nothing() -> None:
    state = state_of(*group("Group"))
    state.remove_model("made", "group")
    copy = state.clone()
    copy.add_model(model("New"))
    assert copy.take_touched() == keys({"new"})
    assert state.take_touched() == keys({"group"})
    assert not state.models
