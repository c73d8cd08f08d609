"""What a verify reads of the live database and the project, and its options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import FileMissing, UnreadableModel
from zanith_django.ledger.ledger import Ledger
from zanith_django.plan import gates
from zanith_django.plan.drift import PLAN
from zanith_django.plan.gates import Policy
from zanith_django.plan.integrity import missing_files
from zanith_django.plan.live_facts import live_context
from zanith_django.plan.plan import Plan
from zanith_django.plan.planner import plan
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.models import Declared
from zanith_django.timeline.project import declared, live_graph, read_timeline
from zanith_django.timeline.sources import Source, sources_of

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How to verify. `shape` is auto, ephemeral, schema, a URL or an alias, "" the setting;
    `source` is "" for the live structure, "empty", or a snapshot file. `refuse` says which drift
    is refused: that which the plan makes ("plan"), that which was there before it ("before"), or
    both ("any"). With `allow_surprises`, what a step did beyond its plan is listed and no more.
    `sample` rows of each table are copied to the shadow; `data` names a database with rows, which
    the shadow is a copy of. `reuse` keeps the structure for the next run. `check` runs beside it
    all, and what it raises comes before any other error. `on_stage` is given each stage, `on_wait`
    the run that uses the shadow.
    """

    shape: str = ""
    source: str = ""
    keep: bool = False
    refuse: str = PLAN
    allow_surprises: bool = False
    sample: int = 0
    data: str = ""
    reuse: bool = False
    check: Callable[[], None] | None = None
    on_stage: Say | None = None
    on_wait: Say | None = None

    def say(self, stage: str) -> None:
        if self.on_stage:
            self.on_stage(stage)


@dataclass(frozen=True, slots=True)
class Live:
    """The live database before the plan, and the plan."""

    graph: SchemaGraph
    plan: Plan
    occupied: tuple[str, ...]
    rows: Mapping[str, int]
    sources: Mapping[str, Source]


class Blocked(Exception):
    """Preflight refuses the plan: rows of the live database are not on the shadow."""

    def __init__(self, planned: Plan, refused: Sequence[gates.Refusal]) -> None:
        self.plan, self.refused = planned, refused


@dataclass(frozen=True, slots=True)
class Project:
    """What a thread reads, one after the other, while the server makes the shadow and another
    process runs the plan: the live database, the declarations of the models, None if only the
    shadow can read them."""

    connection: BaseDatabaseWrapper
    options: VerifyOptions
    reading: Future[Live]
    models: Future[Declared | None]

    @property
    def live(self) -> Live:
        """Raises `Blocked`."""
        return self.reading.result()


@contextmanager
def reading(connection: BaseDatabaseWrapper, options: VerifyOptions) -> Iterator[Project]:
    """The project, of which a thread reads everything, and which then runs the system checks."""
    with ThreadPoolExecutor(1) as pool:
        live = pool.submit(_read, connection, options)
        models = pool.submit(_models, connection)
        checked = pool.submit(_checked, options)
        try:
            yield Project(connection, options, live, models)
        except Exception:
            checked.result()
            raise
        except BaseException:
            for each in (models, checked):
                each.cancel()
            raise
        checked.result()


@contextmanager
def _session_like(connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    session = connection.copy()
    try:
        yield session
    finally:
        session.close()


def _checked(options: VerifyOptions) -> None:
    """A check of the project may have opened a connection of this thread."""
    try:
        if options.check:
            options.check()
    finally:
        connections.close_all()


def _models(connection: BaseDatabaseWrapper) -> Declared | None:
    """None if only the shadow can read them, after the plan has run."""
    with _session_like(connection) as session, suppress(UnreadableModel):
        return declared(session)
    return None


def _read(connection: BaseDatabaseWrapper, options: VerifyOptions) -> Live:
    """In a session of its own: this runs in a thread."""
    with _session_like(connection) as session:
        live = _read_live(session)
    refused = [*gates.preflight(live.plan, Policy.of())]
    if refused and not (options.source or options.data):
        raise Blocked(live.plan, refused)
    return live


def _read_live(connection: BaseDatabaseWrapper) -> Live:
    timeline, ledger = read_timeline(connection), Ledger(connection)
    for name, words in missing_files(ledger, timeline).items():
        raise FileMissing(name, words)
    graph = live_graph(connection)
    context = live_context(connection, graph, timeline)
    planned = plan(timeline, database=connection.alias, context=context, ledger=ledger)
    occupied = tuple(str(name) for name in graph.table_names if name not in context.empty)
    rows = {str(name): facts.rows for name, facts in context.facts.items()}
    sources = sources_of(timeline, (migration.entry for migration in planned.migrations))
    return Live(graph, planned, occupied, rows, sources)
