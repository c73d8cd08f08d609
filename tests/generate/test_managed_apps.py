"""Which apps are the project's own, and what generate reports about the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import BuildProject, Project

BOOK = """
from django.db import models

class Book(models.Model):
    title = models.CharField(max_length=20, null=True)
"""
RENAMED = BOOK.replace("title", "name")
BASE_DIR_TOO_DEEP = "\nfrom pathlib import Path\nBASE_DIR = Path(__file__).parent / 'config'\n"
OWN_COMMAND = """
from django.core.management.commands.makemigrations import Command as Django
from django.db.migrations.autodetector import MigrationAutodetector

class Autodetector(MigrationAutodetector):
    def changes(self, *args, **kwargs):
        return {}

class Command(Django):
    def handle(self, *labels, **options):
        Django.autodetector = Autodetector
        super().handle(*labels, **options)
"""


@pytest.fixture
def shop(project: BuildProject) -> Project:
    built = project({"shop": BOOK})
    built.manage("makemigrations", "shop", "-v0", check=True)
    return built


def as_django_admin(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = project.environment() | {"DJANGO_SETTINGS_MODULE": "settings"}
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
    )


def files(project: Project, app: str = "shop") -> list[Path]:
    return sorted((project.root / app / "zanith_migrations").glob("*.py"))


# --- which ---------------------------------------------------------------------------------------


def test_apps_are_found_beside_manage_py_where_base_dir_is_too_deep(shop: Project) -> None:
    shop.write("settings.py", (shop.root / "settings.py").read_text() + BASE_DIR_TOO_DEEP)
    assert shop.manage("zanith_generate", "--check").returncode == 1
    shop.manage("zanith_generate", "--timestamp", "20260101_000000", check=True)
    assert len(files(shop)) == 2
    shop.manage("zanith_verify", "--shadow", "ephemeral", check=True)


def test_apps_are_found_without_manage_py(shop: Project) -> None:
    assert as_django_admin(shop, "zanith_generate", "--check").returncode == 1
    done = as_django_admin(shop, "zanith_generate", "--timestamp", "20260101_000000")
    assert (done.returncode, len(files(shop))) == (0, 2)
    done = as_django_admin(shop, "zanith_verify", "--shadow", "ephemeral")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("zanith_generate", 3),
        ("zanith_generate --check", 3),
        ("zanith_generate --dry-run", 3),
        ("zanith_plan --since HEAD", 3),
        ("zanith_plan", 0),
        ("zanith_apply", 0),
    ],
)
def test_no_managed_app_is_an_error_where_files_are_asked_for(
    shop: Project, command: str, status: int
) -> None:
    shop.write("settings.py", (shop.root / "settings.py").read_text() + "ZANITH['APPS'] = []\n")
    done = shop.manage(*command.split())
    assert done.returncode == status
    if status:
        assert "No app is managed: setting ZANITH['APPS'] is empty." in done.stderr
        assert 'ZANITH = {"APPS": ["shop"]}' in done.stderr


def test_code_that_is_elsewhere_has_to_be_named(shop: Project, tmp_path_factory: object) -> None:
    settings = shop.root / "settings.py"
    elsewhere = shop.root.parent / f"{shop.root.name}-elsewhere"
    elsewhere.mkdir()
    (shop.root / "shop").rename(elsewhere / "shop")
    env = {"PYTHONPATH": f"{shop.environment()['PYTHONPATH']}:{elsewhere}"}
    for command in ("zanith_generate --check", "zanith_plan", "zanith_apply", "zanith_verify"):
        done = shop.manage(*command.split(), env=env)
        assert done.returncode == 3
        assert f"no installed app is in {shop.root}, outside" in done.stderr
        assert 'ZANITH = {"APPS": ["shop"]}' in done.stderr
    settings.write_text(settings.read_text() + "ZANITH['APPS'] = ['shop']\n")
    shop.manage("zanith_generate", env=env, check=True)


# --- what generate reports -----------------------------------------------------------------------


def test_every_written_file_is_named(shop: Project) -> None:
    done = shop.manage("zanith_generate", "--timestamp", "20260101_000000", check=True)
    for path in files(shop):
        assert str(path.relative_to(shop.root)) in done.stdout


def test_nothing_is_written_into_apps_without_migrations(project: BuildProject) -> None:
    built = project({"shop": BOOK, "bare": "", "plain": BOOK.replace("Book", "Plain")})
    built.manage("makemigrations", "shop", "-v0", check=True)
    for path in (built.root / "plain/migrations").glob("*.py"):
        path.unlink()
    (built.root / "plain/migrations").rmdir()

    built.manage("zanith_generate", check=True)

    assert not (built.root / "bare/zanith_migrations").exists()
    assert not (built.root / "plain/zanith_migrations").exists()
    for arguments in ((), ("--check",)):
        said = built.manage("zanith_generate", *arguments, check=True).stdout
        assert "plain has models and no migrations: run makemigrations plain, or" in said
        assert "Managed: bare, shop." in said


@pytest.mark.parametrize("verbosity", ["0", "3"])
def test_verbosity_is_as_in_django(shop: Project, verbosity: str) -> None:
    first = shop.manage("zanith_generate", "-v", verbosity, check=True).stdout
    again = shop.manage("zanith_generate", "-v", verbosity, check=True).stdout
    plan = shop.manage("zanith_plan", "-v", verbosity, check=True).stdout
    refused = shop.manage("zanith_plan", "-v", verbosity, "--max-risk", "1").stdout
    if verbosity == "0":
        assert (first, again, plan) == ("", "", "")
    else:
        assert "create table shop_book" in first
        assert "CREATE TABLE" in plan
    assert "over the budget of 1" in refused


# --- makemigrations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "says"),
    [
        (RENAMED, "shop.book.title to name"),
        (BOOK.replace("Book", "Volume"), "model shop.Book to Volume"),
    ],
)
def test_a_rename_that_no_user_can_confirm_is_refused(
    shop: Project, models: str, says: str
) -> None:
    shop.manage("zanith_generate", check=True)
    before = files(shop), sorted((shop.root / "shop/migrations").glob("*.py"))
    shop.write("shop/models.py", models)

    done = shop.manage("zanith_generate")

    assert done.returncode == 1
    assert says in done.stderr
    assert "run makemigrations shop in a terminal" in done.stderr
    assert "makemigrations --no-input shop" in done.stderr
    assert (files(shop), sorted((shop.root / "shop/migrations").glob("*.py"))) == before
    assert f"renamed {says}?" in shop.manage("zanith_generate", "--dry-run", check=True).stdout

    shop.manage("makemigrations", "--no-input", "shop", check=True)
    shop.manage("zanith_generate", check=True)


def test_a_rename_in_another_app_is_not_in_the_way(project: BuildProject) -> None:
    built = project({"shop": BOOK, "other": BOOK})
    built.manage("makemigrations", "shop", "other", "-v0", check=True)
    built.manage("zanith_generate", check=True)
    built.write("other/models.py", RENAMED)
    built.write("shop/models.py", BOOK + "    pages = models.IntegerField(null=True)\n")
    built.manage("zanith_generate", "shop", check=True)
    assert len(files(built)) == 3


def test_the_makemigrations_of_the_project_has_the_last_word(project: BuildProject) -> None:
    built = project({"shop": BOOK})
    built.manage("makemigrations", "shop", "-v0", check=True)
    built.manage("zanith_generate", check=True)
    built.write("shop/models.py", BOOK.replace("=20", "=20, help_text='Ignored.'"))
    assert built.manage("zanith_generate", "--check").returncode == 1

    built.write("shop/management/commands/makemigrations.py", OWN_COMMAND)
    for arguments in (("--check",), ("--dry-run",), ()):
        said = built.manage("zanith_generate", *arguments, check=True).stdout
        assert "No changes: every migration has its file." in said
