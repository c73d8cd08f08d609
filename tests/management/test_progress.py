"""What a run prints of a backfill."""

from __future__ import annotations

import io
import time

import pytest
from django.core.management.base import OutputWrapper
from django.core.management.color import no_style

from zanith_django.management.progress import TerminalReporter
from zanith_django.postgres.names import TableName
from zanith_django.run.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a backfill that tells of a batch every three seconds."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    reporter = TerminalReporter(OutputWrapper(out), no_style(), verbosity=1)
    for batch in range(1, 8):
        now += 3
        reporter.progress(Progress(TableName("", "t"), 500 * batch, 3500, 166.7, 21 - 3 * batch))
    return out.getvalue()


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed(io.StringIO(), monkeypatch) == (
        "    t: 2,000 of about 3,500 rows, 167/s, 9 s left\n"
    )


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(Terminal(), monkeypatch).split("\r")
    assert lines[-1] == f"    [{'█' * 24}] 3,500 of about 3,500 rows, 167/s, 0 s left   \n"
