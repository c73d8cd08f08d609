"""SET NOT NULL in stages, so that readers and writers do not wait for the scan of the rows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from zanith_django.operations.base import Context, Statement, alter_table, own_name
from zanith_django.operations.constraint_clauses import constraint_state, drop_constraint, validate
from zanith_django.operations.online.scaffold import drop_constraint_if_exists
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.object_names import make_object_name


def set_not_null(table: TableName, column: str, context: Context) -> list[Statement]:
    """SET NOT NULL without a scan under the exclusive lock."""
    steps = NotNull.of(table, column, context)
    return [*steps.claim, *steps.check, *steps.end]


@dataclass(frozen=True, slots=True)
class NotNull:
    """The three stages of SET NOT NULL: add the constraint, validate the rows, finish.

    A validated check proves it (PostgreSQL 12), or the constraint itself is added NOT VALID and
    validated (PostgreSQL 18). https://www.postgresql.org/docs/18/sql-altertable.html
    """

    claim: tuple[Statement, ...] = ()
    check: tuple[Statement, ...] = ()
    end: tuple[Statement, ...] = ()

    @classmethod
    def of(cls, table: TableName, column: str, context: Context) -> NotNull:
        name = sql.ident(column)
        text = alter_table(context, table, "ALTER COLUMN {column} SET NOT NULL", column=name)
        set_it = Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))
        if context.quiet(table):
            return cls(end=(set_it,))
        if context.server_version >= 180000:
            native = make_object_name(table.name, column, "not_null")
            return cls.claimed(table, native, sql.clause("NOT NULL {column}", column=name), context)
        proof = own_name("not_null", f"{table}.{column}not null")
        check = sql.clause("CHECK ({column} IS NOT NULL)", column=name)
        proved = cls.claimed(table, proof, check, context, ours=True)
        end = (dataclasses.replace(set_it, separate=True), drop_constraint(table, proof, context))
        return dataclasses.replace(proved, end=end)

    @classmethod
    def claimed(
        cls,
        table: TableName,
        name: str,
        constraint: sql.Fragment,
        context: Context,
        *,
        ours: bool = False,
    ) -> NotNull:
        """The first stage. With `ours`, the constraint is a proof that is dropped at the end of the
        step."""
        text = alter_table(
            context,
            table,
            "ADD CONSTRAINT {name} {constraint} NOT VALID",
            name=sql.ident(name),
            constraint=constraint,
        )
        probe = constraint_state(table, name, context, validated=False)
        claim = Statement(
            text,
            Lock.ACCESS_EXCLUSIVE,
            (table,),
            probe=probe,
            cleanup=drop_constraint_if_exists(table, name, context).sql,
            disruptive=f"constraint {name} of {table}",
            makes=(name,) if ours else (),
        )
        return cls((claim,), (validate(table, name, context, (table,)),))
