"""The child process of verify: applies what is pending on the shadow and compares.

In this process the database alias *is* the shadow: settings are replaced before the first
connection, and other aliases of the live server refuse to connect. A data migration without
`.using()` would otherwise write to the live database.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

JOB = "ZANITH_SHADOW_JOB"


def main() -> None:
    job = json.loads(os.environ.pop(JOB))
    _replace_settings(job["alias"], job["settings"])
    _keep_apps(job["apps"])
    import django

    django.setup()
    json.dump(_verdict(job["alias"]), sys.__stdout__)  # type: ignore[arg-type]


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


def _verdict(alias: str) -> dict[str, Any]:
    """What came of it, as JSON data. Imports wait until Django is set up."""
    from zanith_django.apply import Options, apply
    from zanith_django.compare import LIVE, MODELS, Sources
    from zanith_django.exceptions import StepFailed, ZanithError
    from zanith_django.session import connect

    connection = connect(alias)
    sys.stdout = sys.stderr  # what data migrations print is no part of the answer
    try:
        apply(connection, Options(gated=False, verbosity=0))
    except StepFailed as error:
        return {"verdict": "apply-failed", "error": str(error), "step": error.step_id}
    except ZanithError as error:
        return {"verdict": "apply-failed", "error": str(error), "step": ""}
    difference = Sources(connection).compare(LIVE, MODELS)
    return {
        "verdict": "drift" if difference.operations else "ok",
        "operations": [
            {"kind": o.kind, "target": o.target, "description": o.describe()}
            for o in difference.operations
        ],
        "extra": [extra.description for extra in difference.extras],
    }


if __name__ == "__main__":
    main()
