"""Calibration curves that live inside the graph: a straight line (Platt) or some rising pieces (isotonic)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from sklearn.isotonic import IsotonicRegression

from takt_training.graph import Graph

Floats = npt.NDArray[np.float64]

PIECES = 8
_LEAST_SLOPE = 1e-3
"""A curve never falls and never quite levels out: the order of offers stays."""


class Curve(Struct, frozen=True):
    """calibrated = line(x) where `knots` are empty, else the pieces between the knots, with slope 1 outside of them."""

    scale: float = 1.0
    shift: float = 0.0
    knots: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    """Calibrated log-odds at the knots."""

    def apply(self, eta: Floats) -> Floats:
        """Calibrated log-odds of any shape."""
        if not self.knots:
            return self.scale * eta + self.shift
        result = self.levels[0] + np.minimum(eta - self.knots[0], 0) + np.maximum(eta - self.knots[-1], 0)
        for low, high, slope in self._pieces():
            result = result + slope * np.clip(eta - low, 0, high - low)
        return np.asarray(result)

    def _pieces(self) -> list[tuple[float, float, float]]:
        ends = zip(self.knots[:-1], self.knots[1:], self.levels[:-1], self.levels[1:], strict=True)
        return [(low, high, (after - before) / (high - low)) for low, high, before, after in ends]

    def graph(self, graph: Graph, eta: str, prefix: str) -> str:
        """The pieces as nodes; a line has been multiplied in before, where it costs nothing."""
        if not self.knots:
            return eta

        def name(what: str) -> str:
            return f"{prefix}_curve_{what}"

        zero = graph.constant(name("zero"), 0.0)
        first, last = graph.constant(name("first"), self.knots[0]), graph.constant(name("last"), self.knots[-1])
        below = graph.add("Min", graph.add("Sub", eta, first, to=name("from_first")), zero, to=name("below"))
        above = graph.add("Max", graph.add("Sub", eta, last, to=name("from_last")), zero, to=name("above"))
        total = graph.add("Add", below, above, to=name("outside"))
        for i, (low, high, slope) in enumerate(self._pieces()):
            start = graph.constant(name(f"start_{i}"), low)
            over = graph.add("Sub", eta, start, to=name(f"over_{i}"))
            width = graph.constant(name(f"width_{i}"), high - low)
            part = graph.add("Clip", over, zero, width, to=name(f"part_{i}"))
            slope_ = graph.constant(name(f"slope_{i}"), slope)
            total = graph.add("Add", total, graph.add("Mul", part, slope_, to=name(f"of_{i}")), to=name(f"sum_{i}"))
        return graph.add("Add", total, graph.constant(name("level"), self.levels[0]), to=name("calibrated"))


def fit_isotonic(eta: Floats, happened: npt.NDArray[np.bool_], anyway: Floats | None = None) -> Curve:
    """Isotonic regression of outcomes on log-odds [n], drawn through its means over `PIECES` + 1 parts of the rows.

    `anyway` [n]: P(it happens without what the log-odds speak of); what is seen beyond that is theirs.
    Raises ValueError unless some rows happened and some did not.
    """
    if len(eta) == 0 or happened.all() or not happened.any():
        raise ValueError("calibration needs rows that were accepted and rows that were not")
    target, weight = happened.astype(np.float64), np.ones(len(eta))
    if anyway is not None:
        weight = np.maximum(1 - anyway, _LEAST_SLOPE)
        target = (target - anyway) / weight
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit(eta, target, weight).predict(eta)
    least = 0.5 / len(eta)
    parts = [part for part in np.array_split(np.argsort(eta, kind="stable"), PIECES + 1) if len(part)]
    knots: list[float] = []
    levels: list[float] = []
    for part in parts:
        p = float(np.clip(fitted[part].mean(), least, 1 - least))
        knot, level = float(eta[part].mean()), float(np.log(p / (1 - p)))
        if knots and knot <= knots[-1] + 1e-6:
            continue
        if knots:
            level = max(level, levels[-1] + _LEAST_SLOPE * (knot - knots[-1]))
        knots.append(knot)
        levels.append(level)
    if len(knots) == 1:
        return Curve(shift=levels[0] - knots[0])
    return Curve(knots=tuple(knots), levels=tuple(levels))
