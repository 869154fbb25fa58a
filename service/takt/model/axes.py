"""The model's timings and tonalities against the catalog's: matched by name, an axis of size 1 broadcasts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def unknown(catalog: Sequence[str], model: Sequence[str]) -> tuple[str, ...]:
    """Names that the catalog declares and the model does not know."""
    known = set(model)
    return tuple(name for name in catalog if name not in known)


def order(catalog: Sequence[str], model: Sequence[str]) -> npt.NDArray[np.intp] | None:
    """Integers [catalog]: the index of each of the catalog's names on the model's axis; None if both are the same.

    Every name must be known to the model.
    """
    if tuple(catalog) == tuple(model):
        return None
    at = {name: index for index, name in enumerate(model)}
    return np.array([at[name] for name in catalog], dtype=np.intp)
