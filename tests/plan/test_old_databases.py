"""Databases as Django 1.11 to 4.2, and South before it, left them: no difference to today's models.

The tables are built by SQL, in the words that those versions wrote.
"""

from __future__ import annotations

import pytest
from django.db import models
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.state import ModelState
from django.test import override_settings

from tests.declared import Models, model, rendered, text
from zanith_django.plan.comparison import LIVE, MODELS, Difference, Sources
from zanith_django.schema.models import from_models


class Caseless(models.TextField):
    """What `CITextField` of django.contrib.postgres was until Django 5.1 took it away."""

    def db_type(self, connection: object) -> str:
        return "citext"


Key = type[models.AutoField] | type[models.BigAutoField]


def shop(key: Key) -> Models:
    """Today's models of a project whose DEFAULT_AUTO_FIELD is `key`."""
    with override_settings(DEFAULT_AUTO_FIELD=f"django.db.models.{key.__name__}"):
        return rendered(*_shop(key))


def _shop(key: Key) -> tuple[ModelState, ...]:
    def automatic() -> models.Field:
        return key(auto_created=True, primary_key=True, serialize=False)

    return (
        model(
            "Category",
            id=automatic(),
            name=text(unique=True),
            slug=models.SlugField(),
            position=models.PositiveIntegerField(),
            parent=models.ForeignKey("self", models.CASCADE, null=True),
        ),
        model(
            "Tag",
            code=text(primary_key=True),
        ),
        model(
            "Product",
            {
                "unique_together": {("category", "sku")},
                "indexes": [models.Index(fields=["sku", "stock"], name="product_sku_stock")],
            },
            id=automatic(),
            category=models.ForeignKey("made.Category", models.CASCADE),
            maker=models.OneToOneField("made.Category", models.CASCADE, related_name="+"),
            sku=text(),
            stock=models.PositiveSmallIntegerField(default=0),
            sold=models.BooleanField(null=True),
            data=models.JSONField(default=dict),
            tags=models.ManyToManyField("made.Tag"),
            related=models.ManyToManyField("self"),
        ),
    )


REFERENCES = "REFERENCES {0} ({1}) DEFERRABLE INITIALLY DEFERRED"
TO_CATEGORY = REFERENCES.format("made_category", "id")
TO_PRODUCT = REFERENCES.format("made_product", "id")
TO_TAG = REFERENCES.format("made_tag", "code")

INDEX_TODAY = 'CREATE INDEX product_sku_stock ON made_product ("sku", "stock");'

# syncdb and South: everything inline and nameless, so that PostgreSQL chose the names. Indexes
# have no hash, and a unique index may stand in the place of a constraint.
SOUTH = f"""
CREATE TABLE "made_category" (
    "id" serial NOT NULL PRIMARY KEY,
    "name" varchar(20) NOT NULL UNIQUE,
    "slug" varchar(50) NOT NULL,
    "position" integer CHECK ("position" >= 0) NOT NULL,
    "parent_id" integer
);
ALTER TABLE "made_category" ADD CONSTRAINT "parent_id_refs_id_3a5d1c2f"
    FOREIGN KEY ("parent_id") {TO_CATEGORY};
CREATE TABLE "made_tag" ("code" varchar(20) NOT NULL PRIMARY KEY);
CREATE TABLE "made_product" (
    "id" serial NOT NULL PRIMARY KEY,
    "category_id" integer NOT NULL {TO_CATEGORY},
    "maker_id" integer NOT NULL UNIQUE {TO_CATEGORY},
    "sku" varchar(20) NOT NULL,
    "stock" smallint CHECK ("stock" >= 0) NOT NULL,
    "sold" boolean,
    "data" jsonb NOT NULL
);
CREATE UNIQUE INDEX made_product_category_id_sku ON made_product ("category_id", "sku");
CREATE TABLE "made_product_tags" (
    "id" serial NOT NULL PRIMARY KEY,
    "product_id" integer NOT NULL {TO_PRODUCT},
    "tag_id" varchar(20) NOT NULL {TO_TAG},
    UNIQUE ("product_id", "tag_id")
);
CREATE TABLE "made_product_related" (
    "id" serial NOT NULL PRIMARY KEY,
    "from_product_id" integer NOT NULL {TO_PRODUCT},
    "to_product_id" integer NOT NULL {TO_PRODUCT},
    UNIQUE ("to_product_id", "from_product_id")
);
CREATE INDEX "made_category_slug" ON "made_category" ("slug");
CREATE INDEX "made_category_slug_like" ON "made_category" ("slug" varchar_pattern_ops);
CREATE INDEX "made_category_parent_id" ON "made_category" ("parent_id");
CREATE INDEX "made_product_category_id" ON "made_product" ("category_id");
CREATE INDEX "made_product_tags_product_id" ON "made_product_tags" ("product_id");
CREATE INDEX "made_product_tags_tag_id" ON "made_product_tags" ("tag_id");
CREATE INDEX "made_product_tags_tag_id_like" ON "made_product_tags" ("tag_id" varchar_pattern_ops);
CREATE INDEX "made_product_related_from" ON "made_product_related" ("from_product_id");
CREATE INDEX "made_product_related_to" ON "made_product_related" ("to_product_id");
{INDEX_TODAY}
"""


def migrated(key: str, integer: str, digits: str) -> str:
    """Tables as migrations made them: names with a hash, whose length changed over the years."""
    return f"""
CREATE TABLE "made_category" (
    "id" {key} NOT NULL PRIMARY KEY,
    "name" varchar(20) NOT NULL,
    "slug" varchar(50) NOT NULL,
    "position" integer NOT NULL CHECK ("position" >= 0),
    "parent_id" {integer} NULL
);
CREATE TABLE "made_tag" ("code" varchar(20) NOT NULL PRIMARY KEY);
CREATE TABLE "made_product" (
    "id" {key} NOT NULL PRIMARY KEY,
    "sku" varchar(20) NOT NULL,
    "stock" smallint NOT NULL CONSTRAINT "made_product_amount_check" CHECK ("stock" >= 0),
    "sold" boolean NULL,
    "data" jsonb NOT NULL,
    "category_id" {integer} NOT NULL,
    "maker_id" {integer} NOT NULL UNIQUE
);
CREATE TABLE "made_product_tags" (
    "id" {key} NOT NULL PRIMARY KEY,
    "product_id" {integer} NOT NULL,
    "tag_id" varchar(20) NOT NULL
);
CREATE TABLE "made_product_related" (
    "id" {key} NOT NULL PRIMARY KEY,
    "from_product_id" {integer} NOT NULL,
    "to_product_id" {integer} NOT NULL
);
ALTER TABLE "made_category" ADD CONSTRAINT "made_category_name_{digits}_uniq" UNIQUE ("name");
CREATE INDEX "made_category_name_{digits}_like" ON "made_category" ("name" varchar_pattern_ops);
CREATE INDEX "made_category_2dbcba41" ON "made_category" ("slug");
CREATE INDEX "made_category_slug_{digits}_like" ON "made_category" ("slug" varchar_pattern_ops);
CREATE INDEX "made_category_parent_id_{digits}" ON "made_category" ("parent_id");
ALTER TABLE "made_category" ADD CONSTRAINT "made_ca_parent_id_{digits}_fk_made_category_id"
    FOREIGN KEY ("parent_id") {TO_CATEGORY};
CREATE INDEX "made_tag_code_{digits}_like" ON "made_tag" ("code" varchar_pattern_ops);
ALTER TABLE "made_product" ADD CONSTRAINT "made_product_category_id_{digits}_uniq"
    UNIQUE ("category_id", "sku");
ALTER TABLE "made_product" ADD CONSTRAINT "made_product_category_id_{digits}_fk"
    FOREIGN KEY ("category_id") {TO_CATEGORY};
ALTER TABLE "made_product" ADD CONSTRAINT "made_product_maker_id_{digits}_fk_made_category_id"
    FOREIGN KEY ("maker_id") {TO_CATEGORY};
CREATE INDEX "made_product_b583a629" ON "made_product" ("category_id");
ALTER TABLE "made_product_tags" ADD CONSTRAINT "made_product_tags_product_id_{digits}_uniq"
    UNIQUE ("product_id", "tag_id");
ALTER TABLE "made_product_tags" ADD CONSTRAINT "made_product_tags_tag_id_{digits}_fk_made_tag_code"
    FOREIGN KEY ("tag_id") {TO_TAG};
ALTER TABLE "made_product_tags" ADD CONSTRAINT "made_product_tags_{digits}_fk_made_product_id"
    FOREIGN KEY ("product_id") {TO_PRODUCT};
CREATE INDEX "made_product_tags_9bea82de" ON "made_product_tags" ("product_id");
CREATE INDEX "made_product_tags_76f094bc" ON "made_product_tags" ("tag_id");
CREATE INDEX "made_product_tags_tag_id_{digits}_like"
    ON "made_product_tags" ("tag_id" varchar_pattern_ops);
ALTER TABLE "made_product_related" ADD CONSTRAINT "made_product_related_{digits}_uniq"
    UNIQUE ("from_product_id", "to_product_id");
ALTER TABLE "made_product_related" ADD CONSTRAINT "made_product_from_product_id_{digits}_fk"
    FOREIGN KEY ("from_product_id") {TO_PRODUCT};
ALTER TABLE "made_product_related" ADD CONSTRAINT "made_product_to_product_id_{digits}_fk"
    FOREIGN KEY ("to_product_id") {TO_PRODUCT};
CREATE INDEX "made_product_related_from_{digits}" ON "made_product_related" ("from_product_id");
CREATE INDEX "made_product_related_to_{digits}" ON "made_product_related" ("to_product_id");
{INDEX_TODAY}
"""


# Older versions made an AutoField a BigAutoField by a new sequence that no column owns.
WIDENED = """
ALTER TABLE made_{0} ALTER id TYPE bigint;
DROP SEQUENCE made_{0}_id_seq CASCADE;
CREATE SEQUENCE made_{0}_id_seq;
ALTER TABLE made_{0} ALTER id SET DEFAULT nextval('made_{0}_id_seq');
"""

# Renamed models keep the names of what hangs on their tables.
RENAMED = """
ALTER SEQUENCE made_product_id_seq RENAME TO made_article_id_seq;
ALTER INDEX made_product_pkey RENAME TO made_article_pkey;
ALTER INDEX made_product_maker_id_key RENAME TO made_article_maker_id_key;
ALTER TABLE made_product_tags DROP CONSTRAINT made_product_tags_product_id_1f2e3d4c_uniq,
    ADD CONSTRAINT made_article_tags_uniq UNIQUE (tag_id, product_id);
"""

SERIAL = migrated("serial", "integer", "1f2e3d4c")
BIG = migrated("bigserial", "bigint", "1f2e3d4c")
IDENTITY = migrated("bigint", "bigint", "1f2e3d4c").replace(
    '"id" bigint NOT NULL PRIMARY KEY',
    '"id" bigint NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY',
)

AGES: dict[str, tuple[Key, str]] = {
    "South": (models.AutoField, SOUTH),
    "Django 1.7": (models.AutoField, migrated("serial", "integer", "6d0e27d6a1b6f8d4_5b4c")),
    "Django 1.11": (models.AutoField, SERIAL),
    "Django 3.2 with BigAutoField": (models.BigAutoField, BIG),
    "Django 4.2": (models.BigAutoField, IDENTITY),
    "keys that were widened": (
        models.BigAutoField,
        BIG + "".join(map(WIDENED.format, ("category", "product"))),
    ),
    "keys wider than the models ask for": (models.AutoField, BIG),
    "renamed models": (models.AutoField, SERIAL + RENAMED),
    "no index for LIKE": (
        models.AutoField,
        SERIAL + "DROP INDEX made_tag_code_1f2e3d4c_like, made_category_slug_1f2e3d4c_like;",
    ),
    "columns in another order": (
        models.AutoField,
        SERIAL + "ALTER TABLE made_product DROP data; ALTER TABLE made_product ADD data jsonb"
        " NOT NULL DEFAULT '{}'; ALTER TABLE made_product ALTER data DROP DEFAULT;",
    ),
    "text that was varchar": (
        models.AutoField,
        SERIAL.replace('"slug" varchar(50)', '"slug" text')
        + "ALTER TABLE made_category ALTER slug TYPE varchar(50);",
    ),
}


def compared(connection: DatabaseWrapper, made: Models, sql: str) -> Difference:
    with connection.cursor() as cursor:
        cursor.execute(sql)
    return Sources(connection, from_models(connection, made)).compare(MODELS, LIVE)


def lines(difference: Difference) -> list[str]:
    return [f"{operation.kind} {operation.target}" for operation in difference.operations]


@pytest.mark.parametrize("age", AGES)
def test_an_old_database_has_no_difference(within: DatabaseWrapper, age: str) -> None:
    key, sql = AGES[age]
    difference = compared(within, shop(key), sql)
    assert lines(difference) == []
    assert [extra.description for extra in difference.extras] == []


def test_an_index_together_is_the_index_of_meta_under_another_name(
    within: DatabaseWrapper,
) -> None:
    old = "made_product_sku_stock_5d1a0d4b_idx"
    sql = SERIAL.replace(INDEX_TODAY, f"CREATE INDEX {old} ON made_product (sku, stock);")
    difference = compared(within, shop(models.AutoField), sql)
    assert lines(difference) == ["renameIndex product_sku_stock"]
    assert difference.operations[0].describe().endswith(old)


def test_integer_keys_under_models_that_ask_for_bigint_are_a_difference(
    within: DatabaseWrapper,
) -> None:
    difference = compared(within, shop(models.BigAutoField), SERIAL)
    keys = {
        "made_category": ["id", "parent_id"],
        "made_product": ["id", "category_id", "maker_id"],
        "made_product_related": ["id", "from_product_id", "to_product_id"],
        "made_product_tags": ["id", "product_id"],
    }
    expected = [f"{table}.{column}" for table, columns in keys.items() for column in columns]
    told = [line for line in lines(difference) if line.startswith("alterColumnType")]
    assert sorted(told) == sorted(f"alterColumnType {name}" for name in expected)
    assert difference.extras == ()


def test_the_integer_key_of_a_many_to_many_table_stays_a_difference(
    within: DatabaseWrapper,
) -> None:
    """Django's documentation of DEFAULT_AUTO_FIELD: migrations cannot change these keys."""
    sql = BIG + "ALTER TABLE made_product_tags ALTER id TYPE integer;"
    difference = compared(within, shop(models.BigAutoField), sql)
    assert lines(difference) == ["alterColumnType made_product_tags.id"]


def test_a_default_that_an_old_migration_forgot_is_a_difference(within: DatabaseWrapper) -> None:
    sql = SERIAL + "ALTER TABLE made_product ALTER stock SET DEFAULT 0;"
    difference = compared(within, shop(models.AutoField), sql)
    assert lines(difference) == ["alterColumnDefault made_product.stock"]


def test_a_sequence_that_ends_before_its_key_does_is_reported(within: DatabaseWrapper) -> None:
    """The key was widened by hand; Django's own migration widens the sequence, too."""
    sql = BIG + "ALTER SEQUENCE made_product_id_seq AS integer;"
    difference = compared(within, shop(models.BigAutoField), sql)
    assert lines(difference) == []
    told = [extra.description for extra in difference.extras]
    assert told == ["sequence of column id on made_product"]


def test_a_caseless_text_from_contrib_has_no_difference(within: DatabaseWrapper) -> None:
    with within.cursor() as cursor:
        cursor.execute("SELECT FROM pg_extension WHERE extname = 'citext'")
        if cursor.fetchone() is None:
            pytest.skip("this server has no citext")
    sql = """
    CREATE TABLE made_person ("id" serial PRIMARY KEY, "email" citext NOT NULL UNIQUE);
    CREATE INDEX made_person_email_like ON made_person (email text_pattern_ops)
    """.replace("(email text_pattern_ops)", "((email::text) text_pattern_ops)")
    made = rendered(
        model(
            "Person",
            id=models.AutoField(auto_created=True, primary_key=True, serialize=False),
            email=Caseless(unique=True),
        )
    )
    difference = compared(within, made, sql)
    assert lines(difference) == []
