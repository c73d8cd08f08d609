"""The input of a stage: the graphs, files and timeline of one project on one database."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from zanith_django.conf import conf
from zanith_django.exceptions import UnreadableModel
from zanith_django.files.files import load_all
from zanith_django.ledger.ledger import Ledger
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.models import Declared, from_models, project_models
from zanith_django.timeline.foundations import preludes_of_migrations
from zanith_django.timeline.ignored import compared
from zanith_django.timeline.timeline import Timeline, build, load_django


def read_timeline(connection: BaseDatabaseWrapper, ledger: Ledger | None = None) -> Timeline:
    """The timeline as files, Django's record and the ledger have it."""
    applied = (ledger or Ledger(connection)).applied()
    return build(load_django(connection), load_all(), applied)


def offline_timeline() -> Timeline:
    """The timeline as the files alone have it."""
    return build(load_django(None), load_all())


ONLY_SCHEMA = "ZANITH_ONLY_SCHEMA"
"""A key of an entry of DATABASES: that schema is all that its connections see. A shadow has it."""


def live_graph(connection: BaseDatabaseWrapper) -> SchemaGraph:
    """The schema that the database has; with the tables of IGNORE, which steps may change."""
    only = connection.settings_dict.get(ONLY_SCHEMA)
    inside = {"schemas": [only], "default_schema": only} if only else {}
    with connection.wrap_database_errors, connection.cursor() as cursor:
        return from_catalog(cursor, **inside)


def declared(connection: BaseDatabaseWrapper) -> Declared:
    """The schema that the models of this database ask for, without the tables of setting IGNORE.

    A model may need an extension or a function that a pending migration makes: then the scratch
    makes it too.
    """

    def more() -> Iterator[list[str]]:
        made, raw = preludes_of_migrations(load_all())
        yield made
        yield [*made, *raw]

    found = read_models(connection, project_models(connection.alias), more=more())
    graph = compared(found.graph)
    labels = {name: label for name, label in found.labels.items() if name in graph}
    return dataclasses.replace(found, graph=graph, labels=labels)


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
    """Where tables that PostgreSQL has read back are remembered; one folder per project, in the
    cache folder of the user. None for a user without a home folder."""
    project = hashlib.sha256(str(settings.SETTINGS_MODULE).encode() + _place()).hexdigest()[:12]
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        caches = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return caches / "zanith_django" / project


def _place() -> bytes:
    return str(getattr(settings, "BASE_DIR", Path.cwd())).encode()
