"""Projects that several tests start from: built once, then copied with their database."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.project import BASE_APPS, MANAGE, SETTINGS, Project
from tests.releases import Releases
from tests.servers import Database, Server

Copy = Callable[[Callable[[Releases], None]], Releases]
Originals = dict[Callable[[Releases], None], Releases]


@pytest.fixture(scope="session")
def originals(server: Server) -> Iterator[Originals]:
    """{what made it: the project}, of this process."""
    made: Originals = {}
    yield made
    for releases in made.values():
        server.drop_database(releases.project.database.name)


@pytest.fixture
def copy_of(
    originals: Originals, server: Server, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Iterator[Copy]:
    """`copy_of(make)`: a project of one's own, as `make` leaves a new one."""
    copies: list[Database] = []

    def copy(make: Callable[[Releases], None]) -> Releases:
        if make not in originals:
            originals[make] = new_project(tmp_path_factory.mktemp("original"), server)
            make(originals[make])
        original = originals[make]
        folder = tmp_path / "copy"
        shutil.copytree(original.project.root, folder)
        name = server.create_database(original.project.database.name)
        copies.append(Database(name, server.url(name)))
        return Releases(Project(folder, copies[-1]), original.count)

    yield copy
    for database in copies:
        server.drop_database(database.name)


@pytest.fixture
def heeding_interruptions() -> Iterator[None]:
    """A shell starts what runs in its background deaf to Ctrl-C, and its children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def new_project(folder: Path, server: Server) -> Releases:
    """A project with the empty app `people` and a database of its own."""
    name = server.create_database()
    project = Project(folder, Database(name, server.url(name)))
    project.write("manage.py", MANAGE)
    project.write("settings.py", SETTINGS.format(apps=[*BASE_APPS, "people"]))
    project.add_app("people", "")
    return Releases(project)
