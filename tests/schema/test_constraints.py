"""Row security and policies as values in Meta.constraints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import models
from django.db.migrations.state import ModelState
from django.db.migrations.writer import MigrationWriter
from django.db.models import F, Q
from django.db.models.lookups import GreaterThan
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from tests.declared import model, rendered
from zanith_django.constraints import Policy, RowSecurity

OWN = Policy(name="own", using=Q(a__gt=0))


def loan(*constraints: models.BaseConstraint) -> ModelState:
    return model("Loan", {"constraints": list(constraints)}, a=models.IntegerField())


@pytest.mark.parametrize(
    "constraint",
    [
        RowSecurity(),
        RowSecurity(force=True, name="loan_rows"),
        OWN,
        Policy(name="by_sql", using="a > 0", check="a > 1", roles=["clerk", "current_user"]),
        Policy(name="new", command="INSERT", check=GreaterThan(F("a"), 0), permissive=False),
    ],
    ids=lambda constraint: constraint.name,
)
def test_a_migration_file_holds_it_whole(constraint: models.BaseConstraint) -> None:
    text, imports = MigrationWriter.serialize(constraint)
    assert "import zanith_django.constraints" in imports
    space: dict[str, Any] = {}
    exec("\n".join((*imports, f"found = {text}")), space)  # what Django wrote
    assert space["found"] == constraint
    assert constraint.clone() == constraint


def test_any_other_detail_makes_another_policy() -> None:
    others: list[dict[str, Any]] = [
        {"name": "other"},
        {"using": Q(a__gt=1)},
        {"using": "a > 0"},
        {"check": Q(a__gt=0)},
        {"command": "UPDATE"},
        {"roles": ["clerk"]},
        {"permissive": False},
    ]
    given: dict[str, Any] = {"name": "own", "using": Q(a__gt=0)}
    assert Policy(**given) == OWN
    for other in others:
        assert Policy(**{**given, **other}) != OWN
    assert RowSecurity() != RowSecurity(force=True)
    assert RowSecurity() == RowSecurity(name="called_otherwise")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"command": "TRUNCATE"}, "command must be one of ALL, SELECT"),
        ({"roles": "clerk"}, "roles must be a list"),
        ({"command": "INSERT", "using": "true"}, "no row yet"),
        ({"command": "SELECT", "check": "true"}, "writes no row"),
        ({"using": F("a")}, "using must be a Q"),
        ({"check": " "}, "check must be a Q"),
    ],
)
def test_what_postgresql_has_no_form_of_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Policy(name="own", **given)


def test_system_checks_see_what_does_nothing() -> None:
    (made,) = rendered(loan(OWN, Policy(name="astray", using=Q(nowhere=1)), RowSecurity()))
    assert [found.id for found in made.check(databases=["default"])] == ["models.E012"]
    (alone,) = rendered(loan(OWN))
    (warning,) = alone.check(databases=["default"])
    assert warning.id == "zanith_django.W006"
    assert warning.hint == "Add RowSecurity() to Meta.constraints."


def test_another_database_gets_nothing(django_db_blocker: DjangoDbBlocker, tmp_path: Path) -> None:
    (made,) = rendered(loan(OWN, RowSecurity()))
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "db.sqlite3"}
    connection = ConnectionHandler({"default": sqlite})["default"]
    with django_db_blocker.unblock():
        with connection.schema_editor(collect_sql=True, atomic=False) as editor:
            editor.create_model(made)
            for constraint in made._meta.constraints:
                editor.add_constraint(made, constraint)
                editor.remove_constraint(made, constraint)
        connection.close()
    assert editor.collected_sql
    assert not [text for text in editor.collected_sql if "POLICY" in text or "ROW LEVEL" in text]
    assert [found.id for found in OWN._check(made, connection)] == ["zanith_django.W005"]


def test_validation_in_python_leaves_rows_to_postgresql() -> None:
    (made,) = rendered(loan(OWN, RowSecurity()))
    made(a=-1).full_clean()
