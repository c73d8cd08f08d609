"""Faults of what a run stands on: its server restarts, its disk fills, its network drops."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests import servers
from tests.servers import Server

WAYS = (
    "restart before",
    "restart inside",
    "network before",
    "network inside",
    "hang before",
    "hang inside",
    "disk before",
)

# Small enough that a table of some thousand rows outgrows it, large enough for a WAL segment.
HANGING = 1.5  # seconds
LARGEST_FILE = 1_200_000


class World:
    """A cluster of its own, with a proxy before it."""

    def __init__(self) -> None:
        self.binaries = servers._system_binaries("")
        self.user = servers._server_user()
        self.folder = servers._temporary_folder()
        self.port = servers._free_port()
        self.way_in = servers._free_port()

    @contextmanager
    def running(self) -> Iterator[Server]:
        """The server, reached through the proxy."""
        if self.user:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)
        words = ["-D", str(self.folder), "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
        self._program("initdb", *words, "--no-sync", "--wal-segsize=1")
        self._control("start")
        proxy = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.world", str(self.way_in), str(self.port)]
        )
        self.proxy = proxy.pid
        try:
            self._wait()
            yield Server(f"postgresql://postgres@127.0.0.1:{self.way_in}/postgres")
        finally:
            proxy.kill()
            proxy.wait()
            self._control("stop")

    # --- faults --------------------------------------------------------------------------------

    def restart(self, pid: int) -> None:
        """As after a power cut: nothing is written before."""
        self._control("restart")

    def network(self, pid: int) -> None:
        os.kill(self.proxy, signal.SIGUSR1)
        time.sleep(0.05)

    def hang(self, pid: int) -> None:
        """Nothing arrives any more for a while, and nobody is told."""
        os.kill(self.proxy, signal.SIGUSR2)
        time.sleep(0.05)

    def disk(self, pid: int) -> None:
        """No file of this backend can grow any more: what a full disk says, and just as late."""
        words = ["prlimit", f"--pid={pid}", f"--fsize={LARGEST_FILE}:"]
        subprocess.run(words, user=self.user, check=True, cwd="/")

    # --- programs ------------------------------------------------------------------------------

    def _control(self, command: str) -> None:
        options = f"-p {self.port} -c unix_socket_directories='' -c listen_addresses=127.0.0.1"
        words = ["-D", str(self.folder), "-l", str(self.folder / "log"), "-m", "immediate", "-w"]
        self._program("pg_ctl", *words, "-o", options, command)

    def _program(self, name: str, *words: str) -> None:
        servers._run(Path(self.binaries) / name, *words, user=self.user)

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while True:
            with suppress(psycopg.OperationalError):
                psycopg.connect(f"postgresql://postgres@127.0.0.1:{self.way_in}/postgres").close()
                return
            if time.monotonic() > end:
                raise RuntimeError("the proxy does not answer")
            time.sleep(0.1)


# --- the proxy, a process of its own -------------------------------------------------------------


def serve(way_in: int, port: int) -> None:
    """Pass bytes on until SIGUSR1 drops every connection that is open; SIGUSR2 holds them up."""
    open_sockets: set[socket.socket] = set()
    flowing = threading.Event()
    flowing.set()

    def hold_up(*given: object) -> None:
        flowing.clear()
        threading.Timer(HANGING, flowing.set).start()

    def drop(*given: object) -> None:
        for one in list(open_sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        open_sockets.clear()

    signal.signal(signal.SIGUSR1, drop)
    signal.signal(signal.SIGUSR2, hold_up)
    listener = socket.create_server(("127.0.0.1", way_in))
    while True:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", port))
        except OSError:
            client.close()
            continue
        open_sockets |= {client, server}
        for pair in ((client, server), (server, client)):
            threading.Thread(target=_pass_on, args=(*pair, flowing), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, flowing: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            flowing.wait()
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
