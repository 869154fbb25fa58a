"""Tiny two-tower graphs, made to keep the contract or to break it in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from takt.features.section import Feature, FeatureType
from takt.features.spec import FeatureSpec, make_spec
from takt.model.bundle import write_bundle
from takt.model.check import Demands
from takt.model.features import feature_contract
from takt.model.golden import Golden
from takt.model.manifest import Manifest, Metadata, metadata_props
from takt.model.probe import probe
from takt.model.session import RUNTIME, Session

TIMINGS = ("now", "tonight", "weekend")
TONALITIES = ("factual", "warm")
OFFERS = ("milk", "bread", "soap")
TOWER = 4
"""Width of both towers' last layer."""

SPEC = make_spec(
    profile=[
        Feature("recency_days", FeatureType.FLOAT),
        Feature("visits", FeatureType.INT, default=0),
        Feature("member", FeatureType.BOOL),
        Feature("segment", FeatureType.CATEGORY, values=("budget", "premium")),
        Feature("interests", FeatureType.FLAGS, values=("garden", "kitchen")),
        Feature("since", FeatureType.TIMESTAMP),
        Feature("lease_end", FeatureType.TIMESTAMP, model=False),
    ],
    context=[Feature("hour", FeatureType.INT)],
    offer=[Feature("price", FeatureType.FLOAT), Feature("department", FeatureType.CATEGORY, values=("food", "home"))],
)


def node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
    """One operator."""
    return helper.make_node(kind, list(inputs), [output], **attributes)


def sigmoid() -> list[onnx.NodeProto]:
    """Acceptance as the contract wants it, from the logits `z`."""
    return [node("Sigmoid", ["z"], "acceptance")]


@dataclass(frozen=True)
class Recipe:
    """What goes into a graph; the defaults keep the contract."""

    spec: FeatureSpec = SPEC
    timings: tuple[str, ...] = TIMINGS
    tonalities: tuple[str, ...] = TONALITIES
    offers: tuple[str, ...] = OFFERS
    axes: tuple[int, int] = (len(TIMINGS), len(TONALITIES))
    """Sizes of the logits' timing and tonality axes."""
    impute: bool = True
    clip: bool = True
    codes: int = len(OFFERS) + 1
    """Rows of the table of offer codes."""
    estimand: str = "response"
    inputs: Mapping[str, tuple[int, list[Any]]] = field(default_factory=dict)
    """Inputs by name that are declared otherwise, or besides: type and shape."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Inputs that have another name than they should."""
    outputs: Mapping[str, Callable[[], Sequence[onnx.NodeProto]]] = field(
        default_factory=lambda: {"acceptance": sigmoid}
    )
    """Outputs by name, each from nodes that may read the logits `z`, the inputs and `constants`."""
    output_type: int = TensorProto.FLOAT
    constants: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    domains: tuple[str, ...] = ()


def metadata_of(recipe: Recipe) -> Metadata:
    """What the graph of a recipe says of itself."""
    return Metadata(
        features=feature_contract(recipe.spec),
        timings=recipe.timings,
        tonalities=recipe.tonalities,
        offers=recipe.offers,
        goal="purchase",
        window_s=25 * 86_400,
        unit="USD",
        estimand=recipe.estimand,
        trained_from="2017-01-01T00:00:00Z",
        trained_until="2017-10-01T00:00:00Z",
        calibration={"method": "none"},
        metrics={"auc": 0.5},
    )


def demands_of(recipe: Recipe) -> Demands:
    """A workspace that the recipe fits."""
    return Demands(feature_contract(recipe.spec), recipe.timings, recipe.tonalities, recipe.offers)


def graph(recipe: Recipe, props: Mapping[str, str] | None = None) -> bytes:
    """The serialised graph; `props` replaces its own `metadata_props`."""
    contract = feature_contract(recipe.spec)
    widths = {section: len(contract.columns(section)) for section in ("profile", "context", "offer")}
    inputs: dict[str, tuple[int, list[Any]]] = {
        "profile": (TensorProto.FLOAT, ["batch", widths["profile"]]),
        "context": (TensorProto.FLOAT, ["batch", widths["context"]]),
        "offers": (TensorProto.FLOAT, ["offers", widths["offer"]]),
        "offer_code": (TensorProto.INT64, ["offers"]),
        **recipe.inputs,
    }
    widths |= {"profile": inputs["profile"][1][1]}  # weights fit the graph's own columns
    inputs = {recipe.names.get(name, name): declared for name, declared in inputs.items()}
    constants = {**_weights(recipe, widths), **recipe.constants}
    nodes = [
        *_cast(recipe.names),
        node("Concat", ["profile_f", "context_f"], "person_raw", axis=1),
        *_clean("person_raw", "person", recipe),
        *_clean("offers_f", "offer", recipe),
        node("MatMul", ["person", "person_w"], "person_flat"),
        node("Reshape", ["person_flat", "person_shape"], "person_arms"),
        node("MatMul", ["offer", "offer_w"], "offer_terms"),
        node("Gather", ["code_w", "offer_code"], "offer_known"),
        node("Add", ["offer_terms", "offer_known"], "offer_sum"),
        node("Tanh", ["offer_sum"], "offer_tower"),
        node("Transpose", ["offer_tower"], "offer_columns", perm=[1, 0]),
        node("MatMul", ["person_arms", "offer_columns"], "z"),
        *(made for make in recipe.outputs.values() for made in make()),
    ]
    built = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, recipe.output_type, None) for name in recipe.outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    domains = [helper.make_opsetid(domain, 1) for domain in recipe.domains]
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", 17), *domains], ir_version=9)
    helper.set_model_props(model, metadata_props(metadata_of(recipe)) if props is None else dict(props))
    return model.SerializeToString(deterministic=True)


def manifest_of(recipe: Recipe) -> Manifest:
    """A manifest without files, as training makes it."""
    return Manifest(
        name="tiny",
        version="1.0.0",
        metadata=metadata_of(recipe),
        golden_onnxruntime=RUNTIME,
        code="0.1.0",
        data_as_of="2017-10-01T00:00:00Z",
        license="invented for a test",
    )


def golden_of(recipe: Recipe, model: bytes, *, rows: int = 4, offers: int = 5) -> Golden:
    """Golden rows of a graph that runs."""
    metadata = metadata_of(recipe)
    inputs = probe(metadata.features, rows=rows, offers=offers, codes=len(metadata.offers))
    session = Session(model)
    names = [output.name for output in session.outputs]
    return Golden(inputs=inputs, outputs=dict(zip(names, session.run(names, inputs), strict=True)))


def stand_in(recipe: Recipe, *, rows: int = 4, offers: int = 5) -> Golden:
    """Golden rows for a graph that does not run."""
    metadata = metadata_of(recipe)
    inputs = probe(metadata.features, rows=rows, offers=offers, codes=len(metadata.offers))
    return Golden(inputs=inputs, outputs={"acceptance": np.full((rows, 1, 1, offers), 0.5, np.float32)})


def write(directory: Path, recipe: Recipe, *, model: bytes | None = None, golden: Golden | None = None) -> Path:
    """A bundle on disk; the graph and the golden rows may be others than the recipe's own."""
    content = graph(recipe) if model is None else model
    write_bundle(
        directory,
        manifest=manifest_of(recipe),
        model=content,
        golden=golden_of(recipe, content) if golden is None else golden,
    )
    return directory


def changed(**changes: Any) -> Recipe:
    """The good recipe with something changed."""
    return replace(Recipe(), **changes)


def _weights(recipe: Recipe, widths: Mapping[str, int]) -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(7)
    timings, tonalities = recipe.axes
    people = widths["profile"] + widths["context"]
    return {
        "person_w": (rng.normal(size=(people, timings * tonalities * TOWER)) * 0.1).astype(np.float32),
        "person_shape": np.array([0, timings, tonalities, TOWER], dtype=np.int64),
        "offer_w": (rng.normal(size=(widths["offer"], TOWER)) * 0.3).astype(np.float32),
        "code_w": (rng.normal(size=(recipe.codes, TOWER)) * 0.3).astype(np.float32),
        "zero": np.array(0, dtype=np.float32),
        "low": np.array(-5, dtype=np.float32),
        "high": np.array(5, dtype=np.float32),
    }


def _cast(names: Mapping[str, str]) -> list[onnx.NodeProto]:
    """Inputs as float32, whatever they are declared as."""
    return [
        node("Cast", [names.get(name, name)], f"{name}_f", to=TensorProto.FLOAT)
        for name in ("profile", "context", "offers")
    ]


def _clean(source: str, target: str, recipe: Recipe) -> list[onnx.NodeProto]:
    """Impute with zero, then clip."""
    imputed = [
        node("IsNaN", [source], f"{target}_gap"),
        node("Where", [f"{target}_gap", "zero", source], f"{target}_whole"),
    ]
    if not recipe.impute:
        imputed = [node("Identity", [source], f"{target}_whole")]
    last = node("Clip", [f"{target}_whole", "low", "high"], target)
    return [*imputed, last if recipe.clip else node("Identity", [f"{target}_whole"], target)]
