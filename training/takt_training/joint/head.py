"""A trained head, as arrays: what it is of, its parameters, its calibration, and its part of the ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from takt_training.graph import Graph
from takt_training.joint.curves import Curve
from takt_training.joint.network import Link, either, predictor
from takt_training.preparation import Floats32

Floats = npt.NDArray[np.float64]

LEAST_CHANCE: Final = 1e-12
"""A probability that others are divided by is at least this."""
LARGEST_EXPONENT = 8.0
"""An expected value is at most some 3,000 times the mean of training."""


class Head(Struct, frozen=True):
    """Parameters as `takt_training.joint.network` names them."""

    name: str
    """Of the model's output."""
    link: Link
    parameters: Mapping[str, Floats32]
    scale: float = 1.0
    """The output is scale x inverse link, plus shift: the unit of value."""
    shift: float = 0.0
    curve: Curve = Curve()
    """Calibration of the linear predictor."""
    epochs: int = 0
    over: Head | None = None
    """What happens anyway, where this is what a contact adds to it: its output is then that either happens."""

    @property
    def knows_offers(self) -> bool:
        """Whether its estimates differ by offer."""
        return "person" in self.parameters

    @property
    def axes(self) -> tuple[str | int, int, int, str | int]:
        """Shape of its output: an axis that it does not use is 1."""
        p = self.parameters
        timings = len(p["timing_level"]) if "timing_level" in p else 1
        tonalities = len(p["tonality_level"]) if "tonality_level" in p else 1
        return ("batch", timings, tonalities, "offers" if self.knows_offers else 1)

    def log_odds(self, z: Floats32, offer: tuple[Any, Any, Any], arms: tuple[Any, Any]) -> Floats:
        """Calibrated linear predictors [n] of encoded rows, as `takt_training.joint.network.predictor` takes them."""
        eta = self.curve.apply(np.asarray(predictor(self.parameters, z, offer, arms), np.float64))
        return eta if self.over is None else np.asarray(either(self.over.log_odds(z, offer, arms), eta))

    def value(self, eta: Floats) -> Floats:
        """The output for calibrated linear predictors of any shape."""
        match self.link:
            case Link.PROBABILITY:
                return np.asarray(1 / (1 + np.exp(-eta)))
            case Link.POSITIVE:
                return np.asarray(self.scale * np.exp(np.clip(eta, -LARGEST_EXPONENT, LARGEST_EXPONENT)) + self.shift)
            case Link.REAL:
                return np.asarray(self.scale * eta + self.shift)


class Sides(Struct, frozen=True):
    """Names of what the heads share in a graph."""

    person: str
    """[batch, Z]."""
    offer: str
    """[offers, D]."""
    monotone: str
    """[offers, Q]; empty without monotone columns."""
    code: str
    """int64 [offers]."""


def head_graph(graph: Graph, head: Head, sides: Sides) -> str:
    """The head's nodes; the offers' side is computed once per run, and what is scaled is scaled there.

    Those of the head that it is `over` must stand before.
    """
    p, prefix = head.parameters, head.name

    def name(what: str) -> str:
        return f"{prefix}_{what}"

    def linear(source: str, weights: Floats32, bias: Floats32, what: str) -> str:
        product = graph.add(
            "MatMul", source, graph.constant(name(f"{what}_weights"), weights), to=name(f"{what}_product")
        )
        return graph.add("Add", product, graph.constant(name(f"{what}_bias"), bias), to=name(what))

    hidden = graph.add("Tanh", linear(sides.person, p["hidden"], p["hidden_bias"], "hidden_sum"), to=name("hidden"))
    phi = graph.add("Concat", sides.person, hidden, to=name("phi"), axis=1)
    scale, shift = np.float32(head.curve.scale), np.float32(head.curve.shift)
    if not head.knows_offers:
        flat = linear(phi, p["main"][:, None] * scale, np.array([p["base"] * scale + shift]), "main")
    else:
        rank = p["person"].shape[1]
        ones = np.zeros(2 + rank, np.float32)
        ones[1] = 1.0
        ones[0] = p["base"]
        weights = np.concatenate([p["main"][:, None], np.zeros((len(p["main"]), 1), np.float32), p["person"]], axis=1)
        persons = linear(phi, weights, ones, "person_vectors")
        of_offer = np.concatenate([np.zeros((len(p["level"]), 1), np.float32), p["level"][:, None], p["offer"]], axis=1)
        of_code = np.concatenate(
            [np.ones((len(p["code"]), 1), np.float32), p["code_level"][:, None], p["code"]], axis=1
        )
        of_code = of_code * scale
        of_code[:, 1] += shift
        told = graph.add(
            "MatMul", sides.offer, graph.constant(name("offer_weights"), of_offer * scale), to=name("told")
        )
        rows = graph.add("Gather", graph.constant(name("code_rows"), of_code), sides.code, to=name("of_code"), axis=0)
        offers = graph.add("Add", told, rows, to=name("offer_vectors"))
        if "slope" in p:
            slopes = graph.add("Softplus", linear(phi, p["slope"], p["slope_base"], "slope_sum"), to=name("slopes"))
            persons = graph.add("Concat", persons, slopes, to=name("person_with_slopes"), axis=1)
            pieces = graph.add("Mul", sides.monotone, graph.constant(name("piece_scale"), scale), to=name("pieces"))
            offers = graph.add("Concat", offers, pieces, to=name("offer_with_pieces"), axis=1)
        across = graph.add("Transpose", offers, to=name("offers_across"), perm=[1, 0])
        flat = graph.add("MatMul", persons, across, to=name("of_pairs"))
    middle = graph.constant("middle_axes", [1, 2], np.int64)
    eta = graph.add("Unsqueeze", flat, middle, to=name("of_person_and_offer"))
    eta = _with_arms(graph, head, eta, phi, sides)
    return _linked(graph, head, head.curve.graph(graph, eta, prefix))


def _with_arms(graph: Graph, head: Head, eta: str, phi: str, sides: Sides) -> str:
    """Adds what timings and tonalities do: a part of the offers' side [T, K, offers], one of the persons' [.., 1]."""
    p = head.parameters

    def name(what: str) -> str:
        return f"{head.name}_{what}"

    scale = np.float32(head.curve.scale)
    of_persons, of_offers = [], []
    # [n, T] as [n, T, 1, 1] and as [T, 1, n]; tonalities likewise
    for arm, person_axes, offer_axis in (("timing", [2, 3], 1), ("tonality", [1, 3], 0)):
        if f"person_{arm}" not in p:
            continue
        weights = graph.constant(name(f"person_{arm}"), p[f"person_{arm}"] * scale)
        product = graph.add("MatMul", phi, weights, to=name(f"person_{arm}_product"))
        level = graph.constant(name(f"{arm}_level"), p[f"{arm}_level"] * scale)
        of_arm = graph.add("Add", product, level, to=name(f"person_{arm}_sum"))
        axes = graph.constant(name(f"{arm}_person_axes"), person_axes, np.int64)
        of_persons.append(graph.add("Unsqueeze", of_arm, axes, to=name(f"person_{arm}_spread")))
        if head.knows_offers:
            weights = graph.constant(name(f"offer_{arm}"), p[f"offer_{arm}"] * scale)
            product = graph.add("MatMul", sides.offer, weights, to=name(f"offer_{arm}_product"))
            across = graph.add("Transpose", product, to=name(f"offer_{arm}_across"), perm=[1, 0])
            axis = graph.constant(name(f"{arm}_offer_axis"), [offer_axis], np.int64)
            of_offers.append(graph.add("Unsqueeze", across, axis, to=name(f"offer_{arm}_spread")))
    if "joint" in p:
        joint = graph.constant(name("joint"), (p["joint"] * scale)[:, :, None])
        of_offers.append(joint)
    for what, parts in (("person_arms", of_persons), ("offer_arms", of_offers)):
        if parts:
            total = parts[0]
            for i, part in enumerate(parts[1:]):
                total = graph.add("Add", total, part, to=name(f"{what}_{i}"))
            eta = graph.add("Add", eta, total, to=name(f"with_{what}"))
    return eta


def _linked(graph: Graph, head: Head, eta: str) -> str:
    """The output, named as the head is."""
    match head.link:
        case Link.PROBABILITY:
            if head.over is None:
                return graph.add("Sigmoid", eta, to=head.name)
            lift = graph.add("Sigmoid", eta, to="lift")
            rest = graph.add("Sub", graph.constant("certain", 1.0), head.over.name, to="not_anyway")
            return graph.add("Add", head.over.name, graph.add("Mul", rest, lift, to="added"), to=head.name)
        case Link.POSITIVE:
            bounded = graph.add(
                "Clip",
                eta,
                graph.constant("least_exponent", -LARGEST_EXPONENT),
                graph.constant("largest_exponent", LARGEST_EXPONENT),
                to=f"{head.name}_bounded",
            )
            bounded = graph.add("Exp", bounded, to=f"{head.name}_exp")
        case _:
            bounded = eta
    scaled = graph.add("Mul", bounded, graph.constant(f"{head.name}_unit", head.scale), to=f"{head.name}_scaled")
    return graph.add("Add", scaled, graph.constant(f"{head.name}_zero", head.shift), to=head.name)
