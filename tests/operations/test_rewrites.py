"""What we claim of rewrites, against what PostgreSQL does."""

from __future__ import annotations

import re

import psycopg
import pytest

from tests.place import Place
from zanith_django.operations.online.rewrites import (
    assigns,
    keeps_values,
    narrows,
    rewrite_needed,
    volatile,
)
from zanith_django.schema.graph import Column

FILE = "SELECT pg_relation_filenode('t'::regclass)"
PRINTED = """
SELECT format_type(atttypid, atttypmod), pg_get_expr(adbin, adrelid)
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = 't'::regclass AND attname = 'c'"""

TYPES = """
varchar(10) varchar(20) varchar text char(5) char(8) numeric(10,2) numeric(12,2)
numeric(12,3) numeric(8,2) numeric integer bigint smallint oid timestamptz timestamp
timestamptz(3) timestamptz(6) timestamp(3) timestamp(6) time time(3) time(6) timetz
interval interval(3) interval(6) bit(4) bit(8) varbit varbit(8) varbit(16) cidr inet xml
json jsonb uuid bytea date real float8 boolean text[] varchar(10)[] integer[] int4range
"""


@pytest.mark.parametrize("old", TYPES.split())
def test_a_change_of_type_rewrites_the_table_where_we_say_so(empty_place: Place, old: str) -> None:
    place, wrong = empty_place, []
    place.execute("SET TimeZone = 'Europe/Paris'; DROP TABLE IF EXISTS t")
    place.execute(f"CREATE TABLE t (c {old})")
    before = place.execute(PRINTED)[0][0]
    for new in TYPES.split():
        try:
            with place.connection.transaction(force_rollback=True):
                file = place.value(FILE)
                place.execute(f"CREATE TABLE u (c {new})")
                after = place.execute(PRINTED.replace("'t'", "'u'"))[0][0]
                using = "" if assigns(before, after) else f"USING c::{new}"
                place.execute(f"ALTER TABLE t ALTER c TYPE {new} {using}")
                rewritten = place.value(FILE) != file
        except psycopg.errors.CannotCoerce:
            continue
        if rewritten != rewrite_needed(Column("c", before), Column("c", after)):
            wrong.append(f"{before} to {after}: rewritten is {rewritten}")
    assert wrong == []


DEFAULTS = [
    ("integer", "7"),
    ("text", "'random()'"),
    ("timestamptz", "now()"),
    ("timestamptz", "now() + '1 day'"),
    ("timestamptz", "timezone('utc', now())"),
    ("timestamptz", "date_trunc('day', now())"),
    ("timestamptz", "date_trunc('day', clock_timestamp())"),
    ("timestamptz", "CURRENT_TIMESTAMP"),
    ("timestamptz", "clock_timestamp()"),
    ("date", "CURRENT_DATE"),
    ("uuid", "gen_random_uuid()"),
    ("float8", "random()"),
    ("text", "md5(random()::text)"),
    ("integer", "nextval('s')"),
    ("integer", '"Ours"()'),
    ("jsonb", "'{}'"),
    ("jsonb", "jsonb_build_object('a', 1)"),
    ("numeric(10,2)", "1.5::numeric(10,2)"),
    ("text[]", "ARRAY[]::text[]"),
    ("text", "left('abc', 2)"),
    ("text", "coalesce(current_setting('a.b', true), upper('x'))"),
    ("text", "concat('a', 'b')"),
]


@pytest.mark.parametrize(("kind", "default"), DEFAULTS, ids=[default for _, default in DEFAULTS])
def test_a_new_column_rewrites_the_table_where_we_call_its_default_volatile(
    empty_place: Place, kind: str, default: str
) -> None:
    place = empty_place
    place.execute("CREATE SEQUENCE s; CREATE TABLE t (a integer); INSERT INTO t VALUES (1)")
    place.execute(
        """CREATE FUNCTION "Ours"() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'"""
    )
    file = place.value(FILE)
    place.execute(f"ALTER TABLE t ADD c {kind} DEFAULT {default}")
    with place.connection.transaction():
        place.execute("SET LOCAL search_path = pg_catalog")
        printed = place.execute(PRINTED.replace("'t'", f"'{place.schema}.t'"))[0][1]
    assert volatile(printed) == (place.value(FILE) != file)


VALUES = {
    "smallint": "'-32768' '7' '32767'",
    "integer": "'-2147483648' '7' '2147483647' '16777217'",
    "bigint": "'9223372036854775807' '7'",
    "boolean": "'t' 'f'",
    "numeric": "'1.50' '123456789012345678901234567890.123' '7'",
    "numeric(10,2)": "'1.50' '99999999.99'",
    "numeric(12,1)": "'1.5'",
    "real": "'1.1' '3.4e38'",
    "double precision": "'1.1' '0.1234567890123456789' '7'",
    "text": "'Abc' 'a  ' '007' '1.50' 'true' '{\"b\": 1,  \"a\": 2}' '2026-01-02'",
    "character varying(10)": "'Abc' 'a  '",
    "character varying(2)": "'a ' 'ab'",
    "character(5)": "'ab'",
    "uuid": "'6ecd8c99-4036-403d-bf84-cf8400f67836'",
    "date": "'2026-01-02' '1999-12-31'",
    "timestamp with time zone": "'2026-01-02 03:04:05.123456+00'",
    "timestamp without time zone": "'2026-01-02 03:04:05.123456'",
    "timestamp(3) with time zone": "'2026-01-02 03:04:05.123+00'",
    "time without time zone": "'03:04:05.123456'",
    "interval": "'1 day 00:00:01.123456'",
    "inet": "'10.0.0.1/8' '10.0.0.1'",
    "cidr": "'10.0.0.0/8'",
    "json": """'{"b": 1,  "a": 2}'""",
    "jsonb": """'{"b": 1, "a": 2}'""",
    "integer[]": "'{1,2}'",
    "text[]": "'{a,b}'",
    "character varying(10)[]": "'{a,b}'",
}


@pytest.mark.parametrize("old", VALUES)
def test_values_come_back_from_a_cast_where_we_say_so(empty_place: Place, old: str) -> None:
    place = empty_place
    values = re.findall(r"'[^']*'", VALUES[old])
    changed = set()
    for new in VALUES:
        back = f"(v::{old}::{new}::{old})::text IS DISTINCT FROM (v::{old})::text"
        for value in values:
            try:
                with place.connection.transaction(force_rollback=True):
                    if place.value(f"SELECT {back} FROM (SELECT {value}::text) AS given(v)"):
                        changed.add(new)
            except psycopg.Error:  # a cast that PostgreSQL does not have, or a value too large
                continue
    assert not [new for new in changed if keeps_values(old, new)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("integer", "bigint"),
        ("integer", "smallint"),
        ("character varying(10)", "text"),
        ("numeric(10,2)", "numeric(12,4)"),
        ("date", "timestamp with time zone"),
        ("uuid", "text"),
        ("integer[]", "bigint[]"),
    ],
)
def test_a_cast_that_loses_nothing_is_known(old: str, new: str) -> None:
    assert keeps_values(old, new)


NARROWER = [
    ("bigint", "integer"),
    ("character varying(20)", "character varying(10)"),
    ("text", "character varying(10)"),
    ("numeric(10,2)", "numeric(8,2)"),
    ("numeric(10,2)", "numeric(10,3)"),
    ("numeric(10,2)", "numeric(12,1)"),
    ("timestamp(6) with time zone", "timestamp(3) with time zone"),
    ("text", "numeric(3,0)"),
]
WIDER = [
    ("integer", "bigint"),
    ("character varying(10)", "character varying(20)"),
    ("character varying(10)", "text"),
    ("numeric(10,2)", "numeric(12,2)"),
    ("numeric(10,2)", "numeric"),
    ("numeric(10,2)", "numeric(12,4)"),
]


@pytest.mark.parametrize(("old", "new"), NARROWER)
def test_a_type_that_holds_less_is_narrower(old: str, new: str) -> None:
    assert narrows(old, new)


@pytest.mark.parametrize(("old", "new"), WIDER)
def test_a_type_that_holds_as_much_is_not_narrower(old: str, new: str) -> None:
    assert not narrows(old, new)
