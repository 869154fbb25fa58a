"""A bundle that scores alike for everybody: what stands in before anything is learned, and a constant policy."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from takt import __version__
from takt.catalog.snapshot import Catalog
from takt.features.matrix import model_columns, model_matrix
from takt.model.bundle import write_bundle
from takt.model.features import feature_contract
from takt.model.golden import Golden
from takt.model.manifest import Manifest, Metadata, metadata_props
from takt.model.session import Session
from takt_training.graph import Graph, finished
from takt_training.simulation.truth import OFFERS, TIMINGS, TONALITIES, WINDOW_DAYS
from takt_training.simulation.workspace import GOAL

BEGUN: Final = "2026-01-01T00:00:00Z"
UNTIL: Final = "2026-01-02T00:00:00Z"


def write_constant(directory: Path, catalog: Catalog, *, action: int) -> Path:
    """Write a bundle by which one flat action of `truth.flat` is accepted with certainty and others never; -1: none."""
    spec = catalog.spec
    chance = np.zeros((len(TIMINGS), len(TONALITIES), len(OFFERS) + 1), np.float32)
    if action >= 0:
        timing, tonality, offer = np.unravel_index(action, (len(TIMINGS), len(TONALITIES), len(OFFERS)))
        chance[timing, tonality, offer + 1] = 1.0
    metadata = Metadata(
        features=feature_contract(spec),
        timings=TIMINGS,
        tonalities=TONALITIES,
        offers=OFFERS,
        goal=GOAL,
        window_s=WINDOW_DAYS * 86_400,
        unit="EUR",
        estimand="response",
        trained_from=BEGUN,
        trained_until=UNTIL,
        calibration={"method": "none: nothing was learned"},
        metrics={},
    )
    graph = Graph()
    nobody = graph.add("ReduceMean", "profile", graph.constant("columns", [1], np.int64), to="mean", keepdims=1)
    missing = graph.add("Sub", nobody, nobody, to="nothing_or_missing")
    blank = graph.add("IsNaN", missing, to="missing")
    zero = graph.constant("zero", 0.0)
    nothing = graph.add("Where", blank, zero, zero, to="nothing")
    rows = graph.add("Unsqueeze", nothing, graph.constant("axes", [2, 3], np.int64), to="rows")
    by_offer = graph.add("Gather", graph.constant("chance", chance), "offer_code", to="by_offer", axis=2)
    graph.add("Add", rows, by_offer, to="acceptance")
    sizes = tuple(len(model_columns(section)) for section in (spec.profile, spec.context, spec.offer))
    model = finished(
        graph,
        "constant",
        sizes=(sizes[0], sizes[1], sizes[2]),
        outputs={"acceptance": ("batch", len(TIMINGS), len(TONALITIES), "offers")},
        metadata=metadata_props(metadata),
    ).SerializeToString(deterministic=True)
    inputs: dict[str, npt.NDArray[np.generic]] = {
        "profile": np.zeros((2, sizes[0]), np.float32),
        "context": np.zeros((2, sizes[1]), np.float32),
        "offers": model_matrix(spec.offer, catalog.offer_table, 0),
        "offer_code": np.arange(len(OFFERS), dtype=np.int64),
    }
    outputs = dict(zip(("acceptance",), Session(model).run(("acceptance",), inputs), strict=True))
    manifest = Manifest(
        name="constant",
        version="1.0.0",
        metadata=metadata,
        golden_onnxruntime=onnxruntime.__version__,
        code=__version__,
        data_as_of=UNTIL,
        license="Nothing was learned.",
    )
    write_bundle(directory, manifest=manifest, model=model, golden=Golden(inputs=inputs, outputs=outputs))
    return directory
