"""docs/privileges.md: its grants, as they stand there, are enough, and no role has more."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from psycopg import errors

from tests.copies import Copy
from tests.project import REPOSITORY, SETTINGS, Project
from tests.recover.test_recover import REQUIRED, USERS, graph_of
from tests.releases import Releases
from tests.servers import Database
from tests.test_baseline import AUTHOR, BOOK, PAGES, SHELF
from zanith_django.operations import ArchiveTable, RebuildTable, SoftDropTable
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Table

PAGE = REPOSITORY / "docs" / "privileges.md"


def an_empty_shop(releases: Releases) -> None:
    """Three migrations of ours that wait, on a database where nothing is."""
    project = releases.project
    project.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    project.add_app("shop", "")
    for name, models in (("book", BOOK), ("pages", PAGES), ("author", SHELF + AUTHOR)):
        project.write("shop/models.py", models)
        project.manage("zanith_generate", "--name", name, check=True)


def nothing(releases: Releases) -> None:
    """An app without models, on a database where nothing is."""


def grants(number: int, project: Project) -> str:
    """A block of SQL of the page, of our roles and database, without what names the example."""
    block = re.findall(r"```sql\n(.*?)```", Path(PAGE).read_text(), re.DOTALL)[number]
    block = re.sub(r"(?m)^(CREATE ROLE|ALTER TABLE).*\n", "", block)
    return re.sub(r"\bshop(?=\b|_)", name_of(project), block)


def name_of(project: Project) -> str:
    return project.database.name


@contextmanager
def role(project: Project, kind: str) -> Iterator[str]:
    """A new role of this database's own, gone afterwards."""
    name = f"{name_of(project)}_{kind}"
    project.sql(f"CREATE ROLE {name} LOGIN")
    try:
        yield name
    finally:
        project.sql(f"DROP OWNED BY {name} CASCADE")
        project.sql(f"DROP ROLE {name}")


def url_of(project: Project, role: str) -> dict[str, str]:
    parts = urlsplit(project.database.url)
    place = parts.netloc.rpartition("@")[2]
    return {"DATABASE_URL": urlunsplit(parts._replace(netloc=f"{role}@{place}"))}


def closed(project: Project) -> Project:
    """The project, with a database where nobody may do anything yet."""
    project.sql("REVOKE ALL ON SCHEMA public FROM public")
    project.sql(f"REVOKE ALL ON DATABASE {name_of(project)} FROM public")
    return project


def table_of(releases: Releases, name: str) -> Table:
    found = graph_of(releases).table(TableName("", name))
    assert found is not None
    return found


def seen_by(project: Project, role: str) -> Project:
    """The same project, whose commands and statements are those of the role."""
    url = url_of(project, role)["DATABASE_URL"]
    return Project(project.root, Database(name_of(project), url))


def test_the_runner_and_the_readers_need_no_more(copy_of: Copy) -> None:
    shop = closed(copy_of(an_empty_shop).project)
    with role(shop, "runner") as runner, role(shop, "reader") as reader:
        shop.sql(grants(0, shop))
        as_runner, as_reader = url_of(shop, runner), url_of(shop, reader)

        shop.manage("zanith_apply", "--steps", "1", check=True, env=as_runner)
        shop.sql(f"CREATE SCHEMA _zanith_kept AUTHORIZATION {runner}")
        shop.sql(grants(2, shop))
        shop.manage("zanith_plan", check=True, env=as_reader)
        refused = shop.manage("zanith_apply", "--no-preflight", env=as_reader)
        assert refused.returncode == 3
        assert "permission denied" in refused.stderr
        assert "docs/privileges.md lists the grants that the role needs" in refused.stderr
        assert "Traceback" not in refused.stderr

        shop.sql("ALTER TABLE shop_book OWNER TO CURRENT_USER")
        shop.sql(f"GRANT SELECT ON shop_book TO {runner}")
        stopped = shop.manage("zanith_apply", "--no-preflight", env=as_runner)
        assert stopped.returncode == 1
        assert "must be owner of table shop_book" in stopped.stderr
        assert "docs/privileges.md lists the grants that the role needs" in stopped.stderr
        shop.sql(f"ALTER TABLE shop_book OWNER TO {runner}")
        shop.manage("zanith_apply", check=True, env=as_runner)
        shop.manage("zanith_plan", check=True, env=as_reader)
        assert seen_by(shop, reader).sql("TABLE shop_author") == []
        shop.manage("zanith_diff", "models", "live", check=True, env=as_runner)
        shop.manage("zanith_rollback", "--steps", "1", check=True, env=as_runner)

        shop.sql(f"REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM {reader}")
        shop.sql(grants(3, shop))
        shop.manage("zanith_status", check=True, env=as_reader)
        shop.manage("zanith_history", "--verbose", check=True, env=as_reader)


def test_the_application_reads_the_ledger_and_writes_nothing_of_it(copy_of: Copy) -> None:
    shop = closed(copy_of(an_empty_shop).project)
    with role(shop, "runner") as runner, role(shop, "app") as app:
        shop.sql(grants(0, shop))
        shop.sql(grants(1, shop))
        as_runner = url_of(shop, runner)

        shop.manage("zanith_apply", check=True, env=as_runner)

        written = "bool_or(has_table_privilege(%s, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))"
        tables = "FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ledger = f"SELECT {written} {tables} AND starts_with(relname, '_zanith_')"
        assert shop.sql(ledger, app) == [(False,)]
        assert shop.sql(f"SELECT {written} {tables} AND relname = 'shop_book'", app) == [(True,)]
        whole = shop.manage("check", "--database", "default", env=as_runner)
        assert "W003" not in whole.stderr

        shop.sql(f"GRANT UPDATE ON _zanith_migration_artifacts TO {app}")
        warned = shop.manage("check", "--database", "default", env=as_runner)
        assert f"Other roles may write the ledger in database 'default': {app}." in warned.stderr
        shop.sql(grants(4, shop))
        assert shop.sql(ledger, app) == [(False,)]


def test_the_runner_keeps_what_it_drops_in_the_schema_that_was_made_for_it(copy_of: Copy) -> None:
    shop = closed(copy_of(nothing).project)
    with role(shop, "runner") as runner:
        shop.sql(grants(0, shop))
        shop.sql(f"CREATE SCHEMA _zanith_kept AUTHORIZATION {runner}")
        releases = Releases(seen_by(shop, runner))
        models = USERS.format(legacy=REQUIRED)
        releases.start(models)

        releases.file("rebuilt", [RebuildTable(table=TableName("", "orders"))])
        releases.apply()
        archive = ArchiveTable(table=table_of(releases, "orders"))
        without_orders = models.partition("class Order")[0]
        releases.write("archived", without_orders, [archive])
        releases.apply()
        drop = SoftDropTable(table=table_of(releases, "users"))
        releases.write("dropped", without_orders.partition("class User")[0], [drop])
        releases.apply()

        assert shop.sql("SELECT to_regclass('users'), to_regclass('orders')") == [(None, None)]


# What a role might do to a table of ours, "{t}".
ATTEMPTS = (
    "INSERT INTO {t} SELECT * FROM {t}",
    "UPDATE {t} SET {c} = {c}",
    "DELETE FROM {t}",
    "TRUNCATE {t}",
    "SELECT {c} FROM {t} FOR UPDATE",
    "BEGIN; LOCK TABLE {t} IN ROW EXCLUSIVE MODE",
    "ALTER TABLE {t} ADD mine text",
    "ALTER TABLE {t} RENAME TO mine",
    "ALTER TABLE {t} SET SCHEMA public",
    "COMMENT ON TABLE {t} IS 'mine'",
    "COMMENT ON COLUMN {t}.{c} IS 'mine'",
    "CREATE INDEX ON {t} ({c})",
    "CREATE TRIGGER mine BEFORE UPDATE ON {t} "
    "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE mine AS ON DELETE TO {t} DO INSTEAD NOTHING",
    "ALTER TABLE {t} OWNER TO CURRENT_USER",
    "DROP TABLE {t}",
)


def test_the_application_changes_nothing_of_the_ledger_and_of_what_is_kept(copy_of: Copy) -> None:
    shop = closed(copy_of(nothing).project)
    with role(shop, "runner") as runner, role(shop, "app") as app:
        shop.sql(grants(0, shop))
        shop.sql(grants(1, shop))
        shop.sql(f"CREATE SCHEMA _zanith_kept AUTHORIZATION {runner}")
        shop.sql(f"GRANT CONNECT, TEMPORARY ON DATABASE {name_of(shop)} TO {app}")
        shop.sql(f"GRANT USAGE ON SCHEMA public TO {app}")
        releases = Releases(seen_by(shop, runner))
        models = USERS.format(legacy=REQUIRED)
        releases.start(models)
        without_orders = models.partition("class Order")[0]
        drop = SoftDropTable(table=table_of(releases, "orders"))
        releases.write("dropped", without_orders, [drop])
        releases.apply()
        application = seen_by(shop, app)
        application.sql("UPDATE users SET id = id")  # it works on the tables of the project

        ours = shop.sql(
            "SELECT c.oid::regclass::text, quote_ident(a.attname) FROM pg_class c "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND attnum = 1 WHERE relkind = 'r' AND "
            "(starts_with(relname, '_zanith_') OR relnamespace = '_zanith_kept'::regnamespace)"
        )
        assert len(ours) == 6
        for (table, column), attempt in itertools.product(ours, ATTEMPTS):
            with pytest.raises(errors.InsufficientPrivilege):
                application.sql(attempt.format(t=table, c=column))
        with pytest.raises(errors.InsufficientPrivilege):
            application.sql("CREATE TABLE _zanith_kept.mine ()")
