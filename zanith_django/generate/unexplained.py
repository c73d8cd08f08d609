"""Files for differences that no Django migration explains: between models and database, or between
models and an empty schema."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.diff.diff import diff
from zanith_django.diff.differ import Hints
from zanith_django.exceptions import InvalidArgument
from zanith_django.files.files import NewFile, folder_of, render_migration
from zanith_django.generate.generate import (
    Generated,
    Request,
    covered_since,
    inits,
    last_of,
    name_of,
    slug_of,
    stamps,
)
from zanith_django.operations import Operation
from zanith_django.plan.search_path import found_elsewhere, unqualified
from zanith_django.postgres.names import TableName
from zanith_django.schema.equality import as_declared
from zanith_django.schema.findings import Extra
from zanith_django.schema.graph import SchemaGraph, Table
from zanith_django.schema.models import Declared, project_models
from zanith_django.timeline.ignored import compared
from zanith_django.timeline.project import declared, live_graph, read_timeline
from zanith_django.timeline.timeline import Entry, Timeline


def generate_from_diff(connection: BaseDatabaseWrapper, request: Request) -> Generated:
    """Files for differences that no Django migration explains: live with all pending work folded
    in, against the models. Only `drop_extra` drops extras; those that no operation can drop are
    reported."""
    timeline = read_timeline(connection)
    live = unqualified(live_graph(connection), found_elsewhere(connection))
    for operation in _operations(timeline.pending):
        live = operation.apply_to(live)
    wanted = declared(connection)
    owned = _owned(connection, request.apps, wanted)
    comparison = as_declared(compared(live), wanted.graph, wanted.facts)
    before, left = comparison.live, []
    names = {name for tables in owned.values() for name in tables}
    for extra in comparison.extras if request.drop_extra else ():
        if extra.table in names:
            with_it = _with_extra(before, extra)
            left += [] if with_it else [extra.description]
            before = with_it or before
    before = dataclasses.replace(before, schemas=live.schemas)
    title = "What the models of {app} declare and the database lacked."
    parts = _Parts(before, wanted, request.drop).of(owned)
    return dataclasses.replace(_files(timeline, parts, request, title), left=tuple(left))


def generate_from_empty(connection: BaseDatabaseWrapper, request: Request) -> Generated:
    """Files that create the declared schema of apps without Django migrations, except what their
    files create already. They do not depend on a database."""
    timeline = read_timeline(connection)
    wanted = declared(connection)
    owned = _owned(connection, request.apps, wanted)
    configs = {config.label: config for config in owned}
    before = SchemaGraph()
    for entry in timeline.entries:
        made = before
        for operation in entry.migration.operations if entry.migration else ():
            made = operation.apply_to(made)
        new = set(made.table_names) - set(before.table_names) - set(wanted.labels)
        if (config := configs.get(entry.app_label)) is not None:
            owned[config] += tuple(sorted(new))  # of models that no longer exist
        before = made
    title = "What the models of {app} ask for, from nothing."
    parts = _Parts(before, wanted, request.drop).of(owned)
    return _files(timeline, parts, request, title, first="initial")


def _operations(entries: Iterable[Entry]) -> Iterator[Operation]:
    for entry in entries:
        yield from entry.migration.operations if entry.migration else ()


def without_django_migrations(
    connection: BaseDatabaseWrapper, configs: Sequence[AppConfig], named: bool
) -> tuple[AppConfig, ...]:
    """The apps that have no Django migrations. Raises `InvalidArgument` if a named app has some:
    a zanith file accompanies each of these, or covers it."""
    migrated = read_timeline(connection).loader.migrated_apps
    for config in configs if named else ():
        if config.label in migrated:
            hint = f"zanith_generate {config.label} writes a file for each of them."
            raise InvalidArgument(f"{config.label} has Django migrations.", hint)
    return tuple(config for config in configs if config.label not in migrated)


# --- which tables, in which file -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """The operations of one file, and the apps whose tables it points at."""

    config: AppConfig
    operations: tuple[Operation, ...]
    points_at: frozenset[str]
    late: bool = False


class _Parts:
    """The operations from one schema to that of the models, app by app, so that referenced tables
    come first. Foreign keys that close a cycle of apps come in files of their own, at the end."""

    def __init__(self, before: SchemaGraph, wanted: Declared, drop: str) -> None:
        self.now, self.wanted, self.drop = before, wanted, drop
        self.schemas = set(before.schemas)

    def of(self, owned: Mapping[AppConfig, tuple[TableName, ...]]) -> Iterator[_Part]:
        waiting, closing = dict(owned), []
        while waiting:
            config = min(waiting, key=lambda config: len(self._missing(config, waiting)))
            missing = self._missing(config, waiting)
            names = waiting.pop(config)
            yield from self._part(config, names, missing)
            if missing:
                closing.append(config)
        for config in closing:
            yield from self._part(config, owned[config], frozenset(), late=True)

    def _missing(
        self, config: AppConfig, waiting: Mapping[AppConfig, tuple[TableName, ...]]
    ) -> frozenset[TableName]:
        """Tables of other apps that this one references and that do not exist yet."""
        others = {name for other, names in waiting.items() if other != config for name in names}
        return frozenset(self._referenced(waiting[config]) & others - set(self.now.table_names))

    def _referenced(self, names: Iterable[TableName]) -> set[TableName]:
        tables = filter(None, map(self.wanted.graph.table, names))
        return {key.references for table in tables for key in table.foreign_keys}

    def _part(
        self,
        config: AppConfig,
        names: tuple[TableName, ...],
        missing: frozenset[TableName],
        *,
        late: bool = False,
    ) -> Iterator[_Part]:
        ends = self._referenced(names) - set(names) - missing
        around = [self.now.table(end) or self.wanted.graph.table(end) for end in sorted(ends)]
        found = [self.wanted.graph.table(name) for name in names]
        asked = [_without_keys(table, missing) for table in found if table]
        before = self._graph([*filter(None, map(self.now.table, names)), *filter(None, around)])
        after = self._graph([*asked, *filter(None, around)])
        schemas = {table.name.schema for table in asked} - {"", *self.schemas}
        self.schemas |= schemas
        after = dataclasses.replace(after, schemas=tuple(schemas))
        operations = diff(before, after, Hints(labels=self.wanted.labels), drop=self.drop)
        kept = [table for table in self.now.tables if table.name not in set(names)]
        self.now = self._graph([*kept, *asked])
        if operations:
            labels = (self.wanted.labels.get(end, "").split(".")[0] for end in ends)
            yield _Part(config, operations, frozenset(filter(None, labels)) - {config.label}, late)

    def _graph(self, tables: Iterable[Table]) -> SchemaGraph:
        return SchemaGraph(tables=tuple(tables), default_schema=self.now.default_schema)


def _without_keys(table: Table, missing: Collection[TableName]) -> Table:
    keys = tuple(key for key in table.foreign_keys if key.references not in missing)
    return dataclasses.replace(table, foreign_keys=keys)


def _owned(
    connection: BaseDatabaseWrapper, configs: Iterable[AppConfig], wanted: Declared
) -> dict[AppConfig, tuple[TableName, ...]]:
    """{app: its tables}; a table that several apps declare is the first one's."""
    owned: dict[AppConfig, tuple[TableName, ...]] = {}
    taken: set[TableName] = set()
    for config in configs:
        labels = {model._meta.label for model in project_models(connection.alias, [config])}
        owned[config] = tuple(
            name
            for name, label in wanted.labels.items()
            if name not in taken and (label in labels or label.split(".")[0] == config.label)
        )
        taken.update(owned[config])
    return owned


# --- the files -----------------------------------------------------------------------------------


def _files(
    timeline: Timeline, parts: Iterable[_Part], request: Request, title: str, first: str = ""
) -> Generated:
    """Files that cover nothing. Each requires the last entry of its app on the timeline, and those
    of the apps that its foreign keys reference. `first` is the name of an app's first file."""
    following = stamps(request.stamp)
    taken = {entry.id for entry in timeline.entries}
    files: dict[Path, NewFile] = {}
    summaries: list[tuple[str, tuple[Operation, ...]]] = []
    last: dict[str, str] = {}
    for part in parts:
        label = part.config.label
        own = [last[label]] if label in last else last_of(timeline, label)
        named = request.name or ("" if own else first) or name_of(part.operations)
        slug = slug_of(f"{label}_foreign_keys" if part.late else named, label, taken)
        migration_id = f"{next(following)}_{slug}"
        taken.add(migration_id)
        for app in sorted(part.points_at):
            own += [last[app]] if app in last else last_of(timeline, app)
        last[label] = migration_id
        requires, text = list(dict.fromkeys(own)), title.format(app=label)
        written = render_migration(part.operations, requires=requires, title=text)
        made = NewFile(folder_of(part.config) / f"{migration_id}.py", written)
        for file in (*inits([part.config], covered_since(timeline, [part.config])), made):
            files[file.path] = file
        summaries.append((migration_id, part.operations))
    return Generated(tuple(files.values()), tuple(summaries))


# --- what no model names -------------------------------------------------------------------------


def _with_extra(graph: SchemaGraph, extra: Extra) -> SchemaGraph | None:
    """The graph with the extra, so that the difference drops it; None if no operation does."""
    part, setting = extra.part, extra.setting
    if part is None or setting is None:
        missing = part or setting
        if missing is None or missing.read_only:
            return None
        return graph.changed(extra.table, functools.partial(_with_whole, extra=extra))
    table = graph.table(extra.table)
    if table is None or setting.name not in part.altered:
        return None  # only a new constraint would lack it
    for item in part.of(table):
        if item.name == extra.name:
            spoken: dict[str, Any] = {setting.name: getattr(extra.item, setting.name)}
            changed = dataclasses.replace(item, **spoken)
            return graph.with_table(table.with_item(part.field, changed))
    return None


def _with_whole(table: Table, extra: Extra) -> Table:
    """The table with an item of a part, or with a setting of its own."""
    if extra.part:
        return table.with_item(extra.part.field, extra.item)
    assert extra.setting
    setting: dict[str, Any] = {extra.setting.name: extra.item}
    return dataclasses.replace(table, **setting)
