"""Texts of Django migrations that several tables of cases share: imports, fields, an operation."""

from __future__ import annotations

IMPORTS = """
import uuid

import django.contrib.postgres.constraints as exclusions
import django.contrib.postgres.fields as arrays
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.operations import *
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.deletion import CASCADE, SET_NULL
from django.db.models.functions import Lower, Now, Random
"""

ITEM_FIELDS = """
            ("id", models.AutoField(primary_key=True)),
            ("amount", models.IntegerField(null=True)),
            ("name", models.CharField(max_length=50, null=True)),
            ("rank", models.IntegerField(default=1)),
            ("price", models.DecimalField(max_digits=10, decimal_places=2, null=True)),
            ("note", models.TextField(null=True)),
            ("made", models.DateTimeField(null=True)),
            ("active", models.BooleanField(default=True)),
            ("indexed", models.CharField(max_length=50, db_index=True)),
            ("code", models.CharField(max_length=10, db_default="x")),"""


def add_field(model: str, name: str, field: str) -> str:
    return f'migrations.AddField("{model}", "{name}", {field})'


def alter_field(model: str, name: str, field: str) -> str:
    return f'migrations.AlterField("{model}", "{name}", {field})'


def run_sql(text: str, reverse: str) -> str:
    return f"migrations.RunSQL({text!r}, {reverse})"
