"""The recipes of docs/signals.md, run as they stand there and told of a run by its own events."""

from __future__ import annotations

import http.server
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django import signals
from zanith_django.operations import AddIndex
from zanith_django.postgres.names import TableName
from zanith_django.run.events import Events, StepEvent, run_log
from zanith_django.schema.graph import Index, IndexKey

PAGE = Path(__file__).parents[2] / "docs" / "signals.md"
SIGNALS = ("step_started", "step_finished", "migration_applied", "run_failed")
BY_EMAIL = Index("by_email", (IndexKey(column="email"),))
ADDED = AddIndex(table=TableName("", "users"), index=BY_EMAIL)
STEP = StepEvent("20260101_000000_it", 1, ADDED, "low", 15)


@pytest.fixture(autouse=True)
def only_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers of a recipe go again with the test."""
    for name in SIGNALS:
        signal = getattr(signals, name)
        monkeypatch.setattr(signal, "receivers", [])
        signal.sender_receivers_cache.clear()


def recipe(title: str) -> dict[str, Any]:
    """What the code under that heading defines."""
    section = PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    match = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert match
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(match[1], str(PAGE), "exec"), names)
    return names


def a_run(connection: BaseDatabaseWrapper) -> None:
    """One step is done, another fails."""
    events = Events(connection)
    events.step_started(STEP)
    events.step_finished(STEP, 1.5)
    events.migration_applied(STEP.migration, 1, 2.0)
    events.step_started(STEP)
    events.run_failed(ValueError("no room left"))


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is posted to Slack."""
    posted: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *given: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("SLACK_WEBHOOK", f"http://127.0.0.1:{server.server_port}/hook")
        yield posted
        server.shutdown()


def test_slack_receives_the_end_of_a_migration_and_of_a_run(
    within: BaseDatabaseWrapper, webhook: list[Any]
) -> None:
    names = recipe("Slack")
    a_run(within)
    assert [posted["text"] for posted in webhook] == [
        ":white_check_mark: applied 20260101_000000_it on shared in 2.0 s",
        ":x: zanith on shared stopped at 20260101_000000_it step 1: no room left",
    ]
    assert names


class Note:
    """Stands for any object of a library; notes what is called, with what."""

    def __init__(self, calls: list[Any], name: str) -> None:
        self.calls, self.name = calls, name

    def __getattr__(self, name: str) -> Note:
        return Note(self.calls, f"{self.name}.{name}")

    def __call__(self, *given: Any, **named: Any) -> Note:
        self.calls.append((self.name, given))
        return self


def library(monkeypatch: pytest.MonkeyPatch, calls: list[Any], name: str, *parts: str) -> None:
    module = ModuleType(name)
    for part in parts:
        setattr(module, part, Note(calls, part))
    monkeypatch.setitem(sys.modules, name, module)


def test_prometheus_counts_steps_and_is_pushed_at_the_end(
    within: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    parts = ("CollectorRegistry", "Counter", "Gauge", "push_to_gateway")
    library(monkeypatch, calls, "prometheus_client", *parts)
    names = recipe("Prometheus")
    del calls[:]
    a_run(within)
    assert [call for call in calls if call[0] != "push_to_gateway"] == [
        ("Counter.labels", ("addIndex", "low")),
        ("Counter.labels.inc", ()),
        ("Counter.labels", ("addIndex",)),
        ("Counter.labels.inc", (1.5,)),
        ("Gauge.set", (False,)),
        ("Gauge.set", (True,)),
    ]
    assert [call[0] for call in calls].count("push_to_gateway") == 2
    assert names


def test_opentelemetry_has_a_span_for_each_step(
    within: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    library(monkeypatch, calls, "opentelemetry", "trace")
    library(monkeypatch, calls, "opentelemetry.trace", "Status", "StatusCode")
    names = recipe("OpenTelemetry")
    del calls[:]
    a_run(within)
    span = "trace.get_tracer.start_span"
    assert [name.removeprefix(span) for name, _ in calls] == [
        "", ".end", "", ".record_exception", "Status", ".set_status", ".end",
    ]  # fmt: skip
    assert names["open_spans"] == []


def test_the_log_is_a_line_of_json_for_each_event(
    within: BaseDatabaseWrapper, caplog: pytest.LogCaptureFixture
) -> None:
    formatter = recipe("The log")["JsonLines"]()
    with caplog.at_level(logging.DEBUG, run_log.name):
        a_run(within)
    lines = [json.loads(formatter.format(record)) for record in caplog.records]
    assert [line["event"] for line in lines] == [
        "step_started", "step_finished", "migration_applied", "step_started", "run_failed",
    ]  # fmt: skip
    levels = [record.levelname for record in caplog.records]
    assert levels == ["DEBUG", "DEBUG", "INFO", "DEBUG", "ERROR"]
    assert lines[1]["seconds"] == 1.5
    assert lines[-1]["error"] == "no room left"
