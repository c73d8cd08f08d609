"""The input of a stage: the graphs, files and timeline of one project on one database."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.files.files import load_all
from zanith_django.ledger.ledger import Ledger
from zanith_django.schema.catalog import from_catalog
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.models import Declared, project_models
from zanith_django.timeline.foundations import preludes_of_migrations
from zanith_django.timeline.ignored import compared
from zanith_django.timeline.lost_parts import lost_parts
from zanith_django.timeline.reading import read_models
from zanith_django.timeline.timeline import Timeline, build, load_django


def read_timeline(connection: BaseDatabaseWrapper, ledger: Ledger | None = None) -> Timeline:
    """The timeline by files, Django's record and the ledger."""
    applied = (ledger or Ledger(connection)).applied()
    return build(load_django(connection), load_all(), applied)


def offline_timeline() -> Timeline:
    """The timeline by files alone."""
    return build(load_django(None), load_all())


ONLY_SCHEMA = "ZANITH_ONLY_SCHEMA"
"""A key of an entry of DATABASES: the only schema that its connections see. A shadow has it."""


def live_graph(connection: BaseDatabaseWrapper) -> SchemaGraph:
    """The schema that the database has; with the tables of IGNORE, which steps may change."""
    only = connection.settings_dict.get(ONLY_SCHEMA)
    inside = {"schemas": [only], "default_schema": only} if only else {}
    with connection.wrap_database_errors, connection.cursor() as cursor:
        return from_catalog(cursor, **inside)


def declared(connection: BaseDatabaseWrapper) -> Declared:
    """The schema that the models of this database ask for, without the tables of setting IGNORE.

    A model may need an extension or a function that a pending migration creates: the scratch
    creates it too.
    """

    def more() -> Iterator[list[str]]:
        made, raw = preludes_of_migrations(load_all())
        yield made
        yield [*made, *raw]

    found = read_models(connection, project_models(connection.alias), more=more())
    graph = compared(found.graph)
    labels = {name: label for name, label in found.labels.items() if name in graph}
    facts = dataclasses.replace(found.facts, **lost_parts(connection, graph)._asdict())
    return dataclasses.replace(found, graph=graph, labels=labels, facts=facts)
