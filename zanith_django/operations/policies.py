"""Row security and its policies."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from zanith_django import sql
from zanith_django.locks import Lock
from zanith_django.operations.base import (
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    changed,
)
from zanith_django.operations.words import policy_facts, with_facts
from zanith_django.schema.graph import Policy, SchemaGraph, TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableRls(OnTable):
    """Turns row security on; `force` makes it hold for the table's owner too. `already` tells
    that it was on before, and that only `force` changes."""

    kind = "enableRls"
    table: TableName
    force: bool = False
    already: bool = False
    model: str = ""

    def describe(self) -> str:
        return f"enable row security on {self.table}{' for its owner too' if self.force else ''}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        force = sql.keyword("FORCE" if self.force else "NO FORCE")
        change = sql.clause("ENABLE ROW LEVEL SECURITY, {force} ROW LEVEL SECURITY", force=force)
        text = alter_table(context, self.table, "{change}", change=change)
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)

    def inverse(self) -> Operation:
        if self.already:
            return dataclasses.replace(self, force=not self.force)
        return DisableRls(table=self.table, force=self.force, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return changed(graph, self.table, row_security=True, force_row_security=self.force)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rls_change",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableRls(OnTable):
    """Turns row security off: every row can be seen again. `force` is what it was before."""

    kind = "disableRls"
    table: TableName
    force: bool = False
    model: str = ""

    def describe(self) -> str:
        return f"disable row security on {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        change = sql.keyword("DISABLE ROW LEVEL SECURITY")
        if self.force:
            change = sql.join([change, sql.keyword("NO FORCE ROW LEVEL SECURITY")])
        text = alter_table(context, self.table, "{change}", change=change)
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)

    def inverse(self) -> Operation:
        return EnableRls(table=self.table, force=self.force, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return changed(graph, self.table, row_security=False, force_row_security=False)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rls_change",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePolicy(OnTable):
    """Creates a row security policy."""

    kind = "createPolicy"
    table: TableName
    policy: Policy
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.policy.name}"

    def describe(self) -> str:
        text = f"create policy {self.policy.name} on {self.table} for {self.policy.command}"
        return with_facts(text, *policy_facts(self.policy))

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = create_policy(self.table, self.policy, context)
        made = Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))
        if not self.policy.comment:
            return (made,)
        return (made, comment_on_policy(self.table, self.policy.name, self.policy.comment, context))

    def inverse(self) -> Operation:
        return DropPolicy(table=self.table, policy=self.policy, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.with_item("policies", self.policy))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rls_change",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPolicy(OnTable):
    """Drops a row security policy."""

    kind = "dropPolicy"
    table: TableName
    policy: Policy
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.policy.name}"

    def describe(self) -> str:
        return f"drop policy {self.policy.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = sql.compose(
            "DROP POLICY {name} ON {table}",
            name=sql.ident(self.policy.name),
            table=context.table(self.table),
        )
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)

    def inverse(self) -> Operation:
        return CreatePolicy(table=self.table, policy=self.policy, model=self.model)

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        return graph.changed(self.table, lambda t: t.without_item("policies", self.policy.name))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rls_change",)


def create_policy(table: TableName, policy: Policy, context: Context) -> str:
    """The CREATE POLICY of a policy value."""
    parts = [
        sql.clause(
            "CREATE POLICY {name} ON {table} AS {mode} FOR {command} TO {roles}",
            name=sql.ident(policy.name),
            table=context.table(table),
            mode=sql.keyword("PERMISSIVE" if policy.permissive else "RESTRICTIVE"),
            command=sql.keyword(policy.command),
            roles=sql.join(_role(role) for role in policy.roles),
        )
    ]
    if policy.using:
        parts.append(sql.clause("USING ({it})", it=sql.catalog_text(policy.using)))
    if policy.check:
        parts.append(sql.clause("WITH CHECK ({it})", it=sql.catalog_text(policy.check)))
    return sql.compose("{all}", all=sql.join(parts, " "))


def _role(role: str) -> sql.Composable:
    """PUBLIC is a keyword, and so are the names of the current role."""
    if role.upper() in ("PUBLIC", "CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"):
        return sql.keyword(role.upper())
    return sql.ident(role)


def comment_on_policy(table: TableName, policy: str, comment: str, context: Context) -> Statement:
    """An empty comment removes what is there."""
    text = sql.compose(
        "COMMENT ON POLICY {name} ON {table} IS {comment}",
        name=sql.ident(policy),
        table=context.table(table),
        comment=sql.literal(comment or None),
    )
    return Statement(text, Lock.ACCESS_SHARE, (table,))
