"""The parent's side of the child process: starts it, sends its input, reads its result, ends it."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

from django.conf import ENVIRONMENT_VARIABLE, settings
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.exceptions import EnvironmentProblem, ShadowFailed
from zanith_django.files.files import managed_apps
from zanith_django.schema.models import Declared
from zanith_django.verify import shadow_run
from zanith_django.verify.shadow import Place, Shadow


@dataclass(frozen=True, slots=True)
class Job:
    """The task of the child. `occupied` names the live tables that hold rows: on the shadow they
    take the statements that the live ones would. `in_use` are those whose locks count, None for all
    that the shadow begins with. With `data`, the shadow has rows of its own."""

    occupied: Sequence[str]
    in_use: Sequence[str] | None
    data: bool


@dataclass(frozen=True, slots=True)
class Child:
    """The process that runs `shadow_run`. It imports the project while its parent creates the
    shadow. It gets three lines: the address of the shadow, with which Django starts before it
    exists; the job, when the shadow has its structure; and the declarations of the models, which
    the parent reads while the plan runs."""

    process: subprocess.Popen[str]
    errors: IO[str]

    def start(self, connection: BaseDatabaseWrapper, place: Place) -> None:
        """Lets the project start with the shadow as its database. Code that connects before that
        exists waits for `begin`."""
        self._write(
            {
                "alias": connection.alias,
                "settings": dict(place.settings),
                "apps": [config.label for config in managed_apps()],
            }
        )

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Ends the process before the shadow is dropped."""
        try:
            yield
        finally:
            self.end()

    def begin(self, connection: BaseDatabaseWrapper, shadow: Shadow, given: Job) -> None:
        """Lets it run the plan on the shadow."""
        with connection.cursor() as cursor:
            cursor.execute("SHOW search_path")
            (search_path,) = cursor.fetchone()
        self._write(
            {"schema": shadow.schema, "search_path": search_path, **dataclasses.asdict(given)}
        )

    def models_are(self, read: Declared | None) -> None:
        """Sends the declarations of the models, read on the same server; with None, the child reads
        them itself."""
        text = base64.b64encode(pickle.dumps(read)).decode() if read else ""
        self._write({"models": text})

    def result(self, shadow: Shadow) -> dict[str, Any]:
        """The result of `shadow_run`. Raises `ShadowFailed`."""
        assert self.process.stdout
        answer = self.process.stdout.read()
        if self.process.wait() or not answer:
            raise ShadowFailed(shadow.name, self._last_words())
        result = dict(json.loads(answer))
        if "problem" in result:
            raise ShadowFailed(shadow.name, result["problem"], result["hint"])
        return result

    def _write(self, line: Mapping[str, Any]) -> None:
        assert self.process.stdin
        with suppress(BrokenPipeError):  # it ended at once; its output says why
            self.process.stdin.write(f"{json.dumps(line, default=str)}\n")
            self.process.stdin.flush()

    def _last_words(self) -> str:
        self.errors.seek(0)
        return (self.errors.read().strip().splitlines() or ["it exited without output"])[-1]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with suppress(BrokenPipeError):
                    stream.close()


@contextmanager
def started() -> Iterator[Child]:
    """A child in a session of its own: Ctrl-C reaches the parent alone, which ends the child.
    Its standard input stays open as long as the parent lives."""
    if not settings.SETTINGS_MODULE:
        raise EnvironmentProblem(
            "A shadow needs a settings module: DJANGO_SETTINGS_MODULE is unset."
        )
    environment = {
        **os.environ,
        ENVIRONMENT_VARIABLE: os.environ.get(ENVIRONMENT_VARIABLE) or str(settings.SETTINGS_MODULE),
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", shadow_run.__name__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        child = Child(process, errors)
        try:
            yield child
        finally:
            child.end()
