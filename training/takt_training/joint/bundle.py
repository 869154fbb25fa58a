"""A trained model as a bundle: the graph, held against the model that it was written from, and its manifest."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import ModelProto, TensorProto

from takt.errors import ModelError
from takt.features.matrix import model_columns
from takt.model.bundle import write_bundle
from takt.model.features import feature_contract
from takt.model.golden import Golden
from takt.model.manifest import Manifest, Metadata, metadata_props
from takt_training.graph import Graph, finished
from takt_training.joint.contacts import Contacts, Ints
from takt_training.joint.fitting import Encoded
from takt_training.joint.head import Sides, head_graph
from takt_training.joint.parts import moment
from takt_training.joint.training import Trained, examples, examples_of, log_odds
from takt_training.preparation import Floats32

Inputs = dict[str, npt.NDArray[np.generic]]

PARITY = 1e-4
"""How far the graph's probabilities may lie from the model's."""
SLACK = 1e-6
"""Rounding that may be taken for rising, where acceptance must only fall."""
_GRID = 16


def to_onnx(trained: Trained, metadata: dict[str, str]) -> ModelProto:
    """The graph with every head."""
    graph = Graph()
    encoded = trained.encoded
    both = graph.add("Concat", "profile", "context", to="person_and_situation", axis=1)
    sides = Sides(
        person=encoded.persons.graph(graph, both, "person"),
        offer=encoded.offers.graph(graph, "offers", "offer"),
        monotone=encoded.splines.graph(graph, "offers") if len(encoded.splines) else "",
        code=_codes(graph, encoded),
    )
    outputs: dict[str, tuple[str | int, ...]] = {}
    for head in sorted(trained.heads.values(), key=lambda head: head.over is not None):
        head_graph(graph, head, sides)
    outputs |= {name: head.axes for name, head in trained.heads.items()}
    if trained.doubt is not None:
        trained.doubt.graph(graph, trained.acceptance, sides)
        axes = trained.acceptance.axes
        outputs["uncertainty"] = axes if trained.acceptance.over is not None else ("batch", 1, 1, axes[3])
    sizes = tuple(
        len(model_columns(section)) for section in (trained.spec.profile, trained.spec.context, trained.spec.offer)
    )
    return finished(graph, "joint_towers", sizes=(sizes[0], sizes[1], sizes[2]), outputs=outputs, metadata=metadata)


def _codes(graph: Graph, encoded: Encoded) -> str:
    """Codes that the model knows; every other is that of an unseen offer."""
    none, last = graph.constant("unseen", 0, np.int64), graph.constant("last_code", len(encoded.vocabulary), np.int64)
    above = graph.add("Greater", "offer_code", last, to="code_above")
    below = graph.add("Less", "offer_code", none, to="code_below")
    strange = graph.add("Or", above, below, to="code_strange")
    code = graph.add("Where", strange, none, "offer_code", to="code_known")
    return graph.add("Cast", code, to="code", to_type=TensorProto.INT64)


def run(model: bytes, inputs: Inputs) -> dict[str, Floats32]:
    """Outputs of a serialised graph by name, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return {name: np.asarray(value, np.float32) for name, value in zip(names, session.run(names, inputs), strict=True)}


def golden_inputs(contacts: Contacts, encoded: Encoded) -> Inputs:
    """Some varied rows and offers: everything missing, an unseen offer, absurd values are the check's own business."""
    rows = np.linspace(0, len(contacts) - 1, 14).astype(np.int64)
    nobody = np.full((2, contacts.profile.shape[1]), np.nan, np.float32)
    profile = np.concatenate([contacts.profile[contacts.row[rows]], nobody])
    context = np.concatenate([contacts.context[rows], np.full((2, contacts.context.shape[1]), np.nan, np.float32)])
    chosen = np.unique(np.linspace(0, len(contacts.offers) - 1, 15).astype(np.int64))
    none = np.full((2, contacts.offers.shape[1]), np.nan, np.float32)
    codes = np.concatenate([contacts.codes(encoded.vocabulary)[chosen], [0, 0]])
    return {
        "profile": profile,
        "context": context,
        "offers": np.concatenate([contacts.offers[chosen], none]),
        "offer_code": codes.astype(np.int64),
    }


def write(
    trained: Trained, contacts: Contacts, directory: Path, *, metrics: dict[str, Any], overwrite: bool = False
) -> Manifest:
    """Write the bundle.

    Raises ModelError if the graph disagrees with the model or breaks a promise of `monotone`, or if the directory
    holds another bundle.
    """
    settings, spec = trained.settings, trained.spec
    until = moment(min(trained.parts.boundary_us, int(contacts.time_us.max()) + 1))
    calibration: dict[str, Any] = {"method": settings.calibration}
    if trained.platt is not None:
        calibration |= {
            "scale": round(trained.platt.fitted_scale, 6),
            "shift": round(trained.platt.fitted_shift, 6),
            "adopted": trained.platt.adopted,
        }
    metadata = Metadata(
        features=feature_contract(spec),
        timings=trained.arms.timings,
        tonalities=trained.arms.tonalities,
        offers=trained.encoded.vocabulary,
        goal=settings.goal,
        window_s=settings.window_us // 1_000_000,
        unit=settings.unit,
        estimand="response",
        trained_from=moment(int(contacts.time_us.min())),
        trained_until=until,
        calibration=calibration,
        metrics=metrics,
    )
    model = to_onnx(trained, metadata_props(metadata)).SerializeToString(deterministic=True)
    check_parity(trained, contacts, model)
    for name, direction in settings.monotone.items():
        check_monotone(model, contacts, model_columns(spec.offer).index(name.removeprefix("offer.")), direction)
    inputs = golden_inputs(contacts, trained.encoded)
    return write_bundle(
        directory,
        manifest=Manifest(
            name=settings.name,
            version=settings.version,
            metadata=metadata,
            golden_onnxruntime=onnxruntime.__version__,
            code=version("takt-nbo"),
            data_as_of=moment(int(contacts.time_us.max()) + 1),
            license=settings.license or "Weights belong to whoever owns the data.",
            files={},
        ),
        model=model,
        golden=Golden(inputs=inputs, outputs=dict(run(model, inputs))),
        overwrite=overwrite,
    )


def check_parity(trained: Trained, contacts: Contacts, model: bytes) -> None:
    """The graph gives what the model gave when it was judged. Raises ModelError if not."""
    check_baseline_parity(trained, contacts, model)
    test = trained.parts.test
    # graphs know every arm by name; rows of no stated moment or tone have no place in them
    test = test[~contacts.silent[test] & _stated(contacts, trained)[test]]
    rows = test[:: max(1, -(-len(test) // 200))]
    offers, of_row = np.unique(contacts.offer[rows], return_inverse=True)
    outputs = run(model, _inputs(contacts, trained.encoded, rows, offers))
    for name, head in trained.heads.items():
        if name == "baseline":
            continue  # of silence: its rows are others, and were looked at
        eta = log_odds(contacts, trained, head, rows)
        wanted = head.value(eta)
        found = at_rows(outputs[name], of_row, contacts, rows)
        off = float(np.abs(found - wanted).max())
        if off > PARITY * max(1.0, head.scale):
            raise ModelError(f"the graph's {name} differs from the model's by {off:.2e}, more than {PARITY}")


def check_baseline_parity(trained: Trained, contacts: Contacts, model: bytes) -> None:
    """The same for a baseline, on what it is judged by, where that names offers. Raises ModelError if not."""
    head = trained.heads.get("baseline")
    if head is None or not head.knows_offers:
        return
    rows = examples_of(contacts, "baseline", trained.parts.test)
    rows = rows[:: max(1, -(-len(rows) // 200))]
    contacts = examples(contacts, "baseline")
    offers, of_row = np.unique(contacts.offer[rows], return_inverse=True)
    found = at_rows(run(model, _inputs(contacts, trained.encoded, rows, offers))["baseline"], of_row, contacts, rows)
    off = float(np.abs(found - head.value(log_odds(contacts, trained, head, rows))).max(initial=0.0))
    if off > PARITY:
        raise ModelError(f"the graph's baseline differs from the model's by {off:.2e}, more than {PARITY}")


def _stated(contacts: Contacts, trained: Trained) -> npt.NDArray[np.bool_]:
    """Rows, bool [n], whose arms are known, as far as they matter."""
    _, timings, tonalities, _ = trained.acceptance.axes
    return ((contacts.timing >= 0) | (timings == 1)) & ((contacts.tonality >= 0) | (tonalities == 1))


def _inputs(contacts: Contacts, encoded: Encoded, rows: Ints, offers: Ints) -> Inputs:
    return {
        "profile": contacts.profile[contacts.row[rows]],
        "context": contacts.context[rows],
        "offers": contacts.offers[offers],
        "offer_code": contacts.codes(encoded.vocabulary)[offers],
    }


def at_rows(output: Floats32, of_row: Ints, contacts: Contacts, rows: Ints) -> npt.NDArray[np.float64]:
    """What an output says of some rows with their own offer (its column `of_row`) and arm, float64 [k]."""
    timing = np.maximum(contacts.timing[rows], 0) % output.shape[1]
    tonality = np.maximum(contacts.tonality[rows], 0) % output.shape[2]
    found = output[np.arange(len(rows)), timing, tonality, of_row % output.shape[3]]
    return np.asarray(found, np.float64)


def check_monotone(model: bytes, contacts: Contacts, column: int, direction: str) -> float:
    """Hold the exported graph against a promise: largest step in the forbidden direction over a grid of values.

    Some persons, some offers, every arm; the values run from far below what was seen to far above. Raises ModelError
    if a step is larger than rounding.
    """
    rows = np.linspace(0, len(contacts) - 1, min(64, len(contacts))).astype(np.int64)
    chosen = np.unique(np.linspace(0, len(contacts.offers) - 1, 12).astype(np.int64))
    seen = contacts.offers[:, column]
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    span = max(high - low, abs(high), 1.0)
    grid = np.concatenate([np.linspace(low - span, high + span, _GRID), [-1e30, 1e30]])
    grid.sort()
    worst = 0.0
    for offer in chosen:
        offers = np.repeat(contacts.offers[offer : offer + 1], len(grid), axis=0)
        offers[:, column] = grid
        inputs: Inputs = {
            "profile": contacts.profile[contacts.row[rows]],
            "context": contacts.context[rows],
            "offers": offers,
            "offer_code": np.full(len(grid), 1, np.int64),
        }
        steps = np.diff(run(model, inputs)["acceptance"].astype(np.float64), axis=3)
        worst = max(worst, float((steps if direction == "down" else -steps).max()))
    if worst > SLACK:
        raise ModelError(f"acceptance moves the wrong way by {worst:.2e} where monotone declares {direction!r}")
    return worst
