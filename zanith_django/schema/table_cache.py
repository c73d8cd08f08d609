"""The cache of tables that PostgreSQL read back, by the hash of everything that the result depends
on."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import constant_time_compare, salted_hmac

from zanith_django.schema.graph import Table
from zanith_django.schema.stored import encode, reader

FILE = "tables.json"
FORMAT = 2
ROOM = 5000
"""Entries kept beside those of the last run: the tables of many historical states fit."""


def key_of(context: str, name: str, statements: Iterable[str]) -> str:
    """The key of one table; `context` is what all tables of a run have in common."""
    digest = hashlib.blake2b(context.encode(), digest_size=20)
    for text in (name, *statements):
        digest.update(b"\0")
        digest.update(text.encode())
    return digest.hexdigest()


@functools.cache
def reader_digest() -> str:
    """Changes with every change of the code that reads and stores tables."""
    here = Path(__file__).parent
    files = [*sorted((here / "queries").glob("*.sql")), *sorted(here.glob("*.py"))]
    digest = hashlib.blake2b(digest_size=20)
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


class TableCache:
    """A JSON file in a folder, read once and written whole. Without a folder it holds nothing.

    A file that cannot be read or written is ignored. So is one that another user may have written,
    or that has no seal by this project's SECRET_KEY, because its content becomes part of SQL.
    """

    def __init__(self, folder: Path | None) -> None:
        self.file = folder / FILE if folder else None
        self._stored = self._load()
        self._used: dict[str, Any] = {}
        self._reader = reader()
        self._changed = False

    def get(self, key: str) -> Table | None:
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            table: Table = self._reader.read(Table, self._stored[key])
            self._used[key] = self._stored[key]
            return table
        return None

    def put(self, key: str, table: Table) -> None:
        self._used[key] = encode(table)
        self._changed = True

    def save(self) -> None:
        """Rewrites the file if there are new entries; drops the oldest ones if there are too
        many."""
        if self.file is None or not self._changed:
            return
        others = [item for item in self._stored.items() if item[0] not in self._used]
        text = json.dumps(dict(others[-ROOM:]) | self._used)
        with suppress(OSError, ImproperlyConfigured):
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_private(os.lstat(self.file.parent), stat.S_ISDIR):
                _replace(self.file, f"{seal_of(text)}\n{text}")

    def _load(self) -> dict[str, Any]:
        if self.file is None:
            return {}
        with suppress(OSError, ValueError, TypeError, ImproperlyConfigured):
            seal, _, text = _read_private(self.file).partition("\n")
            if constant_time_compare(seal, seal_of(text)):
                return dict(json.loads(text))
        return {}


def seal_of(text: str) -> str:
    """Only a holder of the SECRET_KEY can compute it."""
    return salted_hmac(f"{__name__}.{FORMAT}", text, algorithm="sha256").hexdigest()


def _read_private(file: Path) -> str:
    """The text of a file that no other user can have written. Raises `OSError`."""
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with open(handle, encoding="utf-8") as source:
        if not _is_private(os.fstat(handle), stat.S_ISREG):
            raise PermissionError(f"{file} may be of another user")
        return source.read()


def _is_private(found: os.stat_result, kind: Callable[[int], bool]) -> bool:
    """Is it of the expected kind, owned by this user, and writable by no other?"""
    ours = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return kind(found.st_mode) and ours and not found.st_mode & 0o022


def _replace(file: Path, text: str) -> None:
    """Writes a file so that another process sees either the old or the new one as a whole."""
    handle, path = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(handle, "w") as target:
            target.write(text)
        os.replace(path, file)
    except BaseException:
        os.unlink(path)
        raise
