"""One worker of the rehearsed shop: serves requests, one after the other, until it is stopped.

    python worker.py NUMBER ROWS PER_SECOND

Every request goes through the WSGI application, as in gunicorn's worker, which a client in the same
process calls. A line of JSON is printed for each: when it began, how long it took, what it was, and
the error, if any.
"""

from __future__ import annotations

import json
import logging
import random
import signal
import sys
import time
from itertools import count
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception
from django.test import RequestFactory


def main() -> None:
    number, rows, per_second = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    django.setup()
    logging.disable(logging.CRITICAL)
    application, requests = WSGIHandler(), RequestFactory()
    chance = random.Random(number)
    fresh = count(10**9 + number * 10**7)
    errors: list[str] = []

    def note(sender: object, **_: object) -> None:
        errors.append(str(sys.exc_info()[1]).strip().splitlines()[0])

    got_request_exception.connect(note)
    while True:
        errors.clear()
        path = one_of(chance, rows, fresh)
        begun = time.time()
        status = serve(application, requests.get(path).environ)
        took = time.time() - begun
        failed = "" if status.startswith("200") else (errors or [status])[0]
        print(json.dumps([begun, took, path.split("/")[1], failed]), flush=True)
        time.sleep(max(0.0, chance.uniform(0, 2 / per_second) - took))


def serve(application: Any, environ: dict[str, Any]) -> str:
    """Answer one request as a WSGI server does; the status line."""
    status: list[str] = []
    body = application(environ, lambda line, _: status.append(line))
    b"".join(body)
    body.close()
    return status[0]


def one_of(chance: random.Random, rows: int, fresh: count[int]) -> str:
    known = 2 * (1 + chance.randrange(rows // 2))  # those of odd numbers are there to be cancelled
    kind = chance.choices(
        ["newest", "detail", "place", "change", "cancel"], weights=[2, 5, 3, 4, 1]
    )[0]
    if kind == "newest":
        return "/newest/"
    number = {"place": next(fresh), "cancel": known - 1}.get(kind, known)
    return f"/{kind}/{number}/"


if __name__ == "__main__":
    main()
