"""Standard output. A run does not end if it is closed, full or lacks characters. Printed texts may
come from rows of the ledger, which other users may write, so control characters are spelled out.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import OutputWrapper

_COLOUR = r"(?:0|[14]|[34][0-7])"
# Control characters except the colours of Django's styles, tabs, and ends of lines.
_CONTROL = re.compile(
    rf"(\x1b\[(?:{_COLOUR}(?:;{_COLOUR})*)?m)"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|(?!\A)\r(?!\n)"
)


def visible(text: str) -> str:
    """The text with control characters spelled out: `\\x1b` for an escape."""
    return _CONTROL.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    return match[1] or match[0].encode("unicode_escape").decode("ascii")


class Output(OutputWrapper):
    """Accepts all output; `lost` is the error because of which some of it was lost. A character
    that the stream cannot show becomes a question mark, a control character is spelled out unless
    the text is `exact`."""

    lost: OSError | None = None
    _out: Any  # the stream, which Django's stubs do not know

    def write(  # type: ignore[override]  # as Django's own
        self,
        msg: str = "",
        style_func: Callable[[str], str] | None = None,
        ending: str | None = None,
        *,
        exact: bool = False,
    ) -> None:
        if self._out is None:  # Python sets it so if standard output is closed
            return
        msg = msg if exact else visible(msg)
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
