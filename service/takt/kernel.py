"""Loops over arrays, compiled once and cached on disk.

A kernel is an ordinary Python function over numpy arrays and numbers. It is compiled by numba with `nogil`, so that the
event loop runs on while a batch is computed. The cache lies in the user's cache directory under a digest of every
kernel's source: a kernel inlines the kernels it calls, so a change in one room must not leave a stale copy in another.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

ROOMS: Final = ("policy", "arbitration", "exploration", "eligibility", "engine")
"""Packages of `takt` that hold kernels."""


def cache_directory() -> Path:
    """Where compiled kernels are kept: `TAKT_KERNEL_CACHE`, else under the user's cache directory."""
    base = os.environ.get("TAKT_KERNEL_CACHE")
    root = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "takt" / "kernels"
    digest = hashlib.blake2b(digest_size=8)
    here = Path(__file__).parent
    for room in ROOMS:
        for source in sorted((here / room).rglob("*.py")):
            digest.update(source.read_bytes())
    return root / digest.hexdigest()


numba.config.CACHE_DIR = str(cache_directory())

F = TypeVar("F", bound="Callable[..., object]")


def kernel(function: F) -> F:
    """Compile `function` on first call; `function.py_func` stays the plain Python twin."""
    compiled: F = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return compiled
