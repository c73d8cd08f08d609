"""What ends and comes again under its name, by Django's own operations and by zanith's: the same
schema, the same rows, and back."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import DatabaseError, models
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.migration import Migration
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterModelTable,
    CreateModel,
    DeleteModel,
    RemoveConstraint,
    RemoveField,
    RemoveIndex,
    RenameField,
    RenameModel,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation as MigrationOperation
from django.db.migrations.state import ProjectState
from django.db.models import Field
from django.db.models.functions import Lower

from tests.graphs import differences
from tests.place import Place
from tests.roundtrip.django_operations import APP, Sequence, first
from tests.roundtrip.test_against_django import (
    by_django,
    declared,
    filled,
    migration,
    performed,
    rows,
)
from tests.servers import Database
from zanith_django.diff.differ import SOFT
from zanith_django.exceptions import CannotAlter, CannotDrop
from zanith_django.operations import Operation
from zanith_django.schema.equality import as_declared
from zanith_django.timeline.walk import Walk

SEEDS = range(int(os.environ.get("ZANITH_IDENTITY_SEEDS", "40")))


def changed(name: str, operations: list[MigrationOperation]) -> Migration:
    made = Migration(name, APP)
    made.operations = operations  # type: ignore[misc]  # as Django's own writer does
    return made


def walked(
    connection: DatabaseWrapper, begun: list[Migration], then: list[Migration]
) -> dict[str, list[Operation]]:
    walk = Walk(connection, SOFT)
    for step in begun:
        walk.skip(step)
    try:
        return {step.name: walk.operations(step) for step in then}
    except CannotDrop as error:
        pytest.skip(str(error))


def undone(place: Place, made: dict[str, list[Operation]]) -> bool:
    """Takes everything back, if all of it can be."""
    inverses = {
        name: [operation.inverse() for operation in reversed(found)]
        for name, found in reversed(made.items())
    }
    if any(inverse is None for found in inverses.values() for inverse in found):
        return False
    for name, found in inverses.items():
        performed(place, [inverse for inverse in found if inverse], name)
    return True


def check(
    connection: DatabaseWrapper,
    database: Database,
    then: list[Migration],
    begun: list[Migration] | None = None,
) -> None:
    begun = begun or migration("initial", [], first(), None)
    connection.ensure_connection()
    theirs = Place(database, connection.connection)
    ours = Place(database, connection.connection)
    try:
        theirs.execute(f"SET search_path = {theirs.schema}")
        old = by_django(connection, begun, ProjectState())
        filled(theirs)
        try:
            new = by_django(connection, then, old.clone())
        except (DatabaseError, ValueError) as error:
            pytest.skip(f"Django cannot do it: {error}")
        wanted = declared(connection, new)
        found = theirs.read()
        expected = as_declared(found, wanted.graph, wanted.facts)
        kept = rows(theirs, found, frozenset())

        ours.execute(f"SET search_path = {ours.schema}")
        by_django(connection, begun, ProjectState())
        filled(ours)
        before = ours.read()
        full = rows(ours, before, frozenset())
        made = walked(connection, begun, then)
        for name, found_here in made.items():
            performed(ours, found_here, name)
        result = as_declared(ours.read(), wanted.graph, wanted.facts)

        assert differences(result.live, expected.live) == []
        assert {e.description for e in result.extras} == {e.description for e in expected.extras}
        assert rows(ours, found, frozenset()) == kept

        if undone(ours, made):
            assert differences(ours.read(), before) == []
            assert rows(ours, before, frozenset()) == full
    finally:
        ours.remove()
        theirs.remove()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations_do_what_they_do_in_django(
    seed: int, connection: DatabaseWrapper, database: Database
) -> None:
    sequence = Sequence(seed)
    operations = sequence.of(sequence.random.randint(1, 6))
    half = sequence.random.randint(0, len(operations))
    check(
        connection, database, [changed("one", operations[:half]), changed("two", operations[half:])]
    )


TAG = CreateModel("Tag", [("id", models.BigAutoField(primary_key=True))])
OWNER = CreateModel(
    "Owner",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("code", models.CharField(max_length=9, unique=True)),
    ],
)


def pairs(**options: Any) -> CreateModel:
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("owner", models.ForeignKey(f"{APP}.Owner", models.CASCADE)),
        ("tag", models.ForeignKey(f"{APP}.Tag", models.CASCADE)),
    ]
    return CreateModel("Link", fields, options)


def in_state(*operations: MigrationOperation) -> MigrationOperation:
    return SeparateDatabaseAndState(state_operations=list(operations))


ID = models.BigAutoField(primary_key=True)
OWNERS = models.ForeignKey(f"{APP}.Owner", models.CASCADE)
MANY = models.ManyToManyField(f"{APP}.Owner", related_name="a")
TAGS = models.ManyToManyField(f"{APP}.Tag")
TAGS_THROUGH = models.ManyToManyField(f"{APP}.Tag", through=f"{APP}.Link")
STATES: dict[str, tuple[list[MigrationOperation], list[list[MigrationOperation]]]] = {
    "pairs through a model, in state only": (
        [TAG, OWNER, pairs()],
        [[in_state(AddField("owner", "tags", TAGS_THROUGH))], [RemoveField("owner", "tags")]],
    ),
    "pairs through a model, and then the model": (
        [TAG, OWNER, pairs()],
        [
            [in_state(AddField("owner", "tags", TAGS_THROUGH))],
            [RemoveField("owner", "tags"), DeleteModel("Link")],
        ],
    ),
    "pairs of a model that Django takes over": (
        [TAG, OWNER, pairs(db_table=f"{APP}_owner_tags", unique_together={("owner", "tag")})],
        [
            [in_state(DeleteModel("Link"), AddField("owner", "tags", TAGS))],
            [RemoveField("owner", "tags")],
        ],
    ),
    "what pointed at a model points at one that state makes of its table": (
        [OWNER, CreateModel("Work", [("id", ID), ("owner", OWNERS), ("owners", MANY)])],
        [
            [
                in_state(CreateModel("Boss", OWNER.fields, {"db_table": f"{APP}_owner"})),
                AlterField("work", "owner", models.ForeignKey(f"{APP}.Boss", models.CASCADE)),
                AlterField(
                    "work", "owners", models.ManyToManyField(f"{APP}.Boss", related_name="a")
                ),
                in_state(DeleteModel("Owner")),
            ],
        ],
    ),
    "a key that goes before the next comes": (
        [OWNER],
        [
            [RemoveField("owner", "id")],
            [AlterField("owner", "code", models.CharField(max_length=9, primary_key=True))],
        ],
    ),
}


def doc(**options: Any) -> CreateModel:
    owner = models.ForeignKey(f"{APP}.Owner", models.CASCADE, null=True, **options)
    return CreateModel("Doc", [("id", models.BigAutoField(primary_key=True)), ("owner", owner)])


def key(name: str, model: str) -> AddField:
    return AddField(name, "tags", models.ManyToManyField(f"{APP}.{model}"))


CODE = models.CharField(max_length=9, primary_key=True)
OTHER_ID: list[MigrationOperation] = [
    RemoveField("owner", "id"),
    AddField("owner", "id", models.BigAutoField(primary_key=True)),
]
OTHER_KEY: list[MigrationOperation] = [
    RemoveField("owner", "id"),
    AlterField("owner", "code", CODE),
]
POSITIVE = models.CheckConstraint(condition=models.Q(code__gt=""), name="code_positive")


def boss(**options: Any) -> AlterField:
    to = models.ForeignKey(f"{APP}.Owner", models.CASCADE, null=True, **options)
    return AlterField("paper", "boss", to)


# A dropped key takes with it what points at it, while the state keeps the relations.
KEYS: dict[str, tuple[list[MigrationOperation], list[list[MigrationOperation]]]] = {
    "another key of the name": ([OWNER, doc()], [OTHER_ID]),
    "another key of the name, later": ([OWNER, doc()], [OTHER_ID[:1], OTHER_ID[1:]]),
    "a key of another type": ([OWNER, doc()], [OTHER_KEY]),
    "what to_field names": (
        [OWNER, doc(to_field="code")],
        [
            [
                RemoveField("owner", "code"),
                AddField("owner", "code", models.CharField(max_length=9, unique=True, null=True)),
            ]
        ],
    ),
    "a model of the name": ([OWNER, doc()], [[DeleteModel("Owner"), OWNER]]),
    "a model of the name, later": ([OWNER, doc()], [[DeleteModel("Owner")], [OWNER]]),
    "a model renamed to the name": (
        [OWNER, doc(), CreateModel("Boss", [("id", models.BigAutoField(primary_key=True))])],
        [[DeleteModel("Owner"), RenameModel("Boss", "Owner")]],
    ),
    "the key of a many-to-many field": ([TAG, OWNER, key("owner", "Tag")], [OTHER_ID]),
    "the model of a many-to-many field": (
        [TAG, OWNER, key("owner", "Tag")],
        [[DeleteModel("Tag"), TAG]],
    ),
    "relations to itself": (
        [
            OWNER,
            AddField("owner", "boss", models.ForeignKey("self", models.CASCADE, null=True)),
            key("owner", "Owner"),
        ],
        [OTHER_ID],
    ),
    "renamed and altered afterwards": (
        [OWNER, doc()],
        [
            OTHER_ID,
            [RenameField("doc", "owner", "boss"), RenameModel("Doc", "Paper")],
            [boss(db_index=False)],
        ],
    ),
    "pointed at another model afterwards": (
        [OWNER, doc(), CreateModel("Boss", [("id", models.AutoField(primary_key=True))])],
        [
            OTHER_ID,
            [
                AlterField(
                    "doc", "owner", models.ForeignKey(f"{APP}.Boss", models.CASCADE, null=True)
                )
            ],
        ],
    ),
    "put back by its author": (
        [OWNER, doc()],
        [
            OTHER_ID,
            [RenameField("doc", "owner", "boss"), RenameModel("Doc", "Paper")],
            [boss(db_constraint=False)],
            [boss()],
        ],
    ),
    "a check that is not valid, and its model renamed": (
        [OWNER, doc()],
        [
            [AddConstraintNotValid("owner", POSITIVE)],
            [RenameModel("Owner", "Boss")],
            [ValidateConstraint("boss", "code_positive")],
        ],
    ),
    "a check that is not valid, and its table renamed": (
        [OWNER, doc()],
        [[AddConstraintNotValid("owner", POSITIVE)], [AlterModelTable("Owner", "boss")]],
    ),
}


def parts(a: str) -> dict[str, Any]:
    """Constraints and indexes with a field in every place that they can have."""
    return {
        "indexes": [
            models.Index(fields=[a, "-b"], name="both"),
            models.Index(Lower("word"), name="low", condition=models.Q(b__lt=models.F(a))),
        ],
        "constraints": [
            models.UniqueConstraint(
                fields=["b"], include=[a], name="one", condition=models.Q(word="a", **{a: 3})
            ),
            models.CheckConstraint(condition=models.Q(b__lt=models.F(a) + 100), name="less"),
        ],
    }


def again(a: str) -> list[MigrationOperation]:
    return [
        *(RemoveIndex("number", name) for name in ("both", "low")),
        RemoveConstraint("number", "less"),
        *(AddIndex("number", index) for index in parts(a)["indexes"]),
        AddConstraint("number", parts(a)["constraints"][-1]),
    ]


def numbers(**options: Any) -> CreateModel:
    fields: list[tuple[str, Field[Any, Any]]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("a", models.IntegerField(null=True)),
        ("b", models.IntegerField(null=True)),
        ("word", models.CharField(max_length=9, null=True)),
    ]
    return CreateModel("Number", fields, options)


SWAPPED = [("a", "old"), ("b", "a"), ("old", "b")]
# Constraints and indexes follow a column, and the state keeps its old name in them.
RENAMED: dict[str, tuple[list[MigrationOperation], list[list[MigrationOperation]]]] = {
    "two columns that swap their names": (
        [numbers(**parts("a"))],
        [[RenameField("number", old, new) for old, new in SWAPPED]],
    ),
    "a column in one migration, its index in the next": (
        [numbers(**parts("a")), RemoveConstraint("number", "one")],
        [[RenameField("number", "a", "first")], again("first")],
    ),
    "a column that a condition has as a value": (
        [
            numbers(
                constraints=[
                    models.CheckConstraint(condition=~models.Q(word="a"), name="not_a"),
                ]
            )
        ],
        [[RemoveField("number", "a"), RenameField("number", "b", "a")]],
    ),
}


@pytest.mark.parametrize("name", [*STATES, *KEYS, *RENAMED])
def test_states_between_two_migrations_do_what_they_do_in_django(
    name: str, connection: DatabaseWrapper, database: Database
) -> None:
    begun, then = (STATES | KEYS | RENAMED)[name]
    steps = [changed(f"step_{number}", found) for number, found in enumerate(then, 2)]
    check(connection, database, steps, [changed("step_1", begun)])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (models.ManyToManyField(f"{APP}.Tag"), models.IntegerField(null=True)),
        (models.IntegerField(null=True), models.ManyToManyField(f"{APP}.Tag")),
        (
            models.ManyToManyField(f"{APP}.Tag"),
            models.ManyToManyField(f"{APP}.Tag", through=f"{APP}.Link"),
        ),
        (
            models.ManyToManyField(f"{APP}.Tag", through=f"{APP}.Link"),
            models.ManyToManyField(f"{APP}.Tag"),
        ),
    ],
)
def test_what_django_refuses_to_alter_is_refused_before_a_file_is_written(
    connection: DatabaseWrapper, old: Field[Any, Any], new: Field[Any, Any]
) -> None:
    owner = f"{APP}.Owner"
    walk = Walk(connection, SOFT)
    walk.skip(
        changed(
            "0001_first",
            [
                CreateModel("Tag", [("id", models.BigAutoField(primary_key=True))]),
                CreateModel("Owner", [("id", models.BigAutoField(primary_key=True))]),
                CreateModel(
                    "Link",
                    [
                        ("id", models.BigAutoField(primary_key=True)),
                        ("tag", models.ForeignKey(f"{APP}.Tag", models.CASCADE)),
                        ("owner", models.ForeignKey(owner, models.CASCADE)),
                    ],
                ),
                AddField("Owner", "tags", old),
            ],
        )
    )
    with pytest.raises(CannotAlter, match=f"{owner}.tags"):
        walk.operations(changed("0002_next", [AlterField("Owner", "tags", new)]))
