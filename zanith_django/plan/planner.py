"""The pending part of the timeline, every step scored: what would run, and what it would do."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations import RunPython, RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation as DjangoMigrationOperation
from django.db.migrations.operations.fields import AddField
from django.db.models import NOT_PROVIDED

from zanith_django.exceptions import InvalidArgument
from zanith_django.files.migration import LoadedMigration
from zanith_django.ledger.ledger import Ledger
from zanith_django.ledger.step_rows import DONE, FINISHED
from zanith_django.operations import DjangoOperation, Operation, Statement
from zanith_django.operations import RunPython as RunPythonStep
from zanith_django.operations.base import Context, TableFacts, script
from zanith_django.operations.data import RawSql
from zanith_django.plan.by_hand import added_by_hand
from zanith_django.plan.collisions import Collision, collisions
from zanith_django.plan.live_names import as_live
from zanith_django.plan.reasons import Level
from zanith_django.plan.risk import Assessment, assess
from zanith_django.plan.search_path import SearchPath, found_elsewhere
from zanith_django.plan.table_facts import after
from zanith_django.plan.untouched import untouched
from zanith_django.postgres import sql
from zanith_django.postgres.names import TableName
from zanith_django.schema import collector
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.unmodelled import with_dependents
from zanith_django.schema.values import replaced
from zanith_django.timeline.django_steps import can_go_back, does_nothing, has_own_apply, texts
from zanith_django.timeline.django_tables import DjangoTables
from zanith_django.timeline.routing import is_for
from zanith_django.timeline.timeline import ADOPTED, Entry, Timeline, dotted, key_of

_LATER = "an earlier step may take it away: this is checked again before the step runs"

ELSEWHERE = "elsewhere"
SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One operation of a plan. `status` is "pending", "done" (by an earlier run that stopped
    later on), "skipped" (Django did its work already), or "elsewhere" (routers give its model to
    another database). `texts` are what its author wrote, None what cannot be read."""

    number: int
    operation: Operation
    assessment: Assessment
    statements: tuple[Statement, ...]
    rows: int = 0
    approved: str = ""
    status: str = "pending"
    collisions: tuple[Collision, ...] = ()
    texts: tuple[str | None, ...] = ()

    @property
    def kind(self) -> str:
        return self.operation.kind

    @property
    def level(self) -> Level:
        return self.assessment.level

    @property
    def score(self) -> int:
        return self.assessment.score

    @property
    def reversible(self) -> bool:
        if isinstance(self.operation, DjangoOperation):
            return self.operation.reversible
        return self.operation.passed_over or (
            self.operation.inverse() is not None and "irreversible" not in self.assessment.reasons
        )

    @property
    def sql(self) -> str:
        return script(self.statements)

    @property
    def waits(self) -> bool:
        return self.status == "pending"


@dataclass(frozen=True, slots=True)
class PlannedMigration:
    """One entry of the timeline with its steps."""

    entry: Entry
    steps: tuple[PlannedStep, ...]

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def adopted(self) -> bool:
        return self.entry.state == ADOPTED

    @property
    def nothing_left(self) -> bool:
        """Django did all of its work."""
        return self.adopted and all(step.status == SKIPPED for step in self.steps)


@dataclass(frozen=True, slots=True)
class Plan:
    """What would run, in order. Making one leaves nothing behind in the database."""

    database: str
    migrations: tuple[PlannedMigration, ...]
    graph: SchemaGraph = dataclasses.field(default_factory=SchemaGraph)

    @property
    def steps(self) -> Iterator[tuple[PlannedMigration, PlannedStep]]:
        """Every step that still waits, with its migration."""
        for migration in self.migrations:
            for step in migration.steps:
                if step.waits:
                    yield migration, step

    @property
    def worst(self) -> Level | None:
        return max((step.level for _, step in self.steps), default=None)

    @property
    def total_score(self) -> int:
        return sum(step.score for _, step in self.steps)

    @property
    def by_level(self) -> dict[str, int]:
        counts = {str(level): 0 for level in Level}
        for _, step in self.steps:
            counts[str(step.level)] += 1
        return counts


@collector.paused()
def plan(
    timeline: Timeline,
    *,
    database: str,
    context: Context,
    ledger: Ledger | None = None,
    only: Collection[str] | None = None,
) -> Plan:
    """Score the pending entries of the timeline.

    `context` says what is known of the database. `only` scores just the entries with these ids,
    as when there is no database to say what is pending; entries before them are folded in.
    """
    if ledger:
        ours = untouched(ledger, timeline, context.graph, context.empty)
        context = replaced(context, fresh=context.fresh | ours)
    planner = _Planner(database, context, ledger)
    planned = []
    for entry in timeline.entries if only is not None else timeline.pending:
        wanted = only is None or entry.id in only
        migration = planner.take(timeline, entry, fresh=wanted)
        if wanted:
            planned.append(migration)
    return Plan(database, tuple(planned), context.graph)


class _Planner:
    """Walks the entries and keeps what the schema has become by then."""

    def __init__(self, database: str, context: Context, ledger: Ledger | None) -> None:
        self.database, self.context, self.ledger = database, context, ledger
        self.path = SearchPath(context.elsewhere)
        # What authors wrote into earlier steps, whose effect only they know.
        self.authored: list[str | None] = []
        self.tables = _TablesOnTheWay(database, context.graph.default_schema)

    def take(self, timeline: Timeline, entry: Entry, *, fresh: bool) -> PlannedMigration:
        done = self._done(entry)
        by_hand = self._by_hand(timeline, entry)
        approved = entry.migration.approved if entry.migration else {}
        self.context = dataclasses.replace(self.context, migration_id=entry.id)
        steps = []
        for number, written in enumerate(self.operations(timeline, entry), 1):
            operation = self.path.resolved(written, self.context.graph)
            if entry.migration and not is_for(self.database, operation, entry.app_label):
                safe = Assessment(Level.SAFE)
                steps.append(PlannedStep(number, operation, safe, (), status=ELSEWHERE))
                continue
            is_done = entry.state == ADOPTED and number not in by_hand
            context = self.context
            live = as_live(operation, context.graph)
            statements = live.statements(context) if live else ()
            status = SKIPPED if is_done else done.get(number, "pending")
            waits = live is not None and status == "pending"
            found = self._collisions(live, context) if live and waits else ()
            written_by = _texts(timeline, operation)
            step = PlannedStep(
                number,
                operation,
                assess(operation, context, statements, found),
                statements,
                rows=_rows(operation, context),
                approved=approved.get(f"{number:04d}", ""),
                status=status,
                collisions=found,
                texts=written_by,
            )
            steps.append(step)
            if waits:
                self.authored += written_by
            if not is_done:
                runs = fresh and step.waits and live is not None
                self.context = after(context, live or operation, written_by, runs=runs)
        return PlannedMigration(entry, tuple(steps))

    def _collisions(self, operation: Operation, context: Context) -> tuple[Collision, ...]:
        """What is in the way of the step. An earlier step may take it away: then it is looked at
        again when the step is about to run."""
        found = collisions(operation, context)
        if not self.authored or not any(collision.blocked for collision in found):
            return found
        return tuple(
            dataclasses.replace(collision, blocked=False, recheck=True, remedy=_LATER)
            if collision.blocked and any(map(collision.may_go_by, self.authored))
            else collision
            for collision in found
        )

    def _by_hand(self, timeline: Timeline, entry: Entry) -> Collection[int]:
        """Numbers of the steps that are left where Django did the work of the file, or will have
        done it by then."""
        if entry.state != ADOPTED or entry.migration is None:
            return ()
        done = timeline.is_applied(entry.covers[0])
        live = self.context.graph if done else None
        path = SearchPath(self.path.elsewhere)
        graph = self.context.graph
        return added_by_hand([path.resolved(o, graph) for o in entry.migration.operations], live)

    def _done(self, entry: Entry) -> dict[int, str]:
        """{step: "done"} of a migration that an earlier run left half way."""
        if self.ledger is None or entry.taken_back:
            return {}
        latest = self.ledger.latest(entry.id)
        return {number: DONE for number, row in latest.items() if row.status in FINISHED}

    def operations(self, timeline: Timeline, entry: Entry) -> list[Operation]:
        if entry.migration:
            return list(entry.migration.operations)
        key = entry.covers[0]
        migration = timeline.django(key)
        if has_own_apply(migration):
            return [_applying_itself(migration, key)]
        tables = self.tables.before(timeline, entry)
        return [
            django_operation(operation, key, number, tables)
            for number, operation in enumerate(migration.operations, 1)
        ]


class _TablesOnTheWay:
    """The tables of Django's models just before an entry; asked in the order of the entries, and
    only for those that Django runs."""

    def __init__(self, database: str, schema: str) -> None:
        longest = connections[database].ops.max_name_length()
        self.tables, self.passed = DjangoTables(schema, longest), 0

    def before(self, timeline: Timeline, entry: Entry) -> DjangoTables:
        place = timeline.entries.index(entry)
        for earlier in timeline.entries[self.passed : place]:
            for migration in timeline.on_disk(earlier.covers):
                self.tables.skip(migration)
        self.passed = place + 1  # what asks moves past the entry itself
        return self.tables


def _texts(timeline: Timeline, step: Operation) -> tuple[str | None, ...]:
    """What the author of a step wrote, None for what cannot be read; nothing for other steps."""
    if isinstance(step, RawSql):
        return (step.sql,)
    if not isinstance(step, RunPythonStep | DjangoOperation):
        return ()
    migration = timeline.loader.disk_migrations.get(key_of(step.migration))
    return tuple(texts(migration, step.position)) if migration else (None,)


def _rows(operation: Operation, context: Context) -> int:
    known = (context.facts.get(name) for name in operation.tables[:1])
    return next((facts.rows for facts in known if facts), 0)


# --- Django's operations -------------------------------------------------------------------------


def django_operation(
    operation: DjangoMigrationOperation,
    key: tuple[str, str],
    position: int,
    tables: DjangoTables,
) -> DjangoOperation:
    """An operation of a Django migration as a value; `tables` moves past it."""
    inner = _inner(operation)
    name = "" if inner is None or isinstance(inner, RunPython | RunSQL) else _model_name(inner)
    table = tables.table(key[0], name)
    moves = tables.take(key[0], operation)
    return DjangoOperation(
        migration=dotted(key),
        position=position,
        operation=type(inner or operation).__name__,
        description=operation.describe(),
        table=table or tables.table(key[0], name),
        required=isinstance(inner, AddField) and _required(inner),
        reversible=operation.reversible,
        state_only=inner is None or does_nothing(inner),
        model=_model(inner, key[0]) if inner else "",
        moves=moves,
    )


def _applying_itself(migration: DjangoMigration, key: tuple[str, str]) -> DjangoOperation:
    return DjangoOperation(
        migration=dotted(key),
        position=1,
        operation="apply",
        description="apply() of its own",
        reversible=can_go_back(migration),
    )


def _inner(operation: DjangoMigrationOperation) -> DjangoMigrationOperation | None:
    """The operation that reaches the database: of SeparateDatabaseAndState the first such."""
    if isinstance(operation, SeparateDatabaseAndState):
        inside = [_inner(item) for item in operation.database_operations]
        return next((item for item in inside if item), None)
    return operation


def _required(operation: AddField) -> bool:
    field = operation.field
    return not (field.null or field.has_db_default() or field.many_to_many) and (
        field.default is not NOT_PROVIDED or field.get_internal_type() != "AutoField"
    )


def _model_name(operation: DjangoMigrationOperation) -> str:
    name = getattr(operation, "model_name", "") or ""
    if not name and getattr(operation, "old_name", None) and not hasattr(operation, "model_name"):
        return str(getattr(operation, "old_name", ""))
    return str(name or (getattr(operation, "name", "") or ""))


def _model(operation: DjangoMigrationOperation, app_label: str) -> str:
    if isinstance(operation, RunPython | RunSQL):
        return ""
    name = _model_name(operation)
    return f"{app_label}.{name}" if name else ""


# --- what is known of the live database ----------------------------------------------------------

_FACTS = """\
SELECT n.nspname, c.relname, greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid),
       coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\\_%'"""


def live_context(
    connection: BaseDatabaseWrapper, graph: SchemaGraph, timeline: Timeline | None = None
) -> Context:
    """What is known of a live database: its schema, version, sizes, which tables are empty, and
    what depends on the tables that pending steps of the timeline change."""
    pending = timeline.pending if timeline else ()
    steps = (step for entry in pending if entry.migration for step in entry.migration.operations)
    graph = with_known_dependents(connection, graph, steps)
    with connection.cursor() as cursor:
        cursor.execute(_FACTS)
        rows = cursor.fetchall()
        cursor.execute("SELECT current_setting('server_version_num')::int")
        version = int(cursor.fetchone()[0])
    schema = graph.default_schema
    facts = {
        TableName("" if row[0] == schema else row[0], row[1]): TableFacts(*row[2:]) for row in rows
    }
    return Context(
        server_version=version,
        schema=schema,
        graph=graph,
        facts=facts,
        empty=empty_tables(connection, schema, [n for n in graph.table_names if n in facts]),
        elsewhere=found_elsewhere(connection),
    )


def with_known_dependents(
    connection: BaseDatabaseWrapper, graph: SchemaGraph, operations: Iterable[Operation]
) -> SchemaGraph:
    """`graph` with what depends on the tables of those operations that something could be in the
    way of."""
    names = {
        name
        for operation in operations
        if type(operation).touches is not Operation.touches
        for name in operation.tables
    }
    with connection.wrap_database_errors, connection.cursor() as cursor:
        return with_dependents(cursor, graph, sorted(names))


def empty_tables(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName]
) -> frozenset[TableName]:
    """Those of these tables that exist and hold no row; asks all in one query."""
    names = _existing(connection, schema, names)
    asked = [
        sql.compose("NOT EXISTS (SELECT FROM {table})", table=sql.table(name, schema))
        for name in names
    ]
    found: list[bool] = []
    with connection.cursor() as cursor:
        for chunk in range(0, len(asked), 400):
            cursor.execute("SELECT ARRAY[" + ", ".join(asked[chunk : chunk + 400]) + "]")
            found += cursor.fetchone()[0]
    return frozenset(name for name, empty in zip(names, found, strict=True) if empty)


def _existing(
    connection: BaseDatabaseWrapper, schema: str, names: Sequence[TableName]
) -> list[TableName]:
    if not names:
        return []
    spelled = [str(sql.table(name, schema)) for name in names]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass(name) IS NOT NULL "
            "FROM unnest(%s::text[]) WITH ORDINALITY AS given(name, place) ORDER BY place",
            [spelled],
        )
        return [name for name, (there,) in zip(names, cursor.fetchall(), strict=True) if there]


def offline_context(sizes: Mapping[str, object] | None = None) -> Context:
    """What is known without a database: nothing, or a graph with row estimates from production."""
    if sizes is None:
        return Context()
    graph = SchemaGraph.from_json(sizes)
    rows = sizes.get("rows")
    known = rows if isinstance(rows, Mapping) else {}
    facts = {
        TableName("", name.name) if name.schema == graph.default_schema else name: TableFacts(
            int(value.get("rows", 0)), int(value.get("bytes", 0))
        )
        for name, value in ((TableName.of(key), value) for key, value in known.items())
    }
    empty = frozenset(name for name, fact in facts.items() if fact.rows == 0)
    return Context(graph=graph, schema=graph.default_schema, facts=facts, empty=empty)


def changed_since(ref: str, files: Iterable[LoadedMigration]) -> list[str]:
    """Ids of the migration files that git knows as new or changed since `ref`, or not at all."""
    listed = list(files)
    changed: set[Path] = set()
    for folder in {Path(file.path).parent for file in listed}:
        top = Path(_git(folder, "rev-parse", "--show-toplevel").rstrip("\n"))
        commit = _commit(folder, ref)
        names = _git(folder, "diff", "-z", "--name-only", "--diff-filter=d", commit, "--", ".")
        new = _git(folder, "ls-files", "-z", "--others", "--exclude-standard", "--full-name")
        changed |= {(top / name).resolve() for name in (names + new).split("\0") if name}
    return [file.id for file in listed if Path(file.path).resolve() in changed]


def _commit(folder: Path, ref: str) -> str:
    """The hash of the commit that a user named; whatever it looks like, it is no option of git."""
    words = ("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    return _git(folder, *words).strip()


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except FileNotFoundError as error:
        raise InvalidArgument("--since needs git.", "Use --only ID instead.") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()[0] if error.stderr.strip() else "git failed"
        raise InvalidArgument(f"--since: {reason}", "Name a branch, tag or commit.") from error
    return done.stdout
