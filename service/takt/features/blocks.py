"""The blocks of a section's rows as plain arrays, the form in which kernels read features."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt


class Blocks(NamedTuple):
    """Rows of a section, by block: C-contiguous, aligned and writeable; a block without features is `[0, 0]`."""

    num: npt.NDArray[np.float32]
    """float32 [n, numbers]: NaN where missing."""
    ts: npt.NDArray[np.int64]
    """int64 [n, timestamps]: `MISSING_TIME` where missing."""
    cat: npt.NDArray[np.uint16]
    """uint16 [n, categories]: 0 where missing."""
    flags: npt.NDArray[np.uint64]
    """uint64 [n, sets of flags]."""


_NONE: Final[dict[str, npt.NDArray[Any]]] = {
    "num": np.zeros((0, 0), np.float32),
    "ts": np.zeros((0, 0), np.int64),
    "cat": np.zeros((0, 0), np.uint16),
    "flags": np.zeros((0, 0), np.uint64),
}


def blocks_of(rows: npt.NDArray[np.void]) -> Blocks:
    """The blocks of structured rows `[n]` of any section. They are copies: views would be strided, each in its way."""
    names = rows.dtype.names or ()
    return Blocks(*[rows[name].copy() if name in names else none for name, none in _NONE.items()])
