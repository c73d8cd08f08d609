"""Row security of models: made by Django's own schema editor, read back, obeyed by PostgreSQL."""

from __future__ import annotations

import dataclasses

import pytest
from django.db import ProgrammingError, models
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.models import Q
from django.db.transaction import atomic

from tests.declared import django_connection, model, rendered, within
from tests.graphs import differences
from zanith_django.constraints import Policy, RowSecurity
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.models import Declared, from_models

__all__ = ["django_connection", "within"]

CONSTRAINTS: list[models.BaseConstraint] = [
    RowSecurity(force=True),
    Policy(name="own", using=Q(owner__startswith="a") | Q(shared=True), check=Q(shared=False)),
    Policy(name="hour", command="SELECT", roles=["pg_monitor"], using="size < 100"),
    Policy(name="limit", command="INSERT", check="size % 2 = 0", permissive=False),
]


def note(*constraints: models.BaseConstraint) -> type[models.Model]:
    (made,) = rendered(
        model(
            "Note",
            {"constraints": list(constraints)},
            owner=models.TextField(),
            shared=models.BooleanField(db_default=False),
            size=models.IntegerField(),
        )
    )
    return made


def live(connection: DatabaseWrapper, declared: Declared) -> SchemaGraph:
    with connection.cursor() as cursor:
        found = from_catalog(cursor).only(declared.graph.table_names)
    return dataclasses.replace(found, extensions=())


@pytest.fixture
def declared(within: DatabaseWrapper) -> Declared:
    return from_models(within, [note(*CONSTRAINTS)])


def test_what_django_makes_is_what_is_declared(within: DatabaseWrapper, declared: Declared) -> None:
    with within.schema_editor() as editor:
        editor.create_model(note(*CONSTRAINTS))
    assert differences(live(within, declared), declared.graph) == []
    (table,) = declared.graph.tables
    assert (table.row_security, table.force_row_security) == (True, True)
    assert {(p.name, p.command, p.roles, p.permissive) for p in table.policies} == {
        ("own", "ALL", ("public",), True),
        ("hour", "SELECT", ("pg_monitor",), True),
        ("limit", "INSERT", ("public",), False),
    }


def test_added_and_removed_one_by_one(within: DatabaseWrapper, declared: Declared) -> None:
    made = note(*CONSTRAINTS)
    plain = from_models(within, [note()])
    with within.schema_editor() as editor:
        editor.create_model(note())
        for constraint in made._meta.constraints:
            editor.add_constraint(made, constraint)
    assert differences(live(within, declared), declared.graph) == []
    with within.schema_editor() as editor:
        for constraint in made._meta.constraints:
            editor.remove_constraint(made, constraint)
    assert differences(live(within, plain), plain.graph) == []


def test_a_table_renamed_before_the_policy_is_made_takes_it_along(within: DatabaseWrapper) -> None:
    made = note(*CONSTRAINTS)
    with within.schema_editor() as editor:
        editor.create_model(made)
        editor.alter_db_table(made, "made_note", "made_letter")
    with within.cursor() as cursor:
        found = from_catalog(cursor).table("made_letter")
    assert found is not None
    assert found.row_security
    assert len(found.policies) == 3


def test_rows_are_hidden_and_writes_refused(within: DatabaseWrapper) -> None:
    with within.schema_editor() as editor:
        editor.create_model(note(*CONSTRAINTS))
    with within.cursor() as cursor:
        cursor.execute("GRANT SELECT, INSERT ON made_note TO pg_monitor")
        cursor.execute(
            "INSERT INTO made_note (owner, shared, size) "
            "VALUES ('ann', false, 200), ('bob', false, 200), ('cid', true, 200), ('dan', false, 2)"
        )
        cursor.execute("SET LOCAL ROLE pg_monitor")
        cursor.execute("SELECT owner FROM made_note ORDER BY owner")
        assert cursor.fetchall() == [("ann",), ("cid",), ("dan",)]
        cursor.execute("INSERT INTO made_note (owner, shared, size) VALUES ('eve', false, 4)")
        for shared, size in (("true", 4), ("false", 5)):
            with pytest.raises(ProgrammingError, match="row-level security"), atomic("shared"):
                cursor.execute(
                    f"INSERT INTO made_note (owner, shared, size) VALUES ('fay', {shared}, {size})"
                )
