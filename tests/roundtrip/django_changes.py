"""Changes of models, each with what zanith makes of the migration that Django writes for it."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.contrib.postgres import fields as postgres, indexes
from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models
from django.db.migrations.state import ModelState
from django.db.models import F, Q, functions as sql
from django.db.models.constraints import BaseConstraint
from django.db.models.indexes import Index

from zanith_django.constraints import Policy, RowSecurity

State = Sequence[ModelState]


@dataclass(frozen=True)
class Change:
    """Models before and after, and the kinds of operations between them.

    Names of what nobody named follow a renamed table: those kinds are listed only where the case
    is about them. `answer` is what somebody gives existing rows of a new required column;
    `random` names columns whose values differ by chance.
    """

    name: str
    before: Callable[[], State]
    after: Callable[[], State]
    kinds: str
    answer: Any = None
    random: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return self.name


def model(name: str, options: dict[str, Any] | None = None, /, **fields: Any) -> ModelState:
    bases = fields.pop("bases", (models.Model,))
    named = [(key, value) for key, value in fields.items() if isinstance(value, models.Field)]
    if bases == (models.Model,) and not any(value.primary_key for _, value in named):
        key = models.BigAutoField(auto_created=True, primary_key=True, serialize=False)
        named.insert(0, ("id", key))
    return ModelState("made", name, named, options, bases)


def one(name: str, before: Any, after: Any, kinds: str, **more: Any) -> Change:
    """A change of the field `a` of one model; None where it is not there."""

    def state(made: Any) -> Callable[[], State]:
        fields: Callable[[], dict[str, Any]] = lambda: {"a": made()} if made else {}  # noqa: E731
        return lambda: [model("Thing", b=models.IntegerField(), **fields())]

    return Change(name, state(before), state(after), kinds, **more)


def meta(name: str, before: dict[str, Any], after: dict[str, Any], kinds: str) -> Change:
    """A change of the options of one model."""

    def state(options: dict[str, Any]) -> Callable[[], State]:
        return lambda: [
            model(
                "Thing",
                dict(options),
                a=models.CharField(max_length=20),
                b=models.IntegerField(),
                c=models.IntegerField(null=True),
                days=postgres.DateRangeField(null=True),
                words=postgres.ArrayField(models.TextField(), default=list),
            )
        ]

    return Change(name, state(before), state(after), kinds)


def constraint(name: str, before: Any, after: Any, kinds: str) -> Change:
    return meta(name, _listed("constraints", before), _listed("constraints", after), kinds)


def index(name: str, before: Any, after: Any, kinds: str) -> Change:
    return meta(name, _listed("indexes", before), _listed("indexes", after), kinds)


def _listed(key: str, items: BaseConstraint | Index | Sequence[Any] | None) -> dict[str, Any]:
    if items is None:
        return {}
    return {key: list(items) if isinstance(items, Sequence) else [items]}


def whole(
    name: str, before: Sequence[Any], after: Sequence[Any], kinds: str, **more: Any
) -> Change:
    """A change of several models, each given as a function that makes its state."""
    return Change(name, lambda: [m() for m in before], lambda: [m() for m in after], kinds, **more)


def char(**options: Any) -> Callable[[], Any]:
    return lambda: models.CharField(**{"max_length": 20, **options})


def text(**options: Any) -> Callable[[], Any]:
    return lambda: models.TextField(**options)


def number(**options: Any) -> Callable[[], Any]:
    return lambda: models.IntegerField(**options)


def generated(expression: Any, **options: Any) -> Callable[[], Any]:
    return lambda: models.GeneratedField(
        **{
            "expression": expression,
            "output_field": models.IntegerField(),
            "db_persist": True,
            **options,
        }
    )


FIELDS = [
    one("a new nullable column", None, number(null=True), "addColumn"),
    one(
        "a new text with a default in Python",
        None,
        text(default="x"),
        "addColumn alterColumnDefault",
    ),
    one("a new column with a default in the database", None, number(db_default=3), "addColumn"),
    one(
        "a new column with a volatile default",
        None,
        lambda: models.DateTimeField(db_default=sql.Now()),
        "addColumn",
        random=frozenset("a"),
    ),
    one(
        "a new required column, answered once",
        None,
        number(),
        "addColumn alterColumnDefault",
        answer=7,
    ),
    one(
        "a new list",
        None,
        lambda: postgres.ArrayField(models.IntegerField(), default=list),
        "addColumn alterColumnDefault",
    ),
    one(
        "a new JSON value",
        None,
        lambda: models.JSONField(default=dict),
        "addColumn alterColumnDefault",
    ),
    one(
        "a new boolean",
        None,
        lambda: models.BooleanField(default=False),
        "addColumn alterColumnDefault",
    ),
    one(
        "a new decimal",
        None,
        lambda: models.DecimalField(max_digits=9, decimal_places=2, default=Decimal("1.5")),
        "addColumn alterColumnDefault",
    ),
    one(
        "a new date",
        None,
        lambda: models.DateField(default=datetime.date(2026, 1, 1)),
        "addColumn alterColumnDefault",
    ),
    one(
        "a new duration",
        None,
        lambda: models.DurationField(default=datetime.timedelta(hours=1)),
        "addColumn alterColumnDefault",
    ),
    one(
        "a new positive number",
        None,
        lambda: models.PositiveIntegerField(default=1),
        "addColumn alterColumnDefault addCheck",
    ),
    one("a new indexed text", None, char(null=True, db_index=True), "addColumn addIndex addIndex"),
    one("a new slug", None, lambda: models.SlugField(null=True), "addColumn addIndex addIndex"),
    one("a new unique number", None, number(null=True, unique=True), "addColumn addUnique"),
    one("a new generated column", None, generated(F("b") * 2), "addGeneratedColumn"),
    one("a column goes", number(), None, "dropColumn"),
    one("an indexed column goes", char(db_index=True), None, "dropIndex dropIndex dropColumn"),
    one("a unique column goes", number(unique=True), None, "dropUnique dropColumn"),
    one(
        "a positive number goes",
        lambda: models.PositiveIntegerField(),
        None,
        "dropCheck dropColumn",
    ),
    one("a generated column goes", generated(F("b") * 2), None, "dropColumn"),
    one("NULL allowed", number(), number(null=True), "alterColumnNullable"),
    one(
        "NULL forbidden, with a default for old rows",
        number(null=True),
        number(default=7),
        "backfill alterColumnNullable",
    ),
    one(
        "NULL forbidden, answered once",
        number(null=True),
        number(),
        "backfill alterColumnNullable",
        answer=7,
    ),
    one("a wider varchar", char(), char(max_length=50), "alterColumnType"),
    one("a narrower varchar", char(max_length=50), char(), "alterColumnType"),
    one("varchar without a limit", char(), text(), "alterColumnType"),
    one("text with a limit", text(), char(), "alterColumnType"),
    one("an integer made big", number(), lambda: models.BigIntegerField(), "alterColumnType"),
    one("an integer made small", number(), lambda: models.SmallIntegerField(), "alterColumnType"),
    one("an integer made text", number(), text(), "alterColumnType"),
    one("a text made an integer", char(), number(), "alterColumnType"),
    one(
        "a decimal with more digits",
        lambda: models.DecimalField(max_digits=5, decimal_places=2),
        lambda: models.DecimalField(max_digits=9, decimal_places=2),
        "alterColumnType",
    ),
    one(
        "a date made a moment",
        lambda: models.DateField(),
        lambda: models.DateTimeField(),
        "alterColumnType",
    ),
    one("a number made a float", number(), lambda: models.FloatField(), "alterColumnType"),
    one(
        "a JSON value made text", lambda: models.JSONField(default=dict), text(), "alterColumnType"
    ),
    one(
        "an indexed varchar made wider",
        char(db_index=True),
        char(max_length=99, db_index=True),
        "alterColumnType",
    ),
    one(
        "an indexed varchar made text",
        char(db_index=True),
        text(db_index=True),
        "dropIndex alterColumnType addIndex",
    ),
    one("an index on a text field", char(), char(db_index=True), "addIndex addIndex"),
    one("no index on a text field", char(db_index=True), char(), "dropIndex dropIndex"),
    one("an index on a number", number(), number(db_index=True), "addIndex"),
    one("a unique text", char(), char(unique=True), "addUnique addIndex"),
    one("a text that is unique no more", char(unique=True), char(), "dropUnique dropIndex"),
    one(
        "an indexed number made unique",
        number(db_index=True),
        number(unique=True),
        "addUnique dropIndex",
    ),
    one("a default in the database", number(), number(db_default=3), "alterColumnDefault"),
    one(
        "another default in the database",
        number(db_default=3),
        number(db_default=4),
        "alterColumnDefault",
    ),
    one("no default in the database", number(db_default=3), number(), "alterColumnDefault"),
    one("a default in Python alone", number(), number(default=3), ""),
    one("a comment", number(), number(db_comment="how many"), "setComment"),
    one("no comment", number(db_comment="how many"), number(), "setComment"),
    one("a collation", text(), text(db_collation="C"), "alterColumnType"),
    one("no collation", text(db_collation="C"), text(), "alterColumnType"),
    one("a number made positive", number(), lambda: models.PositiveIntegerField(), "addCheck"),
    one(
        "a positive number made plain", lambda: models.PositiveIntegerField(), number(), "dropCheck"
    ),
    one("a text with choices", char(), char(choices=[("a", "A")]), ""),
    one("another name of the column", number(), number(db_column="other"), "renameColumn"),
    one(
        "a positive number under another name",
        lambda: models.PositiveIntegerField(),
        lambda: models.PositiveIntegerField(db_column="other"),
        "renameColumn",
    ),
    one(
        "a bigger array",
        lambda: postgres.ArrayField(models.IntegerField(), default=list),
        lambda: postgres.ArrayField(models.BigIntegerField(), default=list),
        "alterColumnType",
    ),
]

META = [
    index("an index", None, Index(fields=["b"], name="i"), "addIndex"),
    index("no index", Index(fields=["b"], name="i"), None, "dropIndex"),
    index(
        "an index under another name",
        Index(fields=["b"], name="i"),
        Index(fields=["b"], name="j"),
        "renameIndex",
    ),
    index(
        "an index on other columns",
        Index(fields=["b"], name="i"),
        Index(fields=["b", "c"], name="i"),
        "addIndex dropIndex renameIndex",
    ),
    index(
        "an index with a condition",
        None,
        Index(fields=["b"], condition=Q(c__gt=1), name="i"),
        "addIndex",
    ),
    index("an index on an expression", None, Index(sql.Lower("a"), name="i"), "addIndex"),
    index(
        "an index that includes a column",
        None,
        Index(fields=["b"], include=["c"], name="i"),
        "addIndex",
    ),
    index(
        "a descending index",
        Index(fields=["b"], name="i"),
        Index(fields=["-b"], name="i"),
        "addIndex dropIndex renameIndex",
    ),
    index("a GIN index", None, indexes.GinIndex(fields=["words"], name="i"), "addIndex"),
    index(
        "a hash index in the place of a btree",
        Index(fields=["b"], name="i"),
        indexes.HashIndex(fields=["b"], name="i"),
        "addIndex dropIndex renameIndex",
    ),
    index(
        "a fill factor",
        indexes.BTreeIndex(fields=["b"], name="i"),
        indexes.BTreeIndex(fields=["b"], fillfactor=70, name="i"),
        "alterIndexOptions",
    ),
    index(
        "an operator class",
        None,
        Index(fields=["a"], opclasses=["varchar_pattern_ops"], name="i"),
        "addIndex",
    ),
    constraint("a check", None, models.CheckConstraint(condition=Q(b__gt=0), name="k"), "addCheck"),
    constraint(
        "no check", models.CheckConstraint(condition=Q(b__gt=0), name="k"), None, "dropCheck"
    ),
    constraint(
        "another check",
        models.CheckConstraint(condition=Q(b__gt=0), name="k"),
        models.CheckConstraint(condition=Q(b__gt=-1), name="k"),
        "addCheck dropCheck renameConstraint",
    ),
    constraint(
        "a check under another name",
        models.CheckConstraint(condition=Q(b__gt=0), name="k"),
        models.CheckConstraint(condition=Q(b__gt=0), name="l"),
        "renameConstraint",
    ),
    constraint(
        "a check with another message",
        models.CheckConstraint(condition=Q(b__gt=0), name="k"),
        models.CheckConstraint(condition=Q(b__gt=0), name="k", violation_error_message="no"),
        "",
    ),
    constraint(
        "a unique constraint",
        None,
        models.UniqueConstraint(fields=["a", "b"], name="u"),
        "addUnique",
    ),
    constraint(
        "no unique constraint",
        models.UniqueConstraint(fields=["a", "b"], name="u"),
        None,
        "dropUnique",
    ),
    constraint(
        "a unique constraint with a condition",
        None,
        models.UniqueConstraint(fields=["b"], condition=Q(c__gt=0), name="u"),
        "addIndex",
    ),
    constraint(
        "a unique expression", None, models.UniqueConstraint(sql.Lower("a"), name="u"), "addIndex"
    ),
    constraint(
        "a unique constraint that waits",
        None,
        models.UniqueConstraint(fields=["b"], deferrable=models.Deferrable.DEFERRED, name="u"),
        "addUnique",
    ),
    constraint(
        "nulls that are not distinct",
        None,
        models.UniqueConstraint(fields=["b", "c"], nulls_distinct=False, name="u"),
        "addUnique",
    ),
    constraint(
        "a unique constraint under another name",
        models.UniqueConstraint(fields=["b"], name="u"),
        models.UniqueConstraint(fields=["b"], name="v"),
        "renameConstraint",
    ),
    constraint(
        "an exclusion",
        None,
        ExclusionConstraint(name="x", expressions=[("days", "&&")]),
        "addExclusion",
    ),
    constraint(
        "no exclusion",
        ExclusionConstraint(name="x", expressions=[("days", "&&")]),
        None,
        "dropExclusion",
    ),
    constraint(
        "row security",
        None,
        [RowSecurity(), Policy(name="p", using=Q(b__gt=0))],
        "createPolicy enableRls",
    ),
    constraint(
        "no row security",
        [RowSecurity(), Policy(name="p", using=Q(b__gt=0))],
        None,
        "disableRls dropPolicy",
    ),
    constraint(
        "row security for the owner too", RowSecurity(), RowSecurity(force=True), "enableRls"
    ),
    constraint(
        "another policy",
        Policy(name="p", using=Q(b__gt=0)),
        Policy(name="p", using=Q(b__gt=1), roles=["pg_monitor"]),
        "alterPolicy",
    ),
    constraint(
        "a policy for another command",
        Policy(name="p", using=Q(b__gt=0)),
        Policy(name="p", using=Q(b__gt=0), command="DELETE"),
        "alterPolicy",
    ),
    meta("unique together", {}, {"unique_together": {("a", "b")}}, "addUnique"),
    meta("unique together no more", {"unique_together": {("a", "b")}}, {}, "dropUnique"),
    meta("another name of the table", {}, {"db_table": "other"}, "renameTable"),
    meta("a comment of the table", {}, {"db_table_comment": "things"}, "setComment"),
    meta(
        "another comment of the table",
        {"db_table_comment": "things"},
        {"db_table_comment": "x"},
        "setComment",
    ),
    meta("a table that is managed no more", {}, {"managed": False}, ""),
]


def author(**fields: Any) -> Callable[[], ModelState]:
    return lambda: model("Author", name=models.CharField(max_length=50), **fields)


def book(options: dict[str, Any] | None = None, /, **fields: Any) -> Callable[[], ModelState]:
    return lambda: model(
        "Book",
        options and dict(options),
        title=models.CharField(max_length=50),
        **{name: made() for name, made in fields.items()},
    )


def key(
    to: str = "made.Author", on_delete: Any = models.CASCADE, **options: Any
) -> Callable[[], Any]:
    return lambda: models.ForeignKey(to, on_delete, **options)


def many(to: str = "made.Author", **options: Any) -> Callable[[], Any]:
    return lambda: models.ManyToManyField(to, **options)


def writer() -> ModelState:
    return model("Writer", name=models.CharField(max_length=50))


def poet() -> ModelState:
    return model("Poet", verses=models.IntegerField(default=0), bases=("made.author",))


RELATIONS = [
    whole("a new model", [author()], [author(), book()], "createTable"),
    whole(
        "a new model with all that hangs on it",
        [author()],
        [
            author(),
            book(
                {"indexes": [Index(fields=["title"], name="t")]}, by=key(), code=char(unique=True)
            ),
        ],
        "createTable",
    ),
    whole(
        "two new models that point at each other",
        [],
        [
            lambda: model("Left", right=models.ForeignKey("made.Right", models.CASCADE)),
            lambda: model("Right", left=models.ForeignKey("made.Left", models.CASCADE, null=True)),
        ],
        "createTable createTable addForeignKey",
    ),
    whole("a model goes", [author(), book(by=key())], [author()], "dropTable"),
    whole(
        "two models that point at each other go",
        [author(), book(by=key())],
        [],
        "dropTable dropTable",
    ),
    whole(
        "a new foreign key",
        [author(), book()],
        [author(), book(by=key(null=True))],
        "addColumn addIndex addForeignKey",
    ),
    whole(
        "a new foreign key without a constraint",
        [author(), book()],
        [author(), book(by=key(null=True, db_constraint=False))],
        "addColumn addIndex",
    ),
    whole(
        "a new foreign key without an index",
        [author(), book()],
        [author(), book(by=key(null=True, db_index=False))],
        "addColumn addForeignKey",
    ),
    whole(
        "a foreign key goes",
        [author(), book(by=key())],
        [author(), book()],
        "dropIndex dropForeignKey dropColumn",
    ),
    whole(
        "a foreign key loses its constraint",
        [author(), book(by=key())],
        [author(), book(by=key(db_constraint=False))],
        "dropForeignKey",
    ),
    whole(
        "a foreign key gets its constraint",
        [author(), book(by=key(db_constraint=False))],
        [author(), book(by=key())],
        "addForeignKey",
    ),
    whole(
        "a foreign key may be null",
        [author(), book(by=key())],
        [author(), book(by=key(null=True))],
        "alterColumnNullable",
    ),
    whole(
        "what happens on delete, in Python alone",
        [author(), book(by=key())],
        [author(), book(by=key(on_delete=models.PROTECT))],
        "",
    ),
    whole(
        "a foreign key made unique",
        [author(), book(by=key())],
        [author(), book(by=lambda: models.OneToOneField("made.Author", models.CASCADE))],
        "addUnique dropIndex",
    ),
    whole(
        "a foreign key onto another table",
        [author(), writer, book(by=key())],
        [author(), writer, book(by=key("made.Writer"))],
        "addForeignKey dropForeignKey",
    ),
    whole(
        "a foreign key onto itself",
        [book()],
        [book(sequel=key("made.Book", null=True))],
        "addColumn addIndex addForeignKey",
    ),
    whole(
        "a renamed column", [author(), book(by=key())], [author(), book(who=key())], "renameColumn"
    ),
    whole(
        "a renamed model that is pointed at",
        [author(), book(by=key())],
        [writer, book(by=key("made.Writer"))],
        "renameTable",
    ),
    whole(
        "a renamed model with many-to-many pairs",
        [author(), book(by=many())],
        [writer, book(by=many("made.Writer"))],
        "renameTable renameColumn",
    ),
    whole("new many-to-many pairs", [author(), book()], [author(), book(by=many())], "createTable"),
    whole("many-to-many pairs go", [author(), book(by=many())], [author(), book()], "dropTable"),
    whole(
        "many-to-many pairs under another name",
        [author(), book(by=many())],
        [author(), book(who=many())],
        "renameTable",
    ),
    whole(
        "many-to-many pairs in a table of another name",
        [author(), book(by=many())],
        [author(), book(by=many(db_table="pairs"))],
        "renameTable",
    ),
    whole("a child of a model", [author()], [author(), poet], "createTable"),
    whole("a child of a model goes", [author(), poet], [author()], "dropTable"),
    whole(
        "a key that is pointed at grows",
        [lambda: model("Author", id=models.AutoField(primary_key=True)), book(by=key())],
        [lambda: model("Author", id=models.BigAutoField(primary_key=True)), book(by=key())],
        "alterColumnType alterColumnType",
    ),
    whole(
        "a text key that is pointed at grows",
        [
            lambda: model("Author", id=models.CharField(max_length=9, primary_key=True)),
            book(by=key()),
        ],
        [
            lambda: model("Author", id=models.CharField(max_length=20, primary_key=True)),
            book(by=key()),
        ],
        "alterColumnType alterColumnType",
    ),
]

CHANGES: Sequence[Change] = (*FIELDS, *META, *RELATIONS)
