"""No password of the settings or of an argument is printed, logged or on a command line."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.copies import Copy
from tests.project import Project
from tests.recover.test_recover import TARGET, nullable_column_dropped
from tests.releases import Releases

PASSWORD = "marker-7c4e"

DIFF = "zanith_diff models live --format json --traceback"
COMMANDS = [
    "check --database default",
    "zanith_generate --dry-run",
    "zanith_generate --check",
    "zanith_plan",
    "zanith_plan --format json",
    "zanith_plan --format sql",
    "zanith_plan --format markdown",
    "zanith_status",
    "zanith_status --format json",
    "zanith_history --verbose",
    "zanith_history --format json",
    "zanith_diff models live",
    "zanith_diff models live --format json",
    "zanith_diff live --format graph",
    "zanith_verify",
    "zanith_verify --format json",
    "zanith_baseline --no-files",
    "zanith_recover list --format json",
    f"zanith_recover inspect {TARGET}",
    f"zanith_recover export {TARGET}",
    f"zanith_recover restore-column {TARGET}",
    f"zanith_recover reseed {TARGET}",
    f"zanith_recover purge {TARGET} --yes",
    "zanith_recover cleanup --yes",
    "zanith_apply",
    "zanith_rollback --steps 1 --no-input",
]

LOUD = """
DEBUG = True
LOGGING = {
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "DEBUG"},
}
"""
UNREACHABLE = f"postgres://shop:{PASSWORD}@127.0.0.1:1/shop"

# Where a password is, beside the alias that is worked on.
PLACES = {
    "right": "",
    "unreachable": """
        DATABASES["default"].update(HOST="127.0.0.1", PORT="1")
    """,
    "unknown option": """
        DATABASES["default"]["OPTIONS"] = {"nothing": "1"}
    """,
    "direct": """
        DATABASES["direct"] = DATABASES["default"] | {"PORT": "1"}
        ZANITH = {"DIRECT": "direct"}
    """,
    "direct as a URL": f'ZANITH = {{"DIRECT": {UNREACHABLE!r}}}',
    **{
        f"{key.lower()} {number}": f"ZANITH = {{{key!r}: {url!r}}}"
        for key in ("SHADOW", "SCRATCH")
        for number, url in enumerate(
            (
                UNREACHABLE,
                f"{UNREACHABLE}?nothing=1",
                f"postgres://shop:{PASSWORD}/%zz@127.0.0.1:1/shop",
                f"postgres://shop:%zz{PASSWORD}@127.0.0.1:1/shop",
                f"postgres:/shop:{PASSWORD}@127.0.0.1:1/shop",
                f"postgres://shop:{PASSWORD}@127.0.0.1:port/shop",
                f"postgres://shop:1@{PASSWORD}@127.0.0.1:1/shop",
                f"host=127.0.0.1 port=1 password={PASSWORD}",
            )
        )
    },
}


MODELS = """
from django.db import models

class Book(models.Model):
    cents = models.{kind}()
"""


def with_a_view_in_the_way(releases: Releases) -> None:
    releases.start(MODELS.format(kind="IntegerField"))
    releases.project.sql("CREATE VIEW cents_view AS SELECT cents FROM people_book")
    releases.project.write("people/models.py", MODELS.format(kind="TextField"))
    releases.project.manage("zanith_generate", check=True)


def with_password(project: Project) -> str:
    """The URL of the project's database with a password, which its server does not ask for."""
    parts = urlsplit(project.database.url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{PASSWORD}@{place}"))


def told(project: Project, commands: Iterable[str]) -> dict[str, list[str]]:
    """The lines of each command in which the password is."""
    found = {}
    for command in commands:
        done = project.manage(*command.split(), env={"DATABASE_URL": with_password(project)})
        lines = (done.stdout + done.stderr).splitlines()
        found[command] = [line for line in lines if PASSWORD in line]
    return {command: lines for command, lines in found.items() if lines}


def set_up(project: Project, place: str) -> None:
    with (project.root / "settings.py").open("a") as file:
        file.write(LOUD + "\n".join(line.strip() for line in PLACES[place].splitlines()))


def test_no_command_prints_or_logs_a_password(copy_of: Copy) -> None:
    project = copy_of(nullable_column_dropped).project
    set_up(project, "right")
    assert told(project, COMMANDS) == {}


@pytest.mark.parametrize("place", [place for place in PLACES if place != "right"])
def test_no_error_quotes_a_password(copy_of: Copy, place: str) -> None:
    project = copy_of(nullable_column_dropped).project
    set_up(project, place)
    commands = ("check", "zanith_verify --traceback", DIFF)
    assert told(project, commands) == {}


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_verify_that_is_refused_names_its_shadow_without_a_password(
    copy_of: Copy, form: str
) -> None:
    project = copy_of(with_a_view_in_the_way).project
    done = project.manage("zanith_verify", "--shadow", UNREACHABLE, "--format", form)
    assert "cents_view" in done.stdout
    assert "shop on 127.0.0.1:1" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("typed", [UNREACHABLE.replace("://", ":/"), f"password:{PASSWORD}"])
def test_a_mistyped_shadow_is_not_quoted(copy_of: Copy, typed: str) -> None:
    project = copy_of(nullable_column_dropped).project
    done = project.manage("zanith_verify", "--shadow", typed, "--traceback")
    assert done.returncode != 0
    assert "--shadow is neither a shape nor an alias of DATABASES." in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
