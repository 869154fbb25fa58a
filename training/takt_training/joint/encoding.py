"""Raw columns of a section to what is learned from, by the types of the features; the plan is made from the data.

Numbers are clipped to what was common in training, logarithms taken where they are skewed, imputed and standardised
(`takt_training.preparation`); categories, and whole numbers of few values (an hour, a weekday, a count), one-hot.
The same code runs in numpy and in JAX; `graph` writes it into the ONNX graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from onnx import TensorProto

from takt.features.matrix import model_features
from takt.features.section import FeatureType, Section
from takt_training.graph import Graph, prepared
from takt_training.preparation import LIMIT, Floats32, Preparation, Treatment, fit_preparation

FEW = 24
"""Whole numbers from 0 to this, exclusive, are told apart one by one where training has no others."""
SKEWED = 2.0
"""Skewness above which a column that is never negative is taken by its logarithm."""
_RARE = 0.001
"""Share of the rows on either side that is clipped."""


class Column(Struct, frozen=True):
    """One column of a raw matrix."""

    name: str
    type: FeatureType
    values: int
    """Size of a category's vocabulary, else 0."""


def columns_of(section: Section, prefix: str) -> list[Column]:
    """The columns of `model_matrix`, named `prefix.NAME`."""
    result = []
    for feature in model_features(section):
        if feature.type is FeatureType.FLAGS:
            result += [Column(f"{prefix}.{feature.name}.{value}", FeatureType.BOOL, 0) for value in feature.values]
        else:
            values = len(feature.values) if feature.type is FeatureType.CATEGORY else 0
            result.append(Column(f"{prefix}.{feature.name}", feature.type, values))
    return result


class Encoding(Struct, frozen=True):
    """Fitted encoding of a raw matrix [n, *] as [n, Z]: K numbers, F flags of missing values, then one-hots [H]."""

    numbers: Preparation
    hot_column: npt.NDArray[np.int64]
    """int64 [H]: the raw column of each one-hot."""
    hot_value: Floats32
    """float32 [H]: the value that it stands for."""
    hot_last: Floats32
    """float32 [H]: the largest value of its column; larger ones count as it."""
    names: tuple[str, ...]
    """[Z]."""

    @property
    def width(self) -> int:
        """Z."""
        return self.numbers.width + len(self.hot_column)

    def apply(self, raw: Any, xp: ModuleType = np) -> Any:
        """Encoded [n, Z], float32, in numpy or in JAX (`xp`)."""
        p = self.numbers
        values = raw[:, p.columns]
        missing = xp.isnan(values)
        values = xp.minimum(xp.maximum(xp.where(missing, np.float32(0), values), p.low), p.high)
        logs = xp.log(values[:, : p.logs] + p.offset)
        values = xp.where(missing, p.fill, xp.concatenate([logs, values[:, p.logs :]], axis=1))
        values = xp.clip((values - p.mean) * p.scale, -LIMIT, LIMIT)
        flags = (xp.isnan(raw[:, p.flagged]).astype(np.float32) - p.flag_mean) * p.flag_scale
        chosen = raw[:, self.hot_column]
        known = xp.clip(xp.where(xp.isnan(chosen), np.float32(0), chosen), np.float32(0), self.hot_last)
        hot = ((xp.floor(known) == self.hot_value) & ~xp.isnan(chosen)).astype(np.float32)
        return xp.concatenate([values, flags, hot], axis=1).astype(np.float32)

    def graph(self, graph: Graph, source: str, prefix: str) -> str:
        """`apply` as nodes on `source`: [n, Z]."""
        if not len(self.hot_column):
            return prepared(graph, self.numbers, source, prefix)

        def name(what: str) -> str:
            return f"{prefix}_hot_{what}"

        columns = graph.constant(name("columns"), self.hot_column, np.int64)
        chosen = graph.add("Gather", source, columns, to=name("raw"), axis=1)
        missing = graph.add("IsNaN", chosen, to=name("missing"))
        zero = graph.constant(name("zero"), 0.0)
        filled = graph.add("Where", missing, zero, chosen, to=name("filled"))
        raised = graph.add("Max", filled, zero, to=name("raised"))
        known = graph.add("Min", raised, graph.constant(name("last"), self.hot_last), to=name("known"))
        whole = graph.add("Floor", known, to=name("whole"))
        equal = graph.add("Equal", whole, graph.constant(name("values"), self.hot_value), to=name("equal"))
        there = graph.add("And", equal, graph.add("Not", missing, to=name("there")), to=name("both"))
        hot = graph.add("Cast", there, to=name("floats"), to_type=TensorProto.FLOAT)
        if not self.numbers.width:
            return hot
        return graph.add("Concat", prepared(graph, self.numbers, source, prefix), hot, to=f"{prefix}_encoded", axis=1)


def fit_encoding(raw: Floats32, columns: Sequence[Column], *, without: Sequence[str] = ()) -> Encoding:
    """Fit on a sample of training rows [n, *] with these columns; those named in `without` are left out.

    Columns that do not vary and are never missing are left out as well.
    """
    treatments: dict[str, Treatment] = {}
    hot: list[tuple[int, int, int]] = []
    for i, column in enumerate(columns):
        if column.name in without:
            continue
        values = raw[:, i].astype(np.float64)
        known = values[~np.isnan(values)]
        flagged = 0 < len(known) < len(values)
        if column.values:
            hot += [(i, value, column.values - 1) for value in range(column.values)]
            continue
        if len(known) == 0 or (known.min() == known.max() and not flagged):
            continue
        treatments[column.name] = _treatment(known, column.type, flagged=flagged)
        if column.type is FeatureType.INT and known.min() >= 0 and known.max() < FEW:
            last = int(known.max())
            hot += [(i, value, last) for value in range(int(known.min()), last + 1)]
    numbers = fit_preparation(raw, [column.name for column in columns], treatments)
    of = np.array([at for at, _, _ in hot], np.int64)
    return Encoding(
        numbers=numbers,
        hot_column=of,
        hot_value=np.array([value for _, value, _ in hot], np.float32),
        hot_last=np.array([last for _, _, last in hot], np.float32),
        names=(*numbers.names, *(f"{columns[at].name} = {value}" for at, value, _ in hot)),
    )


def _treatment(known: npt.NDArray[np.float64], kind: FeatureType, *, flagged: bool) -> Treatment:
    """How one column of numbers is prepared, by its known values in training."""
    if kind is FeatureType.BOOL:
        return Treatment(log=False, low=0.0, high=1.0, flag_missing=flagged)
    low, high = (float(bound) for bound in np.quantile(known, [_RARE, 1 - _RARE]))
    deviation = known.std()
    skewness = float(np.mean(((known - known.mean()) / deviation) ** 3)) if deviation > 0 else 0.0
    if known.min() >= 0 and skewness > SKEWED and high > low:
        middle = float(np.median(known[known > 0])) if (known > 0).any() else 1.0
        return Treatment(log=True, offset=max(0.1 * middle, 1e-6), low=0.0, high=high, flag_missing=flagged)
    if high <= low:
        low, high = float(known.min()), float(known.max())
    return Treatment(log=False, low=low, high=high, flag_missing=flagged)
