"""A sample of the matrix, which `python -m tests.faults` runs in full."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.project import REPOSITORY
from tests.servers import CHOICE, Server


def test_one_more_run_sets_right_what_a_cut_off_run_left(server: Server) -> None:
    """Cut in every way, at statements spread over a build of a unique index."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")},
        CHOICE: server.maintenance_url,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "addUnique-many", "--every", "19"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 of them not set right" in done.stdout
