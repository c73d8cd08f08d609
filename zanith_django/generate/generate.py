"""Generate: a zanith migration beside each Django migration of a managed app that has none."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.apps import AppConfig, apps
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.diff.differ import SOFT
from zanith_django.files.files import NewFile, folder_of, paths_of, render_init, render_migration
from zanith_django.generate.makemigrations import missing_django_migrations
from zanith_django.operations import Operation
from zanith_django.plan import gates
from zanith_django.plan.coverage import last_free, uncovered
from zanith_django.plan.gates import Policy
from zanith_django.plan.integrity import moved
from zanith_django.plan.plan import Plan
from zanith_django.timeline.pending_tables import PendingTables
from zanith_django.timeline.project import offline_timeline, read_timeline
from zanith_django.timeline.timeline import Key, Timeline, django_order, dotted
from zanith_django.timeline.walk import Walk

STAMP = "%Y%m%d_%H%M%S"


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of generate. `stamp` fixes the first file's time; files follow by seconds."""

    apps: tuple[AppConfig, ...]
    name: str = ""
    drop: str = SOFT
    stamp: datetime | None = None
    drop_extra: bool = False


@dataclass(frozen=True, slots=True)
class Generated:
    """Files to write, with their operations. `left` are extras that `--drop-extra` should drop and
    that no operation drops."""

    files: tuple[NewFile, ...] = ()
    summaries: tuple[tuple[str, tuple[Operation, ...]], ...] = ()
    left: tuple[str, ...] = ()


def generate(connection: BaseDatabaseWrapper, request: Request) -> Generated:
    """A file for each Django migration of these apps that needs one and has none. The caller writes
    the files. Raises `NotAdopted`.
    """
    timeline = read_timeline(connection)
    since = covered_since(timeline, request.apps)
    missing = uncovered(timeline, request.apps, since)
    following = stamps(request.stamp)
    taken = {entry.id for entry in timeline.entries}
    migrated = {key[0] for key in timeline.loader.graph.nodes}
    made: list[NewFile] = list(inits((c for c in request.apps if c.label in migrated), since))
    summaries = []
    for key, operations in _walked(connection, timeline, missing, request.drop):
        config = apps.get_app_config(key[0])
        file = _file(config, key, operations, request.name, next(following), taken)
        made.append(file)
        summaries.append((file.path.stem, tuple(operations)))
    return Generated(tuple(made), tuple(summaries))


# --- which migrations need a file ----------------------------------------------------------------


def covered_since(timeline: Timeline, configs: Iterable[AppConfig]) -> dict[str, str]:
    """{app: the last migration that needs no file}; of an app without files of ours, the last one
    that the database has applied."""
    order = django_order(timeline.loader)
    since = {}
    for config in configs:
        if (folder_of(config) / "__init__.py").exists():
            since[config.label] = last_free(timeline, config)
            continue
        applied = [
            key
            for key in order
            if key[0] == config.label and key in timeline.loader.applied_migrations
        ]
        since[config.label] = applied[-1][1] if applied else ""
    return since


def inits(configs: Iterable[AppConfig], since: dict[str, str]) -> Iterator[NewFile]:
    for config in configs:
        path = folder_of(config) / "__init__.py"
        if not path.exists() and config.label in apps.app_configs:
            yield NewFile(path, render_init(config.label, since[config.label]))


def _walked(
    connection: BaseDatabaseWrapper, timeline: Timeline, missing: Collection[Key], drop: str
) -> Iterator[tuple[Key, list[Operation]]]:
    walk, pending = Walk(connection, drop), PendingTables(connection)
    wanted = set(missing)
    for key in django_order(timeline.loader) if wanted else ():
        migration = timeline.django(key)
        operations = walk.operations(migration) if key in wanted else []
        if key not in wanted:
            walk.skip(migration)
        names = walk.take_names()
        if key in timeline.loader.applied_migrations:
            pending.happened(names)
        else:
            pending.follow(key[0], names, strict=key in wanted)
        if key in wanted:
            yield key, operations
            wanted.discard(key)
            if not wanted:
                return


# --- the files -----------------------------------------------------------------------------------


def stamps(first: datetime | None) -> Iterator[str]:
    """Successive seconds, so that ids sort in the order of the timeline."""
    moment = first or datetime.now(UTC)
    while True:
        yield moment.strftime(STAMP)
        moment += timedelta(seconds=1)


def _file(
    config: AppConfig,
    key: Key,
    operations: Sequence[Operation],
    name: str,
    stamp: str,
    taken: set[str],
) -> NewFile:
    slug = slug_of(name or re.sub(r"^\d+_", "", key[1]), config.label, taken)
    migration_id = f"{stamp}_{slug}"
    taken.add(migration_id)
    text = render_migration(
        operations,
        covers=[dotted(key)],
        title=f"Does the work of {dotted(key)}.",
    )
    return NewFile(folder_of(config) / f"{migration_id}.py", text)


# Django's own limit, and its words for added and removed objects.
LONGEST_NAME = 52
_VERBS = {"add": "", "create": "", "drop": "remove", "soft": "remove", "archive": "remove"}

_STAMPED = re.compile(r"^\d{8}_\d{6}_")


def slug_of(name: str, label: str, taken: Iterable[str]) -> str:
    """`name`, with the app's label before it if another file has it or it is not specific."""
    known = {_STAMPED.sub("", migration_id) for migration_id in taken}
    if name in known or name in ("initial", "auto") or name.startswith("alter_"):
        return f"{label}_{name}"
    return name


def name_of(operations: Sequence[Operation]) -> str:
    """A slug of as many operations as fit, as Django names migrations."""
    words = list(dict.fromkeys(filter(None, map(_words_of, operations))))
    name, more, room = "_".join(words), "", LONGEST_NAME
    while len(name) > room and len(words) > 1:
        words.pop()
        name, more, room = "_".join(words), "_and_more", LONGEST_NAME - len("_and_more")
    return (name[:room].rstrip("_") or "empty") + more


def _words_of(operation: Operation) -> str:
    """`user_email` for an addition, `remove_user_email` for a removal, `alter_…`, `rename_…`."""
    verb = re.split(r"(?=[A-Z])", operation.kind)[0]
    what, model = operation.target, _model_of(operation)
    if model and operation.tables:
        what = re.sub(rf"^{re.escape(str(operation.tables[0]))}(?!\w)", model, what)
    once = re.sub(r"^(\w+)\.(?=\1_)", "", what)
    words = re.sub(r"\W+", "_", f"{_VERBS.get(verb, verb)} {once}")
    return words.strip("_").lower()


def _model_of(operation: Operation) -> str:
    """The name of its model, without the app's label."""
    return str(getattr(operation, "model", "")).rpartition(".")[2].lower()


def last_of(timeline: Timeline, label: str) -> list[str]:
    entries = [entry for entry in timeline.entries if entry.app_label == label]
    if not entries:
        return []
    last = entries[-1]
    return [last.id if last.migration else dotted(last.covers[0])]


def empty_file(connection: BaseDatabaseWrapper, config: AppConfig, request: Request) -> NewFile:
    """A file without operations, to be filled in by hand."""
    timeline = read_timeline(connection)
    stamp = next(stamps(request.stamp))
    slug = request.name or f"{config.label}_by_hand"
    text = render_migration([], requires=last_of(timeline, config.label), title="Written by hand.")
    return NewFile(folder_of(config) / f"{stamp}_{slug}.py", text)


def without_migrations(configs: Iterable[AppConfig]) -> list[AppConfig]:
    """Apps with managed models that have neither Django migrations nor zanith files."""
    loader = offline_timeline().loader
    return [
        config
        for config in configs
        if config.label in loader.unmigrated_apps
        and any(model._meta.managed for model in config.get_models())
        and not paths_of(config)
    ]


def pending_changes(configs: Sequence[AppConfig]) -> list[str]:
    """The findings of `--check`: models without a Django migration, Django migrations without a
    file, data steps whose position has changed. It reads files only, no database."""
    changes = [
        f"{migration.app_label}.{migration.name}: models changed, no Django migration"
        for migration in missing_django_migrations([c.label for c in configs]).migrations
    ]
    timeline = offline_timeline()
    files = Plan("", flaws=tuple(moved(timeline)), uncovered=tuple(uncovered(timeline, configs)))
    return changes + [str(refusal) for refusal in gates.check(files, Policy())]
