"""What is cut: small migrations, one for each example of each kind, and some of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from psycopg import Connection

from tests.examples import EXAMPLES, SETUP, Example, T, add
from tests.place import MORE
from zanith_django import operations as ops
from zanith_django.operations.base import Batches, Context
from zanith_django.run.work import transactions
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import Check, Column, Index, IndexKey, SchemaGraph, Unique

# The migration of a case. What it restores, it finds by its own name.
FILE = "20260101_000000_cut"

# Steps before and after each operation: were one of them done twice, a row would tell.
MARKS = "CREATE TABLE marks (step text);"
FIRST, LAST = (
    ops.RawSql(sql=f"INSERT INTO marks VALUES ('{step}')", reverse_sql="SELECT 1")
    for step in ("first", "last")
)

# Enough rows for several batches, each update of which is remembered.
MANY = """
INSERT INTO t (a, b, d) SELECT n, n::text, n FROM generate_series(6, 4000) AS n;
ALTER TABLE t ADD n integer;
CREATE TABLE written (id bigint);
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS
$$ BEGIN INSERT INTO written VALUES (NEW.id); RETURN NEW; END $$;
CREATE TRIGGER remember AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION remember();
"""


def many(kind: type[ops.Operation], rows: str = MANY, **fields: object) -> Example:
    return Example(lambda graph: kind(table=T, **fields), rows)  # type: ignore[call-arg]


# Rows that outgrow a full disk while they are filled.
LARGE = """
INSERT INTO t (a, b, d) SELECT n, repeat('x', 60), n FROM generate_series(6, 9000) AS n;
ALTER TABLE t ADD n text;
"""

# Rows whose index outgrows it as well.
WIDE = """
INSERT INTO t (a, b, d)
SELECT n, (SELECT string_agg(md5(n::text || m), '') FROM generate_series(1, 45) AS m), n
FROM generate_series(6, 2500) AS n;
"""

OWN: dict[str, Example] = {
    "backfill-batches": many(ops.Backfill, column="n", value="(a + 1)"),
    "addColumn-filled": many(
        ops.AddColumn, column=Column("u", "text", nullable=False, default="left(random()::text, 0)")
    ),
    "backfill-large": many(ops.Backfill, LARGE, column="n", value="repeat(b, 2)"),
    "addIndex-large": many(ops.AddIndex, WIDE, index=Index("t_b", (IndexKey(column="b"),))),
    "addIndex-many": many(ops.AddIndex, index=Index("t_b", (IndexKey(column="b"),))),
    "addUnique-many": many(ops.AddUnique, unique=Unique("t_bu", ("b",))),
    "addCheck-many": many(ops.AddCheck, check=Check("t_ac", "(a > 0)", ("a",))),
    "alterColumnNullable-many": many(ops.AlterColumnNullable, column="d", nullable=False),
    "rawSql-alone": add(
        ops.AddIndex, index=Index("t_lower", (IndexKey(expression="lower(b)"),), columns=("b",))
    ),
}


@dataclass(frozen=True)
class Case:
    """A database and a migration of three steps for it; `files` are migrations of Django's."""

    name: str
    example: Example
    requires: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, connection: Connection[object]) -> tuple[ops.Operation, ...]:
        """Fill an empty database; returns the operations of the migration."""
        connection.execute(f"CREATE SCHEMA {MORE}".encode())
        for text in (SETUP, MARKS, self.example.setup):
            if text:
                connection.execute(text.encode())
        operation = self.example.operation(_read(connection))
        if self.example.undone:
            run_undone(connection, operation)
        return FIRST, operation, LAST


@dataclass(frozen=True)
class Together:
    """A case: quick steps, several of which go to the server in one text."""

    name: str = "together"
    requires: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, connection: Connection[object]) -> tuple[ops.Operation, ...]:
        connection.execute((SETUP + MARKS).encode())
        columns = [Column(f"c{number}", "integer", default="1") for number in range(40)]
        return FIRST, *(ops.AddColumn(table=T, column=column) for column in columns), LAST


def _read(connection: Connection[object], schema: str = "public") -> SchemaGraph:
    return from_catalog(
        connection.cursor(), schemas=[schema, MORE, "public"], default_schema="public"
    )


def run_undone(
    connection: Connection[object], operation: ops.Operation, schema: str = "public"
) -> None:
    """An example that begins with its inverse."""
    undo = operation.inverse()
    assert undo is not None
    _run(connection, undo, schema)


def _run(connection: Connection[object], operation: ops.Operation, schema: str) -> None:
    context = Context(
        server_version=connection.info.server_version,
        graph=_read(connection, schema),
        migration_id=FILE,
    )
    for group in transactions(operation.statements(context)):
        if not group[0].transactional and not isinstance(group[0], Batches):
            connection.execute(group[0].sql.encode())
            continue
        with connection.transaction():
            for statement in group:
                connection.execute(statement.sql.encode())


def cases(version: int, wanted: str = "") -> Iterator[Case]:
    """Those whose name begins with `wanted`, that a server of this version knows; of each kind
    the first one where nothing is asked for."""
    named = dict(OWN)
    for kind, those in EXAMPLES.items():
        shown = those if wanted else those[:1]
        named |= {f"{kind}-{number}": example for number, example in enumerate(shown, 1)}
    for name, example in sorted(named.items()):
        if name.startswith(wanted) and version >= example.since:
            yield Case(name, example)
