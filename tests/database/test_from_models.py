"""The declared graph equals, without any tolerance, what Django's own schema editor makes."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.postgres import fields as postgres
from django.contrib.postgres import indexes, search
from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.state import ModelState
from django.db.models import F, Q
from django.db.models import functions as sql
from pytest_django import DjangoDbBlocker

from tests.database.declared import connect, group, model, rendered, text
from tests.servers import Database, Server
from zanith_django.exceptions import MissingRight, UnreadableModel
from zanith_django.schema import scratch
from zanith_django.schema.from_catalog import from_catalog
from zanith_django.schema.from_models import Declared, from_models, with_many_to_many
from zanith_django.schema.graph import ForeignKey, SchemaGraph, TableName


@pytest.fixture
def connection(
    fresh_database: Database, django_db_blocker: DjangoDbBlocker
) -> Iterator[DatabaseWrapper]:
    """A connection in autocommit to a database of the test's own."""
    with django_db_blocker.unblock():
        wrapper = connect(fresh_database.url, "fresh")
        yield wrapper
        wrapper.close()
    del connections["fresh"]


NEEDS = {
    "hstore": "hstore",
    "gin with opclass": "pg_trgm",
    "functional opclass": "pg_trgm",
    "bloom": "bloom",
    "exclusion": "btree_gist",
}


def skip_without_extension(connection: BaseDatabaseWrapper, name: str) -> None:
    """Some servers come without PostgreSQL's own extensions."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extname FROM pg_extension")
        installed = [extension for (extension,) in cursor.fetchall()]
    if NEEDS.get(name, "plpgsql") not in installed:
        pytest.skip(f"this server has no {NEEDS[name]}")


def create(connection: BaseDatabaseWrapper, made: list[type[models.Model]]) -> None:
    with connection.schema_editor() as editor:
        for each in made:
            editor.create_model(each)


def live(connection: BaseDatabaseWrapper) -> SchemaGraph:
    with connection.cursor() as cursor:
        return from_catalog(cursor)


def assert_equal(declared: Declared, live: SchemaGraph) -> None:
    assert [str(name) for name in declared.graph.table_names] == [str(n) for n in live.table_names]
    for table in declared.graph.tables:
        assert table == live.table(table.name)


LONG = "a_column_that_has_a_rather_long_name_of_more_than_sixty_bytes"
UMLAUT = "ä" * 31

COLUMNS: dict[str, models.Field] = {
    "small auto": models.SmallAutoField(primary_key=True),
    "auto": models.AutoField(primary_key=True),
    "uuid key": models.UUIDField(primary_key=True, default=uuid.uuid4),
    "text key": text(primary_key=True),
    "char": text(),
    "char without a limit": models.CharField(),
    "text": models.TextField(db_index=True),
    "slug": models.SlugField(),
    "url": models.URLField(unique=True),
    "email": models.EmailField(null=True),
    "file path": models.FilePathField(),
    "file": models.FileField(),
    "boolean": models.BooleanField(default=True),
    "integer": models.IntegerField(db_index=True),
    "big integer": models.BigIntegerField(),
    "small integer": models.SmallIntegerField(),
    "positive": models.PositiveIntegerField(),
    "positive big": models.PositiveBigIntegerField(),
    "positive small": models.PositiveSmallIntegerField(null=True, unique=True),
    "float": models.FloatField(),
    "decimal": models.DecimalField(max_digits=10, decimal_places=2),
    "date": models.DateField(auto_now=True),
    "date and time": models.DateTimeField(auto_now_add=True),
    "time": models.TimeField(),
    "duration": models.DurationField(),
    "json": models.JSONField(),
    "binary": models.BinaryField(),
    "uuid": models.UUIDField(),
    "address": models.GenericIPAddressField(unique=True),
    "array": postgres.ArrayField(text(), size=3),
    "array of arrays": postgres.ArrayField(postgres.ArrayField(models.IntegerField())),
    "integer range": postgres.IntegerRangeField(),
    "big integer range": postgres.BigIntegerRangeField(),
    "decimal range": postgres.DecimalRangeField(),
    "date range": postgres.DateRangeField(),
    "time range": postgres.DateTimeRangeField(db_index=True),
    "hstore": postgres.HStoreField(),
    "search vector": search.SearchVectorField(),
    "collation": text(db_collation="C", unique=True),
    "comment": text(db_comment='it\'s "here"'),
    "column": text(db_column='Wei rd % "" name', db_index=True),
    "reserved word": text(db_column="select", unique=True),
    "like the table": text(db_column="made_thing", unique=True),
    "long name": models.PositiveIntegerField(db_column=LONG, unique=True),
    "more bytes than fit": models.PositiveIntegerField(db_column=UMLAUT + "xyz", unique=True),
    "default number": models.IntegerField(db_default=7),
    "default text": text(db_default="it's 100%"),
    "default expression": models.DateTimeField(db_default=sql.Now()),
    "default moment": models.DateTimeField(
        db_default=datetime.datetime(2020, 2, 2, tzinfo=datetime.UTC)
    ),
    "default json": models.JSONField(db_default={"a": [1, "%"]}),
    "default decimal": models.DecimalField(max_digits=5, decimal_places=2, db_default=Decimal("1")),
    "index tablespace": text(db_tablespace="pg_default", unique=True),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_what_django_makes_of_it(within: DatabaseWrapper, name: str) -> None:
    skip_without_extension(within, name)
    made = rendered(model("Thing", before=text(), field=COLUMNS[name].clone()))
    create(within, made)
    assert_equal(from_models(within, made), live(within))


ANY_CASE = (
    "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
)


@pytest.fixture
def any_case(fresh_database: Database) -> str:
    """SQL that makes a nondeterministic collation."""
    with fresh_database.connect() as other, other.transaction(force_rollback=True):
        try:
            other.execute(ANY_CASE)
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("this server was built without ICU")
    return ANY_CASE


def test_a_nondeterministic_collation_is_what_django_makes_of_it(
    within: DatabaseWrapper, any_case: str
) -> None:
    within.cursor().execute(any_case)
    made = rendered(model("Thing", field=text(db_collation="any_case", unique=True)))
    create(within, made)
    assert_equal(from_models(within, made), live(within))


def test_a_generated_column_is_what_django_makes_of_it(within: DatabaseWrapper) -> None:
    generated = models.GeneratedField(
        expression=F("a") * 2 + 1, output_field=models.BigIntegerField(), db_persist=True
    )
    named = models.GeneratedField(
        expression=sql.Upper("b"), output_field=text(), db_persist=True, unique=True
    )
    made = rendered(model("Thing", a=models.IntegerField(), b=text(), c=generated, d=named))
    create(within, made)
    assert_equal(from_models(within, made), live(within))


def test_a_virtual_column_is_what_django_makes_of_it(within: DatabaseWrapper) -> None:
    if not getattr(within.features, "supports_virtual_generated_columns", False):
        pytest.skip("needs PostgreSQL 18 and Django 6.0")
    generated = models.GeneratedField(
        expression=F("a") + 1, output_field=models.IntegerField(), db_persist=False
    )
    made = rendered(model("Thing", a=models.IntegerField(), b=generated))
    create(within, made)
    declared = from_models(within, made)
    assert_equal(declared, live(within))
    assert declared.graph.tables[0].columns[-1].virtual


OPTIONS: dict[str, dict[str, Any]] = {
    "table comment": {"db_table_comment": 'it\'s "here"'},
    "table tablespace": {"db_tablespace": "pg_default"},
    "together": {"unique_together": {("a", "n")}},
    "index": {"indexes": [models.Index("a", F("n").desc(), name="i")]},
    "index order": {"indexes": [models.Index(fields=["-n", "a"], name="i")]},
    "index without a name": {
        "indexes": [models.Index(fields=["n", "a"], name="made_th_n_123_idx")]
    },
    "functional index": {"indexes": [models.Index(sql.Upper("a"), name="i")]},
    "partial covering index": {
        "indexes": [models.Index(fields=["n"], name="i", condition=Q(a="100%"), include=["b", "a"])]
    },
    "opclass": {"indexes": [models.Index(fields=["a"], name="i", opclasses=["text_pattern_ops"])]},
    "brin": {"indexes": [indexes.BrinIndex(fields=["n"], name="i", pages_per_range=4)]},
    "btree with storage": {"indexes": [indexes.BTreeIndex(fields=["n"], name="i", fillfactor=70)]},
    "gin": {"indexes": [indexes.GinIndex(fields=["tags"], name="i", fastupdate=False)]},
    "gin with opclass": {
        "indexes": [indexes.GinIndex(fields=["a"], name="i", opclasses=["gin_trgm_ops"])]
    },
    "gist": {"indexes": [indexes.GistIndex(fields=["span"], name="i", buffering=True)]},
    "hash": {"indexes": [indexes.HashIndex(fields=["a"], name="i")]},
    "spgist": {"indexes": [indexes.SpGistIndex(fields=["a"], name="i")]},
    "bloom": {"indexes": [indexes.BloomIndex(fields=["n"], name="i", length=80)]},
    "functional opclass": {
        "indexes": [
            indexes.GinIndex(indexes.OpClass(sql.Upper("a"), name="gin_trgm_ops"), name="i")
        ]
    },
    "unique": {"constraints": [models.UniqueConstraint(fields=["a", "n"], name="u")]},
    "partial unique": {
        "constraints": [models.UniqueConstraint(fields=["a"], condition=Q(n__gt=1), name="u")]
    },
    "functional unique": {
        "constraints": [models.UniqueConstraint(sql.Lower("a"), F("n").desc(), name="u")]
    },
    "deferrable unique": {
        "constraints": [
            models.UniqueConstraint(fields=["a"], deferrable=models.Deferrable.DEFERRED, name="u")
        ]
    },
    "immediate unique": {
        "constraints": [
            models.UniqueConstraint(fields=["a"], deferrable=models.Deferrable.IMMEDIATE, name="u")
        ]
    },
    "covering unique": {
        "constraints": [models.UniqueConstraint(fields=["a"], include=["b"], name="u")]
    },
    "unique with opclass": {
        "constraints": [
            models.UniqueConstraint(fields=["a"], opclasses=["text_pattern_ops"], name="u")
        ]
    },
    "nulls not distinct": {
        "constraints": [models.UniqueConstraint(fields=["b"], nulls_distinct=False, name="u")]
    },
    "check": {"constraints": [models.CheckConstraint(condition=Q(n__gte=F("id")), name="c")]},
    "check with percent": {
        "constraints": [models.CheckConstraint(condition=~Q(a__contains="%"), name="c")]
    },
    "exclusion": {
        "constraints": [
            ExclusionConstraint(
                name="x",
                expressions=[("span", "&&"), ("n", "=")],
                condition=Q(n__gt=0),
                deferrable=models.Deferrable.DEFERRED,
            )
        ]
    },
    "ordered": {"order_with_respect_to": "parent"},
    "name of 63 bytes": {"db_table": "t" * 63, "unique_together": {("a", "n")}},
    "name with blanks": {"db_table": "My table % 'x'", "unique_together": {("a", "n")}},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_of_meta_is_what_django_makes_of_it(within: DatabaseWrapper, name: str) -> None:
    skip_without_extension(within, name)
    made = rendered(
        model(
            "Thing",
            OPTIONS[name],
            a=text(unique=True),
            b=text(null=True),
            n=models.PositiveIntegerField(),
            tags=postgres.ArrayField(text()),
            span=postgres.IntegerRangeField(unique=True),
            parent=models.ForeignKey("self", models.CASCADE),
        )
    )
    create(within, made)
    assert_equal(from_models(within, made), live(within))


def test_a_table_name_is_cut_between_characters(within: DatabaseWrapper) -> None:
    made = rendered(
        model("Thing", {"db_table": "t" + "ä" * 40}, n=models.PositiveIntegerField(unique=True)),
        model("Other", thing=models.ForeignKey("made.Thing", models.CASCADE)),
    )
    create(within, made)
    assert_equal(from_models(within, made), live(within))


def db_cascade() -> Any:
    return getattr(models, "DB_CASCADE", models.CASCADE)


RELATIONS: dict[str, Callable[[], tuple[ModelState, ...]]] = {
    "foreign key": lambda: (
        *group("Group"),
        model("Thing", group=models.ForeignKey("made.Group", models.CASCADE)),
    ),
    "in the database": lambda: (
        *group("Group"),
        model("Thing", group=models.ForeignKey("made.Group", db_cascade())),
    ),
    "to a text column": lambda: (
        *group("Group"),
        model("Thing", g=models.ForeignKey("made.Group", models.CASCADE, to_field="code")),
    ),
    "one to one": lambda: (
        *group("Group"),
        model("Thing", g=models.OneToOneField("made.Group", models.CASCADE, primary_key=True)),
        model("Deeper", t=models.ForeignKey("made.Thing", models.CASCADE, null=True)),
    ),
    "without a constraint": lambda: (
        *group("Group"),
        model("Thing", g=models.ForeignKey("made.Group", models.CASCADE, db_constraint=False)),
    ),
    "to itself": lambda: (model("Thing", up=models.ForeignKey("self", models.CASCADE)),),
    "in a circle": lambda: (
        model("One", other=models.ForeignKey("made.Two", models.CASCADE)),
        model("Two", other=models.ForeignKey("made.One", models.CASCADE)),
    ),
    "many to many": lambda: (
        *group("Group"),
        model(
            "Thing",
            groups=models.ManyToManyField("made.Group"),
            named=models.ManyToManyField("made.Group", db_table="Named", related_name="+"),
            friends=models.ManyToManyField("self"),
        ),
    ),
    "many to many through a model": lambda: (
        *group("Group"),
        model("Thing", groups=models.ManyToManyField("made.Group", through="made.Membership")),
        model(
            "Membership",
            {"unique_together": {("group", "thing")}},
            group=models.ForeignKey("made.Group", models.CASCADE),
            thing=models.ForeignKey("made.Thing", models.CASCADE),
        ),
    ),
    "inheritance": lambda: (
        *group("Group"),
        ModelState(
            "made",
            "Child",
            {
                "group_ptr": models.OneToOneField(
                    "made.Group",
                    models.CASCADE,
                    auto_created=True,
                    parent_link=True,
                    primary_key=True,
                    serialize=False,
                ),
                "more": text(),
            },
            bases=("made.group",),
        ),
    ),
    "composite key": lambda: (
        *group("Group"),
        model(
            "Thing",
            pk=models.CompositePrimaryKey("group", "n"),
            group=models.ForeignKey("made.Group", models.CASCADE),
            n=models.IntegerField(),
        ),
    ),
    "long names": lambda: (
        model("A" * 60, b=text(unique=True)),
        model(
            "B" * 60,
            {"db_table": "b" * 63},
            c=models.ForeignKey(f"made.{'A' * 60}", models.CASCADE),
        ),
    ),
}


@pytest.mark.parametrize("name", RELATIONS)
def test_a_relation_is_what_django_makes_of_it(within: DatabaseWrapper, name: str) -> None:
    made = rendered(*RELATIONS[name]())
    create(within, made)
    assert_equal(from_models(within, made), live(within))


@pytest.mark.parametrize("db_table", ['"other"."thing"', 'other"."thing'])
def test_a_table_in_another_schema_is_read_under_its_own_name(
    within: DatabaseWrapper, db_table: str
) -> None:
    within.cursor().execute("CREATE SCHEMA other")
    made = rendered(
        model("Thing", code=text(unique=True), n=models.PositiveIntegerField()),
        model(
            "Other", {"db_table": db_table}, thing=models.ForeignKey("made.Thing", models.CASCADE)
        ),
        model("Third", thing=models.ForeignKey("made.Other", models.CASCADE)),
    )
    create(within, made)
    declared = from_models(within, made)
    assert_equal(declared, live(within))
    assert declared.labels[TableName("other", "thing")] == "made.Other"


def test_the_default_schema_is_unnamed_where_db_table_spells_it(
    within: DatabaseWrapper,
) -> None:
    made = rendered(model("Thing", {"db_table": '"public"."thing"'}))
    assert from_models(within, made).graph.table_names == (TableName("", "thing"),)


class MoodField(models.Field):
    """A column of an enum type, as third-party packages have it."""

    def db_type(self, connection: Any) -> str:
        return "mood"


def test_a_table_may_be_named_like_a_type_that_another_one_uses(
    within: DatabaseWrapper,
) -> None:
    within.cursor().execute("CREATE SCHEMA kept; CREATE TYPE mood AS ENUM ('good', 'bad')")
    made = rendered(
        model("Mood", {"db_table": '"kept"."mood"'}, n=models.PositiveIntegerField()),
        model("Person", mood=MoodField()),
    )
    create(within, made)
    assert_equal(from_models(within, made), live(within))


def test_facts_tell_what_stands_in_meta_and_which_keys_are_automatic(
    within: DatabaseWrapper,
) -> None:
    made = rendered(
        *group("Group"),
        model(
            "Thing",
            {
                "indexes": [models.Index(fields=["a"], name="i")],
                "constraints": [models.UniqueConstraint(fields=["a"], name="u")],
            },
            a=text(),
            owner=models.OneToOneField("made.Group", models.CASCADE, primary_key=True),
            code=models.ForeignKey("made.Group", models.CASCADE, to_field="code"),
            groups=models.ManyToManyField("made.Group"),
        ),
    )
    facts = from_models(within, made).facts
    thing, through = TableName("", "made_thing"), TableName("", "made_thing_groups")
    assert facts.named == {(thing, "i"), (thing, "u")}
    assert facts.automatic == {
        (TableName("", "made_group"), "id"),
        (thing, "owner_id"),
        (through, "id"),
        (through, "thing_id"),
        (through, "group_id"),
    }
    assert facts.many_to_many == {through}


def test_unmanaged_and_proxy_models_have_no_table(within: DatabaseWrapper) -> None:
    made = rendered(
        *group("Group"),
        model("Far", {"managed": False}),
        ModelState("made", "Proxy", {}, {"proxy": True}, bases=("made.group",)),
        model("Thing", group=models.ForeignKey("made.Proxy", models.CASCADE)),
    )
    graph = from_models(within, made).graph
    assert [table.name.name for table in graph.tables] == ["made_group", "made_thing"]
    thing = graph.table("made_thing")
    assert thing is not None
    assert thing.foreign_keys[0].references == TableName("", "made_group")


def test_of_two_models_of_one_table_the_first_counts(within: DatabaseWrapper) -> None:
    first = model("First", {"db_table": "shared"}, a=text())
    same = model("Same", {"db_table": "shared"}, a=text())
    other = model("Other", {"db_table": "shared"}, b=text())
    declared = from_models(within, rendered(first, same, other))
    assert declared.graph.tables[0].column_names == ("id", "a")
    assert declared.conflicts == ("made.First and made.Other declare table shared differently",)


def test_what_the_database_cascades_is_part_of_a_foreign_key(within: DatabaseWrapper) -> None:
    if not hasattr(models, "DB_CASCADE"):
        pytest.skip("needs Django 6.1")
    set_null = models.DB_SET_NULL  # type: ignore[attr-defined, unused-ignore]  # since 6.1
    made = rendered(
        *group("Group"), model("T", g=models.ForeignKey("made.Group", set_null, null=True))
    )
    table = from_models(within, made).graph.table("made_t")
    assert table is not None
    assert table.foreign_keys[0].on_delete == "SET NULL"


def test_a_foreign_key_is_deferred_as_django_makes_it(within: DatabaseWrapper) -> None:
    made = rendered(*group("G"), model("T", g=models.ForeignKey("made.G", models.CASCADE)))
    table = from_models(within, made).graph.table("made_t")
    assert table is not None
    name = table.foreign_keys[0].name
    wanted = ForeignKey(name, ("g_id",), TableName("", "made_g"), ("id",), deferrable="deferred")
    assert table.foreign_keys == (wanted,)


# --- the scratch ------------------------------------------------------------------------------


def thing(**fields: Any) -> list[type[models.Model]]:
    return rendered(model("Thing", code=text(unique=True), **fields))


def relations(connection: BaseDatabaseWrapper) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_class")
        return int(cursor.fetchone()[0])


def test_nothing_remains_in_the_database(connection: DatabaseWrapper) -> None:
    before = relations(connection)
    from_models(connection, thing())
    assert relations(connection) == before
    assert connection.get_autocommit()


def test_a_scratch_inside_a_transaction_leaves_it_as_it_was(connection: DatabaseWrapper) -> None:
    with transaction.atomic("fresh"), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (id integer)")
        graph = from_models(connection, thing()).graph
        cursor.execute("SHOW search_path")
        assert "pg_catalog" not in cursor.fetchone()[0]
    assert graph.table_names == (TableName("", "made_thing"),)
    assert live(connection).table_names == (TableName("", "kept"),)


def test_a_table_that_exists_is_not_locked(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    made = thing(up=models.ForeignKey("self", models.CASCADE))
    create(connection, made)
    with fresh_database.connect() as other, other.transaction():
        other.execute("LOCK TABLE made_thing IN ACCESS EXCLUSIVE MODE")
        assert from_models(connection, made).graph.table_names


def test_many_tables_are_read_in_chunks(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = rendered(*(model(f"M{number}", a=text(unique=True)) for number in range(7)))
    create(connection, made)
    monkeypatch.setattr(scratch, "CHUNK", 3)
    assert_equal(from_models(connection, made), live(connection))


def test_a_chunk_with_the_same_index_name_twice_is_read_table_by_table(
    connection: DatabaseWrapper,
) -> None:
    connection.cursor().execute("CREATE SCHEMA other")
    index = {"indexes": [models.Index(fields=["a"], name="same")]}
    made = rendered(
        model("One", index, a=text()), model("Two", {**index, "db_table": 'other"."two'}, a=text())
    )
    create(connection, made)
    assert_equal(from_models(connection, made), live(connection))


def test_a_server_short_of_locks_gets_smaller_chunks(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    read = scratch._read_once

    def short_of_locks(raw: Any, tables: Any, prelude: Any) -> Any:
        sizes.append(len(tables))
        if len(tables) > 3:
            raise psycopg.errors.OutOfMemory("out of shared memory")
        return read(raw, tables, prelude)

    monkeypatch.setattr(scratch, "_read_once", short_of_locks)
    made = rendered(*(model(f"M{number}") for number in range(5)))
    assert len(from_models(connection, made).graph.tables) == 5
    assert sizes == [5, 3, 2]


def test_a_model_that_postgresql_refuses_is_named(connection: DatabaseWrapper) -> None:
    made = [*thing(), *rendered(model("Broken", mood=MoodField()))]
    with pytest.raises(UnreadableModel, match=r'made\.Broken: type "mood" does not exist'):
        from_models(connection, made)


def test_ddl_around_quote_name_never_reaches_the_real_table(connection: DatabaseWrapper) -> None:
    class Raw(models.Index):
        def create_sql(self, model: Any, schema_editor: Any, using: str = "", **kw: Any) -> Any:
            return f'CREATE INDEX raw ON "{model._meta.db_table}" (id)'

    made = rendered(model("Thing", {"indexes": [Raw(fields=["id"], name="raw")]}))
    with pytest.raises(UnreadableModel, match=r"made\.Thing"):
        from_models(connection, made)


def test_a_prelude_makes_what_pending_migrations_will_make(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    prelude = ("CREATE EXTENSION IF NOT EXISTS plpgsql", "CREATE TYPE mood AS ENUM ('good')")
    made = rendered(model("Thing", mood=MoodField()))
    declared = from_models(connection, made, prelude=prelude)
    with fresh_database.connect() as other:
        assert other.execute("SELECT FROM pg_type WHERE typname = 'mood'").fetchone() is None
        other.execute("; ".join(prelude).encode())
    create(connection, made)
    assert_equal(declared, live(connection))


def test_a_collation_of_the_prelude_decides_on_like_indexes(
    connection: DatabaseWrapper, any_case: str
) -> None:
    made = rendered(model("Thing", a=text(db_collation="any_case", unique=True)))
    declared = from_models(connection, made, prelude=[any_case])
    assert not declared.graph.tables[0].indexes
    connection.cursor().execute(any_case)
    create(connection, made)
    assert_equal(declared, live(connection))


def test_without_temp_the_missing_right_and_the_setting_are_named(
    connection: DatabaseWrapper, fresh_database: Database
) -> None:
    with fresh_database.connect() as other:
        other.execute(f'REVOKE TEMP ON DATABASE "{fresh_database.name}" FROM public'.encode())
        other.execute("DROP ROLE IF EXISTS zanith_test_bare")
        other.execute("CREATE ROLE zanith_test_bare")
    try:
        connection.cursor().execute("SET ROLE zanith_test_bare")
        with pytest.raises(MissingRight, match="TEMP on the database") as caught:
            from_models(connection, thing())
        assert "SCRATCH" in caught.value.hint
    finally:
        connection.cursor().execute("RESET ROLE; DROP ROLE zanith_test_bare")


def test_a_read_only_session_can_be_read(connection: DatabaseWrapper) -> None:
    connection.cursor().execute("SET default_transaction_read_only = on")
    assert from_models(connection, thing()).graph.table_names


def test_a_read_only_transaction_names_what_is_missing(connection: DatabaseWrapper) -> None:
    with transaction.atomic("fresh"), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        with pytest.raises(MissingRight, match="a transaction that may write"):
            from_models(connection, thing())


def test_a_url_names_another_database_for_the_scratch(
    connection: DatabaseWrapper, server: Server
) -> None:
    made = rendered(model("Thing", mood=MoodField()))
    other = server.create_database()
    try:
        with psycopg.connect(server.url(other)) as there:
            there.execute("CREATE TYPE mood AS ENUM ('good')")
        declared = from_models(connection, made, scratch=server.url(other))
    finally:
        server.drop_database(other)
    assert declared.graph.table_names == (TableName("", "made_thing"),)


def test_an_alias_names_another_database_for_the_scratch(
    connection: DatabaseWrapper,
) -> None:
    connection.cursor().execute("CREATE TYPE mood AS ENUM ('good')")
    made = rendered(model("Thing", mood=MoodField()))
    assert from_models(connection, made, scratch="fresh").graph.table_names


# --- the cache --------------------------------------------------------------------------------


@pytest.fixture
def scratches(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Which tables each scratch made."""
    seen: list[list[str]] = []
    read = scratch._read_once

    def counted(connection: Any, tables: Any, prelude: Any) -> Any:
        seen.append([table.label for table in tables])
        return read(connection, tables, prelude)

    monkeypatch.setattr(scratch, "_read_once", counted)
    return seen


def test_an_unchanged_model_is_not_read_again(
    connection: DatabaseWrapper, tmp_path: Path, scratches: list[list[str]]
) -> None:
    first = from_models(connection, thing(), cache=tmp_path)
    again = from_models(connection, [*thing(), *rendered(*group("New"))], cache=tmp_path)
    assert scratches == [["made.Thing"], ["made.New"]]
    assert again.graph.table("made_thing") == first.graph.table("made_thing")
    third = from_models(connection, thing(), cache=tmp_path)
    assert len(scratches) == 2
    assert third.graph == first.graph
    assert third.graph.tables[0].column_names == first.graph.tables[0].column_names


def test_a_new_extension_makes_the_cache_ask_again(
    connection: DatabaseWrapper, tmp_path: Path, scratches: list[list[str]]
) -> None:
    from_models(connection, thing(), cache=tmp_path)
    connection.cursor().execute("DROP EXTENSION plpgsql")
    from_models(connection, thing(), cache=tmp_path)
    assert len(scratches) == 2


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 1}', '{"format": 0, "tables": {}}', "\udcff"]
)
def test_a_broken_cache_file_is_as_good_as_none(
    connection: DatabaseWrapper, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "tables.json"
    file.write_bytes(content.encode(errors="surrogateescape"))
    declared = from_models(connection, thing(), cache=tmp_path)
    assert declared.graph.table_names
    assert json.loads(file.read_text())["tables"]


def test_a_broken_entry_of_the_cache_is_read_again(
    connection: DatabaseWrapper, tmp_path: Path
) -> None:
    file = tmp_path / "tables.json"
    graph = from_models(connection, thing(), cache=tmp_path).graph
    data = json.loads(file.read_text())
    data["tables"] = {key: {"name": 7} for key in data["tables"]}
    file.write_text(json.dumps(data))
    assert from_models(connection, thing(), cache=tmp_path).graph == graph


def test_a_folder_that_cannot_be_written_is_no_error(
    connection: DatabaseWrapper, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert from_models(connection, thing(), cache=tmp_path / "file" / "folder").graph.table_names


def test_many_to_many_tables_come_once() -> None:
    made = rendered(*RELATIONS["many to many"]())
    connection = connections["default"]
    throughs = [each for each in with_many_to_many(connection, made) if each not in made]
    listed = list(with_many_to_many(connection, [*made, *throughs]))
    assert len(listed) == len(set(listed)) == len(made) + 3
