"""From codes in ledgers to indices of a catalog."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

CODE: Final = np.dtype([("code", "<i8"), ("place", "<i8")])

Codes = npt.NDArray[np.void]
"""`CODE`: ledger codes of one kind with the catalog index of each, scattered by their last bits; code -1 where none is
(`takt.engine.ledgers.find`). At least half is empty, so that a search ends soon."""


def codes_of(codes: npt.NDArray[np.int64]) -> Codes:
    """Scatter distinct codes, none of them negative, given in catalog order."""
    size = 2
    while size < 2 * len(codes):
        size *= 2
    made = [(-1, -1)] * size
    for place, code in enumerate(codes.tolist()):
        at = code % size
        while made[at][0] >= 0:
            at = (at + 1) % size
        made[at] = code, place
    return np.array(made, CODE)
