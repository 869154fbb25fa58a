"""From codes in ledgers to indices of a catalog."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Codes(NamedTuple):
    """Sorted ledger codes of one kind and the catalog index of each (`takt.engine.ledgers.find`)."""

    codes: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]


def codes_of(codes: npt.NDArray[np.int64]) -> Codes:
    """Sort codes given in catalog order."""
    order = np.argsort(codes)
    return Codes(codes[order], order.astype(np.int64))
