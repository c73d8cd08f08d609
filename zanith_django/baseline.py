"""Baseline: adopt the current database as the beginning of the history, and run nothing.

Migrations whose tables exist are added to Django's record: the states of the migrations show how
far each app has come. Files get their `covered_after`, the ledger gets a snapshot of the phase
`baseline`, and applied migrations without a file are accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from zanith_django.diff.diff import diff
from zanith_django.diff.differ import HARD
from zanith_django.exceptions import CannotAdopt, UnknownMigration
from zanith_django.files.files import NewFile, folder_of, managed_apps, render_init
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.snapshots import BASELINE
from zanith_django.operations import Operation
from zanith_django.plan.integrity import missing_files
from zanith_django.plan.search_path import found_elsewhere, unqualified
from zanith_django.postgres.names import TableName
from zanith_django.run.audit import about, working_session
from zanith_django.schema.ddl import table_of
from zanith_django.schema.equality import as_declared
from zanith_django.schema.findings import Extra
from zanith_django.schema.graph import SchemaGraph
from zanith_django.timeline.django_steps import record_applied
from zanith_django.timeline.ignored import compared
from zanith_django.timeline.project import live_graph, read_timeline
from zanith_django.timeline.timeline import Key, Timeline, django_order, dotted, key_of
from zanith_django.timeline.walk import Walk, works_on_data

Unseen = tuple[Key, Key]
"""A migration, and the one before it in its app."""


@dataclass(frozen=True, slots=True)
class BaselineOptions:
    """`at` names the current migration of apps as "app.migration", whatever their tables are."""

    at: tuple[str, ...] = ()
    dry_run: bool = False
    files: bool = True
    lock_wait: float | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """The findings and, except in a dry run, the changes: Django migrations recorded, files
    written, applied migrations accepted without a file; `snapshot`: a new one was due.

    `unseen` are the recorded migrations that work on data: the schema does not prove that they
    have run.
    """

    recorded: tuple[Key, ...]
    unseen: tuple[Unseen, ...]
    files: tuple[NewFile, ...]
    accepted: tuple[str, ...]
    snapshot: bool

    @property
    def changes(self) -> bool:
        return bool(self.recorded or self.files or self.accepted or self.snapshot)


def baseline(
    connection: BaseDatabaseWrapper,
    options: BaselineOptions,
    on_wait: Callable[[str], None] | None = None,
) -> Baseline:
    """Adopt the database. Run again, it does nothing more. `on_wait` gets the holder of the
    run lock. Raises `CannotAdopt`."""
    with working_session(connection, wait=options.lock_wait, on_wait=on_wait):
        live = live_graph(connection)
        timeline = read_timeline(connection)
        seen = unqualified(live, found_elsewhere(connection))
        recorded, unseen = _Search(connection, timeline, seen).adopted(options.at)
        files = tuple(_inits(timeline, recorded)) if options.files else ()
        ledger = Ledger(connection)
        gone = tuple(missing_files(ledger, timeline))
        # A database that has changed since keeps its first baseline.
        due = (BASELINE, BASELINE) not in ledger.runs()
        found = Baseline(recorded, unseen, files, gone, due)
        if found.changes and not options.dry_run:
            _write(connection, timeline, live, found)
        return found


def _write(
    connection: BaseDatabaseWrapper, timeline: Timeline, live: SchemaGraph, found: Baseline
) -> None:
    """Files first: a repeated run writes the same files."""
    for file in found.files:
        file.write()
    ledger = Ledger(connection)
    ledger.ensure()
    MigrationRecorder(connection).ensure_schema()
    with transaction.atomic(using=connection.alias):
        for key in found.recorded:
            record_applied(connection, timeline.django(key))
        accepted = [*ledger.accepted(), *found.accepted]
        run = {
            **about(connection),
            "accepted": accepted,
            "recorded": [*map(dotted, found.recorded)],
        }
        ledger.write_snapshot(BASELINE, BASELINE, live, run)


def _inits(timeline: Timeline, recorded: Sequence[Key]) -> Iterator[NewFile]:
    """`covered_after` for managed apps without a folder of zanith migrations."""
    applied = {*timeline.loader.applied_migrations, *recorded}
    order = django_order(timeline.loader)
    for config in managed_apps():
        path = folder_of(config) / "__init__.py"
        own = [key[1] for key in order if key in applied and key[0] == config.label]
        if own and not path.exists():
            yield NewFile(path, render_init(config.label, own[-1]))


class _Search:
    """Finds the last migration whose result the tables of each app match."""

    def __init__(
        self, connection: BaseDatabaseWrapper, timeline: Timeline, live: SchemaGraph
    ) -> None:
        self.connection, self.timeline, self.live = connection, timeline, live
        self.order = django_order(timeline.loader)
        self.applied = set(timeline.loader.applied_migrations)

    def adopted(self, at: Sequence[str]) -> tuple[tuple[Key, ...], tuple[Unseen, ...]]:
        """Unrecorded Django migrations whose result exists, in order, and those among them whose
        effect no schema shows."""
        named = self._named(at)
        fits = self._matches([label for label in self._begun() if label not in named]) | named
        adopted = self._up_to(fits)
        while lacking := self._lacking(adopted):
            key, parent = lacking
            if len(fits[key[0]]) == 1:
                why = f"it depends on {dotted(parent)}, whose tables do not exist"
                raise CannotAdopt(dotted(key), [why], dotted(parent))
            fits[key[0]].pop()  # it changes no table, and does not run before its parent
            adopted = self._up_to(fits)
        unseen = tuple(pair for keys in fits.values() for pair in self._unseen(keys))
        return tuple(adopted), unseen

    def _up_to(self, fits: Mapping[str, Sequence[Key]]) -> list[Key]:
        """The unrecorded migrations of these apps up to the last one named."""
        found: set[Key] = set()
        for label, keys in fits.items():
            own = [key for key in self.order if key[0] == label]
            found.update(own[: own.index(keys[-1]) + 1])
        return [key for key in self.order if key in found and key not in self.applied]

    def _lacking(self, adopted: Sequence[Key]) -> tuple[Key, Key] | None:
        """A migration to adopt, and a missing one that it depends on."""
        there = self.applied.union(adopted)
        for key in adopted:
            for parent in self.timeline.loader.graph.forwards_plan(key):
                if parent not in there:
                    return key, (parent[0], parent[1])
        return None

    def _unseen(self, fits: Sequence[Key]) -> Iterator[Unseen]:
        """The migrations after the first fitting one that work on data."""
        own = [key for key in self.order if key[0] == fits[0][0]]
        for before, key in pairwise(own[own.index(fits[0]) : own.index(fits[-1]) + 1]):
            if key not in self.applied and works_on_data(self.timeline.django(key)):
                yield key, before

    def _named(self, at: Sequence[str]) -> dict[str, list[Key]]:
        named = {}
        for name in at:
            key = key_of(name)
            if key not in self.order:
                raise UnknownMigration(name, map(dotted, self.order))
            named[key[0]] = [key]
        return named

    def _begun(self) -> list[str]:
        """Apps with a table that an unrecorded migration creates."""
        begun: dict[str, None] = {}
        walk = Walk(self.connection, HARD)
        for key in self.order:
            before = self._tables(walk, key[0])
            walk.skip(self.timeline.django(key))
            made = self._tables(walk, key[0]) - before
            if key not in self.applied and any(name in self.live for name in made):
                begun[key[0]] = None
        return list(begun)

    def _tables(self, walk: Walk, label: str) -> set[TableName]:
        """Names of the tables that the models of an app have at this point."""
        models = [model for key, model in walk.tables.models.items() if key[0] == label]
        return {
            table_of(
                model.options.get("db_table") or f"{label}_{model.name_lower}",
                self.live.default_schema,
            )
            for model in models
            if model.options.get("managed", True) and not model.options.get("proxy")
        }

    def _matches(self, labels: Sequence[str]) -> dict[str, list[Key]]:
        """{app: the migrations after which its tables match}, at least one per app; raises
        `CannotAdopt` with the differences if none matches."""
        found: dict[str, list[Key]] = {}
        for label, states in self._states(labels).items():
            new = [state for state in states if state.key not in self.applied]
            fits = [state for state in new if not state.differences]
            if not fits:
                nearest = min(reversed(new), key=lambda state: len(state.differences))
                lines = [operation.describe() for operation in nearest.differences]
                raise CannotAdopt(dotted(nearest.key), lines, dotted(nearest.key))
            left = {state.key: state.left_over(states) for state in fits}
            least = min(left.values())
            found[label] = [key for key in left if left[key] == least]
        return found

    def _states(self, labels: Sequence[str]) -> dict[str, list[_State]]:
        """The tables of these apps after each of their migrations, in order."""
        states: dict[str, list[_State]] = {label: [] for label in labels}
        walk = Walk(self.connection, HARD)
        for key in self.order if labels else ():
            walk.skip(self.timeline.django(key))
            if key[0] in states:
                states[key[0]].append(self._state(walk, key))
        return states

    def _state(self, walk: Walk, key: Key) -> _State:
        models = sorted(model for model in walk.tables.models if model[0] == key[0])
        wanted = walk.declared(models)
        graph = compared(wanted.graph)
        live = self.live.only(graph.table_names)
        comparison = as_declared(live, graph, wanted.facts)
        differences = tuple(diff(comparison.live, graph, drop=HARD, overlapping=False))
        return _State(key, differences, frozenset(live.table_names), frozenset(comparison.extras))


@dataclass(frozen=True, slots=True)
class _State:
    """The tables of an app after one of its migrations, compared with the live ones.

    `differences` would turn the live ones into these; `tables` are those that exist live, and
    `extras` the objects on them that this state does not have.
    """

    key: Key
    differences: tuple[Operation, ...]
    tables: frozenset[TableName]
    extras: frozenset[Extra]

    def left_over(self, states: Sequence[_State]) -> int:
        """The number of live objects that belong to another state and not to this one: if this
        migration removes them, it has not run yet."""
        tables = {name for state in states for name in state.tables - self.tables}
        extras = [extra for extra in self.extras if any(state.has(extra) for state in states)]
        return len(tables) + len(extras)

    def has(self, extra: Extra) -> bool:
        return extra.table in self.tables and extra not in self.extras
