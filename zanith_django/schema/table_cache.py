"""Tables that PostgreSQL read back before, by the hash of all that the answer depends on."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from zanith_django.schema.graph import Table, encode, reader

FILE = "tables.json"
FORMAT = 1
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

    It is only ever a shortcut: a file that cannot be read or written is as good as none.
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
        """Write the file anew if there is something new; the oldest entries make room."""
        if self.file is None or not self._changed:
            return
        others = [item for item in self._stored.items() if item[0] not in self._used]
        tables = dict(others[-ROOM:]) | self._used
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            _replace(self.file, json.dumps({"format": FORMAT, "tables": tables}))

    def _load(self) -> dict[str, Any]:
        if self.file is None:
            return {}
        with suppress(OSError, ValueError, KeyError, TypeError):
            data = json.loads(self.file.read_bytes())
            if data["format"] == FORMAT:
                return dict(data["tables"])
        return {}


def _replace(file: Path, text: str) -> None:
    """Write a file so that another process sees the old one or the new one, never half."""
    handle, path = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(handle, "w") as target:
            target.write(text)
        os.replace(path, file)
    except BaseException:
        os.unlink(path)
        raise
