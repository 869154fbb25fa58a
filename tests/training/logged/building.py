"""A small log as columns, for tests that need one and not a store."""

from __future__ import annotations

from typing import Any

import numpy as np

from takt.features.section import Feature, FeatureType, Source
from takt.features.spec import FeatureSpec, make_spec
from takt_training.logged.dataset import NONE, SCORE, Candidates, Coded, Decisions, Logged, Slots, SlotState

SPEC = make_spec(
    profile=[Feature("recency", FeatureType.FLOAT)],
    context=[
        Feature("channel", FeatureType.CATEGORY, values=("web", "email"), source=Source.SERVICE),
        Feature("basket", FeatureType.FLOAT),
    ],
)


def coded(names: tuple[str, ...], *texts: str | None) -> Coded:
    """A column of texts."""
    return Coded(np.array([NONE if t is None else names.index(t) for t in texts], np.int32), names)


def logged(spec: FeatureSpec = SPEC, **changes: Any) -> Logged:
    """Two decisions of two people: an offer and then silence on the web, one offer by email."""
    profile = np.repeat(spec.profile.default, 2)
    profile["num"][:, 0] = [1.0, 2.0]
    context = np.repeat(spec.context.default, 2)
    context["num"][:, 0] = [10.0, 20.0]
    context["cat"][:, 0] = 1
    decisions = Decisions(
        id=np.array([b"a" * 48, b"b" * 48]),
        time_us=np.array([1_000, 2_000]),
        person=coded(("ann", "bob"), "ann", "bob"),
        catalog=coded(("c1",), "c1", "c1"),
        model=coded(("m/1",), "m/1", "m/1"),
        stage=coded(("use",), "use", "use"),
        exploration=coded(("greedy()",), "greedy()", "greedy()"),
        attempts=np.ones(2, np.int16),
        profile=profile,
        known=np.ones(2, bool),
        context=context,
    )
    fields: dict[str, Any] = {
        "decision": np.array([0, 0, 1]),
        "placement": coded(("hero", "mail"), "hero", "hero", "mail"),
        "channel": coded(("email", "web"), "web", "web", "email"),
        "slot": np.array([0, 1, 0], np.int16),
        "offer": coded(("milk", "bread"), "milk", None, "bread"),
        "timing": coded(("now",), "now", None, "now"),
        "tonality": coded(("warm",), "warm", None, "warm"),
        "form_of_address": coded(("NEUTRAL",), "NEUTRAL", None, "NEUTRAL"),
        "treatment": coded(("t",), "t", None, "t"),
        "offer_propensity": np.array([0.5, 0.25, 0.8]),
        "arm_propensity": np.array([0.5, 1.0, 1.0]),
        "candidates": Candidates(np.array([0, 2, 3, 4]), np.array([0, 1, 1, 1], np.int32)),
        "score": np.zeros(3, SCORE),
        "opens_us": np.array([1_000, 1_000, 2_000]),
        "state": np.array([SlotState.SHOWN, SlotState.SILENCE, SlotState.NO_SHOW], np.uint8),
        "happened": np.array([True, False, False]),
        "reward": np.array([3.0, 0.0, 0.0]),
        "reached": Candidates(np.array([0, 1, 1, 1]), np.array([0], np.int32)),
        "reacted": np.array([False, False, False]),
    }
    return Logged(spec, decisions, Slots(**(fields | changes)))
