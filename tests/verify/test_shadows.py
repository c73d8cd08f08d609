"""Shadows of verify: what they hold, who may use them, and that nothing of them stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.copies import Copy
from tests.project import Project
from tests.releases import Releases
from tests.servers import Database, Server
from zanith_django.verify.shadow_names import new_name

MODELS = """
from django.db import models

class Book(models.Model):
    title = models.CharField(max_length=20, db_index=True)
    pages = models.IntegerField(null=True)
"""
MORE = MODELS + "    copies = models.IntegerField(null=True)\n"
SLOW = """
import time

from django.db import migrations


def wait(apps, editor):
    editor.execute("SELECT pg_advisory_lock_shared(600)")
    time.sleep(600)


class Migration(migrations.Migration):
    dependencies = [("people", "0001_first")]
    operations = [migrations.RunPython(wait)]
"""

OK, NO, WRONG, BROKEN = 0, 1, 2, 3


def with_books(releases: Releases) -> None:
    releases.start(MODELS)


def with_a_release(releases: Releases) -> None:
    """A field that waits."""
    releases.start(MODELS)
    releases.project.write("people/models.py", MORE)
    releases.project.manage("zanith_generate", check=True)


def with_a_slow_release(releases: Releases) -> None:
    """A step that takes a minute."""
    releases.start(MODELS)
    releases.project.write("people/migrations/0002_slow.py", SLOW)


def shadows(project: Project) -> list[str]:
    """Databases that verifies of the project made, and schemas in its database, by our marker."""
    query = (
        "SELECT datname FROM pg_database WHERE starts_with(datname, '_zanith_shadow_') "
        "AND shobj_description(oid, 'pg_database') LIKE 'zanith_verify of ' || current_database()"
        " || ',%' UNION ALL SELECT nspname FROM pg_namespace "
        "WHERE starts_with(nspname, '_zanith_shadow_')"
    )
    return [name for (name,) in project.sql(query)]


def verifying(project: Project, *arguments: str) -> subprocess.Popen[str]:
    """A `zanith_verify` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "zanith_verify", *arguments],
        cwd=project.root,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition: Callable[[], object], seconds: float = 180) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)


def asleep(project: Project) -> bool:
    """The slow step is at work on each shadow of the project: it holds its advisory lock there."""
    found = shadows(project)
    query = (
        "SELECT DISTINCT datname FROM pg_locks JOIN pg_database ON pg_database.oid = database "
        "WHERE datname = ANY (%s) AND locktype = 'advisory' AND classid = 0 AND objid = 600"
    )
    return bool(found) and len(project.sql(query, found)) == len(found)


@pytest.fixture
def shadow_database(server: Server) -> Iterator[Database]:
    name = server.create_database()
    yield Database(name, server.url(name))
    server.drop_database(name)


# --- nothing stays behind ------------------------------------------------------------------------


@pytest.mark.usefixtures("heeding_interruptions")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_child_and_drops_the_shadow_at_once(
    copy_of: Copy, number: signal.Signals, code: int
) -> None:
    shop = copy_of(with_a_slow_release).project
    run = verifying(shop)
    wait_for(lambda: asleep(shop))
    run.send_signal(number)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == code, said
    assert "Traceback" not in said
    assert not asleep(shop)
    assert shadows(shop) == []


def test_the_next_run_drops_what_a_killed_one_left_and_nothing_else(
    copy_of: Copy, server: Server
) -> None:
    shop = copy_of(with_a_slow_release).project
    others = ["_zanith_shadow_0123456789ab", "_zanith_shadow_mine", new_name(keep=True)]
    for name in others:
        shop.sql(f'CREATE DATABASE "{name}"')
    killed, working = verifying(shop), verifying(shop)
    wait_for(lambda: len(shadows(shop)) == 2 and asleep(shop))
    killed.kill()
    killed.communicate()
    try:
        shop.write("people/migrations/0002_slow.py", SLOW.replace("sleep(600)", "sleep(0)"))
        shop.manage("zanith_verify", check=True)
        assert len(shadows(shop)) == 1
        working.terminate()
        working.communicate(timeout=60)
        assert shadows(shop) == []
        names = "SELECT datname FROM pg_database WHERE datname = ANY (%s)"
        assert len(shop.sql(names, others)) == 3
    finally:
        working.kill()
        working.communicate()
        for name in others:
            server.drop_database(name)


def test_a_schema_that_a_killed_run_left_is_dropped_too(copy_of: Copy) -> None:
    shop = copy_of(with_a_release).project
    left, mine = new_name(), "_zanith_shadow_mine"
    shop.sql(f'CREATE SCHEMA "{left}"; CREATE TABLE "{left}".t (); CREATE SCHEMA "{mine}"')
    shop.manage("zanith_verify", "--shadow", "schema", check=True)
    assert shadows(shop) == [mine]


def test_a_schema_is_not_made_where_an_event_trigger_would_refuse_to_drop_it(
    copy_of: Copy,
) -> None:
    shop = copy_of(with_a_release).project
    shop.sql(
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE $$no$$; "
        "END'; CREATE EVENT TRIGGER refusing ON sql_drop EXECUTE FUNCTION refuse()"
    )
    done = shop.manage("zanith_verify", "--shadow", "schema")
    assert done.returncode == BROKEN
    assert "cannot hold event trigger refusing" in done.stderr
    assert shadows(shop) == []


def test_a_kept_shadow_stays_for_good(copy_of: Copy, server: Server) -> None:
    shop = copy_of(with_a_release).project
    said = shop.manage("zanith_verify", "--keep", check=True).stdout
    name = said.split("ephemeral ")[1].split(",")[0]
    try:
        shop.manage("zanith_verify", check=True)
        kept = Database(name, server.url(name))
        with kept.connect() as session:
            assert session.execute("SELECT count(copies) FROM people_book").fetchone() == (0,)
    finally:
        server.drop_database(name)


# --- several at once -----------------------------------------------------------------------------


@pytest.mark.parametrize("given", [False, True], ids=["ephemeral", "one shadow database"])
def test_three_verifies_at_once_do_not_collide(
    copy_of: Copy, shadow_database: Database, given: bool
) -> None:
    shop = copy_of(with_a_release).project
    arguments = ["--shadow", shadow_database.url] if given else []
    runs = [verifying(shop, *arguments) for _ in range(3)]
    said = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [OK] * 3, "\n".join(said)
    assert all("ok · shadow equals the models" in text for text in said)
    assert shadows(shop) == []


# --- a database that is given --------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE t ()",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE mood AS ENUM ('ok')",
        "CREATE DOMAIN percent AS integer CHECK (VALUE < 101)",
        "CREATE SCHEMA theirs",
        "CREATE SEQUENCE s",
        "SELECT lo_create(0)",
        "CREATE PUBLICATION theirs",
    ],
)
def test_a_database_that_is_not_empty_is_left_alone(
    copy_of: Copy, shadow_database: Database, made: str
) -> None:
    shop = copy_of(with_a_release).project
    with shadow_database.connect() as session:
        session.execute(made)
    done = shop.manage("zanith_verify", "--shadow", shadow_database.url)
    assert done.returncode == BROKEN
    assert "is not empty" in done.stderr
    assert "Traceback" not in done.stderr
    with shadow_database.connect() as session:
        emptied = session.execute("SELECT to_regnamespace('_zanith_shadow_marker') IS NOT NULL")
        assert emptied.fetchone() == (False,)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://shop:secret-word@127.0.0.1:port/shadow",
        "postgres://shop:secret-word@127.0.0.1:99999/shadow",
        "postgres://shop:secret-word@[::1/shadow",
        "postgres://shop:secret-word@::1:5432/shadow",
        "postgres://shop:secret-word@127.0.0.1/shadow?nothing=1",
        "postgres://shop:secret-word@127.0.0.1",
        "postgres://shop:secret/word@127.0.0.1/shadow",
        "postgres://shop:secret@word@127.0.0.1/shadow",
        "mysql://shop:secret-word@127.0.0.1/shadow",
    ],
)
def test_a_url_that_is_none_is_named_without_its_password(copy_of: Copy, url: str) -> None:
    shop = copy_of(with_books).project
    done = shop.manage("zanith_verify", "--shadow", url)
    assert done.returncode == WRONG
    assert "--shadow is not the URL of a PostgreSQL database" in done.stderr
    assert not any(part in done.stdout + done.stderr for part in ("secret", "word@"))


# --- passwords -----------------------------------------------------------------------------------

PASSWORD = "marker-7c4e"


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("more", [[], ["--traceback"]], ids=["", "traceback"])
def test_no_password_is_printed(
    copy_of: Copy, shadow_database: Database, form: str, more: list[str]
) -> None:
    shop = copy_of(with_a_release).project
    parts = urlsplit(shadow_database.url)
    place = parts.netloc.rpartition("@")[2]
    right = urlunsplit(parts._replace(netloc=f"{parts.username}:{PASSWORD}@{place}"))
    wrong = f"postgres://shop:{PASSWORD}@127.0.0.1:1/shadow"
    unknown = f"postgres://shop:{PASSWORD}@127.0.0.1:1/shadow?bad=1"
    settings = shop.root / "settings.py"
    plain = settings.read_text()
    for url in (right, wrong, unknown):
        done = shop.manage("zanith_verify", "--shadow", url, "--format", form, *more)
        assert PASSWORD not in done.stdout + done.stderr
        for key, command in (("SHADOW", "zanith_verify"), ("SCRATCH", "zanith_diff models live")):
            settings.write_text(f"{plain}\nZANITH = {{{key!r}: {url!r}}}\n")
            done = shop.manage(*command.split(), "--format", form, *more)
            assert PASSWORD not in done.stdout + done.stderr
        settings.write_text(plain)
    assert "Traceback" not in shop.manage("zanith_verify", "--shadow", unknown).stderr


def test_no_command_line_contains_a_password(copy_of: Copy, tmp_path: Path) -> None:
    shop = copy_of(with_a_release).project
    real, said = shutil.which("pg_dump"), tmp_path / "said"
    if not real:
        pytest.skip("pg_dump is not on PATH")
    tool = tmp_path / "bin" / "pg_dump"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$0 $*" >> {said}\nexec {real} "$@"\n')
    tool.chmod(0o755)
    parts = urlsplit(shop.database.url)
    place = parts.netloc.rpartition("@")[2]
    url = urlunsplit(parts._replace(netloc=f"{parts.username}:{PASSWORD}@{place}"))
    path = f"{tool.parent}{os.pathsep}{os.environ['PATH']}"
    shop.manage("zanith_verify", env={"DATABASE_URL": url, "PATH": path})
    assert PASSWORD not in said.read_text()
