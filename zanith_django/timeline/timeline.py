"""Django's migrations and zanith's, in the order in which they run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import heapq
import sys
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import NodeNotFoundError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.utils import Error as DatabaseFailure

from zanith_django.exceptions import BrokenFile, ConflictingLeaves, PartlyApplied, UnknownMigration
from zanith_django.files.migration import DJANGO_PREFIX, LoadedMigration

Key = tuple[str, str]

PENDING, APPLIED, ADOPTED = "pending", "applied", "adopted"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the timeline: a zanith migration, or a Django migration that no file covers.

    `state` is "pending", "applied", or "adopted": Django has applied the covered migrations before
    the file's turn, so its derived steps have nothing to do. `taken_back` marks a pending entry
    that the ledger records as applied: `migrate` has reversed it since. `late` marks a pending
    file that is older than the newest applied one.
    """

    id: str
    covers: tuple[Key, ...] = ()
    migration: LoadedMigration | None = None
    state: str = PENDING
    taken_back: bool = False
    late: bool = False

    @property
    def source(self) -> str:
        return "zanith" if self.migration else "django"

    @property
    def app_label(self) -> str:
        return self.migration.app_label if self.migration else self.covers[0][0]


@dataclass(frozen=True)
class Timeline:
    """Everything to run and everything that ran, in order."""

    entries: tuple[Entry, ...]
    loader: MigrationLoader

    @property
    def pending(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.state != APPLIED)

    def find(self, name: str) -> Entry:
        """The entry with this id, of this Django migration, or with this unique beginning of its
        id."""
        for entry in self.entries:
            if name == entry.id or name in map(dotted, entry.covers):
                return entry
        begun = [entry for entry in self.entries if entry.id.startswith(name)]
        if len(begun) != 1:
            raise UnknownMigration(name, [entry.id for entry in self.entries])
        return begun[0]

    def django(self, key: Key) -> DjangoMigration:
        """The Django migration of this key; a replaced one too, as long as its file exists."""
        if key not in self.loader.disk_migrations:
            raise UnknownMigration(dotted(key))
        return self.loader.disk_migrations[key]

    def on_disk(self, keys: Iterable[Key]) -> list[DjangoMigration]:
        """The migrations among these that still have a file; a squash may have replaced others."""
        disk = self.loader.disk_migrations
        return [disk[key] for key in keys if key in disk]

    def is_applied(self, key: Key) -> bool:
        """Is it applied in Django's record?"""
        return _is_applied(key, self.loader)

    def in_effect(self, key: Key) -> DjangoMigration | None:
        """This migration, or the squash that replaced its file."""
        disk = self.loader.disk_migrations
        if key in disk:
            return disk[key]
        (place,) = self.resolved([key])
        return disk.get(place)

    def before(self, key: Key) -> list[Key]:
        """The migrations before this one; within a squash the replaced ones before it."""
        order = django_order(self.loader)
        (place,) = self.resolved([key])
        inside = self.replaced(place) if place != key else [key]
        return order[: order.index(place)] + inside[: inside.index(key)]

    def previous(self, key: Key) -> str:
        """The argument of `migrate` that undoes this migration and none before it in its app."""
        node = self.loader.graph.node_map.get(key)
        parents = sorted(parent.key for parent in node.parents) if node else []
        return next((name for label, name in parents if label == key[0]), "zero")

    def ordered(self, applied: Iterable[str]) -> list[str]:
        """These ids, which are sorted by the time of their application, sorted so that each follows
        its dependencies: times are out of order if the clock was set back."""
        names = list(applied)
        places = {name: place for place, name in enumerate(names)}
        waiting = {name: self._dependencies(name) & places.keys() for name in names}
        dependents: dict[str, list[str]] = {}
        for name, needed in waiting.items():
            for other in needed:
                dependents.setdefault(other, []).append(name)
        free = [place for place, name in enumerate(names) if not waiting[name]]
        found = []
        while free:
            name = names[heapq.heappop(free)]
            found.append(name)
            for other in dependents.get(name, ()):
                waiting[other].discard(name)
                if not waiting[other]:
                    heapq.heappush(free, places[other])
        return [*found, *(name for name in names if waiting[name])]

    def _dependencies(self, name: str) -> set[str]:
        """Ids that this one depends on directly; empty for an id without a file."""
        entry = self._by_id.get(name)
        if entry is None:
            return set()
        nodes = self.loader.graph.node_map
        keys = self.resolved(entry.covers)
        needed = {(each[0], each[1]) for key in keys if key in nodes for each in nodes[key].parents}
        needed |= {key_of(each) for each in entry.migration.requires} if entry.migration else set()
        ids = {self._by_key[key] for key in needed if key in self._by_key}
        ids |= set(entry.migration.requires) if entry.migration else set()
        return ids - {name}

    @functools.cached_property
    def _by_id(self) -> dict[str, Entry]:
        return {entry.id: entry for entry in self.entries}

    @functools.cached_property
    def _by_key(self) -> dict[Key, str]:
        """{Django migration: id of the entry that does its work}."""
        found = ((key, entry.id) for entry in self.entries for key in entry.covers)
        return {place: name for key, name in found for place in (key, *self.resolved([key]))}

    def is_made_of(self, key: Key, others: Collection[Key]) -> bool:
        """Is it a squash, and are all migrations that it replaces among the others?"""
        parts = set(self.replaced(key)) - self.loader.replacements.keys()
        return bool(parts) and parts.issubset(others)

    def replaced(self, key: Key) -> list[Key]:
        """The replaced migrations of a squash, in order; [] for any other migration."""
        return _replaced(self.loader, key) if key in self.loader.replacements else []

    def resolved(self, keys: Iterable[Key]) -> list[Key]:
        """These migrations, or the squashes that replaced them."""
        squashes = _replacements(self.loader)
        return [squashes.get(key, key) for key in keys]


def dotted(key: Key) -> str:
    """("auth", "0001_initial") → "auth.0001_initial"."""
    return f"{key[0]}.{key[1]}"


def key_of(name: str) -> Key:
    label, _, migration = name.partition(".")
    return label, migration


def load_django(connection: BaseDatabaseWrapper | None) -> MigrationLoader:
    """Django's migrations; `connection` None reads files only.

    Raises `BrokenFile`, and `ConflictingLeaves` if two branches of an app were not merged.
    """
    try:
        # Standard output belongs to the answer of the command.
        with contextlib.redirect_stdout(sys.stderr):
            loader = MigrationLoader(connection, ignore_no_migrations=True)
    except NodeNotFoundError as error:
        raise BrokenFile(f"{error.origin or error.node}", error, hint=_OF_DJANGO) from error
    except (DatabaseFailure, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _broken(error) from error
    for label, names in sorted(loader.detect_conflicts().items()):
        raise ConflictingLeaves(label, names)
    return loader


_OF_DJANGO = "Fix it: migrate and showmigrations stop there as well."


def _broken(error: BaseException) -> BrokenFile:
    """An error in a file of Django's, with its line; an error between files has no line."""
    if isinstance(error, SyntaxError):
        return BrokenFile(error.filename, error.msg, error.lineno, _OF_DJANGO)
    frames = traceback.extract_tb(error.__traceback__)
    imported = [frame.filename for frame in frames if frame.name == "<module>"]
    why = f"{type(error).__name__}: {error}"
    if not imported:
        return BrokenFile("of Django", why, hint=_OF_DJANGO)
    lines = [frame.lineno for frame in frames if frame.filename == imported[-1]]
    return BrokenFile(imported[-1], why, lines[-1], _OF_DJANGO)


def build(
    loader: MigrationLoader, files: Sequence[LoadedMigration], applied: Iterable[str] = ()
) -> Timeline:
    """The timeline of these files; `applied` are the ids that the ledger records.

    Raises `BrokenFile` if a file covers or requires a migration that does not exist, or has no
    possible place, and `PartlyApplied`.
    """
    recorded = set(applied)
    order = django_order(loader)
    places = {key: place for place, key in enumerate(order)}
    resolve = _replacements(loader)
    parted = _partly_covered(files, resolve, loader)
    by_key: dict[Key, list[LoadedMigration]] = {}
    loose: list[LoadedMigration] = []
    for file in files:
        keys = _resolved(file, resolve, places)
        _check_contiguous(file, keys, order, places)
        if keys:
            by_key.setdefault(max(keys, key=places.__getitem__), []).append(file)
        else:
            loose.append(file)
    covered = {key for file in files for key in _resolved(file, resolve, places)} - parted
    _check_covered_once(by_key)
    entries: list[Entry] = []
    for key in order:
        if key not in covered:
            entries.append(_django_entry(key, loader, recorded))
        found = [_entry(file, loader, recorded) for file in by_key.get(key, ())]
        if key in parted and entries[-1].state == PENDING:
            found = [dataclasses.replace(entry, state=ADOPTED) for entry in found]
        entries += found
    while loose:
        known = _places(entries)
        ready = (file for file in loose if known.keys() >= set(file.requires))
        file = next(ready, loose[0])
        _place(entries, _entry(file, loader, recorded), file)
        loose.remove(file)
    _check_order(entries)
    return Timeline(tuple(_mark_late(entries)), loader)


def django_order(loader: MigrationLoader) -> list[Key]:
    """Every Django migration in the order of Django's own plan for an empty database."""
    order: dict[Key, None] = {}
    for leaf in sorted(loader.graph.leaf_nodes()):
        for key in loader.graph.forwards_plan(leaf):
            order.setdefault((key[0], key[1]))
    return list(order)


def _replacements(loader: MigrationLoader) -> Mapping[Key, Key]:
    """{replaced migration: its squash}, if the graph contains the squash; for squashes of squashes
    the outermost."""
    nodes = loader.graph.nodes
    found = ((each, key) for key in loader.replacements for each in _replaced(loader, key))
    return {replaced: key for replaced, key in found if key in nodes and replaced not in nodes}


def _replaced(loader: MigrationLoader, squash: Key) -> list[Key]:
    """The replaced migrations of a squash, also those of replaced squashes, in order."""
    keys: list[Key] = []
    for label, name in loader.replacements[squash].replaces:
        inner = (label, name)
        keys += [*(_replaced(loader, inner) if inner in loader.replacements else ()), inner]
    return keys


def _partly_covered(
    files: Sequence[LoadedMigration], resolve: Mapping[Key, Key], loader: MigrationLoader
) -> frozenset[Key]:
    """Squashes with files for some of their replaced migrations only: Django runs them as a whole,
    which does the work of these files."""
    named = {key_of(name) for file in files for name in file.covers}
    reached = {resolve[key] for key in named & resolve.keys()} - named
    bare = resolve.keys() - named - loader.replacements.keys()
    return frozenset(resolve[key] for key in bare) & reached


def _resolved(
    file: LoadedMigration, resolve: Mapping[Key, Key], places: Mapping[Key, int]
) -> list[Key]:
    keys = dict.fromkeys(resolve.get(key_of(name), key_of(name)) for name in file.covers)
    for key in keys:
        if key not in places:
            raise BrokenFile(file.path, f"covers {dotted(key)}, which does not exist")
    return list(keys)


def _check_contiguous(
    file: LoadedMigration, keys: Sequence[Key], order: Sequence[Key], places: Mapping[Key, int]
) -> None:
    if len(keys) < 2:
        return
    numbers = sorted(places[key] for key in keys)
    between = [key for key in order[numbers[0] : numbers[-1] + 1] if key not in keys]
    if between:
        names = ", ".join(map(dotted, between))
        raise BrokenFile(file.path, f"covers migrations between which others lie: {names}")


def _check_covered_once(by_key: Mapping[Key, Sequence[LoadedMigration]]) -> None:
    """Several files may belong to one squash, each covering a part of its replaced migrations."""
    for files in by_key.values():
        seen: dict[str, LoadedMigration] = {}
        for file in files:
            for name in file.covers:
                if name in seen:
                    raise BrokenFile(file.path, f"covers {name}, as {seen[name].path} does")
                seen[name] = file


def _entry(file: LoadedMigration, loader: MigrationLoader, recorded: set[str]) -> Entry:
    keys = tuple(key_of(name) for name in file.covers)
    applied = [key for key in keys if _is_applied(key, loader)]
    if file.id in recorded and len(applied) == len(keys):
        return Entry(file.id, keys, file, APPLIED)
    if applied and len(applied) < len(keys):
        missing = [key for key in keys if key not in applied]
        raise PartlyApplied(file.id, map(dotted, applied), map(dotted, missing))
    state = ADOPTED if applied else PENDING
    return Entry(file.id, keys, file, state, taken_back=file.id in recorded)


def _django_entry(key: Key, loader: MigrationLoader, recorded: set[str]) -> Entry:
    name = DJANGO_PREFIX + dotted(key)
    if key in loader.applied_migrations:
        return Entry(name, (key,), state=APPLIED)
    return Entry(name, (key,), taken_back=name in recorded)


def _is_applied(key: Key, loader: MigrationLoader) -> bool:
    """Is it applied, by itself or by the squash that replaced it?"""
    if key in loader.applied_migrations:
        return True
    return any(
        name in loader.applied_migrations and key in _replaced(loader, name)
        for name in loader.replacements
    )


def _place(entries: list[Entry], entry: Entry, file: LoadedMigration) -> None:
    """The position of a file that covers nothing: directly after its requirements, or last in its
    app, but before the files that require it."""
    known = _places(entries)
    needed = []
    for name in file.requires:
        if name not in known:
            raise BrokenFile(file.path, f"requires {name}, which does not exist")
        needed.append(known[name])
    older = [n for n, e in enumerate(entries) if e.migration and e.app_label == file.app_label]
    older = [n for n in older if entries[n].id < file.id]
    place = max([*needed, *older], default=len(entries) - 1) + 1
    asking = (n for n, e in enumerate(entries) if e.migration and file.id in e.migration.requires)
    entries.insert(min(place, next(asking, place)), entry)


def _check_order(entries: Sequence[Entry]) -> None:
    """Refuses a pending file that comes before one of its requirements."""
    known = _places(entries)
    for number, entry in enumerate(entries):
        file = entry.migration if entry.state != APPLIED else None
        for name in file.requires if file else ():
            if file and known.get(name, number) >= number:
                why = "comes after it" if name in known else "does not exist"
                raise BrokenFile(file.path, f"requires {name}, which {why}")


def _places(entries: Iterable[Entry]) -> dict[str, int]:
    """{id, or name of a covered migration: position}."""
    return {name: n for n, e in enumerate(entries) for name in (e.id, *map(dotted, e.covers))}


def _mark_late(entries: Iterable[Entry]) -> list[Entry]:
    listed = list(entries)
    applied = [e.id for e in listed if e.migration and e.state == APPLIED]
    newest = max(applied, default="")
    return [
        dataclasses.replace(e, late=True)
        if e.migration and e.state == PENDING and e.id < newest
        else e
        for e in listed
    ]
