"""Imports by the thousand, which make what stays for good."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def for_good() -> Iterator[None]:
    """Import without collecting garbage, of which there is none, and let no later collection look at what was imported.

    A collection walks through everything that lives: while modules load, that is an eighth of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
