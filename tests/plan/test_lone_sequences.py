"""Defaults that take a sequence which no column owns, named by the model itself."""

from __future__ import annotations

import pytest
from django.db import models
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.models.expressions import RawSQL

from tests.declared import Models, model, rendered, text
from zanith_django.plan.comparison import LIVE, MODELS, Sources
from zanith_django.schema.models import from_models


def meter(*, primary_key: bool) -> Models:
    number = models.IntegerField(
        db_default=RawSQL("nextval('made_numbers'::regclass)", ()),
        primary_key=primary_key,
        unique=True,
    )
    return rendered(model("Meter", number=number, label=text()))


def told(connection: DatabaseWrapper, made: Models, column: str) -> list[str]:
    key = "" if "PRIMARY" in column else "id bigserial PRIMARY KEY,"
    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE made_numbers; CREATE SEQUENCE made_others")
        cursor.execute(f"CREATE TABLE made_meter ({key} {column}, label varchar(20) NOT NULL)")
    difference = Sources(connection, from_models(connection, made)).compare(MODELS, LIVE)
    assert difference.extras == ()
    return [f"{operation.kind} {operation.target}" for operation in difference.operations]


COLUMNS = {False: "number integer NOT NULL UNIQUE", True: "number integer PRIMARY KEY"}


@pytest.mark.parametrize("primary_key", COLUMNS)
def test_a_column_with_the_sequence_that_its_model_names_has_no_difference(
    within: DatabaseWrapper, primary_key: bool
) -> None:
    column = COLUMNS[primary_key] + " DEFAULT nextval('made_numbers')"
    assert told(within, meter(primary_key=primary_key), column) == []


@pytest.mark.parametrize("primary_key", COLUMNS)
def test_another_sequence_than_the_model_names_is_a_difference(
    within: DatabaseWrapper, primary_key: bool
) -> None:
    column = COLUMNS[primary_key] + " DEFAULT nextval('made_others')"
    found = told(within, meter(primary_key=primary_key), column)
    assert found == ["alterColumnDefault made_meter.number"]
