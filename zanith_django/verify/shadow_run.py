"""The child process of verify: applies what is pending on the shadow and compares.

In this process the database alias *is* the shadow: settings are replaced before the first
connection, and other aliases of the live server refuse to connect. A data migration without
`.using()` would otherwise write to the live database.

The parent writes three lines to standard input, since they hold a password: the place of the
shadow, with which Django starts before that exists; the job, once the shadow has its structure;
and what the models ask for, if it could read that. The end of standard input is the end of the
parent: the child ends at once, whatever it is doing.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import django
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate, pre_migrate
from django.utils import connection as django_connection

from zanith_django.apply.apply import apply
from zanith_django.apply.state import ApplyOptions
from zanith_django.exceptions import EnvironmentProblem, StepFailed, ZanithError
from zanith_django.ledger.ledger import Ledger
from zanith_django.operations.base import Context
from zanith_django.plan.comparison import LIVE, MODELS, Sources
from zanith_django.plan.drift import origins
from zanith_django.postgres import sql
from zanith_django.postgres.session import connect, server_version
from zanith_django.run import collector
from zanith_django.schema.graph import SchemaGraph
from zanith_django.schema.models import Declared
from zanith_django.timeline.project import live_graph, read_timeline
from zanith_django.verify.leftovers import leftovers
from zanith_django.verify.observations import observations
from zanith_django.verify.observing import Watch
from zanith_django.verify.shadow_templates import structure_state

MANY = 100_000
"""The estimate from which rows are not counted exactly."""

LOCAL = ("", "localhost", "127.0.0.1", "::1")


class Parent:
    """The lines of the parent: the place, then the job, then the models."""

    def __init__(self) -> None:
        self.place: Future[dict[str, Any]] = Future()
        self.job: Future[dict[str, Any]] = Future()
        self.models: Future[dict[str, Any]] = Future()
        lifeline = os.fdopen(os.dup(0))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        threading.Thread(target=self._read, args=(lifeline,), daemon=True).start()

    def _read(self, lifeline: Iterator[str]) -> None:
        for awaited, line in zip((self.place, self.job, self.models), lifeline, strict=False):
            awaited.set_result(json.loads(line))
        next(lifeline, None)
        os._exit(1)

    def declared(self) -> Declared | None:
        """The declarations of the models; None if this process must read them itself."""
        text = self.models.result()["models"]
        found: Declared | None = pickle.loads(base64.b64decode(text)) if text else None
        return found


def main() -> None:
    answer, sys.stdout = sys.stdout, sys.stderr  # what data migrations print is no part of it
    parent = Parent()
    place = parent.place.result()
    alias = place["alias"]
    _replace_settings(alias, place["settings"])
    _keep_apps(place["apps"])
    with _connecting_later(alias, parent.job):
        django.setup()
    job = parent.job.result()
    with collector.relaxed():
        elsewhere = _elsewhere(alias, place["settings"])
        json.dump(elsewhere or _result(alias, job, parent), answer)


def _replace_settings(alias: str, shadow: dict[str, Any]) -> None:
    for each in _all_settings():
        databases = dict(each.DATABASES)
        live = _server(databases[alias])
        for name, entry in each.DATABASES.items():
            if name != alias and _server(entry) == live:
                databases[name] = {"ENGINE": "django.db.backends.dummy"}
        each.DATABASES = {**databases, alias: dict(shadow)}
    _connect_again()


def _connect_again() -> None:
    """A settings module may ask a database while it loads: what Django made of DATABASES by then
    names the live one."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        del connections[connection.alias]
    vars(connections)["settings"] = connections.configure_settings(settings.DATABASES)


def _all_settings() -> list[Any]:
    """Once the settings module is loaded, Dynaconf puts an object of its own in the place of
    Django's: code of the project reads that, what was imported before it the first one."""
    assert settings.DATABASES
    found = (
        settings,
        sys.modules["django.conf"].settings,
        vars(django_connection)["django_settings"],
    )
    return list({id(each): each for each in found}.values())


def _server(entry: Mapping[str, Any]) -> tuple[str, str]:
    """The server of an entry of DATABASES; the local machine has several names."""
    options = entry.get("OPTIONS") or {}
    host = str(entry.get("HOST") or options.get("host") or os.environ.get("PGHOST") or "")
    port = str(entry.get("PORT") or options.get("port") or os.environ.get("PGPORT") or 5432)
    return "" if host in LOCAL or host.startswith("/") else host.lower(), port


def _elsewhere(alias: str, shadow: Mapping[str, Any]) -> dict[str, str]:
    """The problem if Django would connect to another database than the shadow; empty if not."""
    found = connections[alias].settings_dict
    if all(found.get(key) == shadow.get(key) for key in ("NAME", "HOST", "PORT", "OPTIONS")):
        return {}
    return {
        "problem": f"the project changes DATABASES[{alias!r}] while Django starts",
        "hint": "The run stopped before it connected. Set DATABASES in the settings module alone.",
    }


def _keep_apps(labels: list[str]) -> None:
    """Sets the managed apps, because their default may follow from manage.py, which does not run
    here."""
    for each in _all_settings():
        each.ZANITH = {**getattr(each, "ZANITH", {}), "APPS": labels}


@contextmanager
def _connecting_later(alias: str, job: Future[dict[str, Any]]) -> Iterator[None]:
    """An application that asks its database something while Django starts waits until the shadow
    has its structure."""
    connection = connections[alias]
    connect_now = connection.connect

    def connect_later() -> None:
        job.result()
        connect_now()

    vars(connection)["connect"] = connect_later
    yield
    del vars(connection)["connect"]


def _result(alias: str, job: Mapping[str, Any], parent: Parent) -> dict[str, Any]:
    """The result as JSON data; `verdict` is "" if all ran."""
    watch = Watch(connect(alias))
    in_use = job["in_use"]
    rows: dict[str, int] = {}
    try:
        Ledger(watch.connection).ensure()
        graph = live_graph(watch.connection)
        rows = counted(watch.connection, graph) if job["data"] else {}
        filled = [name for name, number in rows.items() if number]
        in_use = None if in_use is None else [*in_use, *filled]
        result = _applied(job, watch, graph, filled, parent)
    except StepFailed as error:
        result = {
            "verdict": "apply-failed",
            "error": str(error),
            "step": error.step_id,
            "statement": watch.failing_statement(error),
        }
    except EnvironmentProblem as error:
        return {"problem": str(error), "hint": error.hint}
    except ZanithError as error:
        result = {"verdict": "apply-failed", "error": str(error), "step": ""}
    return {**result, "rows": rows, "steps": observations(watch, in_use)}


def _applied(
    job: Mapping[str, Any], watch: Watch, before: SchemaGraph, filled: list[str], parent: Parent
) -> dict[str, Any]:
    connection = watch.connection
    timeline = read_timeline(connection)
    occupied = (*job["occupied"], *filled)
    chosen = ApplyOptions(gated=False, verbosity=0, occupied=occupied, graph=before)
    if job["schema"]:
        _keep_inside()
    watch.start()
    state = structure_state(connection)
    apply(connection, chosen, observer=watch)
    if job["schema"]:
        _look_outside(connection, job)
    known = before if structure_state(connection) == state else None
    sources = Sources(connection, parent.declared(), live=known)
    difference = sources.compare(LIVE, MODELS)
    found = origins(connection, timeline, before, difference.operations, sources.declared)
    context = Context(server_version(connection), graph=difference.before)
    return {
        "verdict": "",
        "operations": list(leftovers(found, context)) if difference.operations else [],
        "extra": [extra.description for extra in difference.extras],
    }


_ESTIMATE = """\
SELECT greatest(reltuples, 0), row_security_active(oid) FROM pg_class
WHERE oid = to_regclass(%s)"""


def counted(connection: BaseDatabaseWrapper, graph: SchemaGraph) -> dict[str, int]:
    """The rows of each table of the shadow: counted, or as the server estimates many, and those
    that policies hide."""
    found = {}
    with connection.cursor() as cursor:
        for name in graph.table_names:
            table = sql.table(name, graph.default_schema)
            cursor.execute(_ESTIMATE, [table])
            estimate, hidden = cursor.fetchone()
            if estimate < MANY and not hidden:
                cursor.execute(sql.compose("SELECT count(*) FROM {table}", table=table))
                (estimate,) = cursor.fetchone()
            found[str(name)] = int(estimate)
    return found


def _keep_inside() -> None:
    """Disconnects the receivers of pre_migrate and post_migrate: no code of the project may run in
    the live database."""
    for signal in (pre_migrate, post_migrate):
        signal.receivers.clear()
        signal.sender_receivers_cache.clear()


def _look_outside(connection: BaseDatabaseWrapper, job: Mapping[str, Any]) -> None:
    """Models may use types and functions of the schemas that the live session sees. From here on
    there is only reading."""
    path = f"{job['schema']}, {job['search_path']}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', %s, false)", [path])


if __name__ == "__main__":
    main()
