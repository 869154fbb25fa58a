"""Two towers and a timing lift to one ONNX graph that keeps the model contract.

Everything between raw columns and calibrated acceptance is inside. The offers' side is computed once per run: it is a
sum of rows gathered from constant matrices (by kind, group and code) and one small product, all of which have the
calibration multiplied in.
"""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from onnx import ModelProto, TensorProto

from takt_training.calibration import Platt
from takt_training.graph import Graph, finished, prepared
from takt_training.preparation import Floats32
from takt_training.timing import HOURS_A_WEEK, LEAST_DENSITY, NO_MOMENT, TimingLift
from takt_training.towers import Towers


def to_onnx(
    towers: Towers,
    lift: TimingLift,
    *,
    primary: Platt,
    secondary: Platt,
    sizes: tuple[int, int, int],
    metadata: Mapping[str, str],
) -> ModelProto:
    """The graph. `sizes`: numbers of profile, context and offer columns; `metadata` becomes its `metadata_props`.

    primary, secondary: calibration of offers of either scope.
    """
    graph = Graph()
    persons = _persons(graph, towers)
    offers = _offers(graph, towers, _OfferMatrices.of(towers, primary, secondary))
    across = graph.add("Transpose", offers, to="offer_vectors_across", perm=[1, 0])
    probability = graph.add("Sigmoid", graph.add("MatMul", persons, across, to="log_odds"), to="probability")
    axes = graph.constant("timing_and_tonality_axes", [1, 2], np.int64)
    flat = graph.add("Unsqueeze", probability, axes, to="probability_of_offers")
    over = graph.add(
        "Unsqueeze", _lift(graph, lift), graph.constant("tonality_and_offer_axes", [2, 3], np.int64), to="lift"
    )
    raised = graph.add("Mul", flat, over, to="raised")
    graph.add("Clip", raised, graph.constant("impossible", 0.0), graph.constant("certain", 1.0), to="acceptance")
    return finished(
        graph,
        "two_towers",
        sizes=sizes,
        outputs={"acceptance": ("batch", lift.table.shape[1], 1, "offers")},
        metadata=metadata,
    )


def _persons(graph: Graph, towers: Towers) -> str:
    """`Towers.persons`: z @ linear + tanh(z @ hidden + bias) @ out + ones, [batch, W]."""
    p = towers.parameters
    width, rank = p["main"].shape[0], p["person"].shape[1]
    linear = np.zeros((width, 3 + rank + len(towers.affinity)), np.float32)
    linear[:, 0], linear[:, 1], linear[:, 2 : 2 + rank] = p["main"], p["deviation"], p["person"]
    linear[towers.affinity, 2 + rank + np.arange(len(towers.affinity))] = 1.0
    out = np.zeros((p["hidden"].shape[1], linear.shape[1]), np.float32)
    out[:, 0] = p["hidden_out"]
    ones = np.zeros(linear.shape[1], np.float32)
    ones[-1] = 1.0
    z = prepared(graph, towers.preparation, "profile", "profile")
    hidden = graph.add("MatMul", z, graph.constant("hidden_weights", p["hidden"]), to="hidden_product")
    hidden = graph.add("Add", hidden, graph.constant("hidden_bias", p["hidden_bias"]), to="hidden_sum")
    bent = graph.add("MatMul", graph.add("Tanh", hidden, to="hidden"), graph.constant("hidden_out", out), to="bent")
    straight = graph.add("MatMul", z, graph.constant("person_weights", linear), to="straight")
    both = graph.add("Add", straight, bent, to="person_sum")
    return graph.add("Add", both, graph.constant("person_ones", ones), to="person_vectors")


class _OfferMatrices(Struct, frozen=True):
    """Rows that add up to an offer's vector, float32 [*, W], calibrated."""

    kinds: Floats32
    attributes: Floats32
    groups: Floats32
    """The last row is that of an offer without a group: zeros."""
    codes: Floats32

    @classmethod
    def of(cls, towers: Towers, primary: Platt, secondary: Platt) -> "_OfferMatrices":
        p, encoding = towers.parameters, towers.encoding
        rank, groups, types = p["person"].shape[1], encoding.plan.groups, encoding.plan.types
        width = 3 + rank + groups

        def rows(count: int, low_rank: Floats32, level: Floats32) -> Floats32:
            result = np.zeros((count, width), np.float32)
            result[: len(level), 2 : 2 + rank], result[: len(level), -1] = low_rank, level
            return result

        kinds = rows(2 * types, p["offer"][: 2 * types], p["level"][: 2 * types] + p["base"])
        kinds[:types, 0], kinds[types:, 0], kinds[types:, 1] = 1.0, p["carry"], 1.0
        kinds[:types] *= primary.scale
        kinds[types:] *= secondary.scale
        kinds[:types, -1] += primary.shift
        kinds[types:, -1] += secondary.shift
        start, end = encoding.kinds, encoding.groups_at
        in_groups = rows(groups + 1, p["offer"][end:], p["level"][end:])
        in_groups[np.arange(groups), 2 + rank + np.arange(groups)] = p["own_group"]
        return cls(
            kinds=kinds,
            attributes=rows(end - start, p["offer"][start:end], p["level"][start:end]) * np.float32(secondary.scale),
            groups=in_groups * np.float32(secondary.scale),
            codes=rows(len(p["code_level"]), p["code"], p["code_level"]) * np.float32(secondary.scale),
        )


def _category(graph: Graph, column: int, name: str, *, count: int, missing: int) -> str:
    """Index [offers] of a category column of `offers`; a missing one is `missing`, an absurd one the nearest."""
    picked = graph.add("Gather", "offers", graph.constant(f"{name}_column", column, np.int64), to=f"{name}_raw", axis=1)
    absent = graph.add("IsNaN", picked, to=f"{name}_missing")
    low, high = graph.constant(f"{name}_first", 0.0), graph.constant(f"{name}_last", count - 1)
    known = graph.add("Where", absent, low, picked, to=f"{name}_known")
    bounded = graph.add("Clip", known, low, high, to=f"{name}_bounded")
    stands_for = graph.constant(f"{name}_stands_for", float(missing))
    chosen = graph.add("Where", absent, stands_for, bounded, to=f"{name}_chosen")
    return graph.add("Cast", chosen, to=f"{name}_index", to_type=TensorProto.INT64)


def _offers(graph: Graph, towers: Towers, matrices: _OfferMatrices) -> str:
    """`Towers.offers`, calibrated: kinds[kind] + secondary (attributes + groups[group] + codes[code]), [offers, W]."""
    encoding = towers.encoding
    plan = encoding.plan
    scope = _category(graph, encoding.scope_column, "scope", count=2, missing=1)
    type_ = _category(graph, encoding.type_column, "type", count=plan.types, missing=plan.missing_type)
    group = _category(graph, encoding.group_column, "group", count=plan.groups, missing=plan.groups)
    first = graph.add("Mul", scope, graph.constant("types", plan.types, np.int64), to="scope_start")
    kind = graph.add("Add", first, type_, to="kind")
    own = graph.add("Gather", graph.constant("kind_rows", matrices.kinds), kind, to="of_kind", axis=0)
    attributes = prepared(graph, encoding.preparation, "offers", "offer")
    told = graph.add("MatMul", attributes, graph.constant("attribute_rows", matrices.attributes), to="of_attributes")
    grouped = graph.add("Gather", graph.constant("group_rows", matrices.groups), group, to="of_group", axis=0)
    none, last = graph.constant("unseen", 0, np.int64), graph.constant("last_code", len(towers.vocabulary), np.int64)
    above = graph.add("Greater", "offer_code", last, to="code_above")
    below = graph.add("Less", "offer_code", none, to="code_below")
    strange = graph.add("Or", above, below, to="code_strange")
    code = graph.add("Where", strange, none, "offer_code", to="code")
    coded = graph.add("Gather", graph.constant("code_rows", matrices.codes), code, to="of_code", axis=0)
    further = graph.add("Add", graph.add("Add", told, grouped, to="told_and_grouped"), coded, to="further")
    flag = graph.add("Cast", scope, to="secondary_flag", to_type=TensorProto.FLOAT)
    flag = graph.add("Unsqueeze", flag, graph.constant("last_axis", [1], np.int64), to="secondary")
    return graph.add("Add", own, graph.add("Mul", further, flag, to="further_if_secondary"), to="offer_vectors")


def _lift(graph: Graph, lift: TimingLift) -> str:
    """`TimingLift.apply`, [batch, T]."""
    shares = graph.add("Gather", "profile", graph.constant("slots", lift.slot_columns, np.int64), to="slot_raw", axis=1)
    absent = graph.add("IsNaN", shares, to="slot_missing")
    filled = graph.add("Where", absent, graph.constant("everybody", lift.population), shares, to="slot_filled")
    bounded = graph.add("Clip", filled, graph.constant("no_share", 0.0), graph.constant("whole", 1.0), to="slot_shares")
    per_hour = graph.constant("per_hour", HOURS_A_WEEK / lift.slot_hours)
    density = graph.add("Mul", bounded, per_hour, to="density")
    parts = {}
    for name, position, most in (("hour", lift.hour_column, 23.0), ("weekday", lift.weekday_column, 6.0)):
        raw = graph.add(
            "Gather", "context", graph.constant(f"{name}_column", position, np.int64), to=f"{name}_raw", axis=1
        )
        missing = graph.add("IsNaN", raw, to=f"{name}_missing")
        least = graph.constant(f"{name}_first", 0.0)
        known = graph.add("Where", missing, least, raw, to=f"{name}_known")
        clipped = graph.add("Clip", known, least, graph.constant(f"{name}_last", most), to=f"{name}_bounded")
        parts[name] = graph.add("Floor", clipped, to=name)
    start = graph.add("Mul", parts["weekday"], graph.constant("hours_a_day", 24.0), to="day_start")
    moment = graph.add("Add", start, parts["hour"], to="moment")
    unknown = graph.add("Or", "hour_missing", "weekday_missing", to="moment_missing")
    chosen = graph.add("Where", unknown, graph.constant("no_moment", float(NO_MOMENT)), moment, to="moment_chosen")
    index = graph.add("Cast", chosen, to="moment_index", to_type=TensorProto.INT64)
    rows = graph.add("Gather", graph.constant("moments", lift.table), index, to="timing_weights", axis=0)
    column = graph.add("Unsqueeze", density, graph.constant("column_axis", [2], np.int64), to="density_column")
    at = graph.add("MatMul", rows, column, to="timing_density_column")
    at = graph.add("Squeeze", at, "column_axis", to="timing_density")
    mean = graph.add("ReduceMean", at, graph.constant("timing_axis", [1], np.int64), to="mean_density", keepdims=1)
    mean = graph.add("Max", mean, graph.constant("least_density", LEAST_DENSITY), to="mean_density_bounded")
    relative = graph.add("Div", at, mean, to="relative_density")
    damped = graph.add("Mul", relative, graph.constant("damping", lift.damping), to="damped")
    return graph.add("Add", damped, graph.constant("undamped", 1 - lift.damping), to="timing_lift")
