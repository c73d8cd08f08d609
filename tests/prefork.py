"""Runs `manage.py` in forks of a process that has imported Django and zanith already.

Importing is most of the time of a short command, and the tests run hundreds. Nothing is shared but
imported code: each command has a process, folder, environment and exit of its own.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent

# Nothing here may need settings.
IMPORTED = (
    "django.contrib.admin",
    "django.contrib.postgres.constraints",
    "django.contrib.postgres.fields",
    "django.contrib.postgres.indexes",
    "django.contrib.postgres.operations",
    "django.core.cache.backends.locmem",
    "django.core.management.commands.check",
    "django.core.management.commands.makemigrations",
    "django.core.management.commands.migrate",
    "django.db.backends.postgresql.base",
    "django.db.migrations.executor",
    "django.template.defaulttags",
    "django.template.loader_tags",
    "django.views.debug",
    "environ",
)
# The modules of the package that need settings, with the folders below them.
NEEDS_SETTINGS = ("admin", "migrations", "models")


class Server:
    """The process that forks; one command at a time."""

    def __init__(self) -> None:
        self.busy = threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.stop)

    def stop(self) -> None:
        self.process.communicate()

    def run(self, request: Mapping[str, Any]) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


_servers: dict[int, Server] = {}


def manage(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` of a folder; the same as a process of its own, only sooner."""
    server = _servers.get(os.getpid()) or _servers.setdefault(os.getpid(), Server())
    if not server.busy.acquire(blocking=False):  # two at the same time: the second starts afresh
        return _afresh(arguments, folder, environment)
    try:
        with tempfile.TemporaryDirectory() as place:
            out, err = Path(place, "out"), Path(place, "err")
            request = {
                "arguments": ["manage.py", *arguments],
                "folder": str(folder),
                "environment": dict(environment),
                "output": [str(out), str(err)],
            }
            code = server.run(request)
            said = out.read_text(), err.read_text()
        return subprocess.CompletedProcess(list(arguments), code, *said)
    finally:
        server.busy.release()


def _afresh(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


# --- in the process that forks -------------------------------------------------------------------


def _requests() -> dict[str, Any] | None:
    """Forks for each request; returns it in the child, and None in the parent at the end."""
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            return dict(json.loads(line))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def _become(request: Mapping[str, Any]) -> None:
    """Be what a new interpreter would be: its folder, environment, arguments, files and path."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = list(request["arguments"])
    files = [os.devnull, *request["output"]]
    for number, name in enumerate(files):
        flags = os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY
        os.dup2(os.open(name, flags), number)
    here = [*os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    sys.path[:] = list(dict.fromkeys([request["folder"], *filter(None, here), *sys.path]))
    importlib.invalidate_caches()


def _run() -> int:
    """Run `manage.py`; the exit code that an interpreter would return."""
    try:
        runpy.run_path("manage.py", run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _leave(code: int) -> None:
    """End as an interpreter does, but without freeing each object: that copies all of the memory
    shared with the parent, and takes several times as long as a short command."""
    threading._shutdown()  # type: ignore[attr-defined]  # what waits for threads at exit
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _package() -> Iterator[str]:
    """The modules of zanith_django that can be imported before Django has settings."""
    root = REPOSITORY / "zanith_django"
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] not in NEEDS_SETTINGS and parts[-1] != "__init__":
            yield ".".join(("zanith_django", *parts))


def _main() -> None:
    for name in (*IMPORTED, *_package()):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a child would copy what it shares with this process
    if request := _requests():
        _become(request)
        _leave(_run())


if __name__ == "__main__":
    _main()
