"""The child process of verify: applies what is pending on the shadow and compares.

In this process the database alias *is* the shadow: settings are replaced before the first
connection, and other aliases of the live server refuse to connect. A data migration without
`.using()` would otherwise write to the live database.

The job comes as the first line of standard input, since it holds a password. The end of standard
input is the end of the parent: the child ends at once, whatever it is doing.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zanith_django.verify.observing import Watch

MANY = 100_000
"""Rows that are not counted one by one."""


def main() -> None:
    job = json.loads(_job())
    answer, sys.stdout = sys.stdout, sys.stderr  # what data migrations print is no part of it
    _replace_settings(job["alias"], job["settings"])
    _keep_apps(job["apps"])
    import django

    django.setup()
    from zanith_django.run import collector

    with collector.relaxed():
        json.dump(_result(job), answer)


def _job() -> str:
    """The first line; a thread waits for the end of the rest."""
    lifeline = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    line = lifeline.readline()

    def end_with_parent() -> None:
        lifeline.read()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    return line


def _replace_settings(alias: str, shadow: dict[str, Any]) -> None:
    from django.conf import settings

    live = settings.DATABASES[alias]
    place = (live.get("HOST", ""), str(live.get("PORT", "")))
    for name, entry in settings.DATABASES.items():
        if name == alias:
            continue
        if (entry.get("HOST", ""), str(entry.get("PORT", ""))) == place:
            settings.DATABASES[name] = {"ENGINE": "django.db.backends.dummy"}
    settings.DATABASES[alias] = shadow


def _keep_apps(labels: list[str]) -> None:
    """What is managed may follow from the folder of manage.py, which does not run here."""
    from django.conf import settings

    settings.ZANITH = {**getattr(settings, "ZANITH", {}), "APPS": labels}


def _result(job: dict[str, Any]) -> dict[str, Any]:
    """The result as JSON data; `verdict` is "" if all ran. Imports wait until Django is set up."""
    from zanith_django.exceptions import EnvironmentProblem, StepFailed, ZanithError
    from zanith_django.postgres.session import connect
    from zanith_django.verify.observations import observations
    from zanith_django.verify.observing import Watch

    watch = Watch(connect(job["alias"]))
    try:
        result = _applied(job, watch)
    except StepFailed as error:
        result = {"verdict": "apply-failed", "error": str(error), "step": error.step_id}
    except EnvironmentProblem as error:
        return {"problem": str(error), "hint": error.hint}
    except ZanithError as error:
        result = {"verdict": "apply-failed", "error": str(error), "step": ""}
    return {**result, "steps": observations(watch, job["in_use"])}


def _applied(job: dict[str, Any], watch: Watch) -> dict[str, Any]:
    from zanith_django.apply.apply import apply
    from zanith_django.apply.state import ApplyOptions
    from zanith_django.operations.base import Context
    from zanith_django.plan.comparison import LIVE, MODELS, Sources
    from zanith_django.plan.drift import origins
    from zanith_django.postgres.session import server_version
    from zanith_django.timeline.project import live_graph, read_timeline
    from zanith_django.verify.leftovers import leftovers

    connection = watch.connection
    timeline, before = read_timeline(connection), live_graph(connection)
    rows = counted(connection, before) if job["data"] else {}
    filled = [name for name, number in rows.items() if number]
    if job["in_use"] is not None:
        job["in_use"] += filled
    chosen = ApplyOptions(gated=False, verbosity=0, occupied=(*job["occupied"], *filled))
    if job["schema"]:
        _keep_inside()
    watch.start()
    apply(connection, chosen, observer=watch)
    if job["schema"]:
        _look_outside(connection, job)
    difference = Sources(connection).compare(LIVE, MODELS)
    found = origins(connection, timeline, before, difference.operations)
    context = Context(server_version(connection), graph=difference.before)
    return {
        "verdict": "",
        "rows": rows,
        "operations": list(leftovers(found, context)) if difference.operations else [],
        "extra": [extra.description for extra in difference.extras],
    }


def counted(connection: Any, graph: Any) -> dict[str, int]:
    """The rows of each table of the shadow: counted, or as the server estimates many."""
    from zanith_django.postgres import sql

    found = {}
    with connection.cursor() as cursor:
        for name in graph.table_names:
            table = sql.table(name, graph.default_schema)
            cursor.execute("SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)", [table])
            (estimate,) = cursor.fetchone()
            if estimate < MANY:
                cursor.execute(sql.compose("SELECT count(*) FROM {table}", table=table))
                (estimate,) = cursor.fetchone()
            found[str(name)] = int(estimate)
    return found


def _keep_inside() -> None:
    """No code of the project runs in the live database, not even that which hears of a migrate."""
    from django.db.models.signals import post_migrate, pre_migrate

    for signal in (pre_migrate, post_migrate):
        signal.receivers.clear()
        signal.sender_receivers_cache.clear()


def _look_outside(connection: Any, job: dict[str, Any]) -> None:
    """Models may use types and functions of the schemas that the live session sees. From here on
    there is only reading."""
    path = f"{job['schema']}, {job['search_path']}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', %s, false)", [path])


if __name__ == "__main__":
    main()
