"""A bundle in force: scores a batch in one run of ONNX Runtime, on the catalog's own axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt.catalog.snapshot import Catalog
from takt.errors import ModelError
from takt.model.axes import order
from takt.model.check import Demands, inspect_bundle
from takt.model.features import feature_contract
from takt.model.golden import Array
from takt.model.manifest import Manifest, Metadata
from takt.model.probe import probe
from takt.model.session import Session, pad_to_two
from takt.model.trial import RANGES, Axes, out_of_range
from takt.ports import Scores

WARM_ROWS: Final = 64
"""Rows of the run that warms up a model: its memory is then allocated for a full batch."""
WARM_OFFERS: Final = 200


class _Reading(Struct, frozen=True):
    """How one output of the graph becomes an array on the catalog's axes."""

    name: str
    middle: tuple[int, int]
    """How many timings and tonalities the output has."""
    offers: bool
    """Whether it tells offers apart."""
    highest: int | None
    """Bit pattern of the largest value that the output may have, None where it may be negative."""
    timings: npt.NDArray[np.intp] | None
    """Index on the model's axis per timing of the catalog; None to leave the axis as it is."""
    tonalities: npt.NDArray[np.intp] | None


class OnnxScorer:
    """Implements `takt.ports.Scorer` over one loaded graph. Immutable; may be called from several threads at once."""

    def __init__(self, session: Session, *, manifest: Manifest, axes: Mapping[str, Axes], demands: Demands) -> None:
        """Take a session that `inspect_bundle` accepted for these demands, with the axes that it found."""
        metadata = manifest.metadata
        self._session = session
        self._manifest = manifest
        self._version = manifest.bundle
        self._codes = {offer: 1 + index for index, offer in enumerate(metadata.offers)}
        self._readings = tuple(
            _Reading(
                name=name,
                middle=(
                    len(metadata.timings) if axis.timings else 1,
                    len(metadata.tonalities) if axis.tonalities else 1,
                ),
                offers=axis.offers,
                highest=_highest(*RANGES[name]),
                timings=order(demands.timings, metadata.timings) if axis.timings else None,
                tonalities=order(demands.tonalities, metadata.tonalities) if axis.tonalities else None,
            )
            for name, axis in axes.items()
        )
        self._outputs = tuple(reading.name for reading in self._readings)

    @property
    def version(self) -> str:
        """`name/version`."""
        return self._version

    @property
    def metadata(self) -> Metadata:
        """Goal, window, unit, estimand and the rest of what the bundle says of itself."""
        return self._manifest.metadata

    def score(
        self,
        profile: npt.NDArray[np.float32],
        context: npt.NDArray[np.float32],
        offers: npt.NDArray[np.float32],
        offer_code: npt.NDArray[np.int64],
    ) -> Scores:
        """Score `[R, P]` and `[R, C]` against `[O, G]` in one run; R and O are at least 1.

        Axes are the catalog's `[R, T, N, O]`, those that the model does not tell apart of size 1. A row's estimates are
        the same to the bit however many rows and offers are scored with it, on one version of ONNX Runtime and one kind
        of processor: a run never has a single row or offer.

        Raises `ModelError` if the graph fails, or an output is not finite, out of range or of an unexpected shape.
        """
        rows, count = len(profile), len(offers)
        feed = {
            "profile": pad_to_two(profile),
            "context": pad_to_two(context),
            "offers": pad_to_two(offers),
            "offer_code": pad_to_two(offer_code),
        }
        arrays = self._session.run(self._outputs, feed)
        run_rows, run_count = len(feed["profile"]), len(feed["offers"])
        out: dict[str, Array] = {}
        for reading, array in zip(self._readings, arrays, strict=True):
            expected = (run_rows, *reading.middle, run_count if reading.offers else 1)
            if array.shape != expected:
                raise ModelError(
                    f"{self.version}: output {reading.name!r} has shape {list(array.shape)}, expected {list(expected)}"
                )
            if not _surely_in_range(array, reading) and (fault := out_of_range(reading.name, array)):
                raise ModelError(f"{self.version}: output {reading.name!r} {fault}")
            out[reading.name] = _on_catalog_axes(array[:rows, :, :, :count], reading)
        return Scores(**out)

    def offer_codes(self, offers: Sequence[str]) -> npt.NDArray[np.int64]:
        """int64 [n]: the codes the model was trained with, 0 for an offer it never saw."""
        return np.fromiter((self._codes.get(offer, 0) for offer in offers), dtype=np.int64, count=len(offers))


def load_scorer(path: Path, catalog: Catalog, *, threads: int = 1) -> OnnxScorer:
    """Load a bundle for a catalog: verify the whole contract, reproduce the golden rows, warm up.

    Takes some tenths of a second; call it off the request path. `threads` are ONNX Runtime's within one run.
    Raises `ModelError` with everything that is wrong.
    """
    demands = Demands(
        features=feature_contract(catalog.spec),
        timings=tuple(timing.id for timing in catalog.timings),
        tonalities=catalog.tonalities,
        offers=tuple(offer.id for offer in catalog.offers),
    )
    return load_for(path, demands, threads=threads)


def load_for(path: Path, demands: Demands, *, threads: int = 1) -> OnnxScorer:
    """Load a bundle for what a workspace demands. See `load_scorer`."""
    inspected = inspect_bundle(path, demands, threads=threads)
    inspected.report.raise_if_refused()
    if inspected.manifest is None or inspected.trial is None or not inspected.axes:  # a report that is ok is complete
        raise ModelError(f"bundle {path} was not inspected to the end")
    scorer = OnnxScorer(inspected.trial.session, manifest=inspected.manifest, axes=inspected.axes, demands=demands)
    _warm_up(scorer, demands)
    return scorer


def _warm_up(scorer: OnnxScorer, demands: Demands) -> None:
    """Let ONNX Runtime allocate for a full batch before the first customer waits for it."""
    offers = min(WARM_OFFERS, max(1, len(demands.offers)))
    metadata = scorer.metadata
    for rows in (1, WARM_ROWS):
        inputs = probe(metadata.features, rows=rows, offers=offers, codes=len(metadata.offers), absurd=False)
        scorer.score(inputs["profile"], inputs["context"], inputs["offers"], inputs["offer_code"])


def _highest(low: float, high: float) -> int | None:
    """Bit pattern of the largest finite float32 in a range; None for a range with negative values."""
    if low < 0.0:
        return None
    return int(np.float32(min(high, float(np.finfo(np.float32).max))).view(np.uint32))


def _surely_in_range(array: Array, reading: _Reading) -> bool:
    """Whether a quick look finds every value finite and in range; False asks for a closer one.

    Read as unsigned integers, floats that are not negative keep their order, and infinity, NaN and everything with a
    sign come after them: one pass over the bits finds all that is wrong (and -0.0, which is not).
    """
    if reading.highest is None:
        low, high = float(array.min()), float(array.max())
        return isfinite(low) and isfinite(high)
    return int(np.maximum.reduce(array.view(np.uint32), axis=None)) <= reading.highest


def _on_catalog_axes(array: Array, reading: _Reading) -> Array:
    """The catalog's timings and tonalities in its order, C-contiguous; not copied where nothing moves."""
    if reading.timings is not None:
        array = array.take(reading.timings, axis=1)
    if reading.tonalities is not None:
        array = array.take(reading.tonalities, axis=2)
    return np.ascontiguousarray(array)
