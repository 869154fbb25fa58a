"""Inputs to try a model with: ordinary ones, missing ones, absurd ones."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from takt.model.features import FeatureContract
from takt.model.golden import Array

ABSURD: Final = np.float32(1e30)
"""Far beyond any data, and its products with ordinary weights still fit into a float32."""

Floats = npt.NDArray[np.float32]


def probe(
    features: FeatureContract, *, rows: int, offers: int, codes: int, absurd: bool = True, seed: int = 1
) -> dict[str, Array]:
    """Inputs for `rows` rows and `offers` offers of a model that knows `codes` offers.

    Row 0 and offer 0 miss everything that can be missing; with `absurd`, rows and offers 1 and 2 hold plus and minus
    1e30 in every column that is a quantity; the others are ordinary, a fifth of their values missing. Offer codes are
    0, the largest, and any between.
    """
    rng = np.random.default_rng(seed)
    code = rng.integers(0, codes + 1, offers)
    code[:2] = (0, codes)[: len(code)]
    return {
        "profile": _section(features, "profile", rows, rng=rng, absurd=absurd),
        "context": _section(features, "context", rows, rng=rng, absurd=absurd),
        "offers": _section(features, "offer", offers, rng=rng, absurd=absurd),
        "offer_code": code.astype(np.int64),
    }


def part(inputs: dict[str, Array], rows: slice | list[int], offers: slice | list[int]) -> dict[str, Array]:
    """Some rows against some offers of a probe."""
    return {
        "profile": inputs["profile"][rows],
        "context": inputs["context"][rows],
        "offers": inputs["offers"][offers],
        "offer_code": inputs["offer_code"][offers],
    }


def _section(features: FeatureContract, section: str, count: int, *, rng: np.random.Generator, absurd: bool) -> Floats:
    """Values [count, columns] of one section."""
    columns = features.columns(section)
    out = np.empty((count, len(columns)), dtype=np.float32)
    for at, column in enumerate(columns):
        out[:, at] = _column(features, f"{section}.{column}", count, rng=rng, absurd=absurd)
    return out


def _column(features: FeatureContract, key: str, count: int, *, rng: np.random.Generator, absurd: bool) -> Floats:
    facts = features.features.get(key)
    if facts is None:  # not a feature's own name: one value of a flags feature, never missing
        return rng.integers(0, 2, count).astype(np.float32)
    quantity = facts.type not in {"category", "bool"}
    if facts.type == "category":
        values = rng.integers(0, max(1, len(features.vocabularies.get(key, ()))), count).astype(np.float32)
    elif facts.type == "bool":
        values = rng.integers(0, 2, count).astype(np.float32)
    else:  # shares, counts, days and amounts of money are all plausible
        values = (rng.normal(size=count) * 10.0 ** rng.uniform(-1, 3)).astype(np.float32)
    values[rng.random(count) < 0.2] = np.nan
    if quantity and absurd:
        values[1:3] = (ABSURD, -ABSURD)[: max(0, count - 1)]
    values[:1] = np.nan
    return values
