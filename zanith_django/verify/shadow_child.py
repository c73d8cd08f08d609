"""Starts the child process in which the alias is the shadow, and ends it with its parent."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import EnvironmentProblem, ShadowFailed
from zanith_django.files.files import managed_apps
from zanith_django.verify import shadow_run
from zanith_django.verify.shadow import Shadow


@dataclass(frozen=True, slots=True)
class Job:
    """What the child is to do. `occupied` names the live tables that hold rows: on the shadow they
    take the statements that the live ones would. `in_use` are those whose locks count, None for
    all that the shadow begins with. With `data`, the shadow has rows of its own."""

    occupied: Sequence[str]
    in_use: Sequence[str] | None
    data: bool


def run_in_child(connection: BaseDatabaseWrapper, shadow: Shadow, given: Job) -> dict[str, Any]:
    """The result of `shadow_run` on the shadow."""
    if not settings.SETTINGS_MODULE:
        raise EnvironmentProblem(
            "A shadow needs a settings module: DJANGO_SETTINGS_MODULE is unset."
        )
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        (search_path,) = cursor.fetchone()
    job = {
        "alias": connection.alias,
        "settings": dict(shadow.settings),
        "schema": shadow.schema,
        "search_path": search_path,
        **dataclasses.asdict(given),
        "apps": [config.label for config in managed_apps()],
    }
    with tempfile.TemporaryFile("w+") as errors, _started(errors) as process:
        answer = _answer(process, json.dumps(job, default=str))
        if process.wait() or not answer:
            errors.seek(0)
            lines = errors.read().strip().splitlines() or ["it exited without output"]
            raise ShadowFailed(shadow.name, lines[-1])
    result = dict(json.loads(answer))
    if "problem" in result:
        raise ShadowFailed(shadow.name, result["problem"], result["hint"])
    return result


@contextmanager
def _started(errors: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """The child, in a session of its own: Ctrl-C reaches the parent alone, which ends the child.
    Its standard input stays open as long as the parent lives."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": str(settings.SETTINGS_MODULE),
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", shadow_run.__name__],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()


def _answer(process: subprocess.Popen[str], job: str) -> str:
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(f"{job}\n")
        process.stdin.flush()
    except BrokenPipeError:
        return ""  # it ended at once; what it printed says why
    return process.stdout.read()
