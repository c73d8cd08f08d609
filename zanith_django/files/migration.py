"""A migration: an ordered list of operations, and the Django migrations that it covers."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from zanith_django.operations.base import Operation, to_data

DJANGO_PREFIX = "django:"
RECOVER_PREFIX = "recover:"


def is_djangos(migration_id: str) -> bool:
    """Is it the id in the ledger of a Django migration that Django itself runs?"""
    return migration_id.startswith(DJANGO_PREFIX)


def is_recovery(migration_id: str) -> bool:
    """Is it the id in the ledger of work on an artifact?"""
    return migration_id.startswith(RECOVER_PREFIX)


class Migration:
    """Base of the class in a migration file; a file only fills in these attributes.

    `covers` lists Django migrations ("shop.0007_user_last_login") whose work this one does,
    `requires` zanith ids or Django migrations that must run before it, `approved` lifts budget
    """

    covers: ClassVar[list[str]] = []
    requires: ClassVar[list[str]] = []
    operations: ClassVar[list[Operation]] = []
    approved: ClassVar[dict[str, str]] = {}


@dataclass(frozen=True)
class LoadedMigration:
    """A migration as read from its file. `id` is the file's stem, `app_label` whose folder it
    lies in, `checksum` the SHA-256 of the file's text."""

    id: str
    app_label: str
    operations: tuple[Operation, ...]
    covers: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    approved: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    checksum: str = ""

    @functools.cached_property
    def digests(self) -> tuple[str, ...]:
        """One digest per step: a step that is done may not change afterwards."""
        return tuple(digest(operation) for operation in self.operations)


_SORTED = json.JSONEncoder(sort_keys=True)


def digest(operation: Operation) -> str:
    """Short SHA-256 of an operation's data."""
    text = _SORTED.encode(to_data(operation))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
