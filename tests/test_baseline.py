"""zanith_baseline: databases of any past are adopted, and a file that is gone has a way out."""

from __future__ import annotations

import pytest

from tests.copies import Copy
from tests.project import SETTINGS, Project
from tests.releases import Releases
from zanith_django.postgres.run_lock import CLASS_ID, OBJECT_ID

BOOK = """
from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=20)
"""
PAGES = BOOK + "    pages = models.IntegerField(null=True)\n"
SHELF = PAGES + "    shelf = models.IntegerField(null=True, db_index=True)\n"
AUTHOR = "\n\nclass Author(models.Model):\n    name = models.TextField()\n"
THICK = """
    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pages__gt=0), name="thick")]
"""

RECORD = "SELECT name FROM django_migrations WHERE app = %s ORDER BY id"
BASELINES = "SELECT migration_id, phase FROM _zanith_schema_snapshots WHERE phase = 'baseline'"


def a_past(releases: Releases) -> None:
    """Three migrations of the app `shop`, of which Django has run the first two; one waits."""
    project = releases.project
    project.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    project.add_app("shop", "")
    for name, models in (("book", BOOK), ("pages", PAGES), ("shelf", SHELF)):
        project.write("shop/models.py", models)
        project.manage("makemigrations", "shop", "-n", name, "-v0", check=True)
    project.manage("migrate", "shop", "0002", "-v0", check=True)


REFUSING = """\
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION 'not today';
END $$;
CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
EXECUTE FUNCTION refuse()"""


@pytest.fixture
def shop(copy_of: Copy) -> Project:
    return copy_of(a_past).project


def recorded(shop: Project, label: str = "shop") -> list[str]:
    return [name for (name,) in shop.sql(RECORD, label)]


def test_a_database_that_django_made_is_adopted_once(shop: Project) -> None:
    said = shop.manage("zanith_baseline", check=True).stdout

    assert "written: shop/zanith_migrations/__init__.py" in said
    init = (shop.root / "shop/zanith_migrations/__init__.py").read_text()
    assert 'covered_after = "0002_pages"' in init
    assert shop.sql(BASELINES) == [("baseline", "baseline")]
    again = shop.manage("zanith_baseline", check=True).stdout
    assert again == "Nothing to do: the database is adopted already.\n"

    shop.manage("zanith_generate", check=True)
    assert len(list((shop.root / "shop/zanith_migrations").glob("*_shelf.py"))) == 1
    shop.manage("zanith_apply", check=True)
    shop.manage("migrate", "--check", check=True)
    shop.manage("zanith_diff", "baseline:baseline", "models")


def test_tables_that_django_never_made_are_found_in_its_migrations(shop: Project) -> None:
    shop.sql("DROP TABLE django_migrations")

    dry = shop.manage("zanith_baseline", "--dry-run", check=True).stdout
    assert "would be recorded as applied: shop.0002_pages" in dry
    assert shop.sql("SELECT to_regclass('django_migrations')") == [(None,)]

    shop.manage("zanith_baseline", check=True)

    assert recorded(shop) == ["0001_book", "0002_pages"]
    shop.manage("zanith_apply", check=True)
    assert recorded(shop) == ["0001_book", "0002_pages", "0003_shelf"]
    shop.manage("zanith_diff", "models", "live", check=True)


def test_what_a_migration_takes_away_and_is_still_there_is_not_recorded(shop: Project) -> None:
    for name, models in (
        ("more", SHELF + THICK + AUTHOR),
        ("no_author", SHELF + THICK),
        ("no_thick", SHELF),
        ("no_index", SHELF.replace(", db_index=True", "")),
        ("no_shelf", PAGES),
    ):
        shop.write("shop/models.py", models)
        shop.manage("makemigrations", "shop", "-n", name, "-v0", check=True)

    for last in ("0004_more", "0005_no_author", "0006_no_thick", "0007_no_index", "0008_no_shelf"):
        shop.manage("migrate", "shop", last, "-v0", check=True)
        shop.sql("DROP TABLE django_migrations")
        shop.manage("zanith_baseline", "--no-files", check=True)
        assert recorded(shop)[-1] == last


MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = {dependencies}
    operations = [{operation}]
"""
MAKE = 'migrations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True))]{options})'
MADE = MAKE.format(options="")


@pytest.mark.parametrize(
    ("operations", "table"),
    [
        ([MADE, 'migrations.RenameModel("Thing", "Item")'], "store_item"),
        ([MADE, 'migrations.AlterModelTable("Thing", "item")'], "item"),
        ([MAKE.format(options=""", {"db_table": 'Inv"."Item'}""")], '"Inv"."Item"'),
        ([f"migrations.SeparateDatabaseAndState(database_operations=[{MADE}])"], "store_thing"),
    ],
    ids=["a new name", "a new table name", "another schema", "apart from the state"],
)
def test_a_table_is_found_however_a_migration_made_it(
    shop: Project, operations: list[str], table: str
) -> None:
    shop.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop", "store"]))
    shop.add_app("store", "")
    names: list[str] = []
    for operation in operations:
        dependencies = [("store", name) for name in names[-1:]]
        names.append(f"{len(names) + 1:04d}_it")
        text = MIGRATION.format(dependencies=dependencies, operation=operation)
        shop.write(f"store/migrations/{names[-1]}.py", text)
    shop.sql('CREATE SCHEMA "Inv"')
    shop.sql(f"CREATE TABLE {table} (id bigint PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY)")

    shop.manage("zanith_baseline", "--no-files", check=True)

    assert recorded(shop, "store") == names


def test_tables_that_fit_no_state_are_refused_without_at(shop: Project) -> None:
    shop.sql("DELETE FROM django_migrations")
    shop.sql("ALTER TABLE shop_book ALTER title TYPE varchar(30), DROP pages")

    refused = shop.manage("zanith_baseline")

    assert refused.returncode == 1
    assert "The nearest is shop.0001_book, which would need:" in refused.stderr
    assert "zanith_baseline --at shop.0001_book" in refused.stderr
    assert recorded(shop) == []
    shop.manage("zanith_baseline", "--at", "shop.0001_book", check=True)
    assert recorded(shop) == ["0001_book"]


def test_a_migration_whose_dependency_is_pending_has_not_run(shop: Project) -> None:
    shop.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop", "store"]))
    shop.add_app("store", "")
    shop.write("store/migrations/0001_it.py", MIGRATION.format(dependencies=[], operation=MADE))
    later = MIGRATION.format(
        dependencies=[("store", "0001_it"), ("shop", "0003_shelf")],
        operation='migrations.RunSQL("SELECT 1")',
    )
    shop.write("store/migrations/0002_later.py", later)
    shop.manage("migrate", "store", "0001", "-v0", check=True)
    shop.sql("DROP TABLE django_migrations")

    shop.manage("zanith_baseline", "--no-files", check=True)

    assert recorded(shop, "store") == ["0001_it"]


def test_a_data_step_that_no_table_proves_is_reported(shop: Project) -> None:
    sql = 'migrations.RunSQL("SELECT 1")'
    index = 'migrations.AddIndex("book", models.Index(fields=["pages"], name="by_pages"))'
    names = ["0003_shelf", "0004_fill", "0005_index", "0006_fill", "0007_fill"]
    for before, name, operation in zip(names, names[1:], (sql, index, sql, sql), strict=False):
        text = MIGRATION.format(dependencies=[("shop", before)], operation=operation)
        shop.write(f"shop/migrations/{name}.py", text)
    shop.manage("migrate", "shop", "-v0", check=True)
    shop.sql("DROP TABLE django_migrations")

    said = shop.manage("zanith_baseline", "--dry-run", check=True).stdout
    assert [line for line in said.splitlines() if "cannot be seen" in line] == [
        "cannot be seen in the schema: the SQL or Python of shop.0006_fill · "
        "if it did not run here: --at shop.0005_index",
        "cannot be seen in the schema: the SQL or Python of shop.0007_fill · "
        "if it did not run here: --at shop.0006_fill",
    ]
    told = shop.manage("zanith_baseline", "--at", "shop.0005_index", check=True).stdout
    assert "cannot be seen" not in told
    assert recorded(shop)[-1] == "0005_index"


def test_files_that_cannot_be_written_can_be_left(shop: Project) -> None:
    path = shop.write("shop/zanith_migrations", "not a folder")

    refused = shop.manage("zanith_baseline")

    assert refused.returncode == 3
    assert f"CommandError: Cannot write {path}/__init__.py: File exists." in refused.stderr
    assert "zanith_baseline --no-files writes no files." in refused.stderr
    assert "Cannot write " in shop.manage("zanith_generate").stderr
    shop.manage("zanith_baseline", "--no-files", check=True)


def test_it_says_for_whom_it_waits(shop: Project) -> None:
    with shop.database.connect() as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [CLASS_ID, OBJECT_ID])
        refused = shop.manage("zanith_baseline", "--lock-wait", "0.1")
    assert refused.returncode == 1
    assert "Waiting for another run to end: " in refused.stdout


def test_a_file_that_is_gone_stops_the_next_run_until_it_is_accepted(shop: Project) -> None:
    shop.manage("zanith_generate", check=True)
    shop.manage("zanith_apply", check=True)
    (file,) = (shop.root / "shop/zanith_migrations").glob("*_shelf.py")
    text = file.read_text()
    file.unlink()

    refused = shop.manage("zanith_apply")
    assert refused.returncode == 1
    assert f"{file.stem} is applied, and its file shop/zanith_migrations/{file.name} is gone" in (
        refused.stderr
    )
    assert "zanith_baseline: it accepts the database as it is" in refused.stderr
    assert shop.manage("zanith_plan").returncode == 1

    file.write_text(text)
    shop.manage("zanith_apply", check=True)
    file.unlink()
    said = shop.manage("zanith_baseline", check=True).stdout
    assert f"accepted without a file: {file.stem}" in said
    init = shop.root / "shop/zanith_migrations/__init__.py"
    init.write_text(init.read_text().replace("0002_pages", "0003_shelf"))
    shop.manage("zanith_apply", check=True)
    shop.manage("zanith_plan", check=True)


def test_a_file_that_stopped_half_way_and_is_gone_can_be_accepted(shop: Project) -> None:
    shop.manage("zanith_generate", check=True)
    shop.sql(REFUSING)
    assert shop.manage("zanith_apply").returncode == 1
    shop.sql("DROP EVENT TRIGGER refuse")
    for file in (shop.root / "shop/zanith_migrations").glob("*_shelf.py"):
        file.unlink()

    said = shop.manage("zanith_baseline", check=True).stdout

    assert "accepted without a file: " in said
    assert "failed" not in shop.manage("zanith_status", check=True).stdout
    shop.manage("migrate", "shop", "0003", "--fake", check=True)
    assert shop.manage("zanith_rollback", "--steps", "1").stdout == "Nothing to roll back.\n"
