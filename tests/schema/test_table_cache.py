"""The cache of tables believes only what this user wrote with the project's key."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Table
from zanith_django.schema.stored import encode
from zanith_django.schema.table_cache import FILE, TableCache
from zanith_django.timeline.reading import cache_folder

THING = Table(name=TableName("", "thing"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "cache" / "project"
    cache = TableCache(folder)
    cache.put("key", THING)
    cache.save()
    assert TableCache(folder).get("key") == THING
    return folder


def test_no_other_user_can_read_or_write_it(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600


def planted(file: Path) -> None:
    """Other content, by someone who does not have the key."""
    seal, text = file.read_text().split("\n")
    data = json.loads(text)
    data["key"] = encode(Table(name=TableName("", "other")))
    file.write_text(f"{seal}\n{json.dumps(data)}")


def writable(file: Path) -> None:
    file.chmod(0o666)


def linked(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def of_another_user(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(file, 12345, -1)


@pytest.mark.parametrize("change", [planted, writable, linked, of_another_user])
def test_what_another_user_may_have_written_is_not_read(
    folder: Path, change: Callable[[Path], None]
) -> None:
    change(folder / FILE)
    assert TableCache(folder).get("key") is None


def test_another_project_with_another_key_reads_nothing(folder: Path, settings: Any) -> None:
    settings.SECRET_KEY = "another"
    assert TableCache(folder).get("key") is None


def test_nothing_is_written_into_a_folder_of_others(folder: Path) -> None:
    (folder / FILE).unlink()
    folder.chmod(0o777)
    cache = TableCache(folder)
    cache.put("key", THING)
    cache.save()
    assert not (folder / FILE).exists()


def test_it_is_in_the_cache_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(cache_folder()).startswith("/somewhere/zanith_django/")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/them")
    assert str(cache_folder()).startswith("/home/them/.cache/zanith_django/")
