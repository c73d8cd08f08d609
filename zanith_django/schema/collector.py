"""Works on many values without the garbage collector looking at them in vain."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Values of a graph hold no cycles, yet every few thousand of them make the collector walk
    over everything that the process has: half the time of reading a large schema."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def frozen() -> Iterator[None]:
    """What the process has by now, all models of the project for instance, is not looked at again;
    what comes later is."""
    by_others = gc.get_freeze_count()
    gc.freeze()
    try:
        yield
    finally:
        if not by_others:
            gc.unfreeze()
