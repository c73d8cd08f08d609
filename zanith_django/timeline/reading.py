"""Reads the declarations of models in a scratch with the objects that their tables need."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from zanith_django.conf import conf
from zanith_django.exceptions import UnreadableModel
from zanith_django.schema.models import Declared, from_models


def read_models(
    connection: BaseDatabaseWrapper,
    models: Sequence[type[Model]],
    *,
    prelude: Sequence[str] = (),
    more: Iterable[Sequence[str]] = (),
) -> Declared:
    """The declarations of these models. If reading fails after `prelude`, each of `more` is tried.
    Raises `UnreadableModel`."""
    tried: list[Sequence[str]] = []
    for made in itertools.chain([prelude], more):
        if made in tried:
            continue
        tried.append(made)
        try:
            return from_models(
                connection,
                models,
                prelude=made,
                cache=cache_folder(),
                scratch=conf.scratch or None,
            )
        except UnreadableModel as error:
            unreadable = error
    raise unreadable


def cache_folder() -> Path | None:
    """The folder of the table cache; one per project, in the cache folder of the user. None for a
    user without a home folder."""
    project = hashlib.sha256(str(settings.SETTINGS_MODULE).encode() + _place()).hexdigest()[:12]
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        caches = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return caches / "zanith_django" / project


def _place() -> bytes:
    return str(getattr(settings, "BASE_DIR", Path.cwd())).encode()
