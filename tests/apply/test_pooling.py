"""Runners that come all at once, directly and through PgBouncer; a proxy that shares is refused."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.apply.test_stopped_runs import a_failing_release
from tests.copies import Copy
from tests.project import Project
from tests.servers import Server, _free_port, _server_user

# Twenty on demand: each is a process of its own.
RUNNERS = int(os.environ.get("ZANITH_TEST_RUNNERS", "3"))

CONFIG = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 40
"""

Bouncer = Callable[[str], int]


@pytest.fixture
def bouncer(server: Server, tmp_path: Path) -> Iterator[Bouncer]:
    """`bouncer("session")` starts one of that pool mode; its port."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    if not Path(program).exists():
        pytest.skip("pgbouncer is not installed")
    started: list[subprocess.Popen[bytes]] = []

    def start(mode: str) -> int:
        place, listen = urlsplit(server.maintenance_url), _free_port()
        folder = Path("/tmp") / f"zanith_bouncer_{listen}"
        folder.mkdir()
        text = CONFIG.format(
            host=place.hostname, port=place.port, user=place.username, listen=listen, mode=mode
        )
        config = folder / "pgbouncer.ini"
        config.write_text(text)
        started.append(
            subprocess.Popen(
                [program, "-q", str(config)], user=_server_user(), stderr=subprocess.DEVNULL
            )
        )
        _wait_for(listen)
        shutil.rmtree(folder)
        return listen

    yield start
    for process in started:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.05)
    pytest.fail("pgbouncer does not answer")


def through(project: Project, port: int) -> dict[str, str]:
    parts = urlsplit(project.database.url)
    return {"DATABASE_URL": urlunsplit(parts._replace(netloc=f"postgres@127.0.0.1:{port}"))}


def all_at_once(project: Project, env: dict[str, str]) -> list[str]:
    """What so many runs say that start together; each ends with 0."""
    runs = [
        subprocess.Popen(
            [sys.executable, "manage.py", "zanith_apply"],
            cwd=project.root,
            env={**project.environment(), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(RUNNERS)
    ]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0] * RUNNERS, "\n".join(said)
    return said


def assert_one_applied(project: Project, said: list[str]) -> None:
    assert sum("Applied 1 migration" in text for text in said) == 1
    assert sum("Nothing to do" in text for text in said) == RUNNERS - 1
    statuses = "SELECT DISTINCT status FROM _zanith_migration_steps"
    assert project.sql(statuses) == [("done",)]
    assert project.sql("SELECT FROM pg_index WHERE NOT indisvalid") == []


def a_release(copy_of: Copy) -> Project:
    """A unique index waits to be built concurrently."""
    shop = copy_of(a_failing_release).project
    shop.sql("DELETE FROM shop_book WHERE title = 'b'")
    return shop


def test_of_many_runs_one_applies_and_the_others_wait(copy_of: Copy) -> None:
    shop = a_release(copy_of)
    assert_one_applied(shop, all_at_once(shop, {}))


def test_so_it_is_through_a_proxy_that_keeps_sessions(copy_of: Copy, bouncer: Bouncer) -> None:
    shop = a_release(copy_of)
    assert_one_applied(shop, all_at_once(shop, through(shop, bouncer("session"))))


def test_a_proxy_that_shares_sessions_is_refused(copy_of: Copy, bouncer: Bouncer) -> None:
    shop = a_release(copy_of)
    way = through(shop, bouncer("transaction"))

    refused = shop.manage("zanith_apply", env=way)

    assert refused.returncode == 3
    assert "transaction-pooling proxy, which makes the run lock worthless" in refused.stderr
    assert 'ZANITH = {"DIRECT": "direct"}' in refused.stderr

    settings = shop.root / "settings.py"
    settings.write_text(
        settings.read_text()
        + "\nZANITH = {'DIRECT': 'direct'}\n"
        + f"DATABASES['direct'] = environ.Env().db_url_config({shop.database.url!r})\n"
    )
    assert "Applied 1 migration" in shop.manage("zanith_apply", check=True, env=way).stdout


def test_verify_goes_past_a_proxy_that_shares_sessions_or_is_refused(
    copy_of: Copy, bouncer: Bouncer
) -> None:
    shop = a_release(copy_of)
    way = through(shop, bouncer("transaction"))
    refused = shop.manage("zanith_verify", env=way)
    assert refused.returncode == 3
    assert 'ZANITH = {"DIRECT": "direct"}' in refused.stderr
    assert "Traceback" not in refused.stderr
    settings = shop.root / "settings.py"
    settings.write_text(
        settings.read_text()
        + "\nZANITH = {'DIRECT': 'direct'}\n"
        + f"DATABASES['direct'] = environ.Env().db_url_config({shop.database.url!r})\n"
    )
    assert "ok · " in shop.manage("zanith_verify", check=True, env=way).stdout


def test_a_proxy_that_shares_statements_ends_with_3(copy_of: Copy, bouncer: Bouncer) -> None:
    shop = a_release(copy_of)
    way = through(shop, bouncer("statement"))
    for command in ("zanith_diff models live", "zanith_verify", "zanith_plan"):
        done = shop.manage(*command.split(), env=way)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
