"""What is wrong is said once, clearly, with the right exit code, and nothing is changed."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from psycopg import sql

from tests.copies import Copy
from tests.project import SETTINGS, Project
from tests.releases import Releases
from tests.servers import Server
from zanith_django.exceptions import EnvironmentProblem, UsageError

BOOK = """
from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=20)
"""

# As an editor of Windows saves it, with a byte order mark.
COVERED = '\ufeffcovered_after = "0002_pages"'

NO = EnvironmentProblem.returncode
WRONG = UsageError.returncode


def a_shop(releases: Releases) -> None:
    """One migration that is applied, one that waits."""
    project = releases.project
    project.write("settings.py", SETTINGS.format(apps=["zanith_django", "shop"]))
    project.add_app("shop", BOOK)
    project.manage("zanith_generate", "--timestamp", "20260101_000000", check=True)
    project.manage("zanith_apply", check=True)
    project.write("shop/models.py", BOOK + "    pages = models.IntegerField(null=True)\n")
    project.manage(
        "zanith_generate", "--timestamp", "20260102_000000", "--name", "pages", check=True
    )


@pytest.fixture
def shop(copy_of: Copy) -> Project:
    return copy_of(a_shop).project


def waiting(project: Project) -> Path:
    return project.root / "shop/zanith_migrations/20260102_000000_pages.py"


def assert_refused(
    project: Project,
    *arguments: str,
    code: int,
    says: str,
    env: dict[str, str] | None = None,
) -> None:
    """The command ends with this code and message, without a traceback, and nothing changed."""
    before = everything(project)
    done = project.manage(*arguments, env=env)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("CommandError: ")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert everything(project) == before


def everything(project: Project) -> list[tuple[object, ...]]:
    """Tables, columns, the ledger and the files of a project."""
    columns = project.sql(
        "SELECT attrelid::regclass::text, attname::text FROM pg_attribute a "
        "JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE attnum > 0 AND nspname NOT LIKE 'pg\\_%' ORDER BY 1, 2"
    )
    rows = project.sql("SELECT id, status FROM _zanith_migration_steps ORDER BY id")
    files = sorted((str(path),) for path in project.root.rglob("*.py"))
    return [*columns, *rows, *files]


# --- the database --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["generate", "plan", "verify", "apply", "status", "history"])
def test_another_kind_of_database_is_refused(shop: Project, command: str) -> None:
    shop.write("shop/models.py", BOOK)  # makemigrations would have something to write
    assert_refused(
        shop,
        f"zanith_{command}",
        env={"DATABASE_URL": f"sqlite:///{shop.root}/shop.sqlite"},
        code=NO,
        says="Database 'default' is SQLite; zanith works on PostgreSQL only.",
    )


def test_a_server_that_does_not_answer_is_named(shop: Project) -> None:
    env = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/shop"}
    says = "Check DATABASES['default'] and that the server runs."
    assert_refused(shop, "zanith_apply", env=env, code=NO, says=says)
    assert_refused(shop, "zanith_generate", env=env, code=NO, says=says)


def test_an_unknown_alias_is_named(shop: Project) -> None:
    says = "There is no database 'other'.\nDATABASES has: default."
    assert_refused(shop, "zanith_apply", "--database", "other", code=WRONG, says=says)


def test_a_database_need_not_be_utf_8(shop: Project, server: Server) -> None:
    name = shop.database.name
    server.drop_database(name)
    with psycopg.connect(server.maintenance_url, autocommit=True) as connection:
        latin = "CREATE DATABASE {} ENCODING LATIN1 LOCALE 'C' TEMPLATE template0"
        connection.execute(sql.SQL(latin).format(sql.Identifier(name)))
    shop.manage("zanith_apply", check=True)
    shop.write("shop/models.py", BOOK)
    shop.manage("zanith_generate", "--name", "less", check=True)

    refused = shop.manage("zanith_apply", "--max-risk", "100")

    assert "needs --allow-destructive" in refused.stderr
    assert "refused - destructive not allowed" in shop.manage("zanith_history", "-v2").stdout
    assert "failed" not in shop.manage("zanith_status", check=True).stdout
    shop.manage("zanith_apply", "--max-risk", "100", "--allow-destructive", check=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            "ALTER TABLE _zanith_migration_steps RENAME status TO state",
            'Ledger table _zanith_migration_steps is damaged: column "status" does not',
        ),
        (
            "DROP TABLE _zanith_migration_steps",
            'Ledger table _zanith_migration_steps is damaged: relation "_zanith_',
        ),
    ],
)
@pytest.mark.parametrize("command", ["status", "history", "plan", "rollback --steps 1"])
def test_what_the_ledger_has_lost_is_named(
    shop: Project, command: str, change: str, says: str
) -> None:
    shop.sql(change)
    done = shop.manage(*f"zanith_{command}".split())
    assert (done.returncode, done.stdout) == (NO, "")
    assert done.stderr.startswith(f"CommandError: {says}")
    assert done.stderr.endswith(".\nRun zanith_apply: it repairs the tables of the ledger.\n")
    shop.manage("zanith_apply", check=True)
    shop.manage(*f"zanith_{command}".split(), check=True)


def test_a_search_path_to_nowhere_is_named(shop: Project) -> None:
    shop.sql("DROP TABLE _zanith_schema_snapshots")
    settings = shop.root / "settings.py"
    options = '{"options": "-c search_path=nowhere"}'
    settings.write_text(f'{settings.read_text()}\nDATABASES["default"]["OPTIONS"] = {options}\n')
    says = "no schema has been selected to create in"
    hint = "the setting search_path (SHOW search_path) comes from OPTIONS in DATABASES"
    done = shop.manage("zanith_apply")
    assert done.returncode == NO
    assert says in done.stderr
    assert hint in done.stderr


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("covers = [", "covers = = [", "20260102_000000_pages.py:7: invalid syntax"),
        ("column=", "colum=", "TypeError"),
        ('"integer"', "7", ":9: addColumn: column.type is 7, not str"),
        ("import zanith_django", "import nothing", ":3: ModuleNotFoundError"),
        ("import zanith_django", "raise SystemExit(3)\nimport zanith_django", ":3: SystemExit"),
        ("(zanith.Migration)", "", "has no class Migration(zanith.Migration)"),
        ("0002_pages", "0009_pages", "covers shop.0009_pages, which does not exist"),
        ("import zanith_django", "raise BaseException('no')\nimport zanith_django", ":3: BaseExc"),
        (
            "    operations = [",
            "    operations = None\n    rest = [",
            "operations is not a list: None",
        ),
        ("    operations = [", "    operations = 7\n    rest = [", "operations is not a list: 7"),
        (
            "    operations",
            "    approved = 'abc'\n    operations",
            "approved is not a dict such as",
        ),
        (
            "    operations",
            "    approved = {1: 'a'}\n    operations",
            "approved has 1, which is not",
        ),
    ],
)
def test_a_broken_file_is_named_with_its_line(shop: Project, old: str, new: str, says: str) -> None:
    path = waiting(shop)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert_refused(shop, "zanith_apply", code=NO, says=f"Migration file {path}")
    assert_refused(shop, "zanith_plan", code=NO, says=says)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    operations", "    1 / 0\n    operations", "_pages.py:12: ZeroDivisionError: "),
        ("from django", "import nothing\nfrom django", "_pages.py:3: ModuleNotFoundError: No mod"),
        ("from django", "raise SystemExit(3)\nfrom django", "_pages.py:3: SystemExit: 3"),
        ("null=True", "nul=True", "TypeError: Field.__init__() got"),
        ("= [", "= = [", "_pages.py:8: invalid syntax"),
        ("class Migration", "class Other", "0002_pages in app shop has no Migration class"),
        ('"0001_initial"', '"0002_pages"', "of Django: CircularDependencyError: shop.0002_pages"),
    ],
)
def test_a_broken_file_of_django_is_named(shop: Project, old: str, new: str, says: str) -> None:
    path = shop.root / "shop/migrations/0002_pages.py"
    text = path.read_text().replace("'", '"')
    assert old in text
    path.write_text(text.replace(old, new))
    assert_refused(shop, "zanith_plan", code=NO, says="\nFix it: migrate and showmigrations stop")
    assert_refused(shop, "zanith_apply", code=NO, says=says)


def write_init(project: Project, text: str) -> Path:
    return project.write("shop/zanith_migrations/__init__.py", text)


def test_a_mistyped_covered_after_is_named(shop: Project) -> None:
    path = write_init(shop, 'covered_after = "0001_inital"\n')
    says = (
        f"{path}: covered_after names '0001_inital', which shop does not have; did you mean "
        "'0001_initial'?\nWrite the last Django migration that needs no file of ours."
    )
    for command in ("zanith_plan", "zanith_generate", "zanith_generate --check"):
        assert_refused(shop, *command.split(), code=NO, says=says)


@pytest.mark.parametrize("text", ['covered_after: str = "0002_pages"', COVERED], ids=ascii)
def test_covered_after_is_read_as_python_reads_it(shop: Project, text: str) -> None:
    waiting(shop).unlink()
    write_init(shop, text)
    shop.manage("zanith_generate", check=True)
    assert not list(waiting(shop).parent.glob("*_pages.py"))


def test_an_init_that_is_not_utf_8_is_named(shop: Project) -> None:
    path = write_init(shop, "")
    path.write_bytes(b'"""caf\xe9"""\n')
    assert_refused(shop, "zanith_plan", code=NO, says=f"Migration file {path}")


def test_a_file_that_cannot_be_read_is_named(shop: Project) -> None:
    path = waiting(shop).with_name("20260103_000000_gone.py")
    path.symlink_to("nowhere.py")
    says = f"Migration file {path}: cannot be read: No such file or directory"
    assert_refused(shop, "zanith_plan", code=NO, says=says)


def test_what_a_file_prints_does_not_get_into_the_answer(shop: Project) -> None:
    path = waiting(shop)
    path.write_text("print('from our file')\n" + path.read_text())
    django = shop.root / "shop/migrations/0002_pages.py"
    django.write_text("print('from the file of Django')\n" + django.read_text())
    done = shop.manage("zanith_plan", "--format", "json", check=True)
    assert json.loads(done.stdout)["blocked"] is False
    assert "from our file" in done.stderr
    assert "from the file of Django" in done.stderr


def test_what_only_looks_like_a_migration_file_is_left_alone(shop: Project) -> None:
    folder = waiting(shop).parent
    (folder / "20260103_000000_more.py").mkdir()
    (folder / ".#20260102_000000_pages.py").symlink_to("somebody@somewhere.42")
    shop.manage("zanith_plan", check=True)


def test_a_file_that_was_edited_after_it_ran_is_refused(shop: Project) -> None:
    shop.manage("zanith_apply", check=True)
    path = waiting(shop)
    path.write_text(path.read_text().replace('"integer"', '"bigint"'))
    says = "The file of 20260102_000000_pages was edited after it ran (01)."
    assert_refused(shop, "zanith_apply", code=1, says=says)
    plan = shop.manage("zanith_plan")
    assert plan.returncode == 1
    assert says.rstrip(".") in plan.stdout


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("zanith_generate nowhere", "'nowhere' is not an installed app.\nManaged apps: shop."),
        ("zanith_generate zanith_django", "'zanith_django' is installed, but not managed."),
        ("zanith_generate --timestamp 2026", "Write YYYYMMDD_HHMMSS."),
        ("zanith_generate --name two-words", "Use letters, digits and underscores."),
        ("zanith_plan --fail-on nothing", "There is no reason 'nothing'.\nKnown reasons: adds_"),
        ("zanith_plan --explain nothing", "There is no reason 'nothing'."),
        ("zanith_plan --explain add_index", "Did you mean adds_index? Known reasons: "),
        ("zanith_plan --only nothing", "There is no migration 'nothing'."),
        ("zanith_apply --fail-on nothing", "There is no reason 'nothing'."),
        ("zanith_apply --to nothing", "There is no migration 'nothing'."),
        ("zanith_apply --to shop_initial", "Did you mean 20260101_000000_shop_initial? Run"),
        ("zanith_baseline --at shop.0001_intial", "Did you mean shop.0001_initial? Run"),
        ("zanith_apply --steps 0", "--steps takes a number of migrations from 1 on."),
        ("zanith_history --since seven", "Write a day (2026-03-01), a month (2026-03, March) or a"),
        ("zanith_history --since 9000-01", "'9000-01' is in the future."),
        ("zanith_history --since 99999999d", "99999999d is too long.\nWrite at most 36500d."),
        ("zanith_recover cleanup --older-than 99999999w", "99999999w is too long."),
        ("zanith_plan --sizes /nope", "--sizes needs --since or --only."),
        ("zanith_plan --only 20260102_000000_pages --sizes /nope", "--sizes /nope: No such file"),
        ("zanith_plan --since=--output=made", "Name a branch, tag or commit."),
        ("zanith_history --id nothing", "Run zanith_status --all to see the migrations."),
        ("zanith_history --id shop_initial", "Did you mean 20260101_000000_shop_initial? Run"),
        ("zanith_diff models nothing", "There is no schema 'nothing'.\nType models, live, empty, "),
        ("zanith_diff modles live", "Did you mean models? Type models, live, empty, "),
        ("zanith_diff 20260101_000000_shop live", "Did you mean 20260101_000000_shop_initial? "),
        ("zanith_diff models", "Two schemas are compared."),
        ("zanith_verify --shadow nothing", "is neither a shape nor an alias of DATABASES."),
    ],
)
def test_a_mistyped_argument_is_named(shop: Project, command: str, says: str) -> None:
    assert_refused(shop, *command.split(), code=WRONG, says=says)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("zanith_apply --max-rsik 35", "arguments: --max-rsik 35\nDid you mean --max-risk? Run "),
        ("zanith_plan --format=xml", "(choose from "),
        ("zanith_recover inspekt", "invalid choice: 'inspekt'"),
        ("zanith_recover purge", "Name an artifact, or add --all."),
        ("zanith_apply --max-risk 500", "argument --max-risk: 500 is not from 0 to 100"),
        ("zanith_plan --max-risk -1", "argument --max-risk: -1 is not from 0 to 100"),
        ("zanith_apply --lock-wait -1", "argument --lock-wait: -1 is not a time"),
        ("zanith_recover cleanup --lock-wait nan", "argument --lock-wait: nan is not a time"),
    ],
)
def test_what_argparse_refuses_leads_to_the_help(shop: Project, command: str, says: str) -> None:
    done = shop.manage(*command.split())
    assert (done.returncode, done.stdout) == (WRONG, "")
    assert says in done.stderr
    assert " --help to see the options." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["zanith_apply", "--verified", ""], "--verified"),
        (["zanith_apply", "--verified="], "--verified"),
        (["zanith_apply", "--to", ""], "--to"),
        (["zanith_rollback", "--to", ""], "--to"),
        (["zanith_plan", "--only", "20260102_000000_pages", ""], "--only"),
        (["zanith_plan", "--since", ""], "--since"),
        (["zanith_history", "--since", ""], "--since"),
        (["zanith_recover", "cleanup", "--older-than", ""], "--older-than"),
        (["zanith_diff", "", "live"], "an argument"),
    ],
)
def test_a_variable_that_is_not_set_lifts_nothing(
    shop: Project, arguments: list[str], flag: str
) -> None:
    done = shop.manage(*arguments)
    assert (done.returncode, done.stdout) == (WRONG, "")
    assert f"{flag} was given an empty value" in done.stderr


def test_a_question_without_a_terminal_leads_to_makemigrations(shop: Project) -> None:
    shop.write("shop/models.py", BOOK + "    isbn = models.CharField(max_length=13)\n")
    done = shop.manage("zanith_generate", "--no-input")
    assert done.returncode == 1
    assert "Field 'isbn' on model 'book' not migrated" in done.stdout
    assert "Run makemigrations shop in a terminal, then this command again." in done.stderr


def test_a_file_that_cannot_be_written_is_named(shop: Project) -> None:
    name = 300 * "x"
    says = f"_{name}.py: File name too long."
    assert_refused(shop, "zanith_generate", "--empty", "shop", "--name", name, code=NO, says=says)
    shop.write("shop/models.py", BOOK)  # now makemigrations has something to write
    done = shop.manage("zanith_generate", "--name", name)
    assert done.returncode == NO
    assert says in done.stderr


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"MAXRISK": 1}, "Setting ZANITH['MAXRISK'] is unknown; known are MODE, MAX_RISK,"),
        ({"MAX_RISK": 101}, "must be a number from 0 to 100, not 101."),
        ({"MODE": "prod"}, "must be one of development, staging, production, not 'prod'."),
        ({"FAIL_ON": ["nothing"]}, "Setting ZANITH['FAIL_ON'] names no reason: nothing."),
        ({"APPS": ["nowhere"]}, "names 'nowhere', which is not an installed app."),
        ({"BACKFILL": {"SIZE": 1}}, "must be a dict with BATCH_SECONDS and PAUSE, not SIZE."),
        ({"BACKFILL": {"PAUSE": -1}}, "['BACKFILL'] must have seconds in PAUSE, not -1."),
        ({"BACKFILL": {"BATCH_SECONDS": "1"}}, "must have seconds in BATCH_SECONDS, not '1'."),
        ({"BACKFILL": {"PAUSE": None}}, "must have seconds in PAUSE, not None."),
        ({"IGNORE": [1]}, "['IGNORE'] must be a list of table names, not of 1."),
        ({"FAIL_ON": [[]]}, "['FAIL_ON'] must be a list of reason codes, not of []."),
        ({"APPS": [None]}, "['APPS'] must be a list of app labels, not of None."),
        ({"MIGRATION_MODULES": {"shop": 1}}, "must be a dict of app label to package, not of 1."),
        ({"RETENTION_DAYS": 10**9}, "must be days, at most 36500, not 1000000000."),
        ({"LOCK_TIMEOUT": 1e12}, "must be seconds, at most 2147483, not 1000000000000.0."),
        ({"DIRECT": "nowhere"}, "ZANITH['DIRECT'] names 'nowhere', which DATABASES does not have."),
        ({"SCRATCH": "nowhere"}, "names 'nowhere', which DATABASES does not have."),
        ({"SHADOW": "nowhere"}, "names 'nowhere', which DATABASES does not have."),
        ({"MIGRATION_MODULES": {"nowhere": "shop"}}, "names 'nowhere', which is not an installed"),
        ([], "Setting ZANITH must be a dict, not list."),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_meant_is_named(shop: Project, value: object, says: str) -> None:
    settings = shop.root / "settings.py"
    settings.write_text(f"{settings.read_text()}\nZANITH = {value!r}\n")
    assert_refused(shop, "zanith_apply", code=NO, says=says)
    checked = shop.manage("check")
    assert checked.returncode == 1
    assert says.rstrip(".") in checked.stderr


def test_times_are_shown_if_django_has_no_time_zones(shop: Project) -> None:
    settings = shop.root / "settings.py"
    zone = 'USE_TZ = False\nTIME_ZONE = "Asia/Tokyo"\n'
    settings.write_text(settings.read_text().replace("USE_TZ = True\n", zone))
    said = shop.manage("zanith_history", "--since", "1h", check=True).stdout
    assert "20260101_000000" in said
    shop.manage("zanith_recover", "cleanup", "--older-than", "1d", check=True)


# --- the shadow ----------------------------------------------------------------------------------


def test_a_shadow_that_does_not_answer_is_named(shop: Project) -> None:
    url = "postgres://nobody@127.0.0.1:1/shadow"
    assert_refused(shop, "zanith_verify", "--shadow", url, code=NO, says="cannot be reached")


def test_what_the_system_checks_find_comes_before_what_a_shadow_does(shop: Project) -> None:
    shop.write("shop/models.py", BOOK + "    price = models.DecimalField()\n")
    path = waiting(shop)
    path.write_text(path.read_text().replace('table="shop_book"', 'table="shop_gone"'))
    done = shop.manage("zanith_verify")
    assert done.returncode == NO
    assert "shop.Book.price: (fields.E130)" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_live_database_is_no_shadow(shop: Project) -> None:
    says = "is the live database itself."
    assert_refused(shop, "zanith_verify", "--shadow", shop.database.url, code=WRONG, says=says)


def test_a_shadow_schema_takes_no_python(shop: Project) -> None:
    path = waiting(shop)
    step = '        zanith.RunPython(migration="shop.0002_pages", position=1),\n    ]\n'
    operations = re.compile(r"(operations = \[\n).*?    \]\n", re.DOTALL)
    path.write_text(operations.sub(rf"\1{step}", path.read_text()))
    hint = "Run zanith_verify --shadow ephemeral."
    assert_refused(shop, "zanith_verify", "--shadow", "schema", code=NO, says=hint)


# --- standard output -----------------------------------------------------------------------------


def in_shell(project: Project, command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command with what the shell does to its output."""
    text = f"set -o pipefail; {sys.executable} -W error manage.py {command}"
    environment = project.environment() | env
    return subprocess.run(
        ["bash", "-c", text],
        cwd=project.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("where", ["| true", ">&-", "> /dev/full"])
def test_a_run_continues_if_its_output_is_closed(shop: Project, where: str) -> None:
    done = in_shell(shop, f"zanith_apply {where}")
    assert (done.returncode, done.stderr) == (0, "")
    assert shop.sql("SELECT pages FROM shop_book") == []
    back = in_shell(shop, f"zanith_rollback --steps 1 {where}")
    assert (back.returncode, back.stderr) == (0, "")
    shop.manage("zanith_apply", check=True)


@pytest.mark.parametrize(
    ("where", "code", "says"),
    [
        ("| true", 0, ""),
        (">&-", 0, ""),
        ("> /dev/full", NO, "CommandError: Standard output cannot be written: No space left on "),
    ],
)
def test_what_is_only_shown_says_where_it_cannot_be(
    shop: Project, where: str, code: int, says: str
) -> None:
    done = in_shell(shop, f"zanith_status --all {where}")
    assert done.returncode == code
    assert done.stderr.startswith(says)
    assert says or not done.stderr
    assert done.stderr.count("\n") <= 1


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_a_terminal_cannot_spell_stops_nothing(shop: Project, encoding: str) -> None:
    done = in_shell(shop, "zanith_apply", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("? 20260102_000000_pages\n")


@pytest.mark.parametrize(
    ("env", "options", "colours"),
    [
        ({}, [], True),
        ({"NO_COLOR": ""}, [], True),
        ({"NO_COLOR": "1"}, [], False),
        ({"NO_COLOR": "1"}, ["--force-color"], True),
    ],
)
def test_a_terminal_has_no_colours_if_no_color_is_set(
    shop: Project, env: dict[str, str], options: list[str], colours: bool
) -> None:
    ours, its = pty.openpty()
    environment = shop.environment() | {"TERM": "xterm"} | env
    subprocess.run(
        [sys.executable, "manage.py", "zanith_plan", *options],
        cwd=shop.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=its,
        check=True,
    )
    os.close(its)
    shown = os.read(ours, 10_000)
    os.close(ours)
    assert b"20260102_000000_pages" in shown
    assert (b"\x1b[" in shown) is colours


# --- call_command --------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["zanith_plan", "--database", "other"], WRONG),
        (["zanith_plan", "--explain", "nothing"], WRONG),
        (["zanith_history", "--since", "seven"], WRONG),
    ],
)
def test_call_command_raises_with_the_exit_code(arguments: list[str], code: int) -> None:
    with pytest.raises(CommandError) as raised:
        call_command(*arguments)
    assert raised.value.returncode == code


def test_a_type_that_cannot_change_beside_its_clients_is_refused(shop: Project) -> None:
    shop.manage("zanith_apply", check=True)
    shop.sql("CREATE TABLE heir () INHERITS (shop_book)")
    shop.sql("INSERT INTO shop_book (title, pages) VALUES ('a', 1)")
    shop.write("shop/models.py", BOOK + "    pages = models.BigIntegerField(null=True)\n")
    shop.manage("zanith_generate", "--timestamp", "20260103_000000", "--name", "wider", check=True)

    planned = shop.manage("zanith_plan", "--max-risk", "90")
    assert planned.returncode == 1
    assert "cannot_be_done_online" in planned.stdout

    failed = shop.manage("zanith_apply", "--max-risk", "100")
    assert failed.returncode == 1
    assert "change type of shop_book.pages from integer to bigint" in failed.stderr
    assert "the table heir inherits from it" in failed.stderr
    assert "in_place=True" in failed.stderr

    file = shop.root / "shop/zanith_migrations/20260103_000000_wider.py"
    text = file.read_text().replace("model=", "in_place=True, model=")
    file.write_text(text)
    shop.manage("zanith_apply", "--max-risk", "100", check=True)
    assert shop.sql("SELECT pages, pg_typeof(pages)::text FROM shop_book") == [(1, "bigint")]
