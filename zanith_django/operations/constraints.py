"""Constraints: keys, foreign keys, checks, exclusions; added without a scan under a strong lock."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from zanith_django.operations.base import (
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    must_have,
)
from zanith_django.operations.constraint_clauses import (
    check_clause,
    constraint_comment,
    constraint_state,
    drop_constraint,
    exclusion_clause,
    rename_constraint,
    validate,
)
from zanith_django.operations.online.scaffold import drop_constraint_if_exists
from zanith_django.operations.parts import AddPart, DropPart, RenamePart
from zanith_django.operations.words import (
    check_facts,
    with_facts,
)
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Check, Exclusion, ForeignKey, SchemaGraph, Unique
from zanith_django.schema.parts import CHANGED, CHECKS, CONSTRAINTS, EXCLUSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheck(AddPart):
    """Adds a check NOT VALID, then validates it in a transaction of its own."""

    kind = "addCheck"
    adds = CHECKS
    table: TableName
    check: Check
    model: str = ""

    def describe(self) -> str:
        text = f"add check {self.check.name} on {self.table}: {self.check.expression}"
        return with_facts(text, *check_facts(self.check))

    def statements(self, context: Context) -> tuple[Statement, ...]:
        check = self.check
        comment = constraint_comment(self.table, check.name, check.comment, context)
        if check.valid and context.quiet(self.table):
            text = alter_table(context, self.table, "ADD {check}", check=check_clause(check))
            return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)), *comment)
        not_valid = sql.keyword(" NOT VALID") if check.enforced else sql.EMPTY
        text = alter_table(
            context,
            self.table,
            "ADD {check}{not_valid}",
            check=check_clause(check),
            not_valid=not_valid,
        )
        probe = constraint_state(self.table, check.name, context, validated=False)
        add = Statement(
            text,
            Lock.ACCESS_EXCLUSIVE,
            (self.table,),
            probe=probe,
            cleanup=drop_constraint_if_exists(self.table, check.name, context).sql,
            disruptive=f"check {check.name} of {self.table}",
        )
        if not check.valid:
            return (add, *comment)
        return (add, *comment, validate(self.table, check.name, context, (self.table,)))

    def retreat(self, context: Context) -> tuple[Statement, ...]:
        return (drop_constraint_if_exists(self.table, self.check.name, context),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("adds_check", "scans_table") if self.check.valid else ("adds_check",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropCheck(DropPart):
    """Drops a check."""

    kind = "dropCheck"
    drops = CHECKS
    table: TableName
    check: Check
    model: str = ""

    def describe(self) -> str:
        return f"drop check {self.check.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (drop_constraint(self.table, self.check.name, context),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddExclusion(AddPart):
    """Adds an exclusion constraint. PostgreSQL has no form of it that does not block writers."""

    kind = "addExclusion"
    adds = EXCLUSIONS
    table: TableName
    exclusion: Exclusion
    model: str = ""

    def describe(self) -> str:
        definition = self.exclusion.definition
        return f"add exclusion {self.exclusion.name} on {self.table}: {definition}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = alter_table(context, self.table, "ADD {it}", it=exclusion_clause(self.exclusion))
        comment = constraint_comment(
            self.table, self.exclusion.name, self.exclusion.comment, context
        )
        scans = not context.quiet(self.table)
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,), scans=scans), *comment)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("locks_reads",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropExclusion(DropPart):
    """Drops an exclusion constraint with its index."""

    kind = "dropExclusion"
    drops = EXCLUSIONS
    table: TableName
    exclusion: Exclusion
    model: str = ""

    def describe(self) -> str:
        return f"drop exclusion {self.exclusion.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (drop_constraint(self.table, self.exclusion.name, context),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("drops_unique_constraint",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateConstraint(OnTable):
    """Checks the rows of a foreign key or check that was added NOT VALID.

    PostgreSQL cannot revert a validation, and there is no need to: a rollback skips it, as Django's
    own ValidateConstraint does.
    """

    kind = "validateConstraint"
    table: TableName
    name: str
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.name}"

    def describe(self) -> str:
        return f"validate constraint {self.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (validate(self.table, self.name, context, (self.table,)),)

    def inverse(self) -> Operation | None:
        return None

    @property
    def passed_over(self) -> bool:
        return True

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        table = must_have(graph, self.table)
        for part in (part for part in CHANGED if part.validated):
            for item in part.of(table):
                if item.name == self.name:
                    valid = dataclasses.replace(item, valid=True)
                    return graph.with_table(table.with_item(part.field, valid))
        return graph

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("scans_table",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameConstraint(RenamePart):
    """Renames a constraint of any kind in place. At most one of `unique`, `foreign_key`, `check`
    and `exclusion` is its definition, under its old name, because it may have another name in some
    databases."""

    kind = "renameConstraint"
    renames = CONSTRAINTS
    table: TableName
    old: str
    new: str
    unique: Unique | None = None
    foreign_key: ForeignKey | None = None
    check: Check | None = None
    exclusion: Exclusion | None = None
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.old}"

    def describe(self) -> str:
        return f"rename constraint {self.old} of {self.table} to {self.new}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        return (rename_constraint(self.table, self.old, self.new, context),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ()
