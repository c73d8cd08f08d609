"""What a case of a Django migration is, and how its operations are spelled."""

from __future__ import annotations

from dataclasses import dataclass

from tests.migration_texts import add_field, alter_field, run_sql


@dataclass(frozen=True)
class Case:
    """Operations of one migration. `reasons` name the real danger: all of them must be given;
    `never` must not. `T` in SQL is replaced by the table."""

    name: str
    operations: str
    level: str
    reasons: str = ""
    never: str = ""
    atomic: bool = True
    code: str = ""

    @property
    def app(self) -> str:
        return "_".join(self.name.replace(",", "").replace("'", "").lower().split())[:30]


def field(given: str, name: str = "more") -> str:
    return add_field("Item", name, given)


def alter(name: str, given: str) -> str:
    return alter_field("Item", name, given)


def sql(text: str, reverse: str = "''") -> str:
    return run_sql(text, reverse)


def constraint(given: str) -> str:
    return f'migrations.AddConstraint("Item", {given})'


CHECK = 'models.CheckConstraint(condition=Q(amount__gt=0), name="{app}_ck")'
BROKEN = "breaks_running_code"
