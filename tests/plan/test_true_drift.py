"""One change by hand in the live database: just that is told, by name, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from django.db import transaction
from django.db.backends.postgresql.base import DatabaseWrapper

from tests.library import library
from tests.project import BuildProject
from tests.servers import Server
from zanith_django.plan.comparison import LIVE, MODELS, Difference, Sources
from zanith_django.schema.models import Declared, from_models
from zanith_django.timeline.project import live_graph


class Case(NamedTuple):
    """What somebody did to the database, and the lines that tell of it."""

    name: str
    sql: str
    told: tuple[str, ...]
    version: int = 0


def case(name: str, sql: str, *told: str, version: int = 0) -> Case:
    return Case(name, sql, told, version)


AUTHOR_KEY = "made_book_author_id_9baf4b81_fk_made_author_id"
AUTHOR_INDEX = "made_author_name_321cc3fc"
PAIR = "made_book_genres_book_id_genre_id_c608b59e_uniq"
TOGETHER = "made_book_shelf_place_75c9a9c8_uniq"


def index_again(name: str, sql: str) -> str:
    return f"DROP INDEX {name}; CREATE {sql}"


def constraint_again(table: str, name: str, sql: str) -> str:
    return (
        f"ALTER TABLE {table} DROP CONSTRAINT {name};"
        f"ALTER TABLE {table} ADD CONSTRAINT {name} {sql}"
    )


def author_key_again(sql: str) -> str:
    return constraint_again("made_book", AUTHOR_KEY, f"FOREIGN KEY (author_id) REFERENCES {sql}")


def changed_key(name: str) -> tuple[str, str]:
    return f"dropForeignKey made_book.{name}", "addForeignKey made_book(author_id)"


KEY_AGAIN = changed_key(AUTHOR_KEY)
NEWEST_GONE = "dropIndex book_newest"
PRICE_AGAIN = ("dropCheck made_book.book_price", "addCheck made_book.book_price")
RANK_AGAIN = ("dropUnique made_book.book_rank", "addUnique made_book(rank)")
LOAN_AGAIN = ("dropExclusion made_loan.loan_once", "addExclusion made_loan.loan_once")
POLICY_ALTERED = "alterPolicy made_loan.loan_own"

COLUMNS = [
    case(
        "drop a column",
        "ALTER TABLE made_author DROP born",
        "dropColumn made_author.born",
    ),
    case(
        "rename a column",
        "ALTER TABLE made_author RENAME born TO birthday",
        "dropColumn made_author.born",
        "extra: column birthday on made_author",
    ),
    case(
        "add a column",
        "ALTER TABLE made_author ADD died date",
        "extra: column died on made_author",
    ),
    case(
        "widen a varchar",
        "ALTER TABLE made_author ALTER name TYPE varchar(200)",
        "alterColumnType made_author.name",
    ),
    case(
        "narrow a varchar",
        "ALTER TABLE made_author ALTER name TYPE varchar(99)",
        "alterColumnType made_author.name",
    ),
    case(
        "take the limit of a varchar",
        "ALTER TABLE made_author ALTER name TYPE varchar",
        "alterColumnType made_author.name",
    ),
    case(
        "text in the place of varchar",
        "ALTER TABLE made_author ALTER name TYPE text",
        "alterColumnType made_author.name",
    ),
    case(
        "another precision",
        "ALTER TABLE made_book ALTER price TYPE numeric(10, 2)",
        "alterColumnType made_book.price",
    ),
    case(
        "an ordinary column made bigint",
        "ALTER TABLE made_book ALTER place TYPE bigint",
        "alterColumnType made_book.place",
    ),
    case(
        "an ordinary column made smallint",
        "ALTER TABLE made_book ALTER place TYPE smallint",
        "alterColumnType made_book.place",
    ),
    case(
        "a declared key made bigint",
        "ALTER TABLE made_genre ALTER id TYPE bigint",
        "alterColumnType made_genre.id",
    ),
    case(
        "an automatic key made integer",
        "ALTER TABLE made_loan ALTER id TYPE integer",
        "alterColumnType made_loan.id",
    ),
    case(
        "a foreign key's column made integer",
        "ALTER TABLE made_loan ALTER book_id TYPE integer",
        "alterColumnType made_loan.book_id",
    ),
    case(
        "timestamptz made timestamp",
        "ALTER TABLE made_book ALTER published TYPE timestamp",
        "alterColumnType made_book.published",
    ),
    case(
        "less precise moments",
        "ALTER TABLE made_book ALTER published TYPE timestamptz(0)",
        "alterColumnType made_book.published",
    ),
    case(
        "jsonb made json",
        "DROP INDEX book_data; ALTER TABLE made_book ALTER data TYPE json",
        "alterColumnType made_book.data",
        "dropIndex book_data",
    ),
    case(
        "drop a default",
        "ALTER TABLE made_book ALTER lent DROP DEFAULT",
        "alterColumnDefault made_book.lent",
    ),
    case(
        "another default",
        "ALTER TABLE made_author ALTER country SET DEFAULT 'FR'",
        "alterColumnDefault made_author.country",
    ),
    case(
        "a default cut short by its type",
        "ALTER TABLE made_author ALTER country SET DEFAULT 'DE'::varchar(1)",
        "alterColumnDefault made_author.country",
    ),
    case(
        "a default of nothing, which is none",
        "ALTER TABLE made_book ALTER rank SET DEFAULT NULL",
    ),
    case(
        "another expression as default",
        "ALTER TABLE made_book ALTER published SET DEFAULT clock_timestamp()",
        "alterColumnDefault made_book.published",
    ),
    case(
        "a default that no model has",
        "ALTER TABLE made_book ALTER rank SET DEFAULT 0",
        "alterColumnDefault made_book.rank",
    ),
    case(
        "drop NOT NULL",
        "ALTER TABLE made_book ALTER blurb DROP NOT NULL",
        "alterColumnNullable made_book.blurb",
    ),
    case(
        "set NOT NULL",
        "ALTER TABLE made_book ALTER rank SET NOT NULL",
        "alterColumnNullable made_book.rank",
    ),
    case(
        "a NOT NULL that is not valid",
        "ALTER TABLE made_book ALTER blurb DROP NOT NULL;"
        "ALTER TABLE made_book ADD CONSTRAINT n NOT NULL blurb NOT VALID",
        "alterColumnNullable made_book.blurb",
        version=18,
    ),
    case(
        "identity always",
        "ALTER TABLE made_loan ALTER id SET GENERATED ALWAYS",
        "alterColumnIdentity made_loan.id",
    ),
    case(
        "identity dropped",
        "ALTER TABLE made_loan ALTER id DROP IDENTITY",
        "alterColumnIdentity made_loan.id",
    ),
    case(
        "a serial that lost its default",
        "ALTER TABLE made_loan ALTER id DROP IDENTITY;"
        "CREATE SEQUENCE made_loan_id_seq OWNED BY made_loan.id",
        "alterColumnIdentity made_loan.id",
    ),
    case(
        "a default from a sequence of another column",
        "ALTER TABLE made_loan ALTER id DROP IDENTITY;"
        "ALTER TABLE made_loan ALTER id SET DEFAULT nextval('made_author_id_seq')",
        "alterColumnIdentity made_loan.id",
        "alterColumnDefault made_loan.id",
    ),
    case(
        "a sequence that ends too early",
        "ALTER SEQUENCE made_loan_id_seq AS integer",
        "extra: sequence of column id on made_loan",
    ),
    case(
        "a sequence that counts by two and begins again",
        "ALTER SEQUENCE made_loan_id_seq INCREMENT 2 CYCLE",
        "extra: sequence of column id on made_loan",
    ),
    case(
        "another expression of a generated column",
        "ALTER TABLE made_book DROP length,"
        "ADD length integer GENERATED ALWAYS AS (length(blurb)) STORED",
        "alterGenerated made_book.length",
    ),
    case(
        "generated no more",
        "ALTER TABLE made_book ALTER length DROP EXPRESSION",
        "alterGenerated made_book.length",
    ),
    case(
        "virtual in the place of stored",
        "ALTER TABLE made_book DROP length,"
        "ADD length integer GENERATED ALWAYS AS (length(title)) VIRTUAL",
        "alterGenerated made_book.length",
        version=18,
    ),
    case(
        "another collation",
        'ALTER TABLE made_book ALTER summary TYPE text COLLATE "POSIX"',
        "alterColumnType made_book.summary",
    ),
    case(
        "a lost collation",
        "ALTER TABLE made_book ALTER summary TYPE text",
        "alterColumnType made_book.summary",
    ),
    case(
        "a collation that no model has",
        'ALTER TABLE made_book ALTER blurb TYPE text COLLATE "C"',
        "extra: collation of column blurb on made_book",
    ),
    case(
        "another storage",
        "ALTER TABLE made_book ALTER blurb SET STORAGE EXTERNAL",
        "alterColumnType made_book.blurb",
    ),
    case(
        "a compression",
        "ALTER TABLE made_book ALTER blurb SET COMPRESSION pglz",
        "alterColumnType made_book.blurb",
    ),
    case(
        "another comment of a column",
        "COMMENT ON COLUMN made_author.country IS 'ISO 3166-1'",
        "setComment made_author.country",
    ),
    case(
        "a removed comment of a column",
        "COMMENT ON COLUMN made_author.country IS NULL",
        "setComment made_author.country",
    ),
    case(
        "a comment of a column that no model has",
        "COMMENT ON COLUMN made_author.born IS 'Or thereabouts'",
        "extra: comment of column born on made_author",
    ),
]

INDEXES = [
    case(
        "drop an index of Meta",
        "DROP INDEX book_newest",
        NEWEST_GONE,
    ),
    case(
        "drop a field's index",
        f"DROP INDEX {AUTHOR_INDEX}",
        f"dropIndex {AUTHOR_INDEX}",
    ),
    case(
        "an index that is not valid",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'book_newest'::regclass",
        NEWEST_GONE,
        "addIndex made_book(published, title)",
    ),
    case(
        "a field's index that is not valid",
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{AUTHOR_INDEX}'::regclass",
        f"dropIndex {AUTHOR_INDEX}",
        "addIndex made_author(name)",
    ),
    case(
        "columns of an index in another order",
        index_again("book_newest", "INDEX book_newest ON made_book (title, published DESC)"),
        NEWEST_GONE,
        "addIndex made_book(title, published)",
    ),
    case(
        "one column less in an index",
        index_again("book_newest", "INDEX book_newest ON made_book (published DESC)"),
        NEWEST_GONE,
        "addIndex made_book(published)",
    ),
    case(
        "an index that ascends",
        index_again("book_newest", "INDEX book_newest ON made_book (published, title)"),
        NEWEST_GONE,
        "addIndex made_book(published, title)",
    ),
    case(
        "nulls at the other end of an index",
        index_again(
            "book_newest", "INDEX book_newest ON made_book (published DESC NULLS LAST, title)"
        ),
        NEWEST_GONE,
        "addIndex made_book(published, title)",
    ),
    case(
        "another collation in an index",
        index_again(
            "book_newest",
            'INDEX book_newest ON made_book (published DESC, title COLLATE "C")',
        ),
        NEWEST_GONE,
        "addIndex made_book(published, title)",
    ),
    case(
        "another operator class",
        index_again("book_pattern", "INDEX book_pattern ON made_book (title)"),
        "dropIndex book_pattern",
        "addIndex made_book(title)",
    ),
    case(
        "another operator class of a GIN index",
        index_again("book_data", "INDEX book_data ON made_book USING gin (data jsonb_path_ops)"),
        "dropIndex book_data",
        "addIndex made_book(data jsonb_path_ops)",
    ),
    case(
        "another predicate",
        index_again("book_in", "INDEX book_in ON made_book (price) INCLUDE (title) WHERE lent"),
        "dropIndex book_in",
        "addIndex made_book(price)",
    ),
    case(
        "a lost predicate",
        index_again("book_in", "INDEX book_in ON made_book (price) INCLUDE (title)"),
        "dropIndex book_in",
        "addIndex made_book(price)",
    ),
    case(
        "a predicate more in a field's index",
        index_again(AUTHOR_INDEX, f"INDEX {AUTHOR_INDEX} ON made_author (name) WHERE name <> ''"),
        f"dropIndex {AUTHOR_INDEX}",
        "addIndex made_author(name)",
    ),
    case(
        "a lost included column",
        index_again("book_in", "INDEX book_in ON made_book (price) WHERE NOT lent"),
        "dropIndex book_in",
        "addIndex made_book(price)",
    ),
    case(
        "another method",
        index_again("book_pages", "INDEX book_pages ON made_book USING brin (pages)"),
        "dropIndex book_pages",
        "addIndex made_book(pages)",
    ),
    case(
        "unique no more",
        index_again("book_lower", "INDEX book_lower ON made_book (lower(title), rank)"),
        "dropIndex book_lower",
        "addIndex made_book(lower((title)::text), rank)",
    ),
    case(
        "an index made unique",
        index_again("book_newest", "UNIQUE INDEX book_newest ON made_book (published DESC, title)"),
        NEWEST_GONE,
        "addIndex made_book(published, title)",
    ),
    case(
        "nulls that are not distinct in a unique index",
        index_again(
            "book_lower",
            "UNIQUE INDEX book_lower ON made_book (lower(title), rank) NULLS NOT DISTINCT",
        ),
        "dropIndex book_lower",
        "addIndex made_book(lower((title)::text), rank)",
    ),
    case(
        "another expression",
        index_again("book_upper", "INDEX book_upper ON made_book (upper(blurb))"),
        "dropIndex book_upper",
        "addIndex made_book(upper(blurb))",
    ),
    case(
        "another fillfactor",
        "ALTER INDEX book_pages SET (fillfactor = 90)",
        "alterIndexOptions book_pages",
    ),
    case(
        "a fillfactor that no model has",
        "ALTER INDEX book_newest SET (fillfactor = 90)",
        "extra: storage parameters of index book_newest on made_book",
    ),
    case(
        "rename an index of Meta",
        "ALTER INDEX book_newest RENAME TO book_latest",
        "renameIndex book_newest",
    ),
    case(
        "one index more",
        "CREATE INDEX by_rank ON made_book (rank)",
        "extra: index by_rank on made_book",
    ),
    case(
        "the same index twice",
        "CREATE INDEX again ON made_author (name)",
        "extra: index again on made_author",
    ),
    case(
        "a comment of an index",
        "COMMENT ON INDEX book_newest IS 'for the front page'",
        "extra: comment of index book_newest on made_book",
    ),
    case(
        "an invalid index of a failed build",
        "CREATE INDEX by_rank ON made_book (rank);"
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'by_rank'::regclass",
        "extra: index by_rank on made_book",
    ),
]

CONSTRAINTS = [
    case(
        "drop a check of Meta",
        "ALTER TABLE made_book DROP CONSTRAINT book_price",
        "dropCheck made_book.book_price",
    ),
    case(
        "drop a field's check",
        "ALTER TABLE made_book DROP CONSTRAINT made_book_pages_check",
        "dropCheck made_book.made_book_pages_check",
    ),
    case(
        "rename a check of Meta",
        "ALTER TABLE made_book RENAME CONSTRAINT book_price TO price_is_positive",
        "renameConstraint made_book.book_price",
    ),
    case(
        "another expression of a check",
        constraint_again("made_book", "book_price", "CHECK (price > 0)"),
        *PRICE_AGAIN,
    ),
    case(
        "a check that is not valid",
        constraint_again("made_book", "book_price", "CHECK (price >= 0) NOT VALID"),
        *PRICE_AGAIN,
    ),
    case(
        "a field's check that is not valid",
        constraint_again("made_book", "made_book_pages_check", "CHECK (pages >= 0) NOT VALID"),
        "dropCheck made_book.made_book_pages_check",
        "addCheck made_book.made_book_pages_check",
    ),
    case(
        "a check that is not enforced",
        constraint_again("made_book", "book_price", "CHECK (price >= 0) NOT ENFORCED"),
        *PRICE_AGAIN,
        version=18,
    ),
    case(
        "a check without heirs",
        constraint_again("made_book", "book_price", "CHECK (price >= 0) NO INHERIT"),
        *PRICE_AGAIN,
    ),
    case(
        "one check more",
        "ALTER TABLE made_book ADD CONSTRAINT pages_fit CHECK (pages < 10000)",
        "extra: check constraint pages_fit on made_book",
    ),
    case(
        "drop a unique constraint of Meta",
        "ALTER TABLE made_book DROP CONSTRAINT book_once",
        "dropUnique made_book.book_once",
    ),
    case(
        "drop a field's unique constraint",
        "ALTER TABLE made_genre DROP CONSTRAINT made_genre_name_key",
        "dropUnique made_genre.made_genre_name_key",
    ),
    case(
        "drop what unique_together made",
        f"ALTER TABLE made_book DROP CONSTRAINT {TOGETHER}",
        f"dropUnique made_book.{TOGETHER}",
    ),
    case(
        "columns of a unique constraint in another order",
        constraint_again("made_book", "book_once", "UNIQUE (author_id, title)"),
        "dropUnique made_book.book_once",
        "addUnique made_book(author_id, title)",
    ),
    case(
        "a unique constraint of Meta with another name",
        "ALTER TABLE made_book RENAME CONSTRAINT book_once TO once",
        "renameConstraint made_book.book_once",
    ),
    case(
        "a unique constraint that is not deferrable",
        constraint_again("made_book", "book_rank", "UNIQUE (rank)"),
        *RANK_AGAIN,
    ),
    case(
        "a unique constraint that is first checked at once",
        constraint_again("made_book", "book_rank", "UNIQUE (rank) DEFERRABLE"),
        *RANK_AGAIN,
    ),
    case(
        "a field's unique constraint made deferrable",
        constraint_again("made_genre", "made_genre_name_key", "UNIQUE (name) DEFERRABLE"),
        "dropUnique made_genre.made_genre_name_key",
        "addUnique made_genre(name)",
    ),
    case(
        "nulls that are not distinct",
        constraint_again(
            "made_book",
            "book_rank",
            "UNIQUE NULLS NOT DISTINCT (rank) DEFERRABLE INITIALLY DEFERRED",
        ),
        *RANK_AGAIN,
    ),
    case(
        "an included column in a unique constraint",
        constraint_again(
            "made_book", "book_rank", "UNIQUE (rank) INCLUDE (title) DEFERRABLE INITIALLY DEFERRED"
        ),
        *RANK_AGAIN,
    ),
    case(
        "one unique constraint more",
        "ALTER TABLE made_author ADD CONSTRAINT one_name UNIQUE (name)",
        "extra: unique constraint one_name on made_author",
    ),
    case(
        "an index in the place of a unique constraint of Meta",
        "ALTER TABLE made_book DROP CONSTRAINT book_once;"
        "CREATE UNIQUE INDEX book_once ON made_book (title, author_id)",
        "dropUnique made_book.book_once",
        "extra: index book_once on made_book",
    ),
    case(
        "drop the unique pair of a many-to-many",
        f"ALTER TABLE made_book_genres DROP CONSTRAINT {PAIR}",
        f"dropUnique made_book_genres.{PAIR}",
    ),
    case(
        "a unique constraint over half of the pair",
        constraint_again("made_book_genres", PAIR, "UNIQUE (book_id)"),
        f"dropUnique made_book_genres.{PAIR}",
        "addUnique made_book_genres(book_id)",
    ),
    case(
        "the pair of a many-to-many turned round, which is the same",
        constraint_again("made_book_genres", PAIR, "UNIQUE (genre_id, book_id)"),
    ),
    case(
        "the pair of a many-to-many turned round and deferrable",
        constraint_again("made_book_genres", PAIR, "UNIQUE (genre_id, book_id) DEFERRABLE"),
        f"dropUnique made_book_genres.{PAIR}",
        "addUnique made_book_genres(genre_id, book_id)",
    ),
    case(
        "a partial index in the place of a field's unique constraint",
        "ALTER TABLE made_genre DROP CONSTRAINT made_genre_name_key;"
        "CREATE UNIQUE INDEX made_genre_name_key ON made_genre (name) WHERE id > 0",
        "dropUnique made_genre.made_genre_name_key",
        "extra: index made_genre_name_key on made_genre",
    ),
    case(
        "a partial index for LIKE",
        index_again(
            "made_genre_name_b5bd6a82_like",
            "INDEX made_genre_name_b5bd6a82_like ON made_genre (name varchar_pattern_ops)"
            " WHERE id > 0",
        ),
        "dropIndex made_genre_name_b5bd6a82_like",
        "addIndex made_genre(name varchar_pattern_ops)",
    ),
    case(
        "drop a foreign key",
        f"ALTER TABLE made_book DROP CONSTRAINT {AUTHOR_KEY}",
        f"dropForeignKey made_book.{AUTHOR_KEY}",
    ),
    case(
        "a foreign key to another table",
        author_key_again("made_loan (id) DEFERRABLE INITIALLY DEFERRED"),
        *KEY_AGAIN,
    ),
    case(
        "another ON DELETE",
        author_key_again("made_author (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"),
        *KEY_AGAIN,
    ),
    case(
        "an ON DELETE of one column",
        author_key_again(
            "made_author (id) ON DELETE SET NULL (author_id) DEFERRABLE INITIALLY DEFERRED"
        ),
        *KEY_AGAIN,
    ),
    case(
        "another ON DELETE under another name",
        f"ALTER TABLE made_book DROP CONSTRAINT {AUTHOR_KEY};"
        "ALTER TABLE made_book ADD CONSTRAINT mine FOREIGN KEY (author_id)"
        " REFERENCES made_author (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
        *KEY_AGAIN,
    ),
    case(
        "another ON UPDATE",
        author_key_again("made_author (id) ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED"),
        *KEY_AGAIN,
    ),
    case(
        "another MATCH",
        author_key_again("made_author (id) MATCH FULL DEFERRABLE INITIALLY DEFERRED"),
        *KEY_AGAIN,
    ),
    case(
        "a foreign key checked at once",
        f"ALTER TABLE made_book ALTER CONSTRAINT {AUTHOR_KEY} INITIALLY IMMEDIATE",
        f"alterForeignKey made_book.{AUTHOR_KEY}",
    ),
    case(
        "a foreign key that cannot wait",
        f"ALTER TABLE made_book ALTER CONSTRAINT {AUTHOR_KEY} NOT DEFERRABLE",
        f"alterForeignKey made_book.{AUTHOR_KEY}",
    ),
    case(
        "a foreign key that is not valid",
        author_key_again("made_author (id) DEFERRABLE INITIALLY DEFERRED NOT VALID"),
        *KEY_AGAIN,
    ),
    case(
        "a foreign key that is not enforced",
        f"ALTER TABLE made_book ALTER CONSTRAINT {AUTHOR_KEY} NOT ENFORCED",
        *KEY_AGAIN,
        version=18,
    ),
    case(
        "a foreign key where a model wants none",
        "ALTER TABLE made_loan ADD CONSTRAINT mine"
        " FOREIGN KEY (member_id) REFERENCES made_author (id)",
        "extra: foreign key mine on made_loan",
    ),
    case(
        "drop an exclusion",
        "ALTER TABLE made_loan DROP CONSTRAINT loan_once",
        "dropExclusion made_loan.loan_once",
    ),
    case(
        "another operator in an exclusion",
        constraint_again(
            "made_loan", "loan_once", 'EXCLUDE USING gist (days WITH -|-) WHERE ("open")'
        ),
        *LOAN_AGAIN,
    ),
    case(
        "another predicate in an exclusion",
        constraint_again("made_loan", "loan_once", "EXCLUDE USING gist (days WITH &&)"),
        *LOAN_AGAIN,
    ),
    case(
        "an exclusion that can wait",
        constraint_again(
            "made_loan", "loan_once", 'EXCLUDE USING gist (days WITH &&) WHERE ("open") DEFERRABLE'
        ),
        *LOAN_AGAIN,
    ),
    case(
        "one exclusion more",
        "ALTER TABLE made_loan ADD CONSTRAINT apart EXCLUDE USING gist (days WITH -|-)",
        "extra: exclusion constraint apart on made_loan",
    ),
    case(
        "drop a primary key",
        "ALTER TABLE made_loan DROP CONSTRAINT made_loan_pkey",
        "alterPrimaryKey made_loan",
    ),
    case(
        "other columns in a primary key",
        "ALTER TABLE made_loan DROP CONSTRAINT made_loan_pkey, ADD PRIMARY KEY (id, book_id)",
        "alterPrimaryKey made_loan",
    ),
    case(
        "a primary key that can wait",
        "ALTER TABLE made_loan DROP CONSTRAINT made_loan_pkey, ADD PRIMARY KEY (id) DEFERRABLE",
        "alterPrimaryKey made_loan",
    ),
    case(
        "a comment of a constraint",
        "COMMENT ON CONSTRAINT book_price ON made_book IS 'never less than nothing'",
        "extra: comment of check constraint book_price on made_book",
    ),
    case(
        "a check that is not enforced beside the one that is",
        "ALTER TABLE made_book ADD CONSTRAINT more CHECK (price >= 0) NOT ENFORCED",
        "extra: check constraint more on made_book",
        version=18,
    ),
]

TABLES = [
    case("drop a table", "DROP TABLE made_loan", "dropTable made_loan"),
    case("drop a many-to-many table", "DROP TABLE made_book_genres", "dropTable made_book_genres"),
    case("a table moved away", "ALTER TABLE made_loan SET SCHEMA elsewhere", "dropTable made_loan"),
    case(
        "a view in the place of a table",
        "ALTER TABLE made_loan SET SCHEMA elsewhere;"
        "CREATE VIEW made_loan AS SELECT * FROM elsewhere.made_loan",
        "dropTable made_loan",
    ),
    case(
        "an unlogged table",
        "ALTER TABLE made_loan SET UNLOGGED",
        "extra: unlogged storage of made_loan",
    ),
    case(
        "a storage parameter",
        "ALTER TABLE made_loan SET (fillfactor = 50)",
        "extra: storage parameters of made_loan",
    ),
    case(
        "a storage parameter of a constraint's index",
        "ALTER INDEX book_once SET (fillfactor = 50)",
        "extra: storage parameters of unique constraint book_once on made_book",
    ),
    case(
        "a storage parameter of a primary key",
        "ALTER INDEX made_author_pkey SET (fillfactor = 50)",
        "extra: storage parameters of primary key made_author_pkey on made_author",
    ),
    case(
        "another comment of a table",
        "COMMENT ON TABLE made_author IS 'Writers'",
        "setComment made_author",
    ),
    case(
        "a removed comment of a table",
        "COMMENT ON TABLE made_author IS NULL",
        "setComment made_author",
    ),
    case(
        "a comment of a table that no model has",
        "COMMENT ON TABLE made_loan IS 'Who has what'",
        "extra: comment of made_loan",
    ),
    case(
        "a partitioned table",
        "DROP TABLE made_loan; CREATE TABLE made_loan ("
        " id bigint GENERATED BY DEFAULT AS IDENTITY, book_id bigint NOT NULL,"
        " member_id bigint NOT NULL, days daterange NOT NULL, open boolean NOT NULL,"
        " CONSTRAINT made_loan_pkey PRIMARY KEY (id), CONSTRAINT made_loan_book_id_bf7acd35_fk"
        " FOREIGN KEY (book_id) REFERENCES made_book (id) DEFERRABLE INITIALLY DEFERRED"
        ") PARTITION BY HASH (id);"
        "CREATE INDEX ON made_loan (book_id); CREATE INDEX ON made_loan (member_id);"
        "ALTER TABLE made_loan ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY loan_own ON made_loan FOR SELECT USING (member_id > 0)",
        "dropExclusion made_loan.loan_once",
        "extra: partitioning of made_loan",
    ),
    case(
        "a table that inherits",
        "CREATE TABLE elsewhere.parent (open boolean NOT NULL);"
        "ALTER TABLE made_loan INHERIT elsewhere.parent",
        "extra: inheritance of made_loan",
    ),
    case(
        "another replica identity",
        "ALTER TABLE made_loan REPLICA IDENTITY FULL",
        "extra: replica identity of made_loan",
    ),
    case(
        "row security where no model asks for it",
        "ALTER TABLE made_author ENABLE ROW LEVEL SECURITY",
        "extra: row security of made_author",
    ),
    case(
        "row security that is off",
        "ALTER TABLE made_loan DISABLE ROW LEVEL SECURITY",
        "disableRls made_loan",
    ),
    case(
        "row security forced on the owner",
        "ALTER TABLE made_loan FORCE ROW LEVEL SECURITY",
        "extra: forced row security of made_loan",
    ),
    case(
        "drop a policy",
        "DROP POLICY loan_own ON made_loan",
        "dropPolicy made_loan.loan_own",
    ),
    case(
        "another expression of a policy",
        "ALTER POLICY loan_own ON made_loan USING (true)",
        POLICY_ALTERED,
    ),
    case(
        "a policy for another role",
        "ALTER POLICY loan_own ON made_loan TO pg_monitor",
        POLICY_ALTERED,
    ),
    case(
        "a policy for another command",
        "DROP POLICY loan_own ON made_loan;"
        "CREATE POLICY loan_own ON made_loan FOR DELETE USING (member_id > 0)",
        POLICY_ALTERED,
    ),
    case(
        "a policy that restricts",
        "DROP POLICY loan_own ON made_loan; CREATE POLICY loan_own ON made_loan"
        " AS RESTRICTIVE FOR SELECT USING (member_id > 0)",
        POLICY_ALTERED,
    ),
    case(
        "one policy more",
        "CREATE POLICY everybody ON made_loan USING (true)",
        "extra: policy everybody on made_loan",
    ),
    case(
        "a trigger",
        "CREATE TRIGGER quiet BEFORE UPDATE ON made_book FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "extra: trigger quiet on made_book",
    ),
    case(
        "a trigger that is switched off",
        "CREATE TRIGGER quiet BEFORE UPDATE ON made_book FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger();"
        "ALTER TABLE made_book DISABLE TRIGGER quiet",
        "extra: trigger quiet on made_book",
    ),
    case(
        "a trigger that fires on a replica only",
        "CREATE TRIGGER quiet BEFORE UPDATE ON made_book FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger();"
        "ALTER TABLE made_book ENABLE REPLICA TRIGGER quiet",
        "extra: trigger quiet on made_book",
    ),
    case(
        "foreign keys switched off",
        "ALTER TABLE made_loan DISABLE TRIGGER ALL",
        "dropForeignKey made_loan.made_loan_book_id_bf7acd35_fk_made_book_id",
        "addForeignKey made_loan(book_id)",
    ),
    case(
        "a rule",
        "CREATE RULE nothing AS ON DELETE TO made_book DO INSTEAD NOTHING",
        "extra: rule nothing on made_book",
    ),
    case(
        "extended statistics",
        "CREATE STATISTICS apart ON title, blurb FROM made_book",
        "extra: extended statistics apart on made_book",
    ),
]

# Nothing is told of these: docs/limits.md says so.
NOT_LOOKED_AT = [
    case("a table without a model", "CREATE TABLE made_more (id int)"),
    case("a view", "CREATE VIEW made_books AS SELECT title FROM made_book"),
    case("a materialized view", "CREATE MATERIALIZED VIEW made_books AS SELECT 1 FROM made_book"),
    case("a function", "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    case("a sequence that no column owns", "CREATE SEQUENCE made"),
    case("a type", "CREATE TYPE mood AS ENUM ('good', 'bad')"),
    case("a schema", "CREATE SCHEMA made"),
    case("a collation", "CREATE COLLATION made (provider = libc, locale = 'C')"),
    case(
        "an event trigger",
        "CREATE FUNCTION made() RETURNS event_trigger LANGUAGE plpgsql AS"
        " 'BEGIN END'; CREATE EVENT TRIGGER made ON sql_drop EXECUTE FUNCTION made()",
    ),
    case("a publication", "CREATE PUBLICATION made FOR TABLE made_book"),
    case("rights", "GRANT SELECT ON made_book TO pg_monitor"),
    case("another owner", "ALTER TABLE made_book OWNER TO pg_monitor"),
    case(
        "the current value of a sequence", "ALTER SEQUENCE made_book_id_seq RESTART 1000 CACHE 10"
    ),
    case(
        "the statistics target of a column", "ALTER TABLE made_book ALTER title SET STATISTICS 500"
    ),
    case(
        "statistics options of a column", "ALTER TABLE made_book ALTER title SET (n_distinct = 5)"
    ),
    case("the order of rows", "ALTER TABLE made_book CLUSTER ON book_pages"),
    case(
        "a table of the same name in another schema",
        "CREATE TABLE elsewhere.made_loan (id int) PARTITION BY HASH (id)",
    ),
    case(
        "columns in another order",
        "ALTER TABLE made_author DROP born; ALTER TABLE made_author ADD born date",
    ),
    case("a column of ours", "ALTER TABLE made_author ADD _zanith_dropped_0 text"),
    case("a table of ours", "CREATE TABLE _zanith_more (id int)"),
]


SHOP = """
from django.db import models


class Thing(models.Model):
    name = models.CharField(max_length=20)
"""


@pytest.fixture(scope="module")
def declared(django_connection: DatabaseWrapper) -> Declared:
    """The library's tables are in the database, as Django's schema editor makes them."""
    models = library()
    with django_connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA elsewhere")
    with django_connection.schema_editor() as editor:
        for each in models:
            editor.create_model(each)
    return from_models(django_connection, models)


def compared(connection: DatabaseWrapper, declared: Declared) -> Difference:
    return Sources(connection, declared).compare(MODELS, LIVE)


def lines(found: Difference) -> list[str]:
    """What `zanith_diff models live --verbosity 2` tells, a line each."""
    operations = [f"{operation.kind} {operation.target}" for operation in found.operations]
    extras = [f"extra: {extra.description}" for extra in found.extras]
    return sorted([*operations, *extras, *(f"note: {note.description}" for note in found.notes)])


CASES = [*COLUMNS, *INDEXES, *CONSTRAINTS, *TABLES, *NOT_LOOKED_AT]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_exactly_that_change_is_reported(
    declared: Declared, django_connection: DatabaseWrapper, case: Case
) -> None:
    if django_connection.pg_version < case.version * 10_000:
        pytest.skip(f"PostgreSQL {case.version} can do this")
    with transaction.atomic(django_connection.alias), django_connection.cursor() as cursor:
        cursor.execute(case.sql)
        difference = compared(django_connection, declared)
        transaction.set_rollback(True, django_connection.alias)
    assert lines(difference) == sorted(case.told)
    # What goes and what comes under the same name read differently: people see what changed.
    drops = [each for each in difference.operations if each.kind.startswith("drop")]
    gone = {undo.describe() for each in drops if (undo := each.inverse())}
    assert gone.isdisjoint(each.describe() for each in difference.operations)


def test_an_untouched_library_has_no_difference(
    declared: Declared, django_connection: DatabaseWrapper
) -> None:
    assert lines(compared(django_connection, declared)) == []


@pytest.fixture(scope="module")
def fast(server: Server) -> Iterator[str]:
    """A tablespace; a server has it for all its databases."""
    name = f"zanith_test_fast_{os.getpid()}"
    with psycopg.connect(server.maintenance_url, autocommit=True) as connection:
        connection.execute("SET allow_in_place_tablespaces = on")
        connection.execute(f"CREATE TABLESPACE {name} LOCATION ''".encode())
        yield name
        connection.execute(f"DROP TABLESPACE {name}".encode())


def test_another_tablespace_is_reported(
    declared: Declared, django_connection: DatabaseWrapper, fast: str
) -> None:
    with transaction.atomic(django_connection.alias), django_connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE made_loan SET TABLESPACE {fast}")
        cursor.execute(f"ALTER INDEX book_newest SET TABLESPACE {fast}")
        cursor.execute(f"ALTER INDEX book_once SET TABLESPACE {fast}")
        cursor.execute(f"ALTER INDEX made_author_pkey SET TABLESPACE {fast}")
        cursor.execute(f"ALTER INDEX loan_once SET TABLESPACE {fast}")  # not looked at
        found = lines(compared(django_connection, declared))
        transaction.set_rollback(True, django_connection.alias)
    assert found == [
        "extra: tablespace of index book_newest on made_book",
        "extra: tablespace of made_loan",
        "extra: tablespace of primary key made_author_pkey on made_author",
        "extra: tablespace of unique constraint book_once on made_book",
    ]


def test_a_change_that_no_operation_makes_is_reported_between_snapshots(
    declared: Declared, django_connection: DatabaseWrapper, tmp_path: Path
) -> None:
    before = tmp_path / "before.json"
    before.write_text(json.dumps(live_graph(django_connection).to_json()))
    with transaction.atomic(django_connection.alias), django_connection.cursor() as cursor:
        cursor.execute("CREATE STATISTICS apart ON title, blurb FROM made_book")
        found = Sources(django_connection).compare(str(before), LIVE)
        transaction.set_rollback(True, django_connection.alias)
    assert found.operations == ()
    described = [extra.description for extra in found.extras]
    assert described == ["extended statistics apart on made_book"]


def test_the_command_prints_the_differences_and_exits_with_one(
    project: BuildProject,
) -> None:
    built = project({"shop": SHOP})
    built.manage("makemigrations", "shop", check=True)
    built.manage("migrate", check=True)
    assert built.manage("zanith_diff", "models", "live").returncode == 0
    built.sql("ALTER TABLE shop_thing ALTER name TYPE varchar(40)")
    built.sql("CREATE INDEX mine ON shop_thing (name)")
    done = built.manage("zanith_diff", "models", "live", "--format", "json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert [(each["kind"], each["target"]) for each in answer["operations"]] == [
        ("alterColumnType", "shop_thing.name")
    ]
    assert answer["extra"] == ["index mine on shop_thing"]
