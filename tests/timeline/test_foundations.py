"""Tables that need what a pending migration makes by SQL, and what the models do not declare."""

from __future__ import annotations

import pytest

from tests.project import BuildProject, Project

BEFORE = """
from django.db import models


class Thing(models.Model):
    name = models.TextField()
"""

AFTER = """
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func


class Mood(models.Field):
    def db_type(self, connection):
        return "mood"


class Thing(models.Model):
    name = models.TextField(db_collation="nat")
    mood = Mood(null=True)

    class Meta:
        indexes = [models.Index(Func(F("name"), function="fold"), name="folded")]
"""

MIGRATION = """
from django.db import migrations, models
from django.db.models import F, Func

import shop.models

MADE = '''
-- What the next operations need; one text.
DO $$ BEGIN
    CREATE TYPE mood AS ENUM ('sad', 'glad');
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
CREATE COLLATION nat (provider = libc, locale = 'C');
CREATE FUNCTION fold(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1);'
'''


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RunSQL(MADE, migrations.RunSQL.noop),
        migrations.AlterField("thing", "name", models.TextField(db_collation="nat")),
        migrations.AddField("thing", "mood", shop.models.Mood(null=True)),
        migrations.AddIndex("thing", models.Index(Func(F("name"), function="fold"), name="folded")),
    ]
"""


def a_project(project: BuildProject, models: str, settings: str = "") -> Project:
    place = 'BASE_DIR = __file__.rpartition("/")[0]\n'
    shop = project({"shop": models}, settings=place + settings)
    shop.manage("makemigrations", "shop", "-n", "initial", check=True)
    shop.manage("migrate", "-v0", check=True)
    return shop


BY_PYTHON = MIGRATION.replace(
    "migrations.RunSQL(MADE, migrations.RunSQL.noop)",
    "migrations.RunPython(lambda apps, editor: editor.execute(MADE), lambda apps, editor: None)",
)
OWN_CLASS = """
class Make(migrations.operations.base.Operation):
    def __init__(self, text):
        self.text = text

    def state_forwards(self, app_label, state):
        pass

    def database_forwards(self, app_label, editor, before, after):
        make(editor, self.text)


def make(editor, text):
    editor.execute("CREATE FUNCTION fold(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'")
    editor.execute(text)
"""
BY_OWN_CLASS = MIGRATION.replace(
    "migrations.RunSQL(MADE, migrations.RunSQL.noop)", "Make(MADE.partition('CREATE FUNC')[0])"
).replace("\n\nclass Migration", f"\n{OWN_CLASS}\n\nclass Migration")


@pytest.mark.parametrize("migration", [MIGRATION, BY_PYTHON, BY_OWN_CLASS])
def test_tables_are_read_with_what_pending_code_makes(
    project: BuildProject, migration: str
) -> None:
    shop = a_project(project, BEFORE)
    shop.write("shop/models.py", AFTER)
    shop.write("shop/migrations/0002_change.py", migration)
    shop.manage("zanith_generate", check=True)
    assert shop.sql("SELECT FROM pg_type WHERE typname = 'mood'") == []
    shop.manage("zanith_plan", "--max-risk", "100", check=True)
    shop.manage("zanith_verify", check=True)
    shop.manage("zanith_apply", "--no-input", "--max-risk", "100", check=True)
    shop.manage("zanith_diff", "models", "live", check=True)


COMPUTED = BY_PYTHON.replace(
    "execute(MADE)", "execute(f\"CREATE TYPE {editor.quote_name('mood')} AS ENUM ('sad')\")"
)


def test_what_python_computes_is_named_with_a_way_out(project: BuildProject) -> None:
    shop = a_project(project, BEFORE)
    shop.write("shop/models.py", AFTER)
    shop.write("shop/migrations/0002_change.py", COMPUTED)
    refused = shop.manage("zanith_generate")
    assert refused.returncode == 3
    assert "PostgreSQL refuses the table of shop.Thing" in refused.stderr
    assert 'set ZANITH["SCRATCH"]' in refused.stderr


def test_sql_that_failed_is_named_with_the_table_that_needs_it(project: BuildProject) -> None:
    shop = a_project(project, BEFORE)
    shop.sql("CREATE COLLATION nat (provider = libc, locale = 'C')")
    shop.write("shop/models.py", AFTER)
    shop.write("shop/migrations/0002_change.py", MIGRATION.replace("IMMUTABLE", "FOR EVER"))
    refused = shop.manage("zanith_generate").stderr.splitlines()
    assert refused[0].startswith("CommandError: PostgreSQL refuses the table of shop.Thing: ")
    assert refused[1].startswith("Failed before: CREATE FUNCTION fold(text) RETURNS text FOR EVER")
    assert refused[1].endswith(': syntax error at or near "FOR"')
    assert not refused[2].startswith("Failed before")  # what exists already stays, without a word


SEVERAL = """
from django.db import models


class Thing(models.Model):
    name = models.CharField(max_length=9)


class Log(models.Model):
    text = models.TextField()


class Other(models.Model):
    text = models.TextField()

    class Meta:
        db_table = 'audit"."other'
"""


@pytest.mark.parametrize("name", ["shop_log", "public.shop_log", '"public"."shop_log"'])
def test_an_ignored_table_is_compared_on_neither_side(project: BuildProject, name: str) -> None:
    settings = f"ZANITH = {{'IGNORE': [{name!r}, 'audit.other', 'shop_lgo']}}\n"
    shop = project(
        {"shop": SEVERAL}, settings='BASE_DIR = __file__.rpartition("/")[0]\n' + settings
    )
    shop.sql("CREATE SCHEMA audit")
    shop.manage("makemigrations", "shop", "-n", "initial", check=True)
    shop.manage("migrate", "-v0", check=True)
    shop.sql("ALTER TABLE shop_log DROP COLUMN text")
    shop.sql("DROP TABLE audit.other")
    for ends in (("models", "live"), ("live", "models")):
        shop.manage("zanith_diff", *ends, check=True)
    shop.manage("zanith_verify", check=True)
    found = shop.manage("check").stderr
    assert "names shop_lgo, which is the table of no model" in found
    assert found.count("W002") == 1


def test_a_name_in_ignore_that_no_table_can_have_is_an_error(project: BuildProject) -> None:
    shop = project({"shop": BEFORE}, settings="ZANITH = {'IGNORE': ['a.b.c']}\n")
    refused = shop.manage("check")
    assert "ZANITH['IGNORE'] names no table: 'a.b.c'" in refused.stderr


LIKE = """
from django.db import models


class Thing(models.Model):
    number = models.IntegerField()
    name = models.CharField(max_length=9, db_index=True)
"""


def test_the_two_indexes_of_a_missing_text_column_are_distinguished(project: BuildProject) -> None:
    shop = a_project(project, LIKE)
    shop.sql("ALTER TABLE shop_thing DROP COLUMN name")
    there = shop.manage("zanith_diff", "models", "live").stdout
    assert [line.split()[0] for line in there.splitlines()[1:]] == [
        "dropIndex",
        "dropIndex",
        "dropColumn",
    ]
    shop.manage("zanith_generate", "--from-diff", check=True)
    planned = shop.manage("zanith_plan", "--max-risk", "100").stdout
    assert "shop_thing(name)" in planned
    assert "shop_thing(name varchar_pattern_ops)" in planned
    shop.manage("zanith_apply", "--no-input", "--max-risk", "100", check=True)
    shop.manage("zanith_diff", "models", "live", check=True)


def test_short_timeouts_of_a_role_never_give_a_traceback(project: BuildProject) -> None:
    shop = a_project(project, BEFORE)
    name = shop.database.name
    shop.sql(f'ALTER DATABASE "{name}" SET statement_timeout = 1')
    shop.sql(f'ALTER DATABASE "{name}" SET idle_in_transaction_session_timeout = 1')
    for command in (("zanith_diff", "models", "live"), ("zanith_plan",), ("zanith_generate",)):
        done = shop.manage(*command)
        assert done.returncode in (0, 3), done.stderr
        assert "Traceback" not in done.stderr
