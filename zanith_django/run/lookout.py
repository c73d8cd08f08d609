"""A second connection, which finds the sessions that the working session waits for. It is opened
when a statement takes longer than a moment, and closed when the statement ends. If the server has
no free connection, nothing is reported and nothing fails.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.postgres.rows import backend_pid
from zanith_django.run.blockers import WAITED_FOR, Blocker, blockers, named

EVERY = 1.0  # seconds between two looks
AGAIN = 30.0  # seconds between two lines about the same sessions
CONNECT_SECONDS = 3


class Lookout:
    """Watches the session of `connection`. It calls `say` with a line for people, from another
    thread; `seen` are the last blocking sessions."""

    def __init__(self, connection: BaseDatabaseWrapper, say: Callable[[str], None]) -> None:
        self.connection, self.say = connection, say
        self.seen: tuple[Blocker, ...] = ()
        self._refused = False
        self._backend: tuple[Any, int] | None = None

    @contextmanager
    def watching(self, every: float = EVERY, *, silent: bool = False) -> Iterator[None]:
        """Meanwhile, looks every `every` seconds for the sessions that the working session waits
        for."""
        self.seen = ()
        if self._refused:
            yield
            return
        over = threading.Event()
        given = (over, every, silent, self._pid(), self._address())
        thread = threading.Thread(target=self._watch, args=given, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(CONNECT_SECONDS)

    def _pid(self) -> int:
        """The backend of the session; a pooler reports another one to its clients."""
        raw = self.connection.connection
        if self._backend is None or self._backend[0] is not raw:
            self._backend = raw, backend_pid(self.connection)
        return self._backend[1]

    def _address(self) -> dict[str, Any]:
        """The address for a connection of its own, also if Django takes its connections from a
        pool."""
        given = {"connect_timeout": CONNECT_SECONDS, **self.connection.get_connection_params()}
        return given | {"autocommit": True, "application_name": "zanith lookout"}

    def _watch(
        self, over: threading.Event, every: float, silent: bool, pid: int, address: dict[str, Any]
    ) -> None:
        if over.wait(every):
            return
        try:
            with psycopg.connect(**address) as side:
                self._look_on(side, over, every, silent, pid)
        except psycopg.Error:
            self._refused = True

    def _look_on(
        self, side: Any, over: threading.Event, every: float, silent: bool, pid: int
    ) -> None:
        named_at, named_pids = 0.0, set[int]()
        while not over.is_set():
            found = blockers(side.execute(WAITED_FOR, [pid]).fetchall())
            self.seen = found or self.seen
            pids, now = {each.pid for each in found}, time.monotonic()
            fresh = not pids <= named_pids or now - named_at >= AGAIN
            if found and fresh and not silent and not over.is_set():
                named_at, named_pids = now, pids
                with suppress(Exception):  # a closed terminal stops the run itself, not this
                    self.say(f"waiting for {named(found)}")
            over.wait(every)
