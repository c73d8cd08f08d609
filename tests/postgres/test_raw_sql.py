"""SQL that an author wrote, cut into statements and looked at."""

from __future__ import annotations

import pytest

from zanith_django.postgres.raw_sql import makes_foundation, statements

TEXTS = {
    "SELECT 1; ; SELECT 2;": ["SELECT 1", "SELECT 2"],
    "SELECT ';', \";\", E'\\';' -- no; end\n;SELECT 2 /* ; */": [
        "SELECT ';', \";\", E'\\';'",
        "SELECT 2",
    ],
    "DO $$ BEGIN PERFORM 1; END $$; SELECT $a$ $$; $a$": [
        "DO $$ BEGIN PERFORM 1; END $$",
        "SELECT $a$ $$; $a$",
    ],
    "SELECT 'C:\\'; SELECT 2": ["SELECT 'C:\\'", "SELECT 2"],
    "CREATE FUNCTION f(a int) RETURNS int BEGIN /* ; */ ATOMIC SELECT 1; "
    "SELECT CASE a WHEN 1 THEN 2 END; end; SELECT 2": [
        "CREATE FUNCTION f(a int) RETURNS int BEGIN   ATOMIC SELECT 1; "
        "SELECT CASE a WHEN 1 THEN 2 END; end",
        "SELECT 2",
    ],
    "BEGIN; SELECT CASE WHEN true THEN 1 END; END": [
        "BEGIN",
        "SELECT CASE WHEN true THEN 1 END",
        "END",
    ],
    "": [],
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_cut_where_a_statement_ends(text: str) -> None:
    assert list(statements(text)) == TEXTS[text]


MADE = [
    "CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public",
    'create extension "uuid-ossp"',
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TYPE mood AS ENUM ('sad')",
    "CREATE DOMAIN email AS text",
    "CREATE TEXT SEARCH CONFIGURATION de (COPY = german)",
    "ALTER TEXT SEARCH CONFIGURATION de ALTER MAPPING FOR word WITH simple",
    "CREATE OPERATOR CLASS c FOR TYPE int USING btree AS OPERATOR 1 <",
    "CREATE SCHEMA s",
    "ALTER TYPE mood RENAME TO feeling",
    "DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad'); EXCEPTION WHEN duplicate_object THEN END $$",
    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_type WHERE typname = 'drop table') "
    "THEN CREATE TYPE mood AS ENUM ('sad'); END IF; END $$",
]
NOT_MADE = [
    "CREATE TABLE t (a int)",
    "CREATE INDEX CONCURRENTLY i ON t (a)",
    "ALTER DOMAIN email ADD CONSTRAINT c CHECK (VALUE <> '')",
    "UPDATE t SET a = 1",
    "DO $$ BEGIN UPDATE t SET a = 1; CREATE TYPE mood AS ENUM ('sad'); END $$",
    "DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad'); PERFORM fill(); END $$",
    "DO $$ BEGIN EXECUTE 'CREATE TYPE mood AS ENUM (''sad'')'; END $$",
    "CREATE SCHEMA s CREATE TABLE t (a int)",
    "ALTER TYPE mood RENAME ATTRIBUTE a TO b",
    "CREATE SOMETHING",
    "DROP TYPE mood",
]


@pytest.mark.parametrize("text", MADE + NOT_MADE)
def test_what_touches_no_table_makes_a_foundation(text: str) -> None:
    assert makes_foundation(text) == (text in MADE)
