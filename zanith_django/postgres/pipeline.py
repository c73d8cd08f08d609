"""Sends a text of several statements, and lets the client work while the server runs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from types import SimpleNamespace
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg import Connection, errors
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

Meanwhile = Iterator[object]

ASK_AGAIN = 0.1  # seconds

_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)


def send(connection: BaseDatabaseWrapper, text: str, meanwhile: Meanwhile | None = None) -> None:
    """Run a text without parameters and results. After it is sent, `meanwhile` is iterated, at
    least once, until the server has answered. It must not use the connection. If it raises an
    error, the text is cancelled and the error is raised.

    The text goes the way of every statement: execute wrappers see it, and errors are Django's.
    """
    connection.ensure_connection()
    if meanwhile is None:
        with connection.cursor() as cursor:
            cursor.execute(text)
        return
    sender: Any = _Sender(connection.connection, meanwhile)
    wrapper = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    wrapped: CursorWrapper = wrapper(sender)
    wrapped.execute(text)


def send_raw(connection: Connection[Any], text: str, meanwhile: Meanwhile) -> None:
    """Like `send`, but below Django: errors are psycopg's, and no wrapper sees the text."""
    _Sender(connection, meanwhile).execute(text)


class _Sender:
    """The part of a cursor that Django's wrappers need."""

    def __init__(self, raw: Connection[Any], meanwhile: Meanwhile) -> None:
        self.raw, self.meanwhile = raw, meanwhile
        self._query: Any = None  # Django's debug cursor reads the executed SQL from it

    def execute(self, text: str) -> None:
        pgconn, query = self.raw.pgconn, text.encode()
        self._query = SimpleNamespace(query=query)
        pgconn.send_query(query)
        while pgconn.flush():
            self._ready_for(EVENT_WRITE)
        try:
            for _ in self.meanwhile:
                pgconn.consume_input()
                if not pgconn.is_busy():
                    break
            results = self._results()
        except BaseException:
            with suppress(errors.Error):
                self._cancel()
            raise
        for result in results:
            if result.status in _FAILED:
                raise errors.error_from_result(result)

    def _cancel(self) -> None:
        """Cancel the text. A request that arrives before the server has begun is lost, so it is
        repeated."""
        pgconn = self.raw.pgconn
        while pgconn.transaction_status == TransactionStatus.ACTIVE:
            self.raw.cancel_safe()
            self._ready_for(EVENT_READ, ASK_AGAIN)
            pgconn.consume_input()
            while not pgconn.is_busy() and pgconn.get_result():
                pass

    def _ready_for(self, event: int, seconds: float | None = None) -> None:
        with DefaultSelector() as selector:
            selector.register(self.raw.pgconn.socket, event)
            selector.select(seconds)

    def _results(self) -> list[PGresult]:
        pgconn, results = self.raw.pgconn, list[PGresult]()
        while True:
            while pgconn.is_busy():
                self._ready_for(EVENT_READ, ASK_AGAIN)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                return results
            results.append(result)
