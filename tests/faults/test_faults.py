"""A sample of what `python -m tests.faults`, `…tampering` and `…verifies` run in full."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.project import REPOSITORY
from tests.servers import CHOICE, Server


def test_one_more_run_sets_right_what_a_cut_off_run_left(server: Server) -> None:
    """Cut in every way, at statements spread over a build of a unique index."""
    said = ran(server, "tests.faults", "addUnique-many", "--every", "31")
    assert ", 0 of them not set right" in said


@pytest.mark.parametrize(
    ("verb", "case"),
    [
        ("rollback", "addUnique-1"),
        ("rollback", "archiveTable-1"),
        ("restore", "softDropColumn-1"),
        ("purge", "softDropTable-1"),
    ],
)
def test_the_same_command_sets_right_what_it_left(server: Server, verb: str, case: str) -> None:
    ways = ("--ways", "kill before", "kill after")
    said = ran(server, "tests.faults", case, "--verb", verb, *ways, "--every", "29")
    assert ", 0 of them not set right" in said


@pytest.mark.parametrize("verb", ["rollback", "restore", "purge"])
def test_no_row_of_the_ledger_is_executed(server: Server, verb: str) -> None:
    said = ran(
        server, "tests.faults.tampering", "softDropColumn-1", "--verbs", verb, "--every", "29"
    )
    assert "0 changes of the ledger made a command send something else" in said


def test_the_next_verify_drops_what_killed_ones_left(server: Server) -> None:
    said = ran(server, "tests.faults.verifies", "--runs", "4", "--killed", "2", "--seed", "1")
    assert "nothing is left" in said


def ran(server: Server, module: str, *arguments: str) -> str:
    """What the module prints; it must exit with 0."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")},
        CHOICE: server.maintenance_url,
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
