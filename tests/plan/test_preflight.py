"""What preflight sees of existing rows and objects, and what it must leave open."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import IntegrityError

from zanith_django import operations as ops
from zanith_django.operations import Operation
from zanith_django.operations.base import Context
from zanith_django.plan.effects.statements import effects
from zanith_django.plan.findings import Finding
from zanith_django.plan.gates import Policy, check
from zanith_django.plan.live_facts import live_context
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.plan.preflight import Look, looked_at
from zanith_django.plan.risk import assess
from zanith_django.plan.shown import scene
from zanith_django.plan.table_facts import after
from zanith_django.postgres.names import TableName
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import (
    Check,
    Column,
    Exclusion,
    Extension,
    ForeignKey,
    Index,
    IndexKey,
    Table,
    Unique,
)
from zanith_django.timeline.timeline import Entry

T, P = TableName("", "pf_t"), TableName("", "pf_p")

SETUP = """
CREATE TABLE pf_p (id integer PRIMARY KEY);
CREATE TABLE pf_t (
    id integer PRIMARY KEY, code text, n integer, p_id integer, amount numeric(10, 2),
    room integer, during int4range
);
INSERT INTO pf_p VALUES (1), (2);
INSERT INTO pf_t VALUES
    (1, 'a', 1, 1, 1.50, 1, '[1,5)'), (2, 'b', 2, 2, 99.99, 2, '[1,5)'),
    (3, 'c', 3, NULL, 5, 1, '[5,9)');
"""

MIGRATION = "20260101_000000_change"


@pytest.fixture
def connection(django_connection: DatabaseWrapper) -> Iterator[DatabaseWrapper]:
    with django_connection.cursor() as cursor:
        cursor.execute(SETUP)
    yield django_connection
    with django_connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def run(connection: DatabaseWrapper, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


def known(connection: DatabaseWrapper) -> Context:
    with connection.cursor() as cursor:
        graph = from_catalog(cursor, schemas=["public"], default_schema="public")
    return live_context(connection, graph)


def planned(context: Context, operations: Sequence[Operation], texts: Sequence[str] = ()) -> Plan:
    steps = []
    for number, operation in enumerate(operations, 1):
        statements = operation.statements(context)
        written = tuple(texts) if isinstance(operation, ops.RawSql) else ()
        assessment = assess(operation, context, statements)
        step = PlannedStep(number, operation, assessment, statements, texts=written)
        steps.append(step)
        context = after(context, operation, written)
    return Plan("default", (PlannedMigration(Entry(MIGRATION), tuple(steps)),))


def found(
    connection: DatabaseWrapper,
    operations: Sequence[Operation],
    look: Look = Look(),  # noqa: B008  # frozen
    texts: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """What preflight sees of the last of these steps."""
    context = known(connection)
    plan = looked_at(connection, planned(context, operations, texts), context, look)
    return plan.migrations[0].steps[-1].findings


def not_null(name: str = "code") -> Operation:
    return ops.AlterColumnNullable(table=T, column=name, nullable=False)


def unique(*columns: str, **options: Any) -> Operation:
    return ops.AddUnique(table=T, unique=Unique("pf_u", columns, **options))


def index(*keys: Any, **options: Any) -> Operation:
    return ops.AddIndex(table=T, index=Index("pf_i", keys, unique=True, **options))


def key(references: TableName = P) -> Operation:
    return ops.AddForeignKey(
        table=T, foreign_key=ForeignKey("pf_fk", ("p_id",), references, ("id",))
    )


def retyped(name: str, old: str, new: str, using: str = "") -> Operation:
    return ops.AlterColumnType(table=T, old=Column(name, old), new=Column(name, new), using=using)


EXCLUSION = "EXCLUDE USING gist (room WITH =, during WITH &&) WHERE ((room > 0))"
overlapping = ops.AddExclusion(table=T, exclusion=Exclusion("pf_x", EXCLUSION, ("room", "during")))
positive = ops.AddCheck(table=T, check=Check("pf_c", "(n > 0)", ("n",)))
lower = IndexKey(expression="lower(code)")

# {what: (rows that are added, the step, words of the finding, or "" if there must be none)}
CASES: dict[str, tuple[str, Operation, str]] = {
    "no null": ("", not_null(), ""),
    "a null": ("(4, NULL)", not_null(), "pf_t.code must have a value: 1 row, such as id=4"),
    "no duplicate": ("", unique("code"), ""),
    "a duplicate": ("(4, 'a')", unique("code"), "unique pf_u: 2 rows, such as id=1 and id=4"),
    "nulls are distinct": ("(4, NULL), (5, NULL)", unique("code"), ""),
    "nulls are not distinct": (
        "(4, NULL), (5, NULL)",
        unique("code", nulls_not_distinct=True),
        "unique pf_u: 2 rows",
    ),
    "equal expressions": ("(4, 'A')", index(lower, columns=("code",)), "unique pf_i: 2 rows"),
    "outside of the predicate": ("(4, 'a')", index("code", predicate="(id < 3)"), ""),
    "inside of the predicate": ("(4, 'a')", index("code", predicate="(id < 9)"), "2 rows"),
    "no orphan": ("", key(), ""),
    "an orphan": ("(4, 'd', 4, 7)", key(), "foreign key pf_fk to pf_p: 1 row, such as id=4"),
    "no violation": ("", positive, ""),
    "a violation": ("(4, 'd', -4)", positive, "check pf_c: 1 row, such as id=4"),
    "no overlap": ("", overlapping, ""),
    "an overlap": (
        "(4, 'd', 4, NULL, 1, 1, '[4,6)')",
        overlapping,
        "exclusion pf_x: 2 rows, such as id=1 and id=4",
    ),
    "text to integer that is none": (
        "",
        retyped("code", "text", "integer", "code::integer"),
        "pf_t.code from text to integer: invalid input syntax",
    ),
    "text to varchar that fits": ("", retyped("code", "text", "character varying(1)"), ""),
    "text to varchar that is too short": (
        "(4, 'long'), (5, 'b   ')",
        retyped("code", "text", "character varying(1)"),
        "values too long: 1 row, such as id=4",
    ),
    "integer to smallint that fits": ("", retyped("n", "integer", "smallint"), ""),
    "integer to smallint out of range": (
        "(4, 'd', 40000)",
        retyped("n", "integer", "smallint"),
        "smallint out of range",
    ),
    "fewer digits that fit": ("", retyped("amount", "numeric(10,2)", "numeric(4,2)"), ""),
    "fewer digits": (
        "(4, 'd', 4, NULL, 1234.56)",
        retyped("amount", "numeric(10,2)", "numeric(4,2)"),
        "numeric field overflow",
    ),
    "a wider integer": ("(4, 'd', 40000)", retyped("n", "integer", "bigint"), ""),
    "a new column without a value": (
        "",
        ops.AddColumn(table=T, column=Column("need", "integer", nullable=False)),
        "pf_t.need is NOT NULL and has no value for existing rows",
    ),
    "a new column with a default": (
        "",
        ops.AddColumn(table=T, column=Column("need", "integer", nullable=False, default="0")),
        "",
    ),
    "NULLs that the step fills": (
        "(4, NULL)",
        ops.AlterColumnNullable(table=T, column="code", nullable=False, fill="''"),
        "",
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_a_step_that_would_fail_on_rows_is_blocked_and_no_other(
    connection: DatabaseWrapper, what: str
) -> None:
    rows, step, words = CASES[what]
    if rows:
        run(connection, f"INSERT INTO pf_t VALUES {rows}")
    run(connection, "ANALYZE")
    seen = found(connection, [step])
    if not words:
        assert seen == ()
        return
    (finding,) = seen
    assert words in str(finding)
    assert (finding.certain, finding.code) == (True, "will_fail_on_data")


def test_a_blocked_step_scores_95_and_is_refused_whatever_is_allowed(
    connection: DatabaseWrapper,
) -> None:
    run(connection, "INSERT INTO pf_t VALUES (4, 'a')")
    context = known(connection)
    plan = looked_at(connection, planned(context, [unique("code")]), context, Look())
    (_, step), *_ = plan.steps
    assert (step.score, step.assessment.reasons[-1]) == (95, "will_fail_on_data")
    everything = Policy(allow_destructive=True)
    (refusal,) = check(plan, everything)
    assert (refusal.gate, refusal.migration, refusal.step) == ("preflight", MIGRATION, 1)
    assert refusal.record.startswith("unique pf_u")
    assert "pf_t(code)" in str(refusal)


def test_values_are_masked_unless_they_are_asked_for(connection: DatabaseWrapper) -> None:
    run(connection, "INSERT INTO pf_t VALUES (4, 'secret', -1), (5, 'secret', -1)")
    for step in (unique("code"), positive, retyped("code", "text", "integer", "code::integer")):
        masked = " ".join(map(str, found(connection, [step])))
        assert masked
        assert not {"secret", "-1"} & set(masked.replace("=", " ").split())
    (shown,) = found(connection, [unique("code")], Look(show_values=True))
    assert "code=secret" in str(shown)


def test_at_most_five_rows_are_shown(connection: DatabaseWrapper) -> None:
    run(connection, "INSERT INTO pf_t (id) SELECT n FROM generate_series(10, 2009) AS n")
    (finding,) = found(connection, [not_null()])
    assert len(finding.samples) == 5
    assert "1,000 or more rows" in str(finding)


# --- what an earlier step does -------------------------------------------------------------------

rename_column = ops.RenameColumn(table=T, old="code", new="label")
rename_table = ops.RenameTable(old=T, new=TableName("", "pf_moved"))


def test_a_question_follows_the_table_and_the_column_through_renames(
    connection: DatabaseWrapper,
) -> None:
    run(connection, "INSERT INTO pf_t VALUES (4, NULL)")
    moved = TableName("", "pf_moved")
    step = ops.AlterColumnNullable(table=moved, column="label", nullable=False)
    (finding,) = found(connection, [rename_column, rename_table, step])
    assert "pf_moved.label must have a value: 1 row, such as id=4" in str(finding)


def test_a_new_table_of_an_old_name_is_not_the_old_one(connection: DatabaseWrapper) -> None:
    run(connection, "INSERT INTO pf_t VALUES (4, NULL)")
    new = Table(T, (Column("id", "integer"), Column("code", "text")))
    assert found(connection, [rename_table, ops.CreateTable(table=new), not_null()]) == ()


LATER: dict[str, tuple[Operation, Operation]] = {
    "a backfill": (ops.Backfill(table=T, column="code", value="''"), not_null()),
    "a new column": (ops.AddColumn(table=T, column=Column("new", "text")), not_null("new")),
    "another type": (
        retyped("n", "integer", "text", "n::text"),
        ops.AddCheck(table=T, check=Check("pf_c", "(n > '0')", ("n",))),
    ),
}


@pytest.mark.parametrize("what", LATER)
def test_what_an_earlier_step_makes_or_writes_is_left_open(
    connection: DatabaseWrapper, what: str
) -> None:
    run(connection, "INSERT INTO pf_t VALUES (4, NULL, -1)")
    (finding,) = found(connection, LATER[what])
    assert str(finding).startswith("cannot be known yet: an earlier step makes or writes pf_t.")
    assert not finding.certain


# {what: (SQL of one step, words of the finding that blocks it, or "" if nothing does)}
WRITTEN = {
    "a default that its check refuses": (
        "ALTER TABLE pf_t ADD COLUMN x integer DEFAULT -1 CHECK (x > 0)",
        "check pf_t_x_check: 3 rows, such as id=1",
    ),
    "a default that its check accepts": (
        "ALTER TABLE pf_t ADD COLUMN x integer DEFAULT 1 CHECK (x > 0)",
        "",
    ),
    "a default without a target": (
        "ALTER TABLE pf_t ADD COLUMN x integer DEFAULT 9 REFERENCES pf_p (id)",
        "foreign key x_fkey to pf_p: 3 rows",
    ),
    "a default that repeats values": (
        "ALTER TABLE pf_t ADD COLUMN x text DEFAULT 'a'; ALTER TABLE pf_t ADD UNIQUE (room, x)",
        "unique pf_t_room_x_key: 2 rows, such as room=1, x=a",
    ),
    "a default that the step replaces": (
        "ALTER TABLE pf_t ADD COLUMN x integer DEFAULT -1; UPDATE pf_t SET x = 1; "
        "ALTER TABLE pf_t ADD CHECK (x > 0)",
        "",
    ),
    "a renamed and retyped column": (
        "ALTER TABLE pf_t RENAME code TO word; "
        "ALTER TABLE pf_t ALTER word TYPE integer USING word::integer",
        "pf_t.word from text to integer: ",
    ),
    "a renamed column that is required": (
        "ALTER TABLE pf_t RENAME p_id TO place; ALTER TABLE pf_t ALTER place SET NOT NULL",
        "pf_t.place must have a value: 1 row, such as id=3",
    ),
}


def by_sql(context: Context, text: str) -> PlannedStep:
    operation = ops.RawSql(sql=text)
    read, graph = effects(text, scene(context))
    statements = operation.statements(context)
    assessment = assess(operation, context, statements)
    return PlannedStep(1, operation, assessment, statements, effects=read, graph=graph)


@pytest.mark.parametrize("what", WRITTEN)
def test_rows_are_judged_by_what_the_sql_of_one_step_gives_them(
    connection: DatabaseWrapper, what: str
) -> None:
    text, words = WRITTEN[what]
    context = known(connection)
    made = Plan("default", (PlannedMigration(Entry(MIGRATION), (by_sql(context, text),)),))
    looked = looked_at(connection, made, context, Look(show_values=True))
    certain = [str(each) for each in looked.migrations[0].steps[0].findings if each.certain]
    assert bool(certain) is bool(words)
    assert [each for each in certain if not each.startswith(words)] == []


def test_rows_that_sql_of_an_earlier_step_may_fix_do_not_block(connection: DatabaseWrapper) -> None:
    run(connection, "INSERT INTO pf_t VALUES (4, NULL)")
    for text, certain in (("UPDATE pf_t SET code = ''", False), ("UPDATE pf_p SET id = 1", True)):
        (finding,) = found(connection, [ops.RawSql(sql=text), not_null()], texts=[text])
        assert finding.certain is certain


# --- objects -------------------------------------------------------------------------------------

plain_index = ops.AddIndex(table=T, index=Index("pf_i", (IndexKey("code"),)))
NAMES: dict[str, tuple[str, Operation, str]] = {
    "a view": (
        "CREATE VIEW pf_new AS SELECT 1 AS one",
        ops.CreateTable(table=Table(TableName("", "pf_new"), (Column("id", "integer"),))),
        "view pf_new exists already",
    ),
    "another table": (
        "CREATE TABLE pf_new (id text)",
        ops.CreateTable(table=Table(TableName("", "pf_new"), (Column("id", "integer"),))),
        "table pf_new exists already",
    ),
    "a table of the new name": (
        "CREATE TABLE pf_moved (id text)",
        rename_table,
        "table pf_moved exists already",
    ),
    "a column": (
        "ALTER TABLE pf_t ADD COLUMN note integer",
        ops.AddColumn(table=T, column=Column("note", "text")),
        "column note of pf_t exists already",
    ),
    "an index elsewhere": (
        "CREATE INDEX pf_i ON pf_p (id)",
        plain_index,
        "index pf_i exists already",
    ),
    "a check": (
        "ALTER TABLE pf_t ADD CONSTRAINT pf_c CHECK (n > -5)",
        positive,
        "check constraint pf_c of pf_t exists already",
    ),
}


@pytest.mark.parametrize("what", NAMES)
def test_a_name_that_is_taken_blocks(connection: DatabaseWrapper, what: str) -> None:
    setup, step, words = NAMES[what]
    assert found(connection, [step]) == ()
    run(connection, setup)
    (finding,) = found(connection, [step])
    assert words in str(finding)
    assert (finding.certain, finding.code) == (True, "exists_already")


def test_an_invalid_index_of_an_earlier_failure_is_named(connection: DatabaseWrapper) -> None:
    run(connection, "INSERT INTO pf_t VALUES (4, 'a')")
    with pytest.raises(IntegrityError):
        run(connection, "CREATE UNIQUE INDEX CONCURRENTLY pf_i ON pf_t (code)")
    (finding,) = found(connection, [plain_index])
    assert "invalid index pf_i is left from an earlier failure" in str(finding)
    assert (finding.certain, finding.code) == (False, "invalid_leftover")


def test_what_an_earlier_step_drops_is_not_in_the_way(connection: DatabaseWrapper) -> None:
    run(connection, "CREATE INDEX pf_i ON pf_t (n)")
    drop = ops.DropIndex(table=T, index=Index("pf_i", (IndexKey("n"),)))
    assert found(connection, [drop, plain_index]) == ()


def test_a_server_without_the_files_of_an_extension_blocks(connection: DatabaseWrapper) -> None:
    (finding,) = found(connection, [ops.CreateExtension(extension=Extension("no_such"))])
    assert "the server has no files of extension no_such" in str(finding)
    assert finding.code == "missing_right"


def test_a_role_that_owns_nothing_is_named(connection: DatabaseWrapper) -> None:
    run(
        connection,
        "CREATE ROLE pf_reader; GRANT USAGE ON SCHEMA public TO pf_reader; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO pf_reader",
    )
    try:
        run(connection, "SET ROLE pf_reader")
        (finding,) = found(connection, [not_null()])
    finally:
        run(connection, "RESET ROLE; DROP OWNED BY pf_reader; DROP ROLE pf_reader")
    assert "pf_t belongs to" in str(finding)
    assert "role pf_reader is no member of it" in str(finding)
    assert finding.code == "missing_right"


# --- bounds --------------------------------------------------------------------------------------


def test_a_table_that_another_session_locks_is_named_and_not_waited_for(
    connection: DatabaseWrapper,
) -> None:
    context = known(connection)
    plan = planned(context, [not_null()])
    settings = connection.get_connection_params()
    with psycopg.connect(**{**settings, "cursor_factory": psycopg.Cursor}) as other:
        other.execute("LOCK TABLE pf_t")
        started = time.monotonic()
        seen = looked_at(connection, plan, context, Look()).migrations[0].steps[0].findings
        took = time.monotonic() - started
    assert [str(finding) for finding in seen] == [
        "pf_t.code: not looked at, another session locks the table"
    ]
    assert took < 3


def test_a_long_look_ends_with_a_sample_and_says_so(connection: DatabaseWrapper) -> None:
    slow = "(pg_sleep(0.01) IS NOT NULL) AND (n > 0)"
    run(connection, "INSERT INTO pf_t (id, n) SELECT n, n FROM generate_series(10, 300) AS n")
    step = ops.AddCheck(table=T, check=Check("pf_c", slow, ("n",)))
    started = time.monotonic()
    (finding,) = found(connection, [step], Look(each=0.2))
    assert "pf_t.pf_c: not looked at, it takes too long" in str(finding)
    assert time.monotonic() - started < 5
    assert found(connection, [not_null("n")], Look(total=0))[0].certain is False


def test_preflight_writes_nothing(connection: DatabaseWrapper) -> None:
    run(
        connection,
        "CREATE FUNCTION pf_f(integer) RETURNS integer LANGUAGE sql AS "
        "'INSERT INTO pf_p VALUES ($1 + 100) RETURNING id'",
    )
    step = retyped("n", "integer", "bigint", "pf_f(n)")
    (finding,) = found(connection, [step])
    assert "cannot execute INSERT in a read-only transaction" in str(finding)
    assert not finding.certain
