"""Attributes of an offer that only ever lower acceptance, or only raise it: a higher price never helps.

Each becomes a few rising pieces in [0, 1] between quantiles of training. The person's side gives every piece a slope
that cannot be negative (a softplus), so the promise holds by construction, for everybody and for values never seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt_training.graph import Graph
from takt_training.preparation import Floats32

Direction = Literal["up", "down"]
PIECES = 4


class Splines(Struct, frozen=True):
    """Q pieces of some columns of the raw offers; arrays float32 [Q], but for `column`."""

    column: npt.NDArray[np.int64]
    """int64 [Q]: which raw column."""
    low: Floats32
    width: Floats32
    fill: Floats32
    """Stands in for a missing value, raw."""
    sign: Floats32
    """1 where acceptance may only rise with the column, -1 where it may only fall."""

    def __len__(self) -> int:
        return len(self.column)

    def apply(self, raw: Any, xp: ModuleType = np) -> Any:
        """Pieces with their sign [m, Q] of raw offers [m, G]."""
        values = raw[:, self.column]
        values = xp.where(xp.isnan(values), self.fill, values)
        return (xp.clip((values - self.low) / self.width, 0.0, 1.0) * self.sign).astype(np.float32)

    def graph(self, graph: Graph, source: str) -> str:
        """`apply` as nodes on `source`."""
        column = graph.constant("monotone_columns", self.column, np.int64)
        raw = graph.add("Gather", source, column, to="monotone_raw", axis=1)
        missing = graph.add("IsNaN", raw, to="monotone_missing")
        known = graph.add("Where", missing, graph.constant("monotone_fill", self.fill), raw, to="monotone_known")
        above = graph.add("Sub", known, graph.constant("monotone_low", self.low), to="monotone_above")
        share = graph.add("Div", above, graph.constant("monotone_width", self.width), to="monotone_share")
        none, all_ = graph.constant("monotone_none", 0.0), graph.constant("monotone_all", 1.0)
        clipped = graph.add("Clip", share, none, all_, to="monotone_clipped")
        return graph.add("Mul", clipped, graph.constant("monotone_sign", self.sign), to="monotone")


def fit_splines(raw: Floats32, names: Sequence[str], directions: Mapping[str, Direction]) -> Splines:
    """Pieces between quantiles of training rows [n, G] with columns `names`, for those with a direction."""
    parts: list[tuple[int, float, float, float, float]] = []
    for name, direction in sorted(directions.items()):
        at = names.index(name)
        known = raw[:, at][~np.isnan(raw[:, at])].astype(np.float64)
        if len(known) == 0:
            continue
        knots = np.unique(np.quantile(known, np.linspace(0, 1, PIECES + 1)))
        if len(knots) == 1:
            knots = np.array([knots[0], knots[0] + max(abs(knots[0]), 1.0)])
        sign = 1.0 if direction == "up" else -1.0
        parts += [(at, a, b - a, float(np.median(known)), sign) for a, b in pairwise(knots.tolist())]
    table = np.array(parts, np.float64).reshape(-1, 5)
    low, width, fill, sign_ = (table[:, i].astype(np.float32) for i in range(1, 5))
    return Splines(table[:, 0].astype(np.int64), low, width, fill, sign_)
