"""Running a graph to see whether it does what the contract says: shapes, ranges, independence, golden rows, cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from takt.errors import ModelError
from takt.model.features import FeatureContract
from takt.model.golden import ABSOLUTE, OUTPUTS, RELATIVE, Array, Golden, deviation
from takt.model.probe import part, probe
from takt.model.report import Cost, Point
from takt.model.session import Session, pad_to_two

ROWS, OFFERS = 8, 7
"""The largest trial; every smaller one is a part of it."""
BATCHES, OFFER_COUNTS = (1, 2, 5), (1, 3, 7)
INDEPENDENCE: Final = 1e-5
"""How far an estimate may move with the company it is computed in, absolute and relative."""
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "acceptance": (0.0, 1.0),
    "baseline": (0.0, 1.0),
    "value": (-np.inf, np.inf),
    "reaction": (0.0, 1.0),
    "uncertainty": (0.0, np.inf),
}


class Axes(Struct, frozen=True):
    """Which axes of an output are full; the others have size 1 and stand for every index."""

    timings: bool
    tonalities: bool
    offers: bool

    def shape(self, *, rows: int, timings: int, tonalities: int, offers: int) -> tuple[int, int, int, int]:
        """The output's shape in a run of these sizes."""
        return (
            rows,
            timings if self.timings else 1,
            tonalities if self.tonalities else 1,
            offers if self.offers else 1,
        )


class Trial(Struct, frozen=True):
    """A graph with what is needed to run it."""

    session: Session
    features: FeatureContract
    outputs: tuple[str, ...]
    timings: int
    tonalities: int
    codes: int

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name. Raises `ModelError`."""
        return dict(zip(self.outputs, self.session.run(self.outputs, inputs), strict=True))


def try_shapes(trial: Trial) -> tuple[list[Point], dict[str, Axes]]:
    """Run all sizes; a point per output and one for the sizes, and the outputs' axes where every point holds."""
    inputs = probe(trial.features, rows=ROWS, offers=OFFERS, codes=trial.codes)
    try:
        base = trial.run(inputs)
    except ModelError as error:
        return [_point("run", f"a run of {ROWS} rows and {OFFERS} offers", refusal=str(error))], {}
    points = []
    axes = {}
    for name, array in base.items():
        point, found = _axes(trial, name, array)
        points.append(point)
        if found is not None:
            axes[name] = found
    if len(axes) < len(base):
        return points, {}
    sizes = _try_sizes(trial, inputs, base, axes)
    independence = _try_company(trial, inputs, base) if all(point.ok for point in sizes) else []
    points += [*sizes, *independence, *_ranges(base)]
    return points, axes if all(point.ok for point in points) else {}


def _axes(trial: Trial, name: str, array: Array) -> tuple[Point, Axes | None]:
    """Which axes of an output are full, from the shape that the largest trial gave."""
    expected = f"float32 [batch, {trial.timings} or 1, {trial.tonalities} or 1, offers or 1]"
    wanted = (ROWS, trial.timings, trial.tonalities, OFFERS)
    fits = (
        array.ndim == 4
        and array.shape[0] == ROWS
        and all(size in {1, full} for size, full in zip(array.shape[1:], wanted[1:], strict=True))
    )
    if not fits or array.dtype != np.float32:
        return _point(
            f"output {name}",
            expected,
            refusal=f"output {name!r} is {array.dtype} {list(array.shape)} in a run of {ROWS} rows and {OFFERS} offers "
            f"with {trial.timings} timings and {trial.tonalities} tonalities; expected {expected}",
        ), None
    axes = Axes(
        timings=array.shape[1] > 1,
        tonalities=array.shape[2] > 1,
        offers=array.shape[3] > 1,
    )
    found = f"float32 [batch, {array.shape[1]}, {array.shape[2]}, {'offers' if axes.offers else 1}]"
    return Point(f"output {name}", expected, found), axes


def _try_sizes(
    trial: Trial, inputs: dict[str, Array], base: Mapping[str, Array], axes: Mapping[str, Axes]
) -> list[Point]:
    """Every size of run gives its shape, and each row and offer the estimate that it had in the largest."""
    expected = f"batches of {_or(BATCHES)} with {_or(OFFER_COUNTS)} offers"
    worst = 0.0
    for rows in BATCHES:
        for offers in OFFER_COUNTS:
            where = f"a run of {rows} rows and {offers} offers"
            try:
                found = trial.run(part(inputs, slice(rows), slice(offers)))
            except ModelError as error:
                return [_point("sizes", expected, refusal=f"{where} fails: {error}")]
            for name, array in found.items():
                wanted = axes[name].shape(rows=rows, timings=trial.timings, tonalities=trial.tonalities, offers=offers)
                if array.shape != wanted:
                    shapes = f"has shape {list(array.shape)} in {where}; expected {list(wanted)}"
                    return [_point("sizes", expected, refusal=f"output {name!r} {shapes}")]
                moved = _moved(base[name][:rows, :, :, : wanted[3]], array)
                if moved > INDEPENDENCE:
                    return [
                        Point("sizes", expected, expected),
                        _dependent(name, f"between a run of {ROWS} rows and {OFFERS} offers and {where}", moved),
                    ]
                worst = max(worst, moved)
    return [
        Point("sizes", expected, expected),
        Point("independence", f"moves by at most {INDEPENDENCE:g} with company", f"moves by at most {worst:.2g}"),
    ]


def _try_company(trial: Trial, inputs: dict[str, Array], base: Mapping[str, Array]) -> list[Point]:
    """Other neighbours in a run of the same size leave a row and an offer as they are; empty if so."""
    order_rows, order_offers = list(range(ROWS))[::-1], list(range(OFFERS))[::-1]
    found = trial.run(part(inputs, order_rows, order_offers))
    for name, array in found.items():
        back = array[::-1, :, :, ::-1]
        if (moved := _moved(base[name], back)) > INDEPENDENCE:
            return [_dependent(name, "when rows and offers stand in another order", moved)]
    return []


def _dependent(name: str, when: str, moved: float) -> Point:
    return _point(
        "independence",
        f"moves by at most {INDEPENDENCE:g} with company",
        refusal=f"output {name!r} of a row and an offer moves by {moved:.2g} {when}; rows and offers must not "
        f"influence each other (at most {INDEPENDENCE:g})",
    )


def _moved(expected: Array, actual: Array) -> float:
    """Largest difference, relative where values are large. What is not finite counts as equal here: it has a point."""
    finite = np.isfinite(expected) & np.isfinite(actual)
    old, new = expected[finite].astype(np.float64), actual[finite].astype(np.float64)
    return float((np.abs(old - new) / np.maximum(1.0, np.abs(old))).max(initial=0.0))


def _ranges(outputs: Mapping[str, Array]) -> list[Point]:
    """Outputs are finite and in range, whatever the inputs."""
    return [_range(name, array) for name, array in outputs.items()]


def _range(name: str, array: Array) -> Point:
    low, high = RANGES[name]
    expected = "finite" if low == -np.inf else f"finite, at least {low:g}" if high == np.inf else f"{low:g} to {high:g}"
    if fault := out_of_range(name, array):
        return _point(f"values of {name}", expected, refusal=f"output {name!r} {fault}")
    return Point(f"values of {name}", expected, f"{float(array.min()):.4g} to {float(array.max()):.4g}")


def out_of_range(name: str, array: Array) -> str:
    """What is wrong with an output's values, as the rest of a sentence; empty if nothing is."""
    low, high = RANGES[name]
    finite = np.isfinite(array)
    if not finite.all():
        kinds = [kind for kind, test in (("NaN", np.isnan), ("infinite", np.isinf)) if test(array).any()]
        rows = len(np.unique(np.nonzero(~finite)[0]))
        return (
            f"is {' or '.join(kinds)} in {int((~finite).sum())} of {array.size} values, {rows} of {len(array)} rows; "
            "every input must give finite outputs, missing (NaN) and absurd (1e30) ones included"
        )
    outside = (array < low) | (array > high)
    if outside.any():
        return (
            f"lies outside of {low:g} to {high:g} in {int(outside.sum())} of {array.size} values "
            f"(from {float(array.min()):.4g} to {float(array.max()):.4g})"
        )
    return ""


def try_golden(trial: Trial, golden: Golden, *, made_with: str) -> Point:
    """The graph reproduces its golden rows."""
    rows, offers = len(golden.inputs["profile"]), len(golden.inputs["offers"])
    expected = f"{rows} rows x {offers} offers within {ABSOLUTE:g} + {RELATIVE:g} x |expected|"
    if set(golden.outputs) != set(trial.outputs):
        return _point(
            "golden rows",
            expected,
            refusal=f"golden.npz has outputs {', '.join(sorted(golden.outputs))} and the graph "
            f"{', '.join(sorted(trial.outputs))}; both must have the same",
        )
    if fault := _golden_inputs(trial, golden):
        return _point("golden rows", expected, refusal=f"golden.npz: {fault}")
    try:
        found = trial.run(golden.inputs)
    except ModelError as error:
        return _point("golden rows", expected, refusal=f"golden rows fail: {error}")
    largest = 0.0
    for name in trial.outputs:
        wanted, actual = golden.outputs[name], found[name]
        if wanted.shape != actual.shape:
            return _point(
                "golden rows",
                expected,
                refusal=f"golden rows: output {name!r} has shape {list(actual.shape)}, golden.npz {list(wanted.shape)}",
            )
        difference, excess = deviation(wanted, actual)
        if excess > 1.0:
            return _point(
                "golden rows",
                expected,
                refusal=f"golden rows: output {name!r} differs by up to {difference:.3g} from golden.npz (made with "
                f"ONNX Runtime {made_with}); at most {ABSOLUTE:g} + {RELATIVE:g} x |expected| is tolerated",
            )
        if fault := out_of_range(name, actual):
            return _point("golden rows", expected, refusal=f"golden rows: output {name!r} {fault}")
        largest = max(largest, difference)
    return Point("golden rows", expected, f"{rows} rows x {offers} offers, largest difference {largest:.2g}")


def _golden_inputs(trial: Trial, golden: Golden) -> str:
    for name, section in (("profile", "profile"), ("context", "context"), ("offers", "offer")):
        found, wanted = golden.inputs[name].shape[1], len(trial.features.columns(section))
        if found != wanted:
            return f"array {name!r} has {found} columns, expected {wanted}"
    codes = golden.inputs["offer_code"]
    if codes.min() < 0 or codes.max() > trial.codes:
        return f"array 'offer_code' holds {codes.min()} to {codes.max()}, expected 0 to {trial.codes}"
    return ""


def measure(trial: Trial, *, offers: int = 100, rows: int = 64, budget_s: float = 0.5) -> Cost:
    """Median cost of a run for one row (padded as the service pads it) and for a full batch, on this machine."""
    inputs = probe(trial.features, rows=rows, offers=offers, codes=trial.codes, absurd=False)
    alone = part(inputs, slice(1), slice(None))
    alone = {**alone, "profile": pad_to_two(alone["profile"]), "context": pad_to_two(alone["context"])}
    return Cost(
        offers=offers,
        alone_us=_median_us(trial, alone, budget_s / 2),
        batch_rows=rows,
        batch_us=_median_us(trial, inputs, budget_s / 2),
    )


def _median_us(trial: Trial, inputs: Mapping[str, Array], budget_s: float) -> float:
    """At least 5 and at most 200 runs, as many as the budget allows."""
    trial.run(inputs)
    taken: list[int] = []
    while len(taken) < 5 or (len(taken) < 200 and sum(taken) < budget_s * 1e9):
        start = time.perf_counter_ns()
        trial.run(inputs)
        taken.append(time.perf_counter_ns() - start)
    return float(np.median(taken)) / 1e3


def present(outputs: Sequence[str]) -> tuple[str, ...]:
    """The contract's outputs that a graph has, in the contract's order."""
    return tuple(name for name in OUTPUTS if name in outputs)


def _point(name: str, expected: str, *, refusal: str) -> Point:
    return Point(name, expected, "", refusal)


def _or(values: Sequence[int]) -> str:
    return ", ".join(str(value) for value in values[:-1]) + f" and {values[-1]}"
