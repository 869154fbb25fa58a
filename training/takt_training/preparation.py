"""Raw model columns to what a model learns from: clipped, logarithms where skewed, imputed, standardised.

Fitted on training rows only. `takt_training.export` writes the same steps into the ONNX graph.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

LIMIT = 5.0
"""Standardised values are clipped to this many standard deviations, so that an absurd record cannot run away."""


class Treatment(Struct, frozen=True):
    """How one column is prepared, before anything is fitted."""

    log: bool = True
    """Whether its natural logarithm is taken; a column of shares or counts is skewed."""
    offset: float = 1.0
    """Added before the logarithm."""
    low: float = 0.0
    high: float = 1e6
    """Raw values are clipped to these."""
    missing_is_most: bool = False
    """Missing means «never»: imputed with the largest value seen in training, else with the mean."""
    flag_missing: bool = False
    """Whether a further column says that the value was missing."""


class Preparation(Struct, frozen=True):
    """Fitted preparation of K of a matrix' columns into K + F, F of them flags of missing values.

    Arrays are float32 [K]. Logarithmic columns come first: `columns[:logs]` are those, the rest is linear.
    """

    columns: Ints
    """Which columns of the raw matrix."""
    names: tuple[str, ...]
    """Their names; flags are called `NAME is missing`. K + F of them."""
    logs: int
    offset: Floats32
    """[logs], added before the logarithm."""
    low: Floats32
    high: Floats32
    fill: Floats32
    """Stands in for a missing value, after the logarithm."""
    mean: Floats32
    scale: Floats32
    """1 / standard deviation."""
    flagged: Ints
    """Columns of the raw matrix whose being missing is told; [F]."""
    flag_mean: Floats32
    flag_scale: Floats32

    @property
    def width(self) -> int:
        """K + F."""
        return len(self.columns) + len(self.flagged)

    def apply(self, raw: Floats32) -> Floats32:
        """Prepared [n, K + F] of raw [n, P]."""
        values = raw[:, self.columns]
        missing = np.isnan(values)
        values = np.minimum(np.maximum(np.where(missing, np.float32(0), values), self.low), self.high)
        logs = np.log(values[:, : self.logs] + self.offset)
        values = np.where(missing, self.fill, np.concatenate([logs, values[:, self.logs :]], axis=1))
        values = np.clip((values - self.mean) * self.scale, -LIMIT, LIMIT)
        flags = (np.isnan(raw[:, self.flagged]).astype(np.float32) - self.flag_mean) * self.flag_scale
        return np.concatenate([values, flags], axis=1).astype(np.float32)


def fit_preparation(raw: Floats32, names: Sequence[str], treatments: Mapping[str, Treatment]) -> Preparation:
    """Fit on raw [n, P] whose columns are `names`; columns without a treatment are left out.

    Raises KeyError if a treatment is given for a column that there is not.
    """
    position = {name: i for i, name in enumerate(names)}
    ordered = sorted(treatments, key=lambda name: (not treatments[name].log, position[name]))
    columns = np.array([position[name] for name in ordered], np.int64)
    plans = [treatments[name] for name in ordered]
    logs = sum(plan.log for plan in plans)
    low, high = (np.array([getattr(plan, bound) for plan in plans], np.float32) for bound in ("low", "high"))
    offset = np.array([plan.offset for plan in plans[:logs]], np.float32)
    values = np.clip(raw[:, columns].astype(np.float64), low, high)  # NaN stays
    values[:, :logs] = np.log(values[:, :logs] + offset)
    known = ~np.isnan(values)
    seen = known.any(0)
    zeroed = np.where(known, values, 0.0)
    average = zeroed.sum(0) / np.maximum(known.sum(0), 1)
    most = np.where(seen, np.where(known, values, -np.inf).max(0), 0.0)
    fill = np.where([plan.missing_is_most for plan in plans], most, average)
    values = np.where(known, values, fill)
    flagged = np.array([position[name] for name in ordered if treatments[name].flag_missing], np.int64)
    flags = np.isnan(raw[:, flagged]).astype(np.float64)
    return Preparation(
        columns=columns,
        names=(*ordered, *(f"{names[i]} is missing" for i in flagged)),
        logs=logs,
        offset=offset,
        low=low,
        high=high,
        fill=fill.astype(np.float32),
        mean=values.mean(0).astype(np.float32),
        scale=_inverse(values.std(0)),
        flagged=flagged,
        flag_mean=flags.mean(0).astype(np.float32),
        flag_scale=_inverse(flags.std(0)),
    )


def _inverse(deviation: npt.NDArray[np.float64]) -> Floats32:
    """1 / deviation, and 0 for what does not vary: it must not matter later either."""
    varies = deviation > 1e-9
    return np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0).astype(np.float32)
