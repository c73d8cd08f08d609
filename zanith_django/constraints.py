"""Row security and its policies as constraints of a model: for `Meta.constraints`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core import checks
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement, Table
from django.db.models import BaseConstraint, Model, Q
from django.db.models.expressions import Expression
from django.db.models.sql.query import Query

__all__ = ["Policy", "RowSecurity"]

COMMANDS = ("ALL", "SELECT", "INSERT", "UPDATE", "DELETE")

Condition = str | Q | Expression

# Words that PostgreSQL reads as keywords and not as names of roles.
_ROLE_WORDS = ("public", "current_role", "current_user", "session_user")


class _Rule(BaseConstraint):
    """The base of both: SQL after the table is created, and no validation in Python.
    `violation_error_…` have no effect: PostgreSQL hides rows or refuses a write by itself.
    """

    def create_sql(
        self, model: type[Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> Any:
        raise NotImplementedError

    def constraint_sql(
        self, model: type[Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> Any:
        """No SQL within CREATE TABLE, but a statement after it, as for foreign keys."""
        assert schema_editor is not None
        statement = self.create_sql(model, schema_editor)
        if statement is not None:
            schema_editor.deferred_sql.append(statement)
        return None

    def validate(
        self, model: Any, instance: Any, exclude: Any = None, using: str = DEFAULT_DB_ALIAS
    ) -> None:
        """Validates nothing: only PostgreSQL knows the role."""

    # Django 5.2 calls it `_check`, later versions call it `check`.
    def _check(self, model: type[Model], connection: Any) -> list[checks.CheckMessage]:
        if connection.vendor == "postgresql":
            return self.problems(model)
        return [
            checks.Warning(
                f"{connection.display_name} has no row security.",
                hint="Nothing is created there.",
                obj=model,
                id="zanith_django.W005",
            )
        ]

    check: Any = _check

    def problems(self, model: type[Model]) -> list[checks.CheckMessage]:
        return []


class RowSecurity(_Rule):
    """Turns row security on: a row is visible, and writable, only if a `Policy` allows it.

    `force` makes it hold for the owner of the table too; superusers always see everything. The
    name is Django's alone, PostgreSQL has none for it: two that differ in it alone are equal.
    """

    def __init__(
        self, *, force: bool = False, name: str = "%(app_label)s_%(class)s_row_security"
    ) -> None:
        self.force = force
        super().__init__(name=name)

    def create_sql(
        self, model: type[Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> Any:
        force = "FORCE" if self.force else "NO FORCE"
        return _statement(
            f"ALTER TABLE %(table)s ENABLE ROW LEVEL SECURITY, {force} ROW LEVEL SECURITY",
            model,
            schema_editor,
        )

    def remove_sql(
        self, model: type[Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> Any:
        return _statement(
            "ALTER TABLE %(table)s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
            model,
            schema_editor,
        )

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        if self.force:
            kwargs["force"] = True
        return path, args, kwargs

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RowSecurity):
            return self.force == other.force
        return NotImplemented

    def __repr__(self) -> str:
        return f"<RowSecurity: name={self.name!r}{' force=True' if self.force else ''}>"


class Policy(_Rule):
    """Which rows a role may see (`using`) and write (`check`), for one command or for ALL.

    Both are a `Q` or another boolean expression on fields of the model, or SQL as text. A row needs
    one permissive policy that allows it and every restrictive one (`permissive=False`). As with
    any constraint, the name is unique in the project; it may contain
    `%(app_label)s` and `%(class)s`. Raises `ValueError` for what PostgreSQL has no form of.
    """

    def __init__(
        self,
        *,
        name: str,
        command: str = "ALL",
        roles: Sequence[str] = ("public",),
        using: Condition | None = None,
        check: Condition | None = None,
        permissive: bool = True,
    ) -> None:
        if command not in COMMANDS:
            raise ValueError(f"Policy.command must be one of {', '.join(COMMANDS)}: {command!r}")
        if isinstance(roles, str) or not all(isinstance(role, str) for role in roles):
            raise ValueError(f"Policy.roles must be a list of names: {roles!r}")
        if command == "INSERT" and using is not None:
            raise ValueError("A policy for INSERT has no `using`: there is no row yet.")
        if command in ("SELECT", "DELETE") and check is not None:
            raise ValueError(f"A policy for {command} has no `check`: it writes no row.")
        self.command, self.permissive = command, permissive
        self.roles = tuple(dict.fromkeys(roles)) or ("public",)
        self.using = _condition("using", using)
        # `check` itself is the name of a method in Django.
        self.with_check = _condition("check", check)
        super().__init__(name=name)

    def create_sql(
        self, model: type[Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> Any:
        assert model is not None
        assert schema_editor is not None
        parts = {
            "name": schema_editor.quote_name(self.name),
            "mode": "PERMISSIVE" if self.permissive else "RESTRICTIVE",
            "command": self.command,
            "roles": ", ".join(_role(role, schema_editor) for role in self.roles),
        }
        template = "CREATE POLICY %(name)s ON %(table)s AS %(mode)s FOR %(command)s TO %(roles)s"
        if self.using is not None:
            template += " USING (%(using)s)"
            parts["using"] = _sql(self.using, model, schema_editor)
        if self.with_check is not None:
            template += " WITH CHECK (%(check)s)"
            parts["check"] = _sql(self.with_check, model, schema_editor)
        return _statement(template, model, schema_editor, **parts)

    def remove_sql(
        self, model: type[Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> Any:
        assert schema_editor is not None
        name = schema_editor.quote_name(self.name)
        return _statement("DROP POLICY %(name)s ON %(table)s", model, schema_editor, name=name)

    def problems(self, model: type[Model]) -> list[checks.CheckMessage]:
        found: list[checks.CheckMessage] = []
        for condition in (self.using, self.with_check):
            if isinstance(condition, Q):
                references = set(model._get_expr_references(condition))  # type: ignore[attr-defined]  # no stub
                found += self._check_references(model, references)  # type: ignore[attr-defined]  # no stub
        if not any(isinstance(item, RowSecurity) for item in model._meta.constraints):
            found.append(
                checks.Warning(
                    f"Policy {self.name!r} does nothing without row security.",
                    hint="Add RowSecurity() to Meta.constraints.",
                    obj=model,
                    id="zanith_django.W006",
                )
            )
        return found

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        given = {
            "command": (self.command, "ALL"),
            "roles": (self.roles, ("public",)),
            "using": (self.using, None),
            "check": (self.with_check, None),
            "permissive": (self.permissive, True),
        }
        kwargs |= {key: value for key, (value, usual) in given.items() if value != usual}
        return path, args, kwargs

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Policy):
            return bool(self.deconstruct() == other.deconstruct())
        return NotImplemented

    def __repr__(self) -> str:
        _, _, kwargs = self.deconstruct()
        return f"<Policy: {' '.join(f'{key}={value!r}' for key, value in kwargs.items())}>"


def _condition(what: str, condition: Condition | None) -> Condition | None:
    if isinstance(condition, str) and condition.strip():
        return condition
    if condition is None or getattr(condition, "conditional", False):
        return condition
    raise ValueError(f"Policy.{what} must be a Q, a boolean expression or SQL: {condition!r}")


def _statement(
    template: str,
    model: type[Model] | None,
    schema_editor: BaseDatabaseSchemaEditor | None,
    **parts: str,
) -> Statement | None:
    """A statement of Django's own kind, which follows the table when that is renamed before the
    statement runs; None if the database is no PostgreSQL."""
    assert model is not None
    assert schema_editor is not None
    if schema_editor.connection.vendor != "postgresql":
        return None
    table = Table(model._meta.db_table, schema_editor.quote_name)
    return Statement(template, table=table, **parts)


def _sql(condition: Condition, model: type[Model], schema_editor: BaseDatabaseSchemaEditor) -> str:
    """The condition as SQL with its values in place, as CheckConstraint writes its own."""
    if isinstance(condition, str):
        return condition
    connection: Any = schema_editor.connection
    query = Query(model=model, alias_cols=False)
    where = query.build_where(condition)
    text, parameters = where.as_sql(query.get_compiler(connection=connection), connection)
    return str(text % tuple(schema_editor.quote_value(value) for value in parameters))


def _role(role: str, schema_editor: BaseDatabaseSchemaEditor) -> str:
    if role.lower() in _ROLE_WORDS:
        return role.upper()
    return schema_editor.quote_name(role)
