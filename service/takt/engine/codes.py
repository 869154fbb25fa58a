"""From codes in ledgers to indices of a catalog."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

CODE: Final = np.dtype([("code", "<i8"), ("place", "<i8")])

Codes = npt.NDArray[np.void]
"""`CODE`: ledger codes of one kind, sorted, and the catalog index of each (`takt.engine.ledgers.find`)."""


def codes_of(codes: npt.NDArray[np.int64]) -> Codes:
    """Sort codes given in catalog order."""
    order = np.argsort(codes)
    made = np.empty(len(codes), CODE)
    made["code"], made["place"] = codes[order], order
    return made
