"""The line of Django's migrations and ours: every way a database can stand to it."""

from __future__ import annotations

from tests.copies import Copy
from tests.generate.test_generate import WITH_PAGES, a_shop, files
from tests.project import SETTINGS, BuildProject, Project
from tests.servers import Database, Server
from zanith_django import operations as ops
from zanith_django.files.files import render_migration
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column

BOOK = TableName("", "shop_book")
ALLOWED = ("--max-risk", "100", "--allow-destructive")

MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [{after}]
    operations = [{operations}]
"""

APPLIES_ITSELF = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.AddField("book", "pages", models.IntegerField(null=True))]

    def apply(self, state, editor, collect_sql=False):
        state = super().apply(state, editor, collect_sql)
        editor.execute("INSERT INTO shop_book (title, pages) VALUES ('applied', 1)")
        return state

    def unapply(self, state, editor, collect_sql=False):
        editor.execute("DELETE FROM shop_book")
        return super().unapply(state, editor, collect_sql)
"""

ADD = 'migrations.AddField("book", "{0}", models.IntegerField(null=True))'


def django_migration(name: str, after: str, operations: str) -> tuple[str, str]:
    needed = ", ".join(f'("shop", "{each}")' for each in after.split())
    text = MIGRATION.format(after=needed, operations=operations)
    return f"shop/migrations/{name}.py", text


def steps(project: Project, name: str) -> list[tuple[str, str]]:
    """(kind, status) of the steps of one file."""
    return project.sql(
        "SELECT operation_kind, status FROM _zanith_migration_steps WHERE migration_id LIKE %s "
        "ORDER BY id",
        f"%{name}",
    )


def agrees(project: Project) -> bool:
    """Nothing is left to say for zanith, nor for Django."""
    project.manage("zanith_diff", "models", "live", check=True)
    done = project.manage("migrate", "--check")
    return done.returncode == 0


def by_django_so_far(project: BuildProject) -> Project:
    """A shop whose first migration Django applied; its models ask for more since."""
    shop = project({"shop": WITH_PAGES.replace("    pages = models.IntegerField(null=True)\n", "")})
    shop.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    shop.manage("makemigrations", "shop", "-n", "initial", "-v0", check=True)
    shop.manage("migrate", "-v0", check=True)
    shop.write("shop/models.py", WITH_PAGES)
    return shop


def test_what_migrate_did_already_is_skipped(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    shop.write("shop/models.py", WITH_PAGES)
    stamp = ("--timestamp", "20260102_000000")
    shop.manage("zanith_generate", "--name", "pages", *stamp, check=True)
    path = shop.root / "shop/zanith_migrations/20260102_000000_pages.py"
    more = 'zanith.RawSql(sql="UPDATE shop_book SET pages = 7"),\n    ]\n'
    path.write_text(path.read_text().removesuffix("]\n") + "    " + more)
    shop.manage("migrate", "-v0", check=True)
    shop.manage("zanith_apply", *ALLOWED, check=True)
    assert steps(shop, "_pages") == [("addColumn", "skipped"), ("rawSql", "done")]
    assert shop.sql("SELECT pages FROM shop_book") == [(7,)]
    assert agrees(shop)


def test_two_branches_that_both_generated(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    plain = (shop.root / "shop/models.py").read_text()
    line = "    {0} = models.IntegerField(null=True)\n"
    shop.write("shop/models.py", plain + line.format("a"))
    shop.write(*django_migration("0002_a", "0001_initial", ADD.format("a")))
    shop.manage("zanith_generate", "--timestamp", "20260103_000000", check=True)
    shop.manage("zanith_apply", *ALLOWED, check=True)

    # The other branch wrote its file a day earlier and comes second.
    shop.write("shop/models.py", plain + line.format("a") + line.format("b"))
    shop.write(*django_migration("0002_b", "0001_initial", ADD.format("b")))
    added = ops.AddColumn(table=BOOK, column=Column("b", "integer"), model="shop.Book")
    text = render_migration([added], covers=["shop.0002_b"])
    shop.write("shop/zanith_migrations/20260102_000000_b.py", text)
    for command in ("zanith_plan", "zanith_generate", "zanith_apply"):
        refused = shop.manage(command)
        assert refused.returncode == 1
        assert "App shop has conflicting leaf migrations: 0002_a, 0002_b" in refused.stderr
        assert "makemigrations --merge shop" in refused.stderr

    shop.write(*django_migration("0003_merge", "0002_a 0002_b", ""))
    shop.manage("zanith_generate", "--timestamp", "20260104_000000", check=True)
    status = shop.manage("zanith_status", check=True).stdout
    assert "20260102_000000_b (late: older than the newest applied)" in status
    shop.manage("zanith_apply", *ALLOWED, check=True)
    assert steps(shop, "0102_000000_b") == [("addColumn", "done")]
    assert files(shop)[-1] == "20260104_000000_merge.py"
    assert agrees(shop)


def test_a_half_migrated_database_and_a_fresh_one(project: BuildProject, server: Server) -> None:
    shop = by_django_so_far(project)
    shop.manage("zanith_generate", "--name", "pages", "--timestamp", "20260102_000000", check=True)
    assert files(shop) == ["20260102_000000_pages.py"]
    init = (shop.root / "shop/zanith_migrations/__init__.py").read_text()
    assert 'covered_after = "0001_initial"' in init
    shop.manage("zanith_apply", *ALLOWED, check=True)
    assert agrees(shop)

    name = server.create_database()
    try:
        fresh = Project(shop.root, Database(name, server.url(name)))
        fresh.manage("zanith_apply", *ALLOWED, check=True)
        ran = "SELECT DISTINCT migration_id FROM _zanith_migration_steps WHERE migration_id ~ '{}'"
        assert fresh.sql(ran.format("shop")) == [("django:shop.0001_initial",)]
        assert steps(fresh, "_pages") == [("addColumn", "done")]
        assert agrees(fresh)
    finally:
        server.drop_database(name)


def test_a_file_of_which_django_did_a_part_is_refused(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    shop.write(*django_migration("0002_a", "0001_initial", ADD.format("a")))
    shop.write(*django_migration("0003_b", "0002_a", ADD.format("b")))
    columns = [Column("a", "integer"), Column("b", "integer")]
    added = [ops.AddColumn(table=BOOK, column=column) for column in columns]
    text = render_migration(added, covers=["shop.0002_a", "shop.0003_b"])
    shop.write("shop/zanith_migrations/20260102_000000_both.py", text)
    shop.manage("migrate", "shop", "0002_a", "-v0", check=True)
    refused = shop.manage("zanith_apply", *ALLOWED)
    assert refused.returncode == 1
    assert "some are applied (shop.0002_a) and some are not (shop.0003_b)" in refused.stderr
    assert "manage.py migrate shop 0003_b" in refused.stderr
    assert "manage.py migrate shop <the previous one>" in refused.stderr


def test_a_backfill_whose_python_is_not_there_is_refused(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    path = "shop/zanith_migrations/20260102_000000_fill.py"
    fill = ops.Backfill(table=BOOK, column="title", python="shop.codes.new")
    shop.write(path, render_migration([fill], requires=["shop.0001_initial"]))
    refused = shop.manage("zanith_apply")
    assert refused.returncode == 1
    assert "Step 01 has its values made by shop.codes.new, which does not exist" in refused.stderr
    text = (shop.root / path).read_text()
    shop.write(path, text.replace("python=", 'value="1", python='))
    broken = shop.manage("zanith_apply")
    assert broken.returncode == 3
    assert "a backfill has a value, or python that makes it" in broken.stderr


def test_a_file_runs_after_all_that_it_requires(copy_of: Copy) -> None:
    shop = copy_of(a_shop).project
    shop.write("shop/models.py", WITH_PAGES)
    shop.manage("zanith_generate", "--timestamp", "20260102_000000", "--name", "pages", check=True)
    folder = shop.root / "shop/zanith_migrations"
    path = folder / "20260102_000000_pages.py"
    given = path.read_text()
    path.write_text(
        given.replace("    covers", '    requires = ["20260109_000000_last"]\n    covers')
    )
    unknown = shop.manage("zanith_apply", *ALLOWED)
    assert unknown.returncode == 3
    assert "requires 20260109_000000_last, which does not exist" in unknown.stderr

    needed = {
        "20260108_000000_first": "20260109_000000_last",
        "20260109_000000_last": "shop.0001_initial",
    }
    for name, before in needed.items():
        text = render_migration([ops.RawSql(sql="SELECT 1")], requires=[before])
        (folder / f"{name}.py").write_text(text)
    shop.manage("zanith_apply", *ALLOWED, check=True)
    ran = shop.sql("SELECT id FROM _zanith_migrations ORDER BY applied_at")
    names = [name.removeprefix("202601") for (name,) in ran if name.startswith("2026010")]
    assert names[1:] == ["09_000000_last", "02_000000_pages", "08_000000_first"]


def test_a_migration_that_applies_itself_does_so(project: BuildProject, server: Server) -> None:
    shop = by_django_so_far(project)
    shop.write("shop/migrations/0002_pages.py", APPLIES_ITSELF)
    name = server.create_database(shop.database.name)
    try:
        covered = Project(shop.root, Database(name, server.url(name)))
        shop.manage("zanith_apply", *ALLOWED, check=True)
        assert steps(shop, "0002_pages") == [("djangoOperation", "done")]
        covered.manage("zanith_generate", check=True)
        covered.manage("zanith_apply", *ALLOWED, check=True)
        assert steps(covered, "_pages") == [("runPython", "done")]
        for each in (shop, covered):
            assert each.sql("SELECT title, pages FROM shop_book") == [("applied", 1)]
            assert agrees(each)

        covered.manage("zanith_rollback", "--steps", "1", *ALLOWED, check=True)
        assert covered.sql("SELECT count(*) FROM shop_book") == [(0,)]
        assert covered.manage("migrate", "--check").returncode == 1
    finally:
        server.drop_database(name)
