"""Row security and its policies."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from zanith_django.operations.answers import Piece
from zanith_django.operations.base import (
    Context,
    OnTable,
    Operation,
    Statement,
    alter_table,
    changed,
)
from zanith_django.operations.parts import AddPart, DropPart
from zanith_django.operations.words import policy_facts, with_facts
from zanith_django.postgres import sql
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Policy, SchemaGraph
from zanith_django.schema.parts import POLICIES


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableRls(OnTable):
    """Turns row security on; `force` makes it hold for the table's owner too. With `already`, it
    was on before, and only `force` changes."""

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
class CreatePolicy(AddPart):
    """Creates a row security policy."""

    kind = "createPolicy"
    adds = POLICIES
    table: TableName
    policy: Policy
    model: str = ""

    def describe(self) -> str:
        text = f"create policy {self.policy.name} on {self.table} for {self.policy.command}"
        return with_facts(text, *policy_facts(self.policy))

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = create_policy(self.table, self.policy, context)
        made = Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,))
        if not self.policy.comment:
            return (made,)
        return (made, comment_on_policy(self.table, self.policy.name, self.policy.comment, context))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rls_change",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPolicy(DropPart):
    """Drops a row security policy."""

    kind = "dropPolicy"
    drops = POLICIES
    table: TableName
    policy: Policy
    model: str = ""

    def describe(self) -> str:
        return f"drop policy {self.policy.name} of {self.table}"

    def statements(self, context: Context) -> tuple[Statement, ...]:
        text = sql.compose(
            "DROP POLICY {name} ON {table}",
            name=sql.ident(self.policy.name),
            table=context.table(self.table),
        )
        return (Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)),)

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rls_change",)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterPolicy(OnTable):
    """Replaces a policy by another, with no moment in which neither applies.

    PostgreSQL alters roles, expressions and the name in place. For another command, another mode
    or a removed expression the policy is recreated in the same transaction.
    """

    kind = "alterPolicy"
    table: TableName
    old: Policy
    new: Policy
    model: str = ""

    @property
    def target(self) -> str:
        return f"{self.table}.{self.old.name}"

    def describe(self) -> str:
        text = f"change policy {self.old.name} of {self.table}"
        if self.new.name != self.old.name:
            text += f" to {self.new.name}"
        return with_facts(f"{text} for {self.new.command}", *policy_facts(self.new))

    def statements(self, context: Context) -> tuple[Statement, ...]:
        if self._in_place:
            made, comment = list(self._alter(context)), self.old.comment
        else:
            drop = DropPolicy(table=self.table, policy=self.old)
            create = create_policy(self.table, self.new, context)
            made, comment = [drop.statements(context)[0].sql, create], ""
        locked = [Statement(text, Lock.ACCESS_EXCLUSIVE, (self.table,)) for text in made]
        if comment != self.new.comment:
            named = (self.table, self.new.name, self.new.comment)
            locked.append(comment_on_policy(*named, context))
        return tuple(locked)

    @property
    def _in_place(self) -> bool:
        old, new = self.old, self.new
        same = (old.command, old.permissive) == (new.command, new.permissive)
        return same and bool(new.using or not old.using) and bool(new.check or not old.check)

    def _alter(self, context: Context) -> Iterator[str]:
        old, new = self.old, self.new
        if old.name != new.name:
            yield sql.compose(
                "ALTER POLICY {old} ON {table} RENAME TO {new}",
                old=sql.ident(old.name),
                table=context.table(self.table),
                new=sql.ident(new.name),
            )
        if (old.roles, old.using, old.check) != (new.roles, new.using, new.check):
            head = sql.clause(
                "ALTER POLICY {name} ON {table} TO {roles}",
                name=sql.ident(new.name),
                table=context.table(self.table),
                roles=sql.join(map(_role, new.roles)),
            )
            yield sql.compose("{all}", all=sql.join([head, *_expressions(new)], " "))

    def inverse(self) -> Operation:
        return AlterPolicy(table=self.table, old=self.new, new=self.old, model=self.model)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The new policy, if it has another name."""
        renamed = self.old.name != self.new.name
        return (Piece(self.table, POLICIES, self.new),) if renamed else ()

    def apply_to(self, graph: SchemaGraph) -> SchemaGraph:
        old = self.old.name
        return graph.changed(self.table, lambda t: t.with_item("policies", self.new, old))

    def reasons(self, context: Context) -> tuple[str, ...]:
        return ("rls_change",)


PolicyPairs = tuple[tuple[Policy, Policy], ...]
"""Pairs of a current and a wanted policy."""


def exchanged(found: Iterable[Policy], pairs: PolicyPairs) -> PolicyPairs:
    """All policies to recreate: the found ones unchanged, except those of `pairs`."""
    same = {policy.name: (policy, policy) for policy in found}
    return tuple({**same, **{old.name: (old, new) for old, new in pairs}}.values())


def create_policy(table: TableName, policy: Policy, context: Context) -> str:
    """The CREATE POLICY of a policy value."""
    head = sql.clause(
        "CREATE POLICY {name} ON {table} AS {mode} FOR {command} TO {roles}",
        name=sql.ident(policy.name),
        table=context.table(table),
        mode=sql.keyword("PERMISSIVE" if policy.permissive else "RESTRICTIVE"),
        command=sql.keyword(policy.command),
        roles=sql.join(map(_role, policy.roles)),
    )
    return sql.compose("{all}", all=sql.join([head, *_expressions(policy)], " "))


def _expressions(policy: Policy) -> Iterator[sql.Fragment]:
    if policy.using:
        yield sql.clause("USING ({it})", it=sql.catalog_text(policy.using))
    if policy.check:
        yield sql.clause("WITH CHECK ({it})", it=sql.catalog_text(policy.check))


def _role(role: str) -> sql.Fragment:
    """PUBLIC is a keyword, and so are the names of the current role."""
    if role.upper() in ("PUBLIC", "CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"):
        return sql.keyword(role.upper())
    return sql.ident(role)


def comment_on_policy(table: TableName, policy: str, comment: str, context: Context) -> Statement:
    """An empty comment removes the existing one."""
    text = sql.compose(
        "COMMENT ON POLICY {name} ON {table} IS {comment}",
        name=sql.ident(policy),
        table=context.table(table),
        comment=sql.literal(comment or None),
    )
    return Statement(text, Lock.ACCESS_SHARE, (table,))
