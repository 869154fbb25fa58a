"""The model that is measured: a bundle of the contract, with every axis full.

Two towers with a hidden layer each, whose product is the log-odds of an offer, moved by the timing and tonality that
suit the person and by the tonality that suits the offer; and a reaction head. 64 profile features, 5 timings, 4
tonalities. The weights are drawn, not trained: a run costs the same, and its level is set so that acceptances lie
where real ones do, at some percent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from bench.workspace import TIMINGS, TONALITIES
from takt.catalog.snapshot import Catalog
from takt.features.matrix import model_matrix
from takt.model.bundle import write_bundle
from takt.model.check import check_bundle
from takt.model.features import feature_contract
from takt.model.golden import Golden
from takt.model.manifest import Manifest, Metadata, metadata_props
from takt.model.session import Session
from takt_training.graph import IR_VERSION, OPSET

HIDDEN: Final = 64
WIDTH: Final = 32
LEVEL: Final = -3.2
"""Log-odds of an offer that suits nobody in particular: some 4%."""
MOST_LOG_ODDS: Final = 3.0

Matrix = npt.NDArray[np.float32]


class _Graph:
    """Nodes and constants, by the names of what they give."""

    def __init__(self, draw: np.random.Generator) -> None:
        self.draw = draw
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, value: npt.ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weights(self, name: str, rows: int, columns: int, scale: float) -> str:
        drawn = self.draw.normal(0.0, scale / np.sqrt(rows), (rows, columns))
        return self.constant(name, drawn)

    def add(self, op: str, *inputs: str, to: str, **attributes: int | list[int]) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [to], to, None, None, None, **attributes))
        return to

    def prepared(self, source: str, rows: Matrix) -> str:
        """Raw columns clipped, imputed and standardised, as `rows` [n, columns] tell what is usual."""
        known = ~np.isnan(rows)
        count = np.maximum(known.sum(0), 1)
        mean = np.where(known, rows, 0).sum(0) / count
        spread = np.sqrt(np.where(known, (rows - mean) ** 2, 0).sum(0) / count)
        fill = self.constant(f"{source}_fill", mean)
        missing = self.add("IsNaN", source, to=f"{source}_missing")
        whole = self.add("Where", missing, fill, source, to=f"{source}_whole")
        centred = self.add("Sub", whole, fill, to=f"{source}_centred")
        scaled = self.add(
            "Mul", centred, self.constant(f"{source}_scale", 1 / np.maximum(spread, 1e-3)), to=f"{source}_scaled"
        )
        low, high = self.constant(f"{source}_low", -4.0), self.constant(f"{source}_high", 4.0)
        return self.add("Clip", scaled, low, high, to=f"{source}_prepared")

    def tower(self, source: str, columns: int) -> str:
        """A hidden layer and a vector [n, 32]."""
        hidden = self.add("MatMul", source, self.weights(f"{source}_in", columns, HIDDEN, 1.0), to=f"{source}_hidden")
        active = self.add("Tanh", hidden, to=f"{source}_active")
        return self.add("MatMul", active, self.weights(f"{source}_out", HIDDEN, WIDTH, 0.55), to=f"{source}_vector")


def write(folder: Path, catalog: Catalog, people: npt.NDArray[np.void]) -> Path:
    """Write a bundle for this catalog; `people` are profile records that tell what values are usual. Its folder."""
    spec = catalog.spec
    profile = model_matrix(spec.profile, people, 0)
    context = model_matrix(spec.context, np.repeat(spec.context.default, 16), 0)
    offers = model_matrix(spec.offer, catalog.offer_table, 0)
    known = tuple(offer.id for offer in catalog.offers)
    metadata = Metadata(
        features=feature_contract(spec),
        timings=TIMINGS,
        tonalities=TONALITIES,
        offers=known,
        goal="purchase",
        window_s=2_160_000,
        unit="USD",
        estimand="response",
        trained_from="2017-01-01T00:00:00Z",
        trained_until="2017-10-01T00:00:00Z",
        calibration={"method": "none: drawn weights"},
        metrics={},
    )
    graph = _graph(profile, context, offers)
    helper.set_model_props(graph, metadata_props(metadata))
    checker.check_model(graph, full_check=True)
    model = graph.SerializeToString(deterministic=True)
    some = min(len(offers), 8)
    inputs: dict[str, npt.NDArray[Any]] = {
        "profile": profile[:4],
        "context": context[:4],
        "offers": offers[:some],
        "offer_code": np.arange(some, dtype=np.int64),
    }
    outputs = dict(zip(OUTPUTS, Session(model).run(OUTPUTS, inputs), strict=True))
    manifest = Manifest(
        name="bench",
        version="1.0.0",
        metadata=metadata,
        golden_onnxruntime=onnxruntime.__version__,
        code="0.1.0",
        data_as_of="2017-10-01T00:00:00Z",
        license="Drawn weights; scaled by The Complete Journey (84.51°), for measuring.",
    )
    write_bundle(folder, manifest=manifest, model=model, golden=Golden(inputs=inputs, outputs=outputs))
    report = check_bundle(folder, spec=spec, timings=TIMINGS, tonalities=TONALITIES, offers=known)
    if not report.ok:
        raise SystemExit("the bundle breaks the contract:\n" + "\n".join(report.refusals))
    return folder


OUTPUTS: Final = ("acceptance", "reaction")


def _graph(profile: Matrix, context: Matrix, offers: Matrix) -> ModelProto:
    graph = _Graph(np.random.default_rng(11))
    person = graph.add(
        "Concat", graph.prepared("profile", profile), graph.prepared("context", context), to="person", axis=1
    )
    columns = profile.shape[1] + context.shape[1]
    vector = graph.tower(person, columns)
    attributes = graph.prepared("offers", offers)
    offer = graph.tower(attributes, offers.shape[1])
    across = graph.add("Transpose", offer, to="offers_across", perm=[1, 0])
    # an offer's code moves its level a little; code 0, and codes beyond the table, do not
    seen = graph.constant("codes_known", len(offers), np.int64)
    nothing = graph.constant("code_unseen", 0, np.int64)
    beyond = graph.add("Greater", "offer_code", seen, to="code_beyond")
    code = graph.add("Where", beyond, nothing, "offer_code", to="code")
    levels = graph.draw.normal(0.0, 0.3, len(offers) + 1)
    levels[0] = 0.0
    level = graph.add("Gather", graph.constant("levels", LEVEL + levels), code, to="level", axis=0)
    odds = graph.add("Add", graph.add("MatMul", vector, across, to="suits"), level, to="log_odds")
    unit = {"12": [1, 2], "2x": [2, 3], "1x": [1, 3]}
    axes = {name: graph.constant(f"axes_{name}", at, np.int64) for name, at in unit.items()}
    by_offer = graph.add("Unsqueeze", odds, axes["12"], to="by_offer")
    timing = graph.add("MatMul", vector, graph.weights("timing", WIDTH, len(TIMINGS), 0.4), to="suits_timing")
    tone = graph.add("MatMul", vector, graph.weights("tone", WIDTH, len(TONALITIES), 0.3), to="suits_tone")
    toned = graph.add("MatMul", graph.weights("offer_tone", len(TONALITIES), WIDTH, 0.3), across, to="tone_of_offer")
    arms = graph.add(
        "Add",
        graph.add("Unsqueeze", timing, axes["2x"], to="by_timing"),
        graph.add("Unsqueeze", tone, axes["1x"], to="by_tone"),
        to="by_arm",
    )
    suited = graph.add("Add", graph.add("Add", by_offer, toned, to="by_offer_and_tone"), arms, to="all_log_odds")
    most = graph.constant("most", MOST_LOG_ODDS)
    least = graph.constant("least", -12.0)
    graph.add("Sigmoid", graph.add("Clip", suited, least, most, to="bounded"), to="acceptance")
    annoyed = graph.add("Add", arms, graph.constant("annoyance", -2.5), to="reaction_log_odds")
    graph.add("Sigmoid", graph.add("Clip", annoyed, least, most, to="reaction_bounded"), to="reaction")
    float32, int64 = TensorProto.FLOAT, TensorProto.INT64
    body = helper.make_graph(
        graph.nodes,
        "bench",
        [
            helper.make_tensor_value_info("profile", float32, ["batch", profile.shape[1]]),
            helper.make_tensor_value_info("context", float32, ["batch", context.shape[1]]),
            helper.make_tensor_value_info("offers", float32, ["offers", offers.shape[1]]),
            helper.make_tensor_value_info("offer_code", int64, ["offers"]),
        ],
        [
            helper.make_tensor_value_info("acceptance", float32, ["batch", len(TIMINGS), len(TONALITIES), "offers"]),
            helper.make_tensor_value_info("reaction", float32, ["batch", len(TIMINGS), len(TONALITIES), 1]),
        ],
        graph.constants,
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
