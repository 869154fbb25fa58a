"""Loops over arrays, compiled once and cached on disk.

A kernel is an ordinary Python function over numpy arrays and numbers. It is compiled by numba with `nogil`, so that the
event loop runs on while a batch is computed, and cached beside its source, so that only a first start pays for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., object]")


def kernel(function: F) -> F:
    """Compile `function` on first call; `function.py_func` stays the plain Python twin."""
    compiled: F = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return compiled
