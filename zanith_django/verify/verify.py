"""Verify: a throwaway shadow takes the plan first, and the result must equal the models."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.conf import conf
from zanith_django.exceptions import (
    EnvironmentProblem,
    ShadowUnreachable,
    ShadowUnsuited,
)
from zanith_django.ledger.step_rows import step_id
from zanith_django.plan.drift import ANY, BEFORE, PLAN
from zanith_django.plan.fingerprint import fingerprint
from zanith_django.postgres.run_lock import refuse_transaction_pooling
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.surroundings import from_json
from zanith_django.verify.estimates import with_estimates
from zanith_django.verify.reading import Blocked, Live, Project, VerifyOptions, reading
from zanith_django.verify.sample import copy_sample
from zanith_django.verify.shadow import (
    AUTO,
    EPHEMERAL,
    SCHEMA,
    SHAPES,
    Place,
    Shadow,
    copied,
    name_of,
    place_for,
)
from zanith_django.verify.shadow_child import Child, Job, started
from zanith_django.verify.shadow_fit import naming_lack, refuse_lack, refuse_what_leaves
from zanith_django.verify.shadow_given import given
from zanith_django.verify.shadow_graph import load_graph
from zanith_django.verify.shadow_rows import copy_rows, write_history
from zanith_django.verify.shadow_structure import (
    load_live,
    read_snapshot_file,
    refuse_unknown,
)
from zanith_django.verify.shadow_templates import save, template_of

OK, DRIFT, APPLY_FAILED, SURPRISE = "ok", "drift", "apply-failed", "surprise"

EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a run on the shadow. `operations` are what is still missing afterwards; the
    `origin` of each says whether the difference was there before the plan. `steps` are what each
    step did, with `data` if the shadow had rows; `files` the paths of the migrations that ran, and
    `lines` those of their steps, by the ids of the ledger. A `step` that failed has its
    `statement`, unless Python code failed by itself."""

    verdict: str
    shadow: str
    seconds: float = 0.0
    operations: tuple[dict[str, str], ...] = ()
    extra: tuple[str, ...] = ()
    error: str = ""
    step: str = ""
    statement: str = ""
    fingerprint: str = ""
    loaded: str = ""
    steps: tuple[dict[str, Any], ...] = ()
    data: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def may_lack_rows(self) -> bool:
        """Did Python fail by itself on a shadow without rows? It may have looked for some."""
        return bool(self.loaded and self.step) and not (self.statement or self.data)

    @property
    def surprises(self) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
        """(step, surprise) of all that the plan did not promise."""
        return ((step, each) for step in self.steps for each in step["surprises"])


def verify(connection: BaseDatabaseWrapper, options: VerifyOptions) -> Verdict:
    """Run the pending plan on a shadow and compare the result with the models.

    Raises `ShadowUnreachable`, `ShadowUnsuited`, `ShadowFailed` and `PooledConnection`. The live
    database is read, never written, but for the shadow itself.
    """
    began = time.monotonic()
    refuse_transaction_pooling(connection)
    options.say("reading the live database")
    first = _first(connection, options)
    with started() as child, reading(connection, options) as project:
        child.start(connection, first.place)
        try:
            done = _on_first(project, first, child)
        except Blocked as error:
            shape = name_of(connection, first.wanted)
            return _blocked(error, shape, time.monotonic() - began)
    live = project.live
    result = done.result
    operations, steps = tuple(result.get("operations", ())), tuple(result["steps"])
    verdict = result["verdict"] or _judged(operations, options.refuse)
    if verdict == OK and not options.allow_surprises and any(s["surprises"] for s in steps):
        verdict = SURPRISE
    return Verdict(
        verdict=verdict,
        shadow=done.shadow,
        seconds=time.monotonic() - began,
        operations=operations,
        extra=tuple(result.get("extra", ())),
        error=result.get("error", ""),
        step=result.get("step", ""),
        statement=result.get("statement", ""),
        fingerprint=done.fingerprint if verdict == OK else "",
        loaded=done.loaded,
        steps=tuple(with_estimates(steps, result.get("rows", {}), live.rows)),
        data=bool(options.sample or options.data),
        files={name: source.path for name, source in live.sources.items()},
        lines=_lines(live),
    )


def _judged(operations: tuple[dict[str, str], ...], refuse: str) -> str:
    refused = (PLAN, BEFORE) if refuse == ANY else (refuse,)
    return DRIFT if any(each["origin"] in refused for each in operations) else OK


def _lines(live: Live) -> dict[str, int]:
    """The line of each step of the plan in the file of its migration."""
    return {
        step_id(migration.id, step.number): live.sources[migration.id].lines.of(step.number)
        for migration, step in live.plan.steps
        if migration.id in live.sources
    }


def _blocked(error: Blocked, shadow: str, seconds: float) -> Verdict:
    first = step_id(error.refused[0].migration, error.refused[0].step)
    texts = [
        statement.sql
        for migration, step in error.plan.steps
        if step_id(migration.id, step.number) == first
        for statement in step.statements
    ]
    return Verdict(
        APPLY_FAILED,
        shadow,
        seconds,
        error="\n".join(refusal.message for refusal in error.refused),
        step=first,
        statement=texts[0] if len(texts) == 1 else "",
    )


# --- on which shadow -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    """A run on a shadow, and where its structure came from in words for people. The fingerprint
    is that of the live database and the files."""

    shadow: str
    loaded: str
    result: dict[str, Any]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Start:
    """The shape that is wanted, and the place of the first one to try."""

    wanted: str
    place: Place


def _first(connection: BaseDatabaseWrapper, options: VerifyOptions) -> _Start:
    wanted = options.shape or conf.shadow
    if options.data or (options.sample and wanted == AUTO):
        wanted = EPHEMERAL  # a schema cannot hold rows
    return _Start(wanted, _place(connection, EPHEMERAL if wanted == AUTO else wanted, options))


def _place(connection: BaseDatabaseWrapper, wanted: str, options: VerifyOptions) -> Place:
    return place_for(connection, wanted, data=options.data, keep=options.keep)


def _on_first(project: Project, first: _Start, child: Child) -> _Run:
    """Run on the shape that is asked for. `auto` takes the one that holds everything; a role that
    may not make a database has a schema, where that holds all that matters."""
    if first.wanted != AUTO:
        return _on(first, project, child)
    try:
        return _on(_Start(EPHEMERAL, first.place), project, child)
    except (ShadowUnreachable, ShadowUnsuited) as error:
        try:
            second = _Start(SCHEMA, _place(project.connection, SCHEMA, project.options))
            with started() as another:
                another.start(project.connection, second.place)
                return _on(second, project, another)
        except (ShadowUnreachable, ShadowUnsuited) as other:
            raise _NoShape(error, other) from error


class _NoShape(EnvironmentProblem):
    """No shape that needs no setting can serve."""

    def __init__(self, *errors: EnvironmentProblem) -> None:
        self.errors = errors
        first, *others = errors
        hints = [first.hint, *(e.hint for e in others if isinstance(e, ShadowUnreachable))]
        self.hint = "\n".join(dict.fromkeys(hints))
        super().__init__(*errors)

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


def _on(start: _Start, project: Project, child: Child) -> _Run:
    """A template is copied while the live database is read; any other shadow is begun once the plan
    is known to run on it."""
    wanted, connection, options = start.wanted, project.connection, project.options
    template = _template(wanted, connection, options)
    if not template:
        live = project.live
    if wanted == SCHEMA:
        refuse_what_leaves(live.plan, live.graph, options.source)
        refuse_unknown(connection, SCHEMA)
    options.say("making the shadow")
    with _made(start, connection, options, template) as shadow, child.ended():
        live = project.live
        with naming_lack(connection, shadow):
            loaded = _load(project, shadow, template)
            options.say("running the plan on the shadow")
            in_use = None if options.source else live.occupied
            job = Job(live.occupied, in_use, bool(options.data or options.sample))
            child.begin(connection, shadow, job)
            read = project.models.result()
            beside = wanted == EPHEMERAL and not options.data
            child.models_are(read if beside else None)
            mark = fingerprint(read.graph, live.plan, live.graph) if read else ""
            result = child.result(shadow)
        refuse_lack(connection, shadow, result.get("error", ""))
        return _Run(shadow.name, loaded, result, mark)


def _template(wanted: str, connection: BaseDatabaseWrapper, options: VerifyOptions) -> str:
    """The template that has or gets the structure; "" for none."""
    reuse = options.reuse or conf.reuse
    shape = SHAPES.get(wanted)
    plain = shape and shape.templated and not (options.source or options.data or options.sample)
    return template_of(connection) if reuse and plain else ""


def _made(
    start: _Start, connection: BaseDatabaseWrapper, options: VerifyOptions, template: str
) -> AbstractContextManager[Shadow]:
    if options.data:
        return copied(connection, options.data, start.place)
    if shape := SHAPES.get(start.wanted):
        return shape.make(connection, start.place, template=template)
    return given(connection, start.place, options.on_wait)


def _load(project: Project, shadow: Shadow, template: str) -> str:
    """Fill the shadow; returns where its structure came from, for people."""
    connection, options, graph = project.connection, project.options, project.live.graph
    if options.data:
        return "with its structure and its rows"
    if options.source == EMPTY:
        return "the timeline from its beginning"
    if options.source:
        data = read_snapshot_file(options.source)
        others = from_json(data["surroundings"]) if "surroundings" in data else None
        load_graph(SchemaGraph.from_json(data), shadow, others)
        write_history(shadow, data.get("history") or {})
        return options.source
    if options.sample:
        how = load_live(connection, graph, shadow, partial(_sample, connection, shadow, options))
        return f"the live structure by {how}, {options.sample:,} rows a table"
    how = "a template" if shadow.filled else load_live(connection, graph, shadow)
    if template and not shadow.filled:
        _save_template(connection, shadow, template)
    copy_rows(connection, shadow, conf.shadow_data)
    return f"the live structure by {how}"


def _sample(connection: BaseDatabaseWrapper, shadow: Shadow, options: VerifyOptions) -> None:
    options.say("copying rows")
    copy_rows(connection, shadow, conf.shadow_data)
    copy_sample(connection, shadow, options.sample, conf.shadow_data)


def _save_template(connection: BaseDatabaseWrapper, shadow: Shadow, name: str) -> None:
    """Before the rows come: those change without the structure."""
    with Shadow("the live server", connection.settings_dict).connect() as session:
        save(session, str(shadow.settings["NAME"]), name)
