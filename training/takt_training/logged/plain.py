"""Features of rows as plain values, for formats that are text."""

from __future__ import annotations

from typing import Any

import numpy as np

from takt.clock import DAY_US
from takt.features.matrix import model_features
from takt.features.section import MISSING_TIME, Block, Section
from takt_training.logged.dataset import Rows


def plain(section: Section, row: Rows, now_us: int) -> dict[str, Any]:
    """What a model sees of one row `[1]`: numbers, texts of categories, 1 per flag, ages in days, nothing for gaps."""
    found: dict[str, Any] = {}
    for feature in model_features(section):
        place = section.places[feature.name]
        stored = row[place.field][0, place.column]
        match place.block:
            case Block.NUM:
                if not np.isnan(stored):
                    found[feature.name] = float(stored)
            case Block.TS:
                if stored != MISSING_TIME:
                    found[feature.name] = (now_us - int(stored)) / DAY_US
            case Block.CAT:
                if stored:
                    found[feature.name] = feature.values[int(stored) - 1]
            case Block.FLAGS:
                found |= {f"{feature.name}.{v}": 1 for i, v in enumerate(feature.values) if int(stored) >> i & 1}
    return found
