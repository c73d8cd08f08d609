"""The declared graph equals, without any tolerance, what Django's own schema editor makes."""

from __future__ import annotations

import datetime
import json
import os
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import django
import psycopg
import pytest
from django.contrib.postgres import fields as postgres, indexes, search
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.functions import RandomUUID
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.postgresql.psycopg_any import NumericRange
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.migrations.state import ModelState
from django.db.models import F, Q, functions as sql
from django.db.models.fields.json import KT
from django.db.models.functions import Collate
from django.db.models.lookups import Exact
from psycopg.pq import TransactionStatus
from pytest_django import DjangoDbBlocker

from tests.declared import connect, group, model, rendered, text
from tests.servers import Database, Server
from zanith_django.exceptions import MissingRight, UnreadableModel
from zanith_django.postgres.names import TableName
from zanith_django.schema import ddl, scratch
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.ddl import CollectingEditor
from zanith_django.schema.graph import ForeignKey, SchemaGraph
from zanith_django.schema.models import Declared, from_models, with_many_to_many
from zanith_django.schema.table_cache import seal_of


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
    "array of hstore": "hstore",
    "gin with opclass": "pg_trgm",
    "functional opclass": "pg_trgm",
    "bloom": "bloom",
    "exclusion": "btree_gist",
    "covering gist": "btree_gist",
    "exclusion by another index": "btree_gist",
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


class Typed(models.Field):
    """A column of any type, as third-party packages have them."""

    def __init__(self, kind: str = "", suffix: str = "", check: str = "", **options: Any) -> None:
        self.kind, self.suffix, self.check_sql = kind, suffix, check
        super().__init__(**options)

    def deconstruct(self) -> Any:
        name, path, args, options = super().deconstruct()
        given = {"kind": self.kind, "suffix": self.suffix, "check": self.check_sql}
        return name, path, args, {**options, **given}

    def db_type(self, connection: Any) -> str:
        return self.kind

    def db_type_suffix(self, connection: Any) -> str:
        return self.suffix

    def db_check(self, connection: Any) -> str | None:
        return self.check_sql or None


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
    "decimal without precision": models.DecimalField(),
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
    "big auto": models.BigAutoField(primary_key=True),
    "number key": models.PositiveIntegerField(primary_key=True),
    "big number key": models.BigIntegerField(primary_key=True, db_column="Key"),
    "image": models.ImageField(),
    "date and time with an index": models.DateTimeField(db_index=True, null=True),
    "unique for a date": text(unique_for_date="before_it"),
    "binary that is unique": models.BinaryField(max_length=20, editable=True, unique=True),
    "json with an encoder": models.JSONField(null=True, db_index=True),
    "choices": models.IntegerField(choices=[(1, "one")], db_default=1),
    "text with a collation": models.TextField(db_collation="C", db_index=True),
    "email with a collation": models.EmailField(db_collation="POSIX", unique=True),
    "slug with a collation": models.SlugField(db_collation="C"),
    "slug without an index": models.SlugField(db_index=False),
    "decimal array": postgres.ArrayField(models.DecimalField(max_digits=5, decimal_places=2)),
    "array with a collation": postgres.ArrayField(text(db_collation="C"), db_index=True),
    "array of moments": postgres.ArrayField(models.DateTimeField(), db_default=[]),
    "array of ranges": postgres.ArrayField(postgres.DateRangeField(), null=True),
    "array of positive numbers": postgres.ArrayField(models.PositiveIntegerField()),
    "array of documents": postgres.ArrayField(models.JSONField()),
    "array of hstore": postgres.ArrayField(postgres.HStoreField()),
    "default array": postgres.ArrayField(text(), db_default=["it's", "100%"]),
    "default range": postgres.IntegerRangeField(db_default=NumericRange(1, 10)),
    "default truth": models.BooleanField(db_default=True),
    "default duration": models.DurationField(db_default=datetime.timedelta(days=1, hours=2)),
    "default time": models.TimeField(db_default=datetime.time(12, 30)),
    "default date": models.DateField(db_default=datetime.date(2020, 2, 2)),
    "default float": models.FloatField(db_default=0.1),
    "default uuid": models.UUIDField(db_default=uuid.UUID(int=7)),
    "default bytes": models.BinaryField(db_default=b"\x00'%\xff"),
    "default address": models.GenericIPAddressField(db_default="2001:db8::1"),
    "default with backslash": text(db_default="a\\b\n'%s'"),
    "default of a function": models.UUIDField(db_default=RandomUUID()),
    "default of null": text(null=True, db_default=None),
    "default of an expression": text(db_default=sql.Lower(models.Value("ÄB"))),
    "default of a sum": models.FloatField(db_default=sql.Pi() * models.Value(2.0)),
    "comment of several lines": text(db_comment="one\n  two -- 'three'"),
    "check of a field's own": Typed("integer", check='"field" BETWEEN 1 AND 9'),
    "type with parameters": Typed("bit varying(5)"),
    "type of the catalog": Typed("pg_catalog.tsquery"),
    "types in an array": Typed("timestamp(3) with time zone[]"),
    "domain": Typed("zip_code", unique=True),
    "enum": Typed("mood[]"),
    "enum with a default": Typed("mood", db_default=models.Value("good")),
    "serial of its own": Typed("bigserial", unique=True),
    "identity of its own": Typed("integer", "GENERATED ALWAYS AS IDENTITY"),
    "money": Typed("money"),
    "document": Typed("xml"),
    "unique with nulls": text(unique=True, null=True),
    "no column name to quote": text(db_column="größe"),
    "column in capitals": models.PositiveIntegerField(db_column="UPPER", db_index=True),
    "column with a dot": models.PositiveIntegerField(db_column="a.b", unique=True),
    "column with a bracket": models.PositiveIntegerField(db_column="a(b) [c]", unique=True),
}


if django.VERSION >= (6, 1):
    COLUMNS["default uuid of the database"] = models.UUIDField(db_default=sql.UUID4())
    COLUMNS["default uuid that ascends"] = models.UUIDField(db_default=sql.UUID7())

# {column: the first server that has what it needs}
SERVERS = {"default uuid that ascends": 180000}

TYPES = """
CREATE DOMAIN zip_code AS varchar(5) CHECK (VALUE ~ '^[0-9]+$');
CREATE TYPE mood AS ENUM ('good', 'bad');
"""


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_what_django_makes_of_it(within: DatabaseWrapper, name: str) -> None:
    skip_without_extension(within, name)
    if name == "decimal without precision" and django.VERSION < (6, 1):
        pytest.skip("needs Django 6.1")
    if within.pg_version < SERVERS.get(name, 0):
        pytest.skip(f"needs PostgreSQL {SERVERS[name] // 10_000}")
    within.cursor().execute(TYPES)
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
    indexed = {"indexes": [models.Index(fields=["b"], name="i")]}
    with pytest.raises(UnreadableModel, match=r"made\.Thing"):
        from_models(
            within,
            rendered(model("Thing", indexed, a=models.IntegerField(), b=generated.clone())),
        )


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
    "name in capitals": {"db_table": "ORDER", "unique_together": {("a", "n")}},
    "name that is reserved": {"db_table": "user", "db_table_comment": "who"},
    "name beyond ascii": {"db_table": "größe_☃", "unique_together": {("a", "n")}},
    "name with a dot": {"db_table": "a.b", "unique_together": {("a", "n")}},
    "odd names of indexes": {
        "indexes": [
            models.Index(fields=["a"], name="My \"\" index 'x'"),
            models.Index(fields=["n"], name="größe"),
            models.Index(fields=["b"], name="select"),
            models.Index(fields=["b", "a"], name="a.b"),
        ]
    },
    "odd names of constraints": {
        "constraints": [
            models.CheckConstraint(condition=Q(n__gt=1), name="My \"\" check 'x'"),
            models.UniqueConstraint(fields=["a", "n"], name="größe ☃"),
            models.UniqueConstraint(fields=["b"], condition=Q(n=1), name="table"),
            models.UniqueConstraint(fields=["n", "b"], name="u" * 63),
        ]
    },
    "names that end alike": {
        "constraints": [
            models.UniqueConstraint(fields=["a", "n"], name="made_thing_key"),
            models.CheckConstraint(condition=Q(n__lt=7), name="made_thing_check"),
        ]
    },
    "index of several kinds of keys": {
        "indexes": [
            models.Index(
                F("a").asc(nulls_first=True),
                F("n").desc(nulls_last=True),
                Collate("b", "C"),
                name="i",
            )
        ]
    },
    "index of a json key": {"indexes": [models.Index(KT("data__a__b"), name="i")]},
    "index of a cast": {
        "indexes": [models.Index(sql.Cast("data__a", models.IntegerField()), name="i")]
    },
    "index of a case": {
        "indexes": [
            models.Index(
                models.Case(models.When(n__gt=5, then=F("a")), default=models.Value("it's %")),
                name="i",
            )
        ]
    },
    "index of arithmetic": {"indexes": [models.Index(F("n") * 2 + 1, F("n") % 7, name="i")]},
    "index with a tablespace": {
        "indexes": [models.Index(fields=["n"], name="i", db_tablespace="pg_default")]
    },
    "index without null": {
        "indexes": [models.Index(fields=["b"], name="i", condition=Q(b__isnull=False))]
    },
    "index of a list": {
        "indexes": [
            models.Index(fields=["b"], name="i", condition=Q(b__in=["x", "y"]) & ~Q(n__in=[1, 2]))
        ]
    },
    "index of a date": {
        "indexes": [
            models.Index(
                fields=["b"],
                name="i",
                condition=Q(at__gt=datetime.datetime(2020, 2, 2, tzinfo=datetime.UTC)),
            )
        ]
    },
    "covering gist": {
        "indexes": [
            indexes.GistIndex(fields=["span"], include=["n"], name="i", fillfactor=80),
            indexes.SpGistIndex(fields=["a"], include=["n"], name="j", fillfactor=60),
        ]
    },
    "gin pending list": {
        "indexes": [
            indexes.GinIndex(fields=["data"], name="i", gin_pending_list_limit=512),
            indexes.GinIndex(fields=["data"], name="j", opclasses=["jsonb_path_ops"]),
        ]
    },
    "brin that summarizes": {
        "indexes": [
            indexes.BrinIndex(fields=["n"], name="i", autosummarize=True),
            indexes.BrinIndex(fields=["n"], name="j", opclasses=["int4_minmax_multi_ops"]),
        ]
    },
    "hash with storage": {
        "indexes": [indexes.HashIndex(fields=["a"], name="i", fillfactor=60, condition=Q(n=1))]
    },
    "btree without duplicates": {
        "indexes": [indexes.BTreeIndex(fields=["a"], name="i", deduplicate_items=False)]
    },
    "index of a search vector": {
        "indexes": [indexes.GinIndex(search.SearchVector("a", "b", config="english"), name="i")]
    },
    "two indexes of the same column": {
        "indexes": [models.Index(fields=["n"], name="i"), models.Index(fields=["n"], name="j")]
    },
    "unique of expressions and a predicate": {
        "constraints": [
            models.UniqueConstraint(
                sql.Lower("a"), sql.Coalesce("n", 0), condition=Q(b__isnull=True), name="u"
            )
        ]
    },
    "unique with everything": {
        "constraints": [
            models.UniqueConstraint(
                fields=["b", "a"],
                include=["n"],
                condition=Q(n__gt=0),
                nulls_distinct=False,
                opclasses=["text_pattern_ops", "varchar_pattern_ops"],
                name="u",
            )
        ]
    },
    "covering unique without nulls": {
        "constraints": [
            models.UniqueConstraint(fields=["b"], include=["n"], nulls_distinct=False, name="u"),
            models.UniqueConstraint(fields=["b", "n"], nulls_distinct=True, name="v"),
        ]
    },
    "unique of an expression with an opclass": {
        "constraints": [
            models.UniqueConstraint(
                indexes.OpClass(sql.Lower("a"), name="text_pattern_ops").desc(), name="u"
            )
        ]
    },
    "check of a list": {
        "constraints": [
            models.CheckConstraint(
                condition=Q(a__in=["it's", "100%"]) | Q(n__range=(1, 9)), name="c"
            )
        ]
    },
    "check of a pattern": {
        "constraints": [
            models.CheckConstraint(
                condition=Q(a__regex=r"^\w+\.%$") & Q(b__istartswith="x_"), name="c"
            )
        ]
    },
    "check of a document": {
        "constraints": [
            models.CheckConstraint(
                condition=Q(data__has_key="a") & Q(data__contains={"b": [1]}), name="c"
            )
        ]
    },
    "check of a range and an array": {
        "constraints": [
            models.CheckConstraint(
                condition=Q(span__startswith__gte=1) & Q(tags__len__lt=5) & ~Q(tags__0="x"),
                name="c",
            )
        ]
    },
    "check of a function": {
        "constraints": [
            models.CheckConstraint(condition=Exact(sql.Lower("a"), sql.Trim(F("a"))), name="c")
        ]
    },
    "exclusion by another index": {
        "constraints": [
            ExclusionConstraint(
                name="x", index_type="SPGIST", expressions=[("span", "-|-")], include=["n"]
            ),
            ExclusionConstraint(
                name="y",
                expressions=[
                    (indexes.OpClass("span", name="range_ops"), "&&"),
                    (sql.Abs("n"), "="),
                    (F("a"), "<>"),
                ],
                deferrable=models.Deferrable.IMMEDIATE,
            ),
        ]
    },
    "several options": {
        "db_tablespace": "pg_default",
        "db_table_comment": "all of it",
        "unique_together": {("a", "n"), ("b", "n")},
        "indexes": [models.Index(fields=["a", "n"], name="i")],
        "constraints": [models.CheckConstraint(condition=Q(a="x"), name="c")],
    },
}


if django.VERSION >= (6, 1):
    by_hash = ExclusionConstraint(name="x", index_type="hash", expressions=[("a", "=")])
    OPTIONS["exclusion by hash"] = {"constraints": [by_hash]}


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
            at=models.DateTimeField(null=True),
            data=models.JSONField(null=True),
            tags=postgres.ArrayField(text()),
            span=postgres.IntegerRangeField(unique=True),
            parent=models.ForeignKey("self", models.CASCADE),
        )
    )
    create(within, made)
    assert_equal(from_models(within, made), live(within))


@pytest.fixture(scope="module")
def fast(server: Server) -> Iterator[str]:
    """A tablespace; a server has it for all its databases."""
    name = f"zanith_test_models_{os.getpid()}"
    with psycopg.connect(server.maintenance_url, autocommit=True) as connection:
        connection.execute("SET allow_in_place_tablespaces = on")
        connection.execute(f"CREATE TABLESPACE {name} LOCATION ''".encode())
        yield name
        connection.execute(f"DROP TABLESPACE {name}".encode())


def test_an_index_on_a_type_is_what_django_makes_of_it(within: DatabaseWrapper) -> None:
    types = [*sorted(ddl._ORDERED), "char(3)", "numeric(5, 2)", "varchar(9)", "integer[]", "xid8"]
    fields = {f"f{n}": Typed(kind, db_index=True) for n, kind in enumerate(types)}
    several = models.Index(fields=["f0", "f1", "f2"], name="several")
    made = rendered(model("Thing", {"indexes": [several]}, **fields))
    create(within, made)
    assert_equal(from_models(within, made), live(within))


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a type without an order": ({"a": Typed("json", db_index=True)}, {}),
    "an operator class of another type": (
        {"a": models.IntegerField()},
        {"indexes": [models.Index(fields=["a"], name="i", opclasses=["text_pattern_ops"])]},
    ),
    "33 columns": (
        {f"f{n}": models.IntegerField() for n in range(33)},
        {"indexes": [models.Index(fields=[f"f{n}" for n in range(33)], name="i")]},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_index_that_postgresql_refuses_is_refused(within: DatabaseWrapper, name: str) -> None:
    fields, options = REFUSED[name]
    with pytest.raises(UnreadableModel, match=r"made\.Thing"):
        from_models(within, rendered(model("Thing", options, **fields)))


def test_the_name_of_an_index_is_cut_as_postgresql_cuts_it(within: DatabaseWrapper) -> None:
    index = models.Index(fields=["id"], name="i")
    index.name = "ä" * 40
    made = rendered(model("Thing", {"indexes": [index]}))
    create(within, made)
    declared = from_models(within, made)
    assert_equal(declared, live(within))
    assert declared.graph.tables[0].indexes[0].name == "ä" * 31


def test_percent_signs_in_names_and_comments_are_taken_as_they_are(
    within: DatabaseWrapper,
) -> None:
    """Django fills parameters into the same text and fails on most of these itself."""
    options = {
        "db_table": "50% off %s",
        "db_table_comment": "100%",
        "indexes": [models.Index(fields=["a"], name="i_%%s")],
        "constraints": [models.UniqueConstraint(fields=["a", "b"], name="u_%%d")],
    }
    a = text(db_column="a%sb", db_comment="%y and %s", db_default="%d", unique=True)
    b = models.ForeignKey("self", models.CASCADE, db_column="%(b)s")
    read = from_models(within, rendered(model("Thing", options, a=a, b=b))).graph
    (table,) = read.tables
    assert (table.name.name, table.comment) == ("50% off %s", "100%")
    assert [column.name for column in table.columns] == ["id", "a%sb", "%(b)s"]
    assert table.columns[1].comment == "%y and %s"
    assert {key.column for index in table.indexes for key in index.keys} == {"a%sb", "%(b)s"}
    assert "i_%s" in {index.name for index in table.indexes}
    assert [unique.name for unique in table.uniques if len(unique.columns) == 2] == ["u_%d"]
    assert table.foreign_keys[0].columns == ("%(b)s",)


def test_tablespaces_are_what_django_makes_of_them(within: DatabaseWrapper, fast: str) -> None:
    made = rendered(
        model(
            "Thing",
            {
                "db_tablespace": fast,
                "indexes": [models.Index(fields=["n"], name="i", db_tablespace="pg_default")],
            },
            a=text(unique=True),
            b=text(db_index=True, db_tablespace="pg_default"),
            c=text(unique=True, db_tablespace=fast),
            n=models.IntegerField(db_index=True),
            things=models.ManyToManyField("self"),
        ),
        model(
            "Other",
            {"indexes": [models.Index(fields=["n"], name="j", db_tablespace=fast)]},
            n=models.IntegerField(),
            m=models.IntegerField(db_index=True, db_tablespace=fast),
        ),
    )
    create(within, made)
    declared = from_models(within, made)
    assert_equal(declared, live(within))
    thing, other = declared.graph.table("made_thing"), declared.graph.table("made_other")
    assert thing is not None
    assert other is not None
    assert thing.tablespace == fast
    assert [unique.tablespace for unique in thing.uniques] == [fast, fast]
    assert [index.tablespace for index in other.indexes] == [fast, fast]


def test_a_table_name_is_cut_between_characters(within: DatabaseWrapper) -> None:
    made = rendered(
        model("Thing", {"db_table": "t" + "ä" * 40}, n=models.PositiveIntegerField(unique=True)),
        model("Other", thing=models.ForeignKey("made.Thing", models.CASCADE)),
    )
    create(within, made)
    assert_equal(from_models(within, made), live(within))


def parent_link(target: str) -> models.OneToOneField:
    return models.OneToOneField(
        target,
        models.CASCADE,
        auto_created=True,
        parent_link=True,
        primary_key=True,
        serialize=False,
    )


def on_delete(name: str) -> Any:
    """What the database does on its own, since Django 6.1; before that, what Django does."""
    return getattr(models, name, models.DO_NOTHING)


RELATIONS: dict[str, Callable[[], tuple[ModelState, ...]]] = {
    "foreign key": lambda: (
        *group("Group"),
        model("Thing", group=models.ForeignKey("made.Group", models.CASCADE)),
    ),
    "in the database": lambda: (
        *group("Group"),
        model(
            "Thing",
            a=models.ForeignKey("made.Group", on_delete("DB_CASCADE"), related_name="+"),
            b=models.ForeignKey(
                "made.Group", on_delete("DB_SET_NULL"), related_name="+", null=True
            ),
            c=models.ForeignKey(
                "made.Group",
                on_delete("DB_SET_DEFAULT"),
                related_name="+",
                db_default=models.Value(1),
            ),
        ),
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
                "group_ptr": parent_link("made.Group"),
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
    "composite key with a default": lambda: (
        model(
            "Thing",
            {"unique_together": {("n", "code")}},
            pk=models.CompositePrimaryKey("code", "n"),
            code=models.UUIDField(default=uuid.uuid4),
            n=models.IntegerField(db_default=1),
        ),
    ),
    "without an index": lambda: (
        *group("Group"),
        model("Thing", g=models.ForeignKey("made.Group", models.CASCADE, db_index=False)),
    ),
    "unique": lambda: (
        *group("Group"),
        model("Thing", g=models.ForeignKey("made.Group", models.CASCADE, unique=True)),
    ),
    "one to one with a text": lambda: (
        *group("Group"),
        model("Thing", g=models.OneToOneField("made.Group", models.CASCADE, to_field="code")),
    ),
    "with a column's name": lambda: (
        *group("Group"),
        model(
            "Thing",
            g=models.ForeignKey("made.Group", models.CASCADE, db_column='The "" group %'),
        ),
    ),
    "with a comment and a tablespace": lambda: (
        *group("Group"),
        model(
            "Thing",
            g=models.ForeignKey(
                "made.Group", models.CASCADE, db_comment="whose", db_tablespace="pg_default"
            ),
        ),
    ),
    "to a uuid": lambda: (
        model("Group", id=models.UUIDField(primary_key=True, default=uuid.uuid4)),
        model(
            "Thing",
            group=models.ForeignKey("made.Group", models.CASCADE),
            groups=models.ManyToManyField("made.Group", related_name="+"),
        ),
    ),
    "to a text with a collation": lambda: (
        model("Group", code=text(primary_key=True, db_collation="C")),
        model("Thing", group=models.ForeignKey("made.Group", models.CASCADE)),
    ),
    "to a small number": lambda: (
        model("Group", id=models.SmallAutoField(primary_key=True)),
        model("Thing", group=models.ForeignKey("made.Group", models.CASCADE)),
        model("Positive", id=models.PositiveBigIntegerField(primary_key=True)),
        model("Other", positive=models.ForeignKey("made.Positive", models.CASCADE)),
    ),
    "to itself by another field": lambda: (
        model(
            "Thing",
            code=text(unique=True),
            up=models.ForeignKey("self", models.CASCADE, to_field="code", null=True),
        ),
    ),
    "many to many without constraints": lambda: (
        *group("Group"),
        model("Thing", groups=models.ManyToManyField("made.Group", db_constraint=False)),
    ),
    "many to many of oneself": lambda: (
        model(
            "Thing",
            follows=models.ManyToManyField("self", symmetrical=False, related_name="followed"),
        ),
    ),
    "many to many by chosen fields": lambda: (
        model(
            "Thing",
            friends=models.ManyToManyField(
                "self", through="made.Friend", through_fields=("one", "two")
            ),
        ),
        model(
            "Friend",
            {
                "constraints": [
                    models.UniqueConstraint(fields=["one", "two"], name="once"),
                    models.CheckConstraint(condition=~Q(one=F("two")), name="not_oneself"),
                ]
            },
            one=models.ForeignKey("made.Thing", models.CASCADE, related_name="+"),
            two=models.ForeignKey("made.Thing", models.CASCADE, related_name="+"),
            by=models.ForeignKey("made.Thing", models.SET_NULL, null=True, related_name="+"),
        ),
    ),
    "deep inheritance": lambda: (
        *group("Group"),
        ModelState(
            "made",
            "Child",
            {"group_ptr": parent_link("made.Group"), "more": text()},
            bases=("made.group",),
        ),
        ModelState(
            "made",
            "Grandchild",
            {"child_ptr": parent_link("made.Child")},
            bases=("made.child",),
        ),
        model("Thing", g=models.ForeignKey("made.Grandchild", models.CASCADE)),
    ),
    "a relation of several columns": lambda: (
        model(
            "Group",
            {"unique_together": {("a", "b")}},
            a=models.IntegerField(),
            b=models.IntegerField(),
        ),
        model(
            "Thing",
            a=models.IntegerField(),
            b=models.IntegerField(),
            group=models.ForeignObject(
                "made.Group", models.CASCADE, from_fields=["a", "b"], to_fields=["a", "b"]
            ),
        ),
    ),
    "to an unmanaged table": lambda: (
        model("Far", {"managed": False, "db_table": "far"}),
        model("Thing", far=models.ForeignKey("made.Far", models.CASCADE, db_constraint=False)),
    ),
    "through an unmanaged table": lambda: (
        *group("Group"),
        model("Thing", groups=models.ManyToManyField("made.Group", through="made.Link")),
        model(
            "Link",
            {"managed": False},
            group=models.ForeignKey("made.Group", models.CASCADE),
            thing=models.ForeignKey("made.Thing", models.CASCADE),
        ),
    ),
    "indexes of every form": lambda: (
        *group("Group"),
        model(
            "Thing",
            {
                "indexes": [
                    models.Index(fields=["a"], name="plain"),
                    models.Index(fields=["b", "a"], name="of_two"),
                    models.Index(fields=["-a", "b"], name="downwards"),
                    models.Index(fields=["a"], name="some", condition=Q(b__gt=1)),
                    models.Index(fields=["a"], name="more", include=["b"]),
                    models.Index(fields=["a"], name="of_class", opclasses=["int8_ops"]),
                    models.Index(fields=["a"], name="placed", db_tablespace="pg_default"),
                    models.Index(F("a") + F("b"), name="sum"),
                    indexes.HashIndex(fields=["a"], name="hashed"),
                    indexes.BrinIndex(fields=["a"], name="ranges", pages_per_range=16),
                    indexes.BTreeIndex(fields=["a"], name="filled", fillfactor=50),
                ]
            },
            a=models.ForeignKey("made.Group", models.CASCADE, related_name="+"),
            b=models.ForeignKey("made.Group", models.CASCADE, related_name="+"),
        ),
    ),
    "names that are odd": lambda: (
        model(
            "Group",
            {"db_table": "The größe % 'x' of.it"},
            id=models.AutoField(primary_key=True, db_column="select"),
        ),
        model(
            "Thing",
            {"db_table": "order"},
            g=models.ForeignKey("made.Group", models.CASCADE, db_column="größe % x"),
            groups=models.ManyToManyField("made.Group", related_name="+"),
            named=models.ManyToManyField("made.Group", related_name="+", db_table="The % 'm2m'"),
        ),
    ),
    "names of umlauts": lambda: (
        model("Group", {"db_table": UMLAUT}),
        model(
            "Thing",
            {"db_table": "x" + UMLAUT},
            g=models.ForeignKey("made.Group", models.CASCADE, db_column="y" + UMLAUT),
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
    unmanaged = [TableName("", m._meta.db_table) for m in made if not m._meta.managed]
    found = live(within)
    assert_equal(
        from_models(within, made), found.only(n for n in found.table_names if n not in unmanaged)
    )


@pytest.mark.parametrize("db_table", ['"other"."thing"', 'other"."thing'])
def test_a_table_in_another_schema_is_read_under_its_own_name(
    within: DatabaseWrapper, db_table: str
) -> None:
    within.cursor().execute("CREATE SCHEMA other")
    made = rendered(
        model("Thing", code=text(unique=True), n=models.PositiveIntegerField()),
        model(
            "Other",
            {"db_table": db_table, "unique_together": {("thing", "n")}},
            thing=models.ForeignKey("made.Thing", models.CASCADE),
            n=models.PositiveIntegerField(db_index=True),
            things=models.ManyToManyField("made.Thing", related_name="+"),
            others=models.ManyToManyField("self"),
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


def test_facts_have_the_names_in_meta_and_the_automatic_keys(
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
    made = rendered(*(model(f"M{number}", a=text(unique=True)) for number in range(9)))
    create(connection, made)
    sizes: list[int] = []
    read = scratch._read_once

    def noting(raw: Any, tables: Any, *rest: Any) -> Any:
        sizes.append(len(tables))
        return read(raw, tables, *rest)

    monkeypatch.setattr(scratch, "_read_once", noting)
    monkeypatch.setattr(scratch, "CHUNK", 4)
    monkeypatch.setattr(scratch, "_most_tables", lambda raw: 3)
    assert_equal(from_models(connection, made), live(connection))
    assert sizes == [4, 3, 2]


def test_a_chunk_takes_a_quarter_of_the_locks_of_the_server(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[float] = []

    def noting(cursor: Any, **given: Any) -> Any:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()")
        held.append(cursor.fetchone()[0] / len(given["tables"]))
        return from_catalog(cursor, **given)

    monkeypatch.setattr("zanith_django.schema.scratch.from_catalog", noting)
    from_models(connection, rendered(*(model(f"M{n}", a=text(unique=True)) for n in range(5))))
    assert max(held) <= scratch.LOCKS_OF_A_TABLE
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setting::int FROM pg_settings WHERE name IN"
            " ('max_locks_per_transaction', 'max_connections', 'max_prepared_transactions')"
            " ORDER BY name"
        )
        sessions, each, prepared = (row[0] for row in cursor.fetchall())
    most = scratch._most_tables(scratch.raw_connection(connection))
    assert most == each * (sessions + prepared) // 4 // scratch.LOCKS_OF_A_TABLE


def test_a_chunk_with_the_same_index_name_twice_is_read_table_by_table(
    connection: DatabaseWrapper,
) -> None:
    connection.cursor().execute("CREATE SCHEMA other")
    index = {"indexes": [models.Index(sql.Upper("a"), name="same")]}
    made = rendered(
        model("One", index, a=text()), model("Two", {**index, "db_table": 'other"."two'}, a=text())
    )
    create(connection, made)
    assert_equal(from_models(connection, made), live(connection))


def test_the_next_chunk_is_collected_while_the_server_makes_one(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "CHUNK", 2)
    states = []
    own = CollectingEditor.collect

    def collect(self: CollectingEditor, each: type[models.Model]) -> Any:
        states.append(connection.connection.pgconn.transaction_status)
        return own(self, each)

    monkeypatch.setattr(CollectingEditor, "collect", collect)
    made = rendered(*(model(f"M{number}") for number in range(5)))
    assert len(from_models(connection, made).graph.tables) == 5
    assert states == [TransactionStatus.IDLE] * 2 + [TransactionStatus.ACTIVE] * 3


def test_an_editor_of_a_third_party_may_ask_the_database(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asking(DatabaseSchemaEditor):
        def create_model(self, model: type[models.Model]) -> None:
            with self.connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            super().create_model(model)

    monkeypatch.setattr(scratch, "CHUNK", 2)
    monkeypatch.setattr(connection, "SchemaEditorClass", Asking)
    made = rendered(*(model(f"M{number}") for number in range(5)))
    assert len(from_models(connection, made).graph.tables) == 5


def test_a_server_short_of_locks_gets_smaller_chunks(
    connection: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    read = scratch._read_once

    def short_of_locks(raw: Any, tables: Any, *rest: Any) -> Any:
        sizes.append(len(tables))
        if len(tables) > 3:
            raise psycopg.errors.OutOfMemory("out of shared memory")
        return read(raw, tables, *rest)

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


class RawIndex(models.Index):
    """Its SQL comes as it stands, past the schema editor; `%s` becomes the table."""

    def __init__(self, *, sql: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.sql = sql

    def deconstruct(self) -> Any:
        path, args, options = super().deconstruct()
        return path, args, {**options, "sql": self.sql}

    def create_sql(self, model: Any, schema_editor: Any, using: str = "", **kw: Any) -> Any:
        return self.sql.replace("%s", f'"{model._meta.db_table}"')


TRIGGER = """
    CREATE OR REPLACE FUNCTION noted() RETURNS trigger AS $$
        BEGIN CREATE TABLE x (); RETURN NULL; END;
    $$ LANGUAGE plpgsql;
    DROP TRIGGER IF EXISTS noted ON %s; -- it's there; or not
    CREATE TRIGGER noted AFTER DELETE ON %s FOR EACH ROW EXECUTE FUNCTION noted();
    COMMENT ON TRIGGER noted ON %s IS 'made; by hand';
    ALTER TABLE %s DISABLE TRIGGER noted;
"""


def test_triggers_that_a_schema_editor_makes_with_a_table_are_left_out(
    connection: DatabaseWrapper,
) -> None:
    indexes = [RawIndex(fields=["id"], name="raw", sql=TRIGGER)]
    plain = from_models(connection, rendered(model("Thing")))
    declared = from_models(connection, rendered(model("Thing", {"indexes": indexes})))
    assert declared.graph == plain.graph


@pytest.mark.parametrize(
    "more",
    [
        "ALTER TABLE %s ADD COLUMN other int",
        "DROP INDEX noted",
        """DROP TRIGGER "it's" ON %s; ALTER TABLE %s ADD CHECK (a = 'b')""",
    ],
)
def test_a_command_beside_triggers_is_never_left_out(
    connection: DatabaseWrapper, more: str
) -> None:
    indexes = [RawIndex(fields=["id"], name="raw", sql=TRIGGER + more)]
    with pytest.raises(UnreadableModel, match=r"made\.Thing"):
        from_models(connection, rendered(model("Thing", {"indexes": indexes})))


def test_a_short_timeout_of_the_session_ends_no_reading(connection: DatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 50")
    from_models(connection, thing(v=models.IntegerField()), prelude=["SELECT pg_sleep(0.1)"])
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("50ms",)


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

    def counted(connection: Any, tables: Any, *rest: Any) -> Any:
        seen.append([table.label for table in tables])
        return read(connection, tables, *rest)

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
    assert json.loads(file.read_text().partition("\n")[2])


def test_a_broken_entry_of_the_cache_is_read_again(
    connection: DatabaseWrapper, tmp_path: Path
) -> None:
    file = tmp_path / "tables.json"
    graph = from_models(connection, thing(), cache=tmp_path).graph
    text = json.dumps({key: {"name": 7} for key in json.loads(file.read_text().partition("\n")[2])})
    file.write_text(f"{seal_of(text)}\n{text}")
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
