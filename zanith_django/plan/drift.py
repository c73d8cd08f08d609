"""The origin of a difference between a database and the models: before the plan, or from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.diff.diff import diff
from zanith_django.diff.differ import HARD
from zanith_django.exceptions import UnreadableModel
from zanith_django.files.files import managed_apps
from zanith_django.operations import Operation
from zanith_django.operations.base import to_data
from zanith_django.plan.comparison import LIVE, MODELS, Sources
from zanith_django.plan.search_path import found_elsewhere, unqualified
from zanith_django.schema.equality import as_declared
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.models import Declared
from zanith_django.timeline.timeline import Timeline, django_order
from zanith_django.timeline.walk import Walk

BEFORE, PLAN = "before", "plan"
ANY = "any"


def origins(
    connection: BaseDatabaseWrapper,
    timeline: Timeline,
    before: SchemaGraph,
    differences: Iterable[Operation],
    models: Declared,
) -> Iterator[tuple[Operation, str]]:
    """Each difference that remains after the plan, with its origin.

    `timeline` and `before` are those from before the plan ran. A difference existed before if
    the database had it then too, compared with the models as they were at the migrations that are
    applied: what a later migration asks for is no difference yet. If PostgreSQL refuses a model of
    that time, no difference counts as one from before.

    The models of an app that zanith does not manage may ask for more than its migrations make. What
    the database lacked of that before is no difference of a plan that runs none of its migrations.
    """
    known: list[dict[str, Any]] = []
    with suppress(UnreadableModel):
        known = [_plain(each) for each in _there_before(connection, timeline, before)]
    known += [_plain(each) for each in _of_other_apps(connection, timeline, before, models)]
    for operation in differences:
        yield operation, BEFORE if _plain(operation) in known else PLAN


def _there_before(
    connection: BaseDatabaseWrapper, timeline: Timeline, before: SchemaGraph
) -> tuple[Operation, ...]:
    walk = Walk(connection, HARD)
    for key in django_order(timeline.loader):
        if key in timeline.loader.applied_migrations:
            walk.skip(timeline.django(key))
    wanted = walk.declared(sorted(walk.tables.models))
    found = unqualified(before, found_elsewhere(connection))
    live = as_declared(found.only(wanted.graph.table_names), wanted.graph, wanted.facts).live
    ends = _renamed(live, timeline), _renamed(wanted.graph, timeline)
    return diff(*ends, drop=HARD, overlapping=False)


def _of_other_apps(
    connection: BaseDatabaseWrapper, timeline: Timeline, before: SchemaGraph, models: Declared
) -> Iterator[Operation]:
    ours = {config.label for config in managed_apps()}
    ours |= {key[0] for entry in timeline.pending for key in entry.covers}
    others = {name for name, label in models.labels.items() if label.partition(".")[0] not in ours}
    if others:
        found = Sources(connection, models, live=before).compare(LIVE, MODELS).operations
        yield from (operation for operation in found if others.issuperset(operation.tables))


def _renamed(graph: SchemaGraph, timeline: Timeline) -> SchemaGraph:
    """The graph under the names that pending files give to tables and their parts."""
    for entry in timeline.pending:
        for operation in entry.migration.operations if entry.migration else ():
            if operation.renames_only and all(name in graph for name in operation.tables):
                graph = operation.apply_to(graph)
    return graph


def _plain(operation: Operation) -> dict[str, Any]:
    """The operation as data, without the model, which a migration may have renamed."""
    return {**to_data(operation), "model": ""}
