"""An ordinary row-wise model as a bundle: scikit-learn, LightGBM or XGBoost, through its own ONNX converter.

The model scores rows; the contract asks for persons times offers (times arms). Inside the graph every cell that the
model tells apart is laid out as a row, scored, and put back in its place: [batch, timings, tonalities, offers]. An
axis that none of its columns speaks of stays 1. This costs what the rows cost: a tree ensemble over 64 x 100 rows takes
some tens of milliseconds. `takt model check` tells.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from onnx import ModelProto, TensorProto, checker, compose, helper

from takt.errors import ModelError
from takt.features.matrix import model_columns
from takt.features.spec import FeatureSpec
from takt.spelling import did_you_mean, shown
from takt_training.graph import IR_VERSION, Graph

OPSET = 15
"""What the converters of LightGBM and XGBoost write."""
OFFER, TIMING, TONALITY = "offer", "timing", "tonality"
"""Columns besides those of the sections: the offer's code, and the index of the arm."""
_PREFIX = "row_"
_MATERIALS = {"profile": "profile", "context": "context", "offer": "offers"}


class Layout(Struct, frozen=True):
    """Where the columns of a row come from, and which axes that makes."""

    columns: tuple[str, ...]
    timings: int
    """Length of the axis; 1 where no column speaks of it."""
    tonalities: int
    offers: bool
    """Whether the offers' axis is full."""

    @property
    def shape(self) -> tuple[str | int, ...]:
        """Of the output."""
        return ("batch", self.timings, self.tonalities, "offers" if self.offers else 1)


def layout(columns: Sequence[str], spec: FeatureSpec, *, timings: int, tonalities: int) -> Layout:
    """Check the names of a model's columns, `profile.NAME` and the like, `offer`, `timing` and `tonality`.

    Raises ModelError for a name that is not known or stands twice.
    """
    known = [*all_columns(spec), OFFER, TIMING, TONALITY]
    for i, name in enumerate(columns):
        if name not in known:
            raise ModelError(f"columns[{i}]: {shown(name)} is unknown; {did_you_mean(name, known)}")
        if name in columns[:i]:
            raise ModelError(f"columns[{i}]: {shown(name)} stands twice")
    if not columns:
        raise ModelError("columns: a model of no columns has nothing to say")
    return Layout(
        tuple(columns),
        timings if TIMING in columns else 1,
        tonalities if TONALITY in columns else 1,
        any(name == OFFER or name.startswith("offer.") for name in columns),
    )


def all_columns(spec: FeatureSpec) -> tuple[str, ...]:
    """Every column of the model matrices, in order: the profile's, the context's, the offer's."""
    sections = (("profile", spec.profile), ("context", spec.context), ("offer", spec.offer))
    return tuple(f"{prefix}.{name}" for prefix, section in sections for name in model_columns(section))


def convert(model: Any, width: int) -> ModelProto:
    """The row-wise graph of a fitted classifier of `width` columns, by the converter of its own library.

    Raises ModelError for what no converter here knows, and what a converter refuses.
    """
    family = type(model).__module__.partition(".")[0]
    try:
        if family in {"lightgbm", "xgboost"}:
            import onnxmltools  # noqa: PLC0415  an optional dependency, and a slow one
            from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415

            inputs = [("rows", FloatTensorType([None, width]))]
            if family == "lightgbm":
                found: ModelProto = onnxmltools.convert_lightgbm(
                    _in_float32(model), initial_types=inputs, zipmap=False, target_opset=OPSET
                )
            else:
                found = onnxmltools.convert_xgboost(model, initial_types=inputs, target_opset=OPSET)
            return found
        if family == "sklearn":
            import skl2onnx  # noqa: PLC0415  the same

            options = {"zipmap": False}
            row = np.zeros((1, width), np.float32)
            given = copy.deepcopy(model)
            _round_trees_down(given)
            of_pipeline: ModelProto = skl2onnx.to_onnx(given, row, options=options, target_opset=OPSET)
            return of_pipeline
    except ImportError as error:
        raise ModelError(f"{error}; install takt-nbo[adapt]") from error
    except Exception as error:  # a converter may raise anything
        raise ModelError(f"the converter of {family} refused the model: {type(error).__name__}: {error}") from error
    raise ModelError(
        f"{type(model).__module__}.{type(model).__qualname__} is of no library that is known here; convert it to "
        "ONNX and give that, or use scikit-learn, LightGBM or XGBoost"
    )


def _in_float32(model: Any) -> Any:
    """LightGBM's trees with their thresholds rounded down to float32."""
    import lightgbm  # noqa: PLC0415  an optional dependency, and a slow one

    booster = getattr(model, "booster_", model)
    lines = []
    for line in booster.model_to_string().splitlines():
        name, _, values = line.partition("=")
        if name == "threshold":
            lines.append(f"threshold={' '.join(repr(_below(float(value))) for value in values.split())}")
        elif name != "tree_sizes":  # bytes of each tree's text, which are others now
            lines.append(line)
    return lightgbm.Booster(model_str="\n".join(lines) + "\n")


def _round_trees_down(part: Any) -> None:
    """Round the thresholds of all of scikit-learn's trees in a model down to float32, in place."""
    match part:
        case list() | tuple():
            for one in part:
                _round_trees_down(one)
        case np.ndarray() if part.dtype == object:
            _round_trees_down(part.reshape(-1).tolist())
        case _ if hasattr(part, "tree_"):
            threshold = part.tree_.threshold
            threshold[:] = [_below(value) for value in threshold.tolist()]
        case _ if hasattr(part, "get_params"):
            _round_trees_down(list(vars(part).values()))


def _below(number: float) -> float:
    """The largest float32 that is not above a number.

    Trees compare float32 rows with float64 thresholds. A converter rounds a threshold to the nearest float32, which may
    lie above it, and then rows that have just this value go the other way. Rounded down, every row goes as before.
    """
    near = np.float32(number)
    if float(near) > number:  # as float64 both: numpy would round the number first
        near = np.nextafter(near, np.float32(-np.inf))
    return float(near)


def adapted(row: ModelProto, plan: Layout, spec: FeatureSpec) -> ModelProto:
    """The graph of the contract around a row-wise one, without metadata.

    Its input is one float32 matrix; of its outputs, the last that is float is taken: two columns are the classes'
    probabilities, one is the probability itself.
    """
    graph = Graph()
    rows = _rows(graph, plan, spec)
    inner = compose.add_prefix(row, _PREFIX)
    if len(inner.graph.input) != 1:
        raise ModelError(f"the row-wise model has {len(inner.graph.input)} inputs; one matrix of all columns is needed")
    output = _probability(inner)
    graph.nodes.append(helper.make_node("Identity", [rows], [inner.graph.input[0].name], "rows_given"))
    outer = list(graph.nodes)
    graph.nodes.clear()
    found = _picked(graph, output)
    graph.add("Reshape", found, "cells", to="unbounded")
    graph.add("Clip", "unbounded", graph.constant("impossible", 0.0), graph.constant("certain", 1.0), to="acceptance")
    sizes = [len(model_columns(section)) for section in (spec.profile, spec.context, spec.offer)]
    body = helper.make_graph(
        [*outer, *inner.graph.node, *graph.nodes],
        "adapted",
        [
            helper.make_tensor_value_info("profile", TensorProto.FLOAT, ["batch", sizes[0]]),
            helper.make_tensor_value_info("context", TensorProto.FLOAT, ["batch", sizes[1]]),
            helper.make_tensor_value_info("offers", TensorProto.FLOAT, ["offers", sizes[2]]),
            helper.make_tensor_value_info("offer_code", TensorProto.INT64, ["offers"]),
        ],
        [helper.make_tensor_value_info("acceptance", TensorProto.FLOAT, plan.shape)],
        [*graph.constants.values(), *inner.graph.initializer],
    )
    imports = [opset for opset in inner.opset_import if opset.domain] + [
        helper.make_opsetid("", max([OPSET, *(o.version for o in inner.opset_import if not o.domain)]))
    ]
    model = helper.make_model(body, opset_imports=imports, ir_version=IR_VERSION, functions=list(inner.functions))
    model.producer_name = "takt"
    checker.check_model(model)
    return model


def _rows(graph: Graph, plan: Layout, spec: FeatureSpec) -> str:
    """All cells as rows [batch x timings x tonalities x offers, columns], in the order of the model's columns."""
    batch = _size(graph, "profile", "batch")
    offers = _size(graph, "offers", "offers") if plan.offers else graph.constant("one_offer", [1], np.int64)
    arms = graph.constant("arms", [plan.timings, plan.tonalities], np.int64)
    cells = graph.add("Concat", batch, arms, offers, to="cells", axis=0)
    parts: list[tuple[list[str], str]] = []
    for section, source in _MATERIALS.items():
        names = [name for name in plan.columns if name.startswith(f"{section}.")]
        if names:
            known = [f"{section}.{name}" for name in model_columns(getattr(spec, section))]
            index = graph.constant(f"{section}_columns", [known.index(name) for name in names], np.int64)
            picked = graph.add("Gather", source, index, to=f"{section}_picked", axis=1)
            axes = [0, 1, 2] if section == "offer" else [1, 2, 3]
            parts.append((names, _spread(graph, picked, section, axes=axes, width=len(names), cells=cells)))
    if OFFER in plan.columns:
        number = graph.add("Cast", "offer_code", to="code_number", to_type=TensorProto.FLOAT)
        parts.append(([OFFER], _spread(graph, number, "code", axes=[0, 1, 2, 4], width=1, cells=cells)))
    for name, count, axes in ((TIMING, plan.timings, [0, 2, 3, 4]), (TONALITY, plan.tonalities, [0, 1, 3, 4])):
        if name in plan.columns:
            index = graph.constant(f"{name}_index", np.arange(count))
            parts.append(([name], _spread(graph, index, name, axes=axes, width=1, cells=cells)))
    together = [part for _, part in parts]
    laid = graph.add("Concat", *together, to="laid", axis=4) if len(together) > 1 else together[0]
    order = [name for names, _ in parts for name in names]
    placed = graph.constant("row_order", [order.index(name) for name in plan.columns], np.int64)
    ordered = graph.add("Gather", laid, placed, to="ordered", axis=4)
    return graph.add("Reshape", ordered, graph.constant("rows_shape", [-1, len(plan.columns)], np.int64), to="rows")


def _size(graph: Graph, source: str, name: str) -> str:
    """Length of the first axis of an input, int64 [1]."""
    shape = graph.add("Shape", source, to=f"{name}_shape")
    first = graph.constant("first_of_shape", [0], np.int64)
    return graph.add("Gather", shape, first, to=f"{name}_size", axis=0)


def _spread(graph: Graph, part: str, name: str, *, axes: list[int], width: int, cells: str) -> str:
    """A part at every cell: [batch, timings, tonalities, offers, width]."""
    raised = graph.add("Unsqueeze", part, graph.constant(f"{name}_axes", axes, np.int64), to=f"{name}_raised")
    last = graph.constant(f"{name}_width", [width], np.int64)
    shape = graph.add("Concat", cells, last, to=f"{name}_cells", axis=0)
    return graph.add("Expand", raised, shape, to=f"{name}_spread")


def _probability(inner: ModelProto) -> tuple[str, int]:
    """Name and number of columns of the output that holds probabilities."""
    floats = [o for o in inner.graph.output if o.type.tensor_type.elem_type == TensorProto.FLOAT]
    if not floats:
        raise ModelError("the row-wise model has no output of type float32; give one that predicts probabilities")
    dims = floats[-1].type.tensor_type.shape.dim
    columns = dims[1].dim_value if len(dims) > 1 else 1
    if columns not in {0, 1, 2}:
        raise ModelError(f"the row-wise model tells {columns} classes apart; accepted or not is what is needed")
    return floats[-1].name, columns


def _picked(graph: Graph, output: tuple[str, int]) -> str:
    """Probability of each row."""
    name, columns = output
    if columns == 1:
        return name
    # converters that do not state the number of columns write both classes
    last = graph.constant("accepted_column", [1], np.int64)
    return graph.add("Gather", name, last, to="accepted", axis=1)
