"""Names, comments and values that look like SQL, through the whole life of a table."""

from __future__ import annotations

import json

import pytest

from tests.copies import Copy
from tests.project import Project
from tests.releases import Releases

# Django writes a name between quotes as it is, so none has a double quote.
NAMES = {"injection": "x; DROP TABLE victim; --"}
VALUE = "'); DROP TABLE victim; -- $zanith$ \\ {0} \" \n ☃"

BASE = """
from django.db import models


class Other(models.Model):
    pass
"""
THING = """

class Thing(models.Model):
    {first}

    class Meta:
        db_table = {table!r}
        db_table_comment = {comment!r}
"""
FIELD = (
    "value = models.TextField(default={value!r}, db_default={value!r}, db_index=True, "
    "db_column={column!r}, db_comment={value!r})"
)
PLAIN = "kept = models.IntegerField(null=True)"
ANY = ("--allow-destructive", "--max-risk", "100")


def with_a_victim(releases: Releases) -> None:
    releases.start(BASE)
    releases.project.sql("CREATE TABLE victim ()")


def release(project: Project, models: str) -> None:
    """From the models to the database, by every command on the way."""
    project.write("people/models.py", models)
    project.manage("zanith_generate", check=True)
    for form in ("text", "json", "sql"):
        project.manage("zanith_plan", *ANY, "--format", form, check=True)
    verified = project.manage("zanith_verify", "--format", "json", check=True)
    assert json.loads(verified.stdout)["verdict"] == "ok"
    project.manage("zanith_apply", *ANY, check=True)
    same = project.manage("zanith_diff", "models", "live", "--format", "json", check=True)
    assert json.loads(same.stdout)["operations"] == []


def artifacts(project: Project) -> list[str]:
    listed = project.manage("zanith_recover", "list", "--format", "json", check=True)
    return [row["id"] for row in json.loads(listed.stdout)]


@pytest.mark.parametrize("name", NAMES)
def test_what_looks_like_sql_is_a_name_or_a_value(copy_of: Copy, name: str) -> None:
    project = copy_of(with_a_victim).project
    hostile = {"table": NAMES[name], "comment": VALUE}
    field = FIELD.format(value=VALUE, column=f"{NAMES[name][:28]}c")
    quoted = project.sql(
        "SELECT quote_ident(%s), quote_ident(%s)", NAMES[name], f"{NAMES[name][:28]}c"
    )
    ((table, column),) = quoted

    release(project, BASE + THING.format(first=PLAIN, **hostile))
    project.sql(
        f"INSERT INTO {table} (kept) VALUES (7)",
    )
    release(project, BASE + THING.format(first=f"{PLAIN}\n    {field}", **hostile))
    values = f"SELECT {column} FROM {table}"
    assert project.sql(values) == [(VALUE,)]

    release(project, BASE + THING.format(first=PLAIN, **hostile))
    (kept,) = artifacts(project)
    exported = project.manage("zanith_recover", "export", kept, "--format", "json", check=True)
    assert VALUE in json.loads(exported.stdout)[0].values()
    project.manage("zanith_recover", "restore-column", kept, check=True)
    assert project.sql(values) == [(VALUE,)]
    project.manage("zanith_rollback", "--steps", "1", "--no-input", check=True)
    assert project.sql(values) == [(VALUE,)]

    project.manage("zanith_apply", *ANY, check=True)
    release(project, BASE)
    newest = artifacts(project)[0]
    project.manage("zanith_recover", "inspect", newest, check=True)
    project.manage("zanith_recover", "restore-table", newest, check=True)
    assert project.sql(f"SELECT kept FROM {table}") == [(7,)]
    project.manage("zanith_recover", "purge", "--all", "--yes")
    project.sql("TABLE victim")
