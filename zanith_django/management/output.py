"""Standard output, which may be closed, be full or know few characters: no run ends for that."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import OutputWrapper


class Output(OutputWrapper):
    """Takes whatever is written; `lost` is why some of it went nowhere. A character that the
    stream cannot show becomes a question mark."""

    lost: OSError | None = None
    _out: Any  # the stream, which Django's stubs do not know

    def write(  # type: ignore[override]  # as Django's own
        self,
        msg: str = "",
        style_func: Callable[[str], str] | None = None,
        ending: str | None = None,
    ) -> None:
        if self._out is None:  # as Python leaves it where standard output is closed
            return
        with self._losing():
            try:
                super().write(msg, style_func, ending)
            except UnicodeEncodeError:
                known = msg.encode(self._out.encoding, "replace").decode(self._out.encoding)
                super().write(known, style_func, ending)

    def flush(self) -> None:
        with self._losing():
            super().flush()

    @contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost = self.lost or error
            if self._out is sys.stdout:  # Python would write the rest of it at exit
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stdout.fileno())
                os.close(nowhere)
