"""Objects of a table that no model declares: triggers, rules, statistics, dependents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from zanith_django.postgres.names import TableName


@final
@dataclass(frozen=True, slots=True)
class Trigger:
    """A user's trigger; `definition` as pg_get_triggerdef prints it. Read, never made.

    `enabled` is "", "disabled", "replica" or "always".
    """

    name: str
    definition: str
    enabled: str = ""


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """A rule on a table; `definition` as pg_get_ruledef prints it. Read, never made."""

    name: str
    definition: str
    enabled: str = ""


@final
@dataclass(frozen=True, slots=True)
class Statistics:
    """Extended statistics; `definition` as PostgreSQL prints it. Read, never made."""

    name: str
    definition: str


@final
@dataclass(frozen=True, slots=True)
class Dependent:
    """An object that depends on a table and that no model declares. Read for a plan, never stored.

    `kind` and `name` are words for people: "view", "public.v". `via` is how it depends: "" it
    reads `columns` or the table; "row" whole rows or the row type; "key" it needs the constraint
    `through`; "sequence" the sequence of a column; "text" and "trigger" a function names the table
    or its columns in a text that PostgreSQL does not look into; "heir", "parent" and "typed" are
    inheritance; "published" (with "schema published" and "all published") and "subscribed" are
    logical replication. `through` of a policy, and of a trigger on whole rows, is its own name.
    `own` is on the table itself. `holder` is the table of the graph that has it. `more` depends
    on it in turn.
    """

    kind: str
    name: str
    via: str = ""
    through: str = ""
    columns: tuple[str, ...] = ()
    own: bool = False
    holder: TableName | None = None
    more: tuple[str, ...] = ()
