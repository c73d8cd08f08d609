"""The README's first run, command by command, with the output that it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.copies import Copy
from tests.project import BASE_APPS, REPOSITORY, SETTINGS, Project
from tests.releases import Releases

FIELD = "legacy_uuid = models.UUIDField(default=uuid.uuid4)"
MODELS = f"""
import uuid

from django.db import models


class User(models.Model):
    email = models.TextField()
    {FIELD}

    class Meta:
        db_table = "users"
"""
WITHOUT = MODELS.replace(FIELD, "last_login = models.DateTimeField(null=True, db_index=True)")

# What differs from run to run: stamps, times and fingerprints.
CHANGING = (r"\d{8}_\d{6}", r"[\d.]+ m?s\b", r"fingerprint: \w+")


def before_the_release(releases: Releases) -> None:
    project = releases.project
    project.write("settings.py", SETTINGS.format(apps=[*BASE_APPS, "accounts"]))
    project.add_app("accounts", MODELS)
    project.manage("makemigrations", "accounts", check=True)
    project.manage("migrate", check=True)
    project.sql(
        "INSERT INTO users (email, legacy_uuid) "
        "SELECT n || '@example.org', gen_random_uuid() FROM generate_series(1, 50000) AS n; ANALYZE"
    )
    project.write("accounts/models.py", WITHOUT)


@pytest.fixture
def users(copy_of: Copy) -> Project:
    return copy_of(before_the_release).project


def shown() -> Iterator[tuple[list[str], str]]:
    """(words of a command, its output) of each one in the README's first run."""
    readme = (REPOSITORY / "README.md").read_text()
    section = readme.partition("## A first run\n")[2].partition("\n## ")[0]
    for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
        for text in block.split("$ ./manage.py ")[1:]:
            command, _, output = text.partition("\n")
            yield shlex.split(command), output


def steady(text: str) -> str:
    for pattern in CHANGING:
        text = re.sub(pattern, "…", text)
    return " ".join(text.split())


def test_the_first_run_goes_as_the_readme_shows_it(users: Project) -> None:
    values = users.sql("SELECT id, legacy_uuid FROM users ORDER BY id")
    output = ""
    for words, expected in shown():
        done = users.manage(*words)
        output = done.stdout
        assert steady(expected) == steady(output), words

    field, *_ = re.findall(r"^    (\w+ = .*)$", output, re.MULTILINE)
    users.sql("INSERT INTO users (email) VALUES ('by code that does not know it')")
    login = "last_login = models.DateTimeField(null=True, db_index=True)"
    users.write("accounts/models.py", WITHOUT.replace(login, f"{login}\n    {field}"))
    for command in re.findall(r"manage\.py (zanith_\w+)$", output, re.MULTILINE):
        users.manage(command, check=True)

    assert users.sql("SELECT id, legacy_uuid FROM users ORDER BY id")[:50_000] == values
    assert users.sql("SELECT count(*) FROM users WHERE legacy_uuid IS NULL") == [(0,)]
    users.manage("zanith_diff", "models", "live", check=True)
