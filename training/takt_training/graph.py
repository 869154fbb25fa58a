"""Writing ONNX graphs node by node, with readable names: what every exporter here has in common."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from takt_training.preparation import LIMIT, Preparation

OPSET = 20
IR_VERSION = 10


class Graph:
    """Collects nodes and constants under readable, unique names; nodes stand in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def constant(self, name: str, value: npt.ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """A constant; its name."""
        self.constants[name] = numpy_helper.from_array(np.asarray(value, dtype), name)
        return name

    def add(self, op: str, *inputs: str, to: str, **attributes: int | list[int]) -> str:
        """A node whose only output is `to`; `to_type` is what ONNX calls `to`."""
        named = {"to" if key == "to_type" else key: value for key, value in attributes.items()}
        self.nodes.append(helper.make_node(op, list(inputs), [to], to, None, None, None, **named))
        return to


def finished(
    graph: Graph,
    name: str,
    *,
    sizes: tuple[int, int, int],
    outputs: Mapping[str, tuple[str | int, ...]],
    metadata: Mapping[str, str],
) -> ModelProto:
    """The graph with the inputs of the contract, checked. Its nodes have made every one of `outputs`, given by shape.

    `sizes`: numbers of profile, context and offer columns; `metadata` becomes the graph's `metadata_props`.
    """
    profile, context, attributes = sizes
    body = helper.make_graph(
        graph.nodes,
        name,
        [
            helper.make_tensor_value_info("profile", TensorProto.FLOAT, ["batch", profile]),
            helper.make_tensor_value_info("context", TensorProto.FLOAT, ["batch", context]),
            helper.make_tensor_value_info("offers", TensorProto.FLOAT, ["offers", attributes]),
            helper.make_tensor_value_info("offer_code", TensorProto.INT64, ["offers"]),
        ],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape) for output, shape in outputs.items()],
        list(graph.constants.values()),
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name = "takt"
    helper.set_model_props(model, dict(sorted(metadata.items())))
    checker.check_model(model, full_check=True)
    return model


def prepared(graph: Graph, preparation: Preparation, source: str, prefix: str) -> str:
    """`Preparation.apply` on `source` [n, *]: [n, K + F]."""

    def name(what: str) -> str:
        return f"{prefix}_{what}"

    raw = graph.add(
        "Gather", source, graph.constant(name("columns"), preparation.columns, np.int64), to=name("raw"), axis=1
    )
    missing = graph.add("IsNaN", raw, to=name("missing"))
    zero = graph.constant(name("zero"), 0.0)
    known = graph.add("Where", missing, zero, raw, to=name("known"))
    high = graph.add("Max", known, graph.constant(name("low"), preparation.low), to=name("raised"))
    bounded = graph.add("Min", high, graph.constant(name("high"), preparation.high), to=name("bounded"))
    split = graph.constant(name("split"), [preparation.logs, len(preparation.columns) - preparation.logs], np.int64)
    graph.nodes.append(
        helper.make_node("Split", [bounded, split], [name("skewed"), name("linear")], name=name("parts"), axis=1)
    )
    shifted = graph.add("Add", name("skewed"), graph.constant(name("offset"), preparation.offset), to=name("shifted"))
    logs = graph.add("Log", shifted, to=name("logs"))
    values = graph.add("Concat", logs, name("linear"), to=name("values"), axis=1)
    filled = graph.add("Where", missing, graph.constant(name("fill"), preparation.fill), values, to=name("filled"))
    centred = graph.add("Sub", filled, graph.constant(name("mean"), preparation.mean), to=name("centred"))
    scaled = graph.add("Mul", centred, graph.constant(name("scale"), preparation.scale), to=name("scaled"))
    least, most = graph.constant(name("least"), -LIMIT), graph.constant(name("most"), LIMIT)
    clipped = graph.add("Clip", scaled, least, most, to=name("clipped"))
    if not len(preparation.flagged):
        return clipped
    flagged = graph.constant(name("flagged"), preparation.flagged, np.int64)
    absent = graph.add("IsNaN", graph.add("Gather", source, flagged, to=name("told"), axis=1), to=name("absent"))
    flags = graph.add("Cast", absent, to=name("flags"), to_type=TensorProto.FLOAT)
    about = graph.add("Sub", flags, graph.constant(name("flag_mean"), preparation.flag_mean), to=name("about"))
    scaled_flags = graph.add(
        "Mul", about, graph.constant(name("flag_scale"), preparation.flag_scale), to=name("told_flags")
    )
    return graph.add("Concat", clipped, scaled_flags, to=name("prepared"), axis=1)
